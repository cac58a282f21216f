//! `balloon` and `query-balloon`, and of ours `x-balloon-hint` and `x-query-balloon-hint`. QEMU counts the memory that the guest
//! is left with, the device that which it does without.

use serde_json::{Value, json};
use virtio::balloon::{Control, Stage};

use super::commands::Machine;
use super::protocol::{Arguments, QmpError};

/// The command's name.
pub(super) const NAME: &str = "balloon";

/// Leaves the guest `value` bytes.
pub(super) fn set(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let wanted = arguments.number("value")?;
    std::mem::take(arguments).finish()?;
    leave(machine, wanted).map(|()| json!({}))
}

/// Leaves the guest `wanted` bytes.
pub(super) fn leave(machine: &mut dyn Machine, wanted: u64) -> Result<(), QmpError> {
    if wanted == 0 {
        return Err(QmpError::generic("Parameter 'value' expects a size"));
    }
    let memory = machine.facts().memory;
    control(machine)?.set(memory.saturating_sub(wanted));
    Ok(())
}

/// What the guest is left with.
pub(super) fn query(machine: &mut dyn Machine) -> Result<Value, QmpError> {
    left(machine).map(|left| json!({ "actual": left }))
}

/// Bytes that the guest is left with.
pub(super) fn left(machine: &mut dyn Machine) -> Result<u64, QmpError> {
    let taken = control(machine)?.actual();
    Ok(machine.facts().memory.saturating_sub(taken))
}

/// Gives back to the host what the guest has free now.
pub(super) fn hint(machine: &mut dyn Machine) -> Result<Value, QmpError> {
    if control(machine)?.hint() {
        Ok(json!({}))
    } else {
        Err(QmpError::generic("the guest has no balloon driver that tells which pages are free"))
    }
}

/// How far that is, and how much it was.
pub(super) fn query_hint(machine: &mut dyn Machine) -> Result<Value, QmpError> {
    let hinting = control(machine)?.hinting();
    let status = match hinting.stage {
        Stage::Unable => "unavailable",
        Stage::Ready => "none",
        Stage::Asked | Stage::Runs | Stage::Told => "active",
        Stage::Done => "completed",
    };
    Ok(json!({ "status": status, "discarded": hinting.bytes }))
}

fn control(machine: &mut dyn Machine) -> Result<Control, QmpError> {
    let balloon = machine.facts().balloon.clone();
    balloon.ok_or_else(|| QmpError::no_device("No balloon device has been activated"))
}
