//! What the guest says of its memory. virtio 1.2, 5.5.6.3.
//!
//! The driver lends the device one buffer, full of numbers. To get newer ones the device gives it back, and the driver lends it
//! again.

use std::time::SystemTime;

use crate::{Broken, Buffers, Requests};

/// Numbers that a guest can tell.
pub const COUNT: usize = 10;

/// Numbers of a guest's memory, as far as it told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// By tag, in the order of the standard: bytes swapped in and out, faults with and without the disk, bytes free, in all,
    /// available and cached, huge pages given out and not. virtio 1.2, 5.5.6.4.
    pub values: [Option<u64>; COUNT],
    /// When it told.
    pub updated: Option<SystemTime>,
}

/// Where the buffer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Buffer {
    /// The driver fills it.
    #[default]
    Driver,
    /// Here, and read.
    Here,
    /// Here, to be given back: newer numbers are wanted.
    Wanted,
}

impl Buffer {
    /// Newer numbers are wanted. If the driver is at it, these are.
    pub(super) fn want(&mut self) {
        if *self == Self::Here {
            *self = Self::Wanted;
        }
    }

    /// Serves the queue; calls `tell` with what the guest says, once for each time that it does.
    pub(super) fn serve(
        &mut self,
        requests: &mut Requests<'_>,
        mut tell: impl FnMut(Statistics),
    ) -> Result<(), Broken> {
        while let Some(request) = requests.next()? {
            match self {
                Self::Driver => tell(Statistics::read(&request.chain.readable)),
                Self::Here => {}
                Self::Wanted => {
                    requests.complete(&request, 0)?;
                    *self = Self::Driver;
                    continue;
                }
            }
            *self = Self::Here;
            requests.put_back(1);
            return Ok(());
        }
        Ok(())
    }
}

impl Statistics {
    /// Numbers that are none of ours are nothing, as is what hangs over.
    fn read(buffers: &Buffers<'_>) -> Self {
        /// A tag and a value.
        const ENTRY: usize = 2 + 8;
        /// More than there are tags: later standards have some.
        const MOST: usize = 32;
        let mut bytes = [0; ENTRY * MOST];
        let len = buffers.copy_to(&mut bytes);
        let mut values = [None; COUNT];
        for entry in bytes.get(..len).unwrap_or_default().chunks_exact(ENTRY) {
            let Some((tag, value)) = entry.split_first_chunk() else { continue };
            let place = values.get_mut(usize::from(u16::from_le_bytes(*tag)));
            if let (Some(place), Some(value)) = (place, value.first_chunk()) {
                *place = Some(u64::from_le_bytes(*value));
            }
        }
        Self { values, updated: Some(SystemTime::now()) }
    }
}
