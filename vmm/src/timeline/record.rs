//! What is known of a boot: phases, and why the guest stopped how often in each. Data in, data out.

use std::collections::BTreeMap;
use std::time::Duration;

use super::markers::{Found, LOGIN, MARKERS, Stream};
use super::slices::Slices;

/// Phases that are kept: a guest may reset for ever.
const MOST: usize = 1000;

/// Of what kind a phase is; in the order in which a boot goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// This program, before the first instruction.
    Vmm,
    /// Firmware.
    Firmware,
    /// Firmware tries a boot device.
    Device,
    /// A boot loader.
    Loader,
    /// A kernel.
    Kernel,
    /// What a kernel starts.
    Userspace,
}

/// Why a vCPU came back to this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// It read a port.
    PortRead,
    /// It wrote a port.
    PortWrite,
    /// It read a memory-mapped register.
    RegisterRead,
    /// It wrote a memory-mapped register.
    RegisterWrite,
    /// It ended a level-triggered interrupt.
    EndOfInterrupt,
    /// It can take an interrupt of the PIC.
    InterruptWindow,
    /// Somebody woke it.
    Woken,
    /// A triple fault.
    TripleFault,
    /// Its debugger wanted it to stop.
    Debug,
}

/// Where a text came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The serial port.
    Serial,
    /// The firmware's log.
    Log,
}

/// A device by its place in a list of names.
pub(super) type DeviceId = usize;

/// A part of the boot.
#[derive(Debug)]
pub(super) struct Phase {
    /// Of what kind it is.
    pub(super) kind: Kind,
    /// What it is called.
    pub(super) name: String,
    /// What began it.
    pub(super) cause: String,
    /// What was printed then.
    pub(super) text: String,
    /// When it began.
    pub(super) start: Duration,
    /// Why the guest stopped, and how often.
    pub(super) exits: BTreeMap<(Reason, DeviceId), u64>,
}

/// A boot, or several.
#[derive(Debug)]
pub(super) struct Record {
    phases: Vec<Phase>,
    /// Phases that there was no room for.
    lost: u64,
    /// The serial port's text and the log's.
    streams: [Stream; 2],
    /// What is still to be printed of the line that began the last phase, and where.
    open_line: Option<Source>,
    /// How often each marker came since the last reset, on the serial port and in the log.
    seen: BTreeMap<usize, [u32; 2]>,
    mark: Option<String>,
    mark_seen: bool,
    started: bool,
    slices: Slices,
    /// When each device was first used.
    first: BTreeMap<DeviceId, Duration>,
}

impl Record {
    /// Nothing happened yet, but that this program began. The guest will print `mark`.
    pub(super) fn new(mark: Option<String>) -> Self {
        let mut record = Self {
            phases: Vec::new(),
            lost: 0,
            streams: Default::default(),
            open_line: None,
            seen: BTreeMap::new(),
            mark,
            mark_seen: false,
            started: false,
            slices: Slices::default(),
            first: BTreeMap::new(),
        };
        record.begin(Kind::Vmm, "tinderbox", "the program starts".into(), Duration::ZERO);
        record
    }

    /// The guest executes its first instruction, of firmware or of a kernel.
    pub(super) fn first_instruction(&mut self, kernel: bool, now: Duration) {
        let (kind, name) =
            if kernel { (Kind::Kernel, "kernel entry") } else { (Kind::Firmware, "reset vector") };
        self.started = true;
        self.begin(kind, name, "first instruction".into(), now);
    }

    /// The machine starts again.
    pub(super) fn reset(&mut self, cause: &str, kernel: bool, now: Duration) {
        self.seen.clear();
        self.mark_seen = false;
        let (kind, name) = if kernel { (Kind::Kernel, "kernel entry") } else { (Kind::Firmware, "reset") };
        self.begin(kind, name, format!("reset: {cause}"), now);
    }

    /// A vCPU came back.
    pub(super) fn exit(&mut self, reason: Reason, device: DeviceId, now: Duration) {
        if let Some(phase) = self.phases.last_mut() {
            *phase.exits.entry((reason, device)).or_default() += 1;
        }
        self.first.entry(device).or_insert(now);
        self.slices.count(device, now);
    }

    /// The guest uses an interrupt controller of the kind that kernels use, and firmware does not.
    pub(super) fn kernel_device(&mut self, name: &str, now: Duration) {
        if self.kind() < Kind::Kernel && self.kind() >= Kind::Device {
            self.begin(Kind::Kernel, "kernel", format!("first access to {name}"), now);
        }
    }

    /// The guest printed a byte.
    pub(super) fn text(&mut self, source: Source, byte: u8, now: Duration) {
        let Some(stream) = self.streams.get_mut(usize::from(source == Source::Log)) else { return };
        match stream.push(byte, self.mark.as_deref()) {
            None => {}
            Some(Found::LineEnd) => self.line_end(source),
            Some(Found::Mark) => self.marked(source, now),
            Some(Found::Marker(at)) => self.marker(at, source, now),
        }
    }

    fn marked(&mut self, source: Source, now: Duration) {
        if std::mem::replace(&mut self.mark_seen, true) {
            return;
        }
        let name = self.mark.clone().unwrap_or_default();
        let kind = if self.kind() < Kind::Kernel { Kind::Loader } else { Kind::Userspace };
        self.begin_by_text(kind, &name, source, now);
    }

    fn marker(&mut self, at: usize, source: Source, now: Duration) {
        let Some(marker) = MARKERS.get(at) else { return };
        let (kind, current) = (marker.kind, self.kind());
        let is_late = kind < current && current >= Kind::Kernel;
        // Of some systems the login prompt is all that is known.
        let earliest = if marker.text == LOGIN { Kind::Loader } else { Kind::Kernel };
        let is_early = kind == Kind::Userspace && current < earliest;
        if is_late || is_early || self.is_echo(at, source) {
            return;
        }
        match self.phases.last_mut() {
            // Begun by its use of a device; now it has a name.
            Some(phase) if phase.kind == Kind::Kernel && kind == Kind::Kernel && phase.text.is_empty() => {
                phase.name = marker.name.into();
                self.open_line = Some(source);
            }
            _ => self.begin_by_text(kind, marker.name, source, now),
        }
    }

    /// Whether a marker that came is no news: firmware prints to its log and to the serial port, and boot devices alone
    /// are tried one after the other.
    fn is_echo(&mut self, at: usize, source: Source) -> bool {
        let [serial, log] = self.seen.entry(at).or_default();
        let before = (*serial).max(*log);
        let here = if source == Source::Log { log } else { serial };
        *here = here.saturating_add(1);
        let again = MARKERS.get(at).is_some_and(|marker| marker.kind == Kind::Device);
        *here <= before || before > 0 && !again
    }

    fn begin_by_text(&mut self, kind: Kind, name: &str, source: Source, now: Duration) {
        let cause = match source {
            Source::Serial => "text on the serial port",
            Source::Log => "text in the firmware's log",
        };
        self.close_line();
        self.begin(kind, name, cause.into(), now);
        self.open_line = Some(source);
    }

    fn line_end(&mut self, source: Source) {
        if self.open_line == Some(source) {
            self.close_line();
        }
        if let Some(stream) = self.streams.get_mut(usize::from(source == Source::Log)) {
            stream.clear();
        }
    }

    /// The line that began the last phase is as long as it gets.
    fn close_line(&mut self) {
        let Some(source) = self.open_line.take() else { return };
        let line = self.streams.get(usize::from(source == Source::Log)).map(Stream::line);
        if let (Some(phase), Some(line)) = (self.phases.last_mut(), line) {
            phase.text = line;
        }
    }

    fn begin(&mut self, kind: Kind, name: &str, cause: String, now: Duration) {
        self.close_line();
        if self.phases.len() == MOST {
            self.lost += 1;
            return;
        }
        let (name, text, exits) = (name.into(), String::new(), BTreeMap::new());
        self.phases.push(Phase { kind, name, cause, text, start: now, exits });
    }

    fn kind(&self) -> Kind {
        self.phases.last().map_or(Kind::Vmm, |phase| phase.kind)
    }

    /// Whether the guest has run.
    pub(super) const fn has_started(&self) -> bool {
        self.started
    }

    /// Nothing more will happen.
    pub(super) fn finish(&mut self) {
        self.close_line();
    }

    /// The phases in their order.
    pub(super) fn phases(&self) -> &[Phase] {
        &self.phases
    }

    /// Phases that there was no room for.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// The exits over time.
    pub(super) const fn slices(&self) -> &Slices {
        &self.slices
    }

    /// When each device was first used.
    pub(super) const fn first(&self) -> &BTreeMap<DeviceId, Duration> {
        &self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A boot in which each line is printed at once, in its millisecond.
    fn boot(lines: &[(Source, &str)]) -> Record {
        let mut record = Record::new(Some("READY".into()));
        record.first_instruction(false, ms(1));
        for (at, (source, line)) in (10..).zip(lines) {
            line.bytes().for_each(|byte| record.text(*source, byte, ms(at)));
        }
        record.finish();
        record
    }

    fn names(record: &Record) -> Vec<&str> {
        record.phases().iter().map(|phase| phase.name.as_str()).collect()
    }

    const SERIAL: Source = Source::Serial;
    const LOG: Source = Source::Log;

    #[test]
    fn boot_has_its_phases_in_their_order_with_what_was_printed() {
        let record = boot(&[
            (LOG, "SeaBIOS (version 1.16.2)\n"),
            (SERIAL, "SeaBIOS (version 1.16.2)\r\n"),
            (LOG, "Booting from Hard Disk...\n"),
            (SERIAL, "Booting from Hard Disk...\r\n"),
            (LOG, "Booting from 0000:7c00\n"),
            (SERIAL, "Welcome to GRUB!\r\n"),
            (SERIAL, "[    0.000000] Linux version 6.1.0 (x)\r\n"),
            (SERIAL, "[    1.0] Run /init as init process\r\n"),
            (SERIAL, "Welcome to Debian!\r\n"),
            (SERIAL, "\r\ndebian login: "),
        ]);
        let expected = [
            "tinderbox",
            "reset vector",
            "SeaBIOS",
            "disk",
            "boot sector",
            "GRUB",
            "Linux",
            "initrd",
            "system",
            "login prompt",
        ];
        assert_eq!(names(&record), expected);
        let texts: Vec<_> = record.phases().iter().map(|phase| phase.text.as_str()).collect();
        assert_eq!(texts[2], "SeaBIOS (version 1.16.2)");
        assert_eq!(texts[6], "[    0.000000] Linux version 6.1.0 (x)");
        assert_eq!(texts[9], "debian login:");
        assert_eq!(record.phases()[2].cause, "text in the firmware's log");
        assert_eq!(record.phases()[2].start, ms(10));
    }

    #[test]
    fn every_boot_device_is_a_phase_though_two_have_one_text() {
        let twice = "Booting from Hard Disk...\nBoot failed: not a bootable disk\n";
        let record = boot(&[(LOG, twice), (SERIAL, twice), (LOG, twice), (SERIAL, twice)]);
        assert_eq!(names(&record)[2..], ["disk", "boot failed", "disk", "boot failed"]);
    }

    #[test]
    fn what_userspace_prints_begins_no_kernel() {
        let record = boot(&[
            (SERIAL, "Linux version 6\r\n"),
            (SERIAL, "login: "),
            (SERIAL, "\r\n# dmesg\r\nLinux version 6\r\nGRUB loading\r\nREADY\r\nREADY\r\n"),
        ]);
        assert_eq!(names(&record)[2..], ["Linux", "login prompt", "READY"]);
    }

    #[test]
    fn kernel_is_seen_by_what_it_uses_and_named_by_what_it_prints() {
        let mut record = boot(&[(SERIAL, "GRUB loading.\r\n")]);
        record.kernel_device("ioapic0", ms(20));
        record.kernel_device("ioapic0", ms(21));
        "Linux version 6\r\n".bytes().for_each(|byte| record.text(SERIAL, byte, ms(30)));
        let kernel = record.phases().last().unwrap();
        assert_eq!((kernel.name.as_str(), kernel.start), ("Linux", ms(20)));
        assert_eq!(
            (kernel.cause.as_str(), kernel.text.as_str()),
            ("first access to ioapic0", "Linux version 6")
        );
    }

    #[test]
    fn exits_belong_to_the_phase_they_happen_in() {
        let mut record = Record::new(None);
        record.first_instruction(false, ms(1));
        record.exit(Reason::PortWrite, 3, ms(2));
        record.exit(Reason::PortWrite, 3, ms(2));
        record.reset("triple fault", false, ms(3));
        record.exit(Reason::PortRead, 3, ms(4));
        let counts: Vec<u64> =
            record.phases().iter().flat_map(|phase| phase.exits.values().copied()).collect();
        assert_eq!(counts, [2, 1]);
        assert_eq!(record.first()[&3], ms(2));
        assert_eq!(record.phases()[2].cause, "reset: triple fault");
    }

    #[test]
    fn machine_that_resets_for_ever_is_recorded_in_bounded_memory() {
        let mut record = Record::new(None);
        (0..5000).for_each(|at| record.reset("triple fault", false, ms(at)));
        assert_eq!((record.phases().len(), record.lost()), (MOST, 4001));
    }
}
