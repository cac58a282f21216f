//! USB Attached SCSI without streams, as high speed has it: several commands under way, their data one after the other.
//! *UAS*, T10/2095-D.
//!
//! ```text
//!  command OUT ─► COMMAND IU ─► Task ─┬─ no data ──────────────────────────────► SENSE IU ─► status IN
//!                                     └─ waits its turn ─► READ or WRITE READY ─► data IN or OUT ─► SENSE IU
//! ```
//!
//! The host answers a READY with a transfer on the data pipe; the next command's READY follows when that is done.

use std::collections::VecDeque;

use scsi::{Lun, SENSE_LEN, Sense, Target, Task};

use super::information_unit::{CommandIu, Function, Request, ResponseCode, TaskIu};
use super::information_unit::{read_ready, response, sense_iu, task_set_full, write_ready};
use crate::{Data, Direction, Outcome};

/// Most commands that wait for their data. Linux sends 32 at a time.
const QUEUE: usize = 64;

/// What is under way.
#[derive(Default)]
pub(super) struct Uas {
    /// Commands with data, of which the first one moves.
    commands: VecDeque<Command>,
    /// The first command's READY was queued.
    announced: bool,
    /// Units for the status pipe.
    statuses: VecDeque<Vec<u8>>,
}

struct Command {
    tag: u16,
    lun: u16,
    task: Task,
}

impl Uas {
    /// A transfer on the command pipe: one information unit.
    pub(super) fn command(&mut self, target: &mut Target, data: &mut Data<'_>) -> Outcome {
        // Too many answers that nobody takes: the host has to take them first.
        if self.statuses.len() >= QUEUE {
            return Outcome::Nak;
        }
        match take_request(data) {
            Request::Command(unit) => self.begin(target, &unit),
            Request::Task(unit) => self.manage(target, &unit),
            Request::Invalid(tag) => self.statuses.push_back(response(tag, ResponseCode::InvalidUnit)),
        }
        self.announce();
        Outcome::Done
    }

    /// The same without touching the disk; none if that cannot be, and then nothing has changed.
    pub(super) fn command_at_once(&mut self, target: &mut Target, data: &mut Data<'_>) -> Option<Outcome> {
        if self.statuses.len() >= QUEUE {
            return Some(Outcome::Nak);
        }
        match take_request(data) {
            Request::Command(unit) if scsi::moves_blocks(unit.cdb()) => self.begin(target, &unit),
            _ => return None,
        }
        self.announce();
        Some(Outcome::Done)
    }

    fn begin(&mut self, target: &mut Target, unit: &CommandIu) {
        let Some(lun) = unit.lun() else {
            self.statuses.push_back(response(unit.tag, ResponseCode::WrongLun));
            return;
        };
        if self.commands.iter().any(|command| command.tag == unit.tag) {
            self.statuses.push_back(response(unit.tag, ResponseCode::OverlappedTag));
            return;
        }
        if self.commands.len() >= QUEUE {
            self.statuses.push_back(task_set_full(unit.tag));
            return;
        }
        let command = Command { tag: unit.tag, lun: lun.0, task: target.begin(lun, unit.cdb()) };
        match command.task.data() {
            scsi::Data::None => self.finish(command),
            _ => self.commands.push_back(command),
        }
    }

    fn finish(&mut self, command: Command) {
        let completion = command.task.finish();
        let sense = completion.sense.as_ref().map(Sense::fixed);
        let sense = sense.as_ref().map(<[u8; SENSE_LEN]>::as_slice).unwrap_or_default();
        self.statuses.push_back(sense_iu(command.tag, completion.status as u8, sense));
    }

    /// Asks the host for the data transfer of the first command.
    fn announce(&mut self) {
        if self.announced {
            return;
        }
        if let Some(command) = self.commands.front() {
            self.announced = true;
            self.statuses.push_back(match command.task.data() {
                scsi::Data::Out(_) => write_ready(command.tag),
                _ => read_ready(command.tag),
            });
        }
    }

    /// A transfer on the status pipe: one information unit.
    pub(super) fn status(&mut self, data: &mut Data<'_>) -> Outcome {
        match self.statuses.pop_front() {
            Some(unit) => data.put_packet(&unit),
            None => Outcome::Nak,
        }
    }

    /// A transfer from the device on the data pipe.
    pub(super) fn data_in(&mut self, data: &mut Data<'_>) -> Outcome {
        self.move_data(|task| match task.data() {
            scsi::Data::In(len) => {
                let wanted = data.left().min(usize::try_from(len).unwrap_or(usize::MAX));
                data.advance(task.read(&data.unmoved(wanted)) as usize);
                true
            }
            _ => false,
        })
    }

    /// A transfer to the device on the data pipe. What the command does not want is dropped.
    pub(super) fn data_out(&mut self, data: &mut Data<'_>) -> Outcome {
        self.move_data(|task| match task.data() {
            scsi::Data::Out(_) => {
                task.write(&data.unmoved(data.left()));
                data.advance(data.left());
                true
            }
            _ => false,
        })
    }

    /// A transfer on the data pipe of this direction that moves no data: NAK. None if it moves some.
    pub(super) fn data_at_once(&self, direction: Direction) -> Option<Outcome> {
        let wanted = self.commands.front().filter(|_| self.announced).map(|command| command.task.data());
        match (wanted, direction) {
            (Some(scsi::Data::In(_)), Direction::In) | (Some(scsi::Data::Out(_)), Direction::Out) => None,
            _ => Some(Outcome::Nak),
        }
    }

    /// Moves data of the command whose turn it is; NAK if it moves none in this direction.
    fn move_data(&mut self, step: impl FnOnce(&mut Task) -> bool) -> Outcome {
        let Some(command) = self.commands.front_mut().filter(|_| self.announced) else { return Outcome::Nak };
        if !step(&mut command.task) {
            return Outcome::Nak;
        }
        if command.task.data() == scsi::Data::None {
            self.announced = false;
            if let Some(command) = self.commands.pop_front() {
                self.finish(command);
            }
            self.announce();
        }
        Outcome::Done
    }

    /// Task management. UAS, 6.2.6.
    fn manage(&mut self, target: &mut Target, unit: &TaskIu) {
        let code = match (unit.lun(), unit.function) {
            (None, _) => ResponseCode::WrongLun,
            (Some(lun), Function::ABORT_TASK) => {
                self.abort(|command| command.lun == lun.0 && command.tag == unit.task)
            }
            (Some(lun), Function::ABORT_TASK_SET | Function::CLEAR_TASK_SET) => {
                self.abort(|command| command.lun == lun.0)
            }
            (Some(lun), Function::LOGICAL_UNIT_RESET) => {
                target.unit(lun).map(scsi::Unit::reset);
                self.abort(|command| command.lun == lun.0)
            }
            (_, Function::I_T_NEXUS_RESET) => {
                target.reset();
                self.abort(|_| true)
            }
            (Some(lun), Function::QUERY_TASK) => {
                let known = |command: &Command| command.lun == lun.0 && command.tag == unit.task;
                if self.commands.iter().any(known) { ResponseCode::Succeeded } else { ResponseCode::Complete }
            }
            _ => ResponseCode::NotSupported,
        };
        self.statuses.push_back(response(unit.tag, code));
    }

    fn abort(&mut self, condition: impl Fn(&Command) -> bool) -> ResponseCode {
        let moving = self.commands.front().is_some_and(&condition);
        self.commands.retain(|command| !condition(command));
        self.announced &= !moving;
        ResponseCode::Complete
    }
}

fn take_request(data: &mut Data<'_>) -> Request {
    let mut bytes = vec![0; data.len().min(Request::MAX_LEN)];
    data.take(&mut bytes);
    data.advance(data.left());
    Request::parse(&bytes)
}

impl CommandIu {
    fn lun(&self) -> Option<Lun> {
        Lun::decode(self.lun)
    }
}

impl TaskIu {
    fn lun(&self) -> Option<Lun> {
        Lun::decode(self.lun)
    }
}
