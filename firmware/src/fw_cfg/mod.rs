//! The firmware configuration device: how firmware and guest learn what machine they run on.
//!
//! ```text
//!  Contents ──finish──► Entries ──────────────► FwCfg ◄── 0x510 selector, 0x511 data: one byte a read
//!  items by key         key ─► bytes            state      0x514 DMA address: one descriptor a write
//!  files by name        directory, selectors      │
//!                                                 └──► guest memory
//! ```
//!
//! The device serves bytes and never learns what they mean; what they mean is the business of the modules beside it
//! ([`e820`](crate::e820), [`boot_order`](crate::boot_order), and whoever else fills [`Contents`]). The directory
//! is complete before the guest runs, so that a selector, once handed out, stays valid.
//!
//! Standard: QEMU `docs/specs/fw_cfg.rst`, as of QEMU 10.0. Left out: memory-mapped register layout (other
//! architectures), writing through the data port (removed from QEMU in version 2.4), 64-bit DMA address writes by port
//! (x86 has none; the register accepts them all the same).

#![deny(clippy::indexing_slicing)]

mod contents;
mod device;
mod dma;
pub mod spec;

#[cfg(test)]
mod tests;

pub use contents::{Contents, FileError, Item};
pub use device::{FwCfg, PORTS};
