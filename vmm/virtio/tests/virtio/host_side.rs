//! Devices with something to wait for on the host's side.

use std::io::{PipeReader, PipeWriter, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::mpsc::{Receiver, Sender, channel};

use virtio::{Broken, Requests, VirtioDevice};

use crate::rig::{Buffer, Rig, Ring, feature, reg};

/// Fills queue 0 with messages of the host's, each in as many requests as it needs. The first byte of the configuration space
/// counts the messages. What comes in on queue 1 is a message too.
struct Mailbox {
    bell: PipeReader,
    mail: Receiver<Vec<u8>>,
    waiting: Vec<Vec<u8>>,
    count: [u8; 1],
}

impl VirtioDevice for Mailbox {
    fn id(&self) -> u32 {
        42
    }

    fn queues(&self) -> u16 {
        2
    }

    fn config(&self) -> &[u8] {
        &self.count
    }

    fn host_events(&self) -> Option<BorrowedFd<'_>> {
        Some(self.bell.as_fd())
    }

    fn host_event(&mut self) {
        self.waiting.extend(self.mail.try_iter());
        self.count = [self.waiting.len() as u8];
    }

    fn serve(&mut self, queue: u16, requests: &mut Requests<'_>) -> Result<(), Broken> {
        if queue == 1 {
            requests.also(0);
            return requests.each(|chain| {
                let mut message = vec![0; chain.readable.len() as usize];
                chain.readable.copy_to(&mut message);
                self.waiting.push(message);
                Ok(0)
            });
        }
        while let Some(message) = self.waiting.first() {
            let (mut done, mut filled) = (Vec::new(), 0);
            while filled < message.len() {
                let Some(request) = requests.next()? else {
                    requests.put_back(done.len() as u16);
                    return Ok(());
                };
                let part = request.chain.writable.copy_from(&message[filled..]);
                filled += part;
                done.push((request, part as u32));
            }
            requests.complete_together(&done)?;
            self.waiting.remove(0);
        }
        Ok(())
    }
}

/// The host's side of a [`Mailbox`].
struct Host {
    bell: PipeWriter,
    mail: Sender<Vec<u8>>,
}

impl Host {
    fn post(&self, message: &[u8]) {
        self.mail.send(message.to_vec()).unwrap();
        (&self.bell).write_all(&[0]).unwrap();
    }
}

fn mailbox() -> (Rig, Host, Ring, Ring) {
    let (sender, mail) = channel();
    let (bell, rope) = std::io::pipe().unwrap();
    let host = Host { bell: rope, mail: sender };
    let device = Mailbox { bell, mail, waiting: Vec::new(), count: [0] };
    let rig = Rig::new(Some(Box::new(device)));
    let (ring, other) = (Ring::new(16, 0x1_0000), Ring::new(16, 0x4_0000));
    rig.start(feature::ALL, &ring);
    rig.start_queue(1, &other);
    (rig, host, ring, other)
}

const ROOM: u64 = 0x3_0000;

fn offer(rig: &Rig, ring: &mut Ring, index: u64) {
    ring.add(&rig.memory, &[Buffer::In(ROOM + 0x100 * index, 4)]);
    rig.kick();
}

#[test]
fn buffers_wait_for_the_host() {
    let (rig, host, mut ring, _) = mailbox();
    offer(&rig, &mut ring, 0);
    rig.settle();
    assert!(!ring.has_used(&rig.memory));
    host.post(b"abc");
    assert_eq!(rig.wait_used(&mut ring), (0, 3));
    assert_eq!(rig.load(ROOM, 4), b"abc\0");
}

#[test]
fn host_waits_for_buffers() {
    let (rig, host, mut ring, _) = mailbox();
    host.post(b"abc");
    host.post(b"de");
    rig.wait_until("the host's event", || rig.read_bytes::<1>(reg::CONFIG) == [2]);
    offer(&rig, &mut ring, 0);
    assert_eq!(rig.wait_used(&mut ring).1, 3);
    offer(&rig, &mut ring, 1);
    assert_eq!(rig.wait_used(&mut ring).1, 2);
}

#[test]
fn requests_of_one_message_are_used_together() {
    let (rig, host, mut ring, _) = mailbox();
    offer(&rig, &mut ring, 0);
    host.post(b"abcdefghij");
    rig.settle();
    offer(&rig, &mut ring, 1);
    rig.settle();
    assert!(!ring.has_used(&rig.memory), "two requests of four bytes are put back");
    offer(&rig, &mut ring, 2);
    let used = [0; 3].map(|_| rig.wait_used(&mut ring));
    assert_eq!(used, [(0, 4), (1, 4), (2, 2)]);
    assert_eq!(rig.load(ROOM + 0x200, 2), b"ij");
}

#[test]
fn requests_used_together_interrupt_where_the_driver_waits() {
    let (rig, host, mut ring, _) = mailbox();
    (0..3).for_each(|index| _ = ring.add(&rig.memory, &[Buffer::In(ROOM + 0x100 * index, 4)]));
    ring.set_used_event(&rig.memory, 1);
    rig.kick();
    host.post(b"abcdefghij");
    rig.wait_until("an interrupt for used buffers", || rig.read(reg::INTERRUPT_STATUS) & 1 != 0);
    assert!(rig.line.is_high());
}

#[test]
fn configuration_that_the_host_changes_is_an_interrupt_and_a_generation() {
    let (rig, host, _ring, _) = mailbox();
    let before = rig.read(reg::CONFIG_GENERATION);
    host.post(b"abc");
    rig.wait_until("a configuration interrupt", || rig.read(reg::INTERRUPT_STATUS) == 2);
    assert_ne!(rig.read(reg::CONFIG_GENERATION), before);
    assert_eq!(rig.read_bytes::<1>(reg::CONFIG), [1]);
}

#[test]
fn queue_that_another_has_something_for_is_served() {
    let (rig, _host, mut ring, mut other) = mailbox();
    offer(&rig, &mut ring, 0);
    rig.store(0x5_0000, b"loop");
    other.add(&rig.memory, &[Buffer::Out(0x5_0000, 4)]);
    rig.write(reg::QUEUE_NOTIFY, 1);
    assert_eq!(rig.wait_used(&mut ring), (0, 4));
    assert_eq!(rig.load(ROOM, 4), b"loop");
}
