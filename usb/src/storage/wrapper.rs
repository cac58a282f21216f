//! The wrappers around a command and its status. BOT 1.0, 5.

use super::spec::{CBW_LEN, CBW_SIGNATURE, CSW_LEN, CSW_SIGNATURE, CswStatus};
use crate::Direction;

/// Command block wrapper: a command, and the data that the host expects. BOT 1.0, 5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cbw {
    /// `dCBWTag`, which comes back in the status.
    pub(super) tag: u32,
    /// `dCBWDataTransferLength`.
    pub(super) len: u32,
    /// Which way the host moves data, if `len` is not 0.
    pub(super) direction: Direction,
    /// `bCBWLUN`.
    pub(super) lun: u8,
    cdb: [u8; 16],
    cdb_len: usize,
}

impl Cbw {
    /// The wrapper in these bytes, if it is valid (6.2.1) and meaningful (6.2.2). Reserved bits are not looked at.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; CBW_LEN] = bytes.try_into().ok()?;
        let [s0, s1, s2, s3, t0, t1, t2, t3, l0, l1, l2, l3, flags, lun, cdb_len, cdb @ ..] = *bytes;
        let cdb_len = usize::from(cdb_len & 0x1f);
        let direction = if flags & 0x80 == 0 { Direction::Out } else { Direction::In };
        let valid = u32::from_le_bytes([s0, s1, s2, s3]) == CBW_SIGNATURE && (1..=16).contains(&cdb_len);
        valid.then_some(Self {
            tag: u32::from_le_bytes([t0, t1, t2, t3]),
            len: u32::from_le_bytes([l0, l1, l2, l3]),
            direction,
            lun: lun & 0x0f,
            cdb,
            cdb_len,
        })
    }

    /// The command.
    pub(super) fn cdb(&self) -> &[u8] {
        self.cdb.get(..self.cdb_len).unwrap_or_default()
    }
}

/// Command status wrapper. BOT 1.0, 5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Csw {
    pub(super) tag: u32,
    /// Bytes that the host expected and that did not matter to the command.
    pub(super) residue: u32,
    pub(super) status: CswStatus,
}

impl Csw {
    pub(super) fn bytes(self) -> [u8; CSW_LEN] {
        let ([s0, s1, s2, s3], [t0, t1, t2, t3]) = (CSW_SIGNATURE.to_le_bytes(), self.tag.to_le_bytes());
        let [r0, r1, r2, r3] = self.residue.to_le_bytes();
        [s0, s1, s2, s3, t0, t1, t2, t3, r0, r1, r2, r3, self.status as u8]
    }
}
