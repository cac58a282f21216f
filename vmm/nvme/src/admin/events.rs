//! Asynchronous events. NVMe 1.4, 5.2.

use std::collections::VecDeque;

use super::features::Features;
use crate::doorbell::Refusal;
use crate::queue::Outcome;
use crate::spec::command::Command;
use crate::spec::log;
use crate::spec::status::Status;

/// AERL: requests that may wait, less one.
pub(super) const LIMIT: u8 = 3;

/// What kind of event: no second of a kind is sent before the driver has read the log of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Error = 0,
    Health = 1,
    Notice = 2,
}

/// An event as DW0 of a completion has it.
#[derive(Clone, Copy, Debug)]
struct Event {
    kind: Kind,
    information: u8,
    log: u8,
}

/// SMART status: temperature threshold.
const TEMPERATURE: Event = Event { kind: Kind::Health, information: 1, log: log::id::HEALTH };

/// Notice: namespace attribute changed.
const NAMESPACE: Event = Event { kind: Kind::Notice, information: 0, log: log::id::CHANGED_NAMESPACES };

impl Event {
    fn result(self) -> u32 {
        self.kind as u32 | u32::from(self.information) << 8 | u32::from(self.log) << 16
    }
}

/// Events of one kind.
#[derive(Default)]
struct Channel {
    /// What waits to be told; a later event of the same kind adds nothing.
    waiting: Option<Event>,
    /// An event was told, and the driver has not read its log since.
    masked: bool,
}

impl Channel {
    fn is_open(&self) -> bool {
        self.waiting.is_some() && !self.masked
    }
}

/// Events to tell of, and requests to tell them by.
#[derive(Default)]
pub(super) struct Events {
    /// Ids of waiting Asynchronous Event Requests.
    requests: VecDeque<u16>,
    /// Requests that were aborted.
    aborted: VecDeque<u16>,
    error: Channel,
    health: Channel,
    notice: Channel,
}

impl Events {
    /// A request waits for an event.
    pub(super) fn request(&mut self, command: &Command) -> Result<(), Status> {
        if self.requests.len() > usize::from(LIMIT) {
            return Err(Status::EVENT_LIMIT_EXCEEDED);
        }
        self.requests.push_back(command.id.get());
        Ok(())
    }

    /// Takes request `id` back, if it waits.
    pub(super) fn abort(&mut self, id: u16) -> bool {
        let place = self.requests.iter().position(|request| *request == id);
        let aborted = place.and_then(|place| self.requests.remove(place));
        self.aborted.extend(aborted);
        aborted.is_some()
    }

    /// A doorbell was refused.
    pub(super) fn refused(&mut self, refusal: Refusal) {
        self.post(Event { kind: Kind::Error, information: refusal as u8, log: log::id::ERROR });
    }

    /// The temperature is beyond a threshold; tells of it if the driver wants to know.
    pub(super) fn too_warm(&mut self, features: &Features) {
        if features.wants_temperature_events() {
            self.post(TEMPERATURE);
        }
    }

    /// The namespace changed; tells of it if the driver wants to know.
    pub(super) fn namespace_changed(&mut self, features: &Features) {
        if features.wants_namespace_events() {
            self.post(NAMESPACE);
        }
    }

    /// The driver read log `id` without asking that its events stay masked.
    pub(super) fn log_read(&mut self, id: u8) {
        match id {
            log::id::ERROR => self.error.masked = false,
            log::id::HEALTH => self.health.masked = false,
            log::id::CHANGED_NAMESPACES => self.notice.masked = false,
            _ => {}
        }
    }

    /// A request that completes now.
    pub(super) fn complete(&mut self) -> Option<(u16, Outcome)> {
        if let Some(id) = self.aborted.pop_front() {
            return Some((id, Err(Status::ABORT_REQUESTED)));
        }
        let channels = [&mut self.error, &mut self.health, &mut self.notice];
        let channel = channels.into_iter().find(|channel| channel.is_open())?;
        let id = self.requests.pop_front()?;
        channel.masked = true;
        channel.waiting.take().map(|event| (id, Ok(event.result())))
    }

    fn post(&mut self, event: Event) {
        let channel = match event.kind {
            Kind::Error => &mut self.error,
            Kind::Health => &mut self.health,
            Kind::Notice => &mut self.notice,
        };
        channel.waiting.get_or_insert(event);
    }
}
