//! Firmware: the images that run first, and the device that tells them what machine they are on.
//!
//! ```text
//!  bundle on disk                      machine                                   guest
//!  manifest.json ─► Catalogue
//!  seabios.bin ───► FirmwareImage ───► top of 4 GiB ─────────────────────────► reset vector 0xffff_fff0
//!                        └─ shadow ──► top of 1 MiB ─────────────────────────► F000:E05B
//!  memory map ────► e820 ───────┐
//!  boot devices ──► boot_order ─┤
//!  devices ───────► device_tree ┼────► fw_cfg, ports 0x510 to 0x51b ─────────► read by SeaBIOS, edk2, qboot, Linux
//!  ACPI tables, ──► files ──────┘
//!  loader script                       describe ─► DSDT
//! ```
//!
//! [`image`] and [`catalogue`] find and check images; the machine decides where they go, from its plan. [`fw_cfg`] serves
//! bytes without knowing what they say; [`e820`], [`boot_order`], [`device_tree`] and [`smbios`] turn descriptions into
//! such bytes.
//!
//! Standards: QEMU `docs/specs/fw_cfg.rst` and `docs/system/i386/microvm.rst` as of QEMU 10.0; ACPI 6.5, chapter 15
//! (memory map); Devicetree Specification 0.4. How images are built from source is data in `firmware/manifest.toml`,
//! carried out by `cargo xtask firmware`.
//!
//! Left out: flash devices (microvm has none: an image is plain memory, restored on every reset), so that variables which
//! firmware keeps in its image last until power-off.
//!
//! This crate knows no KVM, and no device but the one it holds.
#![forbid(unsafe_code)]

pub mod boot_order;
pub mod catalogue;
pub mod describe;
pub mod device_tree;
pub mod e820;
pub mod fw_cfg;
pub mod image;
pub mod option_rom;
pub mod smbios;

pub use catalogue::{Catalogue, CatalogueError, Firmware};
pub use image::{FirmwareImage, ImageError};
pub use option_rom::OptionRomError;
