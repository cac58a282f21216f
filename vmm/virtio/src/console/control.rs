//! The talk about ports. virtio 1.2, 5.3.6.2.

use std::collections::VecDeque;

use zerocopy::{FromBytes as _, IntoBytes as _};

use super::Kind;
use super::port::Port;
use super::spec::{MESSAGE_LEN, Message, event};
use crate::{Broken, Requests};

/// Most messages that wait for a driver that asks and does not listen; what it says beyond that has no answer.
const MOST: usize = 256;

/// What is to be said to the driver.
#[derive(Debug, Default)]
pub(super) struct Control {
    waiting: VecDeque<Vec<u8>>,
}

impl Control {
    /// Takes a message of the driver's, and ignores one without a meaning. Returns the port that somebody has opened.
    pub(super) fn hear(&mut self, bytes: [u8; MESSAGE_LEN], ports: &mut [Port]) -> Option<u32> {
        let message = Message::read_from_bytes(&bytes).unwrap_or_default();
        let id = message.id.get();
        let agrees = message.value.get() == 1;
        match (message.event.get(), ports.get_mut(id as usize)) {
            (event::DEVICE_READY, _) if agrees => {
                (0..ports.len() as u32).for_each(|id| self.say(id, event::DEVICE_ADD, 1, b""));
            }
            (event::PORT_READY, Some(port)) if agrees => self.introduce(id, port),
            (event::PORT_OPEN, Some(port)) => {
                port.set_open(agrees);
                return Some(id);
            }
            _ => {}
        }
        None
    }

    /// Says what the driver wants to know of a port.
    fn introduce(&mut self, id: u32, port: &mut Port) {
        match port.kind() {
            Kind::Console => self.say(id, event::CONSOLE_PORT, 1, b""),
            Kind::Named(name) => self.say(id, event::PORT_NAME, 1, name.as_bytes()),
        }
        self.tell_open(id, port);
    }

    /// Says whether somebody is at the host's end of a port.
    pub(super) fn tell_open(&mut self, id: u32, port: &Port) {
        self.say(id, event::PORT_OPEN, port.is_connected().into(), b"");
    }

    fn say(&mut self, id: u32, event: u16, value: u16, text: &[u8]) {
        if self.waiting.len() < MOST {
            let message = Message { id: id.into(), event: event.into(), value: value.into() };
            self.waiting.push_back([message.as_bytes(), text].concat());
        }
    }

    /// Delivers what is to be said, as far as the driver has room.
    pub(super) fn speak(&mut self, requests: &mut Requests<'_>) -> Result<(), Broken> {
        while let Some(message) = self.waiting.front() {
            let Some(request) = requests.next()? else { break };
            let len = request.chain.writable.copy_from(message);
            requests.complete(&request, len as u32)?;
            self.waiting.pop_front();
        }
        Ok(())
    }
}
