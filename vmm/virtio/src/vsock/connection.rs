//! One stream between the guest and a Unix socket.

use std::io::{ErrorKind, Read as _, Write as _};
use std::num::Wrapping;
use std::os::unix::net::UnixStream;

use super::spec::{Header, SHUTDOWN_BOTH, op};

/// Bytes of the guest's that wait for the host's side at most.
pub(super) const ROOM: u32 = 256 << 10;
/// The longest line with which a client says which port it wants.
const LINE: usize = 32;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A client of the host's has not said yet which port it wants.
    Asked,
    /// The guest has been asked, and has not answered.
    Requested,
    /// Data flows.
    Open,
    /// Nothing more; the guest is to be told.
    Reset,
    /// Nothing more, and the guest knows.
    Gone,
}

/// One stream.
pub(super) struct Connection {
    pub(super) phase: Phase,
    /// Host's port and guest's port, once the guest is to know of it.
    pub(super) ports: Option<(u32, u32)>,
    /// It has its turn to speak.
    pub(super) queued: bool,
    stream: UnixStream,
    /// From the guest, and not yet taken by the host's side.
    outgoing: Vec<u8>,
    /// What the client has said so far.
    line: Vec<u8>,
    /// Bytes taken from the guest: ours to count.
    taken: Wrapping<u32>,
    /// The same when the guest was last told.
    told: Wrapping<u32>,
    /// Bytes given to the guest, its room, and what it took out of there.
    given: Wrapping<u32>,
    room: u32,
    forwarded: Wrapping<u32>,
    /// An answer that is due.
    answer: Option<u16>,
    /// The guest sends no more: to be passed on behind the data.
    ending: bool,
}

impl Connection {
    pub(super) fn new(stream: UnixStream, phase: Phase) -> Self {
        let answer = (phase == Phase::Open).then_some(op::RESPONSE);
        Self {
            phase,
            ports: None,
            queued: false,
            stream,
            outgoing: Vec::new(),
            line: Vec::new(),
            taken: Wrapping(0),
            told: Wrapping(0),
            given: Wrapping(0),
            room: 0,
            forwarded: Wrapping(0),
            answer,
            ending: false,
        }
    }

    /// Takes note of what the guest says as it asks for a connection.
    pub(super) fn welcome(&mut self, header: &Header) {
        self.room = header.buf_alloc.get();
        self.forwarded = Wrapping(header.fwd_cnt.get());
    }

    /// Reads the line `CONNECT port`; returns the port when it is there.
    pub(super) fn asked_port(&mut self) -> Option<u32> {
        let mut byte = [0];
        while self.line.len() < LINE {
            match self.stream.read(&mut byte) {
                Ok(1) if byte == *b"\n" => return self.parse_line(),
                Ok(1) => self.line.extend(byte),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        self.phase = Phase::Reset;
        None
    }

    fn parse_line(&mut self) -> Option<u32> {
        let port = std::str::from_utf8(&self.line).ok().and_then(|line| line.strip_prefix("CONNECT "));
        let port = port.and_then(|port| port.trim_end_matches('\r').parse().ok());
        self.phase = if port.is_some() { Phase::Requested } else { Phase::Reset };
        self.answer = port.is_some().then_some(op::REQUEST);
        port
    }

    /// Takes a packet of the guest's. `port` is what the client is told on success.
    pub(super) fn hear(&mut self, header: &Header, data: &[u8], port: u32) {
        self.room = header.buf_alloc.get();
        self.forwarded = Wrapping(header.fwd_cnt.get());
        match (header.op.get(), self.phase) {
            (op::RESPONSE, Phase::Requested) => {
                let greeting = format!("OK {port}\n"); // the first bytes on this socket, for which there is room
                let greeted = self.stream.write_all(greeting.as_bytes());
                self.phase = if greeted.is_ok() { Phase::Open } else { Phase::Reset };
            }
            (op::RW, Phase::Open) if self.outgoing.len() + data.len() <= ROOM as usize => {
                self.outgoing.extend_from_slice(data);
                self.taken += data.len() as u32;
            }
            (op::CREDIT_UPDATE, Phase::Open | Phase::Requested) => {}
            (op::CREDIT_REQUEST, Phase::Open) => self.answer = Some(op::CREDIT_UPDATE),
            (op::SHUTDOWN, Phase::Open) if header.flags.get() & SHUTDOWN_BOTH == SHUTDOWN_BOTH => {
                self.ending = true;
            }
            (op::SHUTDOWN, Phase::Open) => {}
            (op::RST, _) => self.phase = Phase::Gone,
            _ => self.phase = Phase::Reset,
        }
        self.flush();
    }

    /// Passes on what waits for the host's side.
    pub(super) fn flush(&mut self) {
        while !self.outgoing.is_empty() && self.phase == Phase::Open {
            match self.stream.write(&self.outgoing) {
                Ok(count) => _ = self.outgoing.drain(..count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.phase = Phase::Reset,
            }
        }
        if self.ending && self.phase == Phase::Open {
            self.phase = Phase::Reset;
        }
    }

    /// The next packet to the guest, if there is one: what it is for, with its data in `data`.
    pub(super) fn speak(&mut self, data: &mut [u8]) -> Option<(u16, usize)> {
        if self.phase == Phase::Reset {
            return Some((op::RST, 0));
        }
        if let Some(answer) = self.answer.take() {
            return Some((answer, 0));
        }
        if self.phase != Phase::Open {
            return None;
        }
        if let Some(len) = self.read(data) {
            return Some((op::RW, len));
        }
        match self.phase {
            Phase::Reset => Some((op::RST, 0)),
            // The guest waits for room from half of it on.
            _ if (self.forwarded_to_host() - self.told).0 >= ROOM / 2 => Some((op::CREDIT_UPDATE, 0)),
            _ => None,
        }
    }

    /// Reads what the host's side has, as much as the guest has room for.
    fn read(&mut self, data: &mut [u8]) -> Option<usize> {
        let credit = self.room.saturating_sub((self.given - self.forwarded).0) as usize;
        let room = data.len().min(credit);
        if room == 0 {
            return None;
        }
        match self.stream.read(data.get_mut(..room)?) {
            Ok(0) => self.phase = Phase::Reset,
            Ok(len) => {
                self.given += len as u32;
                return Some(len);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.phase = Phase::Reset,
        }
        None
    }

    /// Bytes of the guest's that the host's side has taken.
    fn forwarded_to_host(&self) -> Wrapping<u32> {
        self.taken - Wrapping(self.outgoing.len() as u32)
    }

    /// Tells the guest of our room, in the packet that goes out now.
    pub(super) fn credit(&mut self) -> (u32, u32) {
        self.told = self.forwarded_to_host();
        (ROOM, self.told.0)
    }
}
