//! The ports.

use std::collections::BTreeMap;

use bus::{Access, Device, Refused, Width};
use vm_memory::GuestMemoryMmap;

use super::contents::{Contents, Entries};
use super::spec::{DATA, DMA_HIGH, DMA_LOW, DMA_SIGNATURE, Key, PORT_BASE, PORT_COUNT, SELECTOR};

/// The ports to put the device at.
pub const PORTS: std::ops::Range<u64> = PORT_BASE..PORT_BASE + PORT_COUNT;

/// The device: [`Contents`] behind three registers.
pub struct FwCfg {
    pub(super) entries: Entries,
    pub(super) memory: GuestMemoryMmap,
    pub(super) state: State,
}

/// What the guest can change.
#[derive(Default)]
pub(super) struct State {
    /// What reads refer to; at power-on the signature.
    pub(super) key: Key,
    /// The next byte of it; never beyond its end.
    pub(super) offset: usize,
    /// Both halves, as far as they are written.
    pub(super) dma_address: u64,
    /// Writable entries that the guest did write, in full.
    pub(super) written: BTreeMap<Key, Vec<u8>>,
}

impl FwCfg {
    /// Serves `contents`; descriptors and buffers are looked for in `memory`.
    #[must_use]
    pub fn new(contents: Contents, memory: GuestMemoryMmap) -> Self {
        Self { entries: contents.finish(), memory, state: State::default() }
    }

    /// Selecting, also the same key again, is the only way back to the first byte.
    pub(super) fn select(&mut self, key: Key) {
        self.state.key = key;
        self.state.offset = 0;
    }

    /// All bytes of the selected entry; none if there is no such entry.
    pub(super) fn selected(&self) -> &[u8] {
        let State { key, written, .. } = &self.state;
        let original = || self.entries.get(key).map(|entry| &entry.data);
        written.get(key).or_else(original).map_or(&[], Vec::as_slice)
    }

    /// The bytes of the selected entry that are still to be read.
    pub(super) fn rest(&self) -> &[u8] {
        self.selected().get(self.state.offset..).unwrap_or_default()
    }

    /// Moves the offset, at most to the end.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.state.offset += bytes.min(self.rest().len());
    }

    /// The data port: past the end there are zeros.
    fn next_byte(&mut self) -> u8 {
        let byte = self.rest().first().copied().unwrap_or(0);
        self.advance(1);
        byte
    }
}

impl Device for FwCfg {
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        match (at.offset, at.width) {
            (SELECTOR | DATA, Width::Byte) => Ok(self.next_byte().into()),
            // The selector cannot be read back. QEMU answers zero here, not all ones.
            (SELECTOR, Width::Word) => Ok(0),
            (DMA_HIGH.., _) => Ok(signature(at.offset - DMA_HIGH)),
            _ => Err(Refused),
        }
    }

    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        match (at.offset, at.width) {
            (SELECTOR, Width::Word) => self.select(Key::from_selector(value as u16)),
            // QEMU 2.4 took away writing through the data port; old drivers may still try.
            (SELECTOR | DATA, Width::Byte) => {}
            (DMA_HIGH, Width::Dword) => self.state.dma_address = big_endian(value) << 32,
            (DMA_LOW, Width::Dword) => {
                self.state.dma_address |= big_endian(value);
                self.transfer();
            }
            (DMA_HIGH, Width::Qword) => {
                self.state.dma_address = value.swap_bytes();
                self.transfer();
            }
            _ => return Err(Refused),
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.state = State::default();
    }
}

/// The signature from byte `first` on, as the little-endian number a port read makes of it.
fn signature(first: u64) -> u64 {
    u64::from_le_bytes(DMA_SIGNATURE) >> (8 * first)
}

/// A 32-bit register that the guest writes big-endian.
fn big_endian(value: u64) -> u64 {
    (value as u32).swap_bytes().into()
}
