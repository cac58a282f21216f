//! Two columns and their ratio, for people and as JSON.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Value, json};

use super::measure::{Exits, Rest, Sample};
use super::tracing::Counts;
use super::vmm::Vmm;

/// What was compared.
#[derive(Debug, Default, Serialize)]
pub(super) struct Setup {
    pub(super) accel: &'static str,
    pub(super) tinderbox: String,
    pub(super) qemu: String,
    pub(super) firmware: PathBuf,
    pub(super) firmware_sha256: String,
    pub(super) image: PathBuf,
    /// Where the first of two phases ends.
    pub(super) early: &'static str,
    pub(super) memory_mib: u32,
    pub(super) cpus: u32,
    pub(super) short: u32,
    pub(super) full: u32,
}

/// The comparison.
pub(super) struct Report {
    setup: Setup,
    sections: Vec<Section>,
    samples: Vec<Sample>,
}

/// Rows that belong together.
#[derive(Serialize)]
pub(super) struct Section {
    pub(super) title: String,
    /// What is compared.
    pub(super) rows: Vec<Row>,
    /// What the first row is made of.
    pub(super) details: Vec<Row>,
}

/// One quantity.
#[derive(Serialize)]
pub(super) struct Row {
    name: String,
    unit: Unit,
    ours: f64,
    qemu: f64,
    /// Ours by QEMU's; none where QEMU's is nothing.
    ratio: Option<f64>,
}

/// What a quantity is counted in; less is better but for rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unit {
    /// Microseconds.
    Us,
    Kib,
    Count,
    /// So many a second; more is better.
    Rate,
    /// So many for each operation.
    Each,
    /// Microseconds for each operation.
    UsEach,
}

/// Details that are rarer with both are summed up in one row.
const RARE: f64 = 10.0;

impl Report {
    /// Sums up `samples` as medians.
    ///
    /// # Errors
    ///
    /// When a VMM has no samples.
    pub(super) fn new(setup: Setup, samples: Vec<Sample>) -> anyhow::Result<Self> {
        let pair = Pair { ours: of(&samples, Vmm::Ours), qemu: of(&samples, Vmm::Qemu) };
        let early = setup.early;
        let mut sections = vec![times(&pair, early)?, memory(&pair)?];
        sections.extend(phases(&pair, early, "exits to KVM", |exits| &exits.kvm)?);
        sections.extend(phases(&pair, early, "of these to the VMM", |exits| &exits.vmm)?);
        if samples.iter().any(|sample| !sample.exits_to_early.accesses.is_empty()) {
            sections.extend(phases(&pair, early, "accesses", |exits| &exits.accesses)?);
        }
        Ok(Self { setup, sections, samples })
    }

    /// Everything, each single boot too.
    pub(super) fn json(&self) -> Value {
        json!({ "setup": self.setup, "sections": self.sections, "samples": self.samples })
    }

    /// What is compared and where ours is above.
    fn above(&self) -> Vec<String> {
        self.sections.iter().flat_map(Section::behind).collect()
    }
}

impl Section {
    /// What is compared and where ours is worse.
    pub(super) fn behind(&self) -> Vec<String> {
        let rows = self.rows.iter().filter(|row| row.is_behind());
        rows.map(|row| format!("{}: {}", self.title, row.name)).collect()
    }
}

/// The samples of both.
struct Pair<'a> {
    ours: Vec<&'a Sample>,
    qemu: Vec<&'a Sample>,
}

fn of(samples: &[Sample], vmm: Vmm) -> Vec<&Sample> {
    samples.iter().filter(|sample| sample.vmm == vmm).collect()
}

impl Pair<'_> {
    /// The row of what `value` takes from a sample, where there is one.
    fn row(&self, name: &str, unit: Unit, value: impl Fn(&Sample) -> Option<u64>) -> anyhow::Result<Row> {
        let middle = |samples: &[&Sample]| {
            median(samples.iter().filter_map(|sample| value(sample)).collect())
                .with_context(|| format!("no samples of {name}"))
        };
        Ok(Row::new(name, unit, middle(&self.ours)?, middle(&self.qemu)?))
    }
}

#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
fn median(values: Vec<u64>) -> Option<f64> {
    middle(values.into_iter().map(|value| value as f64).collect())
}

/// The median.
pub(super) fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(upper, lower))
}

fn times(pair: &Pair<'_>, early: &str) -> anyhow::Result<Section> {
    let row = |name: &str, value: fn(&Sample) -> Option<u64>| pair.row(name, Unit::Us, value);
    let start = row("process start to first guest instruction", |sample| Some(sample.first_instruction))?;
    let mut rows = vec![start, row(&format!("reset to {early}"), |sample| Some(sample.early))?];
    if pair.ours.iter().any(|sample| rest(sample).is_some_and(|rest| rest.boot_loader.is_some())) {
        rows.push(row("reset to boot loader's kernel load", |sample| rest(sample)?.boot_loader)?);
        rows.push(row("reset to kernel's first line", |sample| Some(rest(sample)?.kernel))?);
    }
    rows.push(row("reset to userspace (login prompt)", |sample| Some(rest(sample)?.userspace))?);
    Ok(Section { title: "time".to_owned(), rows, details: Vec::new() })
}

fn memory(pair: &Pair<'_>) -> anyhow::Result<Section> {
    let rows = vec![
        pair.row("all pages", Unit::Kib, |sample| Some(rest(sample)?.overhead.resident_kib))?,
        pair.row("pages shared with nobody", Unit::Kib, |sample| Some(rest(sample)?.overhead.private_kib))?,
    ];
    Ok(Section { title: "resident beside guest RAM, in userspace".to_owned(), rows, details: Vec::new() })
}

const fn rest(sample: &Sample) -> Option<&Rest> {
    sample.rest.as_ref()
}

/// The same counts from reset to the early mark, and from there to userspace.
fn phases(
    pair: &Pair<'_>,
    early: &str,
    what: &str,
    kind: fn(&Exits) -> &Counts,
) -> anyhow::Result<[Section; 2]> {
    let before = |sample: &Sample| Some(kind(&sample.exits_to_early).clone());
    Ok([
        counted(pair, format!("{what}, reset to {early}"), before)?,
        counted(pair, format!("{what}, {early} to userspace"), |sample| later(sample, kind))?,
    ])
}

/// A section with the sum of `counts`, and with each name that either had, the most frequent first.
fn counted(
    pair: &Pair<'_>,
    title: String,
    counts: impl Fn(&Sample) -> Option<Counts>,
) -> anyhow::Result<Section> {
    let all = pair.ours.iter().chain(&pair.qemu).filter_map(|sample| counts(sample));
    let names: BTreeSet<String> = all.flat_map(Counts::into_keys).collect();
    let count = |sample: &Sample, name: &str| Some(counts(sample)?.get(name).copied().unwrap_or(0));
    let row = |name: &String| pair.row(name, Unit::Count, |sample| count(sample, name));
    let details = names.iter().map(row).collect::<anyhow::Result<_>>()?;
    let sum = pair.row("all", Unit::Count, |sample| Some(counts(sample)?.values().sum()))?;
    Ok(Section { title, rows: vec![sum], details: shortened(details) })
}

/// Sorted, and with the rare ones in one row.
fn shortened(mut rows: Vec<Row>) -> Vec<Row> {
    let rare = rows.extract_if(.., |row| row.larger() < RARE);
    let rare =
        rare.reduce(|sum, row| Row::new("rarer ones", sum.unit, sum.ours + row.ours, sum.qemu + row.qemu));
    rows.sort_by(|a, b| b.larger().total_cmp(&a.larger()));
    rows.extend(rare);
    rows
}

/// The counts after the early mark.
fn later(sample: &Sample, kind: fn(&Exits) -> &Counts) -> Option<Counts> {
    let before = kind(&sample.exits_to_early);
    let all = kind(&rest(sample)?.exits_to_userspace);
    let since = |(name, count): (&String, &u64)| {
        (name.clone(), count.saturating_sub(before.get(name).copied().unwrap_or(0)))
    };
    Some(all.iter().map(since).collect())
}

impl Row {
    pub(super) fn new(name: &str, unit: Unit, ours: f64, qemu: f64) -> Self {
        let ratio = (qemu > 0.0).then(|| ours / qemu);
        Self { name: name.to_owned(), unit, ours, qemu, ratio }
    }

    fn is_behind(&self) -> bool {
        match self.unit {
            Unit::Rate => self.ours < self.qemu,
            _ => self.ours > self.qemu,
        }
    }

    const fn larger(&self) -> f64 {
        self.ours.max(self.qemu)
    }

    fn value(&self, value: f64) -> String {
        match self.unit {
            Unit::Us => format!("{:.1} ms", value / 1e3),
            Unit::Kib => format!("{value:.0} KiB"),
            Unit::Count | Unit::Rate => format!("{value:.0}"),
            Unit::Each => format!("{value:.2}"),
            Unit::UsEach => format!("{value:.0} us"),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        let (ours, qemu) = (self.value(self.ours), self.value(self.qemu));
        let remark = match (self.is_behind(), self.unit) {
            (false, _) => "",
            (true, Unit::Rate) => "  below",
            (true, _) => "  above",
        };
        write!(f, "{:<53}{ours:>14}{qemu:>14}{ratio:>8}{remark}", self.name)
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:<55}{:>14}{:>14}{:>8}", self.title, "ours", "QEMU", "ratio")?;
        self.rows.iter().chain(&self.details).try_for_each(|row| writeln!(f, "  {row}"))
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ours      {}", self.tinderbox)?;
        writeln!(f, "QEMU      {}, -machine microvm", self.qemu)?;
        writeln!(f, "host      {}", self.accel)?;
        writeln!(f, "guest     {} MiB, {} CPU(s)", self.memory_mib, self.cpus)?;
        writeln!(f, "firmware  {}", self.firmware.display())?;
        writeln!(f, "disk      {}", self.image.display())?;
        writeln!(f, "boots     {} to the {}, {} to userspace; medians", self.short, self.early, self.full)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.setup)?;
        self.sections.iter().try_for_each(|section| write!(f, "{section}"))?;
        let above = self.above();
        match above.as_slice() {
            [] => writeln!(f, "\nours is at or below QEMU everywhere"),
            _ => writeln!(f, "\nours is above QEMU here:\n  {}", above.join("\n  ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::memory::Overhead;

    fn counts(io: u64) -> Exits {
        Exits { kvm: Counts::from([("io".to_owned(), io), ("hlt".to_owned(), 3)]), ..Exits::default() }
    }

    fn sample(vmm: Vmm, early: u64, io: u64) -> Sample {
        let rest = Rest {
            boot_loader: Some(10),
            kernel: 20,
            userspace: 30,
            exits_to_userspace: counts(io + 100),
            overhead: Overhead { resident_kib: 2048, private_kib: 1024 },
        };
        Sample { vmm, first_instruction: 1, early, exits_to_early: counts(io), rest: Some(rest) }
    }

    fn report(samples: Vec<Sample>) -> Report {
        Report::new(Setup { early: "boot sector", ..Setup::default() }, samples).unwrap()
    }

    #[test]
    fn median_of_an_even_number_is_between_the_middle_two() {
        assert_eq!(median(vec![9, 1, 3, 100]), Some(6.0));
        assert_eq!(median(vec![9, 1, 3]), Some(3.0));
        assert_eq!(median(vec![]), None);
    }

    #[test]
    fn report_shows_both_and_their_ratio() {
        let text = report(vec![sample(Vmm::Ours, 1000, 50), sample(Vmm::Qemu, 2000, 50)]).to_string();

        let row = text.lines().find(|line| line.contains("reset to boot sector  ")).unwrap();
        assert!(row.contains("1.0 ms") && row.contains("2.0 ms") && row.ends_with("0.50"), "{row}");
        assert!(text.ends_with("ours is at or below QEMU everywhere\n"), "{text}");
    }

    #[test]
    fn report_names_the_rows_where_ours_is_above() {
        let text = report(vec![sample(Vmm::Ours, 3000, 60), sample(Vmm::Qemu, 2000, 50)]).to_string();

        let end = "ours is above QEMU here:\n  time: reset to boot sector\n  exits to KVM, reset to boot sector: all\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn report_without_samples_of_one_is_an_error() {
        assert!(Report::new(Setup::default(), vec![sample(Vmm::Ours, 1, 1)]).is_err());
    }

    #[test]
    fn later_counts_only_what_came_after_the_boot_sector() {
        let later = later(&sample(Vmm::Ours, 1, 50), |exits| &exits.kvm).unwrap();

        assert_eq!(later, Counts::from([("io".to_owned(), 100), ("hlt".to_owned(), 0)]));
    }

    #[test]
    fn shortened_sums_up_what_is_rare_with_both() {
        let row = |name, ours, qemu| Row::new(name, Unit::Count, ours, qemu);
        let rows =
            shortened(vec![row("a", 1.0, 2.0), row("b", 3.0, 0.0), row("c", 0.0, 10.0), row("d", 20.0, 0.0)]);

        let shown: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.ours, row.qemu)).collect();
        assert_eq!(shown, [("d", 20.0, 0.0), ("c", 0.0, 10.0), ("rarer ones", 4.0, 2.0)]);
    }

    #[test]
    fn ratio_to_nothing_is_not_shown_as_a_number() {
        let row = Row::new("eoi", Unit::Count, 5.0, 0.0);

        assert_eq!(row.ratio, None);
        assert!(row.to_string().ends_with("       -  above"), "{row}");
    }
}
