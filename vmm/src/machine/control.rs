//! Who may stop the vCPUs, and how they start again.
//!
//! ```text
//!  device, vCPU ── ask(event) ──► phase := Parking, event to the control thread
//!  vCPU thread  ── order()    ──► Run at once while Running; else it parks here until told Reset, Run or Stop
//!  control      ── park(), reset(), resume(), stop()
//! ```
//!
//! The control thread is the only one that leaves `Parking`. It resets the devices while every vCPU is parked, then lets
//! each vCPU reset itself, and resumes when all have: no vCPU runs against half-reset neighbours. A machine that somebody
//! paused stays in `Parking`, where a guest's last word before it was parked is heard as any other.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::remote::{Call, Notice};
use crate::kvm::DebugExit;

/// What somebody wants of the control thread.
#[derive(Debug)]
pub(super) enum Event {
    /// The guest asked for a reset, or a vCPU had a triple fault.
    Reset(Cause),
    /// The guest powered the machine off.
    PowerOff,
    /// The guest ended the run through the debug exit, with this status.
    Exit(u8),
    /// The guest told the panic port.
    Panicked,
    /// Somebody outside presses the power button.
    PowerButton,
    /// Somebody outside presses the sleep button.
    SleepButton,
    /// The guest is another one than it was.
    NewGeneration,
    /// The user wants out at once.
    Quit,
    /// A signal asks the process to end.
    Signal(i32),
    /// The guest's balloon holds this many bytes now.
    Balloon(u64),
    /// A vCPU cannot go on.
    Failed(anyhow::Error),
    /// A vCPU stopped for its debugger.
    Debug {
        /// Which.
        vcpu: usize,
        /// Why.
        exit: DebugExit,
    },
    /// A program outside wants something, and waits for the answer.
    Call(Call),
    /// A program outside did something that all are to hear of.
    Announced(Notice),
}

/// What made the machine reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The ACPI reset register.
    Register,
    /// A triple fault.
    TripleFault,
    /// The reset control register.
    ResetPort,
    /// The keyboard controller.
    Keyboard,
    /// The user, from the console.
    User,
    /// A program outside.
    Remote,
}

impl Cause {
    /// Whether the guest did it.
    pub(super) fn is_guest(self) -> bool {
        !matches!(self, Self::User | Self::Remote)
    }
}

/// What a vCPU thread is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Run the guest.
    Run,
    /// Take on the power-on state, then ask again.
    Reset,
    /// End the thread.
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Parking,
    Resetting,
    Stopped,
}

struct State {
    phase: Phase,
    /// Somebody gave a reason to halt that the control thread has not dealt with.
    asked: bool,
    /// vCPUs that wait in `order`.
    parked: usize,
    /// Counts resets, so that each vCPU takes part once in each.
    reset: u64,
    /// vCPUs that took part in the current one.
    done: usize,
    /// vCPUs that stand still while others run, because a debugger steps those.
    held: BTreeSet<usize>,
}

/// Shared by the control thread, the vCPU threads and the devices that can end or reset the machine.
pub(super) struct Control {
    vcpus: usize,
    state: Mutex<State>,
    changed: Condvar,
    busy: AtomicBool, // some vCPU has to wait; readable without the lock
    events: Sender<Event>,
}

impl Control {
    /// Control of `vcpus` vCPUs, which run once they have threads, and the receiving end for the control thread.
    pub(super) fn new(vcpus: usize) -> (Self, Receiver<Event>) {
        let (events, receiver) = channel();
        let state = State {
            phase: Phase::Running,
            asked: false,
            parked: 0,
            reset: 0,
            done: 0,
            held: BTreeSet::new(),
        };
        let control = Self {
            vcpus,
            state: Mutex::new(state),
            changed: Condvar::new(),
            busy: AtomicBool::new(false),
            events,
        };
        (control, receiver)
    }

    /// Halts the machine and tells the control thread why. Of several reasons before it reacts, the first counts.
    ///
    /// Callable with a device's lock held: it never waits for a vCPU.
    pub(super) fn ask(&self, event: Event) {
        let mut state = self.lock();
        if !state.asked && matches!(state.phase, Phase::Running | Phase::Parking) {
            state.asked = true;
            self.enter(&mut state, Phase::Parking);
            self.tell(event);
        }
    }

    /// Tells the control thread something that does not halt the machine.
    pub(super) fn tell(&self, event: Event) {
        // The receiver lives as long as the control thread, which outlives everybody who could hear the answer.
        let _ = self.events.send(event);
    }

    /// Whether the machine is halted, or part of it: [`Control::order`] may have to wait.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// What vCPU `index`, which calls, does next; waits while the machine is halted. `seen` counts its resets.
    pub(super) fn order(&self, index: usize, seen: &mut u64) -> Order {
        if !self.is_busy() {
            return Order::Run;
        }
        let mut state = self.lock();
        state.parked += 1;
        self.changed.notify_all();
        let order = loop {
            match state.phase {
                Phase::Running if !state.held.contains(&index) => break Order::Run,
                Phase::Stopped => break Order::Stop,
                Phase::Resetting if *seen != state.reset => {
                    *seen = state.reset;
                    break Order::Reset;
                }
                Phase::Running | Phase::Resetting | Phase::Parking => state = self.wait(state),
            }
        };
        state.parked -= 1;
        order
    }

    /// A vCPU has done what [`Order::Reset`] asked of it.
    pub(super) fn reset_done(&self) {
        self.lock().done += 1;
        self.changed.notify_all();
    }

    /// Halts the machine: returns when every vCPU is parked. `wake` gets them out of the guest.
    pub(super) fn park(&self, wake: impl FnOnce()) {
        let mut state = self.lock();
        self.enter(&mut state, Phase::Parking);
        drop(state);
        wake();
        let mut state = self.lock();
        while state.parked < self.vcpus {
            state = self.wait(state);
        }
    }

    /// Lets every parked vCPU reset itself, and parks it again. Reasons to halt from before are void.
    pub(super) fn reset(&self) {
        let mut state = self.lock();
        state.reset += 1;
        state.done = 0;
        self.enter(&mut state, Phase::Resetting);
        while state.done < self.vcpus {
            state = self.wait(state);
        }
        state.asked = false;
        self.enter(&mut state, Phase::Parking);
    }

    /// Lets every parked vCPU run, unless one gave a reason to halt that is still to be dealt with.
    pub(super) fn resume(&self) {
        let mut state = self.lock();
        if !state.asked {
            self.enter(&mut state, Phase::Running);
        }
    }

    /// A reason to halt has been dealt with.
    pub(super) fn settle(&self) {
        self.lock().asked = false;
    }

    /// From the next resume on, the vCPUs `held` stand still while others run.
    pub(super) fn hold(&self, held: BTreeSet<usize>) {
        self.lock().held = held;
    }

    /// The vCPUs that have no threads yet begin parked.
    pub(super) fn begin_parked(&self) {
        self.enter(&mut self.lock(), Phase::Parking);
    }

    /// Ends every vCPU thread. `wake` gets them out of the guest.
    pub(super) fn stop(&self, wake: impl FnOnce()) {
        self.enter(&mut self.lock(), Phase::Stopped);
        wake();
    }

    fn enter(&self, state: &mut State, phase: Phase) {
        state.phase = phase;
        self.busy.store(phase != Phase::Running || !state.held.is_empty(), Ordering::Release);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use super::*;

    /// Threads that follow orders as vCPU threads do; the guest is a counter.
    fn vcpus(control: &Arc<Control>, count: usize) -> (Arc<AtomicUsize>, Vec<thread::JoinHandle<u32>>) {
        let running = Arc::new(AtomicUsize::new(0));
        let spawn = |index| {
            let (control, running) = (Arc::clone(control), Arc::clone(&running));
            thread::spawn(move || {
                let (mut seen, mut resets) = (0, 0);
                loop {
                    match control.order(index, &mut seen) {
                        Order::Run => {
                            running.fetch_add(1, Ordering::SeqCst);
                            thread::yield_now();
                        }
                        Order::Reset => {
                            resets += 1;
                            control.reset_done();
                        }
                        Order::Stop => return resets,
                    }
                }
            })
        };
        let threads = (0..count).map(spawn).collect();
        (running, threads)
    }

    #[test]
    fn parked_vcpus_stand_still_and_each_resets_once() {
        let (control, _events) = Control::new(4);
        let control = Arc::new(control);
        let (running, threads) = vcpus(&control, 4);
        for _ in 0..100 {
            control.park(|| {});
            let before = running.load(Ordering::SeqCst);
            thread::yield_now();
            assert_eq!(running.load(Ordering::SeqCst), before, "a parked vCPU ran");
            control.reset();
            control.resume();
        }
        control.stop(|| {});
        let resets: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(resets, [100; 4]);
    }

    #[test]
    fn first_reason_to_halt_wins() {
        let (control, events) = Control::new(1);
        control.ask(Event::PowerOff);
        control.ask(Event::Reset(Cause::TripleFault));
        assert!(matches!(events.try_recv(), Ok(Event::PowerOff)));
        assert!(events.try_recv().is_err());
    }

    #[test]
    fn reason_to_halt_in_a_pause_is_heard_and_outlives_it() {
        let (control, events) = Control::new(0);
        control.park(|| {});
        control.ask(Event::PowerOff);
        control.resume();
        assert!(matches!(events.try_recv(), Ok(Event::PowerOff)));
        assert!(control.busy.load(Ordering::SeqCst), "runs on after its power-off");
    }

    #[test]
    fn reset_makes_earlier_reasons_to_halt_void() {
        let (control, _events) = Control::new(0);
        control.ask(Event::Reset(Cause::TripleFault));
        control.reset();
        control.resume();
        assert!(!control.busy.load(Ordering::SeqCst), "waits for nobody");
    }

    #[test]
    fn parked_vcpu_runs_after_the_pause_without_a_reset() {
        let (control, _events) = Control::new(1);
        let control = Arc::new(control);
        control.begin_parked();
        let (running, threads) = vcpus(&control, 1);
        control.park(|| {});
        assert_eq!(running.load(Ordering::SeqCst), 0, "ran before its start");
        control.resume();
        while running.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        control.stop(|| {});
        assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>(), 0);
    }

    #[test]
    fn held_vcpu_stands_still_while_another_runs() {
        let control = Control::new(2).0;
        control.begin_parked();
        control.hold([1].into());
        control.resume();
        assert_eq!(control.order(0, &mut 0), Order::Run);
        thread::scope(|scope| {
            let held = scope.spawn(|| control.order(1, &mut 0));
            thread::sleep(std::time::Duration::from_millis(20));
            assert!(!held.is_finished());
            control.stop(|| {});
            assert_eq!(held.join().unwrap(), Order::Stop);
        });
    }

    #[test]
    fn stopped_vcpu_ends() {
        let (control, _events) = Control::new(1);
        control.stop(|| {});
        assert_eq!(control.order(0, &mut 0), Order::Stop);
    }
}
