//! Completion queues. NVMe 1.4, 4.1 and 4.6.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vm_memory::{Bytes, GuestAddress, GuestMemoryError};
use zerocopy::{IntoBytes, transmute};

use super::Ring;
use crate::doorbell::{Doorbell, Refusal};
use crate::drive::Drive;
use crate::session::Session;
use crate::spec::command::{COMPLETION_LEN, Completion};

/// A completion queue, shared by the workers of the submission queues that use it.
pub(crate) struct CompletionQueue {
    drive: Arc<Drive>,
    session: Arc<Session>,
    id: u16,
    ring: Ring,
    /// What announces its entries, if the driver wants them announced.
    vector: Option<u16>,
    state: Mutex<State>,
}

struct State {
    /// The next entry to fill.
    tail: u16,
    /// The first entry that the driver has not consumed, as far as we have looked.
    head: u16,
    /// The phase of the entries that are filled now.
    phase: bool,
    /// Entries promised to commands in flight.
    reserved: u16,
    /// Entries were filled since the last interrupt.
    unannounced: bool,
    /// They were not announced because the driver had masked the vector.
    held: bool,
}

/// An entry promised to a command. Dropping it gives it back.
pub(crate) struct Slot<'q>(&'q CompletionQueue);

impl CompletionQueue {
    /// Takes the queue into use; its doorbell works from now on, until it is dropped.
    pub(crate) fn new(
        drive: &Arc<Drive>,
        session: &Arc<Session>,
        id: u16,
        ring: Ring,
        vector: Option<u16>,
    ) -> Self {
        let state = State { tail: 0, head: 0, phase: true, reserved: 0, unannounced: false, held: false };
        let queue = Self {
            drive: Arc::clone(drive),
            session: Arc::clone(session),
            id,
            ring,
            vector,
            state: Mutex::new(state),
        };
        if let Some(doorbell) = queue.doorbell() {
            doorbell.open(ring.entries());
        }
        queue
    }

    /// The first entry that the driver has not consumed, as far as we have looked.
    pub(crate) fn head(&self) -> u16 {
        self.lock().head
    }

    /// Promises an entry, if one is free.
    pub(crate) fn reserve(&self) -> Option<Slot<'_>> {
        let mut state = self.lock();
        if self.free(&state) == 0 {
            self.look_at_head(&mut state);
            // There will be no need to look again before the driver has come round to the entry before this one.
            self.want_ring_after(self.ring.before(state.head));
        }
        (self.free(&state) > 0).then(|| {
            state.reserved += 1;
            Slot(self)
        })
    }

    /// Whether no entry is free although the driver has been asked to ring when one is.
    pub(crate) fn is_full_for(&self, submission: u16) -> bool {
        let mut state = self.lock();
        self.session.starve(self.id, submission);
        self.want_ring_after(state.head);
        self.look_at_head(&mut state);
        self.free(&state) == 0
    }

    /// Announces what was filled since the last time, unless the driver masked the vector. When it no longer does, it may have
    /// found the entries without us. NVMe 1.4, 7.5.1.
    pub(crate) fn interrupt(&self) {
        let Some(vector) = self.vector else { return };
        let mut state = self.lock();
        if !state.unannounced {
            return;
        }
        if self.session.masks(vector) {
            state.held = true;
            return;
        }
        state.unannounced = false;
        if std::mem::take(&mut state.held) {
            self.look_at_head(&mut state);
            if state.head == state.tail {
                return;
            }
        }
        drop(state);
        self.drive.interrupts.raise(vector);
    }

    fn free(&self, state: &State) -> u16 {
        let used = self.ring.distance(state.head, state.tail);
        (self.ring.entries() - 1).saturating_sub(used + state.reserved)
    }

    /// Sees how far the driver has come; it cannot be beyond what there is.
    fn look_at_head(&self, state: &mut State) {
        let Some(doorbell) = self.doorbell() else { return };
        let value = doorbell.value(&self.drive.memory);
        let head = u16::try_from(value).ok().filter(|head| {
            *head < self.ring.entries()
                && self.ring.distance(state.head, *head) <= self.ring.distance(state.head, state.tail)
        });
        match head {
            Some(head) => state.head = head,
            None => self.session.refuse(&self.drive, Refusal::Value),
        }
    }

    fn want_ring_after(&self, index: u16) {
        if let Some(doorbell) = self.doorbell() {
            doorbell.want_ring_after(&self.drive.memory, index);
        }
    }

    fn post(&self, mut completion: Completion) {
        let mut state = self.lock();
        completion.status |= u16::from(state.phase);
        if self.write(self.ring.entry(state.tail, COMPLETION_LEN), completion).is_err() {
            self.session.fail();
        }
        state.tail = self.ring.after(state.tail);
        state.phase ^= state.tail == 0;
        state.unannounced = true;
    }

    /// Writes an entry so that its phase, in the last dword, is seen last.
    fn write(&self, at: GuestAddress, completion: Completion) -> Result<(), GuestMemoryError> {
        let words: [u32; 4] = transmute!(completion);
        let [first @ .., last] = words;
        self.drive.memory.write_slice(first.as_bytes(), at)?;
        self.drive.memory.store(last, GuestAddress(at.0 + COMPLETION_LEN - 4), Ordering::Release)
    }

    fn doorbell(&self) -> Option<&Doorbell> {
        self.session.completion(self.id)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CompletionQueue {
    fn drop(&mut self) {
        if let Some(doorbell) = self.doorbell() {
            doorbell.close();
        }
    }
}

impl Slot<'_> {
    /// Fills the entry, all but its phase.
    pub(crate) fn fill(self, completion: Completion) {
        self.0.post(completion);
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.lock().reserved -= 1;
    }
}
