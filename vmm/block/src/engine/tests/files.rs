//! What is read and written, on files, with and without the page cache.

use proptest::prelude::*;
use rstest::rstest;
use tempfile::NamedTempFile;

use super::*;
use crate::{Cached, Format, OpenMode, OpenOptions, ResizeError, SECTOR, open};

/// Pages of each disk.
const PAGES: usize = 48;

/// A disk whose page n is filled with n, and its file.
fn disk(kind: EngineKind, cached: Cached) -> (Engine, NamedTempFile) {
    let file = NamedTempFile::new_in("/var/tmp").unwrap(); // /tmp may be in memory, without direct I/O
    let contents: Vec<u8> = (0..PAGES).flat_map(|page| [page as u8; PAGE]).collect();
    std::fs::write(&file, contents).unwrap();
    (engine(kind, cached, Some(Format::Raw), OpenMode::ReadWrite, &file), file)
}

fn engine(
    kind: EngineKind,
    cached: Cached,
    format: Option<Format>,
    mode: OpenMode,
    file: &NamedTempFile,
) -> Engine {
    let options = OpenOptions { format, mode, cached, snapshot: false, backing_dir: None };
    let backend = open(file.path(), &options).unwrap();
    assert!(aio::is_plain(&*backend));
    Engine::new(backend, kind)
}

/// What a test asks for, page by page.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Read,
    Write { byte: u8, durable: bool },
    Flush,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => Just(Deed::Read),
        3 => any::<(u8, bool)>().prop_map(|(byte, durable)| Deed::Write { byte, durable }),
        1 => Just(Deed::Flush),
    ]
}

/// Batches of deeds, each with a page of its own, for between deeds of a batch there is no order.
fn batches() -> impl Strategy<Value = Vec<Vec<(usize, Deed)>>> {
    let pages = Just((0..PAGES).collect::<Vec<_>>()).prop_shuffle();
    let batch = (pages, proptest::collection::vec(deed(), 1..PAGES));
    let batch = batch.prop_map(|(pages, deeds)| pages.into_iter().zip(deeds).collect());
    proptest::collection::vec(batch, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn disk_is_what_was_written_to_it(batches in batches(), ring: bool, direct: bool) {
        let kind = if ring { EngineKind::IoUring } else { EngineKind::Threads };
        let (mut engine, file) = disk(kind, if direct { Cached::No } else { Cached::Yes });
        let mut model: Vec<u8> = (0..PAGES as u8).collect();
        for batch in batches {
            let memory = memory(PAGES);
            let operations = batch.iter().map(|&(index, deed)| match deed {
                Deed::Read => Operation::read(place(index), vec![filled(&memory, index, 0xee)]),
                Deed::Write { byte, durable } => {
                    let (head, tail) = filled(&memory, index, byte).split_at(512).unwrap();
                    Operation::write(place(index), vec![head, tail], durable)
                }
                Deed::Flush => Operation::Flush,
            });
            let mut script = Script::new(operations);
            engine.run(&mut script);
            script.assert_all_well();
            for &(index, deed) in &batch {
                match deed {
                    Deed::Read => prop_assert_eq!(bytes(&page(&memory, index)), [model[index]; PAGE]),
                    Deed::Write { byte, .. } => model[index] = byte,
                    Deed::Flush => {}
                }
            }
        }
        let expected: Vec<u8> = model.iter().flat_map(|&byte| [byte; PAGE]).collect();
        prop_assert!(std::fs::read(&file).unwrap() == expected);
    }
}

#[rstest]
fn failures_belong_to_the_operation_that_failed(
    #[values(EngineKind::Threads, EngineKind::IoUring)] kind: EngineKind,
    #[values(Cached::Yes, Cached::No)] cached: Cached,
) {
    let (mut engine, file) = disk(kind, cached);
    let memory = memory(8);
    let part = page(&memory, 6).subslice(0, 511).unwrap();
    let mut script = Script::new([
        Operation::read(place(1), vec![page(&memory, 0)]),
        Operation::read(place(PAGES), vec![page(&memory, 1)]),
        Operation::write(place(PAGES - 1), vec![filled(&memory, 2, 7), page(&memory, 2)], true),
        Operation::read(u64::MAX - 511, vec![page(&memory, 4)]),
        Operation::read(0, vec![part]),
        Operation::read(place(PAGES), vec![]),
        Operation::read(place(2), vec![page(&memory, 5)]),
    ]);
    engine.run(&mut script);
    for number in [0, 5, 6] {
        assert!(script.result(number).is_ok(), "{number}");
    }
    for number in [1, 2, 3] {
        assert!(matches!(script.result(number), Err(Error::OutOfRange { .. })), "{number}");
    }
    assert!(matches!(script.result(4), Err(Error::Unaligned { .. })));
    assert_eq!((bytes(&page(&memory, 0)), bytes(&page(&memory, 5))), (vec![1; PAGE], vec![2; PAGE]));
    assert_eq!(std::fs::read(&file).unwrap()[PAGES * PAGE - PAGE..], [PAGES as u8 - 1; PAGE]);
}

#[rstest]
fn file_that_was_cut_is_a_failure_of_the_host(
    #[values(EngineKind::Threads, EngineKind::IoUring)] kind: EngineKind,
) {
    let (mut engine, file) = disk(kind, Cached::Yes);
    file.as_file().set_len(place(2) + 700).unwrap();
    let memory = memory(3);
    let mut script = Script::new((0..3).map(|index| {
        Operation::read(place(index + 1), vec![page(&memory, index)]) // whole, in part, not at all
    }));
    engine.run(&mut script);
    assert!(script.result(0).is_ok());
    for number in [1, 2] {
        assert!(matches!(script.result(number), Err(Error::Host(_))), "{number}");
    }
}

#[rstest]
fn many_operations_are_under_way_and_not_too_many(
    #[values(EngineKind::Threads, EngineKind::IoUring)] kind: EngineKind,
) {
    if !is_here(kind) {
        return;
    }
    let (mut engine, _file) = disk(kind, Cached::No);
    let memory = memory(PAGES);
    let read = |number: usize| Operation::read(place(number % PAGES), vec![page(&memory, number % PAGES)]);
    let mut script = Script::new((0..20 * DEPTH).map(read));
    engine.run(&mut script);
    script.assert_all_well();
    assert_eq!(script.most, DEPTH);
    (0..PAGES).for_each(|index| assert_eq!(bytes(&page(&memory, index)), [index as u8; PAGE]));
}

#[rstest]
fn pieces_may_be_many_and_all_the_same_memory(
    #[values(EngineKind::Threads, EngineKind::IoUring)] kind: EngineKind,
    #[values(Cached::Yes, Cached::No)] cached: Cached,
) {
    let (mut engine, _file) = disk(kind, cached);
    let memory = memory(1);
    let sector = page(&memory, 0).subslice(0, 512).unwrap();
    let crumb = page(&memory, 0).subslice(1024, 16).unwrap();
    let same = |count: usize| vec![sector; count];
    // More than the kernel takes at once, and as many as it does.
    let crumbs = [2048, 1024].map(|count| Operation::read(0, vec![crumb; count]));
    let reads = (0..20).map(|_| Operation::read(0, same(PAGES * PAGE / 512)));
    let mut script = Script::new(reads.chain(crumbs).chain([Operation::read(0, same(3))]));
    engine.run(&mut script);
    script.assert_all_well();
}

#[rstest]
fn what_is_not_aligned_is_read_and_written_past_the_cache_too(
    #[values(EngineKind::Threads, EngineKind::IoUring)] kind: EngineKind,
) {
    let (mut engine, file) = disk(kind, Cached::No);
    let memory = memory(2);
    let odd = |index| page(&memory, index).subslice(3, 512).unwrap();
    odd(1).copy_from(&[0xaa_u8; 512]);
    let mut script = Script::new([
        Operation::read(place(5), vec![odd(0)]),
        Operation::write(place(9) + SECTOR, vec![odd(1)], false),
    ]);
    engine.run(&mut script);
    script.assert_all_well();
    assert_eq!(bytes(&odd(0)), [5; 512]);
    assert_eq!(std::fs::read(&file).unwrap()[9 * PAGE + 512..][..512], [0xaa; 512]);
}

#[rstest]
fn protections_hold(#[values(EngineKind::Threads, EngineKind::IoUring)] kind: EngineKind) {
    let (_, file) = disk(kind, Cached::Yes);
    let memory = memory(2);
    filled(&memory, 0, 0).copy_from(b"QFI\xfb\0\0\0\x03");
    let writes = || [0, 1].map(|index| Operation::write(place(index), vec![page(&memory, 0)], true));
    let engine_of = |format, mode| {
        let mut script = Script::new(writes());
        engine(kind, Cached::Yes, format, mode, &file).run(&mut script);
        script.done.sort_by_key(|(number, _)| *number);
        script.done.into_iter().map(|(_, result)| result).collect::<Vec<_>>()
    };
    let results = engine_of(Some(Format::Raw), OpenMode::ReadOnly);
    assert!(matches!(results[..], [Err(Error::ReadOnly), Err(Error::ReadOnly)]), "{results:?}");
    let results = engine_of(None, OpenMode::ReadWrite);
    assert!(matches!(results[..], [Err(Error::Disguise(Format::Qcow2)), Ok(())]), "{results:?}");
    let written = std::fs::read(&file).unwrap();
    assert_eq!((written[0], &written[PAGE..][..3]), (0, &b"QFI"[..]));
}

#[test]
fn disk_grows_under_an_engine() {
    let (mut engine, file) = disk(EngineKind::IoUring, Cached::Yes);
    let grown: Result<(), ResizeError> = engine.backend.resize(place(PAGES + 1));
    grown.unwrap();
    let memory = memory(2);
    let mut script = Script::new((0..2).map(|n| Operation::read(place(PAGES), vec![filled(&memory, n, 1)])));
    engine.run(&mut script);
    script.assert_all_well();
    assert_eq!(bytes(&page(&memory, 1)), [0; PAGE]);
    drop(file);
}
