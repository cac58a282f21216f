//! A network interface between a scripted driver and a socket.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use ::net::{Governed, Limit, Limits, Null, Stream};
use rstest::rstest;
use virtio::net::{Mac, Net, Options};

use crate::rig::{Buffer, Rig, Ring, feature, reg};
use Buffer::{In, Out};

const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const MRG_RXBUF: u64 = 1 << 15;
const DATA: u64 = 0x10_0000;
const HEADER: u32 = 12;

/// An interface whose wire ends in a socket.
struct Setup {
    rig: Rig,
    rx: Ring,
    tx: Ring,
    control: Ring,
    wire: UnixStream,
}

fn options() -> Options {
    Options { mac: Mac(MAC), mtu: Some(1400) }
}

fn setup(features: u64) -> Setup {
    let (ours, wire) = UnixStream::pair().unwrap();
    let backend = Stream::new(ours).unwrap();
    let rig = Rig::new(Some(Box::new(Net::new(Box::new(backend), options()))));
    let [rx, tx, control] = [0x1_0000, 0x2_0000, 0x3_0000].map(|address| Ring::new(16, address));
    rig.start(features, &rx);
    rig.start_queue(1, &tx);
    rig.start_queue(2, &control);
    Setup { rig, rx, tx, control, wire }
}

fn frame(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 253) as u8).collect()
}

impl Setup {
    fn offer(&mut self, index: u64, len: u32) {
        self.rx.add(&self.rig.memory, &[In(DATA + 0x1000 * index, len)]);
        self.rig.kick();
    }

    /// The host sends `frame` to the guest.
    fn arrive(&mut self, frame: &[u8]) {
        self.wire.write_all(&(frame.len() as u32).to_be_bytes()).unwrap();
        self.wire.write_all(frame).unwrap();
    }

    /// The host takes the next frame of the guest's.
    fn departed(&mut self) -> Vec<u8> {
        let mut len = [0; 4];
        self.wire.read_exact(&mut len).unwrap();
        let mut frame = vec![0; u32::from_be_bytes(len) as usize];
        self.wire.read_exact(&mut frame).unwrap();
        frame
    }

    fn transmit(&mut self, chain: &[Buffer]) {
        self.tx.add(&self.rig.memory, chain);
        self.rig.write(reg::QUEUE_NOTIFY, 1);
    }

    /// A command and its answer.
    fn command(&mut self, bytes: &[u8]) -> u8 {
        self.rig.store(DATA, bytes);
        self.rig.store(DATA + 0x100, &[0xee]);
        self.control.add(&self.rig.memory, &[Out(DATA, bytes.len() as u32), In(DATA + 0x100, 1)]);
        self.rig.write(reg::QUEUE_NOTIFY, 2);
        self.rig.wait_used(&mut self.control);
        self.rig.load(DATA + 0x100, 1)[0]
    }
}

#[test]
fn configuration_has_address_link_and_mtu() {
    let net = setup(feature::ALL);
    assert_eq!(net.rig.read(reg::DEVICE_ID), 1);
    assert_eq!(net.rig.read_bytes(reg::CONFIG), MAC);
    let fields = [6, 8, 10].map(|at| u16::from_le_bytes(net.rig.read_bytes(reg::CONFIG + at)));
    assert_eq!(fields, [1, 1, 1400]);
    assert_eq!(net.rig.device_features() & 0x7f87, 0, "nothing is left to a receiver that cannot do it");
}

#[test]
fn packet_from_the_driver_is_a_frame_however_it_is_cut() {
    let mut net = setup(feature::ALL);
    let content = frame(1000);
    net.rig.store(DATA, &[0; 12]);
    net.rig.store(DATA + 12, &content);
    net.transmit(&[Out(DATA, 1012)]);
    net.transmit(&[Out(DATA, 5), Out(DATA + 5, 0), Out(DATA + 5, 300), Out(DATA + 305, 707)]);
    assert_eq!([net.departed(), net.departed()], [content.clone(), content]);
    assert_eq!(net.rig.wait_used(&mut net.tx).1, 0);
}

#[rstest]
#[case::no_header(&[Out(DATA, 11)])]
#[case::too_long(&[Out(0, 0x1_0000), Out(0, 0x1000)])]
#[case::to_be_written(&[In(DATA, 100)])]
fn packets_that_cannot_be_are_dropped(#[case] chain: &[Buffer]) {
    let mut net = setup(feature::ALL);
    net.transmit(chain);
    net.rig.wait_used(&mut net.tx);
    net.rig.store(DATA, &frame(72));
    net.transmit(&[Out(DATA, 72)]);
    assert_eq!(net.departed(), frame(72)[12..], "and the next one is sent");
    assert!(!net.rig.needs_reset());
}

#[rstest]
#[case::mergeable(feature::ALL)]
#[case::plain(feature::ALL & !MRG_RXBUF)]
fn frame_for_the_driver_comes_behind_a_header(#[case] features: u64) {
    let mut net = setup(features);
    net.arrive(&frame(60));
    net.offer(0, 1526);
    assert_eq!(net.rig.wait_used(&mut net.rx), (0, HEADER + 60));
    assert_eq!(net.rig.load(DATA, 12), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(net.rig.load(DATA + 12, 60), frame(60));
}

#[test]
fn long_frame_takes_several_buffers_at_once() {
    let mut net = setup(feature::ALL);
    (0..2).for_each(|index| net.offer(index, 1000));
    net.arrive(&frame(2500));
    net.rig.settle();
    assert!(!net.rx.has_used(&net.rig.memory), "it waits for a third");
    net.offer(2, 1000);
    let used = [0; 3].map(|_| net.rig.wait_used(&mut net.rx));
    assert_eq!(used, [(0, 1000), (1, 1000), (2, 512)]);
    assert_eq!(net.rig.load(DATA + 10, 2), [3, 0], "num_buffers");
    let parts = [(12, 988), (0x1000, 1000), (0x2000, 512)];
    let content: Vec<u8> = parts.iter().flat_map(|&(at, len)| net.rig.load(DATA + at, len)).collect();
    assert_eq!(content, frame(2500));
}

#[rstest]
#[case::longer_than_the_buffer(feature::ALL & !MRG_RXBUF, 1)]
#[case::longer_than_the_ring(feature::ALL, 16)]
fn frame_that_never_fits_is_dropped(#[case] features: u64, #[case] buffers: u64) {
    let mut net = setup(features);
    (0..buffers).for_each(|index| net.offer(index, 100));
    net.arrive(&frame(9000));
    net.arrive(&frame(60));
    assert_eq!(net.rig.wait_used(&mut net.rx), (0, HEADER + 60));
}

#[test]
fn commands_are_answered() {
    let mut net = setup(feature::ALL);
    assert_eq!(net.command(&[0, 0, 1]), 0, "promiscuous, which it always is");
    assert_eq!(net.command(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 0, "a table of addresses");
    assert_eq!(net.command(&[2, 0, 5, 0]), 0, "a VLAN");
    assert_eq!(net.command(&[1, 1, 2, 3, 4, 5, 6, 7]), 0);
    assert_eq!(net.rig.read_bytes(reg::CONFIG), [2, 3, 4, 5, 6, 7], "the driver's own address");
    for refused in [&[1, 1, 2, 3][..], &[9, 0], &[0, 77, 1], &[1], &[], &[5, 0, 1, 0, 0, 0, 0, 0, 0, 0]] {
        assert_eq!(net.command(refused), 1, "{refused:?}");
    }
    net.rig.start(feature::ALL, &Ring::new(16, 0x1_0000));
    assert_eq!(net.rig.read_bytes(reg::CONFIG), MAC, "a reset brings the address back");
}

#[test]
fn wire_that_ends_takes_the_link_down_and_nothing_else() {
    let Setup { rig, mut tx, wire, .. } = setup(feature::ALL);
    drop(wire);
    rig.wait_until("a configuration interrupt", || rig.read(reg::INTERRUPT_STATUS) & 2 != 0);
    assert_eq!(rig.read_bytes(reg::CONFIG + 6), [0, 0]);
    tx.add(&rig.memory, &[Out(DATA, 72)]);
    rig.write(reg::QUEUE_NOTIFY, 1);
    rig.wait_used(&mut tx);
    assert!(!rig.needs_reset());
}

#[test]
fn full_wire_holds_the_driver_back_and_loses_nothing() {
    let mut net = setup(feature::ALL);
    let mut sent = 0_u32;
    loop {
        net.rig.store(DATA, &[&[0; 12], &sent.to_be_bytes()[..]].concat());
        net.transmit(&[Out(DATA, 2012)]);
        sent += 1;
        net.rig.settle();
        if !net.tx.has_used(&net.rig.memory) {
            break; // the other end reads nothing, and is full now
        }
        net.tx.take_used(&net.rig.memory);
    }
    for number in 0..sent {
        assert_eq!(net.departed()[..4], number.to_be_bytes());
    }
}

#[test]
fn interface_without_a_wire_swallows_packets() {
    let rig = Rig::new(Some(Box::new(Net::new(Box::new(Null), options()))));
    let [rx, mut tx] = [0x1_0000, 0x2_0000].map(|address| Ring::new(16, address));
    rig.start(feature::ALL, &rx);
    rig.start_queue(1, &tx);
    tx.add(&rig.memory, &[Out(DATA, 72)]);
    rig.write(reg::QUEUE_NOTIFY, 1);
    assert_eq!(rig.wait_used(&mut tx), (0, 0));
}

/// An interface whose wire ends in a socket, within `limits`, and its plug.
fn governed(limits: Limits) -> (Rig, Ring, UnixStream, ::net::Plug) {
    let (ours, wire) = UnixStream::pair().unwrap();
    let backend = Governed::new(Box::new(Stream::new(ours).unwrap()), limits).unwrap();
    let plug = backend.plug();
    let rig = Rig::new(Some(Box::new(Net::new(Box::new(backend), options()))));
    let [rx, tx] = [0x1_0000, 0x2_0000].map(|address| Ring::new(16, address));
    rig.start(feature::ALL, &rx);
    rig.start_queue(1, &tx);
    (rig, tx, wire, plug)
}

#[test]
fn plug_takes_the_link_down_and_up_again() {
    let (rig, _tx, _wire, plug) = governed(Limits::default());
    for (up, status) in [(false, [0, 0]), (true, [1, 0])] {
        plug.set(up);
        rig.wait_until("a configuration interrupt", || rig.read(reg::INTERRUPT_STATUS) & 2 != 0);
        assert_eq!(rig.read_bytes(reg::CONFIG + 6), status);
        rig.write(reg::INTERRUPT_ACK, 2);
    }
}

#[test]
fn packets_beyond_the_limit_are_late_and_not_lost() {
    let packets = Some(Limit { rate: 100, burst: 1 });
    let (rig, mut tx, mut wire, _plug) = governed(Limits { packets, bytes: None });
    let start = std::time::Instant::now();
    (0..10).for_each(|_| _ = tx.add(&rig.memory, &[Out(DATA, 72)]));
    rig.write(reg::QUEUE_NOTIFY, 1);
    let mut frames = [0; 10 * 64];
    wire.read_exact(&mut frames).unwrap();
    (0..10).for_each(|_| assert_eq!(rig.wait_used(&mut tx).1, 0));
    assert!(start.elapsed() >= std::time::Duration::from_millis(70), "{:?}", start.elapsed());
}

/// An interface with three pairs of queues, whose wires end in sockets, and its control queue.
fn several(features: u64) -> (Setup, [UnixStream; 3]) {
    let ends = std::array::from_fn(|_| UnixStream::pair().unwrap());
    let backends = ends.each_ref().map(|(ours, _)| {
        let stream = Stream::new(ours.try_clone().unwrap()).unwrap();
        Box::new(Governed::new(Box::new(stream), Limits::default()).unwrap()) as Box<dyn ::net::Backend>
    });
    let wires = ends.map(|(_, theirs)| theirs);
    let net = Net::with_queues(backends.into(), options()).unwrap();
    let rig = Rig::new(Some(Box::new(net)));
    let [rx, tx, control] = [0x1_0000, 0x2_0000, 0x3_0000].map(|address| Ring::new(16, address));
    rig.start(features, &rx);
    rig.start_queue(3, &tx);
    let queue = if features & MQ == 0 { 2 } else { 6 };
    rig.start_queue(queue, &control);
    let wire = wires[0].try_clone().unwrap();
    (Setup { rig, rx, tx, control, wire }, wires)
}

const MQ: u64 = 1 << 22;

#[test]
fn driver_chooses_how_many_pairs_it_uses() {
    let (mut setup, mut wires) = several(feature::ALL);
    assert_eq!((setup.rig.device_features() & MQ, setup.rig.read(reg::CONFIG + 8) & 0xffff), (MQ, 3));
    let send = |setup: &mut Setup, byte: u8| {
        let packet = [vec![0; HEADER as usize], vec![byte; 60]].concat();
        setup.rig.store(DATA, &packet);
        setup.tx.add(&setup.rig.memory, &[Out(DATA, packet.len() as u32)]);
        setup.rig.write(reg::QUEUE_NOTIFY, 3);
        setup.rig.wait_used(&mut setup.tx);
    };
    send(&mut setup, 1);
    let command = |setup: &mut Setup, pairs: u16| {
        let bytes = [&[4, 0][..], &pairs.to_le_bytes()].concat();
        setup.rig.store(DATA, &bytes);
        setup.control.add(&setup.rig.memory, &[Out(DATA, 4), In(DATA + 0x100, 1)]);
        setup.rig.write(reg::QUEUE_NOTIFY, 6);
        setup.rig.wait_used(&mut setup.control);
        setup.rig.load(DATA + 0x100, 1)[0]
    };
    assert_eq!([0, 4, u16::MAX, 2].map(|pairs| command(&mut setup, pairs)), [1, 1, 1, 0]);
    send(&mut setup, 2);
    setup.wire = wires[1].try_clone().unwrap();
    assert_eq!(setup.departed(), [2; 60], "what came before its pair was in use is lost");
    // The third pair has a queue now, and stays out of use.
    let spare = Ring::new(16, 0x4_0000);
    setup.rig.start_queue(4, &spare);
    wires[2].write_all(b"\0\0\0\x04late").unwrap();
    setup.rig.settle();
    assert!(!spare.has_used(&setup.rig.memory));
}

#[test]
fn driver_that_knows_one_pair_has_its_control_queue_behind_it() {
    let (mut setup, _wires) = several(feature::ALL & !MQ);
    assert_eq!(setup.command(&[4, 0, 2, 0]), 1, "there are no pairs to choose");
    assert_eq!(setup.command(&[0, 0, 1]), 0);
}
