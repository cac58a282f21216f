//! Programs outside: their sockets, opened early, and the threads that serve them.

use std::sync::Arc;

use anyhow::Context as _;

use super::Plan;
use super::build::Machine;
use super::control::Control;
use super::links::Links;
use super::remote::{Listener, Remote, connect};
use super::vcpus::Vcpus;
use crate::config::{Config, ControlConfig, Monitor, Side};
use crate::gdb;
use crate::qmp::{self, Facts, Parts};
use crate::socket::Socket;

/// The sockets, on which programs may already wait.
pub(super) struct Sockets {
    qmp: Vec<Socket>,
    gdb: Option<Socket>,
}

impl Sockets {
    /// Opens what `config` names.
    pub(super) fn open(config: &ControlConfig) -> anyhow::Result<Self> {
        let qmp: Result<_, _> = config.qmp.iter().map(Socket::open).collect();
        let debugger = config.gdb.as_ref().map(|debugger| {
            Socket::open(&Monitor { endpoint: debugger.endpoint.clone(), side: Side::Server })
        });
        Ok(Self { qmp: qmp.context("--qmp")?, gdb: debugger.transpose().context("--gdb")? })
    }

    /// Serves the programs; the listeners are the supervisor's ends.
    pub(super) fn serve(
        self,
        config: &Config,
        plan: &Plan,
        machine: &Machine,
        vcpus: &Vcpus,
    ) -> anyhow::Result<(Vec<Listener>, Servers)> {
        let mut programs = Programs { control: &machine.control, listeners: Vec::new() };
        let mut servers = Servers { qmp: None, gdb: None };
        if !self.qmp.is_empty() {
            let (balloon, hands) = (machine.balloon.clone(), machine.hands.clone());
            let facts = Facts::new(config, plan, vcpus.threads(), balloon, hands);
            let facts = facts.with_disk_sizes(&machine.disk_sizes);
            let parts = Parts {
                drives: Arc::clone(&machine.drives),
                links: Links::new(&config.virtio.nets, machine.links.clone()),
                plugs: machine.plugs(),
            };
            let server = qmp::Server::start(self.qmp, programs.next()?, facts, parts);
            servers.qmp = Some(server.context("start QMP's thread")?);
        }
        if let (Some(socket), Some(debugger)) = (self.gdb, &config.control.gdb) {
            let memory = machine.memory().clone();
            let server = gdb::Server::start(socket, debugger.arch, vcpus.shared(), memory, programs.next()?);
            servers.gdb = Some(server.context("start the debugger's thread")?);
        }
        Ok((programs.listeners, servers))
    }
}

/// The ways to the programs so far.
struct Programs<'a> {
    control: &'a Arc<Control>,
    listeners: Vec<Listener>,
}

impl Programs<'_> {
    fn next(&mut self) -> anyhow::Result<Remote> {
        let (listener, remote) = connect(self.control, self.listeners.len()).context("make an eventfd")?;
        self.listeners.push(listener);
        Ok(remote)
    }
}

/// The threads that serve programs.
pub(super) struct Servers {
    qmp: Option<qmp::Server>,
    gdb: Option<gdb::Server>,
}

impl Servers {
    /// Waits until every program knows that the run is over.
    pub(super) fn finish(self) {
        if let Some(server) = self.qmp {
            server.finish();
        }
        if let Some(server) = self.gdb {
            server.finish();
        }
    }
}
