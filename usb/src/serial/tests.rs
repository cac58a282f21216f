use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use chardev::{Keep, Socket};
use vm_memory::VolatileSlice;

use super::*;

/// What is at the other end of the line.
#[derive(Default)]
struct End {
    written: Vec<u8>,
    room: usize,
    sent: VecDeque<u8>,
}

#[derive(Clone, Default)]
struct Line(Arc<Mutex<End>>);

impl Chardev for Line {
    fn events(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }

    fn read(&mut self, to: &mut [u8]) -> usize {
        let sent = &mut self.0.lock().unwrap().sent;
        let len = to.len().min(sent.len());
        to.iter_mut().zip(sent.drain(..len)).for_each(|(to, byte)| *to = byte);
        len
    }

    fn write(&mut self, from: &[u8]) -> usize {
        let mut end = self.0.lock().unwrap();
        let len = end.room.min(from.len());
        end.room -= len;
        end.written.extend(&from[..len]);
        len
    }
}

fn request(device: &mut Serial, setup: [u8; 8], bytes: &mut [u8]) -> Outcome {
    let setup = Setup::from_bytes(setup);
    device.control(setup, &mut Data::new(setup.direction(), &[VolatileSlice::from(bytes)]))
}

fn connected(stream: impl Chardev + 'static, waker: Waker) -> Serial {
    let mut device = Serial::new(Box::new(stream)).unwrap();
    device.attach(waker);
    assert_eq!(request(&mut device, [0, 9, 1, 0, 0, 0, 0, 0], &mut []), Outcome::Done);
    device
}

fn configured() -> (Line, Serial) {
    let line = Line::default();
    line.0.lock().unwrap().room = usize::MAX;
    (line.clone(), connected(line, Waker::unconnected()))
}

fn read(device: &mut Serial, len: usize) -> Result<Vec<u8>, Outcome> {
    let mut bytes = vec![0; len];
    let pieces = [VolatileSlice::from(&mut bytes[..])];
    let mut data = Data::new(Direction::In, &pieces);
    let outcome = device.transfer(IN, &mut data);
    let moved = data.moved();
    bytes.truncate(moved);
    if outcome == Outcome::Done { Ok(bytes) } else { Err(outcome) }
}

/// How it went, and how many bytes moved.
fn write(device: &mut Serial, bytes: &[u8]) -> (Outcome, usize) {
    let mut bytes = bytes.to_vec();
    let pieces = [VolatileSlice::from(&mut bytes[..])];
    let mut data = Data::new(Direction::Out, &pieces);
    (device.transfer(OUT, &mut data), data.moved())
}

#[test]
fn what_the_guest_sends_is_written() {
    let (line, mut device) = configured();
    assert_eq!(write(&mut device, &[7; 10_000]), (Outcome::Done, 10_000));
    assert_eq!(line.0.lock().unwrap().written, [7; 10_000]);
}

#[test]
fn guest_waits_until_there_is_room() {
    let (line, mut device) = configured();
    line.0.lock().unwrap().room = 5000;
    assert_eq!(write(&mut device, &[7; 10_000]), (Outcome::Nak, 5000));
    line.0.lock().unwrap().room = 5000;
    assert_eq!(write(&mut device, &[8; 5000]), (Outcome::Done, 5000));
    assert_eq!(line.0.lock().unwrap().written, [[7; 5000], [8; 5000]].concat());
}

#[test]
fn what_the_host_sends_waits_for_the_guest() {
    let (line, mut device) = configured();
    assert_eq!(read(&mut device, 8), Err(Outcome::Nak));
    line.0.lock().unwrap().sent.extend(b"hello");
    assert_eq!(read(&mut device, 3), Ok(b"hel".to_vec()));
    assert_eq!(read(&mut device, 8), Ok(b"lo".to_vec()));
    assert_eq!(read(&mut device, 8), Err(Outcome::Nak));
}

#[test]
fn host_that_comes_and_talks_wakes_the_device() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line");
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let waker = Waker::new(move || tell.lock().unwrap().send(()).unwrap());
    let mut device = connected(Socket::listen(&path, Keep::Last).unwrap(), waker);
    assert_eq!(write(&mut device, b"early"), (Outcome::Done, 5));
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"hello").unwrap();
    let mut heard = Vec::new();
    while heard.len() < 5 {
        told.recv_timeout(Duration::from_secs(10)).unwrap();
        heard.extend(read(&mut device, 8).unwrap_or_default());
    }
    assert_eq!(heard, b"hello");
    assert_eq!(write(&mut device, b", late"), (Outcome::Done, 6));
    let mut answer = [0; 11];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"early, late");
}

#[test]
fn line_coding_is_kept_until_a_reset() {
    let (_line, mut device) = configured();
    let mut coding = [0x80, 0x25, 0, 0, 2, 1, 7];
    assert_eq!(request(&mut device, [0x21, 0x20, 0, 0, 0, 0, 7, 0], &mut coding), Outcome::Done);
    let mut told = [0; 7];
    request(&mut device, [0xa1, 0x21, 0, 0, 0, 0, 7, 0], &mut told);
    assert_eq!(told, coding);
    device.reset();
    request(&mut device, [0xa1, 0x21, 0, 0, 0, 0, 7, 0], &mut told);
    assert_eq!(u32::from_le_bytes(told[..4].try_into().unwrap()), 115_200);
}

#[test]
fn short_line_coding_and_unknown_requests_are_refused() {
    let (_line, mut device) = configured();
    assert_eq!(request(&mut device, [0x21, 0x20, 0, 0, 0, 0, 6, 0], &mut [0; 6]), Outcome::Stall);
    assert_eq!(request(&mut device, [0xa1, 0x01, 0, 0, 0, 0, 6, 0], &mut [0; 6]), Outcome::Stall);
}

#[test]
fn configuration_is_an_association_of_two_interfaces() {
    let descriptors = describe();
    let kinds: Vec<_> = descriptors.parts().map(|part| part[1]).collect();
    assert_eq!(kinds, [2, 11, 4, 0x24, 0x24, 0x24, 0x24, 5, 4, 5, 5]);
    let total = u16::from_le_bytes([descriptors.configuration[2], descriptors.configuration[3]]);
    assert_eq!(usize::from(total), descriptors.configuration.len());
    assert_eq!(descriptors.configuration[4], 2);
}
