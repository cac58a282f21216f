//! `balloon` and `query-balloon`. QEMU counts the memory that the guest is left with, the device that which it does without.

use serde_json::{Value, json};

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
    let facts = machine.facts();
    facts.balloon.as_ref().ok_or_else(missing)?.set(facts.memory.saturating_sub(wanted));
    Ok(())
}

/// What the guest is left with.
pub(super) fn query(machine: &mut dyn Machine) -> Result<Value, QmpError> {
    left(machine).map(|left| json!({ "actual": left }))
}

/// Bytes that the guest is left with.
pub(super) fn left(machine: &mut dyn Machine) -> Result<u64, QmpError> {
    let facts = machine.facts();
    let taken = facts.balloon.as_ref().ok_or_else(missing)?.actual();
    Ok(facts.memory.saturating_sub(taken))
}

fn missing() -> QmpError {
    QmpError::no_device("No balloon device has been activated")
}
