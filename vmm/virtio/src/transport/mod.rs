//! How a guest finds and drives a device: one module a transport, over a common half.

mod core;
pub mod mmio;
pub mod pci;
