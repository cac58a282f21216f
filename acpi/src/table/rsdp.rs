//! Root System Description Pointer: what the operating system finds first. ACPI 6.5, 5.2.5.3.

use std::mem::offset_of;
use std::ops::Range;

use acpi_tables::rsdp::Rsdp;
use zerocopy::IntoBytes;

use super::OemIds;

/// Where the XSDT's address stands, 8 bytes.
pub(crate) const XSDT_OFFSET: usize = offset_of!(Rsdp, xsdt_addr);
/// The checksum of ACPI 1.0 and what it covers.
pub(crate) const CHECKSUM: (usize, Range<usize>) = (offset_of!(Rsdp, checksum), 0..20);
/// The checksum over everything.
pub(crate) const EXTENDED_CHECKSUM: (usize, Range<usize>) =
    (offset_of!(Rsdp, extended_checksum), 0..size_of::<Rsdp>());

/// The pointer before it is linked: no address, no checksums. The 32-bit RSDT address stays 0.
pub(crate) fn encode(ids: &OemIds) -> Vec<u8> {
    let mut rsdp = Rsdp::new(ids.oem_id(), 0);
    rsdp.checksum = 0;
    rsdp.extended_checksum = 0;
    rsdp.as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rsdp_unlinked_has_neither_address_nor_checksum() {
        let mut expected = *b"RSD PTR \0BOCHS \x02\0\0\0\0\x24\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        expected[20] = 36;
        assert_eq!(encode(&OemIds::default()), expected);
    }

    #[test]
    fn rsdp_fields_stand_where_the_standard_has_them() {
        assert_eq!(XSDT_OFFSET, 24);
        assert_eq!(CHECKSUM, (8, 0..20));
        assert_eq!(EXTENDED_CHECKSUM, (32, 0..36));
    }
}
