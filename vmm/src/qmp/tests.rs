//! Clients as they write and read, and a machine that does what it is told.

mod media;

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use serde_json::{Value, json};
use virtio::balloon::Balloon;
use virtio::{Features, VirtioDevice as _};
use vm_memory::GuestMemoryMmap;

use super::commands::Machine;
use super::facts::{Drive, Facts};
use super::parts::Parts;
use super::session::Session;
use crate::machine::disk_size::DiskSize;
use crate::machine::drives::{Drives, Name};
use crate::machine::fd_sets::FdSets;
use crate::machine::hands::Hands;
use crate::machine::links::Links;
use crate::machine::remote::{Command, Ending, Notice, Refused, RunState};
use crate::machine::usb_plugs;
use crate::topology::Topology;

struct Fake {
    state: RunState,
    news: Vec<Notice>,
    calls: Vec<Command>,
    facts: Facts,
    parts: Parts,
    /// What its drives told.
    moves: Arc<Mutex<Vec<Notice>>>,
    fds: Vec<OwnedFd>,
    /// The controller of its USB ports.
    usb: Option<usb::xhci::Xhci>,
}

impl Fake {
    fn new() -> Self {
        let drive = Drive {
            name: "disk0".into(),
            id: None,
            path: "/nonexistent/a.raw".into(),
            readonly: true,
            format: "raw".into(),
            size: None,
        };
        let facts = Facts {
            name: Some("vm".into()),
            uuid: None,
            memory: 512 << 20,
            topology: Topology { sockets: 1, dies: 1, cores: 1, threads: 2 },
            threads: vec![100, 101],
            balloon: virtio::balloon::Control::new(0, |_| {}).ok(),
            balloon_id: "balloon0".into(),
            hands: Hands::default(),
            drives: vec![drive],
            serial: Some("stdio".into()),
            debugcon: None,
            ports: vec![("agent".into(), "unix:/run/a".into())],
        };
        let moves: Arc<Mutex<Vec<_>>> = Arc::default();
        let heard = Arc::clone(&moves);
        let told = move |moved| heard.lock().unwrap().push(Notice::TrayMoved(moved));
        let drives = Arc::new(Drives::new(FdSets::default(), told));
        let parts = Parts { drives, links: Links::default(), plugs: None };
        let (news, calls, fds) = (Vec::new(), Vec::new(), Vec::new());
        Self { state: RunState::Running, news, calls, facts, parts, moves, fds, usb: None }
    }
}

impl Machine for Fake {
    fn call(&mut self, command: Command) -> Result<RunState, Refused> {
        self.calls.push(command);
        let (state, notice) = match command {
            Command::Status => (self.state, None),
            Command::Pause => (RunState::Paused, Some(Notice::Stopped)),
            Command::Resume => (RunState::Running, Some(Notice::Resumed)),
            Command::Reset => (self.state, Some(Notice::Reset { guest: false })),
            Command::PowerButton => return Err(Refused::NoPowerButton),
            Command::Quit => (self.state, Some(Notice::Shutdown(Ending::Remote))),
        };
        self.state = state;
        self.news.extend(notice);
        Ok(state)
    }

    fn news(&mut self) -> Vec<Notice> {
        let moves = std::mem::take(&mut *self.moves.lock().unwrap());
        std::mem::take(&mut self.news).into_iter().chain(moves).collect()
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn parts(&self) -> &Parts {
        &self.parts
    }

    fn take_fd(&mut self) -> Option<OwnedFd> {
        self.fds.pop()
    }

    fn announce(&mut self, notice: Notice) {
        self.news.push(notice);
    }
}

/// What a client is sent in answer to `input`, greeting aside.
fn answers(session: &mut Session, machine: &mut Fake, input: &str) -> Vec<Value> {
    session.sent(usize::MAX);
    session.receive(input.as_bytes(), machine);
    let text = String::from_utf8(session.output().to_vec()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A client that has negotiated.
fn ready() -> (Session, Fake) {
    let (mut session, mut machine) = (Session::new(), Fake::new());
    let answer = answers(&mut session, &mut machine, r#"{"execute":"qmp_capabilities"}"#);
    assert_eq!(answer, [json!({ "return": {} })]);
    (session, machine)
}

fn answer(input: &str) -> Value {
    let (mut session, mut machine) = ready();
    answers(&mut session, &mut machine, input).pop().unwrap()
}

fn description(input: &str) -> String {
    answer(input)["error"]["desc"].as_str().unwrap().to_owned()
}

#[test]
fn client_is_greeted_with_the_version() {
    let session = Session::new();
    let greeting: Value = serde_json::from_slice(session.output()).unwrap();
    assert_eq!(greeting["QMP"]["version"]["qemu"]["major"], 7);
    assert_eq!(greeting["QMP"]["capabilities"], json!([]));
}

#[test]
fn nothing_comes_before_the_negotiation_and_it_comes_once() {
    let (mut session, mut machine) = (Session::new(), Fake::new());
    let early = answers(&mut session, &mut machine, r#"{"execute":"query-status"}"#);
    assert_eq!(early[0]["error"]["class"], "CommandNotFound");
    assert!(session.tell(Notice::Stopped));
    let reply =
        answers(&mut session, &mut machine, r#"{"execute":"qmp_capabilities","arguments":{"enable":[]}}"#);
    assert_eq!(reply, [json!({ "return": {} })]);
    let again = answers(&mut session, &mut machine, r#"{"execute":"qmp_capabilities"}"#);
    assert_eq!(again[0]["error"]["class"], "GenericError");
}

#[test]
fn id_comes_back_with_the_reply_and_with_the_error() {
    assert_eq!(
        answer(r#"{"execute":"query-name","id":{"a":[1]}}"#),
        json!({ "return": { "name": "vm" }, "id": { "a": [1] } })
    );
    assert_eq!(answer(r#"{"execute":"teleport","id":7}"#)["id"], 7);
}

#[test]
fn pause_is_told_before_its_reply() {
    let (mut session, mut machine) = ready();
    let answers = answers(&mut session, &mut machine, r#"{"execute":"stop"}{"execute":"query-status"}"#);
    assert_eq!(answers[0]["event"], "STOP");
    assert_eq!(answers[1], json!({ "return": {} }));
    assert_eq!(
        answers[2],
        json!({ "return": { "status": "paused", "running": false, "singlestep": false } })
    );
}

#[test]
fn refusal_has_qemus_class() {
    let error = answer(r#"{"execute":"system_powerdown"}"#);
    assert_eq!(error["error"]["class"], "DeviceNotActive");
}

#[test]
fn every_command_that_is_listed_exists() {
    let list = answer(r#"{"execute":"query-commands"}"#);
    for command in list["return"].as_array().unwrap() {
        let name = command["name"].as_str().unwrap();
        let reply = answer(&json!({ "execute": name }).to_string());
        assert_ne!(reply["error"]["class"], "CommandNotFound", "{name}");
    }
}

#[test]
fn queries_describe_the_machine() {
    let cpus = answer(r#"{"execute":"query-cpus-fast"}"#);
    assert_eq!(
        (&cpus["return"][1]["thread-id"], &cpus["return"][1]["props"]["thread-id"]),
        (&json!(101), &json!(1))
    );
    let block = answer(r#"{"execute":"query-block"}"#);
    assert_eq!(block["return"][0]["inserted"]["ro"], true);
    let chardevs = answer(r#"{"execute":"query-chardev"}"#);
    assert_eq!(
        chardevs["return"],
        json!([
            { "label": "serial0", "filename": "stdio", "frontend-open": true },
            { "label": "agent", "filename": "unix:/run/a", "frontend-open": true },
        ])
    );
}

#[test]
fn balloon_has_properties_of_a_guests_memory() {
    let mut client = ready();
    let path = "/machine/peripheral/balloon0";
    let mut ask = |name: &str, path: &str, property: &str, value: Option<Value>| {
        let mut arguments = json!({ "path": path, "property": property });
        value.into_iter().for_each(|value| arguments["value"] = value);
        let request = json!({ "execute": name, "arguments": arguments });
        answers(&mut client.0, &mut client.1, &request.to_string()).remove(0)
    };
    assert_eq!(ask("qom-get", path, "guest-stats", None)["return"]["last-update"], 0);
    assert_eq!(ask("qom-set", path, "guest-stats-polling-interval", Some(json!(5)))["return"], json!({}));
    assert_eq!(ask("qom-get", path, "guest-stats-polling-interval", None)["return"], 5);
    for (property, value) in
        [("guest-stats", json!(1)), ("guest-stats-polling-interval", json!(-1)), ("x", json!(1))]
    {
        let refused = ask("qom-set", path, property, Some(value));
        assert_eq!(refused["error"]["class"], "GenericError", "{property}");
    }
    assert_eq!(ask("qom-get", path, "realized", None)["error"]["class"], "GenericError");
    for path in ["/machine/peripheral/balloon1", "/machine", ""] {
        assert_eq!(ask("qom-get", path, "guest-stats", None)["error"]["class"], "DeviceNotFound");
    }
}

#[test]
fn disk_grows_and_whoever_shows_it_hears_of_it() {
    let (mut session, mut machine) = ready();
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(1 << 20).unwrap();
    let disk = block::RawImage::open(&image, block::OpenMode::ReadWrite).unwrap();
    let size = DiskSize::new(Arc::new(disk));
    machine.facts.drives[0].size = Some(size.clone());
    let mut resize = |arguments: Value| {
        let command = json!({ "execute": "block_resize", "arguments": arguments });
        answers(&mut session, &mut machine, &command.to_string())
    };
    let grow = json!({ "device": "disk0", "size": 2 << 20 });
    let refused = resize(grow.clone());
    assert_eq!(
        error(&refused).1,
        "only disks on virtio-mmio, virtio-pci and nvme tell the guest of another size"
    );
    let heard = Arc::new(AtomicU32::new(0));
    let listener = Arc::clone(&heard);
    size.listen(move || {
        listener.fetch_add(1, Ordering::Relaxed);
    });
    assert!(is_done(&resize(grow)));
    assert_eq!((image.as_file().metadata().unwrap().len(), heard.load(Ordering::Relaxed)), (2 << 20, 1));
    let smaller = resize(json!({ "node-name": "disk0", "size": 1 << 20 }));
    assert_eq!(error(&smaller).1, "a disk that is in use can grow, not shrink: it has 2097152 bytes");
    let nowhere = resize(json!({ "device": "disk1", "size": 512 }));
    assert_eq!(error(&nowhere).1, "Cannot find device='disk1' nor node-name=''");
    assert_eq!(heard.load(Ordering::Relaxed), 1);
}

#[test]
fn balloon_is_sized_by_what_it_leaves() {
    let set =
        |value: Value| answer(&json!({ "execute": "balloon", "arguments": { "value": value } }).to_string());
    assert_eq!(set(json!(256 << 20)), json!({ "return": {} }));
    assert_eq!(set(json!(u64::MAX)), json!({ "return": {} }));
    assert_eq!(set(json!(-1))["error"]["desc"], "Invalid parameter type for 'value', expected: integer");
    assert_eq!(set(json!(0))["error"]["desc"], "Parameter 'value' expects a size");
    assert_eq!(answer(r#"{"execute":"query-balloon"}"#), json!({ "return": { "actual": 512 << 20 } }));
    let (mut session, mut machine) = ready();
    machine.facts.balloon = None;
    let refused = answers(&mut session, &mut machine, r#"{"execute":"query-balloon"}"#);
    assert_eq!(refused[0]["error"]["class"], "DeviceNotActive");
    session.sent(usize::MAX);
    assert!(session.tell(Notice::Balloon(7)));
    let event: Value = serde_json::from_slice(session.output()).unwrap();
    assert_eq!((&event["event"], &event["data"]), (&json!("BALLOON_CHANGE"), &json!({ "actual": 7 })));
}

#[test]
fn guest_is_asked_for_hints_if_it_gives_any() {
    let unavailable = json!({ "return": { "status": "unavailable", "discarded": 0 } });
    assert_eq!(answer(r#"{"execute":"x-query-balloon-hint"}"#), unavailable);
    let refused = answer(r#"{"execute":"x-balloon-hint"}"#);
    assert_eq!(refused["error"]["desc"], "the guest has no balloon driver that tells which pages are free");
    let (mut session, mut machine) = ready();
    let control = machine.facts.balloon.clone().unwrap();
    let mut balloon = Balloon::new(control, GuestMemoryMmap::new(), |_| {});
    balloon.begin(Features::bits(&[3]));
    let mut ask = |name: &str| {
        answers(&mut session, &mut machine, &json!({ "execute": name }).to_string()).remove(0)["return"]
            .clone()
    };
    assert_eq!(ask("x-query-balloon-hint")["status"], "none");
    assert_eq!(ask("x-balloon-hint"), json!({}));
    assert_eq!(ask("x-query-balloon-hint"), json!({ "status": "active", "discarded": 0 }));
    machine.facts.balloon = None;
    let missing = answers(&mut session, &mut machine, r#"{"execute":"x-balloon-hint"}"#);
    assert_eq!(missing[0]["error"]["class"], "DeviceNotActive");
}

#[test]
fn there_is_nothing_to_dump() {
    let error = answer(r#"{"execute":"screendump","arguments":{"filename":"/tmp/a.ppm"}}"#);
    assert_eq!(error["error"]["desc"], "this machine has no display, read its serial port");
}

#[test]
fn monitor_for_people_understands_a_few_words() {
    let human = |line: &str| {
        let request = json!({ "execute": "human-monitor-command", "arguments": { "command-line": line } });
        answer(&request.to_string())["return"].clone()
    };
    assert_eq!(human("info status"), "VM status: running\r\n");
    assert_eq!(human("  system_reset "), "");
    assert_eq!(human("balloon 256"), "");
    assert_eq!(human("info balloon"), "balloon: actual=512\r\n");
    assert_eq!(human("info block"), "disk0: /nonexistent/a.raw (raw)\r\n");
    assert_eq!(human("xp /4x 0"), "unknown command: 'xp'\r\n");
    assert!(description(r#"{"execute":"human-monitor-command"}"#).contains("'command-line' is missing"));
}

#[test]
fn requests_that_are_none_say_what_is_wrong() {
    assert_eq!(description("[]"), "QMP input must be a JSON object");
    assert_eq!(description("{}"), "QMP input lacks member 'execute'");
    assert_eq!(description(r#"{"execute":7}"#), "QMP input member 'execute' must be a string");
    assert_eq!(description(r#"{"execute":"stop","x":1}"#), "QMP input member 'x' is unexpected");
    assert_eq!(
        description(r#"{"execute":"stop","arguments":{"force":true}}"#),
        "Parameter 'force' is unexpected"
    );
    assert!(description("hello\n").starts_with("Invalid JSON syntax: "));
}

#[test]
fn refused_request_does_nothing() {
    let (mut session, mut machine) = ready();
    answers(&mut session, &mut machine, r#"{"execute":"quit","arguments":{"now":1}}"#);
    assert_eq!(machine.calls, []);
}

#[test]
fn client_that_reads_nothing_is_not_read_and_at_last_dropped() {
    let (mut session, mut machine) = ready();
    let mut requests = 0;
    while session.may_receive() {
        session.receive(br#"{"execute":"query-commands"}"#, &mut machine);
        requests += 1;
    }
    assert!(requests < 1000);
    let told = (0..).take_while(|_| session.tell(Notice::Reset { guest: true })).count();
    assert!(told < 20_000, "{told}");
}

proptest! {
    #[test]
    fn any_bytes_get_answers_and_leave_the_machine_alone(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..30),
    ) {
        let (mut session, mut machine) = ready();
        for chunk in &chunks {
            session.receive(chunk, &mut machine);
        }
        prop_assert!(machine.calls.is_empty());
        prop_assert!(session.output().len() < 64 << 10);
    }

    #[test]
    fn any_object_is_answered_once(
        execute in prop_oneof![Just("query-status".to_owned()), Just("human-monitor-command".to_owned()), ".{0,20}"],
        key in "[a-z-]{1,12}",
        text in ".{0,20}",
    ) {
        let request = json!({ "execute": execute, "arguments": { key: text.clone() }, "id": text });
        let (mut session, mut machine) = ready();
        let answers = answers(&mut session, &mut machine, &request.to_string());
        prop_assert_eq!(answers.len(), 1);
        prop_assert_eq!(&answers[0]["id"], &json!(text));
    }
}

/// A client of a machine with USB and nothing on it.
fn ready_for_usb() -> (Session, Fake) {
    let (session, mut machine) = ready();
    let (controller, plugs) = usb_plugs::empty(machine.facts.hands.clone(), &machine.parts.drives);
    machine.usb = Some(controller);
    machine.parts.plugs = Some(Arc::new(plugs));
    (session, machine)
}

/// What a command comes to, with the events that it leads to.
fn usb_command((session, machine): &mut (Session, Fake), name: &str, arguments: Value) -> Vec<Value> {
    answers(session, machine, &json!({ "execute": name, "arguments": arguments }).to_string())
}

fn is_done(answers: &[Value]) -> bool {
    answers.last().is_some_and(|answer| answer["return"] == json!({}))
}

/// Class and text of an error.
fn error(answers: &[Value]) -> (&str, &str) {
    let error = &answers[0]["error"];
    (error["class"].as_str().unwrap(), error["desc"].as_str().unwrap())
}

#[test]
fn keys_go_to_a_keyboard_and_nothing_else() {
    let mut client = ready_for_usb();
    let key = |name: &str| json!({ "type": "qcode", "data": name });
    let chord = json!({ "keys": [key("ctrl"), key("alt"), key("delete")], "hold-time": 1 });
    assert_eq!(error(&usb_command(&mut client, "send-key", chord.clone())).0, "DeviceNotActive");
    assert!(is_done(&usb_command(&mut client, "device_add", json!({ "driver": "usb-kbd", "id": "k" }))));
    assert!(is_done(&usb_command(&mut client, "send-key", chord)));
    let a = json!({ "type": "key", "data": { "down": true, "key": key("a") } });
    assert!(is_done(&usb_command(&mut client, "input-send-event", json!({ "events": [a] }))));
    let moved = json!({ "events": [{ "type": "abs", "data": { "axis": "x", "value": 1 } }] });
    assert_eq!(error(&usb_command(&mut client, "input-send-event", moved)).0, "DeviceNotActive");
    let nothing = json!({ "type": "number", "data": 0 });
    for wrong in [json!([]), json!([key("any")]), json!([nothing]), json!(vec![key("a"); 9])] {
        let answers = usb_command(&mut client, "send-key", json!({ "keys": wrong }));
        assert_eq!(error(&answers).0, "GenericError");
    }
}

#[test]
fn disk_is_plugged_in_and_out_with_its_contents() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    std::fs::write(&path, [0; 4096]).unwrap();
    let mut client = ready_for_usb();
    let file = json!({ "driver": "file", "filename": path });
    let node = json!({ "driver": "raw", "node-name": "n", "file": file, "cache": { "direct": false } });
    assert!(is_done(&usb_command(&mut client, "blockdev-add", node.clone())));
    assert_eq!(
        error(&usb_command(&mut client, "blockdev-add", node)).1,
        "Duplicate nodes with node-name='n'"
    );
    let disk =
        json!({ "driver": "usb-storage", "id": "stick", "drive": "n", "port": "3", "removable": true });
    let delete = json!({ "node-name": "n" });
    assert!(is_done(&usb_command(&mut client, "device_add", disk.clone())));
    assert_eq!(error(&usb_command(&mut client, "device_add", disk)).1, "Node n is in use");
    assert_eq!(error(&usb_command(&mut client, "blockdev-del", delete.clone())).1, "Node n is in use");
    let gone = usb_command(&mut client, "device_del", json!({ "id": "stick" }));
    assert!(is_done(&gone));
    assert_eq!(gone[0]["event"], "DEVICE_DELETED");
    assert_eq!(gone[0]["data"], json!({ "device": "stick", "path": "/machine/peripheral/stick" }));
    let again = usb_command(&mut client, "device_del", json!({ "id": "stick" }));
    assert_eq!(error(&again), ("DeviceNotFound", "Device 'stick' not found"));
    assert!(is_done(&usb_command(&mut client, "blockdev-del", delete)));
}

#[test]
fn devices_that_cannot_be_plugged_in_say_why() {
    let mut client = ready_for_usb();
    for (arguments, text) in [
        (json!({ "driver": "usb-storage" }), "Parameter 'drive' is missing"),
        (json!({ "driver": "usb-storage", "drive": "n" }), "Cannot find device='' nor node-name='n'"),
        (json!({ "driver": "usb-kbd", "port": "x" }), "Parameter 'port' is no USB port: 'x'"),
        (json!({ "driver": "usb-kbd", "port": "1.2" }), "USB port 9 leads to no hub"),
        (json!({ "driver": "usb-kbd", "layout": "de" }), "Parameter 'layout' is unexpected"),
    ] {
        assert_eq!(error(&usb_command(&mut client, "device_add", arguments)), ("GenericError", text));
    }
    let floppy = usb_command(&mut client, "device_add", json!({ "driver": "floppy" }));
    assert!(error(&floppy).1.starts_with("'floppy' is not a valid device model name"));
    let (mut session, mut machine) = ready();
    let request = json!({ "execute": "device_add", "arguments": { "driver": "usb-kbd" } }).to_string();
    let refused = answers(&mut session, &mut machine, &request);
    assert!(error(&refused).1.starts_with("the machine has no USB"));
}
