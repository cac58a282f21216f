//! Which USB device is in which port.

use usb::Speed;

use crate::config::{UsbConfig, UsbDevice, UsbKind};

/// Root ports of each kind, SuperSpeed and slower.
pub(crate) const ROOT_PORTS: u8 = 8;
/// Ports of a hub.
const HUB_PORTS: u8 = 4;
/// Hubs that may be in a row. USB 2.0, 4.1.1.
const HUBS_IN_A_ROW: usize = 5;

/// A device in its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsbPlace {
    /// Port numbers from the controller on, each from 1. The first counts among the root ports of the device's kind. None for
    /// a device of the host's, whose speed is not known yet: it comes into the first port that is free.
    pub path: Vec<u8>,
    /// Which kind of root port it is.
    pub speed: Speed,
    /// The hub it is behind, as an index into the devices.
    pub hub: Option<usize>,
    /// The disk it is, as an index into [`Config::disks`](crate::config::Config::disks).
    pub disk: Option<usize>,
}

/// The number among all root ports of the one that is number `port` for this speed: SuperSpeed ports come first. xHCI 1.2, 7.2.
#[must_use]
pub(crate) fn root_port(port: u8, speed: Speed) -> u8 {
    if speed == Speed::Super { port } else { usb::xhci::Config::default().usb3_ports + port }
}

impl UsbPlace {
    /// Its root port among all of the controller.
    #[must_use]
    pub fn root_port(&self) -> u8 {
        root_port(self.path.first().copied().unwrap_or_default(), self.speed)
    }

    /// The path with the root port counted among all.
    #[must_use]
    pub fn path_from_all_ports(&self) -> Vec<u8> {
        let hubs = self.path.get(1..).unwrap_or_default();
        [&[self.root_port()], hubs].concat()
    }
}

/// Why devices cannot be plugged in. Each message names the option and what to do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UsbError {
    /// All ports of the controller are taken.
    #[error(
        "--usb {name}: all {ROOT_PORTS} ports for its speed are taken, put devices behind a hub with --usb hub and hub=1"
    )]
    RootPorts {
        /// What there is no room for.
        name: &'static str,
    },
    /// A hub that is not there.
    #[error("--usb {name},hub={hub}: there is no such hub yet, write --usb hub before it")]
    NoHub {
        /// What wants it.
        name: &'static str,
        /// Its number.
        hub: u32,
    },
    /// All ports of a hub are taken.
    #[error("--usb {name},hub={hub}: all {HUB_PORTS} ports of the hub are taken, choose another")]
    HubPorts {
        /// What there is no room for.
        name: &'static str,
        /// The hub.
        hub: u32,
    },
    /// A SuperSpeed device behind a hub.
    #[error("--usb {name},hub={hub}: hubs here are for high speed, write speed=high")]
    TooFast {
        /// The device.
        name: &'static str,
        /// The hub.
        hub: u32,
    },
    /// More hubs in a row than USB has addresses for.
    #[error("--usb {name},hub={hub}: more than {HUBS_IN_A_ROW} hubs in a row are too many, choose another")]
    TooDeep {
        /// The device.
        name: &'static str,
        /// The hub.
        hub: u32,
    },
    /// A name for two.
    #[error("--usb {name},id={id}: another device has this id, choose another")]
    Duplicate {
        /// The device.
        name: &'static str,
        /// Its id.
        id: String,
    },
    /// Devices and no controller.
    #[error(
        "--usb and --machine usb=off exclude each other: devices need the controller, so leave one of them out"
    )]
    Off,
    /// Devices that no guest would find.
    #[error(
        "--usb and --machine acpi=off exclude each other: nothing but ACPI tells of the USB controller, so leave one of them out"
    )]
    NoAcpi,
    /// A recording of nothing.
    #[error("--usb-pcap records what is on USB, add a device with --usb")]
    NothingToRecord,
}

/// Puts each device into the first free port of where it is to be.
pub(super) fn places(config: &UsbConfig) -> Result<Vec<UsbPlace>, UsbError> {
    if config.pcap.is_some() && config.devices.is_empty() {
        return Err(UsbError::NothingToRecord);
    }
    let mut places = Vec::new();
    for (n, device) in config.devices.iter().enumerate() {
        let before = config.devices.iter().take(n);
        if let Some(id) =
            before.filter_map(|other| other.id.as_ref()).find(|id| Some(*id) == device.id.as_ref())
        {
            return Err(UsbError::Duplicate { name: device.kind.name(), id: id.clone() });
        }
        let place = match device.hub {
            None if matches!(device.kind, UsbKind::Host(_)) => anywhere(),
            None => at_root(device, &places)?,
            Some(hub) => behind(device, hub, &config.devices, &places)?,
        };
        places.push(place);
    }
    Ok(places)
}

/// The first free port for the speed that the device turns out to have.
const fn anywhere() -> UsbPlace {
    UsbPlace { path: Vec::new(), speed: Speed::High, hub: None, disk: None }
}

fn at_root(device: &UsbDevice, places: &[UsbPlace]) -> Result<UsbPlace, UsbError> {
    let speed = device.kind.speed();
    let fixed = places.iter().filter(|place| !place.path.is_empty());
    let taken = fixed.filter(|place| place.hub.is_none() && place.speed == speed).count();
    match u8::try_from(taken + 1) {
        Ok(port) if port <= ROOT_PORTS => {
            Ok(UsbPlace { path: vec![port], speed, hub: None, disk: disk(device) })
        }
        _ => Err(UsbError::RootPorts { name: device.kind.name() }),
    }
}

const fn disk(device: &UsbDevice) -> Option<usize> {
    match &device.kind {
        UsbKind::Storage(storage) => Some(storage.disk),
        _ => None,
    }
}

fn behind(
    device: &UsbDevice,
    hub: u32,
    devices: &[UsbDevice],
    places: &[UsbPlace],
) -> Result<UsbPlace, UsbError> {
    let (name, speed) = (device.kind.name(), device.kind.speed());
    // Hubs that have a place already come before the device.
    let mut hubs =
        devices.iter().zip(places).enumerate().filter(|(_, (device, _))| device.kind == UsbKind::Hub);
    let found = hubs.nth(hub.saturating_sub(1) as usize);
    let (at, (_, place)) = found.ok_or(UsbError::NoHub { name, hub })?;
    if speed != Speed::High {
        return Err(UsbError::TooFast { name, hub });
    }
    if place.path.len() > HUBS_IN_A_ROW {
        return Err(UsbError::TooDeep { name, hub });
    }
    let taken = places.iter().filter(|place| place.hub == Some(at)).count();
    match u8::try_from(taken + 1) {
        Ok(port) if port <= HUB_PORTS => {
            let path = [place.path.as_slice(), &[port]].concat();
            Ok(UsbPlace { path, speed, hub: Some(at), disk: disk(device) })
        }
        _ => Err(UsbError::HubPorts { name, hub }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::UsbStorage;

    const fn device(kind: UsbKind, hub: Option<u32>) -> UsbDevice {
        UsbDevice { id: None, kind, hub }
    }

    const fn storage(speed: Speed, hub: Option<u32>) -> UsbDevice {
        device(UsbKind::Storage(UsbStorage { disk: 0, cdrom: false, removable: false, speed }), hub)
    }

    fn plan(devices: Vec<UsbDevice>) -> Result<Vec<Vec<u8>>, String> {
        let places = places(&UsbConfig { devices, pcap: None }).map_err(|error| error.to_string())?;
        Ok(places.into_iter().map(|place| place.path).collect())
    }

    #[test]
    fn each_kind_of_root_port_counts_from_1() {
        let devices = vec![
            storage(Speed::Super, None),
            device(UsbKind::Keyboard, None),
            storage(Speed::Super, None),
            storage(Speed::High, None),
        ];
        assert_eq!(plan(devices), Ok(vec![vec![1], vec![1], vec![2], vec![2]]));
    }

    #[test]
    fn devices_behind_hubs_have_a_path() {
        let devices = vec![
            device(UsbKind::Keyboard, None),
            device(UsbKind::Hub, None),
            device(UsbKind::Mouse, Some(1)),
            device(UsbKind::Hub, Some(1)),
            storage(Speed::High, Some(2)),
        ];
        assert_eq!(plan(devices), Ok(vec![vec![1], vec![2], vec![2, 1], vec![2, 2], vec![2, 2, 1]]));
    }

    #[test]
    fn ports_run_out() {
        let expected = "--usb kbd: all 8 ports for its speed are taken, put devices behind a hub with --usb hub and hub=1";
        assert_eq!(plan(vec![device(UsbKind::Keyboard, None); 9]), Err(expected.into()));
        let mut devices = vec![device(UsbKind::Keyboard, Some(1)); 5];
        devices.insert(0, device(UsbKind::Hub, None));
        let expected = "--usb kbd,hub=1: all 4 ports of the hub are taken, choose another";
        assert_eq!(plan(devices), Err(expected.into()));
    }

    #[test]
    fn hub_must_come_before_and_be_fast_enough() {
        let expected = "--usb kbd,hub=1: there is no such hub yet, write --usb hub before it";
        let late = vec![device(UsbKind::Keyboard, Some(1)), device(UsbKind::Hub, None)];
        assert_eq!(plan(late), Err(expected.into()));
        let expected = "--usb hub,hub=1: there is no such hub yet, write --usb hub before it";
        assert_eq!(plan(vec![device(UsbKind::Hub, Some(1))]), Err(expected.into()));
        let expected = "--usb storage,hub=1: hubs here are for high speed, write speed=high";
        let fast = vec![device(UsbKind::Hub, None), storage(Speed::Super, Some(1))];
        assert_eq!(plan(fast), Err(expected.into()));
    }

    #[test]
    fn hubs_end_after_five() {
        let chain = |len| (0..len).map(|n| device(UsbKind::Hub, (n > 0).then_some(n))).collect();
        assert_eq!(plan(chain(6)).map(|paths| paths.len()), Ok(6));
        let expected = "--usb hub,hub=6: more than 5 hubs in a row are too many, choose another";
        assert_eq!(plan(chain(7)), Err(expected.into()));
    }

    #[test]
    fn recording_needs_a_device() {
        let config = UsbConfig { devices: Vec::new(), pcap: Some("a.pcap".into()) };
        assert_eq!(places(&config), Err(UsbError::NothingToRecord));
    }
}
