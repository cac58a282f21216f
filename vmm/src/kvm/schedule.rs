//! How the threads of vCPUs and those of devices share the host's processors. sched(7).
#![expect(unsafe_code, reason = "system calls")]

/// Lets the calling thread wait for its turn when it wakes up where a vCPU runs, rather than interrupt it.
///
/// A device's worker is woken by the first request of many: if it lets the guest go on, it finds all of them, and answers with one
/// interrupt. Where another processor is idle, or when the guest waits, it runs at once all the same.
///
/// A thread that was given another policy, as by chrt(1), keeps it.
pub fn give_way() {
    let nothing = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is the calling thread.
    if unsafe { libc::sched_getscheduler(0) } == libc::SCHED_OTHER {
        // SAFETY: 0 is the calling thread, and the parameters live until the call returns. It cannot fail: both are policies of
        // ordinary threads, and were it to, nothing would be lost but speed.
        unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const nothing) };
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn thread_that_gives_way_is_a_batch_thread_and_its_neighbour_is_not() {
        // SAFETY: 0 is the calling thread.
        let policy = || unsafe { libc::sched_getscheduler(0) };
        let worker = std::thread::spawn(move || {
            super::give_way();
            policy()
        });

        assert_eq!(worker.join().unwrap(), libc::SCHED_BATCH);
        assert_eq!(policy(), libc::SCHED_OTHER);
    }
}
