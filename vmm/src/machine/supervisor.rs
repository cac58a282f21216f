//! The control thread's life: one event after the other until the machine ends.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};

use super::Outcome;
use super::build::Machine;
use super::control::{Cause, Event};
use super::remote::{Call, Command, Ending, Listener, Notice, Refused, RunState};
use super::vcpus::Vcpus;
use crate::config::{Config, OnPowerOff, OnReset, StartState};
use crate::kvm::DebugExit;
use crate::timeline::Recorder;

/// How long a guest may take to shut down after a signal.
const GRACE: Duration = Duration::from_secs(30);

/// Decides what happens to the machine.
pub(super) struct Supervisor<'a> {
    machine: &'a Machine,
    vcpus: &'a Vcpus,
    /// RAM in bytes.
    memory: u64,
    on_reset: OnReset,
    on_power_off: OnPowerOff,
    state: RunState,
    listeners: Vec<Listener>,
    timeline: Option<Arc<Recorder>>,
    /// When a guest that was asked to shut down must have done so.
    deadline: Option<Instant>,
}

/// The run goes on, or ended.
type Step = anyhow::Result<Option<Outcome>>;

impl<'a> Supervisor<'a> {
    /// A supervisor of `machine` as `config` wants it, which tells `listeners` and `timeline` what happens.
    pub(super) fn new(
        machine: &'a Machine,
        vcpus: &'a Vcpus,
        config: &Config,
        listeners: Vec<Listener>,
        timeline: Option<Arc<Recorder>>,
    ) -> Self {
        Self {
            machine,
            vcpus,
            memory: config.memory,
            on_reset: config.on_reset,
            on_power_off: config.control.on_power_off,
            state: match config.control.start {
                StartState::Running => RunState::Running,
                StartState::Paused => RunState::Prelaunch,
            },
            listeners,
            timeline,
            deadline: None,
        }
    }

    /// Supervises until the end.
    pub(super) fn run(mut self) -> anyhow::Result<Outcome> {
        loop {
            let event = self.next()?;
            if let Some(outcome) = self.handle(event)? {
                return Ok(outcome);
            }
        }
    }

    fn handle(&mut self, event: Event) -> Step {
        match event {
            Event::Reset(cause) => self.reset(cause),
            Event::PowerOff => self.power_off(),
            Event::Exit(status) => self.end(Ending::Guest, Outcome::Exit(status)),
            Event::Panicked => {
                self.tell(Notice::Panicked);
                self.tell(Notice::Shutdown(Ending::GuestPanic));
                bail!("the guest panicked")
            }
            Event::PowerButton => Ok(self.press_if_there()),
            Event::SleepButton => Ok(self.press_sleep_button()),
            Event::NewGeneration => self.renew_generation(),
            Event::Quit => self.end(Ending::Console, Outcome::Quit),
            Event::Signal(signal) => self.signal(signal),
            Event::Failed(error) => {
                self.tell(Notice::Shutdown(Ending::Error));
                Err(error)
            }
            Event::Debug { vcpu, exit } => {
                self.stop_for_debugger(vcpu, exit);
                Ok(None)
            }
            Event::Balloon(bytes) => {
                self.tell(Notice::Balloon(self.memory.saturating_sub(bytes)));
                Ok(None)
            }
            Event::Call(call) => self.call(call),
            Event::Announced(notice) => {
                self.tell(notice);
                Ok(None)
            }
        }
    }

    fn end(&self, ending: Ending, outcome: Outcome) -> Step {
        self.tell(Notice::Shutdown(ending));
        Ok(Some(outcome))
    }

    fn reset(&mut self, cause: Cause) -> Step {
        if self.on_reset == OnReset::End && cause.is_guest() {
            tracing::info!(%cause, "the guest resets, which ends the run");
            return self.end(Ending::GuestReset, Outcome::Reset);
        }
        tracing::info!(%cause, "the machine resets");
        let control = &self.machine.control;
        control.park(|| self.vcpus.wake());
        self.machine.reset().context("reset the machine")?;
        control.reset();
        self.timeline.iter().for_each(|timeline| timeline.reset(&cause.to_string()));
        self.tell(Notice::Reset { guest: cause.is_guest() });
        match self.state {
            RunState::Running => control.resume(),
            RunState::Shutdown => self.state = RunState::Paused,
            RunState::Prelaunch | RunState::Paused => {}
        }
        Ok(None)
    }

    fn power_off(&mut self) -> Step {
        tracing::info!("the guest powered off");
        if self.on_power_off == OnPowerOff::End {
            return self.end(Ending::Guest, Outcome::PoweredOff);
        }
        self.machine.control.park(|| self.vcpus.wake());
        self.state = RunState::Shutdown;
        self.deadline = None;
        self.tell(Notice::Shutdown(Ending::Guest));
        self.tell(Notice::Stopped);
        Ok(None)
    }

    fn signal(&mut self, signal: i32) -> Step {
        let why = match &self.machine.power_button {
            _ if self.deadline.is_some() => {
                anyhow!("stopped by a second signal ({signal}) before the guest powered off")
            }
            _ if self.state == RunState::Shutdown => return self.end(Ending::Signal, Outcome::PoweredOff),
            _ if self.state != RunState::Running => {
                anyhow!("stopped by a signal ({signal}) while the machine was paused")
            }
            None => {
                anyhow!("stopped by a signal ({signal}): without ACPI the guest cannot be asked to power off")
            }
            Some(_) => {
                self.deadline = Some(Instant::now() + GRACE);
                return Ok(self.press_if_there());
            }
        };
        self.tell(Notice::Shutdown(Ending::Signal));
        Err(why)
    }

    fn press_if_there(&self) -> Option<Outcome> {
        if self.press().is_err() {
            tracing::warn!("{}", Refused::NoPowerButton);
        }
        None
    }

    fn press(&self) -> Result<(), Refused> {
        let button = self.machine.power_button.as_ref().ok_or(Refused::NoPowerButton)?;
        tracing::info!("the power button is pressed");
        self.tell(Notice::PowerDown);
        button.pull();
        Ok(())
    }

    fn press_sleep_button(&self) -> Option<Outcome> {
        match &self.machine.sleep_button {
            Some(button) => {
                tracing::info!("the sleep button is pressed");
                button.pull();
            }
            None => tracing::warn!("a machine without ACPI has no sleep button"),
        }
        None
    }

    fn renew_generation(&self) -> Step {
        match &self.machine.generation {
            Some(generation) => {
                let id = generation.renew().context("make a VM generation id")?;
                tracing::info!(%id, "the guest is another one now");
            }
            None => tracing::warn!("the machine has no generation id, give it one with --device vmgenid"),
        }
        Ok(None)
    }

    fn call(&mut self, Call { program, command }: Call) -> Step {
        let answer = match command {
            Command::Status => Ok(()),
            Command::Pause => {
                self.pause();
                Ok(())
            }
            Command::Resume => self.resume(),
            Command::PowerButton => self.press(),
            Command::Reset => {
                self.reset(Cause::Remote)?;
                Ok(())
            }
            Command::Quit => {
                self.answer(program, Ok(self.state));
                return self.end(Ending::Remote, Outcome::Quit);
            }
        };
        self.answer(program, answer.map(|()| self.state));
        Ok(None)
    }

    fn pause(&mut self) {
        if self.state == RunState::Running {
            self.machine.control.park(|| self.vcpus.wake());
            self.state = RunState::Paused;
            self.tell(Notice::Stopped);
        }
    }

    fn stop_for_debugger(&mut self, vcpu: usize, exit: DebugExit) {
        self.machine.control.park(|| self.vcpus.wake());
        self.machine.control.settle();
        self.state = RunState::Paused;
        self.tell(Notice::Debug { vcpu, exit });
        self.tell(Notice::Stopped);
    }

    fn resume(&mut self) -> Result<(), Refused> {
        match self.state {
            RunState::Running => {}
            RunState::Shutdown => return Err(Refused::Off),
            RunState::Prelaunch | RunState::Paused => {
                self.state = RunState::Running;
                self.tell(Notice::Resumed);
                self.machine.control.resume();
            }
        }
        Ok(())
    }

    fn tell(&self, notice: Notice) {
        self.listeners.iter().for_each(|listener| listener.tell(notice.clone()));
    }

    fn answer(&self, program: usize, answer: Result<RunState, Refused>) {
        if let Some(listener) = self.listeners.get(program) {
            listener.answer(answer);
        }
    }

    /// The next event; an error when the deadline passes without one.
    fn next(&self) -> anyhow::Result<Event> {
        let events = &self.machine.events;
        let Some(deadline) = self.deadline else {
            return events.recv().context("nobody is left to control");
        };
        match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(event) => Ok(event),
            Err(RecvTimeoutError::Timeout) => {
                self.tell(Notice::Shutdown(Ending::Signal));
                bail!("stopped by a signal: the guest did not power off within {} s", GRACE.as_secs())
            }
            Err(RecvTimeoutError::Disconnected) => bail!("nobody is left to control"),
        }
    }
}
