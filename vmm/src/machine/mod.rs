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
mod disks;
mod guest_info;
mod legacy;
mod pcie;
pub mod plan;
mod start;
pub mod tables;
mod timers;
mod vcpus;
mod virtio;

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

pub use plan::Plan;
pub use start::{Placed, Start};
pub use vcpus::ExitHandler;

use crate::config::{Config, Console, OnReset};
use crate::host;
use crate::terminal::RawMode;
use build::{Machine, Resources};
use control::{Cause, Control, Event};
use vcpus::Vcpus;

/// How long a guest may take to shut down after a signal.
const GRACE: Duration = Duration::from_secs(30);

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
    let start = Start::open(config)?;
    let plan = Plan::new(config, start.firmware_len(), host::physical_address_bits()?)?;
    let start = start.place(&plan)?;
    let mut machine = Machine::build(&plan, Resources::open(config)?, start)?;
    watch_signals(&machine.control)?;
    let raw_mode = match config.console {
        Console::Stdio => Some(RawMode::enter().context("set up the terminal")?),
        Console::File(_) | Console::None => None,
    };
    let vcpus = machine.start()?;
    tracing::info!(vcpus = plan.apic_ids.len(), memory = config.memory, "the guest runs");
    let outcome = supervise(&machine, &vcpus, config.on_reset);
    machine.control.stop(|| vcpus.wake());
    vcpus.join();
    machine.finish();
    drop(raw_mode);
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

/// The control thread's life: one event after the other until the machine ends.
fn supervise(machine: &Machine, vcpus: &Vcpus, on_reset: OnReset) -> anyhow::Result<Outcome> {
    let mut deadline = None;
    loop {
        match next(machine, deadline)? {
            Event::Reset(cause) if on_reset == OnReset::End && cause.is_guest() => {
                tracing::info!(%cause, "the guest resets, which ends the run");
                return Ok(Outcome::Reset);
            }
            Event::Reset(cause) => {
                tracing::info!(%cause, "the machine resets");
                machine.control.park(|| vcpus.wake());
                machine.reset().context("reset the machine")?;
                machine.control.reset_and_resume();
            }
            Event::PowerOff => {
                tracing::info!("the guest powered off");
                return Ok(Outcome::PoweredOff);
            }
            Event::Exit(status) => return Ok(Outcome::Exit(status)),
            Event::Panicked => bail!("the guest panicked"),
            Event::PowerButton => press(machine),
            Event::Quit => return Ok(Outcome::Quit),
            Event::Signal(signal) if deadline.is_some() => {
                bail!("stopped by a second signal ({signal}) before the guest powered off")
            }
            Event::Signal(signal) if machine.power_button.is_none() => {
                bail!("stopped by a signal ({signal}): without ACPI the guest cannot be asked to power off")
            }
            Event::Signal(_) => {
                press(machine);
                deadline = Some(Instant::now() + GRACE);
            }
            Event::Failed(error) => return Err(error),
        }
    }
}

fn press(machine: &Machine) {
    match &machine.power_button {
        Some(button) => {
            tracing::info!("the power button is pressed");
            button.press();
        }
        None => tracing::warn!("a machine without ACPI has no power button"),
    }
}

/// The next event; an error when `deadline` passes without one.
fn next(machine: &Machine, deadline: Option<Instant>) -> anyhow::Result<Event> {
    let Some(deadline) = deadline else {
        return machine.events.recv().context("nobody is left to control");
    };
    match machine.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(event) => Ok(event),
        Err(RecvTimeoutError::Timeout) => {
            bail!("stopped by a signal: the guest did not power off within {} s", GRACE.as_secs())
        }
        Err(RecvTimeoutError::Disconnected) => bail!("nobody is left to control"),
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Register => "reset register",
            Self::TripleFault => "triple fault",
            Self::ResetPort => "reset port",
            Self::Keyboard => "keyboard controller",
            Self::User => "Ctrl-a r",
        })
    }
}
