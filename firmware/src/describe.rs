//! How the firmware configuration device appears in the DSDT.

use acpi::{Describe, Scope};

/// The firmware configuration device.
#[derive(Clone, Copy, Debug)]
pub struct FwCfg {
    /// First I/O port, the selector.
    pub port: u16,
    /// How many ports, the DMA registers included.
    pub len: u8,
}

impl Describe for FwCfg {
    fn describe(&self, scope: &mut Scope) {
        scope.device(b"FWCF", |dev| {
            dev.hid("QEMU0002");
            dev.sta(0x0b); // present, decoding, working; not shown: it is no device for users
            dev.crs(|crs| crs.io(self.port, self.len));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fw_cfg_is_hidden_but_working() {
        let mut scope = Scope::new();

        FwCfg { port: 0x510, len: 12 }.describe(&mut scope);

        let body = b"FWCF\x08_HID\x0dQEMU0002\0\x08_STA\x0a\x0b\x08_CRS\x11\x0d\x0a\x0a\x47\x01\x10\x05\x10\x05\x01\x0c\x79\0";
        assert_eq!(scope.bytes(), [&[0x5b, 0x82, body.len() as u8 + 1], body.as_slice()].concat());
    }
}
