//! A debugger's port: GDB's remote protocol, for firmware from its first instruction and for what follows.
//!
//! ```text
//!  gdb ── socket ── Connection ──► session (gdbstub) ──► Target ──► Vcpu, while it is parked
//!                                     ▲    │                └─────► guest memory
//!                     Notice::Debug ──┘    └── Remote: pause, resume, reset
//! ```
//!
//! vCPUs are GDB's threads, numbered from 1. Addresses are linear: where a code segment has a base, as in real mode, the
//! program counter that GDB sees is base and offset together, so that breakpoints and disassembly meet the code.
//!
//! Breakpoints are the processor's as long as it has room for them; only more than that are instructions in memory, which
//! are there while the guest runs.
//!
//! The protocol is the crate gdbstub's. Left out: control registers and MSRs.

mod arch;
mod connection;
mod registers;
mod server;
mod session;
mod stops;
mod target;

pub use server::Server;
