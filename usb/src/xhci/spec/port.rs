//! Port Status and Control. xHCI 1.2, 5.4.8.

use bitfield_struct::bitfield;

use crate::Speed;

/// The register PORTSC.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub(crate) struct PortSc {
    /// CCS: a device is there.
    pub(crate) connected: bool,
    /// PED: it may talk. Writing 1 disables the port.
    pub(crate) enabled: bool,
    __: bool,
    /// OCA.
    over_current: bool,
    /// PR: being reset; writing 1 begins.
    pub(crate) reset: bool,
    /// PLS, see [`link`].
    #[bits(4)]
    pub(crate) link: u8,
    /// PP: always.
    pub(crate) power: bool,
    /// See [`speed_id`].
    #[bits(4)]
    pub(crate) speed: u8,
    /// PIC.
    #[bits(2)]
    indicator: u8,
    /// LWS: a write takes `link` along.
    pub(crate) link_strobe: bool,
    /// CSC.
    pub(crate) connect_change: bool,
    /// PEC.
    pub(crate) enable_change: bool,
    /// WRC.
    pub(crate) warm_reset_change: bool,
    /// OCC.
    over_current_change: bool,
    /// PRC.
    pub(crate) reset_change: bool,
    /// PLC.
    pub(crate) link_change: bool,
    /// CEC.
    config_error_change: bool,
    /// CAS.
    cold_attach: bool,
    /// WCE.
    wake_on_connect: bool,
    /// WDE.
    wake_on_disconnect: bool,
    /// WOE.
    wake_on_over_current: bool,
    #[bits(2)]
    __: u8,
    /// DR: the device is fixed.
    not_removable: bool,
    /// WPR: writing 1 begins a warm reset.
    pub(crate) warm_reset: bool,
}

impl PortSc {
    /// Bits the driver clears by writing one.
    pub(crate) const RW1C: u32 = Self::new()
        .with_connect_change(true)
        .with_enable_change(true)
        .with_warm_reset_change(true)
        .with_over_current_change(true)
        .with_reset_change(true)
        .with_link_change(true)
        .with_config_error_change(true)
        .into_bits();

    /// Bits a write simply stores.
    pub(crate) const STORED: u32 = Self::new()
        .with_indicator(3)
        .with_wake_on_connect(true)
        .with_wake_on_disconnect(true)
        .with_wake_on_over_current(true)
        .into_bits();
}

/// States of a link, PLS.
pub(crate) mod link {
    pub(crate) const U0: u8 = 0;
    pub(crate) const U2: u8 = 2;
    pub(crate) const U3: u8 = 3;
    pub(crate) const DISABLED: u8 = 4;
    pub(crate) const RX_DETECT: u8 = 5;
    pub(crate) const POLLING: u8 = 7;
    pub(crate) const RESUME: u8 = 15;
}

/// The default id of a speed. xHCI 1.2, table 7-13.
pub(crate) const fn speed_id(speed: Speed) -> u8 {
    match speed {
        Speed::Full => 1,
        Speed::Low => 2,
        Speed::High => 3,
        Speed::Super => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_where_the_standard_has_them() {
        let bits = [
            (PortSc::new().with_connected(true), 1),
            (PortSc::new().with_enabled(true), 1 << 1),
            (PortSc::new().with_reset(true), 1 << 4),
            (PortSc::new().with_link(link::RESUME), 0xf << 5),
            (PortSc::new().with_power(true), 1 << 9),
            (PortSc::new().with_speed(0xf), 0xf << 10),
            (PortSc::new().with_link_strobe(true), 1 << 16),
            (PortSc::new().with_connect_change(true), 1 << 17),
            (PortSc::new().with_enable_change(true), 1 << 18),
            (PortSc::new().with_warm_reset_change(true), 1 << 19),
            (PortSc::new().with_reset_change(true), 1 << 21),
            (PortSc::new().with_link_change(true), 1 << 22),
            (PortSc::new().with_warm_reset(true), 1 << 31),
        ];
        for (register, expected) in bits {
            assert_eq!(register.into_bits(), expected);
        }
        assert_eq!((PortSc::RW1C, PortSc::STORED), (0x00fe_0000, 0x0e00_c000));
    }
}
