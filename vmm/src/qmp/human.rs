//! `human-monitor-command`: the few commands of QEMU's monitor for people that programs send.

use serde_json::{Value, json};

use super::balloon;
use super::commands::{Machine, execute, refused, state_name};
use super::facts::Drive;
use super::protocol::{Arguments, QmpError, request};
use crate::machine::remote::{Command, RunState};

/// The command's name.
pub(super) const NAME: &str = "human-monitor-command";

const HELP: &str = "cont, c\r\nballoon MIB\r\nchange DEVICE FILE\r\neject [-f] DEVICE\r\nset_link NAME on|off\r\ninfo balloon|block|chardev|cpus|kvm|name|status|uuid|version\r\nquit, q\r\nstop, s\r\nsystem_powerdown\r\n\
                    system_reset\r\n";

/// Carries out a line; what it prints is the result.
pub(super) fn command(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let line = arguments.text("command-line")?;
    arguments.ignore("cpu-index");
    std::mem::take(arguments).finish()?;
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let action = match words.as_slice() {
        [] => return Ok(json!("")),
        ["info", what] => return info(machine, what).map(Value::String),
        ["help" | "?", ..] => return Ok(json!(HELP)),
        ["cont" | "c"] => Command::Resume,
        ["stop" | "s"] => Command::Pause,
        ["system_powerdown"] => Command::PowerButton,
        ["system_reset"] => Command::Reset,
        ["quit" | "q"] => Command::Quit,
        ["balloon", mib] => {
            let bytes = mib.parse::<u64>().ok().and_then(|mib| mib.checked_mul(1 << 20)).unwrap_or(0);
            return balloon::leave(machine, bytes).map(|()| json!(""));
        }
        ["eject", "-f", device] => {
            return other(machine, "eject", json!({ "device": device, "force": true }));
        }
        ["eject", device] => return other(machine, "eject", json!({ "device": device })),
        ["change", device, file] => {
            return other(machine, "blockdev-change-medium", json!({ "device": device, "filename": file }));
        }
        ["set_link", name, state @ ("on" | "off")] => {
            return other(machine, "set_link", json!({ "name": name, "up": *state == "on" }));
        }
        [word, ..] => return Ok(json!(format!("unknown command: '{word}'\r\n"))),
    };
    machine.call(action).map_err(refused)?;
    Ok(json!(""))
}

/// Carries out a command of QMP's.
fn other(machine: &mut dyn Machine, command: &str, arguments: Value) -> Result<Value, QmpError> {
    let (_, request) = request(json!({ "execute": command, "arguments": arguments }));
    request.and_then(|request| execute(machine, request)).map(|_| json!(""))
}

fn info(machine: &mut dyn Machine, what: &str) -> Result<String, QmpError> {
    if what == "balloon" {
        return balloon::left(machine).map(|bytes| format!("balloon: actual={}\r\n", bytes >> 20));
    }
    let facts = machine.facts();
    Ok(match what {
        "status" => status(machine.call(Command::Status).map_err(refused)?),
        "name" => facts.name.as_ref().map_or_else(String::new, |name| format!("{name}\r\n")),
        "uuid" => facts.uuid.as_ref().map_or_else(String::new, |uuid| format!("{uuid}\r\n")),
        "block" => {
            let line =
                |drive: &Drive| format!("{}: {} ({})\r\n", drive.name, drive.path.display(), drive.format);
            facts.drives.iter().map(line).collect()
        }
        "chardev" => {
            let serial = facts.serial.iter().map(|target| ("serial0", target.as_str()));
            let ports = facts.ports.iter().map(|(label, target)| (label.as_str(), target.as_str()));
            serial.chain(ports).map(|(label, target)| format!("{label}: filename={target}\r\n")).collect()
        }
        "kvm" => "kvm support: enabled\r\n".into(),
        "version" => concat!("7.2.0tinderbox ", env!("CARGO_PKG_VERSION"), "\r\n").into(),
        "cpus" => {
            let line = |(index, thread)| format!("  CPU #{index}: thread_id={thread}\r\n");
            facts.threads.iter().enumerate().map(line).collect()
        }
        _ => format!("unknown command: 'info {what}'\r\n"),
    })
}

fn status(state: RunState) -> String {
    match state {
        RunState::Running => "VM status: running\r\n".into(),
        state => format!("VM status: paused ({})\r\n", state_name(state)),
    }
}
