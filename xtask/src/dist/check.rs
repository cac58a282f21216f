//! The folder as users meet it: by programs that nobody here wrote, and anywhere.

use std::path::Path;
use std::process::Command;
use std::{fs, str};

use anyhow::{Context as _, ensure};

use crate::{files, host, product};

/// Programs that read the pages and completions, with the options by which they only complain; what they say is wrong.
const READERS: [(&str, &[&str], &str); 5] = [
    ("man", &["--warnings=w", "-l"], "man/man1"),
    ("mandoc", &["-T", "lint", "-W", "warning"], "man/man1"),
    ("bash", &["-n"], "bash-completion/completions"),
    ("fish", &["--no-execute"], "fish/vendor_completions.d"),
    ("zsh", &["-n"], "zsh/site-functions"),
];

/// Checks everything in `folder`.
pub(super) fn all(folder: &Path) -> anyhow::Result<()> {
    host::ensure_packages(
        "checking man pages and completions",
        &["fish", "groff-base", "man-db", "mandoc", "zsh"],
    )?;
    for (program, options, place) in READERS {
        let place = folder.join("share").join(place);
        let entries = fs::read_dir(&place).with_context(|| format!("read {}", place.display()))?;
        for entry in entries {
            reads(program, options, &entry.context("read a folder")?.path())?;
        }
    }
    works_elsewhere(folder)
}

/// `program` has nothing to say about `file`.
fn reads(program: &str, options: &[&str], file: &Path) -> anyhow::Result<()> {
    let output = Command::new(program).args(options).arg(file).output();
    let output = output.with_context(|| format!("start {program}"))?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && complaints.is_empty(),
        "{program} {} {}: {complaints}{}",
        options.join(" "),
        file.display(),
        if program == "mandoc" { String::from_utf8_lossy(&output.stdout) } else { "".into() },
    );
    Ok(())
}

/// A copy of the folder has the program and its firmware, and needs nothing of this checkout.
fn works_elsewhere(folder: &Path) -> anyhow::Result<()> {
    let elsewhere = files::scratch_dir(&std::env::temp_dir())?;
    let copy = elsewhere.path().join("copy");
    let status = Command::new("cp").arg("-r").args([folder, &copy]).status().context("start cp")?;
    ensure!(status.success(), "{} cannot be copied", folder.display());
    let listed = Command::new(copy.join("bin/tinderbox"))
        .args(["firmware", "list"])
        .env_clear()
        .current_dir("/")
        .output()
        .context("start the copied program")?;
    ensure!(
        listed.status.success() && listed.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let text = str::from_utf8(&listed.stdout).context("the list of firmware")?;
    let found: Vec<_> = text.lines().skip(1).collect();
    ensure!(found.iter().any(|line| line.split_whitespace().next() == Some(product::FIRMWARE)), "{text}");
    let own = copy.to_string_lossy();
    let foreign = found.into_iter().find(|line| !line.contains(&*own));
    ensure!(foreign.is_none(), "the program finds firmware that does not lie beside it: {foreign:?}");
    Ok(())
}
