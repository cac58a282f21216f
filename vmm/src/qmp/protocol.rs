//! Requests, replies and errors as QMP writes them.

use serde_json::{Map, Value, json};

/// The version of QEMU whose QMP this is.
const QEMU_VERSION: [u32; 3] = [7, 2, 0];

/// Members of an object.
pub(super) type Object = Map<String, Value>;

/// A command with its arguments.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    /// The command's name.
    pub(super) command: String,
    /// What it is told.
    pub(super) arguments: Arguments,
}

/// Arguments of a command, each to be taken once.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Arguments(Object);

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QmpError {
    class: Class,
    text: String,
}

/// Kinds that programs tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    GenericError,
    CommandNotFound,
    DeviceNotActive,
    DeviceNotFound,
}

impl QmpError {
    /// What went wrong, in words.
    pub(super) fn generic(text: impl Into<String>) -> Self {
        Self { class: Class::GenericError, text: text.into() }
    }

    /// There is no such command.
    pub(super) fn no_command(name: &str) -> Self {
        Self { class: Class::CommandNotFound, text: format!("The command {name} has not been found") }
    }

    /// Nothing but the negotiation comes first.
    pub(super) fn negotiate() -> Self {
        let text = "Expecting capabilities negotiation with 'qmp_capabilities'";
        Self { class: Class::CommandNotFound, text: text.into() }
    }

    /// No device has the name.
    pub(super) fn not_found(text: impl Into<String>) -> Self {
        Self { class: Class::DeviceNotFound, text: text.into() }
    }

    /// An argument is not there.
    fn missing(name: &str) -> Self {
        Self::generic(format!("Parameter '{name}' is missing"))
    }

    /// The machine lacks the device.
    pub(super) fn no_device(text: impl Into<String>) -> Self {
        Self { class: Class::DeviceNotActive, text: text.into() }
    }
}

/// The id of `value`, if it is a request with one; and the request.
pub(super) fn request(value: Value) -> (Option<Value>, Result<Request, QmpError>) {
    let Value::Object(mut members) = value else {
        return (None, Err(QmpError::generic("QMP input must be a JSON object")));
    };
    let id = members.remove("id");
    (id, parse(members))
}

fn parse(mut members: Object) -> Result<Request, QmpError> {
    let command = match members.remove("execute") {
        Some(Value::String(command)) => command,
        Some(_) => return Err(QmpError::generic("QMP input member 'execute' must be a string")),
        None => return Err(QmpError::generic("QMP input lacks member 'execute'")),
    };
    let arguments = match members.remove("arguments") {
        Some(Value::Object(arguments)) => Arguments(arguments),
        None => Arguments::default(),
        Some(_) => return Err(QmpError::generic("QMP input member 'arguments' must be an object")),
    };
    match members.keys().next() {
        Some(member) => Err(QmpError::generic(format!("QMP input member '{member}' is unexpected"))),
        None => Ok(Request { command, arguments }),
    }
}

impl Arguments {
    /// The text of `name`.
    pub(super) fn text(&mut self, name: &str) -> Result<String, QmpError> {
        match self.0.remove(name) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => {
                Err(QmpError::generic(format!("Invalid parameter type for '{name}', expected: string")))
            }
            None => Err(QmpError::missing(name)),
        }
    }

    /// The text of `name`, if it is there.
    pub(super) fn optional_text(&mut self, name: &str) -> Result<Option<String>, QmpError> {
        if self.0.contains_key(name) { self.text(name).map(Some) } else { Ok(None) }
    }

    /// The whole number of `name`, if it is there.
    pub(super) fn optional_number(&mut self, name: &str) -> Result<Option<u64>, QmpError> {
        let wrong = || QmpError::generic(format!("Invalid parameter type for '{name}', expected: integer"));
        self.0.remove(name).map(|value| value.as_u64().ok_or_else(wrong)).transpose()
    }

    /// Whether `name` is on; also as the command line has it.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, QmpError> {
        match self.0.remove(name) {
            None => Ok(false),
            Some(Value::Bool(on)) => Ok(on),
            Some(Value::String(text)) if ["on", "true"].contains(&text.as_str()) => Ok(true),
            Some(Value::String(text)) if ["off", "false"].contains(&text.as_str()) => Ok(false),
            Some(_) => {
                Err(QmpError::generic(format!("Invalid parameter type for '{name}', expected: boolean")))
            }
        }
    }

    /// Whether `name` is so, which has to be said.
    pub(super) fn bool(&mut self, name: &str) -> Result<bool, QmpError> {
        if self.0.contains_key(name) { self.flag(name) } else { Err(QmpError::missing(name)) }
    }

    /// The object `name`, if it is there and one; else it stays.
    pub(super) fn object(&mut self, name: &str) -> Option<Self> {
        match self.0.remove(name)? {
            Value::Object(members) => Some(Self(members)),
            other => {
                self.0.insert(name.into(), other);
                None
            }
        }
    }

    /// The number `name`, from 0.
    pub(super) fn number(&mut self, name: &str) -> Result<u64, QmpError> {
        self.optional_number(name)?.ok_or_else(|| QmpError::missing(name))
    }

    /// The list `name`.
    pub(super) fn list(&mut self, name: &str) -> Result<Vec<Value>, QmpError> {
        match self.0.remove(name) {
            Some(Value::Array(list)) => Ok(list),
            Some(_) => {
                Err(QmpError::generic(format!("Invalid parameter type for '{name}', expected: array")))
            }
            None => Err(QmpError::missing(name)),
        }
    }

    /// Refuses capabilities in the list `name`: none was offered.
    pub(super) fn no_capabilities(&mut self, name: &str) -> Result<(), QmpError> {
        match self.0.remove(name) {
            Some(Value::Array(list)) if !list.is_empty() => {
                Err(QmpError::generic("Capability requested, but none was offered"))
            }
            _ => Ok(()),
        }
    }

    /// Does without `name`.
    pub(super) fn ignore(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Refuses what nobody took.
    pub(super) fn finish(self) -> Result<(), QmpError> {
        match self.0.keys().next() {
            Some(name) => Err(QmpError::generic(format!("Parameter '{name}' is unexpected"))),
            None => Ok(()),
        }
    }
}

/// The reply to the request with this `id`.
pub(super) fn reply(id: Option<Value>, result: Result<Value, QmpError>) -> Value {
    let mut reply = match result {
        Ok(value) => json!({ "return": value }),
        Err(error) => json!({ "error": { "class": format!("{:?}", error.class), "desc": error.text } }),
    };
    if let (Some(members), Some(id)) = (reply.as_object_mut(), id) {
        members.insert("id".into(), id);
    }
    reply
}

/// What a client sees first.
pub(super) fn greeting() -> Value {
    json!({ "QMP": { "version": version(), "capabilities": [] } })
}

/// The version as programs read it.
pub(super) fn version() -> Value {
    let [major, minor, micro] = QEMU_VERSION;
    let package = concat!("tinderbox ", env!("CARGO_PKG_VERSION"));
    json!({ "qemu": { "major": major, "minor": minor, "micro": micro }, "package": package })
}
