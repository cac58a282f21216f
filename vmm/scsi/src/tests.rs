//! Targets as a transport sees them; expected bytes are those of the standards' tables.

mod attention;
mod disc;
mod disk;
mod hostile;
mod identity;
mod provisioning;

use std::sync::Arc;

use block::testing::MemoryDisk;
use block::{Backend, ReadOnly};
use vm_memory::VolatileSlice;

use crate::{Data, Kind, Loading, Lun, Sense, Status, Target, Unit};

const DISK_SECTORS: u16 = 64;

/// A target with one unit, told of its reset already, and the disk below it.
struct Rig {
    target: Target,
    disk: Arc<MemoryDisk>,
}

impl Rig {
    fn new(kind: Kind, loading: Loading) -> Self {
        let disk = Arc::new(MemoryDisk::new(DISK_SECTORS));
        let backend: Arc<dyn Backend> = disk.clone();
        let unit = Unit::new(kind, loading, "S-42".parse().unwrap()).with(backend);
        let mut rig = Self { target: Target::new(vec![unit]), disk };
        rig.settle();
        rig
    }

    fn disk() -> Self {
        Self::new(Kind::Disk, Loading::Fixed)
    }

    fn cd_rom() -> Self {
        Self::new(Kind::CdRom, Loading::Removable)
    }

    fn read_only() -> Self {
        let mut rig = Self::disk();
        let unit = Unit::new(Kind::Disk, Loading::Fixed, "S-42".parse().unwrap());
        rig.target = Target::new(vec![unit.with(Arc::new(ReadOnly::new(MemoryDisk::new(DISK_SECTORS))))]);
        rig.settle();
        rig
    }

    /// Takes the power-on attention away.
    fn settle(&mut self) {
        assert_eq!(self.fails(&[0; 6]), Sense::RESET);
    }

    fn unit(&mut self) -> &mut Unit {
        self.target.unit(Lun(0)).unwrap()
    }

    /// The host opens the tray, takes the medium out, puts another in if there is one, and closes the tray.
    fn change(&mut self, medium: Option<Arc<dyn Backend>>) {
        let tray = self.unit().tray().unwrap();
        tray.open(true).unwrap();
        tray.remove().unwrap();
        medium.map_or(Ok(()), |medium| tray.insert(medium)).unwrap();
        tray.close();
    }

    /// The data of a command that succeeds.
    fn reads(&mut self, cdb: &[u8]) -> Vec<u8> {
        let mut task = self.target.begin(Lun(0), cdb);
        let mut bytes = match task.data() {
            Data::In(len) => vec![0; len as usize],
            Data::None => Vec::new(),
            Data::Out(_) => panic!("{cdb:x?} wants data"),
        };
        let moved = task.read(&[VolatileSlice::from(&mut bytes[..])]);
        assert_eq!((moved, task.data()), (bytes.len() as u64, Data::None));
        assert_eq!(task.finish().sense, None, "{cdb:x?}");
        bytes
    }

    /// A command that succeeds and takes `bytes`.
    fn writes(&mut self, cdb: &[u8], bytes: &[u8]) {
        let mut task = self.target.begin(Lun(0), cdb);
        assert_eq!(task.data(), Data::Out(bytes.len() as u64));
        assert_eq!(task.write(&[VolatileSlice::from(&mut bytes.to_vec()[..])]), bytes.len() as u64);
        assert_eq!(task.finish().status, Status::Good);
    }

    /// A command that succeeds without data.
    fn does(&mut self, cdb: &[u8]) {
        assert_eq!(self.reads(cdb), []);
    }

    /// Why a command fails before any data moves.
    fn fails(&mut self, cdb: &[u8]) -> Sense {
        let task = self.target.begin(Lun(0), cdb);
        assert_eq!(task.data(), Data::None);
        let completion = task.finish();
        assert_eq!(completion.status, Status::CheckCondition);
        completion.sense.unwrap()
    }
}

/// A READ or WRITE of ten bytes.
fn rw10(opcode: u8, block: u32, count: u16) -> [u8; 10] {
    let ([a, b, c, d], [e, f]) = (block.to_be_bytes(), count.to_be_bytes());
    [opcode, 0, a, b, c, d, 0, e, f, 0]
}
