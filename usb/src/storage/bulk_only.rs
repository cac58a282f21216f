//! Bulk-only transport: a command, its data, its status, one after the other. BOT 1.0.
//!
//! ```text
//!            CBW on OUT           all data that the host expects          CSW on IN
//!  Command ─────────────► Data ──────────────────────────────────► Status ────────► Command
//!     │  not a CBW         (IN: padded with zeroes; OUT: the rest is dropped)
//!     └───────────► Broken: both pipes stall until Bulk-Only Mass Storage Reset
//! ```
//!
//! Where host and device disagree about data (the thirteen cases of 6.7), data that the host expects and the device has not
//! are filled up, as 6.7.2 allows, so that no pipe stalls: SeaBIOS does not recover from stalls.

use scsi::{Lun, Target, Task};

use super::spec::{CBW_LEN, CswStatus};
use super::wrapper::{Cbw, Csw};
use crate::{Data, Direction, Outcome};

/// Bytes of padding that are written at once.
const ZEROES: [u8; 4096] = [0; 4096];

/// Where a command stands.
#[derive(Default)]
pub(super) struct BulkOnly {
    phase: Phase,
}

#[derive(Default)]
enum Phase {
    /// The next transfer is a CBW.
    #[default]
    Command,
    /// Data move.
    Data(Command),
    /// The next IN transfer takes the CSW.
    Status(Csw),
    /// What came was no CBW: nothing works until a reset. 6.6.1.
    Broken,
}

/// A command whose data move.
struct Command {
    cbw: Cbw,
    /// Data that the host still expects to move.
    left: u32,
    /// Data that the command used.
    used: u32,
    task: Task,
    /// Host and device disagree in a way that the host has to be told.
    phase_error: bool,
}

/// What a transfer did to the phase.
pub(super) enum Step {
    /// Answer so.
    Answer(Outcome),
    /// Answer so, and pipes that said NAK may have news.
    Turn(Outcome),
    /// Both pipes stall.
    Broken,
}

impl BulkOnly {
    /// Bulk-Only Mass Storage Reset: ready for a command. 3.1.
    pub(super) fn reset(&mut self) {
        self.phase = Phase::Command;
    }

    /// A transfer to the device.
    pub(super) fn out(&mut self, target: &mut Target, data: &mut Data<'_>) -> Step {
        match &mut self.phase {
            Phase::Command => self.command(target, data),
            Phase::Data(command) if command.cbw.direction == Direction::Out => {
                command.take(data);
                self.next(target)
            }
            Phase::Data(_) | Phase::Status(_) => Step::Answer(Outcome::Nak),
            Phase::Broken => Step::Broken,
        }
    }

    /// The same without touching the disk; none if that cannot be, and then nothing has changed.
    pub(super) fn out_at_once(&mut self, target: &mut Target, data: &mut Data<'_>) -> Option<Step> {
        match &self.phase {
            Phase::Command => {
                let cbw = take_cbw(data).filter(|cbw| cbw.len > 0 && scsi::moves_blocks(cbw.cdb()))?;
                Some(self.begin(target, cbw))
            }
            Phase::Data(command) if command.cbw.direction == Direction::In => {
                Some(Step::Answer(Outcome::Nak))
            }
            Phase::Status(_) => Some(Step::Answer(Outcome::Nak)),
            Phase::Data(_) | Phase::Broken => None,
        }
    }

    /// A transfer from the device.
    pub(super) fn input(&mut self, target: &mut Target, data: &mut Data<'_>) -> Step {
        match &mut self.phase {
            Phase::Data(command) if command.cbw.direction == Direction::In => {
                command.put(data);
                self.next(target)
            }
            Phase::Status(csw) => {
                let outcome = data.put_packet(&csw.bytes());
                self.phase = Phase::Command;
                Step::Turn(outcome)
            }
            Phase::Command | Phase::Data(_) => Step::Answer(Outcome::Nak),
            Phase::Broken => Step::Broken,
        }
    }

    /// The same without touching the disk; none if that cannot be, and then nothing has changed.
    pub(super) fn input_at_once(&mut self, target: &mut Target, data: &mut Data<'_>) -> Option<Step> {
        match &self.phase {
            Phase::Data(command) if command.cbw.direction == Direction::In => None,
            Phase::Broken => None,
            _ => Some(self.input(target, data)),
        }
    }

    fn command(&mut self, target: &mut Target, data: &mut Data<'_>) -> Step {
        match take_cbw(data) {
            Some(cbw) => self.begin(target, cbw),
            None => {
                self.phase = Phase::Broken;
                Step::Broken
            }
        }
    }

    fn begin(&mut self, target: &mut Target, cbw: Cbw) -> Step {
        self.phase = Phase::Data(Command::begin(target, cbw));
        self.next(target)
    }

    /// Goes on to the status when all data moved.
    fn next(&mut self, target: &mut Target) -> Step {
        self.phase = match std::mem::take(&mut self.phase) {
            Phase::Data(command) if command.left == 0 => Phase::Status(command.finish(target)),
            other => {
                self.phase = other;
                return Step::Answer(Outcome::Done);
            }
        };
        Step::Turn(Outcome::Done)
    }
}

/// None if this is no command block wrapper.
fn take_cbw(data: &mut Data<'_>) -> Option<Cbw> {
    let mut bytes = [0; CBW_LEN];
    let whole = data.len() == CBW_LEN && data.take(&mut bytes) == CBW_LEN;
    Cbw::parse(&bytes).filter(|_| whole)
}

impl Command {
    fn begin(target: &mut Target, cbw: Cbw) -> Self {
        let task = target.begin(Lun(cbw.lun.into()), cbw.cdb());
        let phase_error = disagree(&cbw, task.data());
        Self { cbw, left: cbw.len, used: 0, task, phase_error }
    }

    /// Moves data to the host: those of the command, then zeroes.
    fn put(&mut self, data: &mut Data<'_>) {
        let wanted = data.left().min(self.left as usize);
        let used = self.task.read(&data.unmoved(wanted)) as usize;
        data.advance(used);
        let mut padding = wanted - used;
        while padding > 0 {
            let zeroes = ZEROES.get(..padding.min(ZEROES.len())).unwrap_or_default();
            padding -= data.put(zeroes).clamp(1, padding);
        }
        self.moved(wanted, used);
    }

    /// Takes data of the host: those for the command, and others that are dropped. A host that sends more than it said
    /// finds out by the next CBW.
    fn take(&mut self, data: &mut Data<'_>) {
        let wanted = data.left().min(self.left as usize);
        let used = if self.phase_error { 0 } else { self.task.write(&data.unmoved(wanted)) as usize };
        data.advance(data.left());
        self.moved(wanted, used);
    }

    fn moved(&mut self, len: usize, used: usize) {
        self.left -= len as u32; // both are at most `left`
        self.used += used as u32;
    }

    fn finish(self, target: &mut Target) -> Csw {
        let completion = self.task.finish();
        if let Some(sense) = completion.sense {
            target.keep_sense(Lun(self.cbw.lun.into()), sense);
        }
        let status = match completion.sense {
            _ if self.phase_error => CswStatus::PhaseError,
            Some(_) => CswStatus::Failed,
            None => CswStatus::Passed,
        };
        Csw { tag: self.cbw.tag, residue: self.cbw.len - self.used, status }
    }
}

/// Whether the device intends to move more data than the host, or the other way: cases 2, 3, 7, 8, 10 and 13 of 6.7.
fn disagree(cbw: &Cbw, data: scsi::Data) -> bool {
    let host = u64::from(cbw.len);
    match (data, cbw.direction) {
        (scsi::Data::None, _) => false,
        (scsi::Data::In(len), Direction::In) | (scsi::Data::Out(len), Direction::Out) => len > host,
        _ => true,
    }
}
