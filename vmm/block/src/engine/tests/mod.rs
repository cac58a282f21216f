//! Both engines on files, and on backends that watch them.

mod files;
mod order;

use std::collections::VecDeque;
use std::sync::Arc;

use vm_memory::{MmapRegion, VolatileMemory, VolatileSlice};

use super::*;

/// Bytes in a page: what transfers of these tests move.
const PAGE: usize = 4096;

/// Operations in their order, which are known by their number; and what became of them.
struct Script<'m, 'd> {
    todo: VecDeque<Operation<'m>>,
    taken: usize,
    under_way: usize,
    /// Most that were under way at a time.
    most: usize,
    /// Number and result, in the order in which they were done.
    done: Vec<(usize, Result<(), Error>)>,
    /// Called as each of them is done.
    when_done: Box<dyn FnMut(usize) + 'd>,
}

impl<'m, 'd> Script<'m, 'd> {
    fn new(todo: impl IntoIterator<Item = Operation<'m>>) -> Self {
        Self::watched(todo, |_| {})
    }

    fn watched(todo: impl IntoIterator<Item = Operation<'m>>, when_done: impl FnMut(usize) + 'd) -> Self {
        let todo = todo.into_iter().collect();
        Self { todo, taken: 0, under_way: 0, most: 0, done: Vec::new(), when_done: Box::new(when_done) }
    }

    /// What became of operation `number`.
    fn result(&self, number: usize) -> &Result<(), Error> {
        let mut results = self.done.iter().filter(|(done, _)| *done == number).map(|(_, result)| result);
        let result = results.next().expect("it is done");
        assert!(results.next().is_none(), "and once");
        result
    }

    fn assert_all_well(&self) {
        assert_eq!(self.done.len(), self.taken);
        (0..self.taken).for_each(|number| assert!(self.result(number).is_ok(), "{number}"));
    }
}

impl<'m> Work<'m> for Script<'m, '_> {
    type Token = usize;

    fn next(&mut self) -> Option<(Operation<'m>, usize)> {
        let operation = self.todo.pop_front()?;
        self.taken += 1;
        self.under_way += 1;
        self.most = self.most.max(self.under_way);
        Some((operation, self.taken - 1))
    }

    fn done(&mut self, number: usize, result: Result<(), Error>) {
        self.under_way -= 1;
        self.done.push((number, result));
        (self.when_done)(number);
    }
}

/// Whether this host has what an engine needs; containers often have no io_uring.
fn is_here(kind: EngineKind) -> bool {
    kind == EngineKind::Threads || probe_io_uring().is_ok()
}

/// `count` pages as a guest has them.
fn memory(count: usize) -> MmapRegion {
    MmapRegion::new(count * PAGE).unwrap()
}

/// Page `index` of it.
fn page(memory: &MmapRegion, index: usize) -> VolatileSlice<'_> {
    memory.get_slice(index * PAGE, PAGE).unwrap()
}

/// Page `index` of it filled with `byte`.
fn filled(memory: &MmapRegion, index: usize, byte: u8) -> VolatileSlice<'_> {
    let page = page(memory, index);
    page.copy_from(&[byte; PAGE]);
    page
}

fn bytes(slice: &VolatileSlice<'_>) -> Vec<u8> {
    let mut bytes = vec![0xff; slice.len()];
    slice.copy_to(&mut bytes);
    bytes
}

/// Page `index` of a disk, in bytes from its start.
fn place(index: usize) -> u64 {
    (index * PAGE) as u64
}
