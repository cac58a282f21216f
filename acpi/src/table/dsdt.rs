//! Differentiated System Description Table: the devices that cannot be enumerated. ACPI 6.5, 5.2.11.1.

use acpi_tables::aml::{Package, ZERO};

use super::{Definition, OemIds, Table};
use crate::{Describe, Scope};

/// Integers are 64 bits wide from revision 2 on. ACPI 6.5, 5.2.11.1.
const REVISION: u8 = 2;

/// The name space: devices in `\_SB`, and soft-off as the only sleep state.
pub struct Dsdt<'a> {
    /// Devices in the order in which they appear. SeaBIOS probes disks in the reverse of it.
    pub devices: Vec<&'a dyn Describe>,
    /// What `_S5` says to write as SLP_TYP, 0 to 7. ACPI 6.5, 7.4.2.
    pub soft_off_type: u8,
}

impl Dsdt<'_> {
    fn system_bus(&self) -> Scope {
        let mut bus = Scope::new();
        for device in &self.devices {
            device.describe(&mut bus);
        }
        bus
    }

    /// `\_S5`. A hardware-reduced machine has one sleep type register, the three further elements are reserved.
    fn sleep_states(&self) -> Scope {
        let mut root = Scope::new();
        root.name(b"_S5_", &Package::new(vec![&self.soft_off_type, &ZERO, &ZERO, &ZERO]));
        root
    }
}

impl Definition for Dsdt<'_> {
    fn encode(&self, ids: &OemIds) -> Table {
        let mut terms = Scope::new();
        terms.scope(b"_SB_", &self.system_bus());
        terms.scope(b"\\\0", &self.sleep_states()); // the root: RootChar, NullName
        let mut table = Table::new(*b"DSDT", REVISION, ids);
        table.append(terms.bytes());
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Named(&'static [u8; 4]);

    impl Describe for Named {
        fn describe(&self, scope: &mut Scope) {
            scope.device(self.0, |_| ());
        }
    }

    #[test]
    fn dsdt_devices_keep_their_order_in_system_bus() {
        let dsdt = Dsdt { devices: vec![&Named(b"DEV1"), &Named(b"DEV0")], soft_off_type: 5 };

        let table = dsdt.encode(&OemIds::default());

        assert_eq!(table.bytes()[36..56], *b"\x10\x13_SB_\x5b\x82\x05DEV1\x5b\x82\x05DEV0");
    }

    #[test]
    fn dsdt_ends_with_soft_off_in_the_root() {
        let dsdt = Dsdt { devices: vec![], soft_off_type: 5 };

        let table = dsdt.encode(&OemIds::default());

        assert_eq!(table.bytes()[42..], *b"\x10\x10\\\0\x08_S5_\x12\x07\x04\x0a\x05\0\0\0");
    }
}
