//! `add-fd`, `remove-fd` and `query-fdsets`: descriptors for images. They come beside the text, by SCM_RIGHTS.

use serde_json::{Value, json};

use super::commands::Machine;
use super::protocol::{Arguments, QmpError};
use crate::machine::fd_sets::{FdError, Listed};

/// The commands' names.
pub(super) const ADD: &str = "add-fd";
pub(super) const REMOVE: &str = "remove-fd";

/// Puts the descriptor that came with the command into a set.
pub(super) fn add(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let set = number(arguments, "fdset-id")?;
    let opaque = arguments.optional_text("opaque")?;
    std::mem::take(arguments).finish()?;
    let fd =
        machine.take_fd().ok_or_else(|| QmpError::generic("No file descriptor supplied via SCM_RIGHTS"))?;
    let (set, fd) = machine.parts().drives.fds().add(fd, set, opaque).map_err(failed)?;
    Ok(json!({ "fdset-id": set, "fd": fd }))
}

/// Closes a descriptor, or all of a set.
pub(super) fn remove(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let set =
        number(arguments, "fdset-id")?.ok_or_else(|| QmpError::generic("Parameter 'fdset-id' is missing"))?;
    let fd = number(arguments, "fd")?;
    std::mem::take(arguments).finish()?;
    machine.parts().drives.fds().remove(set, fd).map_err(failed)?;
    Ok(json!({}))
}

/// All sets.
pub(super) fn query(machine: &dyn Machine) -> Value {
    let fd = |Listed { fd, opaque }: Listed| match opaque {
        Some(opaque) => json!({ "fd": fd, "opaque": opaque }),
        None => json!({ "fd": fd }),
    };
    let sets = machine.parts().drives.fds().list().into_iter();
    sets.map(|(set, fds)| json!({ "fdset-id": set, "fds": fds.into_iter().map(fd).collect::<Value>() }))
        .collect()
}

fn number<T: TryFrom<u64>>(arguments: &mut Arguments, name: &str) -> Result<Option<T>, QmpError> {
    let number = arguments.optional_number(name)?;
    let wrong = |_| QmpError::generic(format!("Parameter '{name}' is out of range"));
    number.map(|number| T::try_from(number).map_err(|_| ()).map_err(wrong)).transpose()
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: FdError) -> QmpError {
    QmpError::generic(error.to_string())
}
