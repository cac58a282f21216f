//! The smoke test of `cargo xtask run --smoke`: boots a machine, watches its serial port, presses the power button.
//!
//! It runs where the machine runs, in the lab too, so that its clock is the machine's.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::image::marker;

/// Longer than a boot takes in the slowest lab.
const PATIENCE: Duration = Duration::from_secs(600);

/// Options of the hidden verb.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the firmware prints when it begins
    #[arg(long)]
    banner: String,
    /// Folder for the logs
    folder: PathBuf,
    /// The VMM and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<OsString>,
}

/// The beginning of a command that tests the boot of a machine whose firmware is called `firmware`, with its logs in
/// `folder`; the arguments of `tinderbox` follow.
pub(crate) fn command(firmware: &str, folder: &Path, tinderbox: &Path) -> anyhow::Result<Vec<OsString>> {
    let this = std::env::current_exe().context("find this program")?;
    let banner = banner(firmware).into();
    Ok(vec![this.into(), "smoke".into(), "--banner".into(), banner, folder.into(), tinderbox.into()])
}

/// What the firmware called `name` prints on the serial port: SeaBIOS its version, edk2 what it boots.
fn banner(name: &str) -> &'static str {
    if name.starts_with("edk2") { "BdsDxe: loading" } else { "SeaBIOS (version" }
}

/// What is waited for, and where it is seen.
fn stages(banner: &str) -> [(&'static str, Source, &str); 5] {
    [
        ("first instruction", Source::Messages, "the guest runs"),
        ("firmware banner", Source::Serial, banner),
        ("boot loader", Source::Serial, marker::BOOT_LOADER),
        ("kernel", Source::Serial, marker::KERNEL),
        ("userspace", Source::Serial, marker::USERSPACE),
    ]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The guest's serial port, on the VMM's stdout.
    Serial,
    /// What the VMM says itself, on its stderr.
    Messages,
}

/// A piece of output, when it came. The end is an empty piece.
struct Piece {
    source: Source,
    at: Instant,
    bytes: Vec<u8>,
}

/// Boots, waits, presses, waits, prints.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (program, rest) = args.command.split_first().context("no command")?;
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(rest)
        .env("TINDERBOX_LOG", "info")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", program.display()))?;
    let result = watch(&mut child, &args, started);
    if result.is_err() {
        // Nothing is left running; it may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
        eprintln!("logs: {}", args.folder.display());
    }
    result.map(|()| ExitCode::SUCCESS)
}

fn watch(child: &mut Child, args: &Args, started: Instant) -> anyhow::Result<()> {
    let folder = &args.folder;
    let (pieces, output) = channel();
    let serial = child.stdout.take().context("no stdout")?;
    let messages = child.stderr.take().context("no stderr")?;
    follow(Source::Serial, serial, File::create(folder.join("serial.log"))?, pieces.clone());
    follow(Source::Messages, messages, File::create(folder.join("messages.log"))?, pieces);
    let mut seen = Seen::default();
    println!("{:>10}  VMM start", seconds(Duration::ZERO));
    for (stage, source, text) in stages(&args.banner) {
        let at = seen.wait_for(&output, source, text).with_context(|| format!("waiting for the {stage}"))?;
        println!("{:>10}  {stage}", seconds(at - started));
    }
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
    kill_process(pid, Signal::TERM).context("press the power button")?;
    println!("{:>10}  power button pressed", seconds(started.elapsed()));
    let pressed = Instant::now();
    while child.try_wait()?.is_none() {
        ensure!(pressed.elapsed() < PATIENCE, "the guest does not shut down");
        thread::sleep(Duration::from_millis(50));
    }
    let status = child.wait()?;
    ensure!(status.code() == Some(0), "the VMM ended with {status}");
    println!("{:>10}  guest shut down by itself, VMM status 0", seconds(started.elapsed()));
    Ok(())
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

/// Passes on what comes from `from`, with the time, and keeps it in `log`.
fn follow(source: Source, mut from: impl Read + Send + 'static, mut log: File, to: Sender<Piece>) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            let count = from.read(&mut buffer).unwrap_or(0);
            let bytes = buffer.get(..count).unwrap_or_default().to_vec();
            // A log that cannot be written is no reason to fail the boot.
            let _ = log.write_all(&bytes);
            if to.send(Piece { source, at: Instant::now(), bytes }).is_err() || count == 0 {
                return;
            }
        }
    });
}

/// Output that was read and not yet matched.
#[derive(Default)]
struct Seen {
    serial: Vec<u8>,
    messages: Vec<u8>,
}

impl Seen {
    /// Waits for `text` from `source`; what came before it is forgotten. Returns when its last byte came.
    fn wait_for(&mut self, output: &Receiver<Piece>, source: Source, text: &str) -> anyhow::Result<Instant> {
        let mut at = Instant::now();
        loop {
            let seen = self.of(source);
            if let Some(found) = seen.windows(text.len()).position(|window| window == text.as_bytes()) {
                seen.drain(..found + text.len());
                return Ok(at);
            }
            match output.recv_timeout(PATIENCE) {
                Ok(piece) if piece.bytes.is_empty() => bail!("the VMM ended before {text:?}"),
                Ok(piece) => {
                    at = piece.at;
                    self.of(piece.source).extend(piece.bytes);
                }
                Err(RecvTimeoutError::Timeout) => bail!("{text:?} did not come in {} s", PATIENCE.as_secs()),
                Err(RecvTimeoutError::Disconnected) => bail!("the VMM ended before {text:?}"),
            }
        }
    }

    fn of(&mut self, source: Source) -> &mut Vec<u8> {
        match source {
            Source::Serial => &mut self.serial,
            Source::Messages => &mut self.messages,
        }
    }
}
