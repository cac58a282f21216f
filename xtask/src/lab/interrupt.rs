//! Signals that end a session, as something to wait for.

use std::io::PipeReader;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

const SIGNALS: [i32; 3] = [SIGHUP, SIGINT, SIGTERM];

/// Whether a signal ends the process at once, as if there were no handler: a handler cannot be taken away again.
static DEFAULT_ACTION: LazyLock<std::io::Result<Arc<AtomicBool>>> = LazyLock::new(|| {
    let default = Arc::new(AtomicBool::new(true));
    for signal in SIGNALS {
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&default))?;
    }
    Ok(default)
});

/// SIGHUP, SIGINT and SIGTERM; until dropped they only make this readable.
pub(super) struct Interrupts {
    pipe: PipeReader,
    handlers: Vec<SigId>,
}

impl Interrupts {
    /// Catches them from now on.
    ///
    /// # Errors
    ///
    /// When handlers cannot be installed.
    pub(super) fn catch() -> std::io::Result<Self> {
        let (pipe, writer) = std::io::pipe()?;
        let mut caught = Self { pipe, handlers: Vec::new() };
        for signal in SIGNALS {
            caught.handlers.push(signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?);
        }
        set_default_action(false)?;
        Ok(caught)
    }
}

impl AsFd for Interrupts {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        // It was set before, so it can be set.
        let _ = set_default_action(true);
        for handler in self.handlers.drain(..) {
            signal_hook::low_level::unregister(handler);
        }
    }
}

fn set_default_action(on: bool) -> std::io::Result<()> {
    let default = DEFAULT_ACTION.as_ref().map_err(|error| std::io::Error::from(error.kind()))?;
    default.store(on, Ordering::SeqCst);
    Ok(())
}
