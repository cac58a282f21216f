//! A pair of queues from the driver's side.

use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// A command: 16 dwords.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Command(pub(crate) [u32; 16]);

impl Command {
    pub(crate) fn new(opcode: u8) -> Self {
        let mut words = [0; 16];
        words[0] = opcode.into();
        Self(words)
    }

    /// A command of the first namespace for `blocks` blocks from `first` on.
    pub(crate) fn io(opcode: u8, first: u64, blocks: u32) -> Self {
        let command = Self::new(opcode).namespace(1).cdw10(first as u32).cdw11((first >> 32) as u32);
        command.word(12, blocks - 1)
    }

    pub(crate) fn word(mut self, index: usize, value: u32) -> Self {
        self.0[index] = value;
        self
    }

    pub(crate) fn namespace(self, id: u32) -> Self {
        self.word(1, id)
    }

    pub(crate) fn prp(self, first: u64) -> Self {
        self.word(6, first as u32).word(7, (first >> 32) as u32)
    }

    pub(crate) fn prp2(self, second: u64) -> Self {
        self.word(8, second as u32).word(9, (second >> 32) as u32)
    }

    /// An SGL descriptor instead of PRPs.
    pub(crate) fn sgl(self, identifier: u8, address: u64, len: u32) -> Self {
        let psdt = self.0[0] | 1 << 14;
        self.word(0, psdt).prp(address).word(8, len).word(9, u32::from(identifier) << 24)
    }

    pub(crate) fn cdw10(self, value: u32) -> Self {
        self.word(10, value)
    }

    pub(crate) fn cdw11(self, value: u32) -> Self {
        self.word(11, value)
    }
}

/// A completion, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    pub(crate) result: u32,
    pub(crate) submission_head: u16,
    pub(crate) queue: u16,
    pub(crate) id: u16,
    /// Type and code, without "do not retry".
    pub(crate) status: u16,
    pub(crate) do_not_retry: bool,
}

/// A submission queue and its completion queue.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) id: u16,
    submissions: u64,
    completions: u64,
    entries: u16,
    pub(crate) tail: u16,
    pub(crate) head: u16,
    phase: bool,
    next_id: u16,
}

impl Queue {
    pub(crate) fn new(id: u16, submissions: u64, completions: u64, entries: u16) -> Self {
        Self { id, submissions, completions, entries, tail: 0, head: 0, phase: true, next_id: 0x1000 }
    }

    /// Writes a command to the queue, without ringing; returns its id.
    pub(crate) fn submit(&mut self, memory: &GuestMemoryMmap, mut command: Command) -> u16 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        command.0[0] |= u32::from(id) << 16;
        let bytes: Vec<u8> = command.0.iter().flat_map(|word| word.to_le_bytes()).collect();
        memory.write_slice(&bytes, GuestAddress(self.submissions + u64::from(self.tail) * 64)).unwrap();
        self.tail = (self.tail + 1) % self.entries;
        id
    }

    /// The next completion, if it is there.
    pub(crate) fn peek(&self, memory: &GuestMemoryMmap) -> Option<Completion> {
        let at = self.completions + u64::from(self.head) * 16;
        let last: u32 = memory.load(GuestAddress(at + 12), std::sync::atomic::Ordering::Acquire).unwrap();
        let mut words = [0_u32; 3];
        for (word, at) in words.iter_mut().zip((at..).step_by(4)) {
            *word = memory.read_obj(GuestAddress(at)).unwrap();
        }
        (last >> 16 & 1 == u32::from(self.phase)).then_some(Completion {
            result: words[0],
            submission_head: words[2] as u16,
            queue: (words[2] >> 16) as u16,
            id: last as u16,
            status: (last >> 17) as u16 & 0x7ff,
            do_not_retry: last >> 31 != 0,
        })
    }

    /// Consumes the next completion, without telling the controller.
    pub(crate) fn take(&mut self, memory: &GuestMemoryMmap) -> Completion {
        let completion = self.peek(memory).unwrap();
        self.head = (self.head + 1) % self.entries;
        self.phase ^= self.head == 0;
        completion
    }
}
