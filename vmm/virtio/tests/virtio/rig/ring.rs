//! The driver's side of a split queue. virtio 1.2, 2.7.

use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

pub(crate) const NEXT: u16 = 1;
pub(crate) const WRITE: u16 = 2;
pub(crate) const INDIRECT: u16 = 4;

/// A piece of memory in a request: address and length.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Buffer {
    /// The device reads it.
    Out(u64, u32),
    /// The device writes it.
    In(u64, u32),
}

/// A descriptor, as it stands in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptor {
    pub(crate) address: u64,
    pub(crate) len: u32,
    pub(crate) flags: u16,
    pub(crate) next: u16,
}

impl Descriptor {
    pub(crate) fn new(buffer: Buffer) -> Self {
        let (address, len, flags) = match buffer {
            Buffer::Out(address, len) => (address, len, 0),
            Buffer::In(address, len) => (address, len, WRITE),
        };
        Self { address, len, flags, next: 0 }
    }

    fn bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.address.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.len.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.flags.to_le_bytes());
        bytes[14..].copy_from_slice(&self.next.to_le_bytes());
        bytes
    }
}

/// Descriptors for `buffers`, chained, the first at index `first` of its table.
pub(crate) fn chain(buffers: &[Buffer], first: u16) -> Vec<Descriptor> {
    let mut descriptors: Vec<_> = buffers.iter().map(|&buffer| Descriptor::new(buffer)).collect();
    let last = descriptors.len() - 1;
    for (descriptor, next) in descriptors[..last].iter_mut().zip(first + 1..) {
        descriptor.flags |= NEXT;
        descriptor.next = next;
    }
    descriptors
}

/// A driver's queue. Descriptors are handed out in a circle: enough for tests that wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    pub(crate) size: u16,
    pub(crate) descriptors: u64,
    pub(crate) avail: u64,
    pub(crate) used: u64,
    pub(crate) next: u16,
    pub(crate) avail_index: u16,
    pub(crate) used_index: u16,
}

impl Ring {
    /// A ring of `size` entries with its three parts at `address`, a page apart (4 pages for the table).
    pub(crate) fn new(size: u16, address: u64) -> Self {
        let [descriptors, avail, used] = [0, 0x4000, 0x5000].map(|offset| address + offset);
        Self { size, descriptors, avail, used, next: 0, avail_index: 0, used_index: 0 }
    }

    /// Makes a chain available; returns its head.
    pub(crate) fn add(&mut self, memory: &GuestMemoryMmap, buffers: &[Buffer]) -> u16 {
        let count = buffers.len() as u16;
        if self.next + count > self.size {
            self.next = 0;
        }
        let head = self.next;
        self.next += count;
        self.store_table(memory, head, &chain(buffers, head));
        self.add_head(memory, head);
        head
    }

    /// Makes a chain available whose descriptors are in an indirect table at `table`.
    pub(crate) fn add_indirect(&mut self, memory: &GuestMemoryMmap, table: u64, buffers: &[Buffer]) {
        store(memory, table, &chain(buffers, 0));
        let len = 16 * buffers.len() as u32;
        self.store_table(memory, 0, &[Descriptor { address: table, len, flags: INDIRECT, next: 0 }]);
        self.add_head(memory, 0);
    }

    /// Stores descriptors from index `first` on.
    pub(crate) fn store_table(&self, memory: &GuestMemoryMmap, first: u16, descriptors: &[Descriptor]) {
        store(memory, self.descriptors + 16 * u64::from(first), descriptors);
    }

    /// Makes the chain that begins with descriptor `head` available, whatever it is.
    pub(crate) fn add_head(&mut self, memory: &GuestMemoryMmap, head: u16) {
        self.write(memory, self.avail + 4 + 2 * u64::from(self.avail_index % self.size), head);
        self.avail_index = self.avail_index.wrapping_add(1);
        self.set_avail_index(memory, self.avail_index);
    }

    pub(crate) fn set_avail_index(&self, memory: &GuestMemoryMmap, index: u16) {
        self.write(memory, self.avail + 2, index);
    }

    /// The driver's flags: bit 0, no interrupt.
    pub(crate) fn set_avail_flags(&self, memory: &GuestMemoryMmap, flags: u16) {
        self.write(memory, self.avail, flags);
    }

    /// The used index that the driver wants to hear of.
    pub(crate) fn set_used_event(&self, memory: &GuestMemoryMmap, index: u16) {
        self.write(memory, self.avail + 4 + 2 * u64::from(self.size), index);
    }

    /// The available index that the device wants to hear of.
    pub(crate) fn avail_event(&self, memory: &GuestMemoryMmap) -> u16 {
        read(memory, self.used + 4 + 8 * u64::from(self.size))
    }

    /// The device's flags: bit 0, no kicks.
    pub(crate) fn used_flags(&self, memory: &GuestMemoryMmap) -> u16 {
        read(memory, self.used)
    }

    pub(crate) fn has_used(&self, memory: &GuestMemoryMmap) -> bool {
        read::<u16>(memory, self.used + 2) != self.used_index
    }

    /// The next used entry: id and length.
    pub(crate) fn take_used(&mut self, memory: &GuestMemoryMmap) -> (u32, u32) {
        let entry = self.used + 4 + 8 * u64::from(self.used_index % self.size);
        self.used_index = self.used_index.wrapping_add(1);
        (read(memory, entry), read(memory, entry + 4))
    }

    fn write(&self, memory: &GuestMemoryMmap, address: u64, value: u16) {
        let _ = memory.store(value, GuestAddress(address), std::sync::atomic::Ordering::SeqCst);
    }
}

fn store(memory: &GuestMemoryMmap, address: u64, descriptors: &[Descriptor]) {
    let bytes: Vec<u8> = descriptors.iter().flat_map(|descriptor| descriptor.bytes()).collect();
    let _ = memory.write_slice(&bytes, GuestAddress(address));
}

fn read<T: vm_memory::ByteValued + Default>(memory: &GuestMemoryMmap, address: u64) -> T {
    memory.read_obj(GuestAddress(address)).unwrap_or_default()
}
