//! Control transfers: setup, data and status stages, each a transfer of its own on the ring. xHCI 1.2, 4.11.2.2.

use crate::xhci::port::Link;
use crate::xhci::ring::{BrokenRing, Fetched};
use crate::xhci::spec::Code;
use crate::xhci::spec::trb::{Trb, kind};
use crate::{Data, Direction, Outcome, Setup, request};

use super::endpoint::{Endpoint, Line, Stage, Step, failure};
use super::window::{MAX_TRBS, Window};

impl Endpoint {
    /// The next stage, or a part of it.
    pub(super) fn step_control(&mut self, line: &mut Line<'_>) -> Step {
        let head = match self.ring.peek(&line.shared.memory) {
            Ok(Some(head)) => head,
            Ok(None) => return Step::Drained,
            Err(BrokenRing { at }) => return self.fail(line, Code::TrbError, at, 0),
        };
        match (head.trb.kind(), self.stage) {
            (kind::SETUP_STAGE, _) => self.setup_stage(line, head),
            (kind::DATA_STAGE, Stage::Requested(setup)) => self.data_stage(line, head, setup),
            (kind::STATUS_STAGE, Stage::Requested(setup)) => self.status_stage(line, head, setup),
            (kind::STATUS_STAGE, Stage::Acknowledged) => self.acknowledge(line, head),
            (kind::EVENT_DATA | kind::NO_OP, _) => {
                self.complete(line, head, 0);
                Step::Done
            }
            _ => self.fail(line, Code::TrbError, head.at, 0),
        }
    }

    fn setup_stage(&mut self, line: &Line<'_>, head: Fetched) -> Step {
        let Some(setup) = setup(head.trb) else {
            return self.fail(line, Code::TrbError, head.at, 0);
        };
        self.stage = Stage::Requested(setup);
        self.complete(line, head, 0);
        Step::Done
    }

    /// The whole of it at once; a driver that has not filled it all yet will ring again.
    fn data_stage(&mut self, line: &mut Line<'_>, head: Fetched, setup: Setup) -> Step {
        let direction = if head.trb.is_in() { Direction::In } else { Direction::Out };
        if direction != setup.direction() {
            return self.fail(line, Code::TrbError, head.at, head.trb.len());
        }
        let shared = line.shared;
        let mut window = Window::gather(&shared.memory, self.ring, 0, direction);
        match window.broken {
            Some(at) => return self.fail(line, Code::TrbError, at, 0),
            None if window.trbs.len() == MAX_TRBS && !window.ends => {
                return self.fail(line, Code::TrbError, head.at, head.trb.len());
            }
            None if !window.ends => return Step::Drained,
            None => {}
        }
        window.truncate(usize::from(setup.length));
        let mut data = Data::new(direction, &window.slices);
        let outcome = ask(line, setup, &mut data);
        let moved = match (outcome, direction) {
            (Outcome::Nak, _) => return self.wait(),
            (Outcome::Done, Direction::Out) => usize::MAX,
            _ => data.moved(),
        };
        self.stage = Stage::Acknowledged;
        self.account(line, &window, outcome, moved)
    }

    /// Of a request without data: the device is asked now.
    fn status_stage(&mut self, line: &mut Line<'_>, head: Fetched, setup: Setup) -> Step {
        let outcome = ask(line, setup, &mut Data::none(setup.direction()));
        match failure(outcome) {
            Some(code) => self.fail(line, code, head.at, 0),
            None if outcome == Outcome::Nak => self.wait(),
            None => self.acknowledge(line, head),
        }
    }

    fn acknowledge(&mut self, line: &Line<'_>, head: Fetched) -> Step {
        self.stage = Stage::Idle;
        self.complete(line, head, 0);
        Step::Done
    }

    fn wait(&mut self) -> Step {
        self.progress.asked = true;
        Step::Waiting
    }
}

/// The request in a Setup Stage TRB: eight bytes of immediate data. xHCI 1.2, 6.4.1.2.1.
fn setup(trb: Trb) -> Option<Setup> {
    let valid = trb.has_immediate_data() && trb.status & 0x1_ffff == 8;
    valid.then(|| Setup::from_bytes(trb.parameter.to_le_bytes()))
}

fn ask(line: &mut Line<'_>, setup: Setup, data: &mut Data<'_>) -> Outcome {
    match (&mut line.device, line.link) {
        // Address Device does that. xHCI 1.2, 4.6.5.
        (Some(_), Link::Up) if setup.request_type == 0 && setup.request == request::SET_ADDRESS => {
            Outcome::Stall
        }
        (Some(device), Link::Up) => device.control(setup, data),
        _ => Outcome::Gone,
    }
}
