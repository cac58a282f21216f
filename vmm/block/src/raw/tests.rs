use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use rstest::rstest;
use tempfile::{NamedTempFile, TempDir};

use super::*;
use crate::{Access, SECTOR};

const SECTOR_LEN: usize = SECTOR as usize;

/// A file of `len` bytes, none of which equals its neighbour sector's.
fn image(len: usize) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(&file, pattern(len)).unwrap();
    file
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

/// Cuts `memory` into slices of `sizes` bytes.
fn cut<'m>(memory: &'m mut [u8], sizes: &[usize]) -> Vec<VolatileSlice<'m>> {
    let whole = VolatileSlice::from(memory);
    let starts = sizes.iter().scan(0, |end, size| Some(std::mem::replace(end, *end + size)));
    starts.zip(sizes).map(|(start, &size)| whole.subslice(start, size).unwrap()).collect()
}

#[test]
fn open_reports_geometry() {
    let file = image(3 * SECTOR_LEN);
    let disk = RawImage::open(&file, OpenMode::ReadWrite).unwrap();
    assert_eq!(disk.geometry().sectors, 3);
    assert_eq!(disk.geometry().access, Access::ReadWrite);
    assert!(disk.geometry().block_size.is_power_of_two());
}

#[test]
fn image_grows_while_it_is_open() {
    let file = image(2 * SECTOR_LEN);
    let disk = RawImage::open(&file, OpenMode::ReadWrite).unwrap();
    assert!(matches!(disk.resize(3 * SECTOR + 1), Err(ResizeError::Unaligned)));
    assert!(matches!(disk.resize(SECTOR), Err(ResizeError::Shrinks(1024))));
    disk.resize(4 * SECTOR).unwrap();
    assert_eq!((disk.geometry().sectors, file.as_file().metadata().unwrap().len()), (4, 2048));
    let mut memory = vec![0xee; 1024];
    disk.read(2 * SECTOR, &cut(&mut memory, &[1024])).unwrap();
    assert_eq!(memory, [0; 1024]);
    // Somebody else made it longer still.
    file.as_file().set_len(10 * SECTOR).unwrap();
    disk.resize(8 * SECTOR).unwrap();
    assert_eq!((disk.geometry().sectors, file.as_file().metadata().unwrap().len()), (8, 5120));
}

#[rstest]
#[case::one(&[1024])]
#[case::uneven(&[1, 511, 0, 500, 12])]
#[case::empty_ends(&[0, 1024, 0])]
fn read_fills_slices_in_order(#[case] sizes: &[usize]) {
    let file = image(4 * SECTOR_LEN);
    let disk = RawImage::open(&file, OpenMode::ReadOnly).unwrap();
    let mut memory = vec![0; 1024];
    disk.read(SECTOR, &cut(&mut memory, sizes)).unwrap();
    assert_eq!(memory, pattern(2048)[512..1536]);
}

#[test]
fn write_stores_slices_in_order_and_nothing_else() {
    let file = image(4 * SECTOR_LEN);
    let disk = RawImage::open(&file, OpenMode::ReadWrite).unwrap();
    let mut memory = vec![0xee; 1024];
    disk.write(SECTOR, &cut(&mut memory, &[300, 724])).unwrap();
    disk.flush().unwrap();
    let mut expected = pattern(2048);
    expected[512..1536].fill(0xee);
    assert_eq!(std::fs::read(&file).unwrap(), expected);
}

#[test]
fn transfers_of_more_slices_than_the_kernel_takes_are_complete() {
    let sizes = vec![1; 3 * SECTOR_LEN];
    assert!(sizes.len() > iov::MAX_SLICES);
    let file = image(sizes.len());
    let disk = RawImage::open(&file, OpenMode::ReadWrite).unwrap();
    let mut memory = vec![0; sizes.len()];
    disk.read(0, &cut(&mut memory, &sizes)).unwrap();
    assert_eq!(memory, pattern(memory.len()));
    memory.reverse();
    disk.write(0, &cut(&mut memory, &sizes)).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), memory);
}

#[test]
fn transfer_goes_on_after_short_steps_and_signals() {
    let mut memory = vec![0; 10];
    let slices = cut(&mut memory, &[3, 7]);
    let steps = std::cell::RefCell::new(vec![]);
    transfer(100, &slices, |offset, rest| {
        steps.borrow_mut().push((offset, total(rest)));
        if steps.borrow().len() == 2 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(4) }
    })
    .unwrap();
    assert_eq!(steps.into_inner(), [(100, 10), (104, 6), (104, 6), (108, 2)]);
}

#[test]
fn transfers_outside_the_disk_move_nothing() {
    let file = image(2 * SECTOR_LEN);
    let disk = RawImage::open(&file, OpenMode::ReadWrite).unwrap();
    let mut memory = vec![0xee; 1024];
    let slices = cut(&mut memory, &[1024]);
    assert!(matches!(disk.write(SECTOR, &slices), Err(Error::OutOfRange { .. })));
    assert!(matches!(disk.read(SECTOR, &slices), Err(Error::OutOfRange { .. })));
    assert!(matches!(disk.write(u64::MAX - 511, &slices), Err(Error::OutOfRange { .. })));
    assert_eq!(std::fs::read(&file).unwrap(), pattern(1024), "and the file did not grow");
    assert_eq!(memory, [0xee; 1024]);
}

#[test]
fn read_of_a_file_that_shrank_is_a_host_error() {
    let file = image(2 * SECTOR_LEN);
    let disk = RawImage::open(&file, OpenMode::ReadOnly).unwrap();
    file.as_file().set_len(700).unwrap();
    let mut memory = vec![0; 1024];
    assert!(matches!(disk.read(0, &cut(&mut memory, &[1024])), Err(Error::Host(_))));
}

#[test]
fn read_only_image_refuses_writes() {
    let file = image(SECTOR_LEN);
    let disk = RawImage::open(&file, OpenMode::ReadOnly).unwrap();
    let mut memory = vec![0; 512];
    assert!(matches!(disk.write(0, &cut(&mut memory, &[512])), Err(Error::ReadOnly)));
}

#[rstest]
#[case(OpenMode::ReadWrite, OpenMode::ReadWrite, false)]
#[case(OpenMode::ReadWrite, OpenMode::ReadOnly, false)]
#[case(OpenMode::ReadOnly, OpenMode::ReadWrite, false)]
#[case(OpenMode::ReadOnly, OpenMode::ReadOnly, true)]
fn second_opener_is_refused_unless_both_read(
    #[case] first: OpenMode,
    #[case] second: OpenMode,
    #[case] ok: bool,
) {
    let file = image(SECTOR_LEN);
    let held = RawImage::open(&file, first).unwrap();
    let result = RawImage::open(&file, second);
    assert_eq!(result.is_ok(), ok);
    if let Err(error) = &result {
        assert_eq!(
            error.to_string(),
            format!(
                "disk image {} is in use by another process; stop that one, or work on a copy",
                file.path().display()
            )
        );
    }
    drop((held, result));
    assert!(RawImage::open(&file, OpenMode::ReadWrite).is_ok(), "the lock goes with the image");
}

/// The message for opening `path`, which must be one line.
fn refusal(path: &Path, mode: OpenMode) -> String {
    let message = RawImage::open(path, mode).unwrap_err().to_string();
    assert!(
        message.contains(&format!("disk image {}", path.display())) && !message.contains('\n'),
        "{message}"
    );
    message
}

#[test]
fn missing_image_is_refused() {
    let message = refusal(Path::new("/nonexistent/disk.img"), OpenMode::ReadWrite);
    assert!(message.ends_with("does not exist; check the path, or create the image first"), "{message}");
    assert!(refusal(Path::new("/dev/null/disk.img"), OpenMode::ReadWrite).contains("does not exist"));
}

#[rstest]
fn directory_is_refused(#[values(OpenMode::ReadWrite, OpenMode::ReadOnly)] mode: OpenMode) {
    let dir = TempDir::new().unwrap();
    assert!(refusal(dir.path(), mode).ends_with("is a directory; name the image file in it"));
}

#[test]
fn things_that_are_no_files_are_refused() {
    let dir = TempDir::new().unwrap();
    let (fifo, socket) = (dir.path().join("fifo"), dir.path().join("socket"));
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let _listener = UnixListener::bind(&socket).unwrap();
    for path in [fifo.as_path(), &socket, Path::new("/dev/null")] {
        for mode in [OpenMode::ReadWrite, OpenMode::ReadOnly] {
            assert!(refusal(path, mode).ends_with("is neither a file nor a block device"), "{path:?}");
        }
    }
}

#[test]
fn whatever_else_the_host_says_is_passed_on() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("ring");
    std::os::unix::fs::symlink(&path, &path).unwrap();
    let error = RawImage::open(&path, OpenMode::ReadWrite).unwrap_err();
    assert_eq!(error.to_string(), format!("open disk image {}", path.display()));
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("symbolic links"));
}

#[test]
fn empty_image_is_refused() {
    let file = image(0);
    assert!(refusal(file.path(), OpenMode::ReadWrite).contains("is empty; give it a size"));
}

#[rstest]
#[case(511)]
#[case(513)]
#[case(100_000)]
fn image_of_partial_sectors_is_refused(#[case] len: usize) {
    let file = image(len);
    let message = refusal(file.path(), OpenMode::ReadWrite);
    assert!(message.contains(&format!("has {len} bytes, not a multiple of 512")), "{message}");
    assert_eq!(file.path().metadata().unwrap().len(), len as u64, "the file is as it was");
}

#[test]
fn forbidden_image_is_refused() {
    let file = image(SECTOR_LEN);
    let forbid = |mode| file.as_file().set_permissions(PermissionsExt::from_mode(mode)).unwrap();
    without_capabilities(|| {
        forbid(0o400);
        assert!(refusal(file.path(), OpenMode::ReadWrite).contains("may not be written by this user"));
        assert!(RawImage::open(&file, OpenMode::ReadOnly).is_ok());
        forbid(0o000);
        assert!(refusal(file.path(), OpenMode::ReadOnly).contains("may not be read by this user"));
    });
}

/// Runs `test` on a thread that permissions bind even if this process is root's.
fn without_capabilities(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut sets = rustix::thread::capabilities(None).unwrap();
            sets.effective = rustix::thread::CapabilitySet::empty();
            rustix::thread::set_capabilities(None, sets).unwrap();
            test();
        });
    });
}

#[rstest]
#[case(0, 512)]
#[case(512, 512)]
#[case(4096, 4096)]
#[case(1 << 20, 4096)]
#[case(3000, 512)]
#[case(-1, 512)]
fn preferred_block_is_a_sane_power_of_two(#[case] reported: i64, #[case] expected: u32) {
    assert_eq!(crate::host_file::preferred_block(reported), expected);
}
