//! Windows ACPI Emulated Devices Table: which workarounds for real hardware Windows may leave out. Microsoft's specification of
//! WAET.

use super::{Definition, OemIds, Table};

const REVISION: u8 = 1;

/// What is better here than on real hardware. There is no ACPI PM timer, so nothing is said of it.
#[derive(Clone, Copy, Debug)]
pub struct Waet {
    /// The clock's periodic interrupt comes again without a read of register C.
    pub rtc_needs_no_acknowledge: bool,
}

impl Definition for Waet {
    fn encode(&self, ids: &OemIds) -> Table {
        let mut table = Table::new(*b"WAET", REVISION, ids);
        table.append(&u32::from(self.rtc_needs_no_acknowledge).to_le_bytes());
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waet_flag_zero_is_the_clock() {
        let flags = |rtc_needs_no_acknowledge| {
            Waet { rtc_needs_no_acknowledge }.encode(&OemIds::default()).bytes()[36..].to_vec()
        };
        assert_eq!(flags(true), [1, 0, 0, 0]);
        assert_eq!(flags(false), [0, 0, 0, 0]);
    }
}
