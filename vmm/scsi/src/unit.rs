//! A logical unit: a disk, or a CD-ROM drive. SAM-5, 4.8.

use std::sync::Arc;

use block::Backend;

use crate::cdb::Cdb;
use crate::inquiry::{Identity, Serial};
use crate::medium::{Medium, Transfer};
use crate::provisioning::Parameters;
use crate::sense::Sense;
use crate::spec::{CD_ROM, DIRECT_ACCESS, op};
use crate::task::Flow;
use crate::tray::Tray;
use crate::{capacity, inquiry, mode, multimedia};

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A direct-access block device. SBC-3.
    Disk,
    /// A drive that reads CDs and DVDs. MMC-6.
    CdRom,
}

impl Kind {
    pub(crate) const fn device_type(self) -> u8 {
        match self {
            Self::Disk => DIRECT_ACCESS,
            Self::CdRom => CD_ROM,
        }
    }

    /// Bytes in a logical block.
    const fn block_len(self) -> u32 {
        match self {
            Self::Disk => 512,
            Self::CdRom => 2048,
        }
    }
}

/// Whether a medium can go while its unit stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loading {
    /// It is part of the unit, as in a hard disk.
    Fixed,
    /// It comes and goes, as in a card reader or a tray.
    Removable,
}

/// When a write is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteCache {
    /// When the host has it: durable after SYNCHRONIZE CACHE.
    #[default]
    Back,
    /// When it is durable.
    Through,
}

/// A disk or a drive, with or without a medium.
pub struct Unit {
    // Fixed.
    kind: Kind,
    loading: Loading,
    serial: Serial,
    cache: WriteCache,
    /// Where the medium is; the initiator and the host move it.
    tray: Tray,
    // Volatile.
    state: State,
}

/// What a reset forgets.
#[derive(Default)]
struct State {
    /// Sense data of the last command, for a transport without autosense.
    kept: Option<Sense>,
    /// The initiator knows of the last reset.
    reset_told: bool,
}

impl Unit {
    /// A unit without a medium. A CD-ROM drive is removable whatever `loading` says.
    #[must_use]
    pub fn new(kind: Kind, loading: Loading, serial: Serial) -> Self {
        let loading = if kind == Kind::CdRom { Loading::Removable } else { loading };
        let (cache, state) = (WriteCache::default(), State::default());
        Self { kind, loading, serial, cache, tray: Tray::new(kind.block_len()), state }
    }

    /// This unit with another rule for writes.
    #[must_use]
    pub fn with_cache(self, cache: WriteCache) -> Self {
        Self { cache, ..self }
    }

    /// This unit with `backend` in it from the beginning.
    #[must_use]
    pub fn with(self, backend: Arc<dyn Backend>) -> Self {
        self.tray.begin_with(backend);
        self
    }

    /// The host's hand on the medium, if it can go.
    #[must_use]
    pub fn tray(&self) -> Option<Tray> {
        (self.loading == Loading::Removable).then(|| self.tray.clone())
    }

    /// Back to power-on. The initiator is told with its next command.
    pub fn reset(&mut self) {
        self.tray.reset();
        self.state = State::default();
    }

    /// Keeps the sense data of a command for REQUEST SENSE.
    pub(crate) fn keep_sense(&mut self, sense: Sense) {
        self.state.kept = Some(sense);
    }

    /// Takes a command on.
    pub(crate) fn begin(&mut self, cdb: &Cdb) -> Result<Flow, Sense> {
        if cdb.opcode() == op::REQUEST_SENSE {
            return Ok(Flow::Reply(self.request_sense(cdb)));
        }
        self.state.kept = None; // it was about the command before. SAM-5, 5.14
        if !ignores_attention(cdb.opcode())
            && let Some(sense) = self.take_attention()
        {
            return Err(sense);
        }
        match self.kind {
            Kind::Disk => self.begin_disk(cdb),
            Kind::CdRom => self.begin_cd_rom(cdb),
        }
    }

    fn begin_disk(&mut self, cdb: &Cdb) -> Result<Flow, Sense> {
        match cdb.opcode() {
            op::READ_6 | op::READ_16 => self.read(cdb),
            op::WRITE_6 | op::WRITE_10 | op::WRITE_12 | op::WRITE_16 => self.write(cdb),
            op::WRITE_AND_VERIFY_10 | op::WRITE_AND_VERIFY_12 | op::WRITE_AND_VERIFY_16 => {
                self.write_and_verify(cdb)
            }
            op::VERIFY_12 | op::VERIFY_16 => self.verify(cdb),
            op::UNMAP => Parameters::unmap(cdb, &self.medium()?, self.cache).map(Flow::Parameters),
            op::WRITE_SAME_10 | op::WRITE_SAME_16 => self.write_same(cdb),
            op::SYNCHRONIZE_CACHE_10 | op::SYNCHRONIZE_CACHE_16 => self.synchronize_cache(cdb),
            op::SERVICE_ACTION_IN_16 => {
                capacity::read_capacity_16(cdb, self.medium()?.as_ref()).map(Flow::Reply)
            }
            _ => self.begin_common(cdb),
        }
    }

    fn begin_cd_rom(&mut self, cdb: &Cdb) -> Result<Flow, Sense> {
        let reply = match cdb.opcode() {
            op::READ_TOC => multimedia::read_toc(cdb, self.medium()?.as_ref())?,
            op::READ_DISC_INFORMATION => {
                self.medium()?;
                multimedia::read_disc_information(cdb)?
            }
            op::GET_CONFIGURATION => multimedia::get_configuration(cdb, self.medium().ok().as_deref())?,
            op::GET_EVENT_STATUS_NOTIFICATION => self.event_status(cdb)?,
            op::MECHANISM_STATUS => multimedia::mechanism_status(cdb),
            _ => return self.begin_common(cdb),
        };
        Ok(Flow::Reply(reply))
    }

    /// What both kinds know.
    fn begin_common(&mut self, cdb: &Cdb) -> Result<Flow, Sense> {
        let medium = self.medium().ok();
        let medium = medium.as_deref();
        match cdb.opcode() {
            op::TEST_UNIT_READY => self.medium().map(|_| Flow::Nothing),
            op::INQUIRY => inquiry::inquire(cdb, &self.identity(), medium).map(Flow::Reply),
            op::MODE_SENSE_6 | op::MODE_SENSE_10 => {
                mode::sense(cdb, self.kind, self.cache, medium).map(Flow::Reply)
            }
            op::READ_CAPACITY_10 => Ok(Flow::Reply(capacity::read_capacity_10(self.medium()?.as_ref()))),
            op::READ_FORMAT_CAPACITIES => Ok(Flow::Reply(capacity::read_format_capacities(cdb, medium))),
            op::READ_10 | op::READ_12 => self.read(cdb),
            op::VERIFY_10 => self.verify(cdb),
            op::START_STOP_UNIT => self.start_stop(cdb),
            op::PREVENT_ALLOW_MEDIUM_REMOVAL => self.prevent_removal(cdb),
            _ => Err(Sense::INVALID_OPERATION),
        }
    }

    const fn identity(&self) -> Identity<'_> {
        Identity {
            kind: self.kind,
            removable: matches!(self.loading, Loading::Removable),
            serial: &self.serial,
        }
    }

    /// The medium, if it can be used.
    fn medium(&self) -> Result<Arc<Medium>, Sense> {
        self.tray.medium()
    }

    /// What happened to the unit that the initiator was not told yet; it is told once.
    fn take_attention(&mut self) -> Option<Sense> {
        if !std::mem::replace(&mut self.state.reset_told, true) {
            self.tray.take_change(); // a reset includes it
            return Some(Sense::RESET);
        }
        self.tray.take_change().then_some(Sense::MEDIUM_CHANGED)
    }

    fn request_sense(&mut self, cdb: &Cdb) -> Vec<u8> {
        let kept = self.state.kept.take();
        let sense = kept.or_else(|| self.take_attention()).unwrap_or(Sense::NONE);
        sense_reply(cdb, &sense)
    }

    fn read(&self, cdb: &Cdb) -> Result<Flow, Sense> {
        let medium = self.medium()?;
        refuse_protection(cdb)?;
        Transfer::new(&medium, cdb.blocks()).map(Flow::Read)
    }

    fn write(&self, cdb: &Cdb) -> Result<Flow, Sense> {
        let transfer = self.writing(cdb)?;
        if self.cache == WriteCache::Through || cdb.forces_unit_access() {
            return Ok(Flow::WriteThrough(transfer, self.medium()?));
        }
        Ok(Flow::Write(transfer))
    }

    /// Verified is what is on stable storage.
    fn write_and_verify(&self, cdb: &Cdb) -> Result<Flow, Sense> {
        refuse_comparison(cdb)?;
        Ok(Flow::WriteThrough(self.writing(cdb)?, self.medium()?))
    }

    fn writing(&self, cdb: &Cdb) -> Result<Transfer, Sense> {
        let medium = self.medium()?;
        refuse_protection(cdb)?;
        medium.check_writable()?;
        Transfer::new(&medium, cdb.blocks())
    }

    fn write_same(&self, cdb: &Cdb) -> Result<Flow, Sense> {
        let medium = self.medium()?;
        refuse_protection(cdb)?;
        Parameters::write_same(cdb, &medium, self.cache).map(Flow::Parameters)
    }

    /// The medium has no flaws of its own, so that being there is enough.
    fn verify(&self, cdb: &Cdb) -> Result<Flow, Sense> {
        let medium = self.medium()?;
        refuse_protection(cdb)?;
        refuse_comparison(cdb)?;
        medium.check(cdb.blocks()).map(|()| Flow::Nothing)
    }

    /// All blocks are made durable, whichever are asked for.
    fn synchronize_cache(&self, cdb: &Cdb) -> Result<Flow, Sense> {
        let medium = self.medium()?;
        medium.check(cdb.blocks())?;
        medium.flush().map(|()| Flow::Nothing)
    }

    /// Loads and ejects; starting, stopping and power conditions change nothing here. SBC-3, 5.25.
    fn start_stop(&self, cdb: &Cdb) -> Result<Flow, Sense> {
        const LOAD_EJECT: u8 = 0x02;
        const START: u8 = 0x01;
        let power_condition = cdb.byte(4) >> 4;
        if power_condition == 0 && cdb.has(4, LOAD_EJECT) {
            if cdb.has(4, START) { self.tray.close() } else { self.eject()? }
        }
        Ok(Flow::Nothing)
    }

    fn eject(&self) -> Result<(), Sense> {
        match self.loading {
            Loading::Fixed => Err(Sense::INVALID_FIELD),
            Loading::Removable => self.tray.eject(),
        }
    }

    /// SBC-3, 5.9.
    fn prevent_removal(&self, cdb: &Cdb) -> Result<Flow, Sense> {
        const PREVENT: u8 = 0x01;
        if self.loading == Loading::Fixed {
            return Err(Sense::INVALID_OPERATION);
        }
        self.tray.set_locked(cdb.has(4, PREVENT));
        Ok(Flow::Nothing)
    }

    fn event_status(&self, cdb: &Cdb) -> Result<Vec<u8>, Sense> {
        let event = multimedia::wants_media_event(cdb)?.then(|| self.tray.take_event());
        Ok(multimedia::event_status(cdb, event))
    }
}

/// Commands that are carried out whatever happened before. SAM-5, 5.14; MMC-6, 4.1.6.
const fn ignores_attention(opcode: u8) -> bool {
    matches!(opcode, op::INQUIRY | op::GET_CONFIGURATION | op::GET_EVENT_STATUS_NOTIFICATION)
}

/// There is no protection information on these media. SBC-3, 4.22.
fn refuse_protection(cdb: &Cdb) -> Result<(), Sense> {
    if cdb.wants_protection() { Err(Sense::INVALID_FIELD) } else { Ok(()) }
}

/// BYTCHK: data of the initiator's is not compared.
fn refuse_comparison(cdb: &Cdb) -> Result<(), Sense> {
    if cdb.byte(1) & 0x06 != 0 { Err(Sense::INVALID_FIELD) } else { Ok(()) }
}

/// The reply to REQUEST SENSE, in the format that it asks for. SPC-4, 6.39.
pub(crate) fn sense_reply(cdb: &Cdb, sense: &Sense) -> Vec<u8> {
    const DESC: u8 = 0x01;
    let mut reply = if cdb.has(1, DESC) { sense.descriptors() } else { sense.fixed().to_vec() };
    reply.truncate(cdb.number(4, 1) as usize);
    reply
}
