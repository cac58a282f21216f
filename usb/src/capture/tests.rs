use super::*;
use crate::Keyboard;

#[derive(Clone, Default)]
struct File(Arc<Mutex<Vec<u8>>>);

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A recorded keyboard, its file, and the hand on it.
fn keyboard() -> (Keyboard, Box<dyn UsbDevice>, File) {
    let file = File::default();
    let capture = Capture::begin(Box::new(file.clone())).unwrap();
    let (hand, device) = Keyboard::new();
    let mut device = capture.tap(Box::new(device));
    device.attach(Waker::unconnected());
    (hand, device, file)
}

/// The records of the file: header and data.
fn records(file: &File) -> Vec<(Vec<u8>, Vec<u8>)> {
    let bytes = file.0.lock().unwrap();
    let (mut rest, mut records) = (&bytes[24..], Vec::new());
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        records.push((rest[16..80].to_vec(), rest[80..16 + len].to_vec()));
        rest = &rest[16 + len..];
    }
    records
}

fn control(device: &mut dyn UsbDevice, setup: [u8; 8], bytes: &mut [u8]) -> Outcome {
    let setup = Setup::from_bytes(setup);
    device.control(setup, &mut Data::new(setup.direction(), &[VolatileSlice::from(bytes)]))
}

#[test]
fn file_begins_with_the_link_type_of_usbmon() {
    let (_, _, file) = keyboard();
    let bytes = file.0.lock().unwrap();
    assert_eq!(bytes[..8], [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0]);
    assert_eq!((bytes.len(), bytes[20]), (24, 220));
}

#[test]
fn control_transfer_is_a_submission_with_setup_and_a_completion_with_data() {
    let (_, mut device, file) = keyboard();
    let setup = [0x80, 6, 0, 1, 0, 0, 18, 0];
    control(&mut *device, setup, &mut [0; 18]);
    let records = records(&file);
    let [(submission, none), (completion, data)] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((submission[8..16].to_vec(), none.len()), (vec![b'S', 2, 0x80, 1, 1, 0, 0, b'<'], 0));
    assert_eq!(submission[40..48], setup);
    assert_eq!(completion[8..16], [b'C', 2, 0x80, 1, 1, 0, b'-', 0]);
    assert_eq!((data.len(), data[1], completion[32]), (18, 1, 18));
    assert_eq!(submission[..8], completion[..8], "one transfer");
}

#[test]
fn report_is_an_interrupt_transfer_and_nothing_to_report_is_nothing() {
    let (mut hand, mut device, file) = keyboard();
    control(&mut *device, [0, 9, 1, 0, 0, 0, 0, 0], &mut []);
    let endpoint = EndpointAddress::new(1, Direction::In);
    for _ in 0..2 {
        let mut bytes = [0; 8];
        let pieces = [VolatileSlice::from(&mut bytes[..])];
        device.transfer(endpoint, &mut Data::new(Direction::In, &pieces));
        hand.press(4);
    }
    let records = records(&file);
    assert_eq!(records.len(), 4);
    assert_eq!(records[3].0[8..11], [b'C', 1, 0x81]);
    assert_eq!(records[3].1, [0, 0, 4, 0, 0, 0, 0, 0]);
}

#[test]
fn refusal_is_a_broken_pipe() {
    let (_, mut device, file) = keyboard();
    assert_eq!(control(&mut *device, [0x80, 6, 0, 99, 0, 0, 8, 0], &mut [0; 8]), Outcome::Stall);
    assert_eq!(records(&file)[1].0[28..32], (-32_i32).to_le_bytes());
}

/// A disk that is full.
struct Full;

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() == 24 { Ok(24) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn recording_that_cannot_go_on_leaves_the_device_alone() {
    let capture = Capture::begin(Box::new(Full)).unwrap();
    let mut device = capture.tap(Box::new(Keyboard::new().1));
    assert_eq!(control(&mut *device, [0x80, 6, 0, 1, 0, 0, 18, 0], &mut [0; 18]), Outcome::Done);
}
