//! The header all tables share, and the names in it. ACPI 6.5, 5.2.6.

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Who made a table, as its header says it.
///
/// The default is what QEMU writes: guests and their quirk lists know these names, and tables can be compared byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OemIds {
    oem_id: [u8; 6],
    table_id: [u8; 8],
}

/// An OEM name that does not fit its field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OemIdError {
    /// More characters than the field has.
    #[error("ACPI name `{name}` is longer than {max} characters")]
    TooLong {
        /// The name as given.
        name: String,
        /// Characters that fit.
        max: usize,
    },
    /// A character that is not printable ASCII.
    #[error("ACPI name `{name}` has characters that are not printable ASCII")]
    NotAscii {
        /// The name as given.
        name: String,
    },
}

impl OemIds {
    /// OEM id of up to 6 and OEM table id of up to 8 printable ASCII characters, padded with blanks.
    ///
    /// # Errors
    /// A name is too long or not printable ASCII.
    pub fn new(oem_id: &str, table_id: &str) -> Result<Self, OemIdError> {
        Ok(Self { oem_id: padded(oem_id)?, table_id: padded(table_id)? })
    }

    /// The OEM id, which the RSDP carries too.
    pub(crate) fn oem_id(&self) -> [u8; 6] {
        self.oem_id
    }
}

impl Default for OemIds {
    fn default() -> Self {
        Self { oem_id: *b"BOCHS ", table_id: *b"BXPC    " }
    }
}

fn padded<const MAX: usize>(name: &str) -> Result<[u8; MAX], OemIdError> {
    if !name.bytes().all(|c| c == b' ' || c.is_ascii_graphic()) {
        return Err(OemIdError::NotAscii { name: name.to_owned() });
    }
    let mut field = [b' '; MAX];
    let start = field.get_mut(..name.len()).ok_or(OemIdError::TooLong { name: name.to_owned(), max: MAX })?;
    start.copy_from_slice(name.as_bytes());
    Ok(field)
}

/// Table header. ACPI 6.5, table 5.4.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct TableHeader {
    pub(super) signature: [u8; 4],
    pub(super) length: U32,
    revision: u8,
    pub(super) checksum: u8,
    oem_id: [u8; 6],
    oem_table_id: [u8; 8],
    oem_revision: U32,
    creator_id: [u8; 4],
    creator_revision: U32,
}

const _: () = assert!(size_of::<TableHeader>() == 36);

impl TableHeader {
    /// A header whose length counts no body and whose checksum is still 0.
    pub(super) fn new(signature: [u8; 4], revision: u8, ids: &OemIds) -> Self {
        Self {
            signature,
            length: U32::new(size_of::<Self>() as u32),
            revision,
            checksum: 0,
            oem_id: ids.oem_id,
            oem_table_id: ids.table_id,
            oem_revision: U32::new(1),
            creator_id: *b"BXPC",
            creator_revision: U32::new(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oem_ids_short_names_are_padded_with_blanks() {
        let ids = OemIds::new("ABC", "").unwrap();

        let header = TableHeader::new(*b"TEST", 3, &ids);

        assert_eq!(header.as_bytes()[8..24], *b"\x03\0ABC           ");
    }

    #[test]
    fn oem_ids_default_is_what_qemu_writes() {
        assert_eq!(OemIds::new("BOCHS", "BXPC"), Ok(OemIds::default()));
    }

    #[test]
    fn oem_ids_long_name_is_an_error_that_names_the_limit() {
        let error = OemIds::new("SEVENCH", "BXPC").unwrap_err();
        assert_eq!(error.to_string(), "ACPI name `SEVENCH` is longer than 6 characters");
        let error = OemIds::new("BOCHS", "NINECHARS").unwrap_err();
        assert_eq!(error.to_string(), "ACPI name `NINECHARS` is longer than 8 characters");
    }

    #[test]
    fn oem_ids_control_character_is_an_error() {
        assert!(matches!(OemIds::new("A\nB", ""), Err(OemIdError::NotAscii { .. })));
    }
}
