//! The machine: first as a [`Plan`], then with its devices, then running.
//!
//! ```text
//!  Config ─► Plan ─► Machine (build) ─► vCPU threads ─┐ Event
//!                       │                             ├──────► control thread: reset, power off, signals
//!                       └─► console thread ───────────┘
//! ```

mod boot_order;
mod build;
mod console;
mod control;
mod device_tree;
pub mod disk_size;
mod disks;
pub mod drives;
pub mod fd_sets;
mod generation;
mod guest_info;
pub mod hands;
mod legacy;
pub mod links;
pub mod nodes;
mod outside;
mod pass_through;
mod pcie;
mod pid_file;
pub mod plan;
mod pmem;
pub mod remote;
mod seed;
mod start;
mod stream;
mod supervisor;
pub mod tables;
mod timers;
mod usb;
mod usb_devices;
mod usb_host;
pub mod usb_plugs;
mod vcpus;
mod virtio;
mod wall_clock;

use std::sync::Arc;
use std::thread;

use anyhow::Context as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

pub use plan::Plan;
pub use start::{Placed, Start};
pub use vcpus::ExitHandler;
pub(crate) use vcpus::{SharedVcpu, lock};

use crate::config::{Config, Console, StartState};
use crate::terminal::RawMode;
use crate::timeline::{Recorder, TimelineFile};
use crate::{daemon, host};
use build::{Machine, Resources};
use control::{Cause, Control, Event};
use outside::Sockets;
use pid_file::PidFile;
use supervisor::Supervisor;

/// How a run ended, if not in an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The guest powered the machine off.
    PoweredOff,
    /// The guest reset the machine, which ends the run if so configured.
    Reset,
    /// The user ended it from the console.
    Quit,
    /// The guest ended it through the debug exit, with this status.
    Exit(u8),
}

/// Boots the machine of `config` and waits for its end. The calling thread becomes the control thread.
///
/// # Errors
/// When the machine cannot be built, a vCPU cannot go on, or a signal ended the run before the guest powered off.
pub fn run(config: &Config) -> anyhow::Result<Outcome> {
    let timeline = config.timeline.as_ref().map(|_| Arc::new(Recorder::start(config)));
    if config.control.daemonize {
        daemon::leave_session().context("--daemonize: leave the session")?;
    }
    host::raise_file_limit();
    let start = Start::open(config)?;
    let plan = Plan::new(config, start.firmware_len(), host::physical_address_bits()?)?;
    let start = start.place(&plan)?;
    let resources = Resources::open(config)?;
    let sockets = Sockets::open(&config.control)?;
    let timeline_file = config.timeline.as_ref().map(TimelineFile::create).transpose()?;
    let _pid_file = config.control.pid_file.as_deref().map(PidFile::write).transpose()?;
    let mut machine = Machine::build(&plan, resources, start)?;
    watch_signals(&machine.control)?;
    let raw_mode = match config.console {
        Console::Stdio => Some(RawMode::enter().context("set up the terminal")?),
        Console::File(_) | Console::Stream(_) | Console::None => None,
    };
    if config.control.start == StartState::Paused {
        machine.control.begin_parked();
    }
    let vcpus = machine.start(&plan, timeline.as_ref())?;
    let (listeners, servers) = sockets.serve(config, &plan, &machine, &vcpus)?;
    if config.control.daemonize {
        daemon::ready().context("--daemonize")?;
    }
    tracing::info!(vcpus = plan.apic_ids.len(), memory = config.memory, "the guest runs");
    let outcome = Supervisor::new(&machine, &vcpus, config, listeners, timeline.clone()).run();
    machine.control.stop(|| vcpus.wake());
    vcpus.join();
    machine.finish();
    servers.finish();
    drop(raw_mode);
    if let (Some(recorder), Some(file)) = (timeline, timeline_file) {
        file.write(&recorder.finish(&outcome))?;
    }
    outcome
}

/// Turns signals into events.
fn watch_signals(control: &Arc<Control>) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGQUIT, SIGHUP]).context("catch signals")?;
    let control = Arc::clone(control);
    let watch = move || signals.forever().for_each(|signal| control.tell(Event::Signal(signal)));
    thread::Builder::new().name("signals".into()).spawn(watch).context("start the signals' thread")?;
    Ok(())
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Register => "reset register",
            Self::TripleFault => "triple fault",
            Self::ResetPort => "reset port",
            Self::Keyboard => "keyboard controller",
            Self::User => "Ctrl-a r",
            Self::Remote => "a program outside",
        })
    }
}
