//! Image formats under an engine: several calls at a time.

use block::{Engine, EngineKind, Error, Operation, Work};
use rstest::rstest;
use vm_memory::VolatileSlice;

use crate::files::{Folder, MIB, pattern, whole};

/// Bytes of a piece that one operation moves: many share a cluster, of 64 KiB.
const PIECE: usize = 5 * 512;
/// Bytes of the disk.
const LEN: usize = 4 * MIB / PIECE * PIECE;

/// Operations in their order, all of which must succeed.
struct All<I>(I);

impl<'m, I: Iterator<Item = Operation<'m>>> Work<'m> for All<I> {
    type Token = ();

    fn next(&mut self) -> Option<(Operation<'m>, ())> {
        Some((self.0.next()?, ()))
    }

    fn done(&mut self, (): (), result: Result<(), Error>) {
        result.unwrap();
    }
}

/// The pieces of `bytes` with their places on the disk, the `nth` of each five, scattered.
fn pieces(bytes: &mut [u8], nth: usize) -> impl Iterator<Item = (u64, Vec<VolatileSlice<'_>>)> {
    let count = bytes.len() / PIECE;
    let mut pieces: Vec<_> = bytes.chunks_mut(PIECE).map(VolatileSlice::from).map(Some).collect();
    (0..count).map(move |n| n * 797 % count).filter(move |n| n % 5 == nth).map(move |n| {
        let slice = pieces[n].take().unwrap();
        ((n * PIECE) as u64, vec![slice])
    })
}

#[rstest]
#[case::new_clusters("create -q -f qcow2 a.qcow2 4M")]
#[case::small_clusters("create -q -f qcow2 -o cluster_size=512 a.qcow2 4M")]
#[case::copies_of_a_backing_file("create -q -f qcow2 -b base.raw -F raw a.qcow2")]
fn qcow2_holds_what_was_written_at_a_time(#[case] create: &str) {
    let folder = Folder::new();
    let base = if create.contains("base") { pattern(4 * MIB) } else { vec![0; 4 * MIB] };
    folder.write("base.raw", &base);
    folder.qemu_img(create);
    let disk = folder.open("a.qcow2");
    let mut engine = Engine::new(disk.clone(), EngineKind::Threads);
    let mut expected = base;
    for nth in 0..3 {
        let mut written: Vec<u8> = (0..LEN).map(|i| (i / 7 + nth) as u8).collect();
        let kept = written.clone();
        let writes = pieces(&mut written, nth).map(|(place, from)| Operation::write(place, from, false));
        engine.run(&mut All(writes.chain([Operation::Flush])));
        for start in (0..LEN).step_by(PIECE).filter(|start| start / PIECE % 5 == nth) {
            expected[start..start + PIECE].copy_from_slice(&kept[start..start + PIECE]);
        }
        let mut read = vec![0xee; LEN];
        (0..5).for_each(|nth| {
            engine.run(&mut All(pieces(&mut read, nth).map(|(place, to)| Operation::read(place, to))));
        });
        assert!(read == expected[..LEN], "{nth}");
    }
    disk.flush().unwrap();
    assert!(whole(&*disk) == expected);
    drop((engine, disk));
    folder.assert_sound("a.qcow2", &expected);
}
