//! virtio-vsock: streams between the guest and Unix sockets of the host's. virtio 1.2, 5.10.
//!
//! ```text
//!  client ── connect PATH, "CONNECT 22\n" ──► guest's port 22; the client reads "OK PORT\n" when somebody listens there
//!  guest  ── connect to CID 2, port 9999 ────► whoever listens at PATH_9999
//! ```
//!
//! Each side may have as many bytes under way as the other has room for. A guest that sends more loses its connection.
//! Left out: sockets that keep messages apart (SEQPACKET), and shutting down one direction.

mod connection;
mod spec;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::event::epoll;
use zerocopy::little_endian::U64;
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::{Broken, Chain, Requests, VirtioDevice};

use connection::{Connection, Phase};
use spec::{HEADER_LEN, HOST_CID, Header, RECEIVE, STREAM, TRANSMIT, op};

/// Most connections; the guest's memory does not pay for them.
const MOST: usize = 4096;
/// Most refusals that wait for a driver that asks and does not listen.
const MOST_REFUSALS: usize = 1024;
/// Bytes of data in a packet at most, as Linux has them.
const PART: usize = 64 << 10;
/// Where the ports of clients begin that come from the host.
const FIRST_PORT: u32 = 1 << 30;
/// Stands for the listening socket, where connections have their number.
const LISTENER: u64 = u64::MAX;

/// Host's port and guest's port.
type Ports = (u32, u32);

/// A virtio socket device.
pub struct Vsock {
    // Fixed.
    cid: U64,
    path: PathBuf,
    // Glue.
    listener: UnixListener,
    events: OwnedFd,
    // Volatile.
    /// By a number that is never used again.
    connections: BTreeMap<u64, Connection>,
    /// Those that the guest knows by their ports.
    known: BTreeMap<Ports, u64>,
    next_number: u64,
    next_port: u32,
    /// Connections that may have something for the guest, each once.
    ready: VecDeque<u64>,
    /// Ports of packets that belong to no connection.
    refused: VecDeque<Ports>,
    buffer: Vec<u8>,
}

impl Vsock {
    /// A device for the guest of address `cid`, from 3 on, whose clients come through `listener`, which is at `path`.
    ///
    /// # Errors
    /// The host has no more descriptors.
    pub fn new(cid: u32, listener: UnixListener, path: &Path) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&events, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
        Ok(Self {
            cid: u64::from(cid).into(),
            // The process's folder may be another one later.
            path: std::path::absolute(path).unwrap_or_else(|_| path.into()),
            listener,
            events,
            connections: BTreeMap::new(),
            known: BTreeMap::new(),
            next_number: 0,
            next_port: FIRST_PORT,
            ready: VecDeque::new(),
            refused: VecDeque::new(),
            buffer: vec![0; PART],
        })
    }

    /// Takes every client that has come.
    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            if self.connections.len() < MOST {
                // A client that cannot be watched is gone at once, and sees that.
                let _ = self.add(stream, Phase::Asked);
            }
        }
    }

    fn add(&mut self, stream: UnixStream, phase: Phase) -> io::Result<u64> {
        stream.set_nonblocking(true)?;
        let number = self.next_number;
        let interest = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&self.events, &stream, epoll::EventData::new_u64(number), interest)?;
        self.next_number += 1;
        self.connections.insert(number, Connection::new(stream, phase));
        self.queue(number);
        Ok(number)
    }

    /// Gives a connection its turn to speak, behind the others.
    fn queue(&mut self, number: u64) {
        if let Some(connection) = self.connections.get_mut(&number)
            && !std::mem::replace(&mut connection.queued, true)
        {
            self.ready.push_back(number);
        }
    }

    /// Something happened to a connection on the host's side.
    fn stir(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        if connection.phase == Phase::Asked {
            if let Some(guest_port) = connection.asked_port() {
                let ports = (self.next_port, guest_port);
                connection.ports = Some(ports);
                self.known.insert(ports, number);
                self.next_port = self.next_port.wrapping_add(1).max(FIRST_PORT);
            } else if connection.phase == Phase::Reset {
                self.connections.remove(&number); // the guest never knew
                return;
            } else {
                return;
            }
        }
        connection.flush();
        self.queue(number);
    }

    /// Takes a packet of the guest's.
    fn hear(&mut self, chain: &Chain<'_>) {
        let mut bytes = [0; HEADER_LEN];
        let header_len = chain.readable.copy_to(&mut bytes);
        let header = Header::read_from_bytes(&bytes).unwrap_or_default();
        let len = header.len.get() as usize;
        let whole = header_len == HEADER_LEN && chain.readable.len() == (HEADER_LEN + len) as u64;
        if !whole || len > PART || header.src_cid != self.cid {
            return;
        }
        let mut packet = vec![0; HEADER_LEN + len];
        chain.readable.copy_to(&mut packet);
        self.handle(&header, packet.get(HEADER_LEN..).unwrap_or_default());
    }

    fn handle(&mut self, header: &Header, data: &[u8]) {
        let ports = (header.dst_port.get(), header.src_port.get());
        let is_ours = header.dst_cid.get() == HOST_CID && header.kind.get() == STREAM;
        let number = self.known.get(&ports).copied().filter(|_| is_ours);
        match (number, header.op.get()) {
            (Some(number), _) => {
                if let Some(connection) = self.connections.get_mut(&number) {
                    connection.hear(header, data, ports.0);
                    self.queue(number);
                }
            }
            (None, op::REQUEST) if is_ours && self.connect(ports, header).is_ok() => {}
            (None, op::RST) => {}
            (None, _) if self.refused.len() < MOST_REFUSALS => self.refused.push_back(ports),
            (None, _) => {}
        }
    }

    /// The guest wants to reach whoever listens at a port of the host's.
    fn connect(&mut self, ports: Ports, header: &Header) -> io::Result<()> {
        if self.connections.len() >= MOST {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let mut path = self.path.clone().into_os_string();
        path.push(format!("_{}", ports.0));
        let number = self.add(UnixStream::connect(path)?, Phase::Open)?;
        self.known.insert(ports, number);
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.ports = Some(ports);
            connection.welcome(header);
        }
        Ok(())
    }

    /// Fills the driver's buffers with what there is to say.
    fn speak(&mut self, requests: &mut Requests<'_>) -> Result<(), Broken> {
        while !self.refused.is_empty() || !self.ready.is_empty() {
            let Some(request) = requests.next()? else { return Ok(()) };
            let room = request.chain.writable.len().saturating_sub(HEADER_LEN as u64) as usize;
            let Some((header, len)) = self.next_packet(room) else {
                requests.put_back(1);
                return Ok(());
            };
            let data = self.buffer.get(..len).unwrap_or_default();
            let packet = [header.as_bytes(), data].concat();
            let written = request.chain.writable.copy_from(&packet);
            requests.complete(&request, written as u32)?;
        }
        Ok(())
    }

    /// The next packet, with as much data in the buffer as has `room`.
    fn next_packet(&mut self, room: usize) -> Option<(Header, usize)> {
        if let Some(ports) = self.refused.pop_front() {
            return Some((self.header(ports, op::RST), 0));
        }
        while let Some(number) = self.ready.pop_front() {
            let Some(connection) = self.connections.get_mut(&number) else { continue };
            connection.queued = false;
            let said = connection.speak(self.buffer.get_mut(..room.min(PART)).unwrap_or_default());
            let credit = said.map(|_| connection.credit());
            let (ports, is_over) = (connection.ports, matches!(connection.phase, Phase::Reset | Phase::Gone));
            if is_over {
                self.connections.remove(&number);
                ports.and_then(|ports| self.known.remove(&ports));
            }
            if let (Some((op, len)), Some((buf_alloc, fwd_cnt)), Some(ports)) = (said, credit, ports) {
                self.queue(number); // it may have more
                let (buf_alloc, fwd_cnt) = (buf_alloc.into(), fwd_cnt.into());
                return Some((
                    Header { len: (len as u32).into(), buf_alloc, fwd_cnt, ..self.header(ports, op) },
                    len,
                ));
            }
        }
        None
    }

    fn header(&self, (src_port, dst_port): Ports, op: u16) -> Header {
        Header {
            src_cid: HOST_CID.into(),
            dst_cid: self.cid,
            src_port: src_port.into(),
            dst_port: dst_port.into(),
            kind: STREAM.into(),
            op: op.into(),
            ..Header::default()
        }
    }
}

impl VirtioDevice for Vsock {
    fn id(&self) -> u32 {
        spec::ID
    }

    fn queues(&self) -> u16 {
        3
    }

    fn config(&self) -> &[u8] {
        self.cid.as_bytes()
    }

    fn host_events(&self) -> Option<BorrowedFd<'_>> {
        Some(self.events.as_fd())
    }

    fn host_event(&mut self) {
        let mut events = Vec::with_capacity(64);
        loop {
            events.clear();
            let now = rustix::time::Timespec::default();
            let waited = epoll::wait(&self.events, rustix::buffer::spare_capacity(&mut events), Some(&now));
            if waited.is_err() || events.is_empty() {
                return;
            }
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept(),
                    number => self.stir(number),
                }
            }
        }
    }

    /// Whoever was connected to the guest that was there is not connected to the one that comes.
    fn begin(&mut self, _features: crate::Features) {
        self.connections.clear();
        self.known.clear();
        self.ready.clear();
        self.refused.clear();
    }

    fn serve(&mut self, queue: u16, requests: &mut Requests<'_>) -> Result<(), Broken> {
        match queue {
            RECEIVE => self.speak(requests),
            TRANSMIT => {
                requests.each(|chain| {
                    self.hear(chain);
                    Ok(0)
                })?;
                requests.also(RECEIVE);
                Ok(())
            }
            _ => Ok(()), // events, of which there are none
        }
    }
}

impl Drop for Vsock {
    fn drop(&mut self) {
        // If somebody removed it already, so much the better.
        let _ = std::fs::remove_file(&self.path);
    }
}
