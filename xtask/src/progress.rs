//! What is being done, shown while it is done.
//!
//! On a terminal a step is a spinner whose message follows the output of the program that runs; elsewhere it is one line
//! when it starts and one when it is done. All output goes to stderr; a program's full output goes to a log file.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// One thing being done.
pub(crate) struct Step {
    bar: ProgressBar,
    what: String,
    started: Instant,
}

/// Starts a step; it ends with [`Step::done`], or in an error when dropped before.
pub(crate) fn step(what: impl Into<String>) -> Step {
    let what = what.into();
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} [{elapsed}] {wide_msg:.dim}") {
        bar.set_style(style);
    }
    if bar.is_hidden() {
        eprintln!("-- {what}");
    }
    bar.set_prefix(what.clone());
    bar.enable_steady_tick(Duration::from_millis(120));
    Step { bar, what, started: Instant::now() }
}

impl Step {
    /// Shows `detail` beside the step.
    pub(crate) fn detail(&self, detail: &str) {
        self.bar.set_message(detail.to_owned());
    }

    /// The step succeeded.
    pub(crate) fn done(self) {
        let took = self.started.elapsed().as_secs();
        self.bar.finish_and_clear();
        eprintln!("ok {} ({took} s)", self.what);
    }

    /// Runs `command` with its output in `log`, the newest line shown beside the step. No input is given.
    pub(crate) fn command(&self, command: &mut Command, log: &Path) -> anyhow::Result<()> {
        let program = command.get_program().to_string_lossy().into_owned();
        if let Some(dir) = log.parent() {
            std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        }
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("write {}", log.display()))?;
        let (reader, writer) = std::io::pipe().context("make a pipe")?;
        let errors = writer.try_clone().context("clone a pipe")?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("start {program}"))?;
        // The command holds its copies of the pipe's end; drop them, or reading never ends.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut tail = std::collections::VecDeque::new();
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).context("read output")? > 0 {
            file.write_all(&line).with_context(|| format!("write {}", log.display()))?;
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            self.detail(&text);
            tail.push_back(text);
            if tail.len() > 25 {
                tail.pop_front();
            }
            line.clear();
        }
        let status = child.wait().with_context(|| format!("wait for {program}"))?;
        if !status.success() {
            self.bar.finish_and_clear();
            tail.iter().for_each(|line| eprintln!("   {line}"));
            bail!("{}: {program} ended with {status}; its output is in {}", self.what, log.display());
        }
        Ok(())
    }
}
