//! The terminal of the person at the keyboard.

use std::io::{IsTerminal as _, stdin, stdout};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// Rows and columns of the terminal, if a person has both ends of this process.
pub(super) fn size() -> Option<(u16, u16)> {
    if !stdin().is_terminal() || !stdout().is_terminal() {
        return None;
    }
    // A serial line has no size, which is reported as 0.
    let size = tcgetwinsize(stdout()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
    Some(size.map_or((24, 80), |size| (size.ws_row, size.ws_col)))
}

/// Raw mode, in which each key goes through as it is; dropped, the terminal is as before.
pub(super) struct Raw {
    before: Termios,
}

impl Raw {
    /// Switches standard input.
    ///
    /// # Errors
    ///
    /// When that is no terminal.
    pub(super) fn enter() -> rustix::io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // There is nobody to tell if the terminal has gone away.
        let _ = tcsetattr(stdin(), OptionalActions::Drain, &self.before);
    }
}
