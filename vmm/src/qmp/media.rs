//! `eject`, `blockdev-change-medium` and the single steps of both: media that come and go.

use serde_json::{Value, json};

use super::commands::Machine;
use super::nodes::format;
use super::protocol::{Arguments, QmpError};
use crate::machine::drives::{DriveError, NewMedium};

/// The commands' names.
pub(super) const EJECT: &str = "eject";
pub(super) const CHANGE: &str = "blockdev-change-medium";
pub(super) const OPEN: &str = "blockdev-open-tray";
pub(super) const CLOSE: &str = "blockdev-close-tray";
pub(super) const REMOVE: &str = "blockdev-remove-medium";
pub(super) const INSERT: &str = "blockdev-insert-medium";

/// Opens a tray and takes the medium out.
pub(super) fn eject(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let (device, force) = (device(arguments)?, arguments.flag("force")?);
    std::mem::take(arguments).finish()?;
    done(machine, &device, machine.parts().drives.eject(&device, force))
}

/// Puts another image into a drive, by its path.
pub(super) fn change(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let device = device(arguments)?;
    let medium = NewMedium {
        path: arguments.text("filename")?.into(),
        format: arguments.optional_text("format")?.map(|name| format(&name)).transpose()?,
        readonly: read_only_mode(arguments.optional_text("read-only-mode")?.as_deref())?,
        force: arguments.flag("force")?,
    };
    std::mem::take(arguments).finish()?;
    done(machine, &device, machine.parts().drives.change(&device, medium))
}

fn read_only_mode(text: Option<&str>) -> Result<Option<bool>, QmpError> {
    match text {
        None | Some("retain") => Ok(None),
        Some("read-only") => Ok(Some(true)),
        Some("read-write") => Ok(Some(false)),
        Some(other) => {
            let text = format!("Parameter 'read-only-mode' does not accept value '{other}'");
            Err(QmpError::generic(text))
        }
    }
}

/// Opens a tray.
pub(super) fn open(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let (device, force) = (device(arguments)?, arguments.flag("force")?);
    std::mem::take(arguments).finish()?;
    done(machine, &device, machine.parts().drives.open(&device, force))
}

/// Closes a tray.
pub(super) fn close(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let device = device(arguments)?;
    std::mem::take(arguments).finish()?;
    done(machine, &device, machine.parts().drives.close(&device))
}

/// Takes the medium out of an open tray.
pub(super) fn remove(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let device = device(arguments)?;
    std::mem::take(arguments).finish()?;
    done(machine, &device, machine.parts().drives.remove(&device))
}

/// Puts a node into an open and empty tray.
pub(super) fn insert(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let (device, node) = (device(arguments)?, arguments.text("node-name")?);
    std::mem::take(arguments).finish()?;
    done(machine, &device, machine.parts().drives.insert(&device, &node))
}

/// `id`, or `device` as it used to be called.
fn device(arguments: &mut Arguments) -> Result<String, QmpError> {
    match arguments.optional_text("device")? {
        Some(device) => Ok(device),
        None => arguments.text("id"),
    }
}

/// What is no drive may be a disk.
fn done(machine: &dyn Machine, device: &str, result: Result<(), DriveError>) -> Result<Value, QmpError> {
    let is_disk = || machine.facts().drives.iter().any(|drive| drive.is(device));
    match result {
        Ok(()) => Ok(json!({})),
        Err(DriveError::NotFound(_)) if is_disk() => {
            Err(QmpError::generic(format!("Device '{device}' is not removable")))
        }
        Err(error @ DriveError::NotFound(_)) => Err(QmpError::not_found(error.to_string())),
        Err(error) => Err(QmpError::generic(error.to_string())),
    }
}
