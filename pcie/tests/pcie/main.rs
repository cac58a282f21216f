//! The crate as a machine and its guest see it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod config;
mod decoding;
mod express;
mod interrupts;
mod properties;
mod rig;
