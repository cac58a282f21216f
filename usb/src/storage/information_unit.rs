//! Information units of USB Attached SCSI. UAS, 6.2.

/// What the host sends. UAS, table 10.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    Command(CommandIu),
    Task(TaskIu),
    /// Something else, with its tag, if it is long enough to have one.
    Invalid(u16),
}

/// COMMAND IU. UAS, 6.2.2.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CommandIu {
    pub(super) tag: u16,
    pub(super) lun: [u8; 8],
    cdb: [u8; 16],
}

/// TASK MANAGEMENT IU. UAS, 6.2.6.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TaskIu {
    pub(super) tag: u16,
    pub(super) function: Function,
    /// Tag of the command that it is about.
    pub(super) task: u16,
    pub(super) lun: [u8; 8],
}

/// A task management function. UAS, table 21.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Function(u8);

impl Function {
    pub(super) const ABORT_TASK: Self = Self(0x01);
    pub(super) const ABORT_TASK_SET: Self = Self(0x02);
    pub(super) const CLEAR_TASK_SET: Self = Self(0x04);
    pub(super) const LOGICAL_UNIT_RESET: Self = Self(0x08);
    pub(super) const I_T_NEXUS_RESET: Self = Self(0x10);
    pub(super) const QUERY_TASK: Self = Self(0x80);
}

/// RESPONSE CODE. UAS, table 18.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum ResponseCode {
    Complete = 0x00,
    InvalidUnit = 0x02,
    NotSupported = 0x04,
    Succeeded = 0x08,
    WrongLun = 0x09,
    OverlappedTag = 0x0a,
}

/// IU ID. UAS, table 10.
const COMMAND: u8 = 0x01;
const SENSE: u8 = 0x03;
const RESPONSE: u8 = 0x04;
const TASK_MANAGEMENT: u8 = 0x05;
const READ_READY: u8 = 0x06;
const WRITE_READY: u8 = 0x07;

impl Request {
    /// Bytes of the longest unit that a host sends, with a command of up to 16 bytes.
    pub(super) const MAX_LEN: usize = 32;

    pub(super) fn parse(bytes: &[u8]) -> Self {
        match *bytes {
            [COMMAND, _, t0, t1, _, _, _, _, l0, l1, l2, l3, l4, l5, l6, l7, ref cdb @ ..] => {
                let tag = u16::from_be_bytes([t0, t1]);
                match cdb.try_into() {
                    Ok(cdb) => Self::Command(CommandIu { tag, lun: [l0, l1, l2, l3, l4, l5, l6, l7], cdb }),
                    Err(_) => Self::Invalid(tag),
                }
            }
            [TASK_MANAGEMENT, _, t0, t1, function, _, m0, m1, l0, l1, l2, l3, l4, l5, l6, l7] => {
                Self::Task(TaskIu {
                    tag: u16::from_be_bytes([t0, t1]),
                    function: Function(function),
                    task: u16::from_be_bytes([m0, m1]),
                    lun: [l0, l1, l2, l3, l4, l5, l6, l7],
                })
            }
            [_, _, t0, t1, ..] => Self::Invalid(u16::from_be_bytes([t0, t1])),
            _ => Self::Invalid(0),
        }
    }
}

impl CommandIu {
    pub(super) const fn cdb(&self) -> &[u8; 16] {
        &self.cdb
    }
}

fn header(id: u8, tag: u16) -> Vec<u8> {
    let [high, low] = tag.to_be_bytes();
    vec![id, 0, high, low]
}

/// READ READY IU. UAS, 6.2.4.
pub(super) fn read_ready(tag: u16) -> Vec<u8> {
    header(READ_READY, tag)
}

/// WRITE READY IU. UAS, 6.2.5.
pub(super) fn write_ready(tag: u16) -> Vec<u8> {
    header(WRITE_READY, tag)
}

/// RESPONSE IU. UAS, 6.2.7.
pub(super) fn response(tag: u16, code: ResponseCode) -> Vec<u8> {
    [header(RESPONSE, tag), vec![0, 0, 0, code as u8]].concat()
}

/// SENSE IU: a SCSI status, and sense data if there are any. UAS, 6.2.3.
pub(super) fn sense_iu(tag: u16, status: u8, sense: &[u8]) -> Vec<u8> {
    let mut unit = [header(SENSE, tag), vec![0, 0, status]].concat();
    unit.resize(14, 0);
    unit.extend((sense.len() as u16).to_be_bytes());
    unit.extend(sense);
    unit
}

/// SENSE IU for a command that there is no room for. SAM-5, 5.3.1.
pub(super) fn task_set_full(tag: u16) -> Vec<u8> {
    const TASK_SET_FULL: u8 = 0x28;
    sense_iu(tag, TASK_SET_FULL, &[])
}
