//! Numbers of *Mass Storage Class Bulk-Only Transport 1.0* and *USB Attached SCSI* (UAS, T10/2095-D), nothing else.

/// `bInterfaceClass` and `bInterfaceSubClass`: mass storage that talks SCSI.
pub(super) const MASS_STORAGE: u8 = 0x08;
pub(super) const SCSI: u8 = 0x06;
/// `bInterfaceProtocol`.
pub(super) const BULK_ONLY: u8 = 0x50;
pub(super) const UAS: u8 = 0x62;

/// Class requests, as [`Setup::code`](crate::Setup::code). BOT 1.0, 3.
pub(super) const BULK_ONLY_RESET: u16 = 0x21ff;
pub(super) const GET_MAX_LUN: u16 = 0xa1fe;

/// `dCBWSignature` and `dCSWSignature`.
pub(super) const CBW_SIGNATURE: u32 = 0x4342_5355;
pub(super) const CSW_SIGNATURE: u32 = 0x5342_5355;
/// Bytes of a command block wrapper and of a command status wrapper.
pub(super) const CBW_LEN: usize = 31;
pub(super) const CSW_LEN: usize = 13;

/// `bCSWStatus`. BOT 1.0, table 5.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum CswStatus {
    Passed = 0,
    Failed = 1,
    PhaseError = 2,
}

/// Pipe usage descriptors, behind those of the endpoints. UAS, 5.3.3.5.
pub(super) const COMMAND_PIPE: [u8; 4] = [4, 0x24, 1, 0];
pub(super) const STATUS_PIPE: [u8; 4] = [4, 0x24, 2, 0];
pub(super) const DATA_IN_PIPE: [u8; 4] = [4, 0x24, 3, 0];
pub(super) const DATA_OUT_PIPE: [u8; 4] = [4, 0x24, 4, 0];
