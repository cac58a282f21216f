use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use vm_memory::VolatileSlice;

use super::*;

const IN: EndpointAddress = EndpointAddress::new(1, Direction::In);
const OUT: EndpointAddress = EndpointAddress::new(2, Direction::Out);

/// What the host was asked, and what it will say.
#[derive(Default)]
struct Script {
    requests: Vec<Request>,
    loads: Vec<(EndpointAddress, Load)>,
    cancelled: Vec<EndpointAddress>,
    answer: Option<Completion>,
    completion: Option<Completion>,
}

struct Fake(Arc<Mutex<Script>>);

impl Transport for Fake {
    fn speed(&self) -> Speed {
        Speed::Full
    }
    fn connect(&mut self, _waker: Waker) {}
    fn request(&mut self, request: Request) {
        self.0.lock().unwrap().requests.push(request);
    }
    fn answer(&mut self) -> Option<Completion> {
        self.0.lock().unwrap().answer.take()
    }
    fn submit(&mut self, endpoint: EndpointAddress, load: Load) {
        self.0.lock().unwrap().loads.push((endpoint, load));
    }
    fn completion(&mut self, _endpoint: EndpointAddress) -> Option<Completion> {
        self.0.lock().unwrap().completion.take()
    }
    fn cancel(&mut self, endpoint: EndpointAddress) {
        self.0.lock().unwrap().cancelled.push(endpoint);
    }
}

fn device() -> (HostDevice, Arc<Mutex<Script>>) {
    let script = Arc::new(Mutex::new(Script::default()));
    (HostDevice::new(Box::new(Fake(Arc::clone(&script)))), script)
}

/// One call with a window of `bytes`; its outcome and what is moved.
fn transfer(device: &mut HostDevice, endpoint: EndpointAddress, bytes: &mut [u8]) -> (Outcome, usize) {
    let pieces = [VolatileSlice::from(bytes)];
    let mut data = Data::new(endpoint.direction(), &pieces);
    (device.transfer(endpoint, &mut data), data.moved())
}

fn control(device: &mut HostDevice, setup: [u8; 8], bytes: &mut [u8]) -> (Outcome, usize) {
    let setup = Setup::from_bytes(setup);
    let pieces = [VolatileSlice::from(bytes)];
    let mut data = Data::new(setup.direction(), &pieces);
    (device.control(setup, &mut data), data.moved())
}

#[test]
fn request_is_begun_once_and_answered_when_the_host_is_done() {
    let (mut device, script) = device();
    let (get, mut bytes) = ([0x80, 6, 0, 1, 0, 0, 18, 0], [0; 18]);
    assert_eq!(control(&mut device, get, &mut bytes), (Outcome::Nak, 0));
    assert_eq!(control(&mut device, get, &mut bytes), (Outcome::Nak, 0));
    script.lock().unwrap().answer = Some(Ok(vec![18, 1, 0, 2]));
    assert_eq!(control(&mut device, get, &mut bytes), (Outcome::Done, 4));
    assert_eq!((&bytes[..4], script.lock().unwrap().requests.len()), ([18, 1, 0, 2].as_slice(), 1));
    control(&mut device, get, &mut bytes);
    script.lock().unwrap().answer = Some(Err(Fault::Stall));
    assert_eq!(control(&mut device, get, &mut bytes).0, Outcome::Stall);
}

#[test]
fn requests_that_concern_the_host_are_told_as_such() {
    let (mut device, script) = device();
    let setups = [
        ([0x00, 9, 2, 0, 0, 0, 0, 0], Request::Configure(2)),
        ([0x01, 11, 1, 0, 3, 0, 0, 0], Request::SetInterface { number: 3, setting: 1 }),
        ([0x02, 1, 0, 0, 0x81, 0, 0, 0], Request::ClearHalt(IN)),
    ];
    for (setup, expected) in setups {
        control(&mut device, setup, &mut []);
        script.lock().unwrap().answer = Some(Ok(Vec::new()));
        assert_eq!(control(&mut device, setup, &mut []).0, Outcome::Done);
        assert_eq!(script.lock().unwrap().requests.pop(), Some(expected));
    }
    let report = [0x21, 9, 0, 2, 0, 0, 2, 0];
    control(&mut device, report, &mut [5, 6]);
    let expected = Request::Control(Setup::from_bytes(report), vec![5, 6]);
    assert_eq!(script.lock().unwrap().requests.pop(), Some(expected));
}

#[test]
fn short_packet_ends_and_what_has_no_room_comes_next() {
    let (mut device, script) = device();
    let mut bytes = [0; 8];
    assert_eq!(transfer(&mut device, IN, &mut bytes), (Outcome::Nak, 0));
    assert_eq!(script.lock().unwrap().loads, [(IN, Load::In(8))]);
    script.lock().unwrap().completion = Some(Ok(vec![1, 2, 3]));
    assert_eq!(transfer(&mut device, IN, &mut bytes), (Outcome::Done, 3));
    transfer(&mut device, IN, &mut bytes);
    script.lock().unwrap().completion = Some(Ok((0..12).collect()));
    assert_eq!(transfer(&mut device, IN, &mut bytes), (Outcome::Done, 8));
    assert_eq!(transfer(&mut device, IN, &mut bytes[..4]), (Outcome::Done, 4));
    assert_eq!((&bytes[..4], script.lock().unwrap().loads.len()), ([8, 9, 10, 11].as_slice(), 2));
}

#[test]
fn bytes_count_as_sent_when_the_device_has_them() {
    let (mut device, script) = device();
    let mut bytes = vec![7; CHUNK + 10];
    assert_eq!(transfer(&mut device, OUT, &mut bytes), (Outcome::Nak, 0));
    assert_eq!(transfer(&mut device, OUT, &mut bytes), (Outcome::Nak, 0));
    script.lock().unwrap().completion = Some(Ok(Vec::new()));
    assert_eq!(transfer(&mut device, OUT, &mut bytes), (Outcome::Nak, CHUNK));
    script.lock().unwrap().completion = Some(Ok(Vec::new()));
    assert_eq!(transfer(&mut device, OUT, &mut bytes[CHUNK..]), (Outcome::Done, 10));
    let sent: Vec<_> = script.lock().unwrap().loads.iter().map(|(_, load)| load.clone()).collect();
    assert_eq!(sent, [Load::Out(vec![7; CHUNK]), Load::Out(vec![7; 10])]);
    transfer(&mut device, OUT, &mut bytes);
    script.lock().unwrap().completion = Some(Err(Fault::Gone));
    assert_eq!(transfer(&mut device, OUT, &mut bytes), (Outcome::Gone, 0));
}

#[test]
fn what_is_given_up_is_given_up_on_the_host_too() {
    let (mut device, script) = device();
    transfer(&mut device, IN, &mut [0; 8]);
    device.cancel(IN);
    transfer(&mut device, IN, &mut [0; 8]);
    control(&mut device, [0x80, 6, 0, 1, 0, 0, 18, 0], &mut [0; 18]);
    device.reset();
    let cancelled = script.lock().unwrap().cancelled.clone();
    assert_eq!(cancelled, [IN, EndpointAddress::new(0, Direction::Out), IN]);
    assert_eq!(script.lock().unwrap().loads.len(), 2);
}

proptest! {
    /// Whatever host and guest do, no byte comes twice and none is lost.
    #[test]
    fn bytes_come_in_their_order(windows in prop::collection::vec((1_usize..40, 0_usize..64), 1..60)) {
        let (mut device, script) = device();
        let (mut sent, mut received) = (0_u8, Vec::new());
        for (window, burst) in windows {
            let mut bytes = vec![0; window];
            let (_, moved) = transfer(&mut device, IN, &mut bytes);
            received.extend_from_slice(&bytes[..moved]);
            if !device.state.transfers.is_empty() {
                let burst: Vec<u8> = (0..burst).map(|_| { sent = sent.wrapping_add(1); sent }).collect();
                script.lock().unwrap().completion = Some(Ok(burst));
                let mut bytes = vec![0; window];
                let (_, moved) = transfer(&mut device, IN, &mut bytes);
                received.extend_from_slice(&bytes[..moved]);
            }
        }
        let expected: Vec<u8> = (0..received.len()).map(|n| (n as u8).wrapping_add(1)).collect();
        prop_assert_eq!(received, expected);
    }
}
