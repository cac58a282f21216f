//! Extended System Description Table: the list of all others. ACPI 6.5, 5.2.8.

use super::{Definition, OemIds, PointerWidth, Table, TableId};

/// ACPI 6.5, table 5.8.
const REVISION: u8 = 1;

/// Every table but the DSDT, which the FADT leads to.
pub(crate) struct Xsdt<'a> {
    pub(crate) entries: &'a [TableId],
}

impl Definition for Xsdt<'_> {
    fn encode(&self, ids: &OemIds) -> Table {
        let mut table = Table::new(*b"XSDT", REVISION, ids);
        for &entry in self.entries {
            table.point(table.bytes().len(), PointerWidth::Eight, entry);
            table.append(&[0; 8]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xsdt_has_an_eight_byte_pointer_for_each_entry() {
        let entries = [TableId(1), TableId(2)];

        let table = Xsdt { entries: &entries }.encode(&OemIds::default());

        let pointers: Vec<_> = table.pointers().iter().map(|p| (p.offset, p.width, p.target)).collect();
        assert_eq!(pointers, [(36, PointerWidth::Eight, entries[0]), (44, PointerWidth::Eight, entries[1])]);
        assert_eq!(table.bytes()[4..9], [52, 0, 0, 0, 1]);
    }
}
