//! The terminal that tinderbox runs on: raw mode, and the keys that are not for the guest.
//!
//! ```text
//!  stdin ──► EscapeFilter ──► Input::Bytes    to COM1
//!                 └─────────► Input::Command  Ctrl-a x, p, r, h: to the control thread
//! ```
//!
//! [`RawMode`] puts the terminal back when it is dropped and when the program panics, which in a release build ends
//! it without dropping anything. Whoever ends the process by other means calls [`restore`] first. Against SIGKILL
//! nothing helps but `reset`.

mod escape;
mod raw_mode;
mod stderr;

pub use escape::{Command, EscapeFilter, Input, help};
pub use raw_mode::{RawMode, restore};
pub use stderr::Stderr;
