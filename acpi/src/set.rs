//! The set of tables: their layout, their links, and the two forms in which a guest gets them.

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::loader::{BlobId, Loader, PointerOverflow, Spot, Zone};
use crate::table::xsdt::Xsdt;
use crate::table::{self, CHECKSUM_OFFSET, Definition, OemIds, PointerWidth, Table, TableId, rsdp};

const RSDP_FILE: &str = "etc/acpi/rsdp";
const TABLES_FILE: &str = "etc/acpi/tables";
const SCRIPT_FILE: &str = "etc/table-loader";

/// The RSDP is searched for at multiples of 16. ACPI 6.5, 5.2.5.1.
const RSDP_ALIGN: u32 = 16;
/// FACS asks for 64, no table for more. ACPI 6.5, 5.2.10.
const TABLES_ALIGN: u32 = 64;

/// A file of the firmware configuration device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: &'static str,
    /// Its contents.
    pub bytes: Vec<u8>,
}

/// Tables at the places where a guest finds them, linked and summed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// All tables but the RSDP, back to back.
    pub tables: Vec<u8>,
    /// The root pointer.
    pub rsdp: Vec<u8>,
}

/// Tables that refer to each other.
///
/// A table must be here before another can point at it, so no pointer dangles. XSDT and RSDP are made here.
#[derive(Clone, Debug)]
pub struct TableSet {
    ids: OemIds,
    tables: Vec<Table>,
    listed: Vec<TableId>,
}

impl TableSet {
    /// A set without tables, all of which will name `ids` as their maker.
    pub fn new(ids: OemIds) -> Self {
        Self { ids, tables: Vec::new(), listed: Vec::new() }
    }

    /// Adds a table that only another table leads to, such as the DSDT.
    pub fn place(&mut self, table: &dyn Definition) -> TableId {
        let id = TableId(self.tables.len());
        self.tables.push(table.encode(&self.ids));
        id
    }

    /// Adds a table that the XSDT lists.
    pub fn list(&mut self, table: &dyn Definition) -> TableId {
        let id = self.place(table);
        self.listed.push(id);
        id
    }

    /// The files from which firmware places and links the tables: RSDP, tables, and the script.
    pub fn files(&self) -> [File; 3] {
        let Layout { loader, rsdp, tables } = self.lay_out();
        [
            File { name: RSDP_FILE, bytes: loader.blob(rsdp).to_vec() },
            File { name: TABLES_FILE, bytes: loader.blob(tables).to_vec() },
            File { name: SCRIPT_FILE, bytes: loader.script() },
        ]
    }

    /// The tables as firmware leaves them behind that places the tables at `tables_at` and the RSDP at `rsdp_at`.
    ///
    /// # Errors
    /// The tables would not lie below 4 GiB, where a pointer of 4 bytes ends.
    pub fn resolve(&self, tables_at: u64, rsdp_at: u64) -> Result<Resolved, PointerOverflow> {
        let Layout { loader, rsdp, tables } = self.lay_out();
        let linked = loader.run(|blob| if blob == tables { tables_at } else { rsdp_at })?;
        Ok(Resolved { tables: linked.blob(tables).to_vec(), rsdp: linked.blob(rsdp).to_vec() })
    }

    /// Lays the tables out back to back, the XSDT last, and declares every link.
    fn lay_out(&self) -> Layout {
        let mut loader = Loader::new();
        let rsdp = loader.allocate(RSDP_FILE, RSDP_ALIGN, Zone::FSegment);
        let tables = loader.allocate(TABLES_FILE, TABLES_ALIGN, Zone::High);
        let mut places = Vec::new();
        for table in &self.tables {
            places.push(link_table(&mut loader, tables, table, &places));
        }
        let xsdt = Xsdt { entries: &self.listed }.encode(&self.ids);
        let xsdt = link_table(&mut loader, tables, &xsdt, &places);
        link_rsdp(&mut loader, rsdp, &self.ids, xsdt);
        Layout { loader, rsdp, tables }
    }
}

/// A loader that holds everything.
struct Layout {
    loader: Loader,
    rsdp: BlobId,
    tables: BlobId,
}

/// Adds a table to the blob and declares its pointers, then its checksum. `places` is where earlier tables went.
fn link_table(loader: &mut Loader, blob: BlobId, table: &Table, places: &[Spot]) -> Spot {
    let start = loader.append(blob, table.bytes());
    for pointer in table.pointers() {
        loader.point(within(start, pointer.offset), pointer.width, places[pointer.target.0]);
    }
    checksum(loader, start, (CHECKSUM_OFFSET, 0..table.bytes().len()));
    start
}

/// Adds the RSDP. Its first checksum may come before the pointer, which that one does not cover.
fn link_rsdp(loader: &mut Loader, blob: BlobId, ids: &OemIds, xsdt: Spot) {
    let start = loader.append(blob, &rsdp::encode(ids));
    checksum(loader, start, rsdp::CHECKSUM);
    loader.point(within(start, rsdp::XSDT_OFFSET), PointerWidth::Eight, xsdt);
    checksum(loader, start, rsdp::EXTENDED_CHECKSUM);
}

/// Declares a checksum field and what it covers, both relative to `start`.
fn checksum(loader: &mut Loader, start: Spot, (field, covered): (usize, Range<usize>)) {
    let covered = start.offset + covered.start..start.offset + covered.end;
    loader.checksum(within(start, field), covered);
}

fn within(start: Spot, offset: usize) -> Spot {
    Spot { offset: start.offset + offset, ..start }
}

impl Resolved {
    /// Each table in turn with its signature: what a dump writes to files.
    pub fn each(&self) -> Vec<(&str, &[u8])> {
        let mut rest = self.tables.as_slice();
        let mut tables = Vec::new();
        while let Some((signature, length)) = table::identify(rest)
            && let Some((table, behind)) = rest.split_at_checked(length)
        {
            tables.push((signature, table));
            rest = behind;
        }
        tables
    }
}
