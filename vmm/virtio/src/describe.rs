//! How a virtio-mmio transport appears in the DSDT.

use acpi::{Describe, NameSeg, Scope};

/// A transport with a device behind it. Empty ones stay out of the DSDT, so that no driver probes them in vain.
#[derive(Clone, Copy, Debug)]
pub struct MmioTransport {
    /// Which transport it is, below 100. Gives the device's name and `_UID`.
    pub index: u8,
    /// Physical address of its registers.
    pub base: u32,
    /// Size of its registers in bytes.
    pub len: u32,
    /// Its interrupt, level-triggered.
    pub gsi: u32,
}

impl Describe for MmioTransport {
    fn describe(&self, scope: &mut Scope) {
        scope.device(NameSeg::numbered(*b"VR", self.index), |dev| {
            dev.hid("LNRO0005"); // Linux's id for virtio-mmio; SeaBIOS knows it too
            dev.uid(&self.index);
            dev.coherent();
            dev.crs(|crs| crs.memory32(self.base, self.len).interrupt(self.gsi));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mmio_transport_is_named_by_its_index() {
        let mut scope = Scope::new();

        MmioTransport { index: 23, base: 0xfeb0_2e00, len: 0x200, gsi: 47 }.describe(&mut scope);

        let body = [
            b"VR23\x08_HID\x0dLNRO0005\0\x08_UID\x0a\x17\x08_CCA\x01\x08_CRS\x11\x1a\x0a\x17".as_slice(),
            b"\x86\x09\0\x01\0\x2e\xb0\xfe\0\x02\0\0\x89\x06\0\x01\x01\x2f\0\0\0\x79\0",
        ]
        .concat();
        assert_eq!(scope.bytes(), [&[0x5b, 0x82, 0x42, 0x04], body.as_slice()].concat());
    }
}
