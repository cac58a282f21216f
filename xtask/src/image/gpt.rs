//! The GUID partition table. UEFI 2.10, 5.
//!
//! ```text
//! LBA 0        protective MBR; its first 440 bytes are the boot code's
//! LBA 1        header
//! LBA 2..34    128 entries of 128 bytes
//! ...          partitions
//! last 33      copy of the entries, then of the header
//! ```

/// Bytes of a logical block.
pub(super) const SECTOR: u64 = 512;
/// Where the boot code ends that shares LBA 0 with the protective MBR. UEFI 2.10, 5.2.3.
pub(super) const BOOT_CODE: usize = 440;

const ENTRIES: u32 = 128;
const ENTRY_BYTES: u32 = 128;
const HEADER_BYTES: u32 = 92;
/// Blocks of one copy of the entries.
const ENTRY_SECTORS: u64 = (ENTRIES * ENTRY_BYTES) as u64 / SECTOR;
/// The first block that a partition may use.
const FIRST_USABLE: u64 = 2 + ENTRY_SECTORS;

/// A GUID, in the parts of its text: `11223344-5566-7788-99aa-bbccddeeff00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Guid(pub(super) u32, pub(super) u16, pub(super) u16, pub(super) [u8; 8]);

impl Guid {
    /// As it lies on the disk: the first three parts are little-endian, the rest is in the order of the text.
    /// UEFI 2.10, appendix A.
    fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.0.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.1.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.2.to_le_bytes());
        bytes[8..].copy_from_slice(&self.3);
        bytes
    }
}

/// A partition: its number is its place in the table, from 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Partition {
    /// Number, 1 to 128.
    pub(super) number: usize,
    /// What it is for.
    pub(super) kind: Guid,
    /// Its own identity.
    pub(super) identity: Guid,
    /// Its name, ASCII, up to 36 characters.
    pub(super) name: &'static str,
    /// First block.
    pub(super) first: u64,
    /// Blocks.
    pub(super) sectors: u64,
}

impl Partition {
    /// Offset of its first byte in the disk.
    pub(super) fn offset(&self) -> u64 {
        self.first * SECTOR
    }

    /// Its size in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.sectors * SECTOR
    }

    /// Its entry. UEFI 2.10, table 5-6.
    fn entry(&self) -> Vec<u8> {
        let mut entry = Vec::with_capacity(ENTRY_BYTES as usize);
        entry.extend(self.kind.to_bytes());
        entry.extend(self.identity.to_bytes());
        entry.extend(self.first.to_le_bytes());
        entry.extend((self.first + self.sectors - 1).to_le_bytes());
        entry.extend(0u64.to_le_bytes()); // attributes
        entry.extend(self.name.encode_utf16().flat_map(u16::to_le_bytes));
        entry.resize(ENTRY_BYTES as usize, 0);
        entry
    }
}

/// What a disk is divided into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    /// Blocks of the disk.
    pub(super) sectors: u64,
    /// The disk's own identity.
    pub(super) identity: Guid,
    /// Its partitions, in any order.
    pub(super) partitions: &'a [Partition],
}

impl Table<'_> {
    /// The blocks from LBA 0 on, with `boot_code` in the first; no more than [`BOOT_CODE`] bytes of it are taken.
    pub(super) fn front(&self, boot_code: &[u8]) -> Vec<u8> {
        let mut front = self.protective_mbr(boot_code);
        front.extend(self.header(1, self.sectors - 1, 2));
        front.extend(self.entries());
        front
    }

    /// The blocks at the end of the disk, and the first of them.
    pub(super) fn back(&self) -> (u64, Vec<u8>) {
        let first = self.last_usable() + 1;
        let mut back = self.entries();
        back.extend(self.header(self.sectors - 1, 1, first));
        (first, back)
    }

    fn last_usable(&self) -> u64 {
        self.sectors - 2 - ENTRY_SECTORS
    }

    /// One partition over all of the disk, so that tools that know no GPT see no free space. UEFI 2.10, 5.2.3.
    fn protective_mbr(&self, boot_code: &[u8]) -> Vec<u8> {
        const RECORDS: usize = 446;
        let mut mbr: Vec<u8> = boot_code.iter().copied().take(BOOT_CODE).collect();
        mbr.resize(RECORDS, 0);
        mbr.extend([0x00, 0x00, 0x02, 0x00]); // not active, starts at CHS 0/0/2
        mbr.extend([0xee, 0xff, 0xff, 0xff]); // GPT protective, ends beyond what CHS can say
        mbr.extend(1u32.to_le_bytes());
        mbr.extend(u32::try_from(self.sectors - 1).unwrap_or(u32::MAX).to_le_bytes());
        mbr.resize(510, 0);
        mbr.extend([0x55, 0xaa]);
        mbr
    }

    /// The header that lies at `here`, whose other copy is at `other` and whose entries start at `entries`.
    /// UEFI 2.10, table 5-5.
    fn header(&self, here: u64, other: u64, entries: u64) -> Vec<u8> {
        let mut header = Vec::with_capacity(SECTOR as usize);
        header.extend(b"EFI PART");
        header.extend(0x0001_0000u32.to_le_bytes()); // revision 1.0
        header.extend(HEADER_BYTES.to_le_bytes());
        header.extend([0; 8]); // its own checksum, below; reserved
        [here, other, FIRST_USABLE, self.last_usable()]
            .iter()
            .for_each(|lba| header.extend(lba.to_le_bytes()));
        header.extend(self.identity.to_bytes());
        header.extend(entries.to_le_bytes());
        header.extend(ENTRIES.to_le_bytes());
        header.extend(ENTRY_BYTES.to_le_bytes());
        header.extend(crc32(&self.entries()).to_le_bytes());
        let checksum = crc32(&header);
        header[16..20].copy_from_slice(&checksum.to_le_bytes());
        header.resize(SECTOR as usize, 0);
        header
    }

    fn entries(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        for number in 1..=ENTRIES as usize {
            let partition = self.partitions.iter().find(|partition| partition.number == number);
            entries.extend(partition.map_or_else(|| vec![0; ENTRY_BYTES as usize], Partition::entry));
        }
        entries
    }
}

/// CRC-32 with the reversed polynomial 0xEDB88320, as in Ethernet. UEFI 2.10, 5.3.2.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Guid = Guid(0xc12a_7328, 0xf81f, 0x11d2, [0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b]);

    fn disk(partitions: &[Partition]) -> Table<'_> {
        Table { sectors: 4096, identity: KIND, partitions }
    }

    fn partition(number: usize) -> Partition {
        Partition { number, kind: KIND, identity: KIND, name: "esp", first: 2048, sectors: 1024 }
    }

    fn u32_at(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    fn u64_at(bytes: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
    }

    #[test]
    fn crc32_check_value() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn guid_first_parts_are_little_endian() {
        assert_eq!(KIND.to_bytes()[..10], [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b]);
    }

    #[test]
    fn front_holds_boot_code_up_to_the_disk_signature() {
        let front = disk(&[]).front(&[0xcc; 512]);
        assert_eq!(front[..440], [0xcc; 440]);
        assert_eq!(front[440..446], [0; 6]);
        assert_eq!(front[510..512], [0x55, 0xaa]);
    }

    #[test]
    fn protective_record_covers_the_disk() {
        let front = disk(&[]).front(&[]);
        assert_eq!(front[450], 0xee);
        assert_eq!(u32_at(&front, 454), 1);
        assert_eq!(u32_at(&front, 458), 4095);
    }

    #[test]
    fn header_checksum_covers_itself_as_zero() {
        let front = disk(&[partition(1)]).front(&[]);
        let mut header = front[512..512 + 92].to_vec();
        let found = u32_at(&header, 16);
        header[16..20].fill(0);
        assert_eq!(found, crc32(&header));
        assert_eq!(u32_at(&header, 88), crc32(&front[1024..1024 + 128 * 128]));
    }

    #[test]
    fn headers_point_at_each_other() {
        let parts = [partition(1)];
        let (front, (first, back)) = (disk(&parts).front(&[]), disk(&parts).back());
        let header = &back[back.len() - 512..];
        assert_eq!((u64_at(&front, 512 + 24), u64_at(&front, 512 + 32)), (1, 4095));
        assert_eq!((u64_at(header, 24), u64_at(header, 32)), (4095, 1));
        assert_eq!(u64_at(header, 72), first);
        assert_eq!(first * 512 + back.len() as u64, 4096 * 512);
    }

    #[test]
    fn entry_lies_at_its_number_with_an_inclusive_end() {
        let front = disk(&[partition(15)]).front(&[]);
        let entry = &front[1024 + 14 * 128..][..128];
        assert_eq!((u64_at(entry, 32), u64_at(entry, 40)), (2048, 3071));
        assert_eq!(entry[56..62], *b"e\0s\0p\0");
        assert_eq!(front[1024..1024 + 128], [0; 128]);
    }
}
