//! Requests to a disk. virtio 1.2, 5.2.6.

use std::sync::Arc;

use block::testing::{Faulty, MemoryDisk};
use block::{Backend, ReadOnly};
use rstest::rstest;
use virtio::blk::{Blk, Options, WriteCache};

use crate::rig::{Buffer, Rig, Ring, feature, numbered_disk, reg};
use Buffer::{In, Out};

const HEADER: u64 = 0x2_0000;
const DATA: u64 = 0x3_0000;
const STATUS: u64 = 0x5_0000;

const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;
const GET_ID: u32 = 8;
const DISCARD: u32 = 11;
const WRITE_ZEROES: u32 = 13;

const OK: u8 = 0;
const IOERR: u8 = 1;
const UNSUPP: u8 = 2;

/// A started disk and its ring.
struct Setup {
    rig: Rig,
    ring: Ring,
    disk: Arc<MemoryDisk>,
}

fn setup() -> Setup {
    let disk = numbered_disk();
    let (rig, ring) = start(Arc::clone(&disk) as _, feature::ALL);
    Setup { rig, ring, disk }
}

fn start(backend: Arc<dyn Backend>, features: u64) -> (Rig, Ring) {
    let rig = Rig::with_backend(backend);
    let ring = Ring::new(512, 0x1_0000);
    rig.start(features, &ring);
    (rig, ring)
}

fn store_header(rig: &Rig, kind: u32, sector: u64) {
    rig.store(HEADER, &kind.to_le_bytes());
    rig.store(HEADER + 4, &[0xee; 4]); // reserved, any value
    rig.store(HEADER + 8, &sector.to_le_bytes());
    rig.store(STATUS, &[0xff]);
}

/// A request with `data` between header and status. Returns its status and used length.
fn request(rig: &Rig, ring: &mut Ring, kind: u32, sector: u64, data: &[Buffer]) -> (u8, u32) {
    store_header(rig, kind, sector);
    let chain = [&[Out(HEADER, 16)], data, &[In(STATUS, 1)]].concat();
    let len = rig.request(ring, &chain);
    (rig.load(STATUS, 1)[0], len)
}

impl Setup {
    fn request(&mut self, kind: u32, sector: u64, data: &[Buffer]) -> (u8, u32) {
        request(&self.rig, &mut self.ring, kind, sector, data)
    }

    fn sector(&self, sector: usize) -> Vec<u8> {
        self.disk.with(|bytes| bytes[512 * sector..][..512].to_vec())
    }
}

#[test]
fn read_fills_the_data_and_counts_it() {
    let mut disk = setup();
    assert_eq!(disk.request(IN, 2, &[In(DATA, 1024)]), (OK, 1025));
    assert_eq!(disk.rig.load(DATA, 1024), [[2; 512], [3; 512]].concat());
}

#[test]
fn write_stores_the_data_and_counts_the_status() {
    let mut disk = setup();
    disk.rig.store(DATA, &[0xaa; 1024]);
    assert_eq!(disk.request(OUT, 15, &[Out(DATA, 512)]), (OK, 1));
    assert_eq!((disk.sector(14), disk.sector(15)), (vec![14; 512], vec![0xaa; 512]));
}

#[rstest]
#[case::header_in_pieces(&[Out(HEADER, 1), Out(HEADER + 1, 15), In(DATA, 512), In(STATUS, 1)])]
#[case::data_in_pieces(&[Out(HEADER, 16), In(DATA, 1), In(DATA + 1, 511), In(STATUS, 1)])]
#[case::empty_pieces(&[Out(0, 0), Out(HEADER, 16), In(u64::MAX, 0), In(DATA, 512), In(STATUS, 1), In(7, 0)])]
#[case::status_with_the_data(&[Out(HEADER, 16), In(DATA, 513)])]
#[case::status_with_some_data(&[Out(HEADER, 16), In(DATA, 500), In(DATA + 500, 13)])]
#[case::more_than_a_header(&[Out(HEADER, 64), In(DATA, 513)])]
fn read_means_the_same_however_it_is_cut(#[case] chain: &[Buffer]) {
    let mut disk = setup();
    store_header(&disk.rig, IN, 9);
    disk.rig.store(DATA + 512, &[0xff]);
    assert_eq!(disk.rig.request(&mut disk.ring, chain), 513);
    assert_eq!(disk.rig.load(DATA, 512), [9; 512]);
    let statuses = [disk.rig.load(STATUS, 1), disk.rig.load(DATA + 512, 1)].concat();
    assert!(statuses.contains(&OK), "{statuses:?}");
}

#[rstest]
#[case::header_with_the_data(&[Out(HEADER, 528), In(STATUS, 1)])]
#[case::header_with_some_data(&[Out(HEADER, 20), Out(HEADER + 20, 508), In(STATUS, 1)])]
#[case::bytes(&[Out(HEADER, 15), Out(HEADER + 15, 2), Out(HEADER + 17, 511), In(STATUS, 1)])]
fn write_means_the_same_however_it_is_cut(#[case] chain: &[Buffer]) {
    let mut disk = setup();
    store_header(&disk.rig, OUT, 9);
    let data: Vec<u8> = (0..512).map(|byte| (byte % 255) as u8).collect();
    disk.rig.store(HEADER + 16, &data);
    assert_eq!(disk.rig.request(&mut disk.ring, chain), 1);
    assert_eq!((disk.rig.load(STATUS, 1), disk.sector(9)), (vec![OK], data));
}

#[test]
fn as_many_segments_as_offered_work_directly_and_indirectly() {
    let mut disk = setup();
    let segments: Vec<_> = (0..254).map(|index| In(DATA + 32 * index, 32)).collect();
    let chain = [&[Out(HEADER, 16)], segments.as_slice(), &[In(STATUS, 1)]].concat();
    store_header(&disk.rig, IN, 0);
    let len = 254 * 32; // 15 sectors and a part of one
    disk.ring.add_indirect(&disk.rig.memory, 0x6_0000, &chain);
    disk.rig.kick();
    assert_eq!(disk.rig.wait_used(&mut disk.ring), (0, 0));
    assert_eq!(disk.rig.load(STATUS, 1), [IOERR], "{len} bytes are not whole sectors");
    let chain = [&chain[..1 + 240], &chain[255..]].concat();
    disk.ring.add_indirect(&disk.rig.memory, 0x6_0000, &chain);
    disk.rig.kick();
    assert_eq!(disk.rig.wait_used(&mut disk.ring), (0, 15 * 512 + 1));
    assert_eq!(disk.rig.load(DATA + 14 * 512, 512), [14; 512]);
    disk.rig.store(DATA, &[0; 14 * 512]);
    assert_eq!(disk.rig.request(&mut disk.ring, &chain), 15 * 512 + 1);
    assert_eq!(disk.rig.load(DATA + 13 * 512, 512), [13; 512]);
}

#[test]
fn data_across_the_border_of_two_memory_regions_is_one_piece() {
    let mut disk = setup();
    let border = 0x10_0000 - 100;
    assert_eq!(disk.request(IN, 6, &[In(border, 512)]), (OK, 513));
    assert_eq!(disk.rig.load(border, 512), [6; 512]);
    assert_eq!(disk.request(OUT, 7, &[Out(border, 512)]), (OK, 1));
    assert_eq!(disk.sector(7), [6; 512]);
}

#[test]
fn transfer_of_nothing_succeeds() {
    let mut disk = setup();
    assert_eq!(disk.request(IN, 3, &[]), (OK, 1));
    assert_eq!(disk.request(OUT, 16, &[]), (OK, 1), "at the very end");
}

#[rstest]
#[case::behind_the_end(16, 512)]
#[case::across_the_end(15, 1024)]
#[case::far(1 << 54, 512)]
#[case::offset_wraps(1 << 55, 512)]
#[case::end_wraps(u64::MAX, 512)]
#[case::part_of_a_sector(0, 511)]
#[case::more_than_a_sector(0, 513)]
fn transfer_outside_the_disk_fails(#[case] sector: u64, #[case] len: u32) {
    let mut disk = setup();
    disk.rig.store(DATA, &[0xee; 1024]);
    let before = disk.disk.with(|bytes| bytes.to_vec());
    assert_eq!(disk.request(IN, sector, &[In(DATA, len)]), (IOERR, 0));
    assert_eq!(disk.rig.load(DATA, 1024), [0xee; 1024]);
    assert_eq!(disk.request(OUT, sector, &[Out(DATA, len)]), (IOERR, 1));
    assert!(disk.disk.with(|bytes| *bytes == before));
    assert!(!disk.rig.needs_reset());
}

#[test]
fn transfer_longer_than_memory_and_disk_fails() {
    let mut disk = setup();
    let chain: Vec<_> = (0..200).map(|_| In(DATA, 0x10_0000)).collect();
    assert_eq!(disk.request(IN, 0, &chain), (IOERR, 0));
}

#[test]
fn identity_is_20_bytes_padded_with_zeroes() {
    let mut disk = setup();
    disk.rig.store(DATA, &[0xee; 32]);
    assert_eq!(disk.request(GET_ID, 0, &[In(DATA, 20)]), (OK, 21));
    assert_eq!(disk.rig.load(DATA, 21), *b"tinderbox-0\0\0\0\0\0\0\0\0\0\xee");
}

#[test]
fn identity_is_cut_to_the_drivers_buffer() {
    let mut disk = setup();
    assert_eq!(disk.request(GET_ID, 0, &[In(DATA, 4)]), (OK, 5));
    assert_eq!(disk.rig.load(DATA, 4), *b"tind");
    assert_eq!(disk.request(GET_ID, 0, &[In(DATA, 64)]), (OK, 20), "a gap before the status is not counted");
}

#[rstest]
#[case::scsi_command(2)]
#[case::discard_of_many_pieces(11)]
#[case::write_zeroes_in_many_pieces(13)]
#[case::secure_erase(14)]
#[case::unknown(u32::MAX)]
fn unknown_requests_are_unsupported(#[case] kind: u32) {
    let mut disk = setup();
    assert_eq!(disk.request(kind, 0, &[Out(DATA, 512)]), (UNSUPP, 1));
    assert_eq!(disk.request(IN, 1, &[In(DATA, 512)]), (OK, 513), "and the queue goes on");
}

/// A piece as a driver describes it: first sector, sectors, flags.
fn piece(sector: u64, sectors: u32, flags: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&sector.to_le_bytes());
    bytes[8..12].copy_from_slice(&sectors.to_le_bytes());
    bytes[12..].copy_from_slice(&flags.to_le_bytes());
    bytes
}

#[rstest]
#[case::zeroes(WRITE_ZEROES, 0)]
#[case::zeroes_that_may_be_stored_as_nothing(WRITE_ZEROES, 1)]
fn zeroes_fill_each_piece_and_nothing_else(#[case] kind: u32, #[case] flags: u32) {
    let mut disk = setup();
    disk.rig.store(DATA, &[piece(3, 2, flags), piece(0, 0, flags), piece(15, 1, flags)].concat());
    assert_eq!(disk.request(kind, 0, &[Out(DATA, 20), Out(DATA + 20, 28)]), (OK, 1));
    for sector in 0..16 {
        let expected = if [3, 4, 15].contains(&sector) { 0 } else { sector as u8 };
        assert_eq!(disk.sector(sector), [expected; 512], "{sector}");
    }
}

#[test]
fn discard_succeeds_on_the_disk_alone() {
    let mut disk = setup();
    disk.rig.store(DATA, &piece(0, 16, 0));
    assert_eq!(disk.request(DISCARD, 0, &[Out(DATA, 16)]), (OK, 1));
}

#[rstest]
#[case::behind_the_end(piece(16, 1, 0), IOERR)]
#[case::across_the_end(piece(15, 2, 0), IOERR)]
#[case::offset_wraps(piece(u64::MAX, 1, 0), IOERR)]
#[case::larger_than_offered(piece(0, u32::MAX, 0), IOERR)]
#[case::unknown_flag(piece(0, 1, 2), UNSUPP)]
fn impossible_pieces_fail(#[case] bytes: [u8; 16], #[case] status: u8) {
    let mut disk = setup();
    let before = disk.disk.with(|bytes| bytes.to_vec());
    disk.rig.store(DATA, &bytes);
    for kind in [DISCARD, WRITE_ZEROES] {
        assert_eq!(disk.request(kind, 0, &[Out(DATA, 16)]), (status, 1));
    }
    assert!(disk.disk.with(|bytes| *bytes == before));
}

#[rstest]
#[case::none(0)]
#[case::half_a_piece(8)]
#[case::one_and_a_half(24)]
fn pieces_are_whole(#[case] len: u32) {
    let mut disk = setup();
    assert_eq!(disk.request(WRITE_ZEROES, 0, &[Out(DATA, len)]), (UNSUPP, 1));
}

#[test]
fn discard_with_the_flag_of_zeroes_is_unsupported() {
    let mut disk = setup();
    disk.rig.store(DATA, &piece(0, 1, 1));
    assert_eq!(disk.request(DISCARD, 0, &[Out(DATA, 16)]), (UNSUPP, 1));
}

#[test]
fn every_queue_serves_the_disk() {
    let disk = numbered_disk();
    let options = Options { queues: 4, ..Options::default() };
    let rig = Rig::new(Some(Box::new(Blk::new(disk, options))));
    assert_ne!(rig.device_features() & feature::MULTI_QUEUE, 0);
    assert_eq!(rig.read_bytes(reg::CONFIG + 0x22), 4_u16.to_le_bytes());
    rig.start(feature::ALL, &Ring::new(16, 0x1_0000));
    let mut last = Ring::new(16, 0x6_0000);
    rig.start_queue(3, &last);
    store_header(&rig, IN, 9);
    last.add(&rig.memory, &[Out(HEADER, 16), In(DATA, 512), In(STATUS, 1)]);
    rig.write(reg::QUEUE_NOTIFY, 3);
    assert_eq!(rig.wait_used(&mut last), (0, 513));
    assert_eq!(rig.load(DATA, 512), [9; 512]);
}

#[test]
fn write_through_disk_is_durable_unless_the_driver_asks_for_less() {
    let disk = numbered_disk();
    let options = Options { cache: WriteCache::Through, ..Options::default() };
    let rig = Rig::new(Some(Box::new(Blk::new(Arc::clone(&disk) as _, options))));
    let mut ring = Ring::new(16, 0x1_0000);
    rig.start(feature::ALL, &ring);
    assert_eq!(rig.read_bytes(0x120), [0]);
    request(&rig, &mut ring, OUT, 0, &[Out(DATA, 512)]);
    assert_eq!(disk.flushes(), 1);
}

#[test]
fn flush_reaches_the_backend() {
    let mut disk = setup();
    assert_eq!(disk.request(FLUSH, 0, &[]), (OK, 1));
    assert_eq!(disk.disk.flushes(), 1);
}

#[test]
fn host_errors_are_io_errors() {
    let (rig, mut ring) = start(Arc::new(Faulty::new(MemoryDisk::new(16))), feature::ALL);
    assert_eq!(request(&rig, &mut ring, IN, 0, &[In(DATA, 512)]), (IOERR, 0));
    assert_eq!(request(&rig, &mut ring, OUT, 0, &[Out(DATA, 512)]), (IOERR, 1));
    assert_eq!(request(&rig, &mut ring, FLUSH, 0, &[]), (IOERR, 1));
    assert_eq!(request(&rig, &mut ring, GET_ID, 0, &[In(DATA, 20)]), (OK, 21));
    assert!(!rig.needs_reset());
}

#[test]
fn read_only_disk_says_so_and_fails_writes() {
    let (rig, mut ring) = start(Arc::new(ReadOnly::new(MemoryDisk::new(16))), feature::ALL);
    assert_ne!(rig.device_features() & feature::READ_ONLY, 0);
    assert_eq!(request(&rig, &mut ring, OUT, 0, &[Out(DATA, 512)]), (IOERR, 1));
    assert_eq!(request(&rig, &mut ring, IN, 0, &[In(DATA, 512)]), (OK, 513));
    assert_eq!(request(&rig, &mut ring, FLUSH, 0, &[]), (OK, 1));
}

#[test]
fn writes_are_durable_for_a_driver_that_cannot_flush() {
    let disk = numbered_disk();
    let (rig, mut ring) = start(Arc::clone(&disk) as _, feature::VERSION_1);
    assert_eq!(request(&rig, &mut ring, OUT, 0, &[Out(DATA, 512)]), (OK, 1));
    assert_eq!(disk.flushes(), 1);
    rig.start(feature::VERSION_1 | feature::FLUSH, &Ring::new(512, 0x1_0000));
    let flushed = disk.flushes();
    request(&rig, &mut Ring::new(512, 0x1_0000), OUT, 0, &[Out(DATA, 512)]);
    assert_eq!(disk.flushes(), flushed, "one that can decides for itself");
}

#[test]
fn driver_chooses_the_cache_mode() {
    let mut disk = setup();
    let write_mode = |rig: &Rig, mode| rig.bus.write(crate::rig::BASE + 0x120, &[mode]);
    assert_eq!(disk.rig.read_bytes(0x120), [1], "write-back");
    write_mode(&disk.rig, 0);
    assert_eq!((disk.rig.read_bytes(0x120), disk.disk.flushes()), ([0], 1), "what was cached is saved");
    disk.request(OUT, 0, &[Out(DATA, 512)]);
    assert_eq!(disk.disk.flushes(), 2, "write-through");
    write_mode(&disk.rig, 2);
    assert_eq!(disk.rig.read_bytes(0x120), [0], "there is no such mode");
    write_mode(&disk.rig, 1);
    disk.request(OUT, 0, &[Out(DATA, 512)]);
    assert_eq!((disk.rig.read_bytes(0x120), disk.disk.flushes()), ([1], 2));
}

#[test]
fn raw_image_serves_a_guest() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(1 << 20).unwrap();
    let image = block::RawImage::open(&file, block::OpenMode::ReadWrite).unwrap();
    let (rig, mut ring) = start(Arc::new(image), feature::ALL);
    rig.store(DATA, &[0x5a; 1024]);
    assert_eq!(rig.read(reg::CONFIG), 2048);
    assert_eq!(request(&rig, &mut ring, OUT, 2046, &[Out(DATA, 1000), Out(DATA + 1000, 24)]), (OK, 1));
    assert_eq!(request(&rig, &mut ring, FLUSH, 0, &[]), (OK, 1));
    assert_eq!(request(&rig, &mut ring, IN, 2045, &[In(DATA, 700), In(DATA + 700, 836)]), (OK, 1537));
    assert_eq!(rig.load(DATA, 1536), [[0; 512], [0x5a; 512], [0x5a; 512]].concat());
    assert_eq!(std::fs::read(&file).unwrap()[2046 * 512..], [0x5a; 1024]);
}

#[rstest]
#[case("", true)]
#[case("12345678901234567890", true)]
#[case("123456789012345678901", false)]
#[case("tab\t", false)]
#[case("ü", false)]
fn serial_is_at_most_20_printable_characters(#[case] text: &str, #[case] ok: bool) {
    assert_eq!(text.parse::<virtio::blk::Serial>().is_ok(), ok);
}
