//! `input-send-event`: keys, buttons and movements, each as it happens.

use serde_json::{Value, json};

use super::commands::Machine;
use super::keys;
use super::protocol::{Arguments, QmpError};
use crate::machine::hands::{HandsError, Input, Move};

/// The command's name.
pub(super) const NAME: &str = "input-send-event";

/// The largest coordinate of a tablet.
const FARTHEST: u16 = 0x7fff;

/// Does what the events say, in their order; nothing if one of them cannot be.
pub(super) fn send(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let events = arguments.list("events")?;
    ["device", "head"].iter().for_each(|name| arguments.ignore(name)); // there is one screen's worth of everything
    std::mem::take(arguments).finish()?;
    let inputs: Vec<_> = events.iter().map(input).collect::<Result<Vec<_>, _>>()?;
    let inputs: Vec<_> = inputs.into_iter().flatten().collect();
    machine.facts().hands.act(&inputs).map_err(missing)?;
    Ok(json!({}))
}

/// What QMP makes of a device that is not there.
pub(super) fn missing(error: HandsError) -> QmpError {
    match error {
        HandsError::TooFast => QmpError::generic(error.to_string()),
        _ => QmpError::no_device(error.to_string()),
    }
}

/// An `InputEvent`; a wheel that is let go is nothing.
fn input(event: &Value) -> Result<Option<Input>, QmpError> {
    let wrong = || {
        QmpError::generic(
            "Parameter 'events' takes events of type 'key', 'btn', 'rel' or 'abs' with their data",
        )
    };
    let data = event.get("data").ok_or_else(wrong)?;
    let way = || match data.get("down").and_then(Value::as_bool) {
        Some(true) => Ok(Move::Down),
        Some(false) => Ok(Move::Up),
        None => Err(wrong()),
    };
    let axis = || data.get("axis").and_then(Value::as_str).ok_or_else(wrong);
    let value = || data.get("value").and_then(Value::as_i64).ok_or_else(wrong);
    Ok(Some(match event.get("type").and_then(Value::as_str) {
        Some("key") => Input::Key(keys::usage(data.get("key").ok_or_else(wrong)?)?, way()?),
        Some("btn") => {
            let name = data.get("button").and_then(Value::as_str).ok_or_else(wrong)?;
            return button(name, way()?);
        }
        Some("rel") => {
            let step = value()?.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
            match axis()? {
                "x" => Input::Shift { x: step, y: 0 },
                "y" => Input::Shift { x: 0, y: step },
                _ => return Err(wrong()),
            }
        }
        Some("abs") => {
            let place = value()?.clamp(0, FARTHEST.into()) as u16;
            match axis()? {
                "x" => Input::X(place),
                "y" => Input::Y(place),
                _ => return Err(wrong()),
            }
        }
        _ => return Err(wrong()),
    }))
}

/// QEMU's `InputButton`: the bit of a button in a report, or a notch of the wheel.
fn button(name: &str, way: Move) -> Result<Option<Input>, QmpError> {
    let notch = |notches| (way == Move::Down).then_some(Input::Wheel(notches));
    Ok(match name {
        "left" => Some(Input::Button(1, way)),
        "right" => Some(Input::Button(1 << 1, way)),
        "middle" => Some(Input::Button(1 << 2, way)),
        "wheel-up" => notch(1),
        "wheel-down" => notch(-1),
        _ => return Err(QmpError::generic(format!("Parameter 'button' does not accept value '{name}'"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(event: Value) -> Result<Option<Input>, QmpError> {
        input(&event)
    }

    #[test]
    fn events_are_those_of_the_schema() {
        let key = json!({ "type": "key", "data": { "down": true, "key": { "type": "qcode", "data": "a" } } });
        assert_eq!(of(key), Ok(Some(Input::Key(4, Move::Down))));
        let number =
            json!({ "type": "key", "data": { "down": false, "key": { "type": "number", "data": 28 } } });
        assert_eq!(of(number), Ok(Some(Input::Key(0x28, Move::Up))));
        let button =
            |name: &str, down: bool| of(json!({ "type": "btn", "data": { "down": down, "button": name } }));
        assert_eq!(button("middle", true), Ok(Some(Input::Button(4, Move::Down))));
        assert_eq!(button("wheel-down", true), Ok(Some(Input::Wheel(-1))));
        assert_eq!(button("wheel-down", false), Ok(None));
        let moved = |kind: &str, axis: &str, value: i64| {
            of(json!({ "type": kind, "data": { "axis": axis, "value": value } }))
        };
        assert_eq!(moved("rel", "y", -5), Ok(Some(Input::Shift { x: 0, y: -5 })));
        assert_eq!(moved("rel", "x", i64::MAX), Ok(Some(Input::Shift { x: i32::MAX, y: 0 })));
        assert_eq!(moved("abs", "x", 40_000), Ok(Some(Input::X(0x7fff))));
        assert_eq!(moved("abs", "y", -1), Ok(Some(Input::Y(0))));
    }

    #[test]
    fn other_events_are_refused() {
        for event in [
            json!({}),
            json!([]),
            json!({ "type": "mtt", "data": {} }),
            json!({ "type": "rel", "data": { "axis": "z", "value": 1 } }),
            json!({ "type": "abs", "data": { "axis": "x", "value": "1" } }),
            json!({ "type": "btn", "data": { "down": true, "button": "fire" } }),
            json!({ "type": "key", "data": { "down": 1, "key": { "type": "qcode", "data": "a" } } }),
            json!({ "type": "key", "data": { "down": true, "key": { "type": "qcode", "data": "none" } } }),
        ] {
            assert!(of(event.clone()).is_err(), "{event}");
        }
    }
}
