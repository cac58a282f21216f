//! Sense data: what happened, in the words of the standard. SPC-4, 4.5.

use crate::spec::{SENSE_DESCRIPTOR, SENSE_FIXED, SENSE_LEN};

/// What kind of thing happened. SPC-4, table 53.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SenseKey {
    /// Nothing.
    NoSense = 0x0,
    /// The unit cannot be used now.
    NotReady = 0x2,
    /// The medium has a flaw.
    MediumError = 0x3,
    /// The device is broken.
    HardwareError = 0x4,
    /// The command makes no sense here.
    IllegalRequest = 0x5,
    /// Something happened to the unit since the last command.
    UnitAttention = 0x6,
    /// The medium must not be written.
    DataProtect = 0x7,
}

/// What happened: a key, and an additional code that says it in detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sense {
    /// The kind.
    pub key: SenseKey,
    /// Additional sense code and its qualifier. SPC-4, annex F.
    pub code: (u8, u8),
    /// The logical block that it is about, if any.
    pub block: Option<u64>,
}

impl Sense {
    /// Nothing to report.
    pub const NONE: Self = Self::new(SenseKey::NoSense, 0x00, 0x00);
    /// MEDIUM NOT PRESENT - TRAY CLOSED.
    pub(crate) const NO_MEDIUM: Self = Self::new(SenseKey::NotReady, 0x3a, 0x01);
    /// MEDIUM NOT PRESENT - TRAY OPEN.
    pub(crate) const TRAY_OPEN: Self = Self::new(SenseKey::NotReady, 0x3a, 0x02);
    /// WRITE ERROR.
    pub(crate) const WRITE_ERROR: Self = Self::new(SenseKey::MediumError, 0x0c, 0x00);
    /// UNRECOVERED READ ERROR.
    pub(crate) const READ_ERROR: Self = Self::new(SenseKey::MediumError, 0x11, 0x00);
    /// PARAMETER LIST LENGTH ERROR.
    pub(crate) const PARAMETER_LIST_LENGTH: Self = Self::new(SenseKey::IllegalRequest, 0x1a, 0x00);
    /// INVALID COMMAND OPERATION CODE.
    pub(crate) const INVALID_OPERATION: Self = Self::new(SenseKey::IllegalRequest, 0x20, 0x00);
    /// LOGICAL BLOCK ADDRESS OUT OF RANGE.
    pub(crate) const OUT_OF_RANGE: Self = Self::new(SenseKey::IllegalRequest, 0x21, 0x00);
    /// INVALID FIELD IN CDB.
    pub(crate) const INVALID_FIELD: Self = Self::new(SenseKey::IllegalRequest, 0x24, 0x00);
    /// LOGICAL UNIT NOT SUPPORTED.
    pub(crate) const NO_SUCH_UNIT: Self = Self::new(SenseKey::IllegalRequest, 0x25, 0x00);
    /// INVALID FIELD IN PARAMETER LIST.
    pub(crate) const INVALID_PARAMETER: Self = Self::new(SenseKey::IllegalRequest, 0x26, 0x00);
    /// SAVING PARAMETERS NOT SUPPORTED.
    pub(crate) const NO_SAVED_PARAMETERS: Self = Self::new(SenseKey::IllegalRequest, 0x39, 0x00);
    /// MEDIUM REMOVAL PREVENTED.
    pub(crate) const REMOVAL_PREVENTED: Self = Self::new(SenseKey::IllegalRequest, 0x53, 0x02);
    /// NOT READY TO READY CHANGE, MEDIUM MAY HAVE CHANGED.
    pub(crate) const MEDIUM_CHANGED: Self = Self::new(SenseKey::UnitAttention, 0x28, 0x00);
    /// POWER ON, RESET, OR BUS DEVICE RESET OCCURRED.
    pub(crate) const RESET: Self = Self::new(SenseKey::UnitAttention, 0x29, 0x00);
    /// WRITE PROTECTED.
    pub(crate) const WRITE_PROTECTED: Self = Self::new(SenseKey::DataProtect, 0x27, 0x00);
    /// SPACE ALLOCATION FAILED WRITE PROTECT: the host's disk is full.
    pub(crate) const NO_SPACE: Self = Self::new(SenseKey::DataProtect, 0x27, 0x07);

    const fn new(key: SenseKey, code: u8, qualifier: u8) -> Self {
        Self { key, code: (code, qualifier), block: None }
    }

    /// The same about logical block `block`.
    pub(crate) const fn about(self, block: u64) -> Self {
        Self { block: Some(block), ..self }
    }

    /// The bytes in fixed format. SPC-4, 4.5.3.
    #[must_use]
    pub fn fixed(&self) -> [u8; SENSE_LEN] {
        const VALID: u8 = 0x80;
        let (code, qualifier) = self.code;
        // A block beyond 32 bits is left out, as the standard wants it.
        let block = self.block.and_then(|block| u32::try_from(block).ok());
        let [a, b, c, d] = block.unwrap_or_default().to_be_bytes();
        let response = SENSE_FIXED | if block.is_some() { VALID } else { 0 };
        let additional_len = SENSE_LEN as u8 - 8;
        let key = self.key as u8;
        [response, 0, key, a, b, c, d, additional_len, 0, 0, 0, 0, code, qualifier, 0, 0, 0, 0]
    }

    /// The bytes in descriptor format. SPC-4, 4.5.2.
    #[must_use]
    pub fn descriptors(&self) -> Vec<u8> {
        let (code, qualifier) = self.code;
        let information = self.block.map(|block| {
            // INFORMATION descriptor: type 0, 10 more bytes, VALID.
            let mut descriptor = vec![0x00, 0x0a, 0x80, 0];
            descriptor.extend(block.to_be_bytes());
            descriptor
        });
        let information = information.unwrap_or_default();
        let mut bytes =
            vec![SENSE_DESCRIPTOR, self.key as u8, code, qualifier, 0, 0, 0, information.len() as u8];
        bytes.extend(information);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_format_has_key_and_codes_where_the_standard_puts_them() {
        let bytes = Sense::NO_MEDIUM.fixed();
        assert_eq!(bytes, [0x70, 0, 2, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x3a, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn fixed_format_tells_the_block_if_it_fits() {
        let near = Sense::OUT_OF_RANGE.about(0x0102_0304).fixed();
        assert_eq!(near[..7], [0xf0, 0, 5, 1, 2, 3, 4]);
        let far = Sense::OUT_OF_RANGE.about(1 << 32).fixed();
        assert_eq!(far[..7], [0x70, 0, 5, 0, 0, 0, 0]);
    }

    #[test]
    fn descriptor_format_carries_the_block_in_a_descriptor() {
        assert_eq!(Sense::RESET.descriptors(), [0x72, 6, 0x29, 0, 0, 0, 0, 0]);
        let bytes = Sense::READ_ERROR.about(1 << 32).descriptors();
        assert_eq!(bytes, [0x72, 3, 0x11, 0, 0, 0, 0, 12, 0, 10, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    }
}
