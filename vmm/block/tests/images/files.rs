//! A folder of images, qemu-img, and transfers of plain bytes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use block::{Backend, Cached, Format, OpenError, OpenMode, OpenOptions, SECTOR};
use tempfile::TempDir;
use vm_memory::VolatileSlice;

pub(crate) const MIB: usize = 1 << 20;

pub(crate) const WRITABLE: OpenOptions = OpenOptions {
    format: None,
    mode: OpenMode::ReadWrite,
    cached: Cached::Yes,
    snapshot: false,
    backing_dir: None,
};

/// Held while a process starts. Until it has become another program, it holds whatever this one has open, locked images too.
static STARTING: Mutex<()> = Mutex::new(());

/// Starts `command`.
pub(crate) fn start(command: &mut Command) -> Child {
    let _one_at_a_time = STARTING.lock();
    command.spawn().unwrap()
}

/// A folder that goes away with the test. Not in /tmp, which may be in memory and then has no direct I/O.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// Runs qemu-img in the folder; it must succeed. Gives what it prints.
    pub(crate) fn qemu_img(&self, args: &str) -> String {
        let mut command = Command::new("qemu-img");
        command.args(args.split(' ')).current_dir(self.0.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = start(&mut command).wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "qemu-img {args}: {text}");
        text
    }

    /// The qcow2 image `name` has neither errors nor leaks, and holds `content`.
    #[track_caller]
    pub(crate) fn assert_sound(&self, name: &str, content: &[u8]) {
        let report = self.qemu_img(&format!("check -f qcow2 {name}"));
        assert!(report.contains("No errors were found"), "{report}");
        self.write("expected.raw", content);
        self.qemu_img(&format!("compare -f qcow2 -F raw {name} expected.raw"));
    }

    pub(crate) fn open(&self, name: &str) -> Arc<dyn Backend> {
        self.try_open(name, &WRITABLE).unwrap()
    }

    pub(crate) fn try_open(&self, name: &str, options: &OpenOptions) -> Result<Arc<dyn Backend>, OpenError> {
        let _nobody_starts = STARTING.lock();
        block::open(&self.path(name), options)
    }
}

/// No sector equals its neighbour.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

pub(crate) fn read(disk: &dyn Backend, offset: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xaa; len];
    disk.read(offset as u64, &[VolatileSlice::from(bytes.as_mut_slice())]).unwrap();
    bytes
}

pub(crate) fn write(disk: &dyn Backend, offset: usize, bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    let third = bytes.len() / 3;
    let (head, tail) = bytes.split_at_mut(third);
    disk.write(offset as u64, &[VolatileSlice::from(head), VolatileSlice::from(tail)]).unwrap();
}

pub(crate) fn whole(disk: &dyn Backend) -> Vec<u8> {
    read(disk, 0, (disk.geometry().sectors * SECTOR) as usize)
}

pub(crate) fn format(format: Format) -> OpenOptions {
    OpenOptions { format: Some(format), ..WRITABLE }
}

pub(crate) fn bytes_on_disk(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).unwrap().blocks() * 512
}
