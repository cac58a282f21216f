//! A target: the logical units behind one address of a transport. SAM-5, 4.7.

use crate::cdb::Cdb;
use crate::inquiry::inquire_nothing;
use crate::sense::Sense;
use crate::spec::op;
use crate::task::{Flow, Task};
use crate::unit::{Unit, sense_reply};

/// Number of a logical unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lun(pub u16);

impl Lun {
    /// The 8-byte form of SAM-5, 4.7: peripheral or flat addressing on the first level, nothing below.
    #[must_use]
    pub const fn decode(bytes: [u8; 8]) -> Option<Self> {
        let [high, low, 0, 0, 0, 0, 0, 0] = bytes else { return None };
        match high >> 6 {
            0 if high == 0 => Some(Self(low as u16)),
            1 => Some(Self(u16::from_be_bytes([high & 0x3f, low]))),
            _ => None,
        }
    }

    /// The 8-byte form: peripheral addressing, as for all units that a target here can have.
    #[must_use]
    pub const fn encode(self) -> [u8; 8] {
        let [high, low] = self.0.to_be_bytes();
        [high, low, 0, 0, 0, 0, 0, 0]
    }
}

/// Units with numbers from 0 on.
pub struct Target {
    units: Vec<Unit>,
}

impl Target {
    /// Most units: what 4 bits of a USB command can number.
    pub const MAX_UNITS: usize = 16;

    /// A target with `units`; those beyond [`MAX_UNITS`](Self::MAX_UNITS) are not reachable and dropped.
    #[must_use]
    pub fn new(mut units: Vec<Unit>) -> Self {
        units.truncate(Self::MAX_UNITS);
        Self { units }
    }

    /// How many units there are.
    #[must_use]
    pub fn units(&self) -> usize {
        self.units.len()
    }

    /// The unit with that number.
    pub fn unit(&mut self, lun: Lun) -> Option<&mut Unit> {
        self.units.get_mut(usize::from(lun.0))
    }

    /// Takes a command on. It has failed already if the task has no data and finishes so.
    #[must_use]
    pub fn begin(&mut self, lun: Lun, cdb: &[u8]) -> Task {
        Task::new(Cdb::parse(cdb).and_then(|cdb| self.dispatch(lun, &cdb)))
    }

    fn dispatch(&mut self, lun: Lun, cdb: &Cdb) -> Result<Flow, Sense> {
        if cdb.opcode() == op::REPORT_LUNS {
            return self.report_luns(cdb).map(Flow::Reply);
        }
        match (self.unit(lun), cdb.opcode()) {
            (Some(unit), _) => unit.begin(cdb),
            (None, op::INQUIRY) => Ok(Flow::Reply(inquire_nothing(cdb))),
            (None, op::REQUEST_SENSE) => Ok(Flow::Reply(sense_reply(cdb, &Sense::NO_SUCH_UNIT))),
            (None, _) => Err(Sense::NO_SUCH_UNIT),
        }
    }

    /// Keeps the sense data of a command, which its transport cannot carry, for REQUEST SENSE.
    pub fn keep_sense(&mut self, lun: Lun, sense: Sense) {
        if let Some(unit) = self.unit(lun) {
            unit.keep_sense(sense);
        }
    }

    /// Resets all units: a bus or target reset.
    pub fn reset(&mut self) {
        self.units.iter_mut().for_each(Unit::reset);
    }

    /// REPORT LUNS: all of them; there are no well-known ones. SPC-4, 6.33.
    fn report_luns(&self, cdb: &Cdb) -> Result<Vec<u8>, Sense> {
        /// SELECT REPORT: those with numbers, the well-known ones, all.
        const SELECTIONS: [u8; 3] = [0, 1, 2];
        const WELL_KNOWN: u8 = 1;
        let select = cdb.byte(2);
        if !SELECTIONS.contains(&select) {
            return Err(Sense::INVALID_FIELD);
        }
        let count = if select == WELL_KNOWN { 0 } else { self.units.len() as u16 };
        let luns: Vec<u8> = (0..count).flat_map(|lun| Lun(lun).encode()).collect();
        let mut reply = (luns.len() as u32).to_be_bytes().to_vec();
        reply.extend([0; 4]);
        reply.extend(luns);
        reply.truncate(cdb.number(6, 4) as usize);
        Ok(reply)
    }
}
