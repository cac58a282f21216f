//! Operations per second, and what each operation costs the host: two columns and their ratio.

use std::fmt;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Value, json};

use super::report::{Row, Section, Unit, middle};
use super::vmm::Vmm;
use super::workload::Sample;

/// What was compared.
#[derive(Debug, Default, Serialize)]
pub(super) struct Setup {
    pub(super) accel: &'static str,
    pub(super) tinderbox: String,
    pub(super) qemu: String,
    pub(super) memory_mib: u32,
    pub(super) cpus: u32,
    pub(super) rounds: u32,
}

/// The comparison.
pub(super) struct Rates {
    setup: Setup,
    sections: Vec<Section>,
    samples: Vec<Sample>,
}

/// What a sample shows.
type Take = fn(&Sample) -> f64;

/// All of it, by name.
const ROWS: [(&str, Unit, Take); 4] = [
    ("operations per second", Unit::Rate, |sample| 1e3 * quotient(sample.operations, sample.milliseconds)),
    ("exits to KVM per operation", Unit::Each, |sample| quotient(sample.exits, sample.operations)),
    ("of these to the VMM", Unit::Each, |sample| quotient(sample.vmm_exits, sample.operations)),
    ("CPU time beside the guest's, per operation", Unit::UsEach, |sample| {
        1e3 * quotient(sample.cpu_ms, sample.operations)
    }),
];

#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
fn quotient(what: u64, by: u64) -> f64 {
    what as f64 / by as f64
}

impl Rates {
    /// Sums up `samples` as medians, a section for each workload of each case.
    ///
    /// # Errors
    ///
    /// When a VMM has no samples of a workload.
    pub(super) fn new(setup: Setup, samples: Vec<Sample>) -> anyhow::Result<Self> {
        let mut titles: Vec<_> = samples.iter().map(title).collect();
        let mut seen = std::collections::BTreeSet::new();
        titles.retain(|title| seen.insert(title.clone()));
        let sections = titles.into_iter().map(|title| section(title, &samples));
        Ok(Self { setup, sections: sections.collect::<anyhow::Result<_>>()?, samples })
    }

    /// Everything, each single run too.
    pub(super) fn json(&self) -> Value {
        json!({ "setup": self.setup, "sections": self.sections, "samples": self.samples })
    }
}

fn title(sample: &Sample) -> String {
    format!("{}, {}", sample.case, sample.workload)
}

fn section(title: String, all: &[Sample]) -> anyhow::Result<Section> {
    let value = |vmm, value: Take| {
        let samples = all.iter().filter(|sample| sample.vmm == vmm && self::title(sample) == title);
        middle(samples.map(value).collect()).with_context(|| format!("no samples of {title} with {vmm}"))
    };
    let row = |(name, unit, of)| Ok(Row::new(name, unit, value(Vmm::Ours, of)?, value(Vmm::Qemu, of)?));
    let rows = ROWS.into_iter().map(row).collect::<anyhow::Result<_>>()?;
    Ok(Section { title, rows, details: Vec::new() })
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ours      {}", self.tinderbox)?;
        writeln!(f, "QEMU      {}, -machine microvm", self.qemu)?;
        writeln!(f, "host      {}", self.accel)?;
        writeln!(f, "guest     {} MiB, {} CPU(s)", self.memory_mib, self.cpus)?;
        writeln!(f, "rounds    {}; medians", self.rounds)
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.setup)?;
        self.sections.iter().try_for_each(|section| write!(f, "{section}"))?;
        let behind: Vec<_> = self.sections.iter().flat_map(Section::behind).collect();
        match behind.as_slice() {
            [] => writeln!(f, "\nours is at or ahead of QEMU everywhere"),
            _ => writeln!(f, "\nours is behind QEMU here:\n  {}", behind.join("\n  ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(vmm: Vmm, milliseconds: u64, exits: u64) -> Sample {
        Sample {
            case: "nvme".to_owned(),
            workload: "reads".to_owned(),
            vmm,
            operations: 1000,
            milliseconds,
            exits,
            vmm_exits: 10,
            cpu_ms: 50,
        }
    }

    fn shown(samples: Vec<Sample>) -> String {
        Rates::new(Setup::default(), samples).unwrap().to_string()
    }

    #[test]
    fn rates_show_both_and_their_ratio() {
        let text = shown(vec![sample(Vmm::Ours, 500, 1500), sample(Vmm::Qemu, 1000, 3000)]);

        let row = |name: &str| text.lines().find(|line| line.contains(name)).unwrap().to_owned();
        let words =
            |line: String| line.split_whitespace().rev().take(3).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(row("operations per second")), ["2.00", "1000", "2000"]);
        assert_eq!(words(row("exits to KVM")), ["0.50", "3.00", "1.50"]);
        assert!(row("CPU time").contains("50 us"), "{text}");
        assert!(text.ends_with("ours is at or ahead of QEMU everywhere\n"), "{text}");
    }

    #[test]
    fn fewer_operations_and_more_exits_are_behind() {
        let text = shown(vec![sample(Vmm::Ours, 2000, 4000), sample(Vmm::Qemu, 1000, 3000)]);

        let end = "behind QEMU here:\n  nvme, reads: operations per second\n  nvme, reads: exits to KVM per operation\n";
        assert!(
            text.ends_with(end) && text.contains("0.50  below") && text.contains("1.33  above"),
            "{text}"
        );
    }

    #[test]
    fn median_of_the_rounds_counts() {
        let ours = [900, 500, 100].map(|milliseconds| sample(Vmm::Ours, milliseconds, 1));
        let text = shown([ours.as_slice(), &[sample(Vmm::Qemu, 1000, 1)]].concat());

        assert!(text.contains(" 2000 "), "{text}");
    }

    #[test]
    fn samples_of_one_vmm_alone_are_an_error() {
        assert!(Rates::new(Setup::default(), vec![sample(Vmm::Ours, 1, 1)]).is_err());
    }
}
