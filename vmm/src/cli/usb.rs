//! `--usb storage,disk=FILE[,…]|kbd|mouse|tablet|hub|serial,to=END` and `--usb-pcap FILE`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use usb::Speed;

use super::disk::{DiskError, on_or_off};
use super::fields::{Fields, FieldsError};
use super::machine::decimal;
use super::ports::{self, PortError};
use crate::config::{DiskBus, DiskConfig, HostUsb, PortEnd, UsbConfig, UsbDevice, UsbKind, UsbStorage};

/// What is on USB.
#[derive(Args, Debug)]
#[command(next_help_heading = "USB")]
pub(crate) struct UsbArgs {
    /// A USB device, repeatable; it brings the controller (usb=on). storage takes disk=FILE, media=disk|cdrom,
    /// removable=on|off, speed=super|high and the keys of --disk; serial takes file=FILE or
    /// to=stdio|file:PATH|pipe:PATH|unix:PATH|pty; hub=N puts a device of high speed behind the Nth hub;
    /// id=NAME names it for QMP; host=046d:c31c takes a device from the host
    #[arg(
        long = "usb",
        value_name = "storage,disk=FILE[,…]|kbd|mouse|tablet|hub|serial,to=END|host=VENDOR:PRODUCT"
    )]
    devices: Vec<UsbArg>,
    /// Record all USB transfers in FILE, which Wireshark opens
    #[arg(long = "usb-pcap", value_name = "FILE")]
    pcap: Option<PathBuf>,
}

impl UsbArgs {
    /// The devices; the disks among them join `disks`.
    pub(crate) fn into_usb(self, disks: &mut Vec<DiskConfig>) -> UsbConfig {
        let devices = self.devices.into_iter().map(|device| device.resolve(disks)).collect();
        UsbConfig { devices, pcap: self.pcap }
    }
}

/// One device, with its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsbArg {
    device: UsbDevice,
    disk: Option<DiskConfig>,
}

impl UsbArg {
    fn resolve(mut self, disks: &mut Vec<DiskConfig>) -> UsbDevice {
        if let (UsbKind::Storage(storage), Some(disk)) = (&mut self.device.kind, self.disk) {
            storage.disk = disks.len();
            disks.push(disk);
        }
        self.device
    }
}

/// Why a text is no USB device.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum UsbError {
    /// A name that no device has.
    #[error("unknown device `{0}`, use storage, kbd, mouse, tablet, hub, serial or host=VENDOR:PRODUCT")]
    Name(String),
    /// A key that the device does not have.
    #[error("unknown key `{key}` of {name}, {hint}")]
    Key {
        /// The key.
        key: String,
        /// The device.
        name: &'static str,
        /// What there is.
        hint: &'static str,
    },
    /// A disk without contents.
    #[error("storage has no disk, write storage,disk=FILE")]
    NoDisk,
    /// A serial port without another end, or with two.
    #[error("serial has one other end, write serial,file=FILE or serial,to={}", ports::END)]
    OneEnd,
    /// Nothing that a serial port can lead to.
    #[error("to=: {0}")]
    End(#[from] PortError),
    /// No speed of a disk.
    #[error("speed={0} is no choice, use speed=super or speed=high")]
    Speed(String),
    /// No kind of medium.
    #[error("media={0} is no choice, use media=disk or media=cdrom")]
    Media(String),
    /// Neither yes nor no.
    #[error("removable={0} is no choice, use removable=on or removable=off")]
    Removable(String),
    /// No device of a host's.
    #[error("host={0} is no device, write its numbers as lsusb has them: host=046d:c31c")]
    Host(String),
    /// A device of the host's behind a hub.
    #[error("a device of the host's is in a port of the controller's, leave hub out")]
    HostHub,
    /// Not a hub.
    #[error("hub={0} is no hub, count the hubs from 1 in the order of the command line")]
    Hub(String),
    /// A disk on another bus.
    #[error("bus={0}: a disk of --usb is on USB, leave bus out")]
    Bus(String),
    /// No such disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Not of the shape.
    #[error(transparent)]
    Fields(#[from] FieldsError),
}

impl FromStr for UsbArg {
    type Err = UsbError;

    fn from_str(text: &str) -> Result<Self, UsbError> {
        let Fields { first: name, mut pairs } = Fields::parse(text)?;
        if let Some(numbers) = name.strip_prefix("host=") {
            return host(numbers, pairs);
        }
        let hub = take(&mut pairs, "hub").map(hub_number).transpose()?;
        let id = take(&mut pairs, "id");
        let (kind, disk) = match name.as_str() {
            "storage" => storage(&mut pairs, hub.is_some())?,
            "serial" => (UsbKind::Serial(other_end(&mut pairs)?), None),
            "kbd" => (UsbKind::Keyboard, None),
            "mouse" => (UsbKind::Mouse, None),
            "tablet" => (UsbKind::Tablet, None),
            "hub" => (UsbKind::Hub, None),
            _ => return Err(UsbError::Name(name)),
        };
        match pairs.into_iter().next() {
            Some((key, _)) => Err(unknown(key, &kind)),
            None => Ok(Self { device: UsbDevice { id, kind, hub }, disk }),
        }
    }
}

/// A device of the host's by its numbers.
fn host(numbers: &str, mut pairs: Vec<(String, String)>) -> Result<UsbArg, UsbError> {
    let is_hex = |text: &str| text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = |text: &str| u16::from_str_radix(text, 16).ok().filter(|_| is_hex(text));
    let found = numbers
        .split_once(':')
        .and_then(|(vendor, product)| Some(HostUsb { vendor: number(vendor)?, product: number(product)? }));
    let kind = UsbKind::Host(found.ok_or_else(|| UsbError::Host(numbers.into()))?);
    let id = take(&mut pairs, "id");
    match pairs.into_iter().next() {
        Some((key, _)) if key == "hub" => Err(UsbError::HostHub),
        Some((key, _)) => Err(unknown(key, &kind)),
        None => Ok(UsbArg { device: UsbDevice { id, kind, hub: None }, disk: None }),
    }
}

fn unknown(key: String, kind: &UsbKind) -> UsbError {
    let hint = match kind {
        UsbKind::Serial(_) => "use to, file, hub or id",
        UsbKind::Host(_) => "use id",
        _ => "use hub or id",
    };
    UsbError::Key { key, name: kind.name(), hint }
}

/// `to=END`, or `file=FILE` for a file.
fn other_end(pairs: &mut Vec<(String, String)>) -> Result<PortEnd, UsbError> {
    match (take(pairs, "to"), take(pairs, "file")) {
        (Some(end), None) => Ok(end.parse()?),
        (None, Some(path)) => Ok(PortEnd::File(path.into())),
        _ => Err(UsbError::OneEnd),
    }
}

/// The value of `key`, taken out.
fn take(pairs: &mut Vec<(String, String)>, key: &str) -> Option<String> {
    let at = pairs.iter().position(|(known, _)| known == key)?;
    Some(pairs.remove(at).1)
}

/// A disk, SuperSpeed unless it is behind a hub. Keys that USB does not have are those of `--disk`.
fn storage(
    pairs: &mut Vec<(String, String)>,
    behind_hub: bool,
) -> Result<(UsbKind, Option<DiskConfig>), UsbError> {
    let path = take(pairs, "disk").unwrap_or_default();
    if let Some(bus) = take(pairs, "bus") {
        return Err(UsbError::Bus(bus));
    }
    let removable = match take(pairs, "removable") {
        Some(value) => on_or_off(&value).map_err(|_| UsbError::Removable(value))?,
        None => false,
    };
    let speed = match take(pairs, "speed") {
        Some(value) => speed(value)?,
        None if behind_hub => Speed::High,
        None => Speed::Super,
    };
    let cdrom = match take(pairs, "media").as_deref() {
        None | Some("disk") => false,
        Some("cdrom") => true,
        Some(media) => return Err(UsbError::Media(media.into())),
    };
    if path.is_empty() && !cdrom {
        return Err(UsbError::NoDisk);
    }
    let mut disk = DiskConfig { bus: DiskBus::Usb, ..DiskConfig::with_keys(path, std::mem::take(pairs))? };
    disk.readonly |= cdrom;
    Ok((UsbKind::Storage(UsbStorage { disk: 0, cdrom, removable, speed }), Some(disk)))
}

fn speed(text: String) -> Result<Speed, UsbError> {
    match text.as_str() {
        "super" => Ok(Speed::Super),
        "high" => Ok(Speed::High),
        _ => Err(UsbError::Speed(text)),
    }
}

fn hub_number(text: String) -> Result<u32, UsbError> {
    decimal(&text).filter(|&number| number > 0).ok_or(UsbError::Hub(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        text.parse::<UsbArg>().unwrap_err().to_string()
    }

    fn resolved(texts: &[&str]) -> (UsbConfig, Vec<DiskConfig>) {
        let mut disks = vec![DiskConfig::new("first.raw")];
        let devices = texts.iter().map(|text| text.parse().unwrap()).collect();
        let usb = UsbArgs { devices, pcap: None }.into_usb(&mut disks);
        (usb, disks)
    }

    #[test]
    fn storage_joins_the_disks() {
        let (usb, disks) = resolved(&["kbd", "storage,disk=a,,b.raw,readonly=on,bootindex=3,removable=on"]);
        let storage = UsbStorage { disk: 1, cdrom: false, removable: true, speed: Speed::Super };
        assert_eq!(usb.devices[1], UsbDevice { id: None, kind: UsbKind::Storage(storage), hub: None });
        let expected = DiskConfig {
            bus: DiskBus::Usb,
            readonly: true,
            bootindex: Some(3),
            ..DiskConfig::new("a,b.raw")
        };
        assert_eq!(disks[1], expected);
    }

    #[test]
    fn storage_behind_a_hub_is_of_high_speed() {
        let (usb, _) = resolved(&["hub", "storage,disk=a,hub=1", "tablet,hub=1"]);
        assert_eq!(usb.devices[1].kind.speed(), Speed::High);
        assert_eq!(usb.devices.iter().map(|device| device.hub).collect::<Vec<_>>(), [None, Some(1), Some(1)]);
    }

    #[test]
    fn disc_is_read_only() {
        let (usb, disks) = resolved(&["storage,disk=a.iso,media=cdrom"]);
        assert!(matches!(usb.devices[0].kind, UsbKind::Storage(UsbStorage { cdrom: true, .. })));
        assert!(disks[1].readonly);
    }

    #[test]
    fn serial_port_has_another_end() {
        let (usb, _) = resolved(&["serial,file=out.log", "serial,to=unix:/run/s,hub=1"]);
        assert_eq!(usb.devices[0].kind, UsbKind::Serial(PortEnd::File("out.log".into())));
        assert_eq!(usb.devices[1].kind, UsbKind::Serial(PortEnd::Socket("/run/s".into())));
    }

    #[test]
    fn wrong_devices_are_named() {
        let expected =
            "unknown device `camera`, use storage, kbd, mouse, tablet, hub, serial or host=VENDOR:PRODUCT";
        assert_eq!(refused("camera"), expected);
        assert_eq!(refused("storage"), "storage has no disk, write storage,disk=FILE");
        assert_eq!(refused("storage,disk="), "storage has no disk, write storage,disk=FILE");
        let ends = "stdio|file:PATH|pipe:PATH|unix:PATH|pty";
        let one = format!("serial has one other end, write serial,file=FILE or serial,to={ends}");
        assert_eq!((refused("serial"), refused("serial,file=a,to=pty")), (one.clone(), one));
        let unknown = "to=: unknown end, use stdio, file:PATH, pipe:PATH, unix:PATH or pty";
        assert_eq!(refused("serial,to=tcp:1"), unknown);
        assert_eq!(refused("kbd,layout=de"), "unknown key `layout` of kbd, use hub or id");
        assert_eq!(
            refused("serial,file=a,speed=1"),
            "unknown key `speed` of serial, use to, file, hub or id"
        );
    }

    #[test]
    fn device_of_the_host_has_two_numbers() {
        let device = "host=046d:C31c,id=keys".parse::<UsbArg>().unwrap().device;
        assert_eq!(device.kind, UsbKind::Host(HostUsb { vendor: 0x046d, product: 0xc31c }));
        assert_eq!(device.id.as_deref(), Some("keys"));
        for numbers in ["", "046d", "046d:", ":", "046d:c31g", "0046d:c31c", "+46d:c31c", "046d:c31c:1"] {
            let expected =
                format!("host={numbers} is no device, write its numbers as lsusb has them: host=046d:c31c");
            assert_eq!(refused(&format!("host={numbers}")), expected);
        }
        assert_eq!(
            refused("host=046d:c31c,hub=1"),
            "a device of the host's is in a port of the controller's, leave hub out"
        );
    }

    #[test]
    fn wrong_values_are_named() {
        assert_eq!(
            refused("storage,disk=a,speed=full"),
            "speed=full is no choice, use speed=super or speed=high"
        );
        assert_eq!(
            refused("storage,disk=a,media=tape"),
            "media=tape is no choice, use media=disk or media=cdrom"
        );
        let expected = "removable=yes is no choice, use removable=on or removable=off";
        assert_eq!(refused("storage,disk=a,removable=yes"), expected);
        assert_eq!(refused("storage,disk=a,bus=usb"), "bus=usb: a disk of --usb is on USB, leave bus out");
        for text in ["0", "-1", "first"] {
            let expected =
                format!("hub={text} is no hub, count the hubs from 1 in the order of the command line");
            assert_eq!(refused(&format!("kbd,hub={text}")), expected);
        }
        assert!(refused("storage,disk=a,nonsense=1").starts_with("unknown key `nonsense`"));
    }
}
