//! Network backends: where a guest's frames go. This crate knows no guest protocol but the header of a packet.
//!
//! ```text
//!  virtio-net ──► dyn Backend ──┬─► Tap ───────► a tap interface of the host's, with its offloads
//!   (a worker      packets      ├─► Stream ────► a Unix socket: passt, or whoever else speaks QEMU's framing
//!    thread)                    └─► Null
//! ```
//!
//! A packet is a [header](HEADER_LEN) and an Ethernet frame, however long: with offloads it may stand for a whole series. A backend
//! without [offloads](Backend::has_offloads) neither makes nor understands anything in the header.
//!
//! Calls never block. Who gets [`None`] or [`Sent::Later`] waits for [`Backend::events`], which are edges: each has to be
//! followed by calls until there is nothing more.
//!
//! [`Governed`] is any of them with limits, and a plug that can be pulled. A tap interface may have [several ends](Tap::open_queues), each
//! with the packets of some connections.
#![deny(clippy::indexing_slicing)]

mod backend;
mod governed;
mod null;
mod passt;
mod stream;
mod tap;

pub use backend::{Backend, HEADER_LEN, MAX_PACKET, Offloads, Sent};
pub use governed::{Governed, Limits, Plug};
pub use null::Null;
pub use passt::{Passt, PasstError};
pub use rate::Limit;
pub use stream::{ConnectError, Stream};
pub use tap::{Tap, TapError};
