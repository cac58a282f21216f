//! virtio-scsi: a host adapter with SCSI targets behind it, disks and CD-ROM drives. virtio 1.2, 5.6.
//!
//! Each target is what the crate `scsi` makes of it; this file knows requests and responses. Commands are carried out one
//! after the other, so that task management never finds one under way. Left out: events, for nothing comes or goes while
//! the machine runs; bidirectional commands and protection information, which no target here has.

mod spec;

use ::scsi::{Completion, Data, Lun, Target, Task};
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::{Broken, Buffers, Chain, Features, Requests, VirtioDevice};

use spec::{Command, Config, Response, TaskManagement, control, function, response};

/// Data segments a driver may use in a command: those of a 256-entry ring without request and response, as in QEMU.
const SEG_MAX: u32 = 254;
/// Most targets: those that edk2 asks for.
pub const MAX_TARGETS: usize = 32;
/// Most bytes that a driver may choose for a CDB or sense data: the longest that SPC-4 has are a little longer and shorter.
const MAX_SIZE: u32 = 256;

/// A virtio SCSI host adapter.
pub struct Scsi {
    // Fixed, and what they keep is their own affair.
    targets: Vec<Target>,
    // Volatile: the driver chooses `cdb_size` and `sense_size`.
    config: Config,
}

impl Scsi {
    /// An adapter with `targets` from number 0 on, [`MAX_TARGETS`] at most.
    #[must_use]
    pub fn new(mut targets: Vec<Target>) -> Self {
        targets.truncate(MAX_TARGETS);
        let config = Config {
            num_queues: 1.into(),
            seg_max: SEG_MAX.into(),
            max_sectors: 0xffff.into(),
            cmd_per_lun: 128.into(),
            event_info_size: 16.into(),
            sense_size: spec::SENSE_SIZE.into(),
            cdb_size: spec::CDB_SIZE.into(),
            max_channel: 0.into(),
            max_target: (targets.len().saturating_sub(1) as u16).into(),
            max_lun: (Target::MAX_UNITS as u32 - 1).into(),
        };
        Self { targets, config }
    }

    /// Carries out a command; returns how much of the driver's room is filled.
    fn command(&mut self, chain: &mut Chain<'_>) -> Result<u32, Broken> {
        let [cdb_size, sense_size] = [self.config.cdb_size.get(), self.config.sense_size.get()];
        let request_len = size_of::<Command>() + cdb_size as usize;
        let response_len = size_of::<Response>() + sense_size as usize;
        let out = chain.readable.split_off(request_len as u64).ok_or(Broken::Short)?;
        let room = chain.writable.split_off(response_len as u64).ok_or(Broken::Short)?;
        let mut request = vec![0; request_len];
        chain.readable.copy_to(&mut request);
        let (command, cdb) = Command::read_from_prefix(&request).map_err(|_| Broken::Short)?;
        let (response, sense, filled) = self.carry_out(&command, cdb, &out, &room);
        let mut bytes = [response.as_bytes(), sense.as_slice()].concat();
        bytes.resize(response_len, 0);
        chain.writable.copy_from(&bytes);
        Ok((response_len as u64 + filled) as u32) // a chain is below 4 GiB
    }

    /// Its response, sense data, and bytes for the driver.
    fn carry_out(
        &mut self,
        command: &Command,
        cdb: &[u8],
        out: &Buffers<'_>,
        room: &Buffers<'_>,
    ) -> (Response, Vec<u8>, u64) {
        let refused = |response| (Response { response, ..Response::default() }, Vec::new(), 0);
        let Some((target, lun)) = self.find(command.lun) else { return refused(response::BAD_TARGET) };
        let mut task = target.begin(lun, cdb);
        let Some(moved) = transfer(&mut task, out, room) else { return refused(response::OVERRUN) };
        let Completion { status, sense } = task.finish();
        let mut sense = sense.map(|sense| sense.fixed().to_vec()).unwrap_or_default();
        sense.truncate(self.config.sense_size.get() as usize);
        let unused = out.len() + room.len() - moved.out - moved.filled;
        let response = Response {
            sense_len: (sense.len() as u32).into(),
            residual: u32::try_from(unused).unwrap_or(u32::MAX).into(),
            status: status as u8,
            response: response::OK,
            ..Response::default()
        };
        (response, sense, moved.filled)
    }

    /// The target and the unit of an address: channel 1, the target's number, and a unit of one level. virtio 1.2, 5.6.6.1.
    fn find(&mut self, address: [u8; 8]) -> Option<(&mut Target, Lun)> {
        let [1, target, high, low, rest @ ..] = address else { return None };
        let [a, b, c, d] = rest;
        let lun = Lun::decode([high, low, a, b, c, d, 0, 0])?;
        Some((self.targets.get_mut(usize::from(target))?, lun))
    }

    /// Carries out a request of the control queue; returns how much of the driver's room is filled.
    fn control(&mut self, chain: &Chain<'_>) -> Result<u32, Broken> {
        let mut bytes = [0; size_of::<TaskManagement>()];
        let len = chain.readable.copy_to(&mut bytes);
        let request = TaskManagement::read_from_bytes(&bytes).map_err(|_| Broken::Short)?;
        let answer = match request.kind.get() {
            control::TASK_MANAGEMENT if len == bytes.len() => vec![self.manage(&request)],
            // Of all notifications there are none: event_actual is 0.
            control::NOTIFICATION_QUERY | control::NOTIFICATION_SUBSCRIBE => vec![0, 0, 0, 0, response::OK],
            _ => vec![response::FUNCTION_REJECTED],
        };
        Ok(chain.writable.copy_from(&answer) as u32)
    }

    /// Carries out a task management function. No task is ever found: all are complete.
    fn manage(&mut self, request: &TaskManagement) -> u8 {
        let Some((target, lun)) = self.find(request.lun) else { return response::BAD_TARGET };
        match (request.function.get(), target.unit(lun)) {
            (function::NEXUS_RESET, _) => target.reset(),
            (_, None) => return response::INCORRECT_LUN,
            (function::UNIT_RESET, Some(unit)) => unit.reset(),
            (function::ABORT_TASK | function::ABORT_TASK_SET | function::CLEAR_TASK_SET, _) => {}
            (function::QUERY_TASK | function::QUERY_TASK_SET, _) => {}
            _ => return response::FUNCTION_REJECTED,
        }
        response::OK
    }
}

/// What a command moved, in bytes.
#[derive(Default)]
struct Moved {
    /// From the driver.
    out: u64,
    /// To the driver.
    filled: u64,
}

/// Moves all data of a command; `None`, and nothing moved, if the driver's buffers are too small for it.
fn transfer(task: &mut Task, out: &Buffers<'_>, room: &Buffers<'_>) -> Option<Moved> {
    match task.data() {
        Data::None => Some(Moved::default()),
        Data::In(len) if len <= room.len() => Some(Moved { filled: task.read(room.slices()), out: 0 }),
        Data::Out(len) if len <= out.len() => Some(Moved { out: task.write(out.slices()), filled: 0 }),
        Data::In(_) | Data::Out(_) => None,
    }
}

impl VirtioDevice for Scsi {
    fn id(&self) -> u32 {
        spec::ID
    }

    fn queues(&self) -> u16 {
        spec::FIRST_COMMANDS + 1
    }

    fn config(&self) -> &[u8] {
        self.config.as_bytes()
    }

    fn write_config(&mut self, offset: usize, data: &[u8]) {
        const SENSE: usize = std::mem::offset_of!(Config, sense_size);
        const CDB: usize = std::mem::offset_of!(Config, cdb_size);
        let Ok(size) = <[u8; 4]>::try_from(data).map(u32::from_le_bytes) else { return };
        match offset {
            _ if size > MAX_SIZE => {}
            SENSE => self.config.sense_size = size.into(),
            CDB => self.config.cdb_size = size.into(),
            _ => {}
        }
    }

    /// The sizes are what they were, virtio 1.2, 5.6.4, and a drive that the last driver locked is free.
    fn begin(&mut self, _features: Features) {
        self.config.sense_size = spec::SENSE_SIZE.into();
        self.config.cdb_size = spec::CDB_SIZE.into();
        self.targets.iter_mut().for_each(Target::reset);
    }

    fn serve(&mut self, queue: u16, requests: &mut Requests<'_>) -> Result<(), Broken> {
        match queue {
            spec::CONTROL => requests.each(|chain| self.control(chain)),
            // They wait for an event.
            spec::EVENT => Ok(()),
            _ => requests.each(|chain| self.command(chain)),
        }
    }
}
