//! Threads that do the work of devices, so that those of vCPUs need not.
//!
//! ```text
//!  requests one at a time:  vCPU ── kick ──► worker, at once ── interrupt ──► vCPU     it had nothing else to do
//!  many:                    vCPU ── kick, kick, kick … sleeps ──► worker ── one interrupt for all ──► vCPU
//! ```

use std::io;
use std::sync::OnceLock;
use std::thread::{Builder, JoinHandle};

/// How a worker comes by a processor when it is woken where a vCPU runs. Where another one is idle, it runs at once all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It waits for its turn. Then it finds all that the guest had to ask, and answers with one interrupt.
    InTurn,
    /// It interrupts the vCPU, which finds its answer when it goes on.
    AtOnce,
}

/// How the calling thread takes a manner on.
static ADOPT: OnceLock<fn(Manner)> = OnceLock::new();

/// Has workers that are spawned from now on take on their manners by `adopt`, called on their threads: the machine knows how they
/// and vCPUs share processors, devices do not. The first call counts.
pub fn workers_behave(adopt: fn(Manner)) {
    let _ = ADOPT.set(adopt);
}

/// Starts a thread that does `work`.
///
/// # Errors
/// The host has no more threads.
pub fn spawn_worker(
    name: String,
    work: impl FnOnce(Courtesy) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name).spawn(move || {
        adopt(Manner::InTurn);
        work(Courtesy::default());
    })
}

fn adopt(manner: Manner) {
    if let Some(adopt) = ADOPT.get() {
        adopt(manner);
    }
}

/// What a worker's manner should be: that of its guest.
///
/// A worker that waits for its turn sees whether requests come one at a time. One that does not, sees single requests only, and
/// has to try the other manner now and then.
#[derive(Debug)]
pub struct Courtesy {
    state: State,
    /// Requests until the next trial.
    pause: usize,
}

#[derive(Debug)]
enum State {
    /// It waits for its turn, and was woken for a single request so many times in a row.
    InTurn { alone: u32 },
    /// It does not, for so many requests.
    AtOnce { left: usize },
}

impl Courtesy {
    /// So many times in a row is no chance.
    const TRIAL: u32 = 8;
    /// Requests to the first trial; each that comes to nothing doubles the number.
    const FIRST: usize = 32;
    /// No more than so many: a guest may change its manner.
    const LAST: usize = 256;

    /// The worker is about to sleep. It found `requests` of them since it last did.
    pub fn sleeps(&mut self, requests: usize) {
        if let Some(manner) = self.learn(requests) {
            adopt(manner);
        }
    }

    /// A new manner, if it is time for one.
    fn learn(&mut self, requests: usize) -> Option<Manner> {
        match &mut self.state {
            State::InTurn { alone } => match requests {
                0 => None,
                1 if *alone + 1 >= Self::TRIAL => {
                    self.state = State::AtOnce { left: self.pause };
                    self.pause = Self::LAST.min(2 * self.pause);
                    Some(Manner::AtOnce)
                }
                1 => {
                    *alone += 1;
                    None
                }
                _ => {
                    *self = Self::default();
                    None
                }
            },
            State::AtOnce { left } if requests < *left => {
                *left -= requests;
                None
            }
            State::AtOnce { .. } => {
                self.state = State::InTurn { alone: 0 };
                Some(Manner::InTurn)
            }
        }
    }
}

impl Default for Courtesy {
    fn default() -> Self {
        Self { state: State::InTurn { alone: 0 }, pause: Self::FIRST }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        static ADOPTED: RefCell<Vec<Manner>> = const { RefCell::new(vec![]) };
    }

    /// What becomes of a worker that finds so many requests each time.
    fn manners(found: impl IntoIterator<Item = usize>) -> Vec<Option<Manner>> {
        let mut courtesy = Courtesy::default();
        found.into_iter().map(|requests| courtesy.learn(requests)).collect()
    }

    #[test]
    fn worker_has_its_name_and_takes_manners_on() {
        workers_behave(|manner| ADOPTED.with_borrow_mut(|adopted| adopted.push(manner)));
        let worker = spawn_worker("worker-1".into(), |mut courtesy| {
            (0..Courtesy::TRIAL).for_each(|_| courtesy.sleeps(1));
            assert_eq!(ADOPTED.take(), [Manner::InTurn, Manner::AtOnce]);
            assert_eq!(std::thread::current().name(), Some("worker-1"));
        });
        worker.unwrap().join().unwrap();
    }

    #[test]
    fn worker_of_a_guest_that_asks_for_much_always_waits_for_its_turn() {
        assert!(manners([1, 1, 1, 1, 0, 9, 1, 1, 1, 1, 2, 0].repeat(9)).iter().all(Option::is_none));
    }

    #[test]
    fn single_requests_are_served_at_once_but_for_rare_trials() {
        let manners = manners(std::iter::repeat_n(1, 10_000));
        let changes = || manners.iter().flatten();
        assert!(changes().eq(changes().take(2).cycle().take(changes().count())), "they take turns");
        let trials = changes().filter(|manner| **manner == Manner::AtOnce).count();
        assert!(trials as u32 * Courtesy::TRIAL < 500 && trials > 10_000 / (Courtesy::LAST + 8), "{trials}");
    }

    #[test]
    fn guest_that_changes_its_manner_is_found_out() {
        let one = std::iter::repeat_n(1, 2000);
        let found = manners(one.chain(std::iter::repeat_n(5, 200)));
        let last = found.iter().rposition(Option::is_some).unwrap();
        assert_eq!(found[last], Some(Manner::InTurn));
        assert!((2000..2000 + Courtesy::LAST / 5 + 1).contains(&last), "{last}");
    }
}
