//! Consoles and ports between a scripted driver and Unix sockets.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use chardev::{Chardev, Keep, Socket};
use rstest::rstest;
use tempfile::TempDir;
use virtio::console::{Console, Kind};

use crate::rig::{Buffer, Rig, Ring, feature, reg};
use Buffer::{In, Out};

const DATA: u64 = 0x10_0000;
const ROOM: u64 = 0x11_0000;

/// A console and a named port, each at a socket; the control queues are set up.
struct Setup {
    rig: Rig,
    rings: Vec<Ring>,
    folder: TempDir,
}

fn setup(features: u64) -> Setup {
    let folder = TempDir::new().unwrap();
    let socket = |name: &str, keep| Box::new(Socket::listen(&folder.path().join(name), keep).unwrap());
    let ports: Vec<(Kind, Box<dyn Chardev>)> = vec![
        (Kind::Console, socket("console", Keep::Last)),
        (Kind::Named("org.agent.0".into()), socket("agent", Keep::Nothing)),
    ];
    let rig = Rig::new(Some(Box::new(Console::new(ports).unwrap())));
    let rings: Vec<_> = (0..6).map(|n| Ring::new(16, 0x1_0000 + 0x8000 * n)).collect();
    rig.start(features, &rings[0]);
    rings.iter().zip(0..).skip(1).for_each(|(ring, index)| rig.start_queue(index, ring));
    Setup { rig, rings, folder }
}

impl Setup {
    fn connect(&self, name: &str) -> UnixStream {
        let client = UnixStream::connect(self.folder.path().join(name)).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client
    }

    fn send(&mut self, queue: usize, bytes: &[u8]) {
        self.rig.store(DATA, bytes);
        self.rings[queue].add(&self.rig.memory, &[Out(DATA, bytes.len() as u32)]);
        self.rig.write(reg::QUEUE_NOTIFY, queue as u32);
    }

    /// Sends, and waits until it is taken.
    fn say(&mut self, queue: usize, bytes: &[u8]) {
        self.send(queue, bytes);
        self.rig.wait_used(&mut self.rings[queue]);
    }

    fn offer(&mut self, queue: usize) {
        self.rings[queue].add(&self.rig.memory, &[In(ROOM, 64)]);
        self.rig.write(reg::QUEUE_NOTIFY, queue as u32);
    }

    fn hear(&mut self, queue: usize) -> Vec<u8> {
        self.offer(queue);
        let (_, len) = self.rig.wait_used(&mut self.rings[queue]);
        self.rig.load(ROOM, len as usize)
    }

    /// The driver's message, without an answer.
    fn control(&mut self, id: u8, event: u8, value: u8) {
        self.say(3, &[id, 0, 0, 0, event, 0, value, 0]);
    }
}

#[test]
fn driver_learns_of_every_port() {
    let mut consoles = setup(feature::ALL);
    assert_eq!(consoles.rig.read(reg::CONFIG + 4), 2, "max_nr_ports");
    consoles.control(0, 0, 1);
    assert_eq!(consoles.hear(2), [0, 0, 0, 0, 1, 0, 1, 0], "port 0 is added");
    assert_eq!(consoles.hear(2), [1, 0, 0, 0, 1, 0, 1, 0], "port 1 is added");
    consoles.control(0, 3, 1);
    assert_eq!(consoles.hear(2), [0, 0, 0, 0, 4, 0, 1, 0], "port 0 is a console");
    assert_eq!(consoles.hear(2), [0, 0, 0, 0, 6, 0, 1, 0], "and open, for it keeps what is said");
    consoles.control(1, 3, 1);
    assert_eq!(consoles.hear(2), b"\x01\0\0\0\x07\0\x01\0org.agent.0", "port 1 has a name");
    assert_eq!(consoles.hear(2), [1, 0, 0, 0, 6, 0, 0, 0], "and nobody is there");
    let client = consoles.connect("agent");
    assert_eq!(consoles.hear(2), [1, 0, 0, 0, 6, 0, 1, 0]);
    consoles.control(1, 6, 1);
    drop(client);
    assert_eq!(consoles.hear(2), [1, 0, 0, 0, 6, 0, 0, 0], "the client has left");
}

#[rstest]
#[case::console(0, "console")]
#[case::named_port(4, "agent")]
fn bytes_go_both_ways(#[case] queue: usize, #[case] name: &str) {
    let mut consoles = setup(feature::ALL);
    consoles.control((queue / 4) as u8, 6, 1);
    let mut client = consoles.connect(name);
    client.write_all(b"to the guest").unwrap();
    assert_eq!(consoles.hear(queue), b"to the guest");
    consoles.say(queue + 1, b"to the host");
    let mut bytes = [0; 11];
    client.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, *b"to the host");
}

#[test]
fn driver_without_control_queues_has_a_console() {
    let mut consoles = setup(feature::VERSION_1);
    consoles.say(1, b"early ");
    consoles.say(1, b"words");
    let mut client = consoles.connect("console");
    let mut bytes = [0; 11];
    client.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, *b"early words");
    client.write_all(b"x").unwrap();
    assert_eq!(consoles.hear(0), b"x");
}

#[test]
fn input_waits_until_somebody_in_the_guest_opens_the_port() {
    let mut consoles = setup(feature::ALL);
    let mut client = consoles.connect("agent");
    client.write_all(b"are you there?").unwrap();
    consoles.offer(4);
    consoles.rig.settle();
    assert!(!consoles.rings[4].has_used(&consoles.rig.memory));
    consoles.control(1, 6, 1);
    consoles.rig.wait_used(&mut consoles.rings[4]);
    assert_eq!(consoles.rig.load(ROOM, 14), b"are you there?");
}

#[test]
fn output_waits_for_a_client_that_reads() {
    let mut consoles = setup(feature::ALL);
    consoles.send(5, b"hello");
    consoles.rig.settle();
    assert!(!consoles.rings[5].has_used(&consoles.rig.memory), "nobody is there");
    let mut client = consoles.connect("agent");
    let mut bytes = [0; 5];
    client.read_exact(&mut bytes).unwrap();
    consoles.rig.wait_used(&mut consoles.rings[5]);
    // One chain of 64 KiB after the other, until the socket is full; what comes out is what went in.
    let content: Vec<u8> = (0..0x1_0000_u32).map(|n| (n % 251) as u8).collect();
    consoles.rig.store(DATA, &content);
    for _ in 0..7 {
        consoles.rings[5].add(&consoles.rig.memory, &[Out(DATA, 0x8000), Out(DATA + 0x8000, 0x8000)]);
        consoles.rig.write(reg::QUEUE_NOTIFY, 5);
    }
    let mut got = vec![0; content.len()];
    for _ in 0..7 {
        client.read_exact(&mut got).unwrap();
        assert!(got == content);
    }
}

#[rstest]
#[case::port_that_is_not_there([200, 0, 0, 0, 3, 0, 1, 0].to_vec())]
#[case::open_port_that_is_not_there([0xff, 0xff, 0xff, 0xff, 6, 0, 1, 0].to_vec())]
#[case::event_of_the_devices([0, 0, 0, 0, 1, 0, 1, 0].to_vec())]
#[case::unknown_event([0, 0, 0, 0, 0xff, 0xff, 1, 0].to_vec())]
#[case::cut_short(vec![0, 0, 0, 0, 0])]
#[case::empty(vec![])]
fn messages_without_a_meaning_are_ignored(#[case] message: Vec<u8>) {
    let mut consoles = setup(feature::ALL);
    consoles.say(3, &message);
    consoles.control(0, 0, 1);
    assert_eq!(consoles.hear(2), [0, 0, 0, 0, 1, 0, 1, 0]);
    assert!(!consoles.rig.needs_reset());
}

#[test]
fn driver_that_asks_and_never_listens_is_not_remembered_for_ever() {
    let mut consoles = setup(feature::ALL);
    for _ in 0..1000 {
        consoles.control(0, 0, 1);
    }
    let mut answers = 0;
    loop {
        consoles.offer(2);
        consoles.rig.settle();
        if !consoles.rings[2].has_used(&consoles.rig.memory) {
            break;
        }
        consoles.rings[2].take_used(&consoles.rig.memory);
        answers += 1;
    }
    assert!((2..1000).contains(&answers), "{answers}");
}
