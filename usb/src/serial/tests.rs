use vm_memory::VolatileSlice;

use super::*;

/// What a port wrote.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn request(device: &mut Serial, setup: [u8; 8], bytes: &mut [u8]) -> Outcome {
    let setup = Setup::from_bytes(setup);
    device.control(setup, &mut Data::new(setup.direction(), &[VolatileSlice::from(bytes)]))
}

fn configured() -> (SerialInput, Serial, Sink) {
    let sink = Sink::default();
    let (input, mut device) = Serial::new(Box::new(sink.clone()));
    device.attach(Waker::unconnected());
    assert_eq!(request(&mut device, [0, 9, 1, 0, 0, 0, 0, 0], &mut []), Outcome::Done);
    (input, device, sink)
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

#[test]
fn what_the_guest_sends_is_written() {
    let (_input, mut device, sink) = configured();
    let mut bytes = vec![7; 10_000];
    let pieces = [VolatileSlice::from(&mut bytes[..])];
    assert_eq!(device.transfer(OUT, &mut Data::new(Direction::Out, &pieces)), Outcome::Done);
    assert_eq!(*sink.0.lock().unwrap(), vec![7; 10_000]);
}

#[test]
fn what_the_host_sends_waits_for_the_guest() {
    let (input, mut device, _sink) = configured();
    assert_eq!(read(&mut device, 8), Err(Outcome::Nak));
    assert_eq!(input.send(b"hello"), 5);
    assert_eq!(read(&mut device, 3), Ok(b"hel".to_vec()));
    assert_eq!(read(&mut device, 8), Ok(b"lo".to_vec()));
    assert_eq!(read(&mut device, 8), Err(Outcome::Nak));
}

#[test]
fn line_holds_64_kib() {
    let (input, _device, _sink) = configured();
    assert_eq!(input.send(&vec![0; 70_000]), 65_536);
    assert_eq!(input.send(&[0]), 0);
}

#[test]
fn line_coding_is_kept_until_a_reset() {
    let (_input, mut device, _sink) = configured();
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
    let (_input, mut device, _sink) = configured();
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
