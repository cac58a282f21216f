//! `-device virtio-serial-…`, `virtconsole` and `virtserialport`: consoles and ports on virtio, whose ends are those of
//! `-chardev`. All are ports of one device here.

use super::chardev::Chardevs;
use super::opts::Opts;
use super::{Reason, Wrong};
use crate::cli::ports::NamedPort;
use crate::config::PortConfig;

/// The device that ports are plugged into.
pub(super) const BUS: [&str; 3] = ["virtio-serial-device", "virtio-serial-pci", "virtio-serial"];

/// The ports, each with the id of its character device.
#[derive(Default)]
pub(super) struct Ports {
    ports: Vec<Port>,
    has_bus: bool,
}

struct Port {
    text: String,
    chardev: String,
    /// A console has none.
    name: Option<String>,
}

impl Ports {
    /// `-device virtio-serial-device[,max_ports=N]`.
    pub(super) fn bus(&mut self, mut opts: Opts) -> Result<(), Reason> {
        self.has_bus = true;
        opts.ignore(&["id", "max_ports", "vectors", "addr", "disable-legacy", "iommu_platform"]);
        opts.finish()
    }

    /// `-device virtconsole,chardev=ID`.
    pub(super) fn console(&mut self, text: &str, mut opts: Opts) -> Result<(), Reason> {
        opts.ignore(&["name"]);
        self.add(text, opts, None)
    }

    /// `-device virtserialport,chardev=ID,name=NAME`.
    pub(super) fn port(&mut self, text: &str, mut opts: Opts) -> Result<(), Reason> {
        let name = opts.need("name")?;
        self.add(text, opts, Some(name))
    }

    fn add(&mut self, text: &str, mut opts: Opts, name: Option<String>) -> Result<(), Reason> {
        let chardev = opts.need("chardev")?;
        opts.ignore(&["id", "bus", "nr"]);
        opts.finish()?;
        self.ports.push(Port { text: text.into(), chardev, name });
        Ok(())
    }

    /// All ports with their ends; consoles come first, as the guest numbers them.
    pub(super) fn finish(self, chardevs: &mut Chardevs) -> Result<Vec<PortConfig>, Wrong> {
        let Self { ports, has_bus } = self;
        if let (Some(port), false) = (ports.first(), has_bus) {
            let reason = "there is nothing to plug it into, add -device virtio-serial-device before it";
            return Err(("-device", port.text.clone(), reason.into()));
        }
        let (consoles, named): (Vec<_>, Vec<_>) = ports.into_iter().partition(|port| port.name.is_none());
        consoles.into_iter().chain(named).map(|port| port.config(chardevs)).collect()
    }
}

impl Port {
    fn config(self, chardevs: &mut Chardevs) -> Result<PortConfig, Wrong> {
        let Self { text, chardev, name } = self;
        let config = || -> Result<PortConfig, Reason> {
            let end = chardevs.port(&chardev)?;
            let kind = name.map_or(Ok(virtio::console::Kind::Console), NamedPort::kind)?;
            Ok(PortConfig { kind, end })
        };
        config().map_err(|reason| ("-device", text, reason))
    }
}
