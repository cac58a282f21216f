//! Offsets and bits of configuration space: names and numbers from the standards, nothing else.

/// Bytes of a function's configuration space with a PCI Express capability.
pub(crate) const EXTENDED_SIZE: usize = 4096;
/// Bytes of it without.
pub(crate) const SIZE: usize = 256;

// Both headers. PCIe 5.0, 7.5.1.1.
pub(crate) const VENDOR_ID: usize = 0x00;
pub(crate) const DEVICE_ID: usize = 0x02;
pub(crate) const COMMAND: usize = 0x04;
pub(crate) const STATUS: usize = 0x06;
pub(crate) const REVISION_ID: usize = 0x08;
pub(crate) const CLASS_CODE: usize = 0x09;
pub(crate) const CACHE_LINE_SIZE: usize = 0x0c;
pub(crate) const HEADER_TYPE: usize = 0x0e;
pub(crate) const BAR0: usize = 0x10;
pub(crate) const CAPABILITIES: usize = 0x34;
pub(crate) const INTERRUPT_LINE: usize = 0x3c;
pub(crate) const INTERRUPT_PIN: usize = 0x3d;
/// Where capabilities begin.
pub(crate) const HEADER_END: usize = 0x40;

pub(crate) const COMMAND_MEMORY: u16 = 1 << 1;
pub(crate) const COMMAND_BUS_MASTER: u16 = 1 << 2;
pub(crate) const COMMAND_PARITY: u16 = 1 << 6;
pub(crate) const COMMAND_SERR: u16 = 1 << 8;
pub(crate) const COMMAND_INTX_DISABLE: u16 = 1 << 10;
pub(crate) const STATUS_INTERRUPT: u8 = 1 << 3;
pub(crate) const STATUS_CAPABILITIES: u16 = 1 << 4;
pub(crate) const HEADER_BRIDGE: u8 = 1;
pub(crate) const HEADER_MULTIFUNCTION: u8 = 1 << 7;

// Type 0. PCIe 5.0, 7.5.1.2.
pub(crate) const SUBSYSTEM_VENDOR_ID: usize = 0x2c;
pub(crate) const SUBSYSTEM_ID: usize = 0x2e;

// Type 1. PCIe 5.0, 7.5.1.3.
pub(crate) const PRIMARY_BUS: usize = 0x18;
pub(crate) const SECONDARY_BUS: usize = 0x19;
pub(crate) const SUBORDINATE_BUS: usize = 0x1a;
pub(crate) const MEMORY_BASE: usize = 0x20;
pub(crate) const MEMORY_LIMIT: usize = 0x22;
pub(crate) const PREFETCHABLE_BASE: usize = 0x24;
pub(crate) const PREFETCHABLE_LIMIT: usize = 0x26;
pub(crate) const PREFETCHABLE_BASE_UPPER: usize = 0x28;
pub(crate) const PREFETCHABLE_LIMIT_UPPER: usize = 0x2c;
pub(crate) const BRIDGE_CONTROL: usize = 0x3e;

pub(crate) const BRIDGE_PARITY: u16 = 1 << 0;
pub(crate) const BRIDGE_SERR: u16 = 1 << 1;
pub(crate) const BRIDGE_BUS_RESET: u16 = 1 << 6;
/// The low bits of the prefetchable base and limit: 64 bits wide.
pub(crate) const PREFETCHABLE_64: u16 = 1;

// BARs. PCIe 5.0, 7.5.1.2.1.
pub(crate) const BAR_64: u32 = 0b10 << 1;
pub(crate) const BAR_PREFETCHABLE: u32 = 1 << 3;

// Capability ids. PCI Code and ID Assignment 1.11, 2.
pub(crate) const CAP_POWER_MANAGEMENT: u8 = 0x01;
pub(crate) const CAP_MSI: u8 = 0x05;
pub(crate) const CAP_EXPRESS: u8 = 0x10;
pub(crate) const CAP_MSIX: u8 = 0x11;

// Power management. PCIe 5.0, 7.5.2.
pub(crate) const PM_VERSION: u16 = 3;
pub(crate) const PM_CONTROL: usize = 4;
pub(crate) const PM_STATE: u8 = 0b11;
pub(crate) const PM_D0: u8 = 0;
pub(crate) const PM_D3_HOT: u8 = 3;
pub(crate) const PM_NO_SOFT_RESET: u8 = 1 << 3;

// PCI Express. PCIe 5.0, 7.5.3; offsets from the capability.
pub(crate) const EXPRESS_LEN: usize = 0x3c;
pub(crate) const EXPRESS_FLAGS: usize = 0x02;
pub(crate) const DEVICE_CAPABILITIES: usize = 0x04;
pub(crate) const DEVICE_CONTROL: usize = 0x08;
pub(crate) const LINK_CAPABILITIES: usize = 0x0c;
pub(crate) const LINK_CONTROL: usize = 0x10;
pub(crate) const LINK_STATUS: usize = 0x12;
pub(crate) const SLOT_CAPABILITIES: usize = 0x14;
pub(crate) const SLOT_STATUS: usize = 0x1a;
pub(crate) const ROOT_CONTROL: usize = 0x1c;
pub(crate) const LINK_CAPABILITIES_2: usize = 0x2c;
pub(crate) const LINK_CONTROL_2: usize = 0x30;

pub(crate) const EXPRESS_VERSION: u16 = 2;
pub(crate) const EXPRESS_SLOT: u16 = 1 << 8;
pub(crate) const ROLE_BASED_ERRORS: u32 = 1 << 15;
pub(crate) const FUNCTION_LEVEL_RESET: u32 = 1 << 28;
/// Error reporting, relaxed ordering, payload size, no snoop, read request size.
pub(crate) const DEVICE_CONTROL_WRITABLE: u16 = 0x78ff;
/// Relaxed ordering, no snoop, read requests of 512 bytes.
pub(crate) const DEVICE_CONTROL_RESET: u16 = 0x2810;
/// Bit 15, in the register's upper byte; reads 0.
pub(crate) const INITIATE_RESET: u16 = 1 << 15;
/// 2.5 GT/s, one lane: the least there is, for nothing depends on it.
pub(crate) const LINK_2_5_GT_X1: u16 = 0x11;
/// Read completion boundary, common clock, extended synch.
pub(crate) const LINK_CONTROL_WRITABLE: u16 = 0xc8;
pub(crate) const SPEED_2_5_GT: u32 = 1 << 1;
pub(crate) const PRESENCE_DETECT: u16 = 1 << 6;
/// Errors as system errors, PME interrupts.
pub(crate) const ROOT_CONTROL_WRITABLE: u16 = 0xf;

// MSI with 64-bit address and a mask for each vector. PCIe 5.0, 7.7.1.
pub(crate) const MSI_CONTROL: usize = 0x02;
pub(crate) const MSI_ADDRESS: usize = 0x04;
pub(crate) const MSI_ADDRESS_UPPER: usize = 0x08;
pub(crate) const MSI_DATA: usize = 0x0c;
pub(crate) const MSI_MASK: usize = 0x10;
pub(crate) const MSI_PENDING: usize = 0x14;
pub(crate) const MSI_ENABLE: u16 = 1;
pub(crate) const MSI_64_BIT: u16 = 1 << 7;
pub(crate) const MSI_MASKABLE: u16 = 1 << 8;

// MSI-X. PCIe 5.0, 7.7.2.
pub(crate) const MSIX_CONTROL: usize = 0x02;
pub(crate) const MSIX_FUNCTION_MASK: u16 = 1 << 14;
pub(crate) const MSIX_ENABLE: u16 = 1 << 15;
