//! The thread that waits for GDB.

use std::io;
use std::thread::{Builder, JoinHandle};

use gdbstub_arch::x86::{X86_64_SSE, X86_SSE};
use rustix::event::{PollFd, PollFlags, poll};
use vm_memory::GuestMemoryMmap;

use super::registers::is_long;
use super::session::{End, serve};
use super::target::Machine;
use crate::config::DebugArch;
use crate::machine::remote::{Command, Remote, RunState};
use crate::machine::{SharedVcpu, lock};
use crate::socket::{Socket, Stream};

/// The running thread.
pub struct Server(JoinHandle<()>);

impl Server {
    /// Lets one GDB after the other debug `vcpus`, which use `memory`, by way of `socket`.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn start(
        socket: Socket,
        arch: DebugArch,
        vcpus: Vec<SharedVcpu>,
        memory: GuestMemoryMmap,
        remote: Remote,
    ) -> io::Result<Self> {
        let machine = Machine { vcpus, memory, remote };
        let serve = move || run(socket, arch, &machine);
        Builder::new().name("gdb".into()).spawn(serve).map(Self)
    }

    /// Waits for the thread, which ends when the machine's end of its remote is dropped.
    pub fn finish(self) {
        let _ = self.0.join();
    }
}

fn run(mut socket: Socket, arch: DebugArch, machine: &Machine) {
    let mut next = socket.take_first();
    loop {
        let Some(stream) = next.take().or_else(|| wait(&socket, machine)) else { return };
        let Ok(before) = machine.remote.call(Command::Status, |_| {}) else { return };
        if machine.remote.call(Command::Pause, |_| {}).is_err() {
            return;
        }
        match session(arch, machine, stream) {
            End::Over => return,
            End::Killed => drop(machine.remote.call(Command::Quit, |_| {})),
            End::Left if matches!(before, RunState::Paused | RunState::Shutdown) => {}
            End::Left => drop(machine.remote.call(Command::Resume, |_| {})),
        }
    }
}

fn session(arch: DebugArch, machine: &Machine, stream: Stream) -> End {
    let long = || {
        let registers = machine.vcpus.first().and_then(|vcpu| lock(vcpu).registers().ok());
        registers.is_some_and(|registers| is_long(&registers))
    };
    let bits_64 = match arch {
        DebugArch::Auto => long(),
        DebugArch::I386 => false,
        DebugArch::X86_64 => true,
    };
    if bits_64 { serve::<X86_64_SSE>(machine, stream) } else { serve::<X86_SSE>(machine, stream) }
}

/// The next GDB; none once the machine has ended.
fn wait(socket: &Socket, machine: &Machine) -> Option<Stream> {
    loop {
        let mut fds = vec![PollFd::new(&machine.remote, PollFlags::IN)];
        fds.extend(socket.listener().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        // An interrupted wait is a wait that ended early.
        let _ = poll(&mut fds, None);
        if !machine.remote.hear(|_| {}) {
            return None;
        }
        if let Some(stream) = socket.accept() {
            return Some(stream);
        }
    }
}
