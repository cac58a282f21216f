//! Registers of the interrupt controllers. Intel 8259A data sheet, "Programming the 8259A"; ELCR: Intel 82371AB (PIIX4)
//! data sheet, 4.2.4.

use bitfield_struct::bitfield;

/// Ports of one controller.
pub const LEN: u64 = 2;
/// Inputs of one controller.
pub const INPUTS: u8 = 8;
/// The first controller's input to which the second is connected.
pub const CASCADE: u8 = 2;
/// The level that is acknowledged when no request is left.
pub const SPURIOUS: u8 = 7;

/// [`Icw1`], [`Ocw2`] or [`Ocw3`] (write); request or service register, or poll (read).
pub const COMMAND: u64 = 0;
/// The other initialization command words, then the mask (write); the mask (read).
pub const DATA: u64 = 1;

/// Ports of the edge/level control registers: one byte for each controller.
pub const ELCR_LEN: u64 = 2;
/// The inputs that can be made level-triggered. Timer, keyboard, cascade, clock and coprocessor cannot.
pub const ELCR_WRITABLE: [u8; 2] = [0xf8, 0xde];

/// Bits of the interrupt vector that ICW2 sets; the others are the level.
pub const VECTOR_BASE: u8 = 0xf8;

/// Initialization Command Word 1, and what tells the words at the command port apart.
#[bitfield(u8)]
pub struct Icw1 {
    /// ICW4 comes, too.
    pub icw4: bool,
    /// There is one controller, and no ICW3.
    pub single: bool,
    /// Call address interval, of an 8080.
    pub interval: bool,
    /// All inputs are level-triggered.
    pub level: bool,
    /// This is ICW1.
    pub is_icw1: bool,
    /// Call address, of an 8080.
    #[bits(3)]
    pub address: u8,
}

/// Initialization Command Word 4.
#[bitfield(u8)]
pub struct Icw4 {
    /// For an 8086 rather than an 8080. There is nothing else here.
    pub x86: bool,
    /// Interrupts end with their acknowledgement.
    pub auto_eoi: bool,
    /// Master, in buffered mode.
    pub master: bool,
    /// There are buffers on the data bus.
    pub buffered: bool,
    /// Special fully nested mode: a request from the cascade passes while one is in service.
    pub fully_nested: bool,
    #[bits(3)]
    __: u8,
}

/// Operation Command Word 2: end of interrupt, and rotation.
#[bitfield(u8)]
pub struct Ocw2 {
    /// The level that a specific command means.
    #[bits(3)]
    pub level: u8,
    #[bits(2)]
    __: u8,
    /// End of interrupt.
    pub eoi: bool,
    /// The command is for [`Self::level`].
    pub specific: bool,
    /// Rotate priorities.
    pub rotate: bool,
}

/// Operation Command Word 3: what a read gives, and special mask mode.
#[bitfield(u8)]
pub struct Ocw3 {
    /// The register to read is the service register, not the request register.
    pub service: bool,
    /// Chooses the register to read.
    pub select: bool,
    /// The next read is an acknowledgement.
    pub poll: bool,
    /// This is OCW3, not OCW2.
    pub is_ocw3: bool,
    __: bool,
    /// Special mask mode on.
    pub special_mask: bool,
    /// Chooses special mask mode, or not.
    pub choose_special_mask: bool,
    __: bool,
}

/// What a read gives after the poll command.
#[bitfield(u8)]
pub struct Polled {
    /// The level that is acknowledged.
    #[bits(3)]
    pub level: u8,
    #[bits(4)]
    __: u8,
    /// There was a request.
    pub request: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_stand_where_the_data_sheet_puts_them() {
        let cascaded_with_icw4 = Icw1::new().with_is_icw1(true).with_icw4(true);
        assert_eq!(cascaded_with_icw4.into_bits(), 0x11);
        assert_eq!(Icw1::new().with_single(true).with_level(true).into_bits(), 0x0a);
        assert_eq!(Icw4::new().with_x86(true).with_auto_eoi(true).into_bits(), 0x03);
        assert_eq!(Icw4::new().with_fully_nested(true).into_bits(), 0x10);
        assert_eq!(Ocw2::new().with_eoi(true).into_bits(), 0x20);
        assert_eq!(Ocw2::new().with_eoi(true).with_specific(true).with_level(5).into_bits(), 0x65);
        assert_eq!(Ocw2::new().with_rotate(true).into_bits(), 0x80);
        let read = |service| Ocw3::new().with_is_ocw3(true).with_select(true).with_service(service);
        assert_eq!([false, true].map(|service| read(service).into_bits()), [0x0a, 0x0b]);
        assert_eq!(Ocw3::new().with_is_ocw3(true).with_poll(true).into_bits(), 0x0c);
        let mask = Ocw3::new().with_is_ocw3(true).with_choose_special_mask(true);
        assert_eq!([false, true].map(|on| mask.with_special_mask(on).into_bits()), [0x48, 0x68]);
        assert_eq!(Polled::new().with_request(true).with_level(3).into_bits(), 0x83);
    }
}
