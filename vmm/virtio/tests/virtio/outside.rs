//! A device with one queue that somebody else serves, and one of its own.

use std::io;
use std::sync::{Arc, Mutex};

use virtio::{Broken, Features, Outside, OutsideQueue, Requests, VirtioDevice};
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::eventfd::EventFd;

use crate::rig::{Buffer, Rig, Ring, feature, reg};

const RING: u64 = 0x4_0000;
const OWN_RING: u64 = 0x4_8000;
const BUFFER: u64 = 0x10_0000;

/// What the somebody else was told.
#[derive(Default)]
struct Record {
    calls: Vec<String>,
    call: Option<EventFd>,
    kick: Option<EventFd>,
    refuses: bool,
}

struct Half(Arc<Mutex<Record>>);

impl VirtioDevice for Half {
    fn id(&self) -> u32 {
        1
    }

    fn queues(&self) -> u16 {
        2
    }

    fn features(&self) -> Features {
        Features::VERSION_1
    }

    fn serve(&mut self, queue: u16, requests: &mut Requests<'_>) -> Result<(), Broken> {
        assert_eq!(queue, 1, "the other one is somebody else's");
        requests.each(|chain| Ok(chain.writable.copy_from(b"own") as u32))
    }

    fn outside(&mut self) -> Option<&mut dyn Outside> {
        Some(self)
    }
}

impl Outside for Half {
    fn takes(&self, queue: u16) -> bool {
        queue == 0
    }

    fn start(
        &mut self,
        _: &GuestMemoryMmap,
        features: Features,
        queues: &[OutsideQueue<'_>],
    ) -> io::Result<()> {
        let mut record = self.0.lock().unwrap();
        let what: Vec<_> = queues.iter().map(|queue| (queue.index, queue.size, queue.descriptors)).collect();
        record.calls.push(format!("start {what:x?} {}", features == Features::VERSION_1));
        record.call = Some(queues[0].call.try_clone()?);
        record.kick = Some(queues[0].kick.try_clone()?);
        if record.refuses { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    }

    fn stop(&mut self) -> io::Result<()> {
        self.0.lock().unwrap().calls.push("stop".into());
        Ok(())
    }
}

fn rig() -> (Rig, Arc<Mutex<Record>>) {
    let record = Arc::new(Mutex::new(Record::default()));
    (Rig::new(Some(Box::new(Half(Arc::clone(&record))))), record)
}

fn calls(record: &Mutex<Record>) -> Vec<String> {
    std::mem::take(&mut record.lock().unwrap().calls)
}

/// As Linux does: all queues, then DRIVER_OK.
fn start(rig: &Rig) -> (Ring, Ring) {
    let rings = (Ring::new(16, RING), Ring::new(16, OWN_RING));
    for status in [0, 1, 3] {
        rig.write(reg::STATUS, status);
    }
    rig.write_driver_features(feature::VERSION_1);
    rig.write(reg::STATUS, 0xb);
    rig.start_queue(0, &rings.0);
    rig.start_queue(1, &rings.1);
    rig.write(reg::STATUS, 0xf);
    rings
}

#[test]
fn queues_are_handed_over_when_the_driver_is_ready_and_come_back_with_a_reset() {
    let (rig, record) = rig();
    rig.start_queue(0, &Ring::new(16, RING));
    assert_eq!(calls(&record), [""; 0]);
    start(&rig);
    assert_eq!(calls(&record), ["start [(0, 10, 40000)] true"]);
    rig.write(reg::STATUS, 0);
    assert_eq!(calls(&record), ["stop"]);
    rig.write(reg::STATUS, 0);
    assert_eq!(calls(&record), [""; 0]);
}

#[test]
fn kicks_go_outside_and_calls_become_interrupts() {
    let (rig, record) = rig();
    start(&rig);
    rig.kick();
    let record = record.lock().unwrap();
    assert_eq!(record.kick.as_ref().unwrap().read().unwrap(), 1);
    assert!(!rig.line.is_high());
    record.call.as_ref().unwrap().write(1).unwrap();
    rig.wait_until("an interrupt", || rig.line.is_high());
    assert_eq!(rig.read(reg::INTERRUPT_STATUS), 1);
}

#[test]
fn call_after_a_reset_is_no_interrupt() {
    let (rig, record) = rig();
    start(&rig);
    rig.write(reg::STATUS, 0);
    record.lock().unwrap().call.as_ref().unwrap().write(1).unwrap();
    rig.settle();
    assert!(!rig.line.is_high());
}

#[test]
fn device_serves_its_own_queue_beside() {
    let (rig, _record) = rig();
    let (_, mut own) = start(&rig);
    own.add(&rig.memory, &[Buffer::In(BUFFER, 8)]);
    rig.write(reg::QUEUE_NOTIFY, 1);
    assert_eq!(rig.wait_used(&mut own).1, 3);
    assert_eq!(rig.load(BUFFER, 3), b"own");
}

#[test]
fn queue_out_of_use_comes_back_alone() {
    let (rig, record) = rig();
    start(&rig);
    calls(&record);
    rig.write(reg::QUEUE_SEL, 1);
    rig.write(reg::QUEUE_READY, 0);
    assert_eq!(calls(&record), [""; 0]);
    rig.write(reg::QUEUE_SEL, 0);
    rig.write(reg::QUEUE_READY, 0);
    assert_eq!(calls(&record), ["stop"]);
}

#[test]
fn device_needs_a_reset_when_nobody_serves_it() {
    let (rig, record) = rig();
    record.lock().unwrap().refuses = true;
    start(&rig);
    assert!(rig.needs_reset());
    assert_eq!(rig.read(reg::INTERRUPT_STATUS), 2);
    assert_eq!(calls(&record), ["start [(0, 10, 40000)] true", "stop"]);
    record.lock().unwrap().refuses = false;
    start(&rig);
    assert!(!rig.needs_reset());
}
