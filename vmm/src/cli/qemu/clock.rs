//! `-rtc`: the clock's time.

use super::Reason;
use super::opts::Opts;
use crate::config::{MachineOptions, RtcClock, RtcConfig, Switch};

/// The clock's time, as far as it was described, and what is to be said of it.
#[derive(Default)]
pub(super) struct Clock {
    config: RtcConfig,
    notes: Vec<String>,
}

impl Clock {
    /// `-rtc [base=utc|localtime|DATE[TTIME]][,clock=host|rt|vm][,driftfix=none|slew]`: what is said later wins.
    pub(super) fn option(&mut self, text: &str) -> Result<(), Reason> {
        let mut opts = Opts::parse(text, None);
        if let Some(base) = opts.take("base") {
            self.config.base = base.parse()?;
        }
        match opts.take("clock").as_deref() {
            Some("vm") => {
                self.config.clock = RtcClock::Steady;
                self.notes.push(
                    "-rtc clock=vm is taken for clock=rt: the clock goes on while the machine is paused"
                        .into(),
                );
            }
            Some(clock) => self.config.clock = clock.parse()?,
            None => {}
        }
        match opts.take("driftfix").as_deref() {
            Some("slew") => {
                self.notes.push(
                    "-rtc driftfix=slew changes nothing: ticks that come late are delivered late".into(),
                );
            }
            Some("none") | None => {}
            Some(other) => {
                return Err(format!("driftfix={other}: use driftfix=none or driftfix=slew").into());
            }
        }
        opts.finish()
    }

    /// The time, for a machine with `options`. As on QEMU's microvm there is no clock unless one is switched on.
    pub(super) fn finish(self, options: &MachineOptions, notes: &mut Vec<String>) -> RtcConfig {
        let Self { config, notes: own } = self;
        match options.rtc {
            Switch::On => notes.extend(own),
            _ if config == RtcConfig::default() => {}
            _ => notes
                .push("-rtc changes nothing: the machine has no such clock, add -M microvm,rtc=on".into()),
        }
        config
    }
}
