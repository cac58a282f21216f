//! What happened, as QMP writes it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::machine::drives::{Moved, Name};
use crate::machine::remote::{Ending, Notice};

/// The event of `notice`, which happened at `time`; a stop for the debugger is its own affair.
pub(super) fn event(notice: Notice, time: SystemTime) -> Option<Value> {
    let (name, data) = name_and_data(notice)?;
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let timestamp = json!({ "seconds": since.as_secs(), "microseconds": since.subsec_micros() });
    let mut event = json!({ "event": name, "timestamp": timestamp });
    if let (Some(members), Some(data)) = (event.as_object_mut(), data) {
        members.insert("data".into(), data);
    }
    Some(event)
}

fn name_and_data(notice: Notice) -> Option<(&'static str, Option<Value>)> {
    Some(match notice {
        Notice::Debug { .. } => return None,
        Notice::Stopped => ("STOP", None),
        Notice::Resumed => ("RESUME", None),
        Notice::Balloon(actual) => ("BALLOON_CHANGE", Some(json!({ "actual": actual }))),
        Notice::PowerDown => ("POWERDOWN", None),
        Notice::Panicked => ("GUEST_PANICKED", Some(json!({ "action": "poweroff" }))),
        Notice::Reset { guest } => {
            let reason = if guest { "guest-reset" } else { "host-qmp-system-reset" };
            ("RESET", Some(json!({ "guest": guest, "reason": reason })))
        }
        Notice::Unplugged(id) => {
            let path = format!("/machine/peripheral/{id}");
            ("DEVICE_DELETED", Some(json!({ "device": &*id, "path": path })))
        }
        Notice::TrayMoved(Moved { name: Name { drive, id }, open }) => {
            let (device, id) = (drive.unwrap_or_default(), id.unwrap_or_default());
            let data = json!({ "device": device, "id": id, "tray-open": open });
            ("DEVICE_TRAY_MOVED", Some(data))
        }
        Notice::Shutdown(ending) => {
            let reason = reason(ending);
            ("SHUTDOWN", Some(json!({ "guest": reason.starts_with("guest"), "reason": reason })))
        }
    })
}

/// QEMU's name of a `ShutdownCause`.
fn reason(ending: Ending) -> &'static str {
    match ending {
        Ending::Guest => "guest-shutdown",
        Ending::GuestReset => "guest-reset",
        Ending::GuestPanic => "guest-panic",
        Ending::Signal => "host-signal",
        Ending::Console => "host-ui",
        Ending::Remote => "host-qmp-quit",
        Ending::Error => "host-error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_has_its_time_and_says_who_did_it() {
        let time = UNIX_EPOCH + std::time::Duration::from_micros(1_000_002);
        let expected = json!({
            "event": "SHUTDOWN",
            "data": { "guest": true, "reason": "guest-shutdown" },
            "timestamp": { "seconds": 1, "microseconds": 2 },
        });
        assert_eq!(event(Notice::Shutdown(Ending::Guest), time), Some(expected));
        assert_eq!(event(Notice::Stopped, time).unwrap().get("data"), None);
        let reset = json!({ "guest": false, "reason": "host-qmp-system-reset" });
        assert_eq!(event(Notice::Reset { guest: false }, time).unwrap()["data"], reset);
    }
}
