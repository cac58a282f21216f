//! The commands, each by QEMU's name.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::os::fd::OwnedFd;

use serde_json::{Value, json};

use super::facts::{Drive, Facts};
use super::parts::Parts;
use super::protocol::{Arguments, QmpError, Request, version};
use super::{balloon, descriptors, human, input, keys, media, nodes, plugging, qom, resize};
use crate::machine::drives::{Listed, Name};
use crate::machine::remote::{Command, Notice, Refused, RunState};

/// The machine that is controlled.
pub(super) trait Machine {
    /// Carries out `command`.
    fn call(&mut self, command: Command) -> Result<RunState, Refused>;
    /// What happened during the calls since this was last asked.
    fn news(&mut self) -> Vec<Notice>;
    /// What it is.
    fn facts(&self) -> &Facts;
    /// Its parts that have hands on them.
    fn parts(&self) -> &Parts;
    /// The descriptor that came with the command, if there was one.
    fn take_fd(&mut self) -> Option<OwnedFd>;
    /// Lets every client hear of something.
    fn announce(&mut self, notice: Notice);
}

type Action = fn(&mut dyn Machine, &mut Arguments) -> Result<Value, QmpError>;

const COMMANDS: &[(&str, Action)] = &[
    (descriptors::ADD, descriptors::add),
    ("balloon", balloon::set),
    (resize::NAME, resize::resize),
    (nodes::ADD, nodes::add),
    (media::CHANGE, media::change),
    (media::CLOSE, media::close),
    (nodes::DELETE, nodes::delete),
    (media::INSERT, media::insert),
    (media::OPEN, media::open),
    (media::REMOVE, media::remove),
    ("cont", |machine, _| act(machine, Command::Resume)),
    (plugging::ADD, plugging::add),
    (plugging::DELETE, plugging::delete),
    (media::EJECT, media::eject),
    ("human-monitor-command", human::command),
    (input::NAME, input::send),
    ("query-balloon", |machine, _| balloon::query(machine)),
    ("query-block", |machine, _| Ok(blocks(machine))),
    ("query-chardev", |machine, _| Ok(chardevs(machine.facts()))),
    ("query-commands", |_, _| Ok(names().map(|name| json!({ "name": name })).collect())),
    ("query-cpus-fast", |machine, _| Ok(cpus(machine.facts()))),
    ("query-current-machine", |_, _| Ok(json!({ "wakeup-suspend-support": false }))),
    ("query-fdsets", |machine, _| Ok(descriptors::query(machine))),
    ("query-hotpluggable-cpus", |_, _| Ok(json!([]))),
    ("query-iothreads", |_, _| Ok(json!([]))),
    ("query-kvm", |_, _| Ok(json!({ "enabled": true, "present": true }))),
    ("query-machines", |_, _| Ok(machines())),
    ("query-memory-devices", |_, _| Ok(json!([]))),
    ("query-memory-size-summary", |machine, _| Ok(json!({ "base-memory": machine.facts().memory }))),
    ("query-migrate", |_, _| Ok(json!({}))),
    ("query-name", |machine, _| Ok(name(machine.facts()))),
    ("query-named-block-nodes", |machine, _| Ok(machine.facts().drives.iter().map(node).collect())),
    ("query-pci", |_, _| Ok(json!([]))),
    ("query-status", |machine, _| status(machine)),
    ("query-target", |_, _| Ok(json!({ "arch": "x86_64" }))),
    ("query-uuid", |machine, _| Ok(uuid(machine.facts()))),
    ("query-version", |_, _| Ok(version())),
    (descriptors::REMOVE, descriptors::remove),
    (qom::GET, qom::get),
    (qom::SET, qom::set),
    ("quit", |machine, _| act(machine, Command::Quit)),
    (keys::NAME, keys::send),
    (SCREENDUMP, |_, _| Err(QmpError::no_device("this machine has no display, read its serial port"))),
    (SET_LINK, set_link),
    ("stop", |machine, _| act(machine, Command::Pause)),
    ("system_powerdown", |machine, _| act(machine, Command::PowerButton)),
    ("system_reset", |machine, _| act(machine, Command::Reset)),
    ("x-balloon-hint", |machine, _| balloon::hint(machine)),
    ("x-query-balloon-hint", |machine, _| balloon::query_hint(machine)),
];

/// A command whose arguments do not matter.
const SCREENDUMP: &str = "screendump";
const SET_LINK: &str = "set_link";

/// The commands that take their arguments themselves.
const WITH_ARGUMENTS: [&str; 21] = [
    SCREENDUMP,
    SET_LINK,
    descriptors::ADD,
    descriptors::REMOVE,
    media::EJECT,
    media::CHANGE,
    media::OPEN,
    media::CLOSE,
    media::REMOVE,
    media::INSERT,
    balloon::NAME,
    human::NAME,
    keys::NAME,
    input::NAME,
    plugging::ADD,
    plugging::DELETE,
    nodes::ADD,
    nodes::DELETE,
    qom::GET,
    qom::SET,
    resize::NAME,
];

/// The name that ends the negotiation, and is an error after it.
pub(super) const NEGOTIATE: &str = "qmp_capabilities";

/// Carries out `request`.
pub(super) fn execute(machine: &mut dyn Machine, request: Request) -> Result<Value, QmpError> {
    let Request { command, mut arguments } = request;
    let found = COMMANDS.iter().find(|(name, _)| *name == command);
    let (_, action) = found.ok_or_else(|| QmpError::no_command(&command))?;
    if !WITH_ARGUMENTS.contains(&command.as_str()) {
        arguments.finish()?;
        arguments = Arguments::default();
    }
    action(machine, &mut arguments)
}

fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|(name, _)| *name).chain([NEGOTIATE])
}

fn act(machine: &mut dyn Machine, command: Command) -> Result<Value, QmpError> {
    machine.call(command).map(|_| json!({})).map_err(refused)
}

/// What QMP makes of a refusal.
pub(super) fn refused(error: Refused) -> QmpError {
    match error {
        Refused::NoPowerButton => QmpError::no_device(error.to_string()),
        Refused::Off => QmpError::generic("Resetting the Virtual Machine is required"),
        Refused::Ending => QmpError::generic(error.to_string()),
    }
}

fn status(machine: &mut dyn Machine) -> Result<Value, QmpError> {
    let state = machine.call(Command::Status).map_err(refused)?;
    let running = state == RunState::Running;
    Ok(json!({ "status": state_name(state), "running": running, "singlestep": false }))
}

/// QEMU's name of a `RunState`.
pub(super) fn state_name(state: RunState) -> &'static str {
    match state {
        RunState::Prelaunch => "prelaunch",
        RunState::Running => "running",
        RunState::Paused => "paused",
        RunState::Shutdown => "shutdown",
    }
}

fn name(facts: &Facts) -> Value {
    facts.name.as_ref().map_or(json!({}), |name| json!({ "name": name }))
}

fn uuid(facts: &Facts) -> Value {
    json!({ "UUID": facts.uuid.as_deref().unwrap_or("00000000-0000-0000-0000-000000000000") })
}

fn cpus(facts: &Facts) -> Value {
    let topology = facts.topology;
    let cpu = |(index, thread): (u32, &i32)| {
        json!({
            "cpu-index": index,
            "qom-path": format!("/machine/unattached/cpu[{index}]"),
            "thread-id": thread,
            "target": "x86_64",
            "props": {
                "socket-id": index / topology.package().max(1),
                "die-id": index / topology.die().max(1) % topology.dies.max(1),
                "core-id": index / topology.threads.max(1) % topology.cores.max(1),
                "thread-id": index % topology.threads.max(1),
            },
        })
    };
    (0..).zip(&facts.threads).map(cpu).collect()
}

/// Takes the link of a network interface up or down.
fn set_link(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let (name, up) = (arguments.text("name")?, arguments.bool("up")?);
    std::mem::take(arguments).finish()?;
    let set = machine.parts().links.set(&name, up);
    set.map(|()| json!({})).map_err(|error| QmpError::not_found(error.to_string()))
}

/// All disks and drives, as `BlockInfo`. Drives that were plugged in come last.
fn blocks(machine: &dyn Machine) -> Value {
    let drives = machine.parts().drives.list();
    let known = |drive: &Drive| drives.iter().find(|listed| listed.name.drive.as_ref() == Some(&drive.name));
    let all = machine.facts().drives.iter().map(|drive| known(drive).map_or_else(|| fixed(drive), removable));
    let is_disk = |listed: &&Listed| {
        machine.facts().drives.iter().any(|drive| listed.name.drive.as_ref() == Some(&drive.name))
    };
    let plugged = drives.iter().filter(|listed| !is_disk(listed)).map(removable);
    all.chain(plugged).collect()
}

/// A disk whose medium stays.
fn fixed(drive: &Drive) -> Value {
    let name = Name { drive: Some(drive.name.clone()), id: drive.id.clone() };
    let mut block = block(&name, false, Some(drive));
    block["removable"] = json!(false);
    block
}

/// A drive with what is in it.
fn removable(listed: &Listed) -> Value {
    let medium = listed.medium.as_ref().map(|config| Drive::new(&listed.name, config));
    let mut block = block(&listed.name, listed.locked, medium.as_ref());
    block["removable"] = json!(true);
    block["tray_open"] = json!(listed.open);
    block
}

fn block(name: &Name, locked: bool, medium: Option<&Drive>) -> Value {
    let mut block = json!({
        "device": name.drive.as_deref().unwrap_or_default(),
        "type": "unknown",
        "locked": locked,
        "io-status": "ok",
    });
    if let Some(id) = &name.id {
        block["qdev"] = json!(id);
    }
    if let Some(medium) = medium {
        block["inserted"] = node(medium);
    }
    block
}

/// `BlockDeviceInfo`: throttling and what else is a member of it is off.
fn node(drive: &Drive) -> Value {
    let path = drive.path.display().to_string();
    let size = File::open(&drive.path).and_then(|mut file| file.seek(SeekFrom::End(0))).unwrap_or_default();
    json!({
        "node-name": drive.name,
        "file": path,
        "drv": drive.format,
        "ro": drive.readonly,
        "encrypted": false,
        "backing_file_depth": 0,
        "detect_zeroes": "off",
        "write_threshold": 0,
        "bps": 0, "bps_rd": 0, "bps_wr": 0,
        "iops": 0, "iops_rd": 0, "iops_wr": 0,
        "cache": { "writeback": true, "direct": false, "no-flush": false },
        "image": { "filename": path, "format": drive.format, "virtual-size": size },
    })
}

fn chardevs(facts: &Facts) -> Value {
    let device =
        |label: &str, target: &str| json!({ "label": label, "filename": target, "frontend-open": true });
    let fixed = [("serial0", &facts.serial), ("debugcon", &facts.debugcon)];
    let fixed = fixed.into_iter().filter_map(|(label, target)| Some(device(label, target.as_ref()?)));
    fixed.chain(facts.ports.iter().map(|(label, target)| device(label, target))).collect()
}

fn machines() -> Value {
    json!([{
        "name": "microvm",
        "is-default": true,
        "cpu-max": 288,
        "hotpluggable-cpus": false,
        "numa-mem-supported": false,
        "deprecated": false,
        "default-cpu-type": "host-x86_64-cpu",
        "default-ram-id": "microvm.ram",
    }])
}
