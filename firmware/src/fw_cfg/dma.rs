//! Transfers between an entry and guest memory.
//!
//! A transfer is over when the port write that started it returns. It costs one copy, and zeros for what the guest asks
//! for beyond the end of the entry: both at most as long as the guest's own memory, because a buffer that does not lie in
//! it as a whole is refused before the first byte is moved.

use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};

use super::device::FwCfg;
use super::spec::{DmaControl, DmaDescriptor, Key};

/// The error bit; the standard does not tell reasons apart.
struct Failed;

/// Where a descriptor wants its bytes, known to be memory.
#[derive(Clone, Copy)]
struct Buffer {
    address: GuestAddress,
    len: usize,
}

impl FwCfg {
    /// Carries out the descriptor at the DMA address, which is zero afterwards: the next guest that writes only the low
    /// half means an address below 4 GiB.
    pub(super) fn transfer(&mut self) {
        let at = GuestAddress(std::mem::take(&mut self.state.dma_address));
        let outcome = self.fetch(at).and_then(|descriptor| self.execute(descriptor));
        self.report(at, DmaControl::new().with_error(outcome.is_err()));
    }

    fn fetch(&self, at: GuestAddress) -> Result<DmaDescriptor, Failed> {
        let mut bytes = [0; size_of::<DmaDescriptor>()];
        self.memory.read_slice(&mut bytes, at).map_err(|_| Failed)?;
        Ok(zerocopy::transmute!(bytes))
    }

    /// Stores the final control word, unless the descriptor is so far out that there is nobody to tell.
    fn report(&self, at: GuestAddress, control: DmaControl) {
        let bytes = control.into_bits().to_be_bytes();
        if self.memory.check_range(at, bytes.len()) {
            let _ = self.memory.write_slice(&bytes, at);
        }
    }

    /// One operation at most: a guest that sets several bits gets the first of READ, WRITE, SKIP.
    fn execute(&mut self, descriptor: DmaDescriptor) -> Result<(), Failed> {
        let control = DmaControl::from_bits(descriptor.control.get());
        if control.select() {
            self.select(Key::from_selector(control.key()));
        }
        if control.read() {
            self.read_entry(self.buffer(descriptor)?)
        } else if control.write() {
            self.write_entry(self.buffer(descriptor)?)
        } else if control.skip() {
            self.advance(descriptor.length.get() as usize);
            Ok(())
        } else {
            Ok(())
        }
    }

    fn buffer(&self, descriptor: DmaDescriptor) -> Result<Buffer, Failed> {
        let address = GuestAddress(descriptor.address.get());
        let len = descriptor.length.get() as usize;
        if self.memory.check_range(address, len) { Ok(Buffer { address, len }) } else { Err(Failed) }
    }

    /// What the entry has, then zeros.
    fn read_entry(&mut self, to: Buffer) -> Result<(), Failed> {
        let rest = self.rest();
        let data = rest.get(..to.len).unwrap_or(rest);
        let copied = data.len();
        self.memory.write_slice(data, to.address).map_err(|_| Failed)?;
        self.fill(to, copied)?;
        self.advance(copied);
        Ok(())
    }

    /// Zeros in `to`, but for its first `done` bytes.
    fn fill(&self, to: Buffer, done: usize) -> Result<(), Failed> {
        const ZEROS: &[u8] = &[0; 64 << 10];
        for at in (done..to.len).step_by(ZEROS.len()) {
            let zeros = ZEROS.get(..to.len - at).unwrap_or(ZEROS);
            let address = GuestAddress(to.address.0 + at as u64);
            self.memory.write_slice(zeros, address).map_err(|_| Failed)?;
        }
        Ok(())
    }

    /// All of the buffer or nothing, and only over bytes that are there: an entry never grows.
    fn write_entry(&mut self, from: Buffer) -> Result<(), Failed> {
        if from.len == 0 {
            return Ok(());
        }
        let key = self.state.key;
        let entry = self.entries.get(&key).filter(|entry| entry.writable).ok_or(Failed)?;
        let end = self.state.offset + from.len;
        let data = self.state.written.entry(key).or_insert_with(|| entry.data.clone());
        let target = data.get_mut(self.state.offset..end).ok_or(Failed)?;
        self.memory.read_slice(target, from.address).map_err(|_| Failed)?;
        self.advance(from.len);
        Ok(())
    }
}
