//! How the xHCI controller on the system bus appears in the DSDT.

use acpi::{Describe, Scope};

/// An xHCI controller that is no PCI function.
#[derive(Clone, Copy, Debug)]
pub struct XhciDevice {
    /// Physical address of its registers.
    pub base: u32,
    /// Size of its registers in bytes.
    pub len: u32,
    /// Its interrupt, level-triggered.
    pub gsi: u32,
}

impl Describe for XhciDevice {
    fn describe(&self, scope: &mut Scope) {
        scope.device(b"XHCI", |dev| {
            dev.eisa_hid("PNP0D10"); // xHCI controller without debug capability
            dev.crs(|crs| crs.memory32(self.base, self.len).interrupt(self.gsi));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xhci_is_registers_and_a_level_interrupt() {
        let mut scope = Scope::new();

        XhciDevice { base: 0xfe90_0000, len: 0x4000, gsi: 10 }.describe(&mut scope);

        let body = [
            b"XHCI\x08_HID\x0c\x41\xd0\x0d\x10\x08_CRS\x11\x1a\x0a\x17".as_slice(),
            b"\x86\x09\0\x01\0\0\x90\xfe\0\x40\0\0\x89\x06\0\x01\x01\x0a\0\0\0\x79\0",
        ]
        .concat();
        assert_eq!(scope.bytes(), [&[0x5b, 0x82, body.len() as u8 + 1], body.as_slice()].concat());
    }
}
