//! The boot as it went: its phases, what began each, and why the guest stopped how often in each.
//!
//! ```text
//!  vCPU ── exits ──► Watched ── counts, times, text ──► Recorder ── finish ──► JSON ──► page
//!                       │                                  ▲
//!                       └──► Board                         └── resets, by the control thread
//! ```
//!
//! A phase begins with the first instruction, a reset, a text that is printed (`markers`), or the first access to a device
//! that kernels alone use. With no `--timeline` vCPUs run against the devices themselves, and nothing is recorded.
//! What KVM handles by itself (a halt, a kick of a virtio queue, interrupts of the local APIC) is not seen.

mod markers;
mod page;
mod record;
mod report;
mod slices;
mod watch;

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use serde_json::Value;

use crate::config::{Config, FirmwareChoice, TimelineConfig, TimelineFormat};
use crate::machine::Outcome;
use record::Record;
pub(crate) use watch::{Places, Watched};

/// Records a run. Shared by all vCPUs and the control thread.
pub(crate) struct Recorder {
    began: Instant,
    date: SystemTime,
    /// What was run.
    machine: Value,
    /// The guest's first instruction is a kernel's.
    starts_in_kernel: bool,
    running: AtomicBool,
    record: Mutex<Record>,
    devices: Mutex<Vec<String>>,
}

impl Recorder {
    /// Recording begins, of the machine of `config`.
    pub(crate) fn start(config: &Config) -> Self {
        let mark = config.timeline.as_ref().and_then(|timeline| timeline.mark.clone());
        Self {
            began: Instant::now(),
            date: SystemTime::now(),
            machine: report::machine(config),
            starts_in_kernel: config.firmware == FirmwareChoice::None,
            running: AtomicBool::new(false),
            record: Mutex::new(Record::new(mark)),
            devices: Mutex::default(),
        }
    }

    /// The names of the devices, in their order.
    fn name_devices(&self, names: Vec<String>) {
        *self.devices.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// A vCPU is about to run.
    fn entering(&self) {
        if !self.running.swap(true, Ordering::Relaxed) {
            self.with(|record, now| record.first_instruction(self.starts_in_kernel, now));
        }
    }

    /// The machine was reset.
    pub(crate) fn reset(&self, cause: &str) {
        self.with(|record, now| {
            if record.has_started() {
                record.reset(cause, self.starts_in_kernel, now);
            }
        });
    }

    /// Adds to the record; time is that since the beginning.
    fn with(&self, add: impl FnOnce(&mut Record, Duration)) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut record, self.began.elapsed());
    }

    /// All of it, now that the run has ended.
    pub(crate) fn finish(&self, outcome: &anyhow::Result<Outcome>) -> Value {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.finish();
        let devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let run = report::Run {
            machine: &self.machine,
            date: self.date,
            end: self.began.elapsed(),
            ending: report::ending(outcome),
            devices: &devices,
        };
        report::report(&record, &run)
    }
}

/// The file that a timeline goes to.
pub(crate) struct TimelineFile {
    file: File,
    path: PathBuf,
    format: TimelineFormat,
}

impl TimelineFile {
    /// Makes the file, which is empty until the run ends.
    pub(crate) fn create(config: &TimelineConfig) -> anyhow::Result<Self> {
        let TimelineConfig { path, format, .. } = config;
        let file = File::create(path).with_context(|| format!("--timeline: create {}", path.display()))?;
        Ok(Self { file, path: path.clone(), format: *format })
    }

    /// Writes `report`.
    pub(crate) fn write(mut self, report: &Value) -> anyhow::Result<()> {
        let text = match self.format {
            TimelineFormat::Json => format!("{report:#}\n"),
            TimelineFormat::Html => page::page(report),
        };
        let written = self.file.write_all(text.as_bytes());
        written.with_context(|| format!("--timeline: write {}", self.path.display()))
    }
}
