//! Raw images past the page cache, where the kernel can do without imago.

use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd};

use crate::Operation;

/// The file of a raw image that is open for direct I/O, and what that wants to be aligned.
pub(super) struct Direct {
    pub(super) file: File,
    /// Bytes, of offsets and lengths.
    pub(super) block: usize,
    /// Bytes, of addresses in memory.
    pub(super) memory: usize,
}

impl Direct {
    /// The file, if all of `operation` is aligned; imago makes the best of the others.
    pub(super) fn file_for(&self, operation: &Operation<'_>) -> Option<BorrowedFd<'_>> {
        let offset = match operation {
            Operation::Read { offset, .. } | Operation::Write { offset, .. } => *offset,
            Operation::Flush => 0,
        };
        let aligned = operation.slices().iter().all(|slice| {
            let address = slice.ptr_guard().as_ptr().addr();
            slice.len().is_multiple_of(self.block) && address.is_multiple_of(self.memory)
        });
        (aligned && offset.is_multiple_of(self.block as u64)).then(|| self.file.as_fd())
    }
}
