//! Texts that QEMU prints instead of starting a machine, in the form in which tools read them.

use super::options::meant_names;
use super::opts::Opts;
use crate::cli::cpu;

/// The version of QEMU whose command line this is.
const QEMU_VERSION: &str = "7.2.0";

/// A text to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Help {
    /// `-version`.
    Version,
    /// `-help`.
    Options,
    /// `-machine help`.
    Machines,
    /// `-accel help`.
    Accelerators,
    /// `-cpu help`.
    Processors,
    /// `-device help`.
    Devices,
    /// `-device NAME,help`.
    Properties(&'static DeviceHelp, Bus),
    /// `-chardev help`.
    Chardevs,
    /// `-object help`.
    Objects,
    /// `-netdev help`.
    Networks,
}

/// Where a virtio device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bus {
    /// On the bus of the list.
    Own,
    /// On PCI.
    Pci,
}

/// A device in the list. One on `virtio-bus` is there on PCI, too.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DeviceHelp {
    name: &'static str,
    bus: &'static str,
    category: &'static str,
    properties: &'static [(&'static str, &'static str)],
}

const DEVICES: [DeviceHelp; 28] = [
    DeviceHelp {
        name: "virtio-blk-device",
        bus: "virtio-bus",
        category: "Storage",
        properties: &[("bootindex", "int32"), ("drive", "str"), ("serial", "str")],
    },
    DeviceHelp { name: "virtio-scsi-device", bus: "virtio-bus", category: "Storage", properties: &[] },
    DeviceHelp {
        name: "scsi-hd",
        bus: "SCSI",
        category: "Storage",
        properties: &[("bootindex", "int32"), ("drive", "str"), ("scsi-id", "uint32"), ("serial", "str")],
    },
    DeviceHelp {
        name: "scsi-cd",
        bus: "SCSI",
        category: "Storage",
        properties: &[("bootindex", "int32"), ("drive", "str"), ("scsi-id", "uint32"), ("serial", "str")],
    },
    DeviceHelp {
        name: "usb-storage",
        bus: "usb-bus",
        category: "Storage",
        properties: &[("bootindex", "int32"), ("drive", "str"), ("removable", "bool")],
    },
    DeviceHelp {
        name: "nvme",
        bus: "PCI",
        category: "Storage",
        properties: &[("bootindex", "int32"), ("drive", "str"), ("serial", "str")],
    },
    DeviceHelp {
        name: "vhost-user-blk-device",
        bus: "virtio-bus",
        category: "Storage",
        properties: &[("chardev", "str"), ("num-queues", "uint16")],
    },
    DeviceHelp {
        name: "vhost-user-fs-device",
        bus: "virtio-bus",
        category: "Storage",
        properties: &[("chardev", "str"), ("tag", "str")],
    },
    DeviceHelp {
        name: "vhost-vsock-device",
        bus: "virtio-bus",
        category: "Misc",
        properties: &[("guest-cid", "uint64")],
    },
    DeviceHelp {
        name: "virtio-net-device",
        bus: "virtio-bus",
        category: "Network",
        properties: &[("host_mtu", "uint16"), ("mac", "str"), ("netdev", "str")],
    },
    DeviceHelp {
        name: "virtio-rng-device",
        bus: "virtio-bus",
        category: "Misc",
        properties: &[("rng", "str")],
    },
    DeviceHelp { name: "virtio-keyboard-device", bus: "virtio-bus", category: "Input", properties: &[] },
    DeviceHelp { name: "virtio-mouse-device", bus: "virtio-bus", category: "Input", properties: &[] },
    DeviceHelp { name: "virtio-tablet-device", bus: "virtio-bus", category: "Input", properties: &[] },
    DeviceHelp { name: "virtio-serial-device", bus: "virtio-bus", category: "Input", properties: &[] },
    DeviceHelp {
        name: "virtconsole",
        bus: "virtio-serial-bus",
        category: "Input",
        properties: &[("chardev", "str")],
    },
    DeviceHelp {
        name: "virtserialport",
        bus: "virtio-serial-bus",
        category: "Input",
        properties: &[("chardev", "str"), ("name", "str")],
    },
    DeviceHelp { name: "qemu-xhci", bus: "PCI", category: "USB", properties: &[] },
    DeviceHelp { name: "usb-kbd", bus: "usb-bus", category: "Input", properties: &[] },
    DeviceHelp { name: "usb-mouse", bus: "usb-bus", category: "Input", properties: &[] },
    DeviceHelp { name: "usb-tablet", bus: "usb-bus", category: "Input", properties: &[] },
    DeviceHelp { name: "i8042", bus: "ISA", category: "Input", properties: &[] },
    DeviceHelp { name: "virtio-balloon-device", bus: "virtio-bus", category: "Misc", properties: &[] },
    DeviceHelp { name: "pc-testdev", bus: "ISA", category: "Misc", properties: &[] },
    DeviceHelp { name: "isa-serial", bus: "ISA", category: "Input", properties: &[("chardev", "str")] },
    DeviceHelp {
        name: "isa-debugcon",
        bus: "ISA",
        category: "Misc",
        properties: &[("chardev", "str"), ("iobase", "uint32")],
    },
    DeviceHelp { name: "isa-debug-exit", bus: "ISA", category: "Misc", properties: &[("iobase", "uint32")] },
    DeviceHelp { name: "pvpanic", bus: "ISA", category: "Misc", properties: &[] },
];

impl DeviceHelp {
    /// Its name on `bus`, if it is there.
    fn name_on(&self, bus: Bus) -> Option<String> {
        match bus {
            Bus::Own => Some(self.name.into()),
            Bus::Pci if self.bus == "virtio-bus" => {
                self.name.strip_suffix("-device").map(|name| format!("{name}-pci"))
            }
            Bus::Pci => None,
        }
    }
}

/// Every device, on each bus that it can be on.
fn on_each_bus() -> impl Iterator<Item = (&'static DeviceHelp, Bus, String)> {
    let each = |device: &'static DeviceHelp| {
        [Bus::Own, Bus::Pci].into_iter().filter_map(move |bus| Some((device, bus, device.name_on(bus)?)))
    };
    DEVICES.iter().flat_map(each)
}

/// The names of all devices.
pub(super) fn device_names() -> impl Iterator<Item = String> {
    on_each_bus().map(|(_, _, name)| name)
}

impl Help {
    /// The text that the option `name` asks for with `value`, if it asks for one.
    pub(super) fn wanted(name: &str, value: &str) -> Option<Self> {
        let is_help = ["help", "?"].contains(&value);
        match name {
            "version" => Some(Self::Version),
            "help" => Some(Self::Options),
            "machine" if is_help => Some(Self::Machines),
            "accel" if is_help => Some(Self::Accelerators),
            "cpu" if is_help => Some(Self::Processors),
            "device" if is_help => Some(Self::Devices),
            "device" => properties(value).map(|(device, bus)| Self::Properties(device, bus)),
            "chardev" if is_help => Some(Self::Chardevs),
            "object" if is_help => Some(Self::Objects),
            "netdev" if is_help => Some(Self::Networks),
            _ => None,
        }
    }

    /// The text.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Version => version(),
            Self::Options => options(),
            Self::Machines => "Supported machines are:\nmicrovm              microvm (i386)\n".into(),
            Self::Accelerators => "Accelerators supported in QEMU binary:\nkvm\n".into(),
            Self::Processors => cpu::list("/dev/kvm".as_ref()),
            Self::Devices => devices(),
            Self::Properties(device, bus) => device_properties(device, bus),
            Self::Chardevs => "Available chardev backend types: \n  file\n  null\n  pipe\n  pty\n  socket\n  stdio\n".into(),
            Self::Networks => "Available netdev backend types:\npasst\nstream\ntap\nuser\n".into(),
            Self::Objects => {
                "List of user creatable objects:\n  iothread\n  memory-backend-file\n  memory-backend-memfd\n  memory-backend-ram\n  rng-builtin\n  rng-random\n"
                    .into()
            }
        }
    }
}

fn properties(value: &str) -> Option<(&'static DeviceHelp, Bus)> {
    let mut opts = Opts::parse(value, Some("driver"));
    let wanted = opts.wants_help();
    let name = opts.take("driver")?;
    on_each_bus().find(|(_, _, known)| wanted && *known == name).map(|(device, bus, _)| (device, bus))
}

fn version() -> String {
    let own = env!("CARGO_PKG_VERSION");
    format!(
        "QEMU emulator version {QEMU_VERSION} (tinderbox {own})\n\
         Tinderbox, which takes QEMU's command line for the machine type microvm; it has no code of QEMU's\n"
    )
}

fn options() -> String {
    let lines = meant_names().map(|option| match option.has_value {
        true => format!("-{} VALUE\n", option.name),
        false => format!("-{}\n", option.name),
    });
    let text: String = lines.collect();
    format!(
        "{}usage: qemu-system-x86_64 [options] [disk_image]\n\nOptions of QEMU's that mean something here; others are \
         said to change nothing, or refused with what to do instead:\n\n{text}\n`tinderbox run --help` has the options of \
         this program's own.\n",
        version()
    )
}

fn devices() -> String {
    let mut text = String::new();
    for category in ["USB", "Storage", "Network", "Input", "Misc"] {
        let of_category = on_each_bus().filter(|(device, ..)| device.category == category);
        let lines = of_category.map(|(device, bus, name)| {
            let bus = if bus == Bus::Pci { "PCI" } else { device.bus };
            format!("name \"{name}\", bus {bus}\n")
        });
        let gap = if text.is_empty() { "" } else { "\n" };
        text += &format!("{gap}{category} devices:\n{}", lines.collect::<String>());
    }
    text
}

fn device_properties(device: &DeviceHelp, bus: Bus) -> String {
    let lines = device.properties.iter().map(|(name, kind)| format!("  {name}=<{kind}>\n"));
    format!("{} options:\n{}", device.name_on(bus).unwrap_or_default(), lines.collect::<String>())
}
