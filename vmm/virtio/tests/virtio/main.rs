//! The crate as a guest sees it: a scripted driver (`rig`), a bus, guest memory, a fake interrupt line.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod any_device;
mod consoles;
mod depth;
mod disk;
mod drivers;
mod entropy;
mod hints;
mod host_side;
mod hostile;
mod input;
mod memory;
mod network;
mod notifications;
mod outside;
mod pci;
mod persistent;
mod properties;
mod registers;
mod rig;
mod scsi;
mod sockets;
mod vhost_user;
mod worker;
