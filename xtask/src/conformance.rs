//! `cargo xtask conformance`: the product held against standards, by tools that others wrote and by rules of our own.

mod acpiexec;
mod cell;
mod fwts;
mod golden;
pub(crate) mod guest;
mod html;
mod iasl;
mod matrix;
mod random;
mod routing;
mod svg;
mod tables;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::ensure;

use crate::accel::Accel;
use crate::{files, host, paths, product, progress, test};
use cell::{Examined, STEPS, Tools};
use fwts::Fwts;
use matrix::Cell;

/// Options of the verb.
#[derive(clap::Subcommand)]
pub(crate) enum Subject {
    /// The ACPI tables of many machines: iasl, acpiexec, fwts, our rules, golden disassembly
    Acpi(Args),
}

/// Options for the tables.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Take the disassembly as it is now for golden; review the change of tests/golden
    #[arg(long)]
    bless: bool,
    /// Examine as many machines made up by chance, and no others
    #[arg(long, value_name = "N", conflicts_with_all = ["bless", "filter"])]
    random: Option<u64>,
    /// Have Debian's kernel look at the tables of each machine, instead of tools
    #[arg(long, conflicts_with_all = ["bless", "random"])]
    guest: bool,
    /// With --guest: where 64-bit guests run [default: as for the tests]
    #[arg(long, requires = "guest")]
    accel: Option<Accel>,
    /// Examine the machines with one of these in their names
    filter: Vec<String>,
}

/// Examines; fails if a machine's tables do.
pub(crate) fn run(subject: Subject) -> anyhow::Result<ExitCode> {
    let Subject::Acpi(args) = subject;
    if let Some(count) = args.random {
        let cells: Vec<_> = (0..count).map(random::cell).collect();
        return verdict(acpi(&cells, fwts(), false)?);
    }
    let cells = matrix::cells().into_iter();
    let wanted =
        |cell: &Cell| args.filter.is_empty() || args.filter.iter().any(|filter| cell.name.contains(filter));
    let cells: Vec<_> = cells.filter(wanted).collect();
    ensure!(!cells.is_empty(), "no machine has {:?} in its name", args.filter);
    if args.guest {
        let (list, left_out) = guest::list(&cells);
        println!("without those whose memory is too large or too small: {}", left_out.join(", "));
        return test::acpi_machines(&list, args.accel);
    }
    ensure!(!args.bless || args.filter.is_empty(), "--bless takes all golden machines, leave the filter out");
    verdict(acpi(&cells, fwts(), args.bless)?)
}

fn verdict(passed: bool) -> anyhow::Result<ExitCode> {
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The one tool that no Debian release has.
fn fwts() -> Option<Fwts> {
    Fwts::fetch().inspect_err(|error| eprintln!("without fwts: {error:#}")).ok()
}

/// Examines the few machines with golden text, by what every Debian machine can have.
pub(crate) fn golden_machines() -> anyhow::Result<()> {
    ensure!(acpi(&matrix::golden(), None, false)?, "ACPI tables failed, see above");
    Ok(())
}

/// Examines `cells` and says whether all passed.
fn acpi(cells: &[Cell], fwts: Option<Fwts>, bless: bool) -> anyhow::Result<bool> {
    host::ensure_packages("to test the ACPI tables", &["acpica-tools"])?;
    let tools = Tools { tinderbox: product::build_debug()?, fwts, bless };
    let folder = paths::target_dir("conformance")?;
    if bless {
        golden::forget_all()?;
    }
    let examined = examine(&tools, &folder, cells)?;
    print!("{}", text(&examined));
    let report = folder.join("acpi.html");
    files::write(&report, html::page(&examined))?;
    println!("report: {}", report.display());
    Ok(examined.iter().all(Examined::passed))
}

/// How many machines are examined at once. acpiexec sleeps a second before it ends, so more than there are processors.
const AT_ONCE: usize = 16;

fn examine(tools: &Tools, folder: &Path, cells: &[Cell]) -> anyhow::Result<Vec<Examined>> {
    let step = progress::step(format!("examine the ACPI tables of {} machines", cells.len()));
    let scratch = files::scratch_dir(folder)?;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut examined = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(cell) = cells.get(n) else { return Ok(examined) };
            step.detail(&format!("{} of {}: {}", n + 1, cells.len(), cell.name));
            let tables = scratch.path().join(n.to_string());
            examined.push((n, cell::examine(tools, cell, &tables)?));
        }
    };
    let mut examined = at_once(work)?;
    examined.sort_by_key(|(n, _)| *n);
    step.done();
    Ok(examined.into_iter().map(|(_, cell)| cell).collect())
}

/// Runs `work` in several threads and puts together what they give.
fn at_once<T: Send>(work: impl Fn() -> anyhow::Result<Vec<T>> + Sync) -> anyhow::Result<Vec<T>> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(&work)).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a thread panicked")))
        };
        Ok(threads.into_iter().map(join).collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten().collect())
    })
}

/// The table for the terminal: a line a machine, then what was wrong, then the counts.
fn text(examined: &[Examined]) -> String {
    let width = examined.iter().map(|cell| cell.name.len()).max().unwrap_or_default();
    let heads: String = STEPS.iter().map(|step| format!("  {step:>9}")).collect();
    let mut text = format!("{:width$}{heads}\n", "machine");
    for cell in examined {
        let marks: String = cell.steps.iter().map(|step| format!("  {:>9}", step.mark())).collect();
        text += &format!("{:width$}{marks}\n", cell.name);
    }
    for cell in examined {
        text.extend(cell.faults().map(|fault| format!("{}: {fault}\n", cell.name)));
    }
    text + &format!("{}\n", summary(examined))
}

fn summary(examined: &[Examined]) -> String {
    let passed = examined.iter().filter(|cell| cell.passed()).count();
    let sum = |count: fn(&Examined) -> usize| examined.iter().map(count).sum::<usize>();
    format!(
        "{passed} of {} machines pass: {} tables recompiled, {} remarks, {} objects evaluated, {} checks of fwts passed",
        examined.len(),
        sum(|cell| cell.tables),
        sum(|cell| cell.remarks.len()),
        sum(|cell| cell.evaluated),
        sum(|cell| cell.checked),
    )
}

/// Where golden text lies.
fn golden_folder() -> PathBuf {
    paths::root().join("tests/golden/acpi")
}
