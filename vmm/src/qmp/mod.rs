//! QMP, the protocol by which programs control QEMU, for what this machine has.
//!
//! ```text
//!  socket ── Stream ──► Session ── commands ──► Machine (a Remote) ──► control thread
//!     ▲                    │ one JSON object     │
//!     └──── output ◄───────┴──── replies, events ┘      one thread polls everything
//! ```
//!
//! * `framing` finds JSON objects in what a client sends; a client's input is bounded.
//! * `session` is one client: greeting, negotiation, a command and its reply at a time. It knows no socket.
//! * `commands` and `human` say what each command does; `facts` what the queries answer.
//! * `keys`, `input` and `plugging` are what concerns USB: typing, pointing and plugging; `nodes` opens images for disks that are
//!   plugged in and for the drives of `media`; `descriptors` are those that clients hand over for images.
//! * `server` has the clients. A client that does not read its replies is not read either, and one that reads no events
//!   is dropped.
//!
//! Protocol: QEMU's `docs/interop/qmp-spec`, version 7.2. Left out: commands out of band, migration.

mod balloon;
mod commands;
mod descriptors;
mod event;
mod facts;
mod framing;
mod human;
mod input;
mod keys;
mod media;
mod nodes;
mod parts;
mod plugging;
mod protocol;
mod qom;
mod resize;
mod server;
mod session;
#[cfg(test)]
mod tests;

pub use facts::{Drive, Facts};
pub use parts::Parts;
pub use server::Server;
