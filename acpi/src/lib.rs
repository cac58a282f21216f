//! Descriptions to bytes: ACPI tables, AML, and the script by which firmware links them. This crate knows no machine, no
//! guest memory and no KVM: the machine hands it numbers, each device hands it objects.
//!
//! ```text
//!  dyn Describe ──► Scope, Device, Resources ──► Dsdt ─┐
//!  (device crates)        aml                          │ place            ┌─► files()    etc/acpi/tables, etc/acpi/rsdp,
//!                                                      ├──────► TableSet ─┤              etc/table-loader (fw_cfg)
//!  plain numbers ─────────────────────► Fadt, Madt, … ─┘ list             └─► resolve()  tables at an address, no firmware
//!  (the machine's plan)                      table                 │
//!                                                                loader: every pointer and checksum, declared once
//! ```
//!
//! * [`Describe`] is how a device enters the DSDT; [`Scope`] and [`Device`] are the words it has for that.
//! * [`Definition`] is a table before it is bytes; [`table`] has one file for each.
//! * [`inspect`] reads tables back, independently of what wrote them: to show them, and to find fault with them.
//! * [`TableSet`] lays tables out, adds XSDT and RSDP, and gives both forms: unlinked with the loader's script, or linked.
//!
//! Standards: ACPI 6.5 for tables and AML. The FADT keeps to the revision 5 layout and the values are those of QEMU's
//! `microvm` machine, to the bit: that machine's expected tables are golden hashes in `tests/golden.rs`. The script's format is
//! that of QEMU's fw_cfg loader. AML encoding is the crate `acpi_tables`; what it lacks stands beside it here.
//!
//! The AML stays inside what SeaBIOS' table walker reads: `_HID` and `_CRS` are plain `Name`s, integers at device level have at
//! most 32 bits, nested devices come last in their parent, and no operator stands outside a method.
//!
//! Left out: the RSDT (all readers take the XSDT), the FACS (optional on hardware-reduced machines), SSDTs, ERST.
#![forbid(unsafe_code)]

mod aml;
pub mod inspect;
mod loader;
mod set;
pub mod table;

/// The objects and operators of AML, for what [`Scope`] and [`Device`] have no word for.
pub use acpi_tables::aml as objects;
pub use acpi_tables::{Aml, AmlSink};
pub use aml::{Describe, Device, NameSeg, Resources, Scope};
pub use loader::PointerOverflow;
pub use set::{File, Resolved, TableSet};
pub use table::{Definition, OemIdError, OemIds, Table, TableId};
