//! Images that QEMU's tools made, read and written here, and checked by those tools again.
#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

mod crash;
mod depth;
mod files;
mod formats;
mod refusals;
