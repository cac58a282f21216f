//! One client: what it sent in, what it is sent out.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::commands::{self, Machine, NEGOTIATE};
use super::event::event;
use super::framing::{Found, Framing};
use super::protocol::{Arguments, QmpError, Request, greeting, reply, request};
use crate::machine::remote::Notice;

/// Replies that a client may leave unread before it is no longer read itself.
const FULL: usize = 256 << 10;
/// Events that a client may leave unread before it counts as gone.
const GONE: usize = 1 << 20;

/// A client's state.
pub(super) struct Session {
    input: Framing,
    output: Vec<u8>,
    negotiated: bool,
}

impl Session {
    /// A client that is greeted.
    pub(super) fn new() -> Self {
        let mut session = Self { input: Framing::default(), output: Vec::new(), negotiated: false };
        session.send(&greeting());
        session
    }

    /// Takes in what the client sent, and carries out the requests that are complete.
    pub(super) fn receive(&mut self, bytes: &[u8], machine: &mut dyn Machine) {
        self.input.push(bytes);
        while let Some(found) = self.input.next() {
            let (id, result) = match found {
                Found::Value(value) => {
                    let (id, request) = request(value);
                    (id, request.and_then(|request| self.execute(request, machine)))
                }
                Found::Garbage(what) => {
                    (None, Err(QmpError::generic(format!("Invalid JSON syntax: {what}"))))
                }
            };
            for notice in machine.news() {
                self.tell(notice);
            }
            self.send(&reply(id, result));
        }
    }

    fn execute(&mut self, request: Request, machine: &mut dyn Machine) -> Result<Value, QmpError> {
        match (request.command.as_str(), self.negotiated) {
            (NEGOTIATE, false) => {
                self.negotiate(request.arguments)?;
                Ok(json!({}))
            }
            (NEGOTIATE, true) => {
                Err(QmpError::generic("Capabilities negotiation is already complete, command ignored"))
            }
            (_, false) => Err(QmpError::negotiate()),
            (_, true) => commands::execute(machine, request),
        }
    }

    /// There is nothing to agree on: no capability was offered.
    fn negotiate(&mut self, mut arguments: Arguments) -> Result<(), QmpError> {
        arguments.no_capabilities("enable")?;
        arguments.finish()?;
        self.negotiated = true;
        Ok(())
    }

    /// Tells the client what happened. False if it is to be dropped, because it reads nothing.
    pub(super) fn tell(&mut self, notice: Notice) -> bool {
        if let Some(event) = event(notice, SystemTime::now()).filter(|_| self.negotiated) {
            self.send(&event);
        }
        self.output.len() <= GONE
    }

    fn send(&mut self, value: &Value) {
        self.output.extend_from_slice(value.to_string().as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    /// Whether the client may be read: it reads what it is sent.
    pub(super) fn may_receive(&self) -> bool {
        self.output.len() < FULL
    }

    /// What is to be sent.
    pub(super) fn output(&self) -> &[u8] {
        &self.output
    }

    /// The first `bytes` of the output have been sent.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.output.drain(..bytes.min(self.output.len()));
    }
}
