//! Kernels of a few bytes, and what becomes of them.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};

use super::{Boot, BootError, Handover, Kernel, Ram};
use crate::config::{Config, FirmwareChoice, KernelConfig, MachineOptions, Switch};
use crate::machine::plan::{MIB, Plan};
use crate::topology::Topology;

/// A kernel's files, and a machine for it.
pub(super) struct Bench {
    dir: TempDir,
    pub(super) kernel: KernelConfig,
    pub(super) memory: u64,
}

impl Bench {
    /// A machine with 64 MiB, and a kernel without initrd and command line.
    pub(super) fn new(kernel: &[u8]) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("vmkernel");
        fs::write(&path, kernel).unwrap();
        Self { dir, kernel: KernelConfig { path, initrd: None, cmdline: String::new() }, memory: 64 * MIB }
    }

    pub(super) fn initrd(mut self, len: usize) -> Self {
        let path = self.dir.path().join("initrd");
        fs::write(&path, vec![0x1d; len]).unwrap();
        self.kernel.initrd = Some(path);
        self
    }

    pub(super) fn cmdline(mut self, text: &str) -> Self {
        self.kernel.cmdline = text.into();
        self
    }

    fn plan(&self) -> Plan {
        let config = Config {
            memory: self.memory,
            firmware: FirmwareChoice::None,
            kernel: Some(self.kernel.clone()),
            ..Config::default()
        };
        Plan::new(&config, 0, 46).unwrap()
    }

    pub(super) fn boot(&self) -> Result<Boot, BootError> {
        Kernel::open(&self.kernel)?.boot(&self.plan())
    }

    pub(super) fn hand_over(&self) -> Result<Handover, BootError> {
        Kernel::open(&self.kernel)?.hand_over(&self.plan())
    }

    /// The message for a kernel that cannot be started, without the folder of its files.
    pub(super) fn refusal(&self) -> String {
        self.shorten(self.boot().err().unwrap())
    }

    /// The message of `error` without the folder of the kernel's files.
    pub(super) fn shorten(&self, error: BootError) -> String {
        error.to_string().replace(&format!("{}/", self.dir.path().display()), "")
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// A machine without ACPI.
pub(super) fn without_acpi(cpus: u32) -> Plan {
    let options = MachineOptions { acpi: Switch::Off, ..MachineOptions::default() };
    let config = Config { cpus: Topology::of_cores(cpus), options, ..Config::default() };
    Plan::new(&config, 0, 46).unwrap()
}

/// What the kernel finds in fresh memory of 64 MiB.
pub(super) fn memory(boot: &Boot) -> GuestMemoryMmap {
    let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 64 << 20)]).unwrap();
    boot.write(&memory, Ram::Fresh).unwrap();
    memory
}

pub(super) fn bytes(memory: &GuestMemoryMmap, at: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    memory.read_slice(&mut bytes, GuestAddress(at)).unwrap();
    bytes
}

pub(super) fn u32_at(memory: &GuestMemoryMmap, at: u64) -> u32 {
    memory.read_obj(GuestAddress(at)).unwrap()
}

pub(super) fn u64_at(memory: &GuestMemoryMmap, at: u64) -> u64 {
    memory.read_obj(GuestAddress(at)).unwrap()
}

/// Text up to its NUL.
pub(super) fn text_at(memory: &GuestMemoryMmap, at: u64) -> String {
    let bytes = bytes(memory, at, 256);
    String::from_utf8(bytes.split(|&byte| byte == 0).next().unwrap().to_vec()).unwrap()
}

/// A segment: physical address, contents, and length in memory.
pub(super) type Segment<'a> = (u64, &'a [u8], u64);

/// A 64-bit ELF file with `segments`, and `note` if it is not empty.
pub(super) fn elf64(entry: u64, segments: &[Segment<'_>], note: &[u8]) -> Vec<u8> {
    let headers = segments.len() + usize::from(!note.is_empty());
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    file.extend(entry.to_le_bytes());
    file.extend(64_u64.to_le_bytes());
    file.extend([0; 8 + 4]);
    file.extend([64, 0, 56, 0, headers as u8, 0, 0, 0, 0, 0, 0, 0]);
    let mut contents = Vec::new();
    let mut header = |kind: u32, address: u64, bytes: &[u8], memory_len: u64| {
        let offset = (64 + 56 * headers + contents.len()) as u64;
        contents.extend_from_slice(bytes);
        file.extend(kind.to_le_bytes());
        file.extend([7, 0, 0, 0]);
        for value in [offset, address | 0xffff_8000_0000_0000, address, bytes.len() as u64, memory_len, 1] {
            file.extend(value.to_le_bytes());
        }
    };
    for (address, bytes, memory_len) in segments {
        header(1, *address, bytes, *memory_len);
    }
    if !note.is_empty() {
        header(4, 0, note, note.len() as u64);
    }
    file.extend(contents);
    file
}

/// A 32-bit ELF file with one segment.
pub(super) fn elf32(entry: u32, (address, bytes, memory_len): (u32, &[u8], u32)) -> Vec<u8> {
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2, 0, 3, 0, 1, 0, 0, 0]);
    for value in [entry, 52, 0, 0] {
        file.extend(value.to_le_bytes());
    }
    file.extend([52, 0, 32, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    for value in [1, 52 + 32, address, address, bytes.len() as u32, memory_len, 7, 1] {
        file.extend(u32::to_le_bytes(value));
    }
    file.extend(bytes);
    file
}

/// The note that says where a PVH kernel is entered, after another one.
pub(super) fn pvh_note(entry: u32) -> Vec<u8> {
    let mut note = vec![4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0];
    note.extend(b"Xen\0gener\0\0\0");
    note.extend([4, 0, 0, 0, 4, 0, 0, 0, 18, 0, 0, 0]);
    note.extend(b"Xen\0");
    note.extend(entry.to_le_bytes());
    note
}

/// Fields of a bzImage's header by their offset in the file.
pub(super) fn bzimage(changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut file = vec![0; 1024];
    file[0x1f1] = 1; // sectors after the first
    file[0x1f4..][..4].copy_from_slice(&32_u32.to_le_bytes()); // the kernel has 512 bytes
    file[0x200..][..8].copy_from_slice(b"\xeb\x6aHdrS\x0f\x02");
    file[0x211] = 1; // loaded high
    file[0x214..][..4].copy_from_slice(&0x10_0000_u32.to_le_bytes());
    file[0x22c..][..4].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    file[0x234] = 1; // relocatable
    file[0x236] = 1; // 64-bit entry
    file[0x238..][..4].copy_from_slice(&255_u32.to_le_bytes()); // command line
    file[0x258..][..8].copy_from_slice(&0x100_0000_u64.to_le_bytes()); // preferred address
    file[0x260..][..4].copy_from_slice(&0x80_0000_u32.to_le_bytes()); // memory while it starts
    file.extend([0x90; 512]);
    for (offset, bytes) in changes {
        file[*offset..][..bytes.len()].copy_from_slice(bytes);
    }
    file
}

/// A multiboot header: flags, checksum and what follows.
pub(super) fn multiboot_header(flags: u32, more: &[u32]) -> Vec<u8> {
    let magic = 0x1bad_b002_u32;
    let head = [magic, flags, 0_u32.wrapping_sub(magic).wrapping_sub(flags)];
    head.iter().chain(more).flat_map(|word| word.to_le_bytes()).collect()
}
