//! An endpoint: its ring, how far the transfer at its head has come, and the events that tell of it.

use std::time::Duration;

use crate::xhci::port::Link;
use crate::xhci::ring::{Fetched, Ring};
use crate::xhci::shared::Shared;
use crate::xhci::spec::Code;
use crate::xhci::spec::context::{EndpointContext, EndpointKind, EndpointState, endpoint_address};
use crate::xhci::spec::trb::{Event, kind};
use crate::xhci::state::MICROFRAME;
use crate::{Direction, EndpointAddress, Outcome, Setup, UsbDevice};

use super::contexts::Contexts;

/// Steps in one turn, so that every endpoint gets its share.
const STEPS: usize = 16;
/// Steps that one doorbell pays for. No driver queues so many; a ring without an end would not stop otherwise.
const CREDIT: u32 = 1 << 16;
/// The longest interval, in powers of two of a microframe. xHCI 1.2, table 6-12.
const MAX_INTERVAL: u32 = 15;

/// What an endpoint needs of the rest of the controller.
pub(super) struct Line<'a> {
    pub(super) shared: &'a Shared,
    pub(super) slot: u8,
    /// Address of the device context.
    pub(super) context: u64,
    pub(super) link: Link,
    pub(super) device: Option<&'a mut (dyn UsbDevice + 'a)>,
    pub(super) pace: Pace,
}

/// What devices may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Transfers that need no waiting: a vCPU's thread asks.
    AtOnce,
    /// Everything.
    Any,
}

/// What came of serving an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// Nothing to do before a doorbell, news of the device, or room for events.
    Idle,
    /// More at once.
    More,
    /// More at this time.
    Until(Duration),
}

/// What came of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Something was done; there may be more.
    Done,
    /// The ring is empty, or the endpoint is not running any more.
    Drained,
    /// The device has nothing now.
    Waiting,
    /// The device may take its time, which this thread has not.
    TooSlow,
    /// Not before this time.
    NotBefore(Duration),
}

/// How far the transfer at the head of the ring has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Some of its TRBs are done.
    pub(super) begun: bool,
    /// The device was offered it, and keeps it waiting.
    pub(super) asked: bool,
    /// Bytes moved of the TRB at the head.
    pub(super) offset: u32,
    /// Bytes moved since the last Event Data TRB: EDTLA. xHCI 1.2, 4.11.5.2.
    pub(super) moved: u32,
    /// It ended early, with this code; the rest of its TRBs is passed over.
    pub(super) ended: Option<Code>,
    /// The driver knows how it ended.
    pub(super) reported: bool,
}

/// Where a control endpoint stands between its stages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// A setup stage comes next.
    #[default]
    Idle,
    /// The request is known; data or status comes next.
    Requested(Setup),
    /// The device acknowledged; the status stage says so.
    Acknowledged,
}

/// An enabled endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// Device context index.
    index: u8,
    pub(super) kind: EndpointKind,
    pub(super) address: EndpointAddress,
    state: EndpointState,
    pub(super) ring: Ring,
    pub(super) progress: Progress,
    pub(super) stage: Stage,
    interval: Duration,
    pub(super) not_before: Duration,
    /// There may be something to do.
    kicked: bool,
    /// The device, or the link, has to tell first.
    waiting: bool,
    /// Steps left.
    credit: u32,
}

impl Endpoint {
    /// The endpoint that a driver describes, running; none if the description makes no sense for this index.
    pub(super) fn new(index: u8, context: EndpointContext) -> Option<Self> {
        let address = endpoint_address(index);
        let (kind, direction) = context.kind()?;
        let fits = match direction {
            None => index == 1,
            Some(direction) => index > 1 && direction == address.direction(),
        };
        if !fits || context.wants_streams() || context.max_packet() == 0 {
            return None;
        }
        Some(Self {
            index,
            kind,
            address,
            state: EndpointState::Running,
            ring: Ring::from_pointer(context.dequeue()),
            progress: Progress::default(),
            stage: Stage::Idle,
            interval: MICROFRAME * (1 << context.interval().min(MAX_INTERVAL)),
            not_before: Duration::ZERO,
            kicked: false,
            waiting: false,
            credit: 0,
        })
    }

    pub(super) fn state(&self) -> EndpointState {
        self.state
    }

    /// A transfer is in the middle.
    pub(super) fn is_busy(&self) -> bool {
        self.progress.begun || self.progress.asked || self.progress.offset > 0
    }

    /// Whether it is to be served.
    pub(super) fn is_kicked(&self) -> bool {
        self.kicked && self.state == EndpointState::Running
    }

    /// The driver rang. xHCI 1.2, 4.7: a stopped endpoint runs again, a halted one does not.
    pub(super) fn kick(&mut self, shared: &Shared, context: u64) {
        if self.state == EndpointState::Stopped {
            self.set_state(shared, context, EndpointState::Running);
        }
        self.credit = CREDIT;
        self.kicked = !self.waiting;
    }

    /// The device has news.
    pub(super) fn ask_again(&mut self) {
        self.kicked |= std::mem::take(&mut self.waiting);
    }

    /// Changes the state, also where the driver sees it.
    pub(super) fn set_state(&mut self, shared: &Shared, context: u64, state: EndpointState) {
        self.state = state;
        Contexts::device(shared, context).show(self.index, state, self.ring.pointer());
    }

    /// Takes another place in the ring; what was at the head is forgotten. Says whether the device has to forget it too.
    pub(super) fn set_ring(&mut self, ring: Ring) -> bool {
        let asked = self.progress.asked;
        self.ring = ring;
        self.progress = Progress::default();
        self.stage = Stage::Idle;
        self.waiting = false;
        asked
    }

    /// Stops in the middle of whatever it does. xHCI 1.2, 4.6.9.
    pub(super) fn stop(&mut self, shared: &Shared, slot: u8, context: u64) {
        if self.is_busy()
            && let Ok(Some(head)) = self.ring.peek(&shared.memory)
        {
            let left = head.trb.len().saturating_sub(self.progress.offset);
            let event = Event::transfer(slot, self.index, head.at, Code::Stopped, left);
            shared.lock().emit(&shared.memory, head.trb.interrupter(), event);
        }
        self.kicked = false;
        self.waiting = false;
        self.set_state(shared, context, EndpointState::Stopped);
    }

    /// Works off the ring, a bounded part of it.
    pub(super) fn serve(&mut self, mut line: Line<'_>) -> Served {
        if line.link == Link::Suspended {
            (self.kicked, self.waiting) = (false, true);
            return Served::Idle;
        }
        for _ in 0..STEPS {
            let Some(credit) = self.credit.checked_sub(1) else {
                self.kicked = false;
                return Served::Idle;
            };
            self.credit = credit;
            if self.is_congested(line.shared) {
                return Served::Idle;
            }
            match self.step(&mut line) {
                Step::Done if self.state == EndpointState::Running => {}
                Step::Done => return Served::Idle,
                Step::Drained => {
                    self.kicked = false;
                    self.starve(&line);
                    return Served::Idle;
                }
                Step::Waiting => {
                    (self.kicked, self.waiting) = (false, true);
                    return Served::Idle;
                }
                Step::TooSlow => return Served::More,
                Step::NotBefore(at) => return Served::Until(at),
            }
        }
        Served::More
    }

    /// The ring of an isochronous endpoint ran empty, once for each doorbell. xHCI 1.2, 4.10.3.1.
    fn starve(&self, line: &Line<'_>) {
        let code = match self.address.direction() {
            Direction::Out => Code::RingUnderrun,
            Direction::In => Code::RingOverrun,
        };
        if self.kind == EndpointKind::Isochronous {
            let event = Event::transfer(line.slot, self.index, 0, code, 0);
            line.shared.lock().emit(&line.shared.memory, 0, event);
        }
    }

    /// Whether the events of the next transfer would have to wait.
    fn is_congested(&self, shared: &Shared) -> bool {
        let head = self.ring.peek(&shared.memory).ok().flatten();
        shared.lock().is_congested(head.map_or(0, |head| head.trb.interrupter()))
    }

    fn step(&mut self, line: &mut Line<'_>) -> Step {
        if self.progress.ended.is_some() {
            return self.pass_over(line);
        }
        match self.kind {
            EndpointKind::Control if line.pace == Pace::AtOnce => Step::TooSlow,
            EndpointKind::Control => self.step_control(line),
            _ => self.step_transfer(line),
        }
    }

    /// Passes over what is left of a transfer that ended early.
    fn pass_over(&mut self, line: &Line<'_>) -> Step {
        for _ in 0..super::window::MAX_TRBS {
            match self.ring.peek(&line.shared.memory) {
                Ok(Some(next)) => self.complete(line, next, next.trb.len()),
                Ok(None) => return Step::Drained,
                Err(broken) => return self.fail(line, Code::TrbError, broken.at, 0),
            }
            if self.progress.ended.is_none() {
                break;
            }
        }
        Step::Done
    }

    /// A TRB is done with `left` bytes not moved. xHCI 1.2, 4.10.1.
    pub(super) fn complete(&mut self, line: &Line<'_>, next: Fetched, left: u32) {
        let trb = next.trb;
        self.progress.moved = self.progress.moved.wrapping_add(trb.len() - left);
        let code = self.progress.ended.unwrap_or(Code::Success);
        let early = self.progress.ended.is_some();
        if trb.kind() == kind::EVENT_DATA {
            let moved = std::mem::take(&mut self.progress.moved) & 0xff_ffff;
            if trb.interrupts_on_completion() {
                self.report(
                    line,
                    next,
                    Event::transfer(line.slot, self.index, trb.parameter, code, moved).with_event_data(),
                );
            }
        } else if !self.progress.reported
            && (trb.interrupts_on_completion() || early && trb.interrupts_on_short())
        {
            self.progress.reported = early;
            self.report(line, next, Event::transfer(line.slot, self.index, next.at, code, left));
        }
        self.ring = next.after;
        self.progress = match trb.chained() {
            true => Progress { begun: true, asked: false, offset: 0, ..self.progress },
            false => Progress::default(),
        };
        if !trb.chained() && self.kind.is_periodic() {
            self.not_before = line.shared.now() + self.interval;
        }
    }

    fn report(&self, line: &Line<'_>, of: Fetched, event: Event) {
        let event = Event { silent: of.trb.blocks_interrupt(), ..event };
        line.shared.lock().emit(&line.shared.memory, of.trb.interrupter(), event);
    }

    /// The transfer at the head fails, and with it the endpoint. xHCI 1.2, 4.10.2.
    pub(super) fn fail(&mut self, line: &Line<'_>, code: Code, at: u64, left: u32) -> Step {
        let state = match code {
            Code::TrbError => EndpointState::Error,
            _ => EndpointState::Halted,
        };
        let interrupter = line.shared.memory.trb(at).map_or(0, |trb| trb.interrupter());
        let event = Event::transfer(line.slot, self.index, at, code, left);
        line.shared.lock().emit(&line.shared.memory, interrupter, event);
        self.stage = Stage::Idle;
        self.kicked = false;
        self.set_state(line.shared, line.context, state);
        Step::Done
    }
}

/// The code of a transfer that a device did not do.
pub(super) fn failure(outcome: Outcome) -> Option<Code> {
    match outcome {
        Outcome::Done | Outcome::Nak => None,
        Outcome::Stall => Some(Code::Stall),
        Outcome::Babble => Some(Code::Babble),
        Outcome::Gone => Some(Code::TransactionError),
    }
}
