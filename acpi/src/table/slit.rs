//! System Locality Information Table: how far nodes are from each other. ACPI 6.5, 5.2.17.

use super::{Definition, OemIds, Table};

/// ACPI 6.5, 5.2.17.
const REVISION: u8 = 1;
/// The distance of a node from itself, by definition; others are relative to it.
const LOCAL: u8 = 10;

/// A square of distances.
#[derive(Clone, Debug)]
pub struct Slit {
    nodes: u32,
    distances: Vec<u8>,
}

impl Slit {
    /// The distances between `nodes` proximity domains, numbered from 0: `distance(from, to)` is 11 to 254, or 255 where one
    /// cannot be reached from the other. A node's distance from itself is not asked for.
    pub fn new(nodes: u32, distance: impl Fn(u32, u32) -> u8) -> Self {
        let pairs = (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to)));
        let distances = pairs.map(|(from, to)| if from == to { LOCAL } else { distance(from, to) }).collect();
        Self { nodes, distances }
    }
}

impl Definition for Slit {
    fn encode(&self, ids: &OemIds) -> Table {
        let mut table = Table::new(*b"SLIT", REVISION, ids);
        table.append(&u64::from(self.nodes).to_le_bytes());
        table.append(&self.distances);
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slit_rows_are_from_columns_are_to() {
        let slit = Slit::new(2, |from, to| 20 + (from * 10 + to) as u8);

        let table = slit.encode(&OemIds::default());

        assert_eq!(table.bytes()[36..], [2, 0, 0, 0, 0, 0, 0, 0, 10, 21, 30, 10]);
    }
}
