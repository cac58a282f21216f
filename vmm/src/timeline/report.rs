//! A record as JSON: what programs read, and what the page shows.
//!
//! Times are microseconds since the program began. `format` changes when a member changes its meaning.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::record::{Kind, Phase, Reason, Record};
use crate::config::{Config, FirmwareChoice};
use crate::machine::Outcome;

/// The format that this is.
const FORMAT: u32 = 1;

/// What is known of a run besides its record.
pub(super) struct Run<'a> {
    /// What was run.
    pub(super) machine: &'a Value,
    /// When it began.
    pub(super) date: SystemTime,
    /// When it ended.
    pub(super) end: Duration,
    /// How it ended.
    pub(super) ending: String,
    /// The names of the devices.
    pub(super) devices: &'a [String],
}

/// What a reader wants to know of a machine.
pub(super) fn machine(config: &Config) -> Value {
    let firmware = match &config.firmware {
        FirmwareChoice::Named(name) => name.clone(),
        FirmwareChoice::File(path) => path.display().to_string(),
        FirmwareChoice::None => "none".into(),
    };
    let disk = |disk: &crate::config::DiskConfig| json!({ "path": disk.path.display().to_string(), "bus": disk.bus.to_string() });
    json!({
        "name": config.control.name,
        "firmware": firmware,
        "kernel": config.kernel.as_ref().map(|kernel| kernel.path.display().to_string()),
        "cpus": config.cpus.count(),
        "memory": config.memory,
        "disks": config.disks.iter().map(disk).collect::<Value>(),
    })
}

/// How a run ended.
pub(super) fn ending(outcome: &anyhow::Result<Outcome>) -> String {
    match outcome {
        Ok(Outcome::PoweredOff) => "the guest powered off".into(),
        Ok(Outcome::Reset) => "the guest reset, which ended the run".into(),
        Ok(Outcome::Quit) => "the user quit".into(),
        Ok(Outcome::Exit(status)) => format!("the guest ended the run with status {status}"),
        Err(error) => format!("{error:#}"),
    }
}

/// All of it.
pub(super) fn report(record: &Record, run: &Run<'_>) -> Value {
    let ends = record.phases().iter().skip(1).map(|phase| phase.start).chain([run.end]);
    let phases = record.phases().iter().zip(ends).map(|(this, end)| phase(this, end, run.devices));
    let first = record
        .first()
        .iter()
        .map(|(device, at)| json!({ "device": name(run.devices, *device), "us": us(*at) }));
    json!({
        "format": FORMAT,
        "tinderbox": env!("CARGO_PKG_VERSION"),
        "date": run.date.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        "machine": run.machine,
        "end_us": us(run.end),
        "ending": run.ending,
        "phases": phases.collect::<Value>(),
        "phases_lost": record.lost(),
        "first_accesses": first.collect::<Value>(),
        "exits_over_time": {
            "slice_us": us(record.slices().width()),
            "devices": run.devices,
            "counts": record.slices().counts(),
        },
    })
}

fn phase(phase: &Phase, end: Duration, devices: &[String]) -> Value {
    let exit = |((reason, device), count): (&(Reason, usize), &u64)| json!({ "reason": reason_name(*reason), "device": name(devices, *device), "count": count });
    json!({
        "kind": kind_name(phase.kind),
        "name": phase.name,
        "cause": phase.cause,
        "text": phase.text,
        "start_us": us(phase.start),
        "end_us": us(end),
        "exits": phase.exits.iter().map(exit).collect::<Value>(),
    })
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn name(devices: &[String], device: usize) -> &str {
    devices.get(device).map_or("", String::as_str)
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Vmm => "vmm",
        Kind::Firmware => "firmware",
        Kind::Device => "boot-device",
        Kind::Loader => "boot-loader",
        Kind::Kernel => "kernel",
        Kind::Userspace => "userspace",
    }
}

const fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::PortRead => "port read",
        Reason::PortWrite => "port write",
        Reason::RegisterRead => "register read",
        Reason::RegisterWrite => "register write",
        Reason::EndOfInterrupt => "end of interrupt",
        Reason::InterruptWindow => "interrupt window",
        Reason::Woken => "woken",
        Reason::TripleFault => "triple fault",
        Reason::Debug => "debugger",
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Source;
    use super::*;

    #[test]
    fn report_has_each_phase_up_to_the_next_and_the_last_up_to_the_end() {
        let ms = Duration::from_millis;
        let mut record = Record::new(None);
        record.first_instruction(false, ms(2));
        record.exit(Reason::PortWrite, 2, ms(3));
        "SeaBIOS (version 1)\n".bytes().for_each(|byte| record.text(Source::Log, byte, ms(4)));
        let devices = ["no device", "processor", "debugcon"].map(String::from);
        let outcome = Ok(Outcome::PoweredOff);
        let machine = machine(&Config::default());
        let run = Run {
            machine: &machine,
            date: UNIX_EPOCH,
            end: ms(9),
            ending: ending(&outcome),
            devices: &devices,
        };
        let report = report(&record, &run);
        let times: Vec<_> =
            report["phases"].as_array().unwrap().iter().map(|phase| phase["end_us"].as_u64()).collect();
        assert_eq!(times, [Some(2000), Some(4000), Some(9000)]);
        let exits = json!([{ "reason": "port write", "device": "debugcon", "count": 1 }]);
        assert_eq!(report["phases"][1]["exits"], exits);
        assert_eq!(report["phases"][2]["text"], "SeaBIOS (version 1)");
        assert_eq!(
            (&report["ending"], &report["machine"]["firmware"]),
            (&json!("the guest powered off"), &json!("seabios"))
        );
    }
}
