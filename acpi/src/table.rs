//! Tables, one file each, and what they have in common. ACPI 6.5, section 5.2.

pub mod dbg2;
pub mod dsdt;
pub mod fadt;
mod header;
pub mod hmat;
pub mod madt;
pub mod mcfg;
pub mod pptt;
pub(crate) mod rsdp;
pub mod slit;
pub mod spcr;
pub mod srat;
pub mod waet;
pub(crate) mod xsdt;

use zerocopy::{FromBytes, IntoBytes};

pub use dbg2::Dbg2;
pub use dsdt::Dsdt;
pub use fadt::Fadt;
use header::TableHeader;
pub use header::{OemIdError, OemIds};
pub use hmat::Hmat;
pub use madt::Madt;
pub use mcfg::Mcfg;
pub use pptt::Pptt;
pub use slit::Slit;
pub use spcr::Spcr;
pub use srat::Srat;
pub use waet::Waet;

/// Offset of the checksum in every table but the RSDP. ACPI 6.5, 5.2.6.
pub(crate) const CHECKSUM_OFFSET: usize = std::mem::offset_of!(TableHeader, checksum);
/// Offset of the length in every table but the RSDP. ACPI 6.5, 5.2.6.
const LENGTH_OFFSET: usize = std::mem::offset_of!(TableHeader, length);

/// The signature and the length of the table that `bytes` begin with; `None` if there is no header.
pub(crate) fn identify(bytes: &[u8]) -> Option<(&str, usize)> {
    let (header, _) = TableHeader::ref_from_prefix(bytes).ok()?;
    let length = header.length.get() as usize;
    let signature = std::str::from_utf8(&header.signature).ok()?;
    (length >= size_of::<TableHeader>()).then_some((signature, length))
}

/// What a table says, before it is bytes.
pub trait Definition {
    /// The table's bytes, naming `ids` as its maker, with its pointers still open.
    fn encode(&self, ids: &OemIds) -> Table;
}

/// A table of a [`TableSet`](crate::TableSet): what another table's pointer can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableId(pub(crate) usize);

/// Size of a pointer's field in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PointerWidth {
    Four = 4,
    Eight = 8,
}

/// A field that shall hold the address of another table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pointer {
    pub(crate) offset: usize,
    pub(crate) width: PointerWidth,
    pub(crate) target: TableId,
}

/// A table that nobody has linked yet: its checksum is 0, its pointers are 0 and listed apart.
#[derive(Clone, Debug)]
pub struct Table {
    bytes: Vec<u8>,
    pointers: Vec<Pointer>,
}

impl Table {
    /// A table that is only its header. ACPI 6.5, 5.2.6.
    pub(crate) fn new(signature: [u8; 4], revision: u8, ids: &OemIds) -> Self {
        let mut table = Self { bytes: Vec::new(), pointers: Vec::new() };
        table.append(TableHeader::new(signature, revision, ids).as_bytes());
        table
    }

    /// Adds `bytes` at the end and counts them in the header's length.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let length = (self.bytes.len() as u32).to_le_bytes();
        self.bytes[LENGTH_OFFSET..LENGTH_OFFSET + length.len()].copy_from_slice(&length);
    }

    /// Declares that the field of `width` at `offset` holds the address of `target`.
    pub(crate) fn point(&mut self, offset: usize, width: PointerWidth, target: TableId) {
        self.pointers.push(Pointer { offset, width, target });
    }

    /// The bytes, with a checksum of 0 and pointers of 0.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn pointers(&self) -> &[Pointer] {
        &self.pointers
    }
}
