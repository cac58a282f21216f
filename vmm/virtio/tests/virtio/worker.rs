//! The worker thread: who waits for whom. And a second device, which shows what a device has to write.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use virtio::{Broken, Requests, VirtioDevice};

use crate::rig::{Buffer, Rig, Ring, feature, reg};

const ROOM: &[Buffer] = &[Buffer::In(0x2_0000, 16)];

/// A device of three queues that reports each request and waits until it may finish it.
pub(crate) struct Gated {
    entered: Sender<u16>,
    leave: Receiver<()>,
}

/// The other ends of a [`Gated`] device.
pub(crate) struct Gate {
    pub(crate) entered: Receiver<u16>,
    pub(crate) leave: Sender<()>,
}

impl Gate {
    /// Waits for the next request; returns its queue.
    pub(crate) fn next(&self) -> u16 {
        self.entered.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    /// Lets `count` requests pass.
    pub(crate) fn open(&self, count: usize) {
        (0..count).for_each(|_| self.leave.send(()).unwrap());
    }
}

impl VirtioDevice for Gated {
    fn id(&self) -> u32 {
        42
    }

    fn queues(&self) -> u16 {
        3
    }

    fn config(&self) -> &[u8] {
        &[7; 4]
    }

    fn serve(&mut self, queue: u16, requests: &mut Requests<'_>) -> Result<(), Broken> {
        requests.each(|chain| {
            self.entered.send(queue).unwrap();
            self.leave.recv().unwrap();
            Ok(chain.writable.copy_from(&queue.to_le_bytes()) as u32)
        })
    }
}

pub(crate) fn gated() -> (Rig, Gate) {
    let (entered_sender, entered) = channel();
    let (leave, leave_receiver) = channel();
    let device = Gated { entered: entered_sender, leave: leave_receiver };
    (Rig::new(Some(Box::new(device))), Gate { entered, leave })
}

fn rings() -> [Ring; 3] {
    [0x1_0000, 0x3_0000, 0x4_0000].map(|address| Ring::new(16, address))
}

#[test]
fn register_accesses_do_not_wait_for_a_request() {
    let (rig, gate) = gated();
    let mut ring = rings()[0];
    rig.start(feature::VERSION_1, &ring);
    ring.add(&rig.memory, ROOM);
    rig.kick();
    gate.next();
    assert_eq!(rig.read(reg::STATUS), 0xf);
    rig.kick();
    assert_eq!(rig.read_bytes(reg::CONFIG), [7]);
    gate.open(1);
    rig.wait_used(&mut ring);
}

#[test]
fn reset_waits_for_the_request_in_flight_and_for_no_other() {
    let (rig, gate) = gated();
    let mut ring = rings()[0];
    rig.start(feature::VERSION_1, &ring);
    (0..3).for_each(|_| _ = ring.add(&rig.memory, ROOM));
    rig.kick();
    gate.next();
    let rig = Arc::new(rig);
    let (done, is_done) = channel();
    let guest = Arc::clone(&rig);
    let resetting = std::thread::spawn(move || {
        guest.write(reg::STATUS, 0);
        done.send(()).unwrap();
    });
    assert!(is_done.recv_timeout(Duration::from_millis(50)).is_err(), "still in flight");
    gate.open(1);
    is_done.recv_timeout(Duration::from_secs(20)).unwrap();
    resetting.join().unwrap();
    assert_eq!(gate.entered.try_recv(), Err(TryRecvError::Empty), "the other two never began");
    assert_eq!((rig.read(reg::STATUS), rig.line.is_high()), (0, false));
}

#[test]
fn queues_are_independent() {
    let (rig, gate) = gated();
    let mut rings = rings();
    rig.start(feature::VERSION_1, &rings[0]);
    rig.start_queue(2, &rings[2]);
    gate.open(2);
    for queue in [2, 0] {
        rings[queue].add(&rig.memory, ROOM);
        rig.write(reg::QUEUE_NOTIFY, queue as u32);
        assert_eq!(usize::from(gate.next()), queue);
        assert_eq!(rig.wait_used(&mut rings[queue]), (0, 2));
        assert_eq!(rig.load(0x2_0000, 2), [queue as u8, 0]);
    }
}

#[test]
fn busy_queue_does_not_starve_the_others() {
    let (rig, gate) = gated();
    let mut rings = rings();
    rig.start(feature::VERSION_1, &rings[0]);
    rig.start_queue(1, &rings[1]);
    rings[0].add(&rig.memory, ROOM);
    rig.write(reg::QUEUE_NOTIFY, 0);
    assert_eq!(gate.next(), 0);
    rings[1].add(&rig.memory, ROOM);
    rig.write(reg::QUEUE_NOTIFY, 1);
    let mut turns = vec![];
    while turns.last() != Some(&1) && turns.len() < 10 {
        rings[0].add(&rig.memory, ROOM); // always one more, before the last is done
        gate.open(1);
        turns.push(gate.next());
    }
    assert_eq!(turns.last(), Some(&1), "{turns:?}");
    gate.open(2);
}

#[test]
fn stopped_queue_is_left_alone_until_it_starts_again() {
    let (rig, gate) = gated();
    let mut rings = rings();
    rig.start(feature::VERSION_1, &rings[0]);
    rig.start_queue(1, &rings[1]);
    rig.write(reg::QUEUE_SEL, 0);
    rig.write(reg::QUEUE_READY, 0);
    rings[0].add(&rig.memory, ROOM);
    rings[1].add(&rig.memory, ROOM);
    gate.open(2);
    rig.write(reg::QUEUE_NOTIFY, 0);
    rig.write(reg::QUEUE_NOTIFY, 1);
    assert_eq!(gate.next(), 1);
    rig.settle();
    assert_eq!(gate.entered.try_recv(), Err(TryRecvError::Empty));
    rig.start_queue(0, &rings[0]);
    rig.write(reg::QUEUE_NOTIFY, 0);
    assert_eq!(gate.next(), 0);
    rig.wait_used(&mut rings[0]);
}

#[test]
fn kick_of_a_queue_that_does_not_exist_is_ignored() {
    let (rig, gate) = gated();
    for queue in [0, 2, 3, 0xffff, u32::MAX] {
        rig.write(reg::QUEUE_NOTIFY, queue);
    }
    rig.settle();
    assert_eq!(gate.entered.try_recv(), Err(TryRecvError::Empty));
    assert!(!rig.needs_reset());
}

#[test]
fn dropping_the_transport_ends_the_thread_and_drops_the_device() {
    let (rig, gate) = gated();
    drop(rig);
    assert_eq!(gate.entered.try_recv(), Err(TryRecvError::Disconnected));
}

/// A device with a bug.
struct Panics;

impl VirtioDevice for Panics {
    fn id(&self) -> u32 {
        43
    }

    fn queues(&self) -> u16 {
        1
    }

    fn config(&self) -> &[u8] {
        &[0]
    }

    fn serve(&mut self, _queue: u16, _requests: &mut Requests<'_>) -> Result<(), Broken> {
        std::panic::resume_unwind(Box::new("as planned"))
    }
}

#[test]
fn transport_survives_its_worker() {
    let rig = Rig::new(Some(Box::new(Panics)));
    let mut ring = rings()[0];
    rig.start(feature::VERSION_1, &ring);
    ring.add(&rig.memory, ROOM);
    rig.kick();
    rig.wait_until("the worker's end", || {
        rig.settle();
        rig.needs_reset()
    });
    rig.write(reg::STATUS, 0);
    rig.bus.reset();
}
