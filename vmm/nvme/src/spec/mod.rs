//! Names and numbers of NVM Express 1.4, nothing else.

pub(crate) mod command;
pub(crate) mod feature;
pub(crate) mod identify;
pub(crate) mod log;
pub(crate) mod registers;
pub(crate) mod status;

/// Bytes of a memory page, as CAP.MPSMIN and CAP.MPSMAX say: there is no other size.
pub(crate) const PAGE: u64 = 4096;

/// The only namespace.
pub(crate) const NAMESPACE: u32 = 1;

/// The namespace identifier that means all of them. NVMe 1.4, 6.1.
pub(crate) const BROADCAST: u32 = 0xffff_ffff;
