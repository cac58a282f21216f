//! `-qmp`, `-mon`, `-gdb`, `-s`, `-name`, `-S`, `-daemonize` and `-no-shutdown`: control from outside.

use super::chardev::Chardevs;
use super::opts::Opts;
use super::{Reason, Wrong};
use crate::config::{ControlConfig, DebugArch, Debugger, Endpoint, Monitor, OnPowerOff, Side, StartState};

/// Control from outside, as far as it was described.
#[derive(Default)]
pub(super) struct Monitors {
    config: ControlConfig,
    /// Character devices on which QMP is spoken, by id.
    by_chardev: Vec<String>,
    /// Character devices on which people would speak to QEMU, by id.
    for_people: Vec<String>,
}

impl Monitors {
    /// Takes the option `name`.
    pub(super) fn option(&mut self, name: &str, text: &str) -> Result<(), Reason> {
        match name {
            "S" => self.config.start = StartState::Paused,
            "daemonize" => self.config.daemonize = true,
            "no-shutdown" => self.stay(),
            "gdb" => self.gdb(text)?,
            "s" => self.gdb("tcp::1234")?,
            "name" => self.name(text)?,
            "pidfile" => self.config.pid_file = Some(text.into()),
            "mon" => self.mon(text)?,
            _ => match text.strip_prefix("chardev:") {
                Some(id) => self.by_chardev.push(id.into()),
                None => self.config.qmp.push(monitor(text)?),
            },
        }
        Ok(())
    }

    /// The machine stays when the guest powers it off.
    pub(super) fn stay(&mut self) {
        self.config.on_power_off = OnPowerOff::Stay;
    }

    /// `-gdb tcp:[HOST]:PORT[,server=on][,wait=off]`, also `unix:PATH`.
    fn gdb(&mut self, text: &str) -> Result<(), Reason> {
        let mut opts = Opts::parse(text, Some("address"));
        let endpoint = opts.need("address")?.parse()?;
        if endpoint == Endpoint::Stdio {
            return Err("a debugger needs a socket, use tcp::PORT or unix:PATH".into());
        }
        opts.ignore(&["server", "wait", "nowait", "nodelay"]);
        opts.finish()?;
        self.config.gdb = Some(Debugger { endpoint, arch: DebugArch::default() });
        Ok(())
    }

    fn name(&mut self, text: &str) -> Result<(), Reason> {
        let mut opts = Opts::parse(text, Some("guest"));
        self.config.name = opts.take("guest").or(self.config.name.take());
        opts.ignore(&["process", "debug-threads"]);
        opts.finish()
    }

    /// `-mon [chardev=]ID,mode=control`.
    fn mon(&mut self, text: &str) -> Result<(), Reason> {
        let mut opts = Opts::parse(text, Some("chardev"));
        let id = opts.need("chardev")?;
        let mode = opts.take("mode");
        opts.ignore(&["pretty"]);
        opts.finish()?;
        match mode.as_deref() {
            Some("control") => self.by_chardev.push(id),
            None | Some("readline") => self.for_people.push(id),
            Some(other) => return Err(format!("mode={other}: use mode=control").into()),
        }
        Ok(())
    }

    /// All of it, with the sockets of `chardevs`.
    pub(super) fn finish(
        self,
        chardevs: &mut Chardevs,
        notes: &mut Vec<String>,
    ) -> Result<ControlConfig, Wrong> {
        let Self { mut config, by_chardev, for_people } = self;
        for id in for_people {
            if !chardevs.is_terminal(&id) {
                return Err(("-mon chardev", id, "there is no monitor for people, use mode=control".into()));
            }
            notes.push(
                "-mon changes nothing: instead of a monitor the console has keys, Ctrl-a h lists them".into(),
            );
        }
        for id in by_chardev {
            let monitor = chardevs.monitor(&id);
            config.qmp.push(monitor.map_err(|reason| ("-mon chardev", id, reason))?);
        }
        Ok(config)
    }
}

/// `unix:PATH[,server=on|off][,wait=on|off]`, `tcp:HOST:PORT…` or `stdio`.
pub(super) fn monitor(text: &str) -> Result<Monitor, Reason> {
    let mut opts = Opts::parse(text, Some("address"));
    let endpoint = opts.need("address")?.parse()?;
    let side = side(&mut opts)?;
    opts.finish()?;
    Ok(Monitor { endpoint, side })
}

/// The socket of `-chardev socket,path=PATH|host=HOST,port=PORT`.
pub(super) fn socket(opts: &mut Opts) -> Result<Monitor, Reason> {
    let address = match (opts.take("path"), opts.take("port")) {
        (Some(path), None) => format!("unix:{path}"),
        (None, Some(port)) => format!("tcp:{}:{port}", opts.take("host").unwrap_or_default()),
        _ => return Err("write path=PATH, or host=HOST,port=PORT".into()),
    };
    let endpoint: Endpoint = address.parse()?;
    Ok(Monitor { endpoint, side: side(opts)? })
}

/// A server of QEMU's waits for the first client, unless told not to.
fn side(opts: &mut Opts) -> Result<Side, Reason> {
    opts.ignore(&["nodelay", "ipv4", "ipv6", "reconnect"]);
    // What older versions wrote.
    let waits = match opts.switch("nowait")? {
        Some(nowait) => Some(!nowait),
        None => opts.switch("wait")?,
    };
    Ok(match (opts.switch("server")?, waits) {
        (Some(true), Some(false)) => Side::Server,
        (Some(true), _) => Side::WaitingServer,
        _ => Side::Client,
    })
}
