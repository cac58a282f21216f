//! Guest memory on its way to another thread.
#![expect(
    unsafe_code,
    reason = "vm-memory gives slices to any thread, but lets none pass from one to another"
)]

use std::ops::Deref;

use vm_memory::VolatileSlice;

/// Pieces of guest memory that follow each other in a transfer.
#[derive(Debug, Default)]
pub struct Slices<'m>(Vec<VolatileSlice<'m>>);

// SAFETY: a `VolatileSlice` is a pointer and a length of memory that is there for 'm. That is no thread's own: several make
// slices of the same `GuestMemoryMmap`, which is `Sync`, and the guest writes it meanwhile. So all access is volatile or by
// system call, whichever thread has the slice.
unsafe impl Send for Slices<'_> {}

impl<'m> From<Vec<VolatileSlice<'m>>> for Slices<'m> {
    fn from(slices: Vec<VolatileSlice<'m>>) -> Self {
        Self(slices)
    }
}

impl<'m> Deref for Slices<'m> {
    type Target = [VolatileSlice<'m>];

    fn deref(&self) -> &[VolatileSlice<'m>] {
        &self.0
    }
}
