//! Getting a vCPU's thread out of the guest: a signal, whose handler sets the flag that KVM looks at before it enters.
#![expect(unsafe_code, reason = "signals a thread, whose handler writes to the kvm_run page")]

use std::cell::Cell;
use std::io;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kvm_bindings::kvm_run;
use vmm_sys_util::signal::{Killable, SIGRTMIN, register_signal_handler};

thread_local! {
    /// The kvm_run page of the vCPU that this thread runs, for the signal handler.
    static RUNNING: Cell<*mut kvm_run> = const { Cell::new(ptr::null_mut()) };
}

/// Wakes one vCPU's thread. Clones wake the same.
#[derive(Clone, Debug, Default)]
pub struct VcpuWaker(Arc<Mutex<Option<Thread>>>);

/// A thread that has not ended.
#[derive(Clone, Copy, Debug)]
struct Thread(libc::pthread_t);

// SAFETY: a handle is made by its thread, and forgotten by it before it ends; the lock keeps the two from overlapping.
unsafe impl Killable for Thread {
    fn pthread_handle(&self) -> libc::pthread_t {
        self.0
    }
}

impl VcpuWaker {
    /// Makes the thread's [`Vcpu::run`](super::Vcpu::run) return [`Exit::Woken`](super::Exit::Woken), now or when it next
    /// enters the guest. Does nothing while no thread runs the vCPU: one that begins to looks around first.
    pub fn wake(&self) {
        if let Some(thread) = *self.lock() {
            // Cannot fail: thread and signal are valid.
            let _ = thread.kill(SIGRTMIN());
        }
    }

    /// The calling thread runs the vCPU of `run` from now on.
    pub(super) fn attach(&self, run: *mut kvm_run) {
        RUNNING.set(run);
        // SAFETY: always succeeds.
        *self.lock() = Some(Thread(unsafe { libc::pthread_self() }));
    }

    /// The calling thread no longer runs the vCPU.
    pub(super) fn detach(&self) {
        *self.lock() = None;
        RUNNING.set(ptr::null_mut());
    }

    fn lock(&self) -> MutexGuard<'_, Option<Thread>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prepares the process for [`VcpuWaker::wake`]. Called once, before any vCPU thread starts.
///
/// # Errors
/// When the signal is taken.
pub fn install_wake_handler() -> io::Result<()> {
    register_signal_handler(SIGRTMIN(), on_wake).map_err(Into::into)
}

/// Runs on the vCPU's thread. The flag also catches the moment before KVM_RUN is entered, so no wake is lost.
extern "C" fn on_wake(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let run = RUNNING.get();
    if let Some(run) = ptr::NonNull::new(run) {
        // SAFETY: the pointer is set by `attach` to the mapping of a live vCPU and cleared by `detach`.
        let flag = unsafe { &raw mut (*run.as_ptr()).immediate_exit };
        // SAFETY: as above; it is this very thread that uses the mapping, and a byte store cannot tear.
        unsafe { flag.write_volatile(1) };
    }
}
