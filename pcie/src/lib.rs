//! PCI Express: configuration space, BARs, interrupts, the ECAM host bridge and root ports. This crate knows no KVM and not what
//! a function does.
//!
//! ```text
//!  bus ─ ECAM ────► Host ── bus, device, function ──► dyn Function ── ConfigSpace ─► Interrupts ─► MsiRoutes (message)
//!  bus ─ windows ─►   │  ── address ── BAR ─────────►  registers                        │
//!                     │                                                                └──► Intx ── GSI (pin)
//!                     └─ BARs moved ──► DoorbellSink: a write to a doorbell signals its event without an exit
//! ```
//!
//! * A [`Function`] is a [`ConfigSpace`] and registers behind BARs. It sees offsets into its BARs, wherever the guest has put them,
//!   and never the MSI-X table.
//! * The [`Host`] finds the function of an access. It owns bus numbers, decoding and resets; BARs may move at any time, to
//!   any place: what lies outside the windows decodes nothing, and of two BARs at one address the first function's answers.
//! * [`Interrupts`] is a function's voice, to be cloned to the threads that need it: a message if the driver enabled
//!   MSI-X or MSI, else its pin.
//!
//! Standards: *PCI Express Base Specification 5.0* (`PCIe 5.0`), *PCI Local Bus 3.0* (`PCI 3.0`), *PCI Power Management 1.2*.
//! Left out: I/O ports (this machine has no window for them), switches, ARI, AER, hot-plug, PME, expansion ROMs.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

mod config;
pub mod describe;
mod function;
mod host;
mod interrupts;
mod root_port;

pub use config::{Bar, BarKind, ConfigBuilder, ConfigSpace, Effect, Identity, Messages, MsixLayout};
pub use function::{Doorbell, DoorbellSink, Function};
pub use host::{Ecam, Host, HostParts, PlugError, PortId, Slot, Window};
pub use interrupts::{Interrupts, Mode};
