//! The VMM: configuration, the machine plan, KVM, vCPUs and control. The program is `tinderbox`.
//!
//! ```text
//!  command line ── cli ──► Config ──► Plan ──────────────► --dry-run
//!                                      │ addresses, GSIs
//!               bundle: firmware ──► machine::run ◄── terminal, signals
//!                                      │ build: buses, devices, ACPI tables, fw_cfg
//!              one thread a vCPU ◄─────┼─────► one worker a disk, one console thread
//!                     │                │
//!                    kvm ◄─────────────┘ memory slots, routes, ioeventfds
//! ```
//!
//! * [`config`] is what the user asked for, [`machine::Plan`] what follows from it: both are plain data.
//! * [`boot`] starts a kernel without firmware.
//! * [`kvm`] holds all unsafe code of this crate.
//! * [`machine`] puts devices where the plan says and supervises the run.
//! * [`qmp`] lets programs outside control it, [`gdb`] a debugger; `timeline` records its boot.
//!
//! Standards: the `microvm` machine contract, Intel SDM 3A for the processor's power-on state, ACPI 6.5.
//! Left out so far: snapshots, the sandbox.

pub mod backing;
pub mod boot;
pub mod bundle;
pub mod cli;
pub mod config;
pub mod cpu;
mod daemon;
pub mod gdb;
pub mod host;
pub mod kvm;
pub mod machine;
mod nearest;
pub mod qmp;
pub mod socket;
pub mod terminal;
mod timeline;
pub mod topology;
