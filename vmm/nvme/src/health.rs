//! What the drive knows about itself: counters and the error log.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use block::SECTOR;
use zerocopy::FromZeros;

use crate::spec::command::Command;
use crate::spec::feature::TEMPERATURE;
use crate::spec::log::{self, ErrorEntry};
use crate::spec::status::Status;

/// Entries of the error log.
pub(crate) const ERROR_ENTRIES: usize = 64;
/// Bytes in a data unit of the health log: NVMe 1.4, 5.14.1.2.
const DATA_UNIT: u64 = 1000 * SECTOR;

/// Counters since the machine was built. Workers count, Get Log Page reads.
pub(crate) struct Health {
    start: Instant,
    pub(crate) reads: Traffic,
    pub(crate) writes: Traffic,
    media_errors: AtomicU64,
    errors: Mutex<Errors>,
}

/// Transfers in one direction.
#[derive(Default)]
pub(crate) struct Traffic {
    commands: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Default)]
struct Errors {
    count: u64,
    /// The newest first.
    entries: VecDeque<ErrorEntry>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            reads: Traffic::default(),
            writes: Traffic::default(),
            media_errors: AtomicU64::new(0),
            errors: Mutex::default(),
        }
    }
}

impl Traffic {
    /// Counts one command that moved `bytes`.
    pub(crate) fn count(&self, bytes: u64) {
        self.commands.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }

    fn units(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed).div_ceil(DATA_UNIT)
    }
}

impl Health {
    /// Remembers that `command` of submission queue `queue` failed.
    pub(crate) fn record(&self, queue: u16, command: &Command, status: Status) {
        if status.is_media_error() {
            self.media_errors.fetch_add(1, Ordering::Relaxed);
        }
        let mut errors = self.errors();
        errors.count += 1;
        let entry = ErrorEntry {
            count: errors.count.into(),
            submission_queue: queue.into(),
            command: command.id,
            status: status.field().into(),
            parameter: 0xffff.into(),
            block: if queue == 0 { 0 } else { command.first_block() }.into(),
            namespace: command.namespace,
            ..ErrorEntry::default()
        };
        errors.entries.truncate(ERROR_ENTRIES - 1);
        errors.entries.push_front(entry);
    }

    /// The error log: the newest entry first, unused ones zero.
    pub(crate) fn error_log(&self) -> [ErrorEntry; ERROR_ENTRIES] {
        let mut log = [ErrorEntry::default(); ERROR_ENTRIES];
        log.iter_mut().zip(&self.errors().entries).for_each(|(place, entry)| *place = *entry);
        log
    }

    /// The health log.
    pub(crate) fn health_log(&self, critical_warning: u8) -> log::Health {
        log::Health {
            critical_warning,
            temperature: TEMPERATURE.into(),
            spare: 100,
            spare_threshold: 10,
            units_read: self.reads.units().into(),
            units_written: self.writes.units().into(),
            read_commands: self.reads.commands().into(),
            write_commands: self.writes.commands().into(),
            power_cycles: 1.into(),
            power_on_hours: (self.start.elapsed().as_secs() / 3600).into(),
            media_errors: self.media_errors.load(Ordering::Relaxed).into(),
            error_entries: self.errors().count.into(),
            ..log::Health::new_zeroed()
        }
    }

    fn errors(&self) -> MutexGuard<'_, Errors> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_log_keeps_the_newest() {
        let health = Health::default();
        for id in 0..100_u16 {
            let command = Command { id: id.into(), ..Command::default() };
            health.record(1, &command, Status::INVALID_FIELD);
        }
        let log = health.error_log();
        assert_eq!((log[0].count.get(), log[0].command.get(), log[0].status.get()), (100, 99, 0x8004));
        assert_eq!(log[63].count.get(), 37);
        assert_eq!(health.health_log(0).error_entries, 100.into());
    }

    #[test]
    fn data_units_are_rounded_up() {
        let traffic = Traffic::default();
        assert_eq!(traffic.units(), 0);
        traffic.count(512);
        assert_eq!(traffic.units(), 1);
        traffic.count(512_000 - 512);
        assert_eq!((traffic.units(), traffic.commands()), (1, 2));
        traffic.count(512);
        assert_eq!(traffic.units(), 2);
    }
}
