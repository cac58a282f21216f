//! One machine under examination.

use std::path::Path;

use acpi::inspect::{self, ResourceMap};

use super::matrix::Cell;
use super::tables::{Dump, TABLES_AT};
use super::{acpiexec, golden, iasl};

/// The steps in their order.
pub(super) const STEPS: [&str; 5] = ["script", "rules", "iasl", "acpiexec", "golden"];

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
    /// What iasl remarks, for people to review.
    pub(super) remarks: Vec<String>,
    /// How many objects were evaluated.
    pub(super) evaluated: usize,
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

/// Takes the tables of `cell` through all steps; `scratch` is a folder for files. With `bless`, golden text is written.
pub(super) fn examine(
    tinderbox: &Path,
    cell: &Cell,
    scratch: &Path,
    bless: bool,
) -> anyhow::Result<Examined> {
    let dump = Dump::take(tinderbox, cell, scratch)?;
    let script = dump.differences()?;
    let rules = inspect::check(&dump.linked, TABLES_AT, cell.address_bits);
    let compiled = iasl::recompile_all(&dump)?;
    let executed = acpiexec::evaluate_all(&dump)?;
    let golden = match cell.golden {
        Some(name) if bless => golden::bless(name, &dump).map(|()| Step::Done(vec![]))?,
        Some(name) => Step::Done(golden::compare(name, &dump)?),
        None => Step::Skipped,
    };
    let steps = [script, rules.iter().map(ToString::to_string).collect(), compiled.faults, executed.faults];
    let [script, rules, iasl, acpiexec] = steps.map(Step::Done);
    Ok(Examined {
        name: cell.name.clone(),
        command: format!("tinderbox acpi show --address-bits {} {}", cell.address_bits, cell.args.join(" ")),
        steps: [script, rules, iasl, acpiexec, golden],
        tables: dump.signatures().len(),
        remarks: compiled.remarks,
        evaluated: executed.count,
        map: dump.map()?,
    })
}
