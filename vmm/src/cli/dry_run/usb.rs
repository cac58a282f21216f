//! The devices on USB.

use usb::Speed;

use crate::config::{Config, PortEnd, UsbDevice, UsbKind};
use crate::machine::Plan;
use crate::machine::plan::UsbPlace;

/// Kind, port and file of each device.
pub(super) fn devices(config: &Config, plan: &Plan) -> Vec<[String; 3]> {
    let rows = config.usb.devices.iter().zip(&plan.usb_places);
    rows.map(|(device, place)| [device.kind.name().into(), port(place), file(config, device)]).collect()
}

pub(super) fn port(place: &UsbPlace) -> String {
    if place.path.is_empty() {
        return "first free port".into();
    }
    let path: Vec<_> = place.path.iter().map(u8::to_string).collect();
    let bus = if place.speed == Speed::Super { "USB 3" } else { "USB 2" };
    format!("{bus} port {}", path.join("."))
}

fn file(config: &Config, device: &UsbDevice) -> String {
    let path = match &device.kind {
        UsbKind::Storage(storage) => config.disks.get(storage.disk).map(|disk| &disk.path),
        UsbKind::Serial(PortEnd::File(file)) => Some(&file.path),
        UsbKind::Serial(PortEnd::Pipe(path) | PortEnd::Socket(path)) => Some(path),
        UsbKind::Serial(PortEnd::Stdio) => return "stdio".into(),
        UsbKind::Serial(PortEnd::Pty) => return "pty".into(),
        _ => None,
    };
    path.map(|path| path.display().to_string()).unwrap_or_default()
}
