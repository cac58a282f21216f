//! The script by which firmware places the tables and links them: QEMU's `etc/table-loader`.
//!
//! A [`Loader`] owns the blobs. Each pointer and each checksum is declared once, in the order in which they must be computed;
//! [`script`](Loader::script) writes the declarations down for firmware, [`run`](Loader::run) follows them here.

mod wire;

use std::ops::Range;

use crate::table::PointerWidth;

/// Where firmware places a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// Anywhere below 4 GiB.
    High = 1,
    /// 0xF0000 to 0xFFFFF, where the RSDP is searched for.
    FSegment = 2,
}

/// A blob of this loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlobId(usize);

/// A byte of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) blob: BlobId,
    pub(crate) offset: usize,
}

/// A table's address that its pointer cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("table address {address:#x} does not fit a pointer of 4 bytes")]
pub struct PointerOverflow {
    /// The address.
    pub address: u64,
}

#[derive(Debug)]
struct Blob {
    name: &'static str,
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum Command {
    /// Copy the blob to guest memory.
    Allocate { blob: BlobId, align: u32, zone: Zone },
    /// Add the address of blob `source` to the integer at `field`.
    AddPointer { field: Spot, width: PointerWidth, source: BlobId },
    /// Subtract the sum of `range` from the byte at `field`.
    AddChecksum { field: Spot, range: Range<usize> },
}

/// Blobs, and what firmware does with them.
#[derive(Debug, Default)]
pub(crate) struct Loader {
    blobs: Vec<Blob>,
    commands: Vec<Command>,
}

impl Loader {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds an empty blob that firmware places at a multiple of `align`. Its fw_cfg file `name` has at most 55 bytes.
    pub(crate) fn allocate(&mut self, name: &'static str, align: u32, zone: Zone) -> BlobId {
        let blob = BlobId(self.blobs.len());
        self.blobs.push(Blob { name, bytes: Vec::new() });
        self.commands.push(Command::Allocate { blob, align, zone });
        blob
    }

    /// Adds `bytes` to a blob and says where they begin.
    pub(crate) fn append(&mut self, blob: BlobId, bytes: &[u8]) -> Spot {
        let blob_bytes = &mut self.blobs[blob.0].bytes;
        let offset = blob_bytes.len();
        blob_bytes.extend_from_slice(bytes);
        Spot { blob, offset }
    }

    /// Declares that `field` holds the address of `target`. The offset within the blob is ours to fill in; the address of
    /// the blob is firmware's to add.
    pub(crate) fn point(&mut self, field: Spot, width: PointerWidth, target: Spot) {
        let len = width as usize;
        let offset = (target.offset as u64).to_le_bytes();
        self.field(field, len).copy_from_slice(&offset[..len]);
        self.commands.push(Command::AddPointer { field, width, source: target.blob });
    }

    /// Declares that the byte at `field` makes the sum of `range`, in the same blob, zero. Comes after all pointers in it.
    pub(crate) fn checksum(&mut self, field: Spot, range: Range<usize>) {
        self.commands.push(Command::AddChecksum { field, range });
    }

    /// The commands as firmware reads them.
    pub(crate) fn script(&self) -> Vec<u8> {
        self.commands.iter().flat_map(|command| self.encode(command)).collect()
    }

    /// A blob before firmware touches it.
    pub(crate) fn blob(&self, blob: BlobId) -> &[u8] {
        &self.blobs[blob.0].bytes
    }

    /// Follows the script as firmware would that places each blob where `address_of` says.
    ///
    /// # Errors
    /// An address does not fit a pointer.
    pub(crate) fn run(mut self, address_of: impl Fn(BlobId) -> u64) -> Result<Linked, PointerOverflow> {
        for command in std::mem::take(&mut self.commands) {
            match command {
                Command::Allocate { .. } => {}
                Command::AddPointer { field, width, source } => {
                    add_address(self.field(field, width as usize), address_of(source))?;
                }
                Command::AddChecksum { field, range } => {
                    let sum = sum(&self.blob(field.blob)[range]);
                    let byte = &mut self.field(field, 1)[0];
                    *byte = byte.wrapping_sub(sum);
                }
            }
        }
        Ok(Linked { blobs: self.blobs })
    }

    fn field(&mut self, at: Spot, len: usize) -> &mut [u8] {
        &mut self.blobs[at.blob.0].bytes[at.offset..at.offset + len]
    }
}

/// Blobs after the script ran.
#[derive(Debug)]
pub(crate) struct Linked {
    blobs: Vec<Blob>,
}

impl Linked {
    /// A blob as the guest sees it.
    pub(crate) fn blob(&self, blob: BlobId) -> &[u8] {
        &self.blobs[blob.0].bytes
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, &byte| sum.wrapping_add(byte))
}

/// Adds `base` to the little-endian integer that `field` is.
fn add_address(field: &mut [u8], base: u64) -> Result<(), PointerOverflow> {
    let len = field.len();
    let mut wide = [0; 8];
    wide[..len].copy_from_slice(field);
    let address = u64::from_le_bytes(wide).saturating_add(base);
    wide = address.to_le_bytes();
    if wide[len..].iter().any(|&byte| byte != 0) {
        return Err(PointerOverflow { address });
    }
    field.copy_from_slice(&wide[..len]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two blobs: one of eight bytes, and one whose fifth byte is pointed at.
    fn pointing(width: PointerWidth) -> (Loader, BlobId, BlobId) {
        let mut loader = Loader::new();
        let from = loader.allocate("from", 16, Zone::FSegment);
        let to = loader.allocate("to", 64, Zone::High);
        let field = loader.append(from, &[0; 8]);
        loader.append(to, &[0; 4]);
        let target = loader.append(to, &[0xff]);
        loader.point(field, width, target);
        (loader, from, to)
    }

    #[test]
    fn pointer_before_linking_is_the_offset_in_its_blob() {
        let (loader, from, _) = pointing(PointerWidth::Eight);

        assert_eq!(loader.blob(from), [4, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn pointer_after_linking_is_the_address() {
        let (loader, from, to) = pointing(PointerWidth::Eight);

        let linked = loader.run(|blob| if blob == to { 0x1_2345_6000 } else { 0 }).unwrap();

        assert_eq!(linked.blob(from), 0x1_2345_6004u64.to_le_bytes());
    }

    #[test]
    fn pointer_of_four_bytes_ends_at_four_gib() {
        let run =
            |base| pointing(PointerWidth::Four).0.run(|_| base).map(|linked| linked.blobs[0].bytes.clone());

        assert_eq!(run(0xffff_fffb).unwrap(), [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(run(0xffff_fffc).unwrap_err(), PointerOverflow { address: 0x1_0000_0000 });
        assert!(run(u64::MAX).is_err());
    }

    #[test]
    fn checksum_makes_its_range_sum_to_zero() {
        let mut loader = Loader::new();
        let blob = loader.allocate("blob", 16, Zone::High);
        let bytes = loader.append(blob, &[1, 2, 0, 0xff, 9]);
        loader.checksum(Spot { offset: 2, ..bytes }, 0..4);

        let linked = loader.run(|_| 0).unwrap();

        assert_eq!(linked.blob(blob), [1, 2, 0xfe, 0xff, 9]);
    }

    #[test]
    fn script_allocate_names_alignment_and_zone() {
        let mut loader = Loader::new();
        loader.allocate("etc/acpi/rsdp", 16, Zone::FSegment);

        let script = loader.script();

        assert_eq!(script.len(), 128);
        assert_eq!(script[..18], *b"\x01\0\0\0etc/acpi/rsdp\0");
        assert_eq!(script[60..66], [16, 0, 0, 0, 2, 0]);
    }

    #[test]
    fn script_pointer_names_both_files_offset_and_size() {
        let (loader, ..) = pointing(PointerWidth::Eight);

        let entry = &loader.script()[256..];

        assert_eq!(entry[..9], *b"\x02\0\0\0from\0");
        assert_eq!(entry[60..63], *b"to\0");
        assert_eq!(entry[116..], [0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn script_checksum_names_offset_start_and_length() {
        let mut loader = Loader::new();
        let blob = loader.allocate("blob", 16, Zone::High);
        let start = loader.append(blob, &[0; 40]);
        loader.checksum(Spot { offset: 13, ..start }, 4..40);

        let entry = &loader.script()[128..];

        assert_eq!(entry[..9], *b"\x03\0\0\0blob\0");
        assert_eq!(entry[60..74], [13, 0, 0, 0, 4, 0, 0, 0, 36, 0, 0, 0, 0, 0]);
    }
}
