//! The thread that serves every client.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::commands::Machine;
use super::facts::Facts;
use super::parts::Parts;
use super::session::Session;
use crate::machine::remote::{Command, Notice, Refused, Remote, RunState};
use crate::socket::{Socket, Stream, is_temporary};

/// Clients at a time; others wait in the sockets' queues.
const MOST_CLIENTS: usize = 64;
/// Descriptors that a client may have sent before it says what for.
const MOST_FDS: usize = 16;
/// How long clients have to read the last event.
const FAREWELL: Duration = Duration::from_secs(1);

/// The running thread.
pub struct Server(JoinHandle<()>);

impl Server {
    /// Serves the clients of `sockets`, who control the machine behind `remote` and its `parts`, and ask for `facts`.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(sockets: Vec<Socket>, remote: Remote, facts: Facts, parts: Parts) -> io::Result<Self> {
        let worker = Worker { sockets, clients: Vec::new(), remote, facts, parts };
        Builder::new().name("qmp".into()).spawn(move || worker.run()).map(Self)
    }

    /// Waits for the thread, which ends when the machine's end of `remote` is dropped and the clients know.
    pub fn finish(self) {
        let _ = self.0.join();
    }
}

struct Worker {
    sockets: Vec<Socket>,
    clients: Vec<Client>,
    remote: Remote,
    facts: Facts,
    parts: Parts,
}

struct Client {
    stream: Stream,
    session: Session,
    /// Descriptors that it sent, and no command took yet.
    fds: VecDeque<OwnedFd>,
    /// It sends nothing more.
    ended: bool,
    /// It is not there any more, or reads nothing.
    gone: bool,
}

/// What a wait ended with: a place in a list is ready.
#[derive(Default)]
struct Ready {
    remote: bool,
    sockets: Vec<usize>,
    readable: Vec<usize>,
    writable: Vec<usize>,
}

impl Worker {
    fn run(mut self) {
        for socket in &mut self.sockets {
            self.clients.extend(socket.take_first().map(Client::new));
        }
        let mut running = true;
        while running {
            let ready = self.wait();
            if ready.remote {
                running = self.hear();
            }
            ready.readable.iter().for_each(|&client| self.receive(client));
            self.send(&ready.writable);
            self.clients.retain(|client| !client.is_over());
            ready.sockets.iter().for_each(|&socket| self.accept(socket));
        }
        self.farewell();
    }

    /// Sleeps until there is something to do.
    fn wait(&self) -> Ready {
        let mut fds = vec![PollFd::new(&self.remote, PollFlags::IN)];
        let mut meanings = vec![Meaning::Remote];
        if self.clients.len() < MOST_CLIENTS {
            for (n, socket) in self.sockets.iter().enumerate() {
                let Some(listener) = socket.listener() else { continue };
                fds.push(PollFd::from_borrowed_fd(listener, PollFlags::IN));
                meanings.push(Meaning::Socket(n));
            }
        }
        for (n, client) in self.clients.iter().enumerate() {
            let (input, output) = client.stream.fds();
            if !client.ended && client.session.may_receive() {
                fds.push(PollFd::from_borrowed_fd(input, PollFlags::IN));
                meanings.push(Meaning::Input(n));
            }
            if !client.session.output().is_empty() {
                fds.push(PollFd::from_borrowed_fd(output, PollFlags::OUT));
                meanings.push(Meaning::Output(n));
            }
        }
        // An interrupted wait is a wait that ended early.
        let _ = poll(&mut fds, None);
        Ready::of(fds.iter().zip(meanings).filter(|(fd, _)| !fd.revents().is_empty()).map(|(_, what)| what))
    }

    /// Passes on what happened; false if nothing more will.
    fn hear(&mut self) -> bool {
        let clients = &mut self.clients;
        self.remote.hear(|notice| clients.iter_mut().for_each(|client| client.tell(notice.clone())))
    }

    fn accept(&mut self, socket: usize) {
        let stream = self.sockets.get(socket).and_then(Socket::accept);
        self.clients.extend(stream.map(Client::new));
    }

    fn receive(&mut self, number: usize) {
        let mut buffer = [0; 4096];
        let Some(client) = self.clients.get_mut(number) else { return };
        match client.stream.read_with_fds(&mut buffer, &mut client.fds) {
            Ok(0) => client.ended = true,
            Ok(count) => {
                // Of more than one command needs, the first are kept.
                client.fds.truncate(MOST_FDS);
                let mut machine = Controlled::new(&self.remote, &self.facts, &self.parts, &mut client.fds);
                client.session.receive(buffer.get(..count).unwrap_or_default(), &mut machine);
                let heard = machine.heard;
                let others = self.clients.iter_mut().enumerate().filter(|(other, _)| *other != number);
                others.for_each(|(_, other)| heard.iter().for_each(|notice| other.tell(notice.clone())));
            }
            Err(error) if is_temporary(&error) => {}
            Err(_) => client.gone = true,
        }
    }

    /// Writes to the clients whose streams have room.
    fn send(&mut self, writable: &[usize]) {
        for &client in writable {
            if let Some(client) = self.clients.get_mut(client) {
                client.send();
            }
        }
    }

    /// Gives clients a moment to read what they have been sent.
    fn farewell(&mut self) {
        let end = Instant::now() + FAREWELL;
        loop {
            self.clients.retain(|client| !client.gone && !client.session.output().is_empty());
            let left = end.saturating_duration_since(Instant::now());
            if self.clients.is_empty() || left.is_zero() {
                return;
            }
            let outputs = self.clients.iter().map(|client| client.stream.fds().1);
            let mut fds: Vec<_> = outputs.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::OUT)).collect();
            let _ = poll(&mut fds, Timespec::try_from(left).ok().as_ref());
            let ready = fds.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty());
            let ready: Vec<_> = ready.map(|(client, _)| client).collect();
            self.send(&ready);
        }
    }
}

#[derive(Clone, Copy)]
enum Meaning {
    Remote,
    Socket(usize),
    Input(usize),
    Output(usize),
}

impl Ready {
    fn of(meanings: impl Iterator<Item = Meaning>) -> Self {
        let mut ready = Self::default();
        for meaning in meanings {
            match meaning {
                Meaning::Remote => ready.remote = true,
                Meaning::Socket(n) => ready.sockets.push(n),
                Meaning::Input(n) => ready.readable.push(n),
                Meaning::Output(n) => ready.writable.push(n),
            }
        }
        ready
    }
}

impl Client {
    fn new(stream: Stream) -> Self {
        Self { stream, session: Session::new(), fds: VecDeque::new(), ended: false, gone: false }
    }

    /// Writes once, which a stream that has room does not make us wait for.
    fn send(&mut self) {
        match self.stream.write(self.session.output()) {
            Ok(count) => self.session.sent(count),
            Err(error) if is_temporary(&error) => {}
            Err(_) => self.gone = true,
        }
    }

    fn tell(&mut self, notice: Notice) {
        self.gone |= !self.session.tell(notice);
    }

    /// Whether nothing more will come of it.
    fn is_over(&self) -> bool {
        self.gone || self.ended && self.session.output().is_empty()
    }
}

/// The machine as a client's commands see it.
struct Controlled<'a> {
    remote: &'a Remote,
    facts: &'a Facts,
    parts: &'a Parts,
    fds: &'a mut VecDeque<OwnedFd>,
    /// What happened during the commands.
    heard: Vec<Notice>,
    /// How much of it the client knows.
    known: usize,
}

impl<'a> Controlled<'a> {
    fn new(remote: &'a Remote, facts: &'a Facts, parts: &'a Parts, fds: &'a mut VecDeque<OwnedFd>) -> Self {
        Self { remote, facts, parts, fds, heard: Vec::new(), known: 0 }
    }
}

impl Machine for Controlled<'_> {
    fn call(&mut self, command: Command) -> Result<RunState, Refused> {
        let heard = &mut self.heard;
        self.remote.call(command, |notice| heard.push(notice))
    }

    fn news(&mut self) -> Vec<Notice> {
        let known = std::mem::replace(&mut self.known, self.heard.len());
        self.heard.get(known..).unwrap_or_default().to_vec()
    }

    fn facts(&self) -> &Facts {
        self.facts
    }

    fn parts(&self) -> &Parts {
        self.parts
    }

    fn take_fd(&mut self) -> Option<OwnedFd> {
        self.fds.pop_front()
    }

    fn announce(&mut self, notice: Notice) {
        self.remote.announce(notice);
    }
}
