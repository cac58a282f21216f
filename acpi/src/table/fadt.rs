//! Fixed ACPI Description Table, hardware-reduced: no SCI, no PM timer, no event blocks. ACPI 6.5, 5.2.9.

use std::mem::offset_of;

use acpi_tables::fadt::{FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use zerocopy::IntoBytes;

use super::{Definition, OemIds, PointerWidth, Table, TableHeader, TableId};

/// Major revision 5 and minor 0: ACPI 5.0, the first with hardware-reduced machines.
const REVISION: u8 = 5;
/// ACPI 5.0 ends before the hypervisor vendor identity, which ACPI 6.0 added.
const LEN: usize = offset_of!(FADTBuilder, hypervisor_vendor_identity);

const _: () = assert!(LEN == 268);

/// Where a hardware-reduced machine sleeps and resets. All registers are one byte of memory-mapped I/O.
#[derive(Clone, Copy, Debug)]
pub struct Fadt {
    /// The DSDT, which only this table points at.
    pub dsdt: TableId,
    /// Address of RESET_REG. ACPI 6.5, 4.8.3.6.
    pub reset_register: u64,
    /// What to write to it. ACPI 6.5, table 5.9, RESET_VALUE.
    pub reset_value: u8,
    /// Address of SLEEP_CONTROL_REG. ACPI 6.5, 4.8.3.7.
    pub sleep_control_register: u64,
    /// Address of SLEEP_STATUS_REG. ACPI 6.5, 4.8.3.7.
    pub sleep_status_register: u64,
    /// What of a PC is missing, so that nobody looks for it.
    pub absent: Absent,
}

/// Parts of a PC that IAPC_BOOT_ARCH declares absent. ACPI 6.5, table 5.11.
#[derive(Clone, Copy, Debug, Default)]
pub struct Absent {
    /// Bit 2: no VGA hardware answers.
    pub vga: bool,
    /// Bit 5: no CMOS real-time clock. Linux else waits for one, for seconds.
    pub cmos_rtc: bool,
}

impl Absent {
    fn boot_arch(self) -> u16 {
        u16::from(self.vga) << 2 | u16::from(self.cmos_rtc) << 5
    }
}

impl Fadt {
    /// The fields in the layout of ACPI 6.5, table 5.9; those not set here are 0. There is never an i8042.
    fn fields(&self) -> FADTBuilder {
        let mut fields = FADTBuilder::default().flag(Flags::HwReducedAcpi).flag(Flags::ResetRegSup);
        fields.iapc_boot_arch = self.absent.boot_arch().into();
        fields.reset_reg = byte_register(self.reset_register);
        fields.reset_value = self.reset_value;
        fields.sleep_control_reg = byte_register(self.sleep_control_register);
        fields.sleep_status_reg = byte_register(self.sleep_status_register);
        fields
    }
}

/// Generic address of a memory-mapped byte. ACPI 6.5, 5.2.3.2.
fn byte_register(address: u64) -> GAS {
    GAS::new(AddressSpace::SystemMemory, 8, 0, AccessSize::Undefined, address)
}

impl Definition for Fadt {
    fn encode(&self, ids: &OemIds) -> Table {
        let mut table = Table::new(*b"FACP", REVISION, ids);
        table.append(&self.fields().as_bytes()[size_of::<TableHeader>()..LEN]);
        // ACPI asks readers to prefer X_DSDT; SeaBIOS follows the old field only.
        table.point(offset_of!(FADTBuilder, dsdt), PointerWidth::Four, self.dsdt);
        table.point(offset_of!(FADTBuilder, x_dsdt), PointerWidth::Eight, self.dsdt);
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let fadt = Fadt {
            dsdt: TableId(0),
            reset_register: 0xfea0_0202,
            reset_value: 0x42,
            sleep_control_register: 0xfea0_0200,
            sleep_status_register: 0xfea0_0201,
            absent: Absent::default(),
        };
        fadt.encode(&OemIds::default())
    }

    #[test]
    fn fadt_header_is_revision_five_and_counts_its_bytes() {
        assert_eq!(table().bytes()[..9], *b"FACP\x0c\x01\0\0\x05");
        assert_eq!(table().bytes().len(), 0x10c);
    }

    #[test]
    fn fadt_flags_are_hardware_reduced_and_reset() {
        assert_eq!(table().bytes()[0x70..0x74], 0x0010_0400u32.to_le_bytes());
    }

    #[test]
    fn fadt_absent_parts_are_bits_of_the_boot_architecture() {
        assert_eq!(Absent { vga: true, cmos_rtc: false }.boot_arch(), 1 << 2);
        assert_eq!(Absent { vga: false, cmos_rtc: true }.boot_arch(), 1 << 5);
        assert_eq!(std::mem::offset_of!(FADTBuilder, iapc_boot_arch), 0x6d);
    }

    #[test]
    fn fadt_registers_are_bytes_in_memory() {
        let register = |low| [0, 8, 0, 0, low, 0x02, 0xa0, 0xfe, 0, 0, 0, 0];
        assert_eq!(table().bytes()[0x74..0x80], register(0x02));
        assert_eq!(table().bytes()[0x80], 0x42);
        assert_eq!(table().bytes()[0xf4..0x100], register(0x00));
        assert_eq!(table().bytes()[0x100..0x10c], register(0x01));
    }

    #[test]
    fn fadt_points_at_the_dsdt_in_both_widths() {
        let places: Vec<_> = table().pointers().iter().map(|p| (p.offset, p.width)).collect();
        assert_eq!(places, [(0x28, PointerWidth::Four), (0x8c, PointerWidth::Eight)]);
    }

    #[test]
    fn fadt_has_nothing_a_reduced_machine_lacks() {
        let table = table();
        assert!(table.bytes()[0x24..0x70].iter().all(|&byte| byte == 0));
        assert!(table.bytes()[0x81..0xf4].iter().all(|&byte| byte == 0));
    }
}
