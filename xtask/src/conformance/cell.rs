//! One machine under examination.

use std::path::{Path, PathBuf};

use acpi::inspect::{self, ResourceMap};

use super::fwts::Fwts;
use super::matrix::Cell;
use super::tables::{Dump, TABLES_AT};
use super::{acpiexec, golden, iasl};

/// The steps in their order.
pub(super) const STEPS: [&str; 6] = ["script", "rules", "iasl", "acpiexec", "fwts", "golden"];

/// How a step went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Not for this machine.
    Skipped,
    /// With what was wrong.
    Done(Vec<String>),
}

impl Step {
    /// A word for the table.
    pub(super) fn mark(&self) -> String {
        match self {
            Self::Skipped => "-".into(),
            Self::Done(faults) if faults.is_empty() => "ok".into(),
            Self::Done(faults) => format!("{} FAIL", faults.len()),
        }
    }
}

/// What came out.
pub(super) struct Examined {
    pub(super) name: String,
    pub(super) command: String,
    pub(super) steps: [Step; STEPS.len()],
    /// How many tables were recompiled.
    pub(super) tables: usize,
    /// What iasl remarks, for people to review, and what they reviewed of fwts' findings.
    pub(super) remarks: Vec<String>,
    /// How many objects were evaluated.
    pub(super) evaluated: usize,
    /// How many of fwts' checks passed.
    pub(super) checked: usize,
    pub(super) map: ResourceMap,
}

impl Examined {
    pub(super) fn passed(&self) -> bool {
        self.faults().next().is_none()
    }

    /// Every fault with its step.
    pub(super) fn faults(&self) -> impl Iterator<Item = String> {
        STEPS.iter().zip(&self.steps).flat_map(|(name, step)| {
            let faults = if let Step::Done(faults) = step { faults.as_slice() } else { &[] };
            faults.iter().map(move |fault| format!("{name}: {fault}"))
        })
    }
}

/// What it takes to examine.
pub(super) struct Tools {
    pub(super) tinderbox: PathBuf,
    /// Not where it cannot be had.
    pub(super) fwts: Option<Fwts>,
    /// Golden text is written, not compared.
    pub(super) bless: bool,
}

/// Takes the tables of `cell` through all steps; `scratch` is a folder for files.
pub(super) fn examine(tools: &Tools, cell: &Cell, scratch: &Path) -> anyhow::Result<Examined> {
    let dump = Dump::take(&tools.tinderbox, cell, scratch)?;
    let script = dump.differences()?;
    let rules = inspect::check(&dump.linked, TABLES_AT, cell.address_bits);
    let compiled = iasl::recompile_all(&dump)?;
    let executed = acpiexec::evaluate_all(&dump)?;
    let tested = tools.fwts.as_ref().map(|fwts| fwts.test(&dump)).transpose()?;
    let golden = match cell.golden {
        Some(name) if tools.bless => golden::bless(name, &dump).map(|()| Step::Done(vec![]))?,
        Some(name) => Step::Done(golden::compare(name, &dump)?),
        None => Step::Skipped,
    };
    let steps = [script, rules.iter().map(ToString::to_string).collect(), compiled.faults, executed.faults];
    let [script, rules, iasl, acpiexec] = steps.map(Step::Done);
    Ok(Examined {
        name: cell.name.clone(),
        command: format!("tinderbox acpi show --address-bits {} {}", cell.address_bits, cell.args.join(" ")),
        checked: tested.as_ref().map_or(0, |tested| tested.passed),
        remarks: compiled
            .remarks
            .into_iter()
            .chain(tested.iter().flat_map(|tested| tested.reviewed.clone()))
            .collect(),
        steps: [
            script,
            rules,
            iasl,
            acpiexec,
            tested.map_or(Step::Skipped, |tested| Step::Done(tested.faults)),
            golden,
        ],
        tables: dump.signatures().len(),
        evaluated: executed.count,
        map: dump.map()?,
    })
}
