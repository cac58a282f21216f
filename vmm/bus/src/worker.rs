//! Threads that do the work of devices, so that those of vCPUs need not.

use std::io;
use std::sync::OnceLock;
use std::thread::{Builder, JoinHandle};

/// What each of them does first.
static BEGIN: OnceLock<fn()> = OnceLock::new();

/// Has workers that are spawned from now on begin with `begin`: the machine knows how they and vCPUs share processors, devices do
/// not. The first call counts.
pub fn workers_begin_with(begin: fn()) {
    let _ = BEGIN.set(begin);
}

/// Starts a thread that does `work`.
///
/// # Errors
/// The host has no more threads.
pub fn spawn_worker(name: String, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name).spawn(move || {
        if let Some(begin) = BEGIN.get() {
            begin();
        }
        work();
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static BEGUN: Cell<bool> = const { Cell::new(false) };
    }

    #[test]
    fn worker_begins_as_the_machine_says_and_has_its_name() {
        workers_begin_with(|| BEGUN.set(true));
        let worker = spawn_worker("worker-1".into(), || {
            assert!(BEGUN.get());
            assert_eq!(std::thread::current().name(), Some("worker-1"));
        });
        worker.unwrap().join().unwrap();
    }
}
