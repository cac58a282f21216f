//! Raw mode of stdin, and the way back.

use std::io;
use std::panic;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use rustix::fd::AsFd;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};

/// How the terminal was found; `None` while it is as found. Global, because a panic hook owns nothing.
static FOUND: Mutex<Option<Found>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// What a guest may have left behind on the screen, undone: attributes, a line that is not wrapped (SeaBIOS), a hidden
/// cursor, a line begun.
const CLEAN_SCREEN: &[u8] = b"\x1b[0m\x1b[?7h\x1b[?25h\r\n";

struct Found {
    /// `None` if it is no terminal.
    modes: Option<Termios>,
    /// File status flags: whoever shares our terminal should not find it non-blocking.
    flags: OFlags,
}

impl Found {
    fn of(fd: impl AsFd + Copy) -> io::Result<Self> {
        let modes = isatty(fd).then(|| tcgetattr(fd)).transpose()?;
        Ok(Self { modes, flags: fcntl_getfl(fd)? })
    }

    fn make_raw(&self, fd: impl AsFd) -> io::Result<()> {
        let Some(mut modes) = self.modes.clone() else { return Ok(()) };
        modes.make_raw();
        Ok(tcsetattr(fd, OptionalActions::Now, &modes)?)
    }

    /// There is nobody left to tell if the terminal is gone.
    fn put_back(&self, fd: impl AsFd + Copy) {
        let _ = fcntl_setfl(fd, self.flags);
        if let Some(modes) = &self.modes {
            let _ = tcsetattr(fd, OptionalActions::Now, modes);
        }
    }
}

/// While this lives, keys reach us one by one and unchanged, and output is not touched either. One at a time.
#[derive(Debug)]
#[must_use = "dropping it leaves raw mode"]
pub struct RawMode(());

impl RawMode {
    /// Notes how stdin is set up and, if it is a terminal, makes it raw.
    ///
    /// # Errors
    /// When the terminal refuses; it is then as found.
    pub fn enter() -> io::Result<Self> {
        HOOK.call_once(restore_on_panic);
        let as_found = Found::of(stdin())?;
        // Locked until the terminal is raw, so that a panic meanwhile waits and finds what to put back.
        let mut found = found();
        as_found.make_raw(stdin())?;
        *found = Some(as_found);
        Ok(Self(()))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts the terminal back as it was found; for ends of the process that drop nothing. Does nothing the second time.
pub fn restore() {
    if let Some(as_found) = found().take() {
        if as_found.modes.is_some() && isatty(stdout()) {
            // Not through std: a panic may have its lock.
            let _ = rustix::io::write(stdout(), CLEAN_SCREEN);
        }
        as_found.put_back(stdin());
    }
}

/// Whether the terminal is raw now, so that a line break needs a carriage return.
pub(super) fn is_raw() -> bool {
    found().as_ref().is_some_and(|found| found.modes.is_some())
}

fn restore_on_panic() {
    let next = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        restore();
        next(info);
    }));
}

/// No code that holds this lock can panic.
fn found() -> MutexGuard<'static, Option<Found>> {
    FOUND.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::OwnedFd;
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
    use rustix::termios::{LocalModes, OutputModes};
    use std::process::Command;

    /// Both ends of a terminal; it lasts as long as the first.
    fn terminal() -> (OwnedFd, OwnedFd) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let screen = openpt(flags).unwrap();
        unlockpt(&screen).unwrap();
        let terminal = ioctl_tiocgptpeer(&screen, flags).unwrap();
        (screen, terminal)
    }

    #[test]
    fn raw_terminal_passes_keys_and_output_unchanged() {
        let (_screen, terminal) = terminal();
        Found::of(&terminal).unwrap().make_raw(&terminal).unwrap();
        let modes = tcgetattr(&terminal).unwrap();
        assert!(!modes.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
        assert!(!modes.output_modes.contains(OutputModes::OPOST));
    }

    #[test]
    fn terminal_is_put_back_as_found() {
        let (_screen, terminal) = terminal();
        let before = tcgetattr(&terminal).unwrap();
        let found = Found::of(&terminal).unwrap();
        found.make_raw(&terminal).unwrap();
        fcntl_setfl(&terminal, found.flags | OFlags::NONBLOCK).unwrap();

        found.put_back(&terminal);

        let after = tcgetattr(&terminal).unwrap();
        assert_eq!(after.local_modes, before.local_modes);
        assert_eq!((after.input_modes, after.output_modes), (before.input_modes, before.output_modes));
        assert_eq!(fcntl_getfl(&terminal).unwrap(), found.flags);
    }

    /// The program of the next test. It leaves nothing to `Drop`, as a release build does when it panics.
    #[test]
    #[ignore = "makes the terminal of whoever runs it raw"]
    fn program_that_panics_in_raw_mode() {
        match RawMode::enter() {
            Ok(raw_mode) if is_raw() => std::mem::forget(raw_mode),
            _ => std::process::exit(2),
        }
        panic!("as intended");
    }

    #[test]
    fn terminal_is_put_back_by_a_panic_that_drops_nothing() {
        let (_screen, terminal) = terminal();
        let before = tcgetattr(&terminal).unwrap();
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.args(["--ignored", "--exact", "terminal::raw_mode::tests::program_that_panics_in_raw_mode"]);

        let status = program.stdin(terminal.try_clone().unwrap()).output().unwrap().status;

        assert_eq!(status.code(), Some(101), "a test that panicked");
        assert_eq!(tcgetattr(&terminal).unwrap().local_modes, before.local_modes);
    }

    #[test]
    fn file_is_left_alone() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let found = Found::of(&file).unwrap();
        assert!(found.modes.is_none());
        found.make_raw(&file).unwrap();
        found.put_back(&file);
    }
}
