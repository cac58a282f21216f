//! Bulk, interrupt and isochronous transfers. xHCI 1.2, 4.11.2.

use std::time::Duration;

use crate::xhci::port::Link;
use crate::xhci::ring::Fetched;
use crate::xhci::spec::Code;
use crate::xhci::spec::context::EndpointKind;
use crate::xhci::spec::trb::Trb;
use crate::xhci::state::MICROFRAME;
use crate::{Data, Direction, Outcome};

use super::endpoint::{Endpoint, Line, Pace, Step, failure};
use super::window::{Window, is_transfer};

/// Microframes in a frame.
const FRAME: u32 = 8;
/// Frames by which a transfer may be ahead of its time. xHCI 1.2, 4.11.2.5.
const FRAMES_AHEAD: u32 = 895;

/// When an isochronous transfer is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Now,
    At(Duration),
    Missed,
}

impl Endpoint {
    /// The next window of the transfer at the head.
    pub(super) fn step_transfer(&mut self, line: &mut Line<'_>) -> Step {
        let shared = line.shared;
        let window =
            Window::gather(&shared.memory, self.ring, self.progress.offset, self.address.direction());
        let Some(head) = window.trbs.first() else {
            return match window.broken {
                Some(at) => self.fail(line, Code::TrbError, at, 0),
                None => Step::Drained,
            };
        };
        match self.slot(line, head.trb) {
            Slot::Now => {}
            Slot::At(time) => return Step::NotBefore(time),
            Slot::Missed => {
                self.progress.ended = Some(Code::MissedService);
                return Step::Done;
            }
        }
        match self.ask(line, &window) {
            Some((outcome, moved)) => self.account(line, &window, outcome, moved),
            None => Step::TooSlow,
        }
    }

    /// Has the device move the window; returns how much it did. None if it takes longer than this thread has time.
    fn ask(&self, line: &mut Line<'_>, window: &Window<'_>) -> Option<(Outcome, usize)> {
        if !window.has_transfer() || (window.len == 0 && self.progress.begun) {
            return Some((Outcome::Done, 0));
        }
        let mut data = Data::new(self.address.direction(), &window.slices);
        let outcome = match (&mut line.device, line.link, line.pace) {
            (Some(device), Link::Up, Pace::AtOnce) => device.transfer_at_once(self.address, &mut data)?,
            (Some(device), Link::Up, Pace::Any) => device.transfer(self.address, &mut data),
            _ => Outcome::Gone,
        };
        Some(match (outcome, data.direction()) {
            (Outcome::Done, Direction::Out) => (outcome, window.len),
            _ if self.kind == EndpointKind::Isochronous => (Outcome::Done, data.moved()), // no handshakes there
            _ => (outcome, data.moved()),
        })
    }

    /// Completes the TRBs whose bytes have all moved, and looks what became of the next.
    pub(super) fn account(
        &mut self,
        line: &Line<'_>,
        window: &Window<'_>,
        outcome: Outcome,
        moved: usize,
    ) -> Step {
        let (mut moved, error) = (moved, failure(outcome));
        if outcome == Outcome::Nak && window.len == 0 {
            self.progress.asked = true;
            return Step::Waiting;
        }
        for &next in &window.trbs {
            let wanted = (next.trb.len() - self.progress.offset) as usize;
            // A refusal between two TRBs belongs to the earlier one, which the device did not acknowledge.
            let whole =
                if error.is_some() { moved > wanted || !is_transfer(next.trb) } else { moved >= wanted };
            if !whole {
                return self.end(line, next, outcome, moved as u32);
            }
            moved -= wanted;
            self.complete(line, next, 0);
        }
        Step::Done
    }

    /// The transfer stops in this TRB, of which the device moved `moved` more bytes.
    fn end(&mut self, line: &Line<'_>, next: Fetched, outcome: Outcome, moved: u32) -> Step {
        self.progress.offset += moved;
        let left = next.trb.len() - self.progress.offset;
        match (outcome, failure(outcome)) {
            (_, Some(code)) => self.fail(line, code, next.at, left),
            (Outcome::Nak, None) => {
                self.progress.asked = true;
                Step::Waiting
            }
            (_, None) => {
                self.progress.ended = Some(Code::ShortPacket);
                self.complete(line, next, left);
                Step::Done
            }
        }
    }

    /// When a transfer that begins with `trb` is due; in the middle of one, now.
    fn slot(&self, line: &Line<'_>, trb: Trb) -> Slot {
        let now = line.shared.now();
        if !self.kind.is_periodic() || self.is_busy() {
            Slot::Now
        } else if self.kind == EndpointKind::Isochronous && !trb.starts_asap() {
            frame_slot(line.shared.lock().mfindex(now), trb.frame(), now)
        } else if self.not_before > now {
            Slot::At(self.not_before)
        } else {
            Slot::Now
        }
    }
}

/// When `frame` is, seen from the microframe `mfindex`, which is `now`. xHCI 1.2, 4.11.2.5.
fn frame_slot(mfindex: u32, frame: u32, now: Duration) -> Slot {
    match frame.wrapping_sub(mfindex / FRAME) & 0x7ff {
        0 => Slot::Now,
        ahead if ahead <= FRAMES_AHEAD => Slot::At(now + MICROFRAME * (ahead * FRAME - mfindex % FRAME)),
        _ => Slot::Missed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_now_ahead_or_missed() {
        let now = Duration::from_secs(1);
        assert_eq!(frame_slot(0x3fff, 0x7ff, now), Slot::Now);
        assert_eq!(frame_slot(0x3fff, 0, now), Slot::At(now + MICROFRAME));
        assert_eq!(frame_slot(80, 905, now), Slot::At(now + Duration::from_millis(895)));
        assert_eq!(frame_slot(80, 906, now), Slot::Missed);
        assert_eq!(frame_slot(80, 9, now), Slot::Missed);
    }
}
