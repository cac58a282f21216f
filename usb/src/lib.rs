//! USB: the xHCI controller ([`xhci`]), the devices, and what one may assume of the other. This crate knows no KVM.
//!
//! ```text
//!  controller's worker thread                         │ other threads (disk I/O, terminal, host USB)
//!                                                     │
//!  transfer ring ──► dyn UsbDevice ──► Outcome        │
//!                     control(Setup, Data)            │
//!                     transfer(EndpointAddress, Data) │
//!  endpoint asked again ◄───────────── Waker ◄────────│── there is something now
//! ```
//!
//! * A **device** ([`UsbDevice`]) sees requests and the bytes of transfers. It sees no ring, packet, address or interrupt.
//! * **Data** ([`Data`]) is guest memory, moved in place, in windows of bounded size however long a transfer is.
//! * What every device answers alike (chapter 9 of the standard) is [`Standard`], fed with [`Descriptors`] as plain bytes.
//!
//! | device | is |
//! |---|---|
//! | [`Storage`] | SCSI units by bulk-only transport; at high speed by UAS, too |
//! | [`Keyboard`], [`Mouse`], [`Tablet`] | what is typed and pointed on a [`Hid`] |
//! | [`Serial`] | a CDC-ACM port, whose other end is a stream of the host's |
//! | [`Hub`] | four ports for devices of high speed |
//! | [`host::HostDevice`] | a device of the host's, passed through |
//! | [`Capture`] | a wrapper around any of them, for Wireshark |
//!
//! Left out: streams, and with them UAS at SuperSpeed; isochronous devices.
//!
//! Standards: *Universal Serial Bus Specification 2.0* and *Universal Serial Bus 3.2 Specification*, cited as `USB 2.0, 9.4`
//! and `USB 3.2, 9.4`; the devices name those of their classes.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

mod capture;
mod data;
pub mod describe;
mod device;
mod hid;
pub mod host;
mod hub;
mod layout;
pub mod pci;
mod serial;
mod setup;
mod standard;
mod storage;
pub mod xhci;

pub use capture::Capture;
pub use data::{Data, Direction};
pub use device::{EndpointAddress, Outcome, Speed, UsbDevice, Waker};
pub use hid::{Hid, Keyboard, Leds, Mouse, Tablet};
pub use hub::{Hub, PlugError};
pub use serial::Serial;
pub use setup::{Kind, Recipient, Setup, request};
pub use standard::{Answer, Change, Descriptors, Standard, descriptor};
pub use storage::Storage;
