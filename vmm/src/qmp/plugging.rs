//! `device_add` and `device_del`: USB devices that come and go.

use serde_json::{Value, json};
use usb::Speed;

use super::commands::Machine;
use super::protocol::{Arguments, QmpError};
use crate::machine::remote::Notice;
use crate::machine::usb_plugs::{Added, AddedStorage, Path, Plugs, PlugsError};

/// The commands' names.
pub(super) const ADD: &str = "device_add";
pub(super) const DELETE: &str = "device_del";

/// The machine's USB ports.
pub(super) fn plugs(machine: &dyn Machine) -> Result<&Plugs, QmpError> {
    let plugs = machine.parts().plugs.as_deref();
    plugs.ok_or_else(|| QmpError::generic("the machine has no USB, give it a controller with usb=on"))
}

/// Plugs in a device, by QEMU's name or by ours.
pub(super) fn add(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let driver = arguments.text("driver")?;
    let id = arguments.optional_text("id")?;
    let path = arguments.optional_text("port")?.map(|text| path(&text)).transpose()?;
    arguments.ignore("bus"); // there is one
    let device = match driver.as_str() {
        "usb-kbd" | "kbd" => Added::Keyboard,
        "usb-mouse" | "mouse" => Added::Mouse,
        "usb-tablet" | "tablet" => Added::Tablet,
        "usb-hub" | "hub" => Added::Hub,
        "usb-storage" | "usb-uas" | "storage" => {
            let speed = match &path {
                Some(path) if path.is_behind_a_hub() => Speed::High,
                _ if driver == "usb-uas" => Speed::High,
                _ => Speed::Super,
            };
            Added::Storage(storage(arguments, speed)?)
        }
        _ => {
            let text = format!(
                "'{driver}' is not a valid device model name to plug in, use usb-storage, usb-uas, usb-kbd, usb-mouse, usb-tablet or usb-hub"
            );
            return Err(QmpError::generic(text));
        }
    };
    std::mem::take(arguments).finish()?;
    plugs(machine)?.add(id.as_deref(), path, device).map_err(failed)?;
    Ok(json!({}))
}

fn storage(arguments: &mut Arguments, speed: Speed) -> Result<AddedStorage, QmpError> {
    Ok(AddedStorage {
        node: arguments.text("drive")?,
        serial: arguments.optional_text("serial")?,
        removable: arguments.flag("removable")?,
        speed,
    })
}

/// `HUB.PORT`, or the controller's `PORT` alone.
fn path(text: &str) -> Result<Path, QmpError> {
    let numbers: Result<_, _> = text.split('.').map(str::parse).collect();
    numbers.map(Path).map_err(|_| QmpError::generic(format!("Parameter 'port' is no USB port: '{text}'")))
}

/// Pulls out a device, and tells everybody that it is gone.
pub(super) fn delete(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let id = arguments.text("id")?;
    std::mem::take(arguments).finish()?;
    let gone = match &machine.parts().plugs {
        Some(plugs) => plugs.unplug(&id).map_err(failed)?,
        None => return Err(failed(PlugsError::NotFound(id))),
    };
    gone.into_iter().for_each(|id| machine.announce(Notice::Unplugged(id.into())));
    Ok(json!({}))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: PlugsError) -> QmpError {
    match error {
        PlugsError::NotFound(_) => QmpError::not_found(error.to_string()),
        _ => QmpError::generic(error.to_string()),
    }
}
