//! `qom-get` and `qom-set`: the properties of QEMU's objects that machines here have, which are those of the balloon.

use std::time::UNIX_EPOCH;

use serde_json::{Map, Value, json};
use virtio::balloon::{COUNT, Control, Statistics};

use super::commands::Machine;
use super::protocol::{Arguments, QmpError};

/// The commands' names.
pub(super) const GET: &str = "qom-get";
pub(super) const SET: &str = "qom-set";

/// What the guest says of its memory.
const STATISTICS: &str = "guest-stats";
/// How often it is asked, in seconds.
const INTERVAL: &str = "guest-stats-polling-interval";

/// The value of a property.
pub(super) fn get(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let (balloon, property) = balloon(machine, arguments)?;
    std::mem::take(arguments).finish()?;
    match property.as_str() {
        STATISTICS => Ok(statistics(&balloon.statistics())),
        INTERVAL => Ok(json!(balloon.interval())),
        _ => Err(unknown(&property)),
    }
}

/// Changes a property.
pub(super) fn set(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let (balloon, property) = balloon(machine, arguments)?;
    match property.as_str() {
        STATISTICS => {
            return Err(QmpError::generic("Property 'virtio-balloon-device.guest-stats' is not writable"));
        }
        INTERVAL => {}
        _ => return Err(unknown(&property)),
    }
    let seconds = arguments.number("value")?;
    std::mem::take(arguments).finish()?;
    let seconds = u32::try_from(seconds).map_err(|_| QmpError::generic("timer value is too big"))?;
    balloon.ask_every(seconds).map_err(|error| QmpError::generic(error.to_string()))?;
    Ok(json!({}))
}

/// The balloon, if it is what `path` names, and the property.
fn balloon<'a>(
    machine: &'a dyn Machine,
    arguments: &mut Arguments,
) -> Result<(&'a Control, String), QmpError> {
    let path = arguments.text("path")?;
    let property = arguments.text("property")?;
    let facts = machine.facts();
    let id = path.strip_prefix("/machine/peripheral/");
    let found = facts.balloon.as_ref().filter(|_| id == Some(facts.balloon_id.as_str()));
    let missing = || QmpError::not_found(format!("Device '{path}' not found"));
    Ok((found.ok_or_else(missing)?, property))
}

fn unknown(property: &str) -> QmpError {
    QmpError::generic(format!("Property 'virtio-balloon-device.{property}' not found"))
}

/// As QEMU writes it: what is not known has all bits set.
fn statistics(statistics: &Statistics) -> Value {
    const NAMES: [&str; COUNT] = [
        "stat-swap-in",
        "stat-swap-out",
        "stat-major-faults",
        "stat-minor-faults",
        "stat-free-memory",
        "stat-total-memory",
        "stat-available-memory",
        "stat-disk-caches",
        "stat-htlb-pgalloc",
        "stat-htlb-pgfail",
    ];
    let values = statistics.values.iter().map(|value| json!(value.unwrap_or(u64::MAX)));
    let stats: Map<_, _> = NAMES.into_iter().map(String::from).zip(values).collect();
    let updated = statistics.updated.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    json!({ "stats": stats, "last-update": updated.map_or(0, |time| time.as_secs()) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn numbers_have_their_names() {
        let mut told =
            Statistics { updated: Some(UNIX_EPOCH + Duration::from_millis(7900)), ..Statistics::default() };
        told.values[4] = Some(5 << 20);
        told.values[9] = Some(1);
        let value = statistics(&told);
        assert_eq!(value["last-update"], 7);
        assert_eq!(value["stats"]["stat-free-memory"], 5 << 20);
        assert_eq!(value["stats"]["stat-htlb-pgfail"], 1);
        assert_eq!(value["stats"]["stat-swap-in"], u64::MAX);
        assert_eq!(statistics(&Statistics::default())["last-update"], 0);
    }
}
