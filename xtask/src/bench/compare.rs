//! Devices at work, ours beside QEMU's: builds all that takes part, has the cases measured, and shows the result.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use super::boot::{self, Way};
use super::rates::{Rates, Setup};
use super::workload::{self, Case, Job, Sample};
use crate::accel::Accel;
use crate::{files, image};

/// Options of each such verb.
#[derive(clap::Args)]
pub(super) struct Common {
    /// How often each device is measured with each VMM; medians count
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// RAM of the guests in MiB
    #[arg(long, value_name = "MIB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(256..=3072))]
    memory: u32,
    /// vCPUs of the guests
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    cpus: u32,
    /// Where to measure [default: on this machine's /dev/kvm if it is good enough, else in the lab]
    #[arg(long, value_enum)]
    accel: Option<Accel>,
    /// Write all numbers to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures the `case` of each kind that was `asked` for, all if none was, and prints the comparison.
///
/// # Errors
///
/// When a part cannot be built or had, or a measurement fails.
pub(super) fn run<Kind: ValueEnum + PartialEq>(
    args: &Common,
    asked: &[Kind],
    case: impl Fn(&Kind) -> Case,
) -> anyhow::Result<ExitCode> {
    let wanted = |kind: &&Kind| asked.is_empty() || asked.contains(kind);
    let cases = Kind::value_variants().iter().filter(wanted).map(case).collect();
    let machine = boot::parts(Way::Direct, args.memory, args.cpus)?;
    let (accel, work) = boot::place_to_work(args.accel, &machine)?;
    let job = Job {
        machine,
        image: image::debian()?.raw,
        cases,
        rounds: args.rounds,
        result: work.path().join("result.json"),
    };
    let samples: Vec<Sample> = boot::measured(&job, &job.result, ("workload", workload::run), accel)?;
    let rates = Rates::new(setup(&job, accel)?, samples)?;
    print!("{rates}");
    if let Some(path) = &args.json {
        files::write(path, format!("{:#}\n", rates.json()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a kind is called on the command line.
pub(super) fn name(kind: &impl ValueEnum) -> String {
    kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Words of a VMM's command line.
pub(super) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn setup(job: &Job, accel: Accel) -> anyhow::Result<Setup> {
    Ok(Setup {
        accel: boot::place(accel),
        tinderbox: boot::version(&job.machine.tinderbox)?,
        qemu: boot::version(&job.machine.qemu)?,
        memory_mib: job.machine.memory_mib,
        cpus: job.machine.cpus,
        rounds: job.rounds,
    })
}
