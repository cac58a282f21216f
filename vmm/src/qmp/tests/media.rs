//! Drives whose medium programs change, descriptors, and links.

use std::fs::File;
use std::path::Path;

use scsi::{Kind, Loading, Lun, Target, Unit};
use tempfile::TempDir;

use super::*;
use crate::config::{DiskBus, DiskConfig, Media};

/// A client of a machine with one drive `cd0`, whose device is `cd`; and what the guest sees of it.
struct Rig {
    client: (Session, Fake),
    target: Target,
    folder: TempDir,
}

impl Rig {
    /// With a disc of one block in the drive.
    fn new() -> Self {
        let rig = Self::empty();
        let disc = rig.disc("first.iso", 1);
        let (_, machine) = &rig.client;
        let change = crate::machine::drives::NewMedium {
            path: disc.into(),
            format: Some(block::Format::Raw),
            readonly: None,
            force: true,
        };
        machine.parts.drives.change("cd0", change).unwrap();
        machine.moves.lock().unwrap().clear();
        rig
    }

    fn empty() -> Self {
        let folder = TempDir::new().unwrap();
        let client = ready();
        let unit = Unit::new(Kind::CdRom, Loading::Removable, "1".parse().unwrap());
        let (bus, media) = (DiskBus::Scsi, Media::CdRom);
        let config = DiskConfig { bus, media, readonly: true, ..DiskConfig::new("") };
        let name = Name { drive: Some("cd0".into()), id: Some("cd".into()) };
        client.1.parts.drives.add(name, unit.tray().unwrap(), config, None);
        let mut rig = Self { client, target: Target::new(vec![unit]), folder };
        assert_eq!(rig.sense(&[0; 6]), Some((6, 0x29)));
        rig
    }

    /// The path of a disc with so many blocks of 2048 bytes.
    fn disc(&self, name: &str, blocks: usize) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, vec![0; blocks * 2048]).unwrap();
        path.display().to_string()
    }

    fn command(&mut self, name: &str, arguments: Value) -> Vec<Value> {
        usb_command(&mut self.client, name, arguments)
    }

    fn refused(&mut self, name: &str, arguments: Value) -> String {
        error(&self.command(name, arguments)).1.to_owned()
    }

    /// Key and code that a command of the guest's fails with.
    fn sense(&mut self, cdb: &[u8]) -> Option<(u8, u8)> {
        let task = self.target.begin(Lun(0), cdb);
        task.finish().sense.map(|sense| (sense.key as u8, sense.code.0))
    }

    fn drive(&mut self) -> Value {
        let blocks = self.command("query-block", json!({}));
        blocks[0]["return"].as_array().unwrap().iter().find(|drive| drive["qdev"] == "cd").unwrap().clone()
    }
}

fn moved(open: bool) -> Value {
    json!({ "device": "cd0", "id": "cd", "tray-open": open })
}

#[test]
fn disc_is_ejected_and_another_comes() {
    let mut rig = Rig::new();
    assert_eq!(rig.sense(&[0; 6]), Some((6, 0x28)));
    let gone = rig.command("eject", json!({ "id": "cd" }));
    assert!(is_done(&gone));
    assert_eq!((&gone[0]["event"], &gone[0]["data"]), (&json!("DEVICE_TRAY_MOVED"), &moved(true)));
    assert_eq!(rig.sense(&[0; 6]), Some((2, 0x3a)));
    let drive = rig.drive();
    let seen = [&drive["tray_open"], &drive["removable"], &drive["inserted"]];
    assert_eq!(seen, [&json!(true), &json!(true), &Value::Null]);
    let second = rig.disc("second.iso", 2);
    let changed = rig.command("blockdev-change-medium", json!({ "device": "cd0", "filename": second }));
    assert!(is_done(&changed));
    assert_eq!(changed[0]["data"], moved(false));
    assert_eq!((rig.sense(&[0; 6]), rig.sense(&[0; 6])), (Some((6, 0x28)), None));
    assert_eq!(rig.drive()["inserted"]["file"], json!(second));
}

#[test]
fn guest_that_locked_its_drive_is_asked() {
    let mut rig = Rig::new();
    rig.sense(&[0; 6]);
    assert_eq!(rig.sense(&[0x1e, 0, 0, 0, 1, 0]), None);
    let text = "Device 'cd' is locked and force was not specified, wait for tray to open and try again";
    assert_eq!(rig.refused("eject", json!({ "id": "cd" })), text);
    assert_eq!(rig.drive()["locked"], true);
    // The guest gives it.
    assert_eq!(rig.sense(&[0x1e, 0, 0, 0, 0, 0]), None);
    assert_eq!(rig.sense(&[0x1b, 0, 0, 0, 2, 0]), None);
    let removed = rig.command("blockdev-remove-medium", json!({ "id": "cd" }));
    assert_eq!((removed.len(), &removed[0]["data"]), (2, &moved(true)));
    assert!(is_done(&rig.command("blockdev-close-tray", json!({ "id": "cd" }))));
    assert_eq!(rig.sense(&[0x1e, 0, 0, 0, 1, 0]), None);
    assert!(is_done(&rig.command("eject", json!({ "device": "cd0", "force": true }))));
}

#[test]
fn medium_is_a_node_that_others_cannot_have() {
    let mut rig = Rig::empty();
    let disc = rig.disc("node.iso", 3);
    let file = json!({ "driver": "file", "filename": disc, "read-only": true });
    let node = json!({ "driver": "raw", "node-name": "n", "read-only": true, "file": file });
    assert!(is_done(&rig.command("blockdev-add", node)));
    let insert = json!({ "id": "cd", "node-name": "n" });
    assert_eq!(
        rig.refused("blockdev-insert-medium", insert.clone()),
        "Device 'cd' has a tray that is not open"
    );
    assert!(is_done(&rig.command("blockdev-open-tray", json!({ "id": "/machine/peripheral/cd" }))));
    assert!(is_done(&rig.command("blockdev-insert-medium", insert.clone())));
    assert_eq!(rig.refused("blockdev-insert-medium", insert), "Node n is in use");
    assert_eq!(rig.refused("blockdev-del", json!({ "node-name": "n" })), "Node n is in use");
    assert!(is_done(&rig.command("blockdev-close-tray", json!({ "id": "cd" }))));
    assert!(is_done(&rig.command("eject", json!({ "id": "cd" }))));
    assert!(is_done(&rig.command("blockdev-del", json!({ "node-name": "n" }))));
}

#[test]
fn media_that_cannot_be_changed_say_why() {
    let mut rig = Rig::new();
    assert_eq!(rig.refused("eject", json!({ "id": "disk0" })), "Device 'disk0' is not removable");
    assert_eq!(rig.refused("eject", json!({ "id": "x" })), "Device 'x' not found");
    assert_eq!(rig.refused("eject", json!({})), "Parameter 'id' is missing");
    let missing = json!({ "id": "cd", "filename": "/nonexistent/a.iso" });
    assert!(rig.refused("blockdev-change-medium", missing).contains("/nonexistent/a.iso"));
    assert_eq!(rig.drive()["tray_open"], false, "what cannot be opened opens no tray");
    let odd = json!({ "id": "cd", "filename": "a", "read-only-mode": "x" });
    let text = "Parameter 'read-only-mode' does not accept value 'x'";
    assert_eq!(rig.refused("blockdev-change-medium", odd), text);
    assert_eq!(
        rig.refused("blockdev-remove-medium", json!({ "id": "cd" })),
        "Device 'cd' has a tray that is not open"
    );
}

#[test]
fn descriptors_are_images_by_the_path_of_their_set() {
    let mut rig = Rig::empty();
    let disc = rig.disc("fd.iso", 4);
    assert_eq!(rig.refused("add-fd", json!({})), "No file descriptor supplied via SCM_RIGHTS");
    rig.client.1.fds.push(File::open(Path::new(&disc)).unwrap().into());
    std::fs::remove_file(&disc).unwrap();
    let added = rig.command("add-fd", json!({ "fdset-id": 3, "opaque": "ro:fd.iso" }));
    let fd = &added[0]["return"]["fd"];
    assert_eq!(added[0]["return"]["fdset-id"], 3);
    let sets = rig.command("query-fdsets", json!({}));
    let expected = json!([{ "fdset-id": 3, "fds": [{ "fd": fd, "opaque": "ro:fd.iso" }] }]);
    assert_eq!(sets[0]["return"], expected);
    let medium = json!({ "id": "cd", "filename": "/dev/fdset/3", "format": "raw" });
    assert!(is_done(&rig.command("blockdev-change-medium", medium.clone())));
    assert!(is_done(&rig.command("remove-fd", json!({ "fdset-id": 3, "fd": fd }))));
    assert_eq!((rig.sense(&[0; 6]), rig.sense(&[0; 6])), (Some((6, 0x28)), None));
    assert!(rig.refused("blockdev-change-medium", medium).contains("/dev/fdset/3: there is no such set"));
    let gone = rig.refused("remove-fd", json!({ "fdset-id": 3 }));
    assert_eq!(gone, "File descriptor named 'fdset-id:3' not found");
    assert_eq!(
        rig.refused("remove-fd", json!({ "fdset-id": u64::MAX })),
        "Parameter 'fdset-id' is out of range"
    );
}

#[test]
fn people_change_discs_too() {
    let mut rig = Rig::new();
    let second = rig.disc("second.iso", 2);
    let mut human = |line: String| rig.command("human-monitor-command", json!({ "command-line": line }));
    assert_eq!(human("eject cd0".into()).pop().unwrap()["return"], "");
    assert_eq!(human(format!("change cd0 {second}")).pop().unwrap()["return"], "");
    assert_eq!(human("set_link net0 off".into())[0]["error"]["class"], "DeviceNotFound");
}
