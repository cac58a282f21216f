//! One GDB from its connection to its end.

use std::collections::VecDeque;

use anyhow::anyhow;
use gdbstub::common::Signal;
use gdbstub::conn::Connection as _;
use gdbstub::stub::state_machine::GdbStubStateMachine as State;
use gdbstub::stub::{DisconnectReason, GdbStub, MultiThreadStopReason as StopReason};
use gdbstub::target::ext::breakpoints::WatchKind;
use rustix::event::{PollFd, PollFlags, poll};

use super::arch::GuestArch;
use super::connection::Buffered;
use super::stops::Meaning;
use super::target::{Fatal, GuestTarget, Machine, tid};
use crate::kvm::{AccessKind, DebugExit};
use crate::machine::remote::{Command, Notice};
use crate::socket::{Stream, is_temporary};

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// GDB left; the machine runs on.
    Left,
    /// GDB ends the machine.
    Killed,
    /// The machine ended.
    Over,
}

/// What a session goes on with.
enum Input {
    /// A byte from GDB.
    Byte(u8),
    /// GDB hung up.
    Closed,
    /// Something happened to the machine.
    Notice,
}

/// Serves the GDB at `stream`, which takes the vCPUs for `A`. They are parked at the start.
pub(super) fn serve<A: GuestArch>(machine: &Machine, stream: Stream) -> End {
    let mut session = Session { target: GuestTarget::<A>::new(machine), received: VecDeque::new() };
    let end = session.run(stream).unwrap_or_else(|error| {
        tracing::warn!("the debugger's session failed: {error:#}");
        End::Left
    });
    if end != End::Over {
        // Whatever happens to the program outside, the guest shall not stop for nobody.
        let paused = machine.remote.call(Command::Pause, |_| {});
        if let Err(error) = paused.map_err(Fatal::from).and_then(|_| session.target.release()) {
            tracing::warn!("a vCPU may still stop for a debugger: {error}");
        }
    }
    end
}

struct Session<'a, A> {
    target: GuestTarget<'a, A>,
    /// From GDB, and not looked at yet.
    received: VecDeque<u8>,
}

impl<A: GuestArch> Session<'_, A> {
    fn run(&mut self, stream: Stream) -> anyhow::Result<End> {
        let mut state = GdbStub::new(Buffered::new(stream)).run_state_machine(&mut self.target)?;
        loop {
            state = match state {
                State::Idle(mut idle) => match self.input(idle.borrow_conn(), None)? {
                    Input::Byte(byte) => idle.incoming_data(&mut self.target, byte)?,
                    Input::Closed | Input::Notice => return Ok(End::Left),
                },
                State::Running(mut running) => {
                    match self.input(running.borrow_conn(), Some(self.target.machine))? {
                        Input::Byte(byte) => running.incoming_data(&mut self.target, byte)?,
                        Input::Closed => return Ok(End::Left),
                        Input::Notice => match self.stop_reason()? {
                            Some(reason) => running.report_stop(&mut self.target, reason)?,
                            None => running.into(),
                        },
                    }
                }
                State::CtrlCInterrupt(interrupt) => {
                    self.target.machine.remote.call(Command::Pause, |_| {})?;
                    self.target.disarm();
                    let reason = StopReason::SignalWithThread { tid: tid(0), signal: Signal::SIGINT };
                    interrupt.interrupt_handled(&mut self.target, Some(reason))?
                }
                State::Disconnected(disconnected) => return Ok(end(disconnected.get_reason())),
            };
        }
    }

    /// Waits for GDB, and for `machine` if that runs.
    fn input(&mut self, connection: &mut Buffered, machine: Option<&Machine>) -> anyhow::Result<Input> {
        loop {
            if let Some(byte) = self.received.pop_front() {
                return Ok(Input::Byte(byte));
            }
            connection.flush()?;
            let (readable, noticed) = wait(connection.stream(), machine);
            if noticed {
                return Ok(Input::Notice);
            }
            if readable && !self.receive(connection.stream())? {
                return Ok(Input::Closed);
            }
        }
    }

    /// Reads what is there; false if GDB hung up.
    fn receive(&mut self, stream: &mut Stream) -> anyhow::Result<bool> {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(count) => {
                self.received.extend(buffer.iter().take(count));
                Ok(count > 0)
            }
            Err(error) if is_temporary(&error) => Ok(true),
            Err(error) => Err(anyhow!(error).context("read from the debugger")),
        }
    }

    /// What GDB is told of what happened to the running machine, if that concerns it.
    fn stop_reason(&mut self) -> anyhow::Result<Option<StopReason<A::Usize>>> {
        let (mut stop, mut paused) = (None, false);
        let running = self.target.machine.remote.hear(|notice| match notice {
            Notice::Debug { vcpu, exit } => stop = Some((vcpu, exit)),
            Notice::Stopped => paused = true,
            _ => {}
        });
        match stop {
            _ if !running => Ok(Some(StopReason::Exited(0))),
            Some((vcpu, exit)) => self.stopped(vcpu, &exit),
            // Somebody else paused the machine.
            None if paused => {
                self.target.disarm();
                Ok(Some(StopReason::SignalWithThread { tid: tid(0), signal: Signal::SIGSTOP }))
            }
            None => Ok(None),
        }
    }

    fn stopped(&mut self, vcpu: usize, exit: &DebugExit) -> anyhow::Result<Option<StopReason<A::Usize>>> {
        let thread = tid(vcpu);
        let trap = StopReason::SignalWithThread { tid: thread, signal: Signal::SIGTRAP };
        let meaning = self.target.stops.meaning(exit);
        self.target.disarm();
        Ok(Some(match meaning {
            Meaning::Step => trap,
            Meaning::Software => StopReason::SwBreak(thread),
            Meaning::Hardware(stop) => match watch(stop.kind) {
                Some(kind) => StopReason::Watch { tid: thread, kind, addr: A::usize(stop.address) },
                None => StopReason::HwBreak(thread),
            },
            Meaning::Guest => {
                self.target.reflect = Some(vcpu);
                self.target.go()?;
                return Ok(None);
            }
        }))
    }
}

fn watch(kind: AccessKind) -> Option<WatchKind> {
    match kind {
        AccessKind::Execute => None,
        AccessKind::Write => Some(WatchKind::Write),
        AccessKind::ReadWrite => Some(WatchKind::ReadWrite),
    }
}

/// Sleeps until `stream` is readable, or something happened to `machine`: which of the two.
fn wait(stream: &Stream, machine: Option<&Machine>) -> (bool, bool) {
    let mut fds = vec![PollFd::from_borrowed_fd(stream.fds().0, PollFlags::IN)];
    fds.extend(machine.map(|machine| PollFd::new(&machine.remote, PollFlags::IN)));
    // An interrupted wait is a wait that ended early.
    let _ = poll(&mut fds, None);
    let ready = |n: usize| fds.get(n).is_some_and(|fd| !fd.revents().is_empty());
    (ready(0), ready(1))
}

fn end(reason: DisconnectReason) -> End {
    match reason {
        DisconnectReason::Kill => End::Killed,
        DisconnectReason::Disconnect => End::Left,
        DisconnectReason::TargetExited(_) | DisconnectReason::TargetTerminated(_) => End::Over,
    }
}
