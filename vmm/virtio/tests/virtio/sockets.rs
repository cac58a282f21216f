//! Streams between a scripted driver and Unix sockets.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use virtio::vsock::Vsock;

use crate::rig::{Buffer, Rig, Ring, feature, reg};
use Buffer::{In, Out};

const DATA: u64 = 0x10_0000;
const ROOM: u64 = 0x11_0000;
const CID: u64 = 7;

const REQUEST: u16 = 1;
const RESPONSE: u16 = 2;
const RST: u16 = 3;
const SHUTDOWN: u16 = 4;
const RW: u16 = 5;
const CREDIT_UPDATE: u16 = 6;
const CREDIT_REQUEST: u16 = 7;

/// A packet of either side's.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Packet {
    src_port: u32,
    dst_port: u32,
    op: u16,
    flags: u32,
    buf_alloc: u32,
    fwd_cnt: u32,
    data: Vec<u8>,
}

impl Packet {
    /// From port 1000 of the guest's, with plenty of room.
    fn to(dst_port: u32, op: u16, data: &[u8]) -> Self {
        Self { src_port: 1000, dst_port, op, flags: 0, buf_alloc: 0x1_0000, fwd_cnt: 0, data: data.to_vec() }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = [CID.to_le_bytes(), 2_u64.to_le_bytes()].concat();
        bytes.extend([self.src_port, self.dst_port, self.data.len() as u32].map(u32::to_le_bytes).concat());
        bytes.extend([1, self.op].map(u16::to_le_bytes).concat());
        bytes.extend([self.flags, self.buf_alloc, self.fwd_cnt].map(u32::to_le_bytes).concat());
        bytes.extend(&self.data);
        bytes
    }

    fn parse(bytes: &[u8]) -> Self {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!((bytes[0], bytes[8], bytes[28]), (2, CID as u8, 1), "addresses and type");
        assert_eq!(word(24) as usize, bytes.len() - 44);
        Self {
            src_port: word(16),
            dst_port: word(20),
            op: (word(28) >> 16) as u16,
            flags: word(32),
            buf_alloc: word(36),
            fwd_cnt: word(40),
            data: bytes[44..].to_vec(),
        }
    }
}

struct Setup {
    rig: Rig,
    rx: Ring,
    tx: Ring,
    folder: TempDir,
}

fn setup() -> Setup {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("v");
    let listener = UnixListener::bind(&path).unwrap();
    let rig = Rig::new(Some(Box::new(Vsock::new(CID as u32, listener, &path).unwrap())));
    let [rx, tx] = [0x1_0000, 0x2_0000].map(|address| Ring::new(16, address));
    rig.start(feature::ALL, &rx);
    rig.start_queue(1, &tx);
    Setup { rig, rx, tx, folder }
}

impl Setup {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn say_bytes(&mut self, bytes: &[u8]) {
        self.rig.store(DATA, bytes);
        self.tx.add(&self.rig.memory, &[Out(DATA, bytes.len() as u32)]);
        self.rig.write(reg::QUEUE_NOTIFY, 1);
        self.rig.wait_used(&mut self.tx);
    }

    fn say(&mut self, packet: &Packet) {
        self.say_bytes(&packet.bytes());
    }

    fn offer(&mut self) {
        self.rx.add(&self.rig.memory, &[In(ROOM, 4096)]);
        self.rig.kick();
    }

    fn hear(&mut self) -> Packet {
        self.offer();
        let (_, len) = self.rig.wait_used(&mut self.rx);
        Packet::parse(&self.rig.load(ROOM, len as usize))
    }

    /// A stream that the guest opened to port 9 of the host's.
    fn opened(&mut self) -> UnixStream {
        let listener = UnixListener::bind(self.path("v_9")).unwrap();
        self.say(&Packet::to(9, REQUEST, b""));
        let answer = self.hear();
        assert_eq!((answer.op, answer.src_port, answer.dst_port), (RESPONSE, 9, 1000));
        assert!(answer.buf_alloc >= 0x1_0000);
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }
}

fn read<const N: usize>(mut stream: &UnixStream) -> [u8; N] {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn guest_reaches_a_socket_of_the_hosts() {
    let mut vsock = setup();
    let mut stream = vsock.opened();
    vsock.say(&Packet::to(9, RW, b"hello"));
    assert_eq!(read(&stream), *b"hello");
    stream.write_all(b"world").unwrap();
    let packet = vsock.hear();
    assert_eq!((packet.op, packet.data.as_slice(), packet.fwd_cnt), (RW, &b"world"[..], 5));
    vsock.say(&Packet { flags: 3, ..Packet::to(9, SHUTDOWN, b"") });
    assert_eq!(vsock.hear().op, RST);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn client_of_the_hosts_reaches_the_guest() {
    let mut vsock = setup();
    let mut client = UnixStream::connect(vsock.path("v")).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client.write_all(b"CONNECT 1000\n").unwrap();
    let request = vsock.hear();
    assert_eq!((request.op, request.dst_port), (REQUEST, 1000));
    vsock.say(&Packet::to(request.src_port, RESPONSE, b""));
    assert_eq!(read(&client), *format!("OK {}\n", request.src_port).as_bytes().first_chunk::<14>().unwrap());
    client.write_all(b"ping").unwrap();
    assert_eq!(vsock.hear().data, b"ping");
    vsock.say(&Packet::to(request.src_port, RW, b"pong"));
    assert_eq!(read(&client), *b"pong");
    drop(client);
    assert_eq!(vsock.hear().op, RST);
}

#[test]
fn port_that_nobody_listens_at_is_refused() {
    let mut vsock = setup();
    vsock.say(&Packet::to(77, REQUEST, b""));
    let answer = vsock.hear();
    assert_eq!((answer.op, answer.src_port, answer.dst_port), (RST, 77, 1000));
    vsock.say(&Packet::to(78, RW, b"to nobody"));
    assert_eq!((vsock.hear().op, vsock.rig.needs_reset()), (RST, false));
}

#[test]
fn guest_that_refuses_ends_the_client() {
    let mut vsock = setup();
    let mut client = UnixStream::connect(vsock.path("v")).unwrap();
    client.write_all(b"CONNECT 1000\n").unwrap();
    let request = vsock.hear();
    vsock.say(&Packet::to(request.src_port, RST, b""));
    vsock.offer();
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn client_that_says_something_else_is_sent_away() {
    let vsock = setup();
    for line in [&b"HELLO\n"[..], b"CONNECT x\n", b"CONNECT \n", &[b'x'; 100]] {
        let mut client = UnixStream::connect(vsock.path("v")).unwrap();
        let _ = client.write_all(line);
        let end = client.read(&mut [0; 8]);
        assert!(matches!(end, Ok(0) | Err(_)), "{line:?}");
    }
}

#[test]
fn host_sends_no_more_than_the_guest_has_room_for() {
    let mut vsock = setup();
    let mut stream = vsock.opened();
    vsock.say(&Packet { buf_alloc: 10, ..Packet::to(9, CREDIT_UPDATE, b"") });
    stream.write_all(b"0123456789abcdef").unwrap();
    assert_eq!(vsock.hear().data, b"0123456789");
    vsock.offer();
    vsock.rig.settle();
    assert!(!vsock.rx.has_used(&vsock.rig.memory), "no room, no packet");
    vsock.say(&Packet { buf_alloc: 10, fwd_cnt: 4, ..Packet::to(9, CREDIT_UPDATE, b"") });
    let (_, len) = vsock.rig.wait_used(&mut vsock.rx);
    assert_eq!(Packet::parse(&vsock.rig.load(ROOM, len as usize)).data, b"abcd");
}

#[test]
fn guest_that_sends_more_than_there_is_room_for_loses_its_connection() {
    let mut vsock = setup();
    let _stream = vsock.opened();
    let part = vec![0; 0x1_0000];
    for _ in 0..20 {
        vsock.say(&Packet::to(9, RW, &part));
    }
    assert_eq!(vsock.hear().op, RST);
}

#[test]
fn question_for_room_is_answered() {
    let mut vsock = setup();
    let stream = vsock.opened();
    vsock.say(&Packet::to(9, RW, b"12345"));
    assert_eq!(read(&stream), *b"12345");
    vsock.say(&Packet::to(9, CREDIT_REQUEST, b""));
    let answer = vsock.hear();
    assert_eq!((answer.op, answer.fwd_cnt), (CREDIT_UPDATE, 5));
}

#[test]
fn packets_that_cannot_be_are_ignored() {
    let mut vsock = setup();
    let good = Packet::to(9, REQUEST, b"").bytes();
    let mut wrong_source = good.clone();
    wrong_source[0] = 9;
    let mut longer_than_it_is = good.clone();
    longer_than_it_is[24] = 200;
    for bytes in [&[][..], &[0xff; 10], &good[..43], &wrong_source, &longer_than_it_is, &[0xff; 64]] {
        vsock.say_bytes(bytes);
    }
    let mut wrong_type = good.clone();
    wrong_type[28] = 2;
    vsock.say_bytes(&wrong_type);
    assert_eq!(vsock.hear().op, RST);
    vsock.opened();
}

#[test]
fn thousand_clients_are_served() {
    let mut vsock = setup();
    let clients: Vec<_> = (0..1000)
        .map(|n| {
            let mut client = UnixStream::connect(vsock.path("v")).unwrap();
            client.write_all(format!("CONNECT {}\n", 2000 + n).as_bytes()).unwrap();
            if n % 50 == 49 {
                vsock.rig.settle(); // the queue of a listening socket is short
            }
            client
        })
        .collect();
    let mut asked: Vec<_> = (0..1000).map(|_| vsock.hear().dst_port).collect();
    asked.sort_unstable();
    assert!(asked.into_iter().eq(2000..3000));
    drop(clients);
}
