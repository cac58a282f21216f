//! Accesses to a BAR that are for the MSI-X table or the pending bits, and never reach the function.

use bus::Access;

use super::ConfigSpace;
use crate::interrupts::Interrupts;

/// What an access to a BAR hits; offsets are from the beginning of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MsixAccess {
    Table(Access),
    Pending(Access),
}

impl ConfigSpace {
    /// What of MSI-X an access to BAR `bar` is for, if any.
    pub(crate) fn msix_access(&self, bar: usize, at: Access) -> Option<MsixAccess> {
        let layout = self.msix.as_ref().filter(|layout| layout.bar == bar)?;
        let within = |start: u32, len: u64| {
            let offset = at.offset.checked_sub(start.into())?;
            (offset + at.width.len() <= len).then_some(Access { offset, ..at })
        };
        let vectors = u64::from(layout.vectors);
        let table = within(layout.table, vectors * 16).map(MsixAccess::Table);
        table.or_else(|| within(layout.pending, vectors.div_ceil(64) * 8).map(MsixAccess::Pending))
    }
}

impl MsixAccess {
    pub(crate) fn read(self, interrupts: &Interrupts) -> u64 {
        match self {
            Self::Table(at) => interrupts.read_table(at),
            Self::Pending(at) => interrupts.read_pending(at),
        }
    }

    /// Pending bits are read-only.
    pub(crate) fn write(self, interrupts: &Interrupts, value: u64) {
        if let Self::Table(at) = self {
            interrupts.write_table(at, value);
        }
    }
}
