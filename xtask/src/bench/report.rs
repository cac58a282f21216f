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
#[derive(Debug, Serialize)]
pub(super) struct Setup {
    pub(super) accel: &'static str,
    pub(super) tinderbox: String,
    pub(super) qemu: String,
    pub(super) firmware: PathBuf,
    pub(super) firmware_sha256: String,
    pub(super) image: PathBuf,
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

#[derive(Serialize)]
struct Section {
    title: String,
    rows: Vec<Row>,
}

/// One quantity, less being better.
#[derive(Serialize)]
struct Row {
    name: String,
    unit: Unit,
    ours: f64,
    qemu: f64,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    /// Microseconds.
    Us,
    Kib,
    Count,
}

impl Report {
    /// Sums up `samples` as medians.
    ///
    /// # Errors
    ///
    /// When a VMM has no samples.
    pub(super) fn new(setup: Setup, samples: Vec<Sample>) -> anyhow::Result<Self> {
        let pair = Pair { ours: of(&samples, Vmm::Ours), qemu: of(&samples, Vmm::Qemu) };
        let mut sections = vec![
            Section { title: "time".to_owned(), rows: times(&pair)? },
            Section {
                title: "resident memory beside guest RAM, in userspace".to_owned(),
                rows: memory(&pair)?,
            },
        ];
        sections.extend(phases(&pair, "exits to KVM", |exits| &exits.kvm)?);
        sections.extend(phases(&pair, "of these to the VMM", |exits| &exits.vmm)?);
        if samples.iter().any(|sample| !sample.exits_to_boot_sector.accesses.is_empty()) {
            sections.extend(phases(&pair, "accesses", |exits| &exits.accesses)?);
        }
        Ok(Self { setup, sections, samples })
    }

    /// Everything, each single boot too.
    ///
    /// # Errors
    ///
    /// When a number cannot be written.
    pub(super) fn json(&self) -> anyhow::Result<Value> {
        let mut sections = serde_json::to_value(&self.sections).context("write the report")?;
        for (values, section) in sections.as_array_mut().into_iter().flatten().zip(&self.sections) {
            for (value, row) in values["rows"].as_array_mut().into_iter().flatten().zip(&section.rows) {
                value["ratio"] = json!(row.ratio());
            }
        }
        Ok(json!({ "setup": self.setup, "sections": sections, "samples": self.samples }))
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
        Ok(Row { name: name.to_owned(), unit, ours: middle(&self.ours)?, qemu: middle(&self.qemu)? })
    }
}

#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
fn median(mut values: Vec<u64>) -> Option<f64> {
    values.sort_unstable();
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some((upper + lower) as f64 / 2.0)
}

fn times(pair: &Pair<'_>) -> anyhow::Result<Vec<Row>> {
    let row = |name, value: fn(&Sample) -> Option<u64>| pair.row(name, Unit::Us, value);
    Ok(vec![
        row("process start to first guest instruction", |sample| Some(sample.first_instruction))?,
        row("reset to boot sector", |sample| Some(sample.boot_sector))?,
        row("reset to boot loader's kernel load", |sample| Some(rest(sample)?.boot_loader))?,
        row("reset to kernel's first line", |sample| Some(rest(sample)?.kernel))?,
        row("reset to userspace (login prompt)", |sample| Some(rest(sample)?.userspace))?,
    ])
}

fn memory(pair: &Pair<'_>) -> anyhow::Result<Vec<Row>> {
    Ok(vec![
        pair.row("all pages", Unit::Kib, |sample| Some(rest(sample)?.overhead.resident_kib))?,
        pair.row("pages shared with nobody", Unit::Kib, |sample| Some(rest(sample)?.overhead.private_kib))?,
    ])
}

const fn rest(sample: &Sample) -> Option<&Rest> {
    sample.rest.as_ref()
}

/// The same counts from reset to boot sector, and from there to userspace.
fn phases(pair: &Pair<'_>, what: &str, kind: fn(&Exits) -> &Counts) -> anyhow::Result<[Section; 2]> {
    let early = |sample: &Sample| Some(kind(&sample.exits_to_boot_sector).clone());
    Ok([
        exits(pair, format!("{what}, reset to boot sector"), early)?,
        exits(pair, format!("{what}, boot sector to userspace"), |sample| later(sample, kind))?,
    ])
}

/// A section with a row for each reason that either had, the most frequent first, and their sum.
fn exits(
    pair: &Pair<'_>,
    title: String,
    counts: impl Fn(&Sample) -> Option<Counts>,
) -> anyhow::Result<Section> {
    let all = pair.ours.iter().chain(&pair.qemu).filter_map(|sample| counts(sample));
    let reasons: BTreeSet<String> = all.flat_map(Counts::into_keys).collect();
    let count = |sample: &Sample, reason: &str| Some(counts(sample)?.get(reason).copied().unwrap_or(0));
    let row = |reason: &String| pair.row(reason, Unit::Count, |sample| count(sample, reason));
    let mut rows = reasons.iter().map(row).collect::<anyhow::Result<Vec<_>>>()?;
    rows.sort_by(|a, b| b.qemu.max(b.ours).total_cmp(&a.qemu.max(a.ours)));
    rows.insert(0, pair.row("all", Unit::Count, |sample| Some(counts(sample)?.values().sum()))?);
    Ok(Section { title, rows })
}

/// The exits after the boot sector.
fn later(sample: &Sample, kind: fn(&Exits) -> &Counts) -> Option<Counts> {
    let before = kind(&sample.exits_to_boot_sector);
    let all = kind(&rest(sample)?.exits_to_userspace);
    let since = |(reason, count): (&String, &u64)| {
        (reason.clone(), count.saturating_sub(before.get(reason).copied().unwrap_or(0)))
    };
    Some(all.iter().map(since).collect())
}

impl Row {
    /// Ours by QEMU's; none where QEMU's is nothing.
    fn ratio(&self) -> Option<f64> {
        (self.qemu > 0.0).then(|| self.ours / self.qemu)
    }

    fn is_above(&self) -> bool {
        self.ours > self.qemu
    }

    fn value(&self, value: f64) -> String {
        match self.unit {
            Unit::Us => format!("{:.1} ms", value / 1e3),
            Unit::Kib => format!("{value:.0} KiB"),
            Unit::Count => format!("{value:.0}"),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        let (ours, qemu) = (self.value(self.ours), self.value(self.qemu));
        let remark = if self.is_above() { "  above QEMU" } else { "" };
        writeln!(f, "  {:<42}{ours:>14}{qemu:>14}{ratio:>8}{remark}", self.name)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setup = &self.setup;
        writeln!(f, "ours      {}", setup.tinderbox)?;
        writeln!(f, "QEMU      {}, -machine microvm", setup.qemu)?;
        writeln!(f, "host      {}", setup.accel)?;
        writeln!(f, "guest     {} MiB, {} CPU(s)", setup.memory_mib, setup.cpus)?;
        writeln!(f, "firmware  {}", setup.firmware.display())?;
        writeln!(f, "disk      {}", setup.image.display())?;
        writeln!(f, "medians of {} boots to the boot sector and {} to userspace", setup.short, setup.full)?;
        for section in &self.sections {
            writeln!(f, "\n{:<44}{:>14}{:>14}{:>8}", section.title, "ours", "QEMU", "ratio")?;
            section.rows.iter().try_for_each(|row| write!(f, "{row}"))?;
        }
        let above =
            self.sections.iter().flat_map(|section| &section.rows).filter(|row| row.is_above()).count();
        writeln!(f, "\n{}", verdict(above))
    }
}

fn verdict(above: usize) -> String {
    match above {
        0 => "ours is at or below QEMU on every row".to_owned(),
        1 => "ours is above QEMU on one row".to_owned(),
        _ => format!("ours is above QEMU on {above} rows"),
    }
}
