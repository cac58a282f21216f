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
//! * `keys`, `input`, `plugging` and `nodes` are what concerns USB: typing, pointing, plugging, and disks to plug in.
//! * `server` has the clients. A client that does not read its replies is not read either, and one that reads no events
//!   is dropped.
//!
//! Protocol: QEMU's `docs/interop/qmp-spec`, version 7.2. Left out: commands out of band, file descriptors, migration.

mod balloon;
mod commands;
mod event;
mod facts;
mod framing;
mod human;
mod input;
mod keys;
mod nodes;
mod plugging;
mod protocol;
mod server;
mod session;
#[cfg(test)]
mod tests;

pub use facts::{Drive, Facts};
pub use server::Server;
