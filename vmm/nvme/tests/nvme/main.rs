//! The controller, driven through its registers and queues as a driver does.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admin;
mod depth;
mod function;
mod hostile;
mod io;
mod properties;
mod queues;
mod registers;
mod rig;
mod shadow;
