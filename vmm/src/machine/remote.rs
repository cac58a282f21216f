//! Programs outside that control the machine: what they ask, and what they are told.
//!
//! ```text
//!  Remote ── Call(command) ──────────► control thread
//!     ▲                                    │
//!     └── Message: Notice…, Answer ◄───────┘ Listener
//! ```
//!
//! Answers and notices share one way, so that a program hears what its command led to in the order in which it happened.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use rustix::event::{EventfdFlags, eventfd};

use super::control::{Control, Event};
use super::drives::Moved;
use crate::kvm::DebugExit;

/// What a program outside wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// To know the state.
    Status,
    /// The vCPUs stand still.
    Pause,
    /// The vCPUs go on.
    Resume,
    /// The machine resets.
    Reset,
    /// The power button is pressed.
    PowerButton,
    /// The run ends at once.
    Quit,
}

/// What the machine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It has not started yet.
    Prelaunch,
    /// It runs.
    Running,
    /// It was paused.
    Paused,
    /// It is off, and was told to stay.
    Shutdown,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The vCPUs stand still.
    Stopped,
    /// The vCPUs go on.
    Resumed,
    /// The machine was reset; by the guest, or from outside.
    Reset {
        /// By the guest.
        guest: bool,
    },
    /// The power button was pressed.
    PowerDown,
    /// The guest told the panic port.
    Panicked,
    /// A vCPU stopped for its debugger, and all others with it.
    Debug {
        /// Which.
        vcpu: usize,
        /// Why.
        exit: DebugExit,
    },
    /// The device of this id was pulled out.
    Unplugged(Arc<str>),
    /// The tray of a drive opened or closed.
    TrayMoved(Moved),
    /// The balloon leaves the guest this many bytes now.
    Balloon(u64),
    /// The machine is off.
    Shutdown(Ending),
}

/// Why the machine is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The guest powered it off.
    Guest,
    /// The guest reset it, which ends the run.
    GuestReset,
    /// The guest panicked.
    GuestPanic,
    /// A signal.
    Signal,
    /// The person at the console.
    Console,
    /// A program outside.
    Remote,
    /// Something failed.
    Error,
}

/// Why a command was not carried out.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    /// The run is over.
    #[error("the machine is ending")]
    Ending,
    /// A machine that is off starts by a reset.
    #[error("the machine is off, reset it first")]
    Off,
    /// There is nothing to press.
    #[error("a machine without ACPI has no power button")]
    NoPowerButton,
}

/// What the control thread says to one program.
#[derive(Debug)]
enum Message {
    Notice(Notice),
    Answer(Result<RunState, Refused>),
}

/// A command of a program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) program: Program,
    pub(super) command: Command,
}

/// Which program: its place among the listeners.
pub(super) type Program = usize;

/// The control thread's end of the way to one program. The run is over for the program when it is dropped.
pub(super) struct Listener {
    messages: Option<Sender<Message>>,
    event: Arc<OwnedFd>,
}

impl Listener {
    /// Says that something happened.
    pub(super) fn tell(&self, notice: Notice) {
        self.send(Message::Notice(notice));
    }

    /// Answers the program's only command.
    pub(super) fn answer(&self, answer: Result<RunState, Refused>) {
        self.send(Message::Answer(answer));
    }

    fn send(&self, message: Message) {
        // Somebody who has gone needs no message.
        let _ = self.messages.as_ref().map(|messages| messages.send(message));
        self.wake();
    }

    fn wake(&self) {
        // A full counter means that it is awake already.
        let _ = rustix::io::write(&*self.event, &1_u64.to_ne_bytes());
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The last wake finds the channel closed.
        self.messages = None;
        self.wake();
    }
}

/// A program's end: it commands, and hears what happens.
pub struct Remote {
    control: Arc<Control>,
    program: Program,
    messages: Receiver<Message>,
    event: Arc<OwnedFd>,
}

/// A way between the control thread and `program`.
pub(super) fn connect(control: &Arc<Control>, program: Program) -> io::Result<(Listener, Remote)> {
    let event = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (sender, messages) = channel();
    let listener = Listener { messages: Some(sender), event: Arc::clone(&event) };
    Ok((listener, Remote { control: Arc::clone(control), program, messages, event }))
}

impl Remote {
    /// Has `command` carried out; what happens before its answer goes to `notice`.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn call(&self, command: Command, mut notice: impl FnMut(Notice)) -> Result<RunState, Refused> {
        self.control.tell(Event::Call(Call { program: self.program, command }));
        loop {
            match self.messages.recv() {
                Ok(Message::Notice(happened)) => notice(happened),
                Ok(Message::Answer(answer)) => return answer,
                Err(_) => return Err(Refused::Ending),
            }
        }
    }

    /// Lets every program hear of what this one did.
    pub fn announce(&self, notice: Notice) {
        self.control.tell(Event::Announced(notice));
    }

    /// From the next resume on, only the vCPUs that are not `held` run.
    pub fn hold(&self, held: BTreeSet<usize>) {
        self.control.hold(held);
    }

    /// What happened since it was last asked; false once the run is over, and nothing more will.
    pub fn hear(&self, mut notice: impl FnMut(Notice)) -> bool {
        let _ = rustix::io::read(&*self.event, &mut [0; 8]);
        loop {
            match self.messages.try_recv() {
                Ok(Message::Notice(happened)) => notice(happened),
                Ok(Message::Answer(_)) => {} // nobody waits for it
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }
}

/// Readable when there is something to hear.
impl AsFd for Remote {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_leads_to_is_heard_before_its_answer() {
        let (control, events) = Control::new(0);
        let (listener, remote) = connect(&Arc::new(control), 0).unwrap();
        listener.tell(Notice::Stopped);
        listener.answer(Ok(RunState::Paused));
        let mut heard = Vec::new();
        assert_eq!(remote.call(Command::Pause, |notice| heard.push(notice)), Ok(RunState::Paused));
        assert_eq!(heard, [Notice::Stopped]);
        assert!(matches!(events.try_recv(), Ok(Event::Call(Call { program: 0, command: Command::Pause }))));
    }

    #[test]
    fn end_of_the_run_is_heard_after_the_last_notice() {
        let (control, _events) = Control::new(0);
        let (listener, remote) = connect(&Arc::new(control), 0).unwrap();
        listener.tell(Notice::Shutdown(Ending::Guest));
        drop(listener);
        let mut heard = Vec::new();
        assert!(!remote.hear(|notice| heard.push(notice)));
        assert_eq!(heard, [Notice::Shutdown(Ending::Guest)]);
        assert_eq!(remote.call(Command::Status, |_| {}), Err(Refused::Ending));
    }
}
