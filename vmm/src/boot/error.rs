use std::io;
use std::path::PathBuf;

use acpi::PointerOverflow;

use crate::machine::plan::Range;

/// Why a kernel cannot be started. Each message names the option and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A file cannot be opened or read.
    #[error("{option}: read {}", .path.display())]
    Read {
        /// The option that named it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something else than a file.
    #[error("{option}: {} is no file", .path.display())]
    NoFile {
        /// The option that named it.
        option: &'static str,
        /// What it named.
        path: PathBuf,
    },
    /// No format that is known.
    #[error(
        "--kernel: {} is no kernel: it is neither a bzImage, nor an ELF file with a PVH note or for 64 bits, \
         nor a multiboot image",
        .path.display()
    )]
    NoKernel {
        /// The file.
        path: PathBuf,
    },
    /// A format that is known, but asks for what there is not.
    #[error("--kernel: {} cannot be started: {why}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The headers speak of more than there is.
    #[error("--kernel: {} is cut short: it has {len} bytes, its headers speak of {need}", .path.display())]
    CutShort {
        /// The file.
        path: PathBuf,
        /// Bytes that it has.
        len: u64,
        /// Bytes that it should have at least.
        need: u64,
    },
    /// The kernel needs memory that is not there.
    #[error(
        "--kernel: {} starts in memory up to {need}M, this machine has {have}M there, see --memory",
        .path.display()
    )]
    KernelTooLarge {
        /// The file.
        path: PathBuf,
        /// MiB that it needs.
        need: u64,
        /// MiB that there are below the first hole.
        have: u64,
    },
    /// A part of the kernel that belongs where no RAM is.
    #[error("--kernel: {} wants to be at {range}, where this machine has no RAM", .path.display())]
    Stray {
        /// The file.
        path: PathBuf,
        /// Where.
        range: Range,
    },
    /// A part of the kernel that belongs where something else has to be.
    #[error("--kernel: {} wants to be at {range}, where {other} must be", .path.display())]
    InTheWay {
        /// The file.
        path: PathBuf,
        /// Where.
        range: Range,
        /// What is there.
        other: &'static str,
    },
    /// A format for direct boot alone.
    #[error("--kernel: {} is a kernel ({format}) that no firmware starts, leave --firmware away", .path.display())]
    NotForFirmware {
        /// The file.
        path: PathBuf,
        /// What it is.
        format: String,
    },
    /// A format that this firmware does not know.
    #[error(
        "--kernel: {} is a kernel ({format}) that this --firmware does not start: take qboot, or leave --firmware away",
        .path.display()
    )]
    NotForBios {
        /// The file.
        path: PathBuf,
        /// What it is.
        format: String,
    },
    /// The initrd finds no place.
    #[error(
        "--initrd: {} has {len} bytes, beside this kernel there is room for {room}, see --memory",
        .path.display()
    )]
    InitrdTooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        len: u64,
        /// What it may have.
        room: u64,
    },
    /// The kernel takes less.
    #[error("--cmdline has {len} bytes, this kernel takes {most} at most")]
    CmdlineTooLong {
        /// Its length.
        len: usize,
        /// What it may have.
        most: u64,
    },
    /// ACPI tables beyond 4 GiB.
    #[error("link the ACPI tables")]
    Acpi(#[from] PointerOverflow),
    /// Guest memory refuses what the plan allows.
    #[error("write the {name} to guest memory")]
    Write {
        /// What was to be written.
        name: &'static str,
        /// Why not.
        source: vm_memory::GuestMemoryError,
    },
}
