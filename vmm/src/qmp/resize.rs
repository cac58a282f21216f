//! `block_resize`: a disk grows under the guest.

use serde_json::{Value, json};

use super::commands::Machine;
use super::protocol::{Arguments, QmpError};

/// The command's name.
pub(super) const NAME: &str = "block_resize";

/// Makes the disk `device`, or `node-name`, `size` bytes long.
pub(super) fn resize(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let device = arguments.optional_text("device")?.unwrap_or_default();
    let node = arguments.optional_text("node-name")?.unwrap_or_default();
    let bytes = arguments.number("size")?;
    std::mem::take(arguments).finish()?;
    let mut drives = machine.facts().drives.iter();
    let drive = drives.find(|drive| drive.is(&device) || drive.is(&node));
    let size = drive
        .and_then(|drive| drive.size.as_ref())
        .ok_or_else(|| QmpError::generic(format!("Cannot find device='{device}' nor node-name='{node}'")))?;
    size.set(bytes).map_err(|error| QmpError::generic(error.to_string()))?;
    Ok(json!({}))
}
