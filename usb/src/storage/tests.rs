//! The device as a controller and a driver see it.

mod bulk_only;
mod hostile;
mod uas;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use block::testing::MemoryDisk;
use scsi::{Kind, Loading, Target, Unit};
use vm_memory::VolatileSlice;

use super::*;

/// A configured device, whose disk was told of its reset, with a driver's view of it.
struct Rig {
    device: Storage,
    disk: Arc<MemoryDisk>,
    wakes: Arc<AtomicU32>,
}

impl Rig {
    fn new(speed: Speed) -> Self {
        let disk = Arc::new(MemoryDisk::new(64));
        let unit = Unit::new(Kind::Disk, Loading::Fixed, "7".parse().unwrap()).with(disk.clone());
        let wakes = Arc::new(AtomicU32::new(0));
        let mut device = Storage::new(speed, Target::new(vec![unit]), "7");
        let counter = wakes.clone();
        device.attach(Waker::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        let mut rig = Self { device, disk, wakes };
        assert_eq!(rig.request([0x00, 9, 1, 0, 0, 0, 0, 0]), Ok(vec![]));
        rig
    }

    /// A control transfer; the data of the device, or how it refused.
    fn request(&mut self, setup: [u8; 8]) -> Result<Vec<u8>, Outcome> {
        let setup = Setup::from_bytes(setup);
        let mut bytes = vec![0; setup.length.into()];
        let pieces = [VolatileSlice::from(&mut bytes[..])];
        let mut data = Data::new(setup.direction(), &pieces);
        let outcome = self.device.control(setup, &mut data);
        let moved = data.moved();
        bytes.truncate(moved);
        if outcome == Outcome::Done { Ok(bytes) } else { Err(outcome) }
    }

    /// One window to the device.
    fn out(&mut self, endpoint: EndpointAddress, bytes: &[u8]) -> Outcome {
        let mut bytes = bytes.to_vec();
        let pieces = [VolatileSlice::from(&mut bytes[..])];
        self.device.transfer(endpoint, &mut Data::new(Direction::Out, &pieces))
    }

    /// The same at once, if that can be.
    fn out_at_once(&mut self, endpoint: EndpointAddress, bytes: &[u8]) -> Option<Outcome> {
        let mut bytes = bytes.to_vec();
        let pieces = [VolatileSlice::from(&mut bytes[..])];
        self.device.transfer_at_once(endpoint, &mut Data::new(Direction::Out, &pieces))
    }

    /// One window of `len` bytes from the device at once, if that can be: the bytes that moved, or how it refused.
    fn input_at_once(&mut self, endpoint: EndpointAddress, len: usize) -> Option<Result<Vec<u8>, Outcome>> {
        let mut bytes = vec![0xee; len];
        let pieces = [VolatileSlice::from(&mut bytes[..])];
        let mut data = Data::new(Direction::In, &pieces);
        let outcome = self.device.transfer_at_once(endpoint, &mut data)?;
        let moved = data.moved();
        bytes.truncate(moved);
        Some(if outcome == Outcome::Done { Ok(bytes) } else { Err(outcome) })
    }

    /// One window of `len` bytes from the device.
    fn input(&mut self, endpoint: EndpointAddress, len: usize) -> Result<Vec<u8>, Outcome> {
        let mut bytes = vec![0xee; len];
        let pieces = [VolatileSlice::from(&mut bytes[..])];
        let mut data = Data::new(Direction::In, &pieces);
        let outcome = self.device.transfer(endpoint, &mut data);
        let moved = data.moved();
        bytes.truncate(moved);
        if outcome == Outcome::Done { Ok(bytes) } else { Err(outcome) }
    }
}
