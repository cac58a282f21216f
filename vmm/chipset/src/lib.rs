//! The devices of a small PC. This crate knows no KVM, no file and no terminal.
//!
//! ```text
//!   port or MMIO access, through the bus                         host threads
//!        │            │             │         │                        │
//!    ┌───▼───┐    ┌───▼────┐    ┌───▼───┐  ┌──▼────┐  output, input    │
//!    │  GED  │    │ IOAPIC │    │ 16550 │  │ debug ◄───────────────────┤ uart::UartHost
//!    │ power │    │ 0 and 1│    │ COM1  │  │console│                   │ debugcon::LogReader
//!    └───┬───┘    └▲──┬────┘    └───┬───┘  └───────┘                   │
//!        └─ line ──┘  │ ▲── line ───┘                 power button ────┘ ged::PowerButton
//!                     ▼ EOI
//!              bus::MsiRoutes: messages to the local APICs, in KVM
//! ```
//!
//! | module | device | standard |
//! |---|---|---|
//! | [`debugcon`] | debug console at port 0x402 | QEMU's `isa-debugcon` |
//! | [`ged`] | generic event device, sleep and reset registers | ACPI 6.5, 4.8.3.7, 5.6.9 and QEMU's register layout |
//! | [`ioapic`] | I/O APIC, 24 inputs | Intel 82093AA data sheet, with the EOI register of version 0x20 |
//! | [`pic`] | interrupt controllers of the PC/AT (optional) | Intel 8259A data sheet |
//! | [`pit`] | interval timer (optional) | Intel 8254 data sheet |
//! | [`rtc`] | real-time clock and its memory (optional) | Motorola MC146818A data sheet |
//! | [`uart`] | serial port | National Semiconductor PC16550D data sheet |
//! | [`time`] | what devices that count time share | |
//! | [`describe`] | how they appear in the DSDT | ACPI 6.5 |
//!
//! Devices are registers and rules alone. What takes time or can block (a terminal, a log file) belongs to a thread of
//! the host, which holds the other end of a bounded queue; what concerns the whole machine (power off, reset) is a
//! callback.
//!
//! Left out, because the machine type has none: i8042, PC speaker and port 0x61, DMA controllers, HPET, PM timer, PCI
//! configuration ports, ports 0x92 and 0xCF9.
#![forbid(unsafe_code)]

pub mod debugcon;
pub mod describe;
pub mod ged;
pub mod ioapic;
pub mod pic;
pub mod pit;
pub mod rtc;
pub mod time;
pub mod uart;
