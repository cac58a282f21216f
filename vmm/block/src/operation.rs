//! What can be asked of a disk and take its time.

use vm_memory::VolatileSlice;

use crate::slices::Slices;
use crate::{Backend, Error};

/// One transfer or flush, with the guest memory that it needs.
#[derive(Debug)]
pub enum Operation<'m> {
    /// As [`Backend::read`].
    Read {
        /// First byte on the disk.
        offset: u64,
        /// What is filled.
        to: Slices<'m>,
    },
    /// As [`Backend::write`].
    Write {
        /// First byte on the disk.
        offset: u64,
        /// What is written.
        from: Slices<'m>,
        /// What is written survives a power cut of the host as soon as the operation is done.
        durable: bool,
    },
    /// As [`Backend::flush`].
    Flush,
}

impl<'m> Operation<'m> {
    /// Fills `to` from byte `offset` on.
    #[must_use]
    pub fn read(offset: u64, to: Vec<VolatileSlice<'m>>) -> Self {
        Self::Read { offset, to: to.into() }
    }

    /// Writes `from` to byte `offset` on; `durable`, so that it survives a power cut without a flush.
    #[must_use]
    pub fn write(offset: u64, from: Vec<VolatileSlice<'m>>, durable: bool) -> Self {
        Self::Write { offset, from: from.into(), durable }
    }

    /// Carries it out, and returns when it is done.
    ///
    /// # Errors
    /// Those of the backend's calls.
    pub fn carry_out(&self, backend: &dyn Backend) -> Result<(), Error> {
        match self {
            Self::Read { offset, to } => backend.read(*offset, to),
            Self::Write { offset, from, durable } => {
                backend.write(*offset, from)?;
                if *durable { backend.flush() } else { Ok(()) }
            }
            Self::Flush => backend.flush(),
        }
    }

    /// The guest memory that it needs.
    pub(crate) fn slices(&self) -> &[VolatileSlice<'m>] {
        match self {
            Self::Read { to: slices, .. } | Self::Write { from: slices, .. } => slices,
            Self::Flush => &[],
        }
    }
}
