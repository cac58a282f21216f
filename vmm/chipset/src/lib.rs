//! The devices of a small PC. This crate knows no KVM, no file and no terminal.
//!
//! ```text
//!   port or MMIO access, through the bus                         host threads
//!        │            │             │         │                        │
//!    ┌───▼───┐    ┌───▼────┐    ┌───▼───┐  ┌──▼────┐  output, input    │
//!    │  GED  │    │ IOAPIC │    │ 16550 │  │ debug ◄───────────────────┤ uart::UartHost
//!    │ power │    │ 0 and 1│    │ COM1  │  │console│                   │ debugcon::LogReader
//!    └───┬───┘    └▲──┬────┘    └───┬───┘  └───────┘                   │
//!        └─ line ──┘  │ ▲── line ───┘                 power button ────┘ ged::Trigger
//!                     ▼ EOI
//!              bus::MsiRoutes: messages to the local APICs, in KVM
//! ```
//!
//! | module | device | standard |
//! |---|---|---|
//! | [`debugcon`] | debug console at port 0x402 | QEMU's `isa-debugcon` |
//! | [`ged`] | generic event device, sleep and reset registers | ACPI 6.5, 4.8.3.7, 5.6.9 and QEMU's register layout |
//! | [`ioapic`] | I/O APIC, 24 inputs | Intel 82093AA data sheet, with the EOI register of version 0x20 |
//! | [`uart`] | serial port | National Semiconductor PC16550D data sheet |
//! | [`describe`] | how they appear in the DSDT | ACPI 6.5 |
//!
//! And what a machine has only on request:
//!
//! | module | device | standard |
//! |---|---|---|
//! | [`exit`] | debug exit, for test kernels | QEMU's `isa-debug-exit` |
//! | [`pic`] | the PC's pair of interrupt controllers | Intel 8259A data sheet; ELCR of the 82371AB |
//! | [`pit`] | interval timer | Intel 8254 data sheet |
//! | [`pvpanic`] | panic port | QEMU's `pvpanic` |
//! | [`reset_port`] | reset control register, keyboard controller's reset | Intel 82371AB data sheet; 8042 |
//! | [`rtc`] | real-time clock and its memory | Motorola MC146818A data sheet |
//!
//! Devices are registers and rules alone. What takes time or can block (a terminal, a log file) belongs to a thread of
//! the host, which holds the other end of a bounded queue; what concerns the whole machine (power off, reset) is a
//! callback. Devices that count [`time`] are told by a timer of the host when it is time for an interrupt.
//!
//! Left out, because the machine type has none: i8042 (but for its reset), PC speaker and port 0x61, DMA controllers,
//! HPET, PM timer, PCI configuration ports, port 0x92.
#![forbid(unsafe_code)]

pub mod debugcon;
pub mod describe;
pub mod exit;
pub mod ged;
pub mod ioapic;
mod isa;
pub mod pic;
pub mod pit;
pub mod pvpanic;
pub mod reset_port;
pub mod rtc;
pub mod test_device;
pub mod time;
pub mod uart;
