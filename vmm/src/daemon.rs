//! `--daemonize`: a machine in the background, and somebody in front who learns whether it got there.
//!
//! ```text
//!  in front    this program ── starts itself again ──► waits for a byte, or for the end without one ──► status
//!  background                  a pipe as output ──► opens everything ──► `ready`: the byte; no terminal from then on
//! ```
//!
//! A process with threads cannot be split, hence the second start instead of a fork.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};

/// Tells the second process the number of the first.
const STARTED_BY: &str = "TINDERBOX_STARTED_BY";

/// Whether this is the process in the background. What it starts itself inherits the variable, but has another parent.
pub(crate) fn is_background() -> bool {
    let by = env::var(STARTED_BY).ok().and_then(|number| number.parse().ok());
    by.is_some_and(|by: i32| rustix::process::getppid().is_some_and(|parent| parent.as_raw_pid() == by))
}

/// Starts this program again with the same words, and waits until it is ready or has failed; gives the status of that.
///
/// # Errors
/// The host has no room for a process.
pub(crate) fn start() -> io::Result<ExitCode> {
    let (mut reader, writer) = io::pipe()?;
    let mut words = env::args_os();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(words.next().unwrap_or_default()).args(words);
    command.env(STARTED_BY, std::process::id().to_string()).stdin(Stdio::null()).stdout(writer);
    let mut background = command.spawn()?;
    drop(command); // and with it this process's end of the pipe
    if reader.read(&mut [0])? > 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let status = background.wait()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(status.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Leaves the terminal's session: its keys send no signals any more.
///
/// # Errors
/// The process leads a group already.
pub(crate) fn leave_session() -> io::Result<()> {
    Ok(rustix::process::setsid().map(drop)?)
}

/// Lets whoever waits in front go, and everything of the terminal's and the folder.
///
/// # Errors
/// There is no `/dev/null`.
pub(crate) fn ready() -> io::Result<()> {
    let nothing = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    env::set_current_dir("/")?;
    // Nobody may be there any more.
    let _ = io::stdout().write_all(b"\n").and_then(|()| io::stdout().flush());
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&nothing)?;
    Ok(())
}
