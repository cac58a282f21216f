//! What can be done with each format.

use block::{Cached, Error, Format, OpenMode, OpenOptions, Room};
use proptest::prelude::*;
use rstest::rstest;
use vm_memory::VolatileSlice;

use crate::files::{Folder, MIB, WRITABLE, bytes_on_disk, format, pattern, read, whole, write};

#[rstest]
#[case::plain("-O qcow2")]
#[case::version_2("-O qcow2 -o compat=0.10")]
#[case::compressed("-c -O qcow2")]
#[case::zstd("-c -O qcow2 -o compression_type=zstd")]
#[case::small_clusters("-O qcow2 -o cluster_size=512")]
#[case::large_clusters("-O qcow2 -o cluster_size=2M")]
#[case::lazy_refcounts("-O qcow2 -o lazy_refcounts=on")]
#[case::extended_l2("-O qcow2 -o extended_l2=on,cluster_size=64k")]
fn qcow2_of_every_kind_is_read_and_written(#[case] how: &str) {
    let folder = Folder::new();
    let mut content = pattern(2 * MIB + 512);
    folder.write("a.raw", &content);
    folder.qemu_img(&format!("convert {how} a.raw a.qcow2"));
    let disk = match folder.try_open("a.qcow2", &WRITABLE) {
        Ok(disk) => disk,
        // What imago lacks, it must say.
        Err(error) => {
            let text = std::error::Error::source(&error).unwrap().to_string();
            assert!(["zstd", "extended_l2"].iter().any(|lacking| how.contains(lacking)), "{how}: {text}");
            return;
        }
    };
    assert_eq!(whole(&*disk), content);
    for (offset, len) in [(0, 512), (MIB - 512, 1024), (2 * MIB, 512)] {
        write(&*disk, offset, &vec![0xee; len]);
        content[offset..offset + len].fill(0xee);
    }
    assert_eq!(whole(&*disk), content);
    disk.flush().unwrap();
    drop(disk);
    folder.assert_sound("a.qcow2", &content);
}

#[test]
fn overlay_takes_the_writes_and_its_backing_file_none() {
    let folder = Folder::new();
    let mut content = pattern(MIB);
    folder.write("base.raw", &content);
    folder.qemu_img("create -q -f qcow2 -b base.raw -F raw middle.qcow2");
    folder.qemu_img("create -q -f qcow2 -b middle.qcow2 -F qcow2 top.qcow2");
    let disk = folder.open("top.qcow2");
    assert_eq!(whole(&*disk), content);
    write(&*disk, 4096, &[0xee; 1024]);
    content[4096..5120].fill(0xee);
    drop(disk);
    assert_eq!(std::fs::read(folder.path("base.raw")).unwrap(), pattern(MIB));
    folder.assert_sound("top.qcow2", &content);
}

#[rstest]
#[case::raw(Format::Raw, Cached::No)]
#[case::qcow2(Format::Qcow2, Cached::Yes)]
fn empty_slices_are_no_data(#[case] kind: Format, #[case] cached: Cached) {
    let folder = Folder::new();
    folder.qemu_img(&format!("create -q -f {kind} a 1M"));
    let disk = folder.try_open("a", &OpenOptions { cached, ..format(kind) }).unwrap();
    let mut data = [0xee; 512];
    let whole = VolatileSlice::from(data.as_mut_slice());
    let parts = [(0, 0), (0, 100), (100, 0), (100, 412), (512, 0)];
    let slices = parts.map(|(start, len)| whole.subslice(start, len).unwrap());
    for slices in [&slices[..], &slices[..1], &[]] {
        disk.write(512, slices).unwrap();
        disk.read(512, slices).unwrap();
    }
    assert_eq!(read(&*disk, 512, 512), [0xee; 512]);
}

#[test]
fn image_grows_as_it_is_written() {
    let folder = Folder::new();
    folder.qemu_img("create -q -f qcow2 a.qcow2 8G");
    let disk = folder.open("a.qcow2");
    assert_eq!(disk.geometry().sectors, 8 << 21);
    let before = bytes_on_disk(&folder.path("a.qcow2"));
    write(&*disk, (8 << 30) - MIB, &pattern(MIB));
    disk.flush().unwrap();
    assert_eq!(read(&*disk, (8 << 30) - MIB, MIB), pattern(MIB));
    let after = bytes_on_disk(&folder.path("a.qcow2"));
    assert!(before < MIB as u64 && after >= MIB as u64 && after < 3 * MIB as u64, "{before} {after}");
}

#[test]
fn discarded_room_of_a_raw_image_is_the_hosts_again() {
    let folder = Folder::new();
    let path = folder.write("a.raw", &vec![1; 4 * MIB]);
    let disk = folder.open("a.raw");
    disk.discard(MIB as u64, 2 * MIB as u64).unwrap();
    disk.flush().unwrap();
    assert!(bytes_on_disk(&path) < 3 * MIB as u64, "{}", bytes_on_disk(&path));
    assert_eq!(read(&*disk, 0, MIB), vec![1; MIB]);
    assert_eq!(read(&*disk, 3 * MIB, MIB), vec![1; MIB]);
}

#[test]
fn discarded_clusters_are_used_again() {
    let folder = Folder::new();
    folder.qemu_img("create -q -f qcow2 a.qcow2 64M");
    let disk = folder.open("a.qcow2");
    write(&*disk, 0, &vec![1; 4 * MIB]);
    for round in 1..10 {
        disk.discard(0, 64 * MIB as u64).unwrap();
        write(&*disk, round * 4 * MIB, &vec![1; 4 * MIB]);
        disk.flush().unwrap();
    }
    let kept = bytes_on_disk(&folder.path("a.qcow2"));
    assert!(kept < 6 * MIB as u64, "{kept} for 4 MiB");
}

#[rstest]
fn zeroes_are_zeroes_to_the_sector(
    #[values("raw", "qcow2")] kind: &str,
    #[values(Room::Keep, Room::Free)] room: Room,
) {
    let folder = Folder::new();
    let mut content = pattern(MIB);
    folder.write("a.raw", &content);
    let name = format!("b.{kind}");
    folder.qemu_img(&format!("convert -O {kind} a.raw {name}"));
    let disk = folder.open(&name);
    for (offset, len) in [(512, 512), (65536 - 512, 3 * 65536), (MIB - 1024, 1024), (0, 0)] {
        disk.write_zeroes(offset as u64, len as u64, room).unwrap();
        content[offset..offset + len].fill(0);
    }
    assert!(whole(&*disk) == content);
    assert!(matches!(disk.write_zeroes(MIB as u64, 512, room), Err(Error::OutOfRange { .. })));
    assert!(matches!(disk.discard(u64::MAX - 511, 512), Err(Error::OutOfRange { .. })));
}

#[rstest]
#[case::raw(Format::Raw)]
#[case::qcow2(Format::Qcow2)]
fn direct_io_takes_any_sectors(#[case] kind: Format) {
    let folder = Folder::new();
    let mut content = pattern(MIB);
    folder.write("a.raw", &content);
    folder.qemu_img(&format!("convert -O {kind} a.raw b"));
    let direct = OpenOptions { cached: Cached::No, ..format(kind) };
    let disk = folder.try_open("b", &direct).unwrap();
    for (offset, len) in [(512, 512), (5 * 512, 9 * 512), (0, 4096), (MIB - 512, 512)] {
        write(&*disk, offset, &vec![0xee; len]);
        content[offset..offset + len].fill(0xee);
    }
    disk.flush().unwrap();
    assert!(whole(&*disk) == content);
}

#[test]
fn snapshot_keeps_the_image_as_it_was() {
    let folder = Folder::new();
    let snapshot = OpenOptions { snapshot: true, ..WRITABLE };
    folder.write("a.raw", &pattern(MIB));
    folder.qemu_img("convert -O qcow2 a.raw b.qcow2");
    let before = std::fs::read(folder.path("b.qcow2")).unwrap();
    for name in ["a.raw", "b.qcow2"] {
        let disk = folder.try_open(name, &snapshot).unwrap();
        write(&*disk, 512, &[0xee; 1024]);
        disk.discard(0, MIB as u64 / 2).unwrap();
        let mut disguise = b"QFI\xfb\0\0\0\x03, harmless in an overlay".to_vec();
        disguise.resize(512, 0);
        write(&*disk, 0, &disguise);
        disk.flush().unwrap();
        assert_eq!(read(&*disk, 0, 512)[..3], *b"QFI");
        let other = folder.try_open(name, &snapshot).unwrap();
        assert_eq!(whole(&*other), pattern(MIB), "one image, two snapshots");
    }
    assert_eq!(std::fs::read(folder.path("a.raw")).unwrap(), pattern(MIB));
    assert_eq!(std::fs::read(folder.path("b.qcow2")).unwrap(), before);
}

#[test]
fn vmdk_with_flat_extents_is_read_and_written_in_a_snapshot() {
    let folder = Folder::new();
    folder.write("a.raw", &pattern(MIB));
    folder.qemu_img("convert -O vmdk -o subformat=twoGbMaxExtentFlat a.raw a.vmdk");
    let disk = folder.try_open("a.vmdk", &OpenOptions { mode: OpenMode::ReadOnly, ..WRITABLE }).unwrap();
    assert_eq!(whole(&*disk), pattern(MIB));
    let snapshot = folder.try_open("a.vmdk", &OpenOptions { snapshot: true, ..WRITABLE }).unwrap();
    write(&*snapshot, 0, &[0xee; 512]);
    assert_eq!(read(&*snapshot, 0, 1024)[510..514], [0xee, 0xee, pattern(514)[512], pattern(514)[513]]);
}

/// What a driver does to a disk.
#[derive(Clone, Debug)]
enum Act {
    Write(usize, usize, u8),
    Discard(usize, usize),
    Zero(usize, usize, bool),
    Flush,
}

fn act() -> impl Strategy<Value = Act> {
    let range = || (0..2048_usize, 0..300_usize);
    prop_oneof![
        4 => (range(), any::<u8>()).prop_map(|((at, len), byte)| Act::Write(at, len, byte)),
        1 => range().prop_map(|(at, len)| Act::Discard(at, len)),
        1 => (range(), any::<bool>()).prop_map(|((at, len), free)| Act::Zero(at, len, free)),
        1 => Just(Act::Flush),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn qcow2_holds_what_was_written_and_stays_sound(acts in prop::collection::vec(act(), 1..40)) {
        let folder = Folder::new();
        let mut content = pattern(MIB);
        folder.write("base.raw", &content);
        folder.qemu_img("create -q -f qcow2 -o cluster_size=4k -b base.raw -F raw a.qcow2");
        let disk = folder.open("a.qcow2");
        for act in acts {
            let cut = |at: usize, len: usize| (at * 512, (at + len).min(2048) * 512);
            match act {
                Act::Write(at, len, byte) => {
                    let (start, end) = cut(at, len);
                    content[start..end].fill(byte);
                    let mut data = vec![byte; end - start];
                    disk.write(start as u64, &[VolatileSlice::from(data.as_mut_slice())]).unwrap();
                }
                Act::Discard(at, len) | Act::Zero(at, len, true) => {
                    let (start, end) = cut(at, len);
                    content[start..end].fill(0);
                    disk.discard(start as u64, (end - start) as u64).unwrap();
                }
                Act::Zero(at, len, false) => {
                    let (start, end) = cut(at, len);
                    content[start..end].fill(0);
                    disk.write_zeroes(start as u64, (end - start) as u64, Room::Keep).unwrap();
                }
                Act::Flush => disk.flush().unwrap(),
            }
        }
        assert!(whole(&*disk) == content);
        drop(disk);
        folder.assert_sound("a.qcow2", &content);
    }
}
