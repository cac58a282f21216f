//! Devices that another process serves: here a thread with rust-vmm's back end, which shouts back what it is told.

use std::fs::File;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use rstest::rstest;
use tempfile::TempDir;
use vhost::vhost_user::Listener;
use vhost::vhost_user::message::{VhostUserProtocolFeatures, VhostUserVirtioFeatures};
use vhost_user_backend::{ShutdownHandle, VhostUserBackendMut, VhostUserDaemon, VringRwLock, VringT};
use virtio::vhost_user::{VhostUser, VhostUserError};
use virtio_queue::QueueT;
use vm_memory::{Bytes, FileOffset, GuestAddress, GuestAddressSpace, GuestMemoryAtomic, GuestMemoryMmap};
use vmm_sys_util::epoll::EventSet;
use vmm_sys_util::event::{EventConsumer, EventFlag, EventNotifier, new_event_consumer_and_notifier};

use crate::rig::{Buffer, HIGH_MEMORY, Rig, Ring, feature, reg};

const REQUEST: u64 = 0x10_0000;
const ANSWER: u64 = HIGH_MEMORY + 0x2000;
const RING: u64 = 0x4_0000;

/// Answers each request with its text in capitals.
struct Shouter {
    features: u64,
    memory: Option<GuestMemoryAtomic<GuestMemoryMmap>>,
}

impl VhostUserBackendMut for Shouter {
    type Bitmap = ();
    type Vring = VringRwLock;

    fn num_queues(&self) -> usize {
        2
    }

    /// Lets the thread that serves the queues end; without it, it would take kicks for ever.
    fn exit_event(&self, _thread: usize) -> Option<(EventConsumer, EventNotifier)> {
        new_event_consumer_and_notifier(EventFlag::NONBLOCK).ok()
    }

    fn max_queue_size(&self) -> usize {
        1024
    }

    fn features(&self) -> u64 {
        self.features
    }

    fn protocol_features(&self) -> VhostUserProtocolFeatures {
        VhostUserProtocolFeatures::MQ
            | VhostUserProtocolFeatures::REPLY_ACK
            | VhostUserProtocolFeatures::CONFIG
    }

    fn set_event_idx(&mut self, _enabled: bool) {}

    fn get_config(&self, offset: u32, size: u32) -> Vec<u8> {
        (offset..offset + size).map(|n| n as u8).collect()
    }

    fn update_memory(&mut self, memory: GuestMemoryAtomic<GuestMemoryMmap>) -> io::Result<()> {
        self.memory = Some(memory);
        Ok(())
    }

    fn handle_event(&mut self, queue: u16, _: EventSet, rings: &[VringRwLock], _: usize) -> io::Result<()> {
        let memory = self.memory.as_ref().ok_or(io::ErrorKind::NotFound)?.memory();
        let ring = &rings[usize::from(queue)];
        loop {
            // A statement of its own, for the ring is locked as long as it lasts.
            let next = ring.get_mut().get_queue_mut().pop_descriptor_chain(memory.clone());
            let Some(chain) = next else { return Ok(()) };
            let (head, parts) = (chain.head_index(), chain.collect::<Vec<_>>());
            let mut text = vec![0; parts[0].len() as usize];
            memory.read_slice(&mut text, parts[0].addr()).map_err(io::Error::other)?;
            text.make_ascii_uppercase();
            memory.write_slice(&text, parts[1].addr()).map_err(io::Error::other)?;
            ring.add_used(head, text.len() as u32).map_err(io::Error::other)?;
            ring.signal_used_queue()?;
        }
    }
}

/// A running back end, and how to end it.
struct Server {
    folder: TempDir,
    path: PathBuf,
    handle: Arc<Mutex<Option<ShutdownHandle>>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Server {
    fn start(features: u64) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), features)
    }

    fn start_in(folder: TempDir, features: u64) -> Self {
        let path = folder.path().join("socket");
        let mut listener = Listener::new(&path, true).unwrap();
        let handle = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&handle);
        let thread = thread::spawn(move || {
            let shouter = Arc::new(Mutex::new(Shouter { features, memory: None }));
            let memory = GuestMemoryAtomic::new(GuestMemoryMmap::new());
            let mut daemon = VhostUserDaemon::new("shouter".into(), shouter, memory).unwrap();
            let started = daemon.start(&mut listener);
            drop(listener); // nobody else is listened to
            if started.is_ok() {
                *shared.lock().unwrap() = daemon.shutdown_handle();
                let _ = daemon.wait();
            }
        });
        Self { folder, path, handle, thread: Mutex::new(Some(thread)) }
    }

    /// When it returns, nobody is left who would take kicks that are meant for the next.
    fn end(&self) {
        while self.handle.lock().unwrap().is_none() {
            thread::yield_now();
        }
        self.handle.lock().unwrap().as_ref().unwrap().shutdown();
        self.thread.lock().unwrap().take().unwrap().join().unwrap();
    }
}

/// What every back end offers, and one bit that is none of ours: packed rings.
fn usual() -> u64 {
    feature::VERSION_1 | feature::EVENT_IDX | 1 << 34 | VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits()
}

/// Memory that others can map.
fn shared_memory() -> GuestMemoryMmap {
    let file = File::from(rustix::fs::memfd_create(c"test", rustix::fs::MemfdFlags::CLOEXEC).unwrap());
    file.set_len(0x30_0000).unwrap();
    let file = Arc::new(file);
    let part = |start| Some(FileOffset::from_arc(Arc::clone(&file), start));
    let ranges = [
        (GuestAddress(0), 0x10_0000, part(0)),
        (GuestAddress(0x10_0000), 0x10_0000, part(0x10_0000)),
        (GuestAddress(HIGH_MEMORY), 0x10_0000, part(0x20_0000)),
    ];
    GuestMemoryMmap::from_ranges_with_files(ranges).unwrap()
}

fn rig(device: VhostUser) -> Rig {
    Rig::around(shared_memory(), |_| Some(Box::new(device)))
}

fn shout(rig: &Rig, ring: &mut Ring, text: &[u8]) -> Vec<u8> {
    rig.store(REQUEST, text);
    let len = text.len() as u32;
    assert_eq!(rig.request(ring, &[Buffer::Out(REQUEST, len), Buffer::In(ANSWER, len)]), len);
    rig.load(ANSWER, text.len())
}

#[test]
fn guest_and_back_end_meet_in_memory() {
    let server = Server::start(usual());
    let rig = rig(VhostUser::fs(&server.path, "a name").unwrap());
    let mut ring = Ring::new(16, RING);
    rig.start(feature::VERSION_1, &ring);
    for _ in 0..20 {
        assert_eq!(shout(&rig, &mut ring, b"hello there"), b"HELLO THERE");
        rig.wait_until("an interrupt", || rig.line.is_high());
        assert_eq!(rig.read(reg::INTERRUPT_STATUS), 1);
        rig.write(reg::INTERRUPT_ACK, 1);
    }
}

#[test]
fn file_system_shows_its_name_and_what_both_sides_can() {
    let server = Server::start(usual() | 1);
    let rig = rig(VhostUser::fs(&server.path, "a name").unwrap());
    assert_eq!(rig.read(reg::DEVICE_ID), 26);
    // Neither packed rings, nor the protocol's own bit, nor a queue of notifications.
    assert_eq!(rig.device_features(), feature::VERSION_1 | feature::EVENT_IDX);
    let tag = rig.read_bytes::<36>(reg::CONFIG);
    assert!(tag.starts_with(b"a name\0") && tag.ends_with(b"\0"));
    assert_eq!(rig.read(reg::CONFIG + 36), 1);
}

#[rstest]
#[case(1, 0)]
#[case(2, feature::MULTI_QUEUE)]
fn disk_shows_what_its_back_end_says_and_our_queues(#[case] queues: u16, #[case] multi_queue: u64) {
    let blk = feature::SEG_MAX | feature::FLUSH | feature::MULTI_QUEUE;
    let server = Server::start(usual() | blk);
    let rig = rig(VhostUser::blk(&server.path, queues).unwrap());
    let expected = feature::SEG_MAX | feature::FLUSH | multi_queue;
    assert_eq!(rig.device_features(), feature::VERSION_1 | feature::EVENT_IDX | expected);
    assert_eq!(rig.read_bytes::<8>(reg::CONFIG), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(rig.read_bytes::<2>(reg::CONFIG + 34), queues.to_le_bytes());
    assert_eq!(rig.read_bytes::<2>(reg::CONFIG + 58), [58, 59]);
}

#[test]
fn network_has_an_address_of_ours_and_no_control_queue() {
    const CTRL_VQ: u64 = 1 << 17;
    let server = Server::start(usual() | 1 | CTRL_VQ);
    let mac = "52:54:00:00:00:07".parse().unwrap();
    let rig = rig(VhostUser::net(&server.path, mac, Some(1400)).unwrap());
    let (mac, status, mtu) = (1 << 5, 1 << 16, 1 << 3);
    let expected = feature::VERSION_1 | feature::EVENT_IDX | 1 | mac | status | mtu;
    assert_eq!(rig.device_features(), expected);
    assert_eq!(rig.read_bytes::<6>(reg::CONFIG), [0x52, 0x54, 0, 0, 0, 7]);
    assert_eq!(rig.read_bytes::<2>(reg::CONFIG + 10), 1400_u16.to_le_bytes());
}

#[test]
fn back_end_serves_the_next_driver_after_a_reset() {
    let server = Server::start(usual());
    let rig = rig(VhostUser::fs(&server.path, "a").unwrap());
    for address in [RING, RING + 0x8000] {
        let mut ring = Ring::new(16, address);
        rig.start(feature::VERSION_1, &ring);
        assert_eq!(shout(&rig, &mut ring, b"again"), b"AGAIN");
    }
}

#[test]
fn nothing_is_in_flight_after_a_reset() {
    let server = Server::start(usual());
    let rig = rig(VhostUser::fs(&server.path, "a").unwrap());
    let mut ring = Ring::new(16, RING);
    rig.start(feature::VERSION_1, &ring);
    shout(&rig, &mut ring, b"first");
    rig.write(reg::STATUS, 0);
    assert_eq!(rig.read(reg::INTERRUPT_STATUS), 0);
    ring.add(&rig.memory, &[Buffer::Out(REQUEST, 5), Buffer::In(ANSWER, 5)]);
    rig.kick();
    thread::sleep(std::time::Duration::from_millis(20));
    assert!(!ring.has_used(&rig.memory));
    assert!(!rig.line.is_high());
}

#[test]
fn device_needs_a_reset_when_its_back_end_goes_away() {
    let server = Server::start(usual());
    let rig = rig(VhostUser::fs(&server.path, "a").unwrap());
    let mut ring = Ring::new(16, RING);
    rig.start(feature::VERSION_1, &ring);
    shout(&rig, &mut ring, b"first");
    rig.write(reg::INTERRUPT_ACK, u32::MAX);
    server.end();
    rig.wait_needs_reset();
    rig.wait_until("a configuration interrupt", || rig.read(reg::INTERRUPT_STATUS) & 2 != 0);
    // A driver that tries again hears the same.
    rig.start(feature::VERSION_1, &ring);
    rig.wait_needs_reset();
}

#[rstest]
#[case::as_before(usual(), true)]
#[case::with_more(usual() | 1 << 24, true)]
#[case::with_less(usual() & !feature::EVENT_IDX, false)]
fn back_end_that_comes_back_is_found_by_the_next_driver(#[case] features: u64, #[case] found: bool) {
    let server = Server::start(usual());
    let rig = rig(VhostUser::fs(&server.path, "a").unwrap());
    let mut ring = Ring::new(16, RING);
    rig.start(feature::VERSION_1, &ring);
    shout(&rig, &mut ring, b"first");
    server.end();
    rig.wait_needs_reset();
    let server = Server::start_in(server.folder, features);
    let mut ring = Ring::new(16, RING + 0x8000);
    rig.start(feature::VERSION_1, &ring);
    assert_eq!(rig.needs_reset(), !found);
    if found {
        assert_eq!(shout(&rig, &mut ring, b"again"), b"AGAIN");
        server.end();
        rig.wait_needs_reset();
    }
}

#[test]
fn rings_outside_memory_never_reach_the_back_end() {
    let server = Server::start(usual());
    let rig = rig(VhostUser::fs(&server.path, "a").unwrap());
    rig.start(feature::VERSION_1, &Ring::new(16, 0x8000_0000));
    rig.wait_needs_reset();
    let mut ring = Ring::new(16, RING);
    rig.start(feature::VERSION_1, &ring);
    assert_eq!(shout(&rig, &mut ring, b"fine"), b"FINE");
}

#[test]
fn back_end_of_an_old_virtio_is_refused() {
    let server = Server::start(usual() & !feature::VERSION_1);
    assert!(matches!(VhostUser::fs(&server.path, "a"), Err(VhostUserError::Legacy)));
}

#[test]
fn more_queues_than_the_back_end_has_are_refused() {
    let server = Server::start(usual());
    let error = VhostUser::blk(&server.path, 3).err().unwrap().to_string();
    assert_eq!(error, "the back end has 2 queues, not 3: use queues=2 or less");
}

#[test]
fn whoever_does_not_speak_the_protocol_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        use std::io::Write as _;
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(&[0xff; 64]);
    });
    assert!(matches!(VhostUser::fs(&path, "a"), Err(VhostUserError::Protocol(_))));
    assert!(matches!(VhostUser::fs(Path::new("/nowhere"), "a"), Err(VhostUserError::Connect(..))));
}
