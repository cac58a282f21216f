//! `--name`, `--pidfile`, `--qmp`, `--gdb`, `--paused` and `--no-shutdown`: control from outside.

use std::path::PathBuf;

use clap::Args;

use crate::config::{ControlConfig, Debugger, Endpoint, Monitor, OnPowerOff, Side, StartState};

/// Control from outside.
#[derive(Args, Debug)]
#[command(next_help_heading = "Control from outside")]
pub(crate) struct ControlArgs {
    /// What programs know the machine by
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Write the process's number here while the machine runs
    #[arg(long, value_name = "FILE")]
    pidfile: Option<PathBuf>,
    /// Let programs control the machine by QMP, repeatable; without a host, TCP is for this host alone
    #[arg(long, value_name = "unix:PATH|tcp:[HOST:]PORT|stdio")]
    qmp: Vec<Endpoint>,
    /// Let GDB debug the guest, from its first instruction on: the machine waits until GDB continues it
    #[arg(long, value_name = "unix:PATH|tcp:[HOST:]PORT[,arch=i386|x86-64]")]
    gdb: Option<Debugger>,
    /// Wait until a program lets the machine run
    #[arg(long)]
    paused: bool,
    /// Go to the background when the machine is there; this command ends then, and with an error if it does not get there
    #[arg(long)]
    daemonize: bool,
    /// Stay when the guest powers off, until a program resets the machine or ends the run
    #[arg(long)]
    no_shutdown: bool,
}

impl ControlArgs {
    /// All options together.
    pub(crate) fn into_control(self) -> ControlConfig {
        let Self { name, pidfile: pid_file, qmp, gdb, paused, daemonize, no_shutdown } = self;
        let monitor = |endpoint| Monitor { endpoint, side: Side::default() };
        ControlConfig {
            name,
            pid_file,
            qmp: qmp.into_iter().map(monitor).collect(),
            start: if paused || gdb.is_some() { StartState::Paused } else { StartState::Running },
            gdb,
            daemonize,
            fds: Vec::new(),
            on_power_off: if no_shutdown { OnPowerOff::Stay } else { OnPowerOff::End },
        }
    }
}
