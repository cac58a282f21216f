//! `-netdev`, `-nic` and the devices that show them to the guest; random bytes and the balloon.

use ::virtio::input::Kind;
use net::Limits;

use super::super::net::queue_pairs;
use super::opts::Opts;
use super::{Reason, Wrong};
use crate::config::{NetConfig, Switch, VirtioBus, VirtioConfig, VsockConfig, Wire};

/// Host sides of networks, and the devices of the guest.
#[derive(Default)]
pub(super) struct Nets {
    wires: Vec<(String, Wire)>,
    devices: Vec<Device>,
    /// Interfaces with their own wire, by `-nic`.
    nics: Vec<NetConfig>,
    /// A source of random bytes.
    pub(super) rng: bool,
    /// What a person works with.
    pub(super) inputs: Vec<Kind>,
    /// A balloon, which is empty.
    pub(super) balloon: bool,
    /// What programs know it by.
    pub(super) balloon_id: Option<String>,
    bus: VirtioBus,
    /// Streams by the host's kernel.
    pub(super) vsock: Option<VsockConfig>,
}

/// `-device virtio-net-device`.
struct Device {
    text: String,
    id: Option<String>,
    wire: String,
    mac: Option<String>,
    mtu: Option<u16>,
}

impl Nets {
    /// A device `driver` is there: one for PCI brings all there.
    pub(super) fn plug(&mut self, driver: &str) {
        if driver.ends_with("-pci") {
            self.bus = VirtioBus::Pci;
        }
    }

    /// What a person works with, by the name of its driver.
    pub(super) fn input(driver: &str) -> Option<Kind> {
        match driver {
            "virtio-keyboard-device" | "virtio-keyboard-pci" => Some(Kind::Keyboard),
            "virtio-mouse-device" | "virtio-mouse-pci" => Some(Kind::Mouse),
            "virtio-tablet-device" | "virtio-tablet-pci" => Some(Kind::Tablet),
            _ => None,
        }
    }

    /// `-netdev TYPE,id=ID…`.
    pub(super) fn netdev(&mut self, text: &str) -> Result<(), Reason> {
        let mut opts = Opts::parse_or_json(text, "type")?;
        let id = opts.need("id")?;
        let wire = wire(&mut opts)?;
        opts.finish()?;
        self.wires.push((id, wire));
        Ok(())
    }

    /// `-nic none`, or `-nic TYPE[,mac=MAC][,model=virtio-net-device]…`.
    pub(super) fn nic(&mut self, text: &str) -> Result<(), Reason> {
        if text == "none" {
            return Ok(());
        }
        let mut opts = Opts::parse(text, Some("type"));
        opts.only("model", &["virtio", "virtio-net", "virtio-net-device"], "use model=virtio-net-device")?;
        let names = opts.take("id").into_iter().collect();
        let mac = opts.take("mac");
        let wire = wire(&mut opts)?;
        opts.finish()?;
        self.nics.push(NetConfig { names, ..interface(wire, mac.as_deref(), None)? });
        Ok(())
    }

    /// `-device virtio-net-device,netdev=ID[,mac=MAC][,host_mtu=N]`.
    pub(super) fn device(&mut self, text: &str, mut opts: Opts) -> Result<(), Reason> {
        let device = Device {
            text: text.into(),
            id: opts.take("id"),
            wire: opts.need("netdev")?,
            mac: opts.take("mac"),
            mtu: opts.number("host_mtu")?.filter(|mtu| *mtu > 0),
        };
        // There are as many pairs of queues as the netdev has.
        opts.ignore(&[
            "mq",
            "bootindex",
            "romfile",
            "vectors",
            "mrg_rxbuf",
            "rx_queue_size",
            "tx_queue_size",
        ]);
        opts.finish()?;
        self.devices.push(device);
        Ok(())
    }

    /// All devices together.
    pub(super) fn finish(self, notes: &mut Vec<String>) -> Result<VirtioConfig, Wrong> {
        let mut nets = self.nics;
        for device in &self.devices {
            let wrong = |reason| ("-device", device.text.clone(), reason);
            let wire = self.wires.iter().find(|(id, _)| *id == device.wire);
            let missing = || format!("there is no -netdev of the id `{}`, add it", device.wire).into();
            let (_, wire) = wire.ok_or_else(missing).map_err(wrong)?;
            let names = device.id.iter().chain([&device.wire]).cloned().collect();
            let interface = interface(wire.clone(), device.mac.as_deref(), device.mtu).map_err(wrong)?;
            nets.push(NetConfig { names, ..interface });
        }
        for (id, _) in &self.wires {
            if !self.devices.iter().any(|device| device.wire == *id) {
                notes.push(format!(
                    "netdev {id} is shown by no device, add -device virtio-net-device,netdev={id}"
                ));
            }
        }
        let balloon = self.balloon.then_some(0);
        Ok(VirtioConfig {
            bus: self.bus,
            nets,
            rng: self.rng,
            inputs: self.inputs,
            balloon,
            balloon_id: self.balloon_id,
            vsock: self.vsock,
            ..VirtioConfig::default()
        })
    }
}

fn interface(wire: Wire, mac: Option<&str>, mtu: Option<u16>) -> Result<NetConfig, Reason> {
    let mac = mac.map(|mac| mac.parse().map_err(|error| format!("mac={mac}: {error}"))).transpose()?;
    Ok(NetConfig { names: Vec::new(), wire, mac, mtu, limits: Limits::default() })
}

/// What the host's side of a network is here.
fn wire(opts: &mut Opts) -> Result<Wire, Reason> {
    match opts.need("type")?.as_str() {
        "tap" => {
            opts.ignore(&["script", "downscript", "sndbuf", "br", "helper", "vhostforce"]);
            let vhost = match opts.switch("vhost")? {
                Some(true) => Switch::On,
                Some(false) => Switch::Off,
                None => Switch::Auto,
            };
            let queues = opts.take("queues").map_or(Ok(1), queue_pairs).map_err(|error| error.to_string())?;
            Ok(Wire::Tap { name: opts.need("ifname")?, vhost, queues })
        }
        "user" => user(opts),
        "passt" => Ok(Wire::Passt { tcp: opts.take("tcp-ports"), udp: opts.take("udp-ports") }),
        "stream" => {
            opts.only("server", &["off", "false"], "this program connects, use server=off")?;
            opts.only("addr.type", &["unix"], "use addr.type=unix")?;
            opts.ignore(&["reconnect", "reconnect-ms"]);
            Ok(Wire::Socket(opts.need("addr.path")?.into()))
        }
        other => Err(format!("unknown network `{other}`, use tap, user, passt or stream").into()),
    }
}

/// QEMU's own network for guests is passt here, which forwards the same ports.
fn user(opts: &mut Opts) -> Result<Wire, Reason> {
    let (mut tcp, mut udp) = (Vec::new(), Vec::new());
    for forward in opts.take_all("hostfwd") {
        let (kind, ports) = forwarded(&forward).ok_or_else(|| {
            format!("hostfwd={forward}: write hostfwd=tcp::PORT-:PORT, host and guest side without addresses")
        })?;
        if kind == "udp" { udp.push(ports) } else { tcp.push(ports) }
    }
    opts.ignore(&["ipv4", "ipv6", "hostname", "dhcpstart", "domainname", "net", "host", "dns", "restrict"]);
    let join = |ports: Vec<String>| (!ports.is_empty()).then(|| ports.join(","));
    Ok(Wire::Passt { tcp: join(tcp), udp: join(udp) })
}

/// `tcp::2222-:22` and `tcp:127.0.0.1:2222-:22` in passt's words.
fn forwarded(text: &str) -> Option<(&str, String)> {
    let (kind, rest) = text.split_once(':').filter(|(kind, _)| ["", "tcp", "udp"].contains(kind))?;
    let (host, guest) = rest.split_once('-')?;
    let (address, host) = host.rsplit_once(':')?;
    let (_, guest) = guest.rsplit_once(':')?;
    let (host, guest): (u16, u16) = (host.parse().ok()?, guest.parse().ok()?);
    let address = if address.is_empty() { String::new() } else { format!("{address}/") };
    Some((kind, format!("{address}{host}:{guest}")))
}
