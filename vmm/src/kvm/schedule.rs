//! How the threads of vCPUs and those of devices share the host's processors. sched(7).
#![expect(unsafe_code, reason = "system calls")]

use bus::Manner;

/// The calling thread takes `manner` on.
///
/// A thread that was given another policy than those of ordinary threads, as by chrt(1), keeps it.
pub fn take_manner(manner: Manner) {
    let nothing = libc::sched_param { sched_priority: 0 };
    let policy = match manner {
        Manner::InTurn => libc::SCHED_BATCH,
        Manner::AtOnce => libc::SCHED_OTHER,
    };
    // SAFETY: 0 is the calling thread.
    if [libc::SCHED_OTHER, libc::SCHED_BATCH].contains(&unsafe { libc::sched_getscheduler(0) }) {
        // SAFETY: 0 is the calling thread, and the parameters live until the call returns. It cannot fail: both are policies of
        // ordinary threads, and were it to, nothing would be lost but speed.
        unsafe { libc::sched_setscheduler(0, policy, &raw const nothing) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_that_waits_for_its_turn_is_a_batch_thread_and_its_neighbour_is_not() {
        // SAFETY: 0 is the calling thread.
        let policy = || unsafe { libc::sched_getscheduler(0) };
        let worker = std::thread::spawn(move || {
            [Manner::InTurn, Manner::AtOnce, Manner::InTurn].map(|manner| {
                take_manner(manner);
                policy()
            })
        });

        assert_eq!(worker.join().unwrap(), [libc::SCHED_BATCH, libc::SCHED_OTHER, libc::SCHED_BATCH]);
        assert_eq!(policy(), libc::SCHED_OTHER);
    }
}
