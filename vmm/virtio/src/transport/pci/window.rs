//! The configuration access window: BARs by way of configuration space. virtio 1.2, 4.1.4.9.

use bus::{Access, Width};
use pcie::ConfigSpace;

use super::spec;

/// Where the window is in configuration space.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Byte offset of its capability.
    pub(super) at: u64,
}

/// An access that the driver made through the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Windowed {
    pub(super) bar: usize,
    pub(super) access: Access,
}

impl Window {
    /// Whether an access touches the window's data.
    pub(super) fn is_data(self, at: Access) -> bool {
        let data = self.at + spec::WINDOW_DATA;
        at.offset < data + 4 && data < at.offset + at.width.len()
    }

    /// The access that the window's registers describe, if it is one: 1, 2 or 4 bytes, aligned.
    pub(super) fn target(self, config: &mut ConfigSpace) -> Option<Windowed> {
        let mut read = |offset, width| config.read(Access { offset: self.at + offset, width });
        let (bar, offset, len) = (read(4, Width::Byte), read(8, Width::Dword), read(12, Width::Dword));
        let width = Width::from_len(usize::try_from(len).ok()?).filter(|&width| width != Width::Qword)?;
        let access = Access { offset, width };
        offset.is_multiple_of(width.len()).then_some(Windowed { bar: bar as usize, access })
    }

    /// What the driver wrote to the window's data.
    pub(super) fn data(self, config: &mut ConfigSpace, width: Width) -> u64 {
        config.read(Access { offset: self.at + spec::WINDOW_DATA, width })
    }

    /// Shows `value` in the window's data.
    pub(super) fn show(self, config: &mut ConfigSpace, value: u64) {
        let data = Access { offset: self.at + spec::WINDOW_DATA, width: Width::Dword };
        config.write(data, value);
    }
}
