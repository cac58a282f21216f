//! Numbers of SPC-4, SBC-3 and MMC-6, nothing else.

/// Operation codes: the first byte of a CDB.
pub(crate) mod op {
    pub(crate) const TEST_UNIT_READY: u8 = 0x00;
    pub(crate) const REQUEST_SENSE: u8 = 0x03;
    pub(crate) const READ_6: u8 = 0x08;
    pub(crate) const WRITE_6: u8 = 0x0a;
    pub(crate) const INQUIRY: u8 = 0x12;
    pub(crate) const MODE_SENSE_6: u8 = 0x1a;
    pub(crate) const START_STOP_UNIT: u8 = 0x1b;
    pub(crate) const PREVENT_ALLOW_MEDIUM_REMOVAL: u8 = 0x1e;
    pub(crate) const READ_FORMAT_CAPACITIES: u8 = 0x23;
    pub(crate) const READ_CAPACITY_10: u8 = 0x25;
    pub(crate) const READ_10: u8 = 0x28;
    pub(crate) const WRITE_10: u8 = 0x2a;
    pub(crate) const WRITE_AND_VERIFY_10: u8 = 0x2e;
    pub(crate) const VERIFY_10: u8 = 0x2f;
    pub(crate) const SYNCHRONIZE_CACHE_10: u8 = 0x35;
    pub(crate) const WRITE_SAME_10: u8 = 0x41;
    pub(crate) const UNMAP: u8 = 0x42;
    pub(crate) const READ_TOC: u8 = 0x43;
    pub(crate) const GET_CONFIGURATION: u8 = 0x46;
    pub(crate) const GET_EVENT_STATUS_NOTIFICATION: u8 = 0x4a;
    pub(crate) const READ_DISC_INFORMATION: u8 = 0x51;
    pub(crate) const MODE_SENSE_10: u8 = 0x5a;
    pub(crate) const READ_16: u8 = 0x88;
    pub(crate) const WRITE_16: u8 = 0x8a;
    pub(crate) const WRITE_AND_VERIFY_16: u8 = 0x8e;
    pub(crate) const VERIFY_16: u8 = 0x8f;
    pub(crate) const SYNCHRONIZE_CACHE_16: u8 = 0x91;
    pub(crate) const WRITE_SAME_16: u8 = 0x93;
    pub(crate) const SERVICE_ACTION_IN_16: u8 = 0x9e;
    pub(crate) const REPORT_LUNS: u8 = 0xa0;
    pub(crate) const READ_12: u8 = 0xa8;
    pub(crate) const WRITE_12: u8 = 0xaa;
    pub(crate) const WRITE_AND_VERIFY_12: u8 = 0xae;
    pub(crate) const VERIFY_12: u8 = 0xaf;
    pub(crate) const MECHANISM_STATUS: u8 = 0xbd;
}

/// Service action of SERVICE ACTION IN (16) that is READ CAPACITY (16). SBC-3, 5.16.
pub(crate) const READ_CAPACITY_16: u8 = 0x10;

/// Longest CDB of the groups with a fixed length. SPC-4, 4.3.
pub(crate) const CDB_LEN: usize = 16;

/// How a command ended. SAM-5, 5.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// As asked.
    Good = 0x00,
    /// Sense data says what happened.
    CheckCondition = 0x02,
}

/// Bytes of sense data in fixed format. SPC-4, 4.5.3.
pub const SENSE_LEN: usize = 18;

/// Response codes of current sense data. SPC-4, 4.5.1.
pub(crate) const SENSE_FIXED: u8 = 0x70;
pub(crate) const SENSE_DESCRIPTOR: u8 = 0x72;

/// Peripheral device types. SPC-4, table 139.
pub(crate) const DIRECT_ACCESS: u8 = 0x00;
pub(crate) const CD_ROM: u8 = 0x05;
/// Qualifier and type of a logical unit that cannot be here. SPC-4, table 138.
pub(crate) const NO_UNIT: u8 = 0x7f;

/// Vital product data pages. SPC-4, 7.8; SBC-3, 6.5.
pub(crate) mod vpd {
    pub(crate) const SUPPORTED: u8 = 0x00;
    pub(crate) const UNIT_SERIAL_NUMBER: u8 = 0x80;
    pub(crate) const DEVICE_IDENTIFICATION: u8 = 0x83;
    pub(crate) const BLOCK_LIMITS: u8 = 0xb0;
    pub(crate) const BLOCK_DEVICE_CHARACTERISTICS: u8 = 0xb1;
    pub(crate) const LOGICAL_BLOCK_PROVISIONING: u8 = 0xb2;
}

/// Mode pages. SPC-4, 7.5; SBC-3, 6.4; MMC-6, 7.
pub(crate) mod mode_page {
    pub(crate) const READ_WRITE_ERROR_RECOVERY: u8 = 0x01;
    pub(crate) const CACHING: u8 = 0x08;
    pub(crate) const CONTROL: u8 = 0x0a;
    pub(crate) const INFORMATIONAL_EXCEPTIONS: u8 = 0x1c;
    pub(crate) const CAPABILITIES: u8 = 0x2a;
    pub(crate) const ALL: u8 = 0x3f;
}

/// Profiles of discs. MMC-6, table 93.
pub(crate) const PROFILE_NONE: u16 = 0x0000;
pub(crate) const PROFILE_CD_ROM: u16 = 0x0008;
pub(crate) const PROFILE_DVD_ROM: u16 = 0x0010;

/// Features of drives. MMC-6, 5.3.
pub(crate) mod feature {
    pub(crate) const PROFILE_LIST: u16 = 0x0000;
    pub(crate) const CORE: u16 = 0x0001;
    pub(crate) const REMOVABLE_MEDIUM: u16 = 0x0003;
    pub(crate) const RANDOM_READABLE: u16 = 0x0010;
    pub(crate) const CD_READ: u16 = 0x001e;
    pub(crate) const DVD_READ: u16 = 0x001f;
}

/// The lead-out's track number. MMC-6, 6.25.
pub(crate) const LEAD_OUT: u8 = 0xaa;
