//! One stretch of RAM in our address space, made of what the user asked for.
#![expect(unsafe_code, reason = "maps memory")]

use std::fs::File;
use std::io;
use std::ptr;
use std::sync::Arc;

use rustix::fs::MemfdFlags;
use rustix::mm::{Advice, MapFlags, ProtFlags};
use vm_memory::mmap::MmapRegionBuilder;
use vm_memory::{FileOffset, MmapRegion};

use super::{MemoryError, map_failed, prefault};
use crate::backing::{Backing, HugePage, Pages};

/// Host huge pages fit the guest's only if both sides start at the same offset in one.
const ALIGNMENT: u64 = HugePage::Mib2.bytes();

/// A mapping that lives as long as the process.
pub(super) struct Ram {
    start: *mut u8,
    size: usize,
    flags: MapFlags,
    file: Option<Arc<File>>,
}

impl Ram {
    /// Maps `len` bytes. Without prefault nothing is touched, so nothing is paid for until the guest writes.
    pub(super) fn map(len: u64, backing: &Backing) -> Result<Self, MemoryError> {
        let file = file(len, backing).map_err(map_failed(len))?;
        let (alignment, reservation) = match backing.pages {
            Pages::Huge(size) => (size.bytes(), MapFlags::empty()),
            Pages::Transparent | Pages::Small => (ALIGNMENT, MapFlags::NORESERVE),
        };
        let sharing = if file.is_some() { MapFlags::SHARED } else { MapFlags::PRIVATE };
        let flags = sharing | reservation;
        let (start, size) = map_aligned(len, alignment, flags, file.as_ref()).map_err(map_failed(len))?;
        let ram = Self { start, size, flags, file: file.map(Arc::new) };
        ram.advise(backing)?;
        if backing.prefault {
            prefault::populate(ram.start, ram.size).map_err(MemoryError::Prefault)?;
        }
        Ok(ram)
    }

    /// The region of `len` bytes at `offset`.
    pub(super) fn region(&self, offset: u64, len: u64) -> Result<MmapRegion, MemoryError> {
        let failed = map_failed(len);
        if offset.checked_add(len).is_none_or(|end| end > self.size as u64) {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        }
        let mut builder = MmapRegionBuilder::new(len as usize)
            .with_mmap_prot((ProtFlags::READ | ProtFlags::WRITE).bits() as i32)
            .with_mmap_flags(self.flags.bits() as i32);
        if let Some(file) = &self.file {
            builder = builder.with_file_offset(FileOffset::from_arc(Arc::clone(file), offset));
        }
        let start = self.start.wrapping_add(offset as usize);
        // SAFETY: the range lies in our mapping (checked above), readable and writable, and is never unmapped.
        let builder = unsafe { builder.with_raw_mmap_pointer(start) };
        builder.build().map_err(|error| failed(io::Error::other(error)))
    }

    fn advise(&self, backing: &Backing) -> Result<(), MemoryError> {
        let thp = match backing.pages {
            Pages::Transparent => Some(Advice::LinuxHugepage),
            Pages::Small => Some(Advice::LinuxNoHugepage),
            Pages::Huge(_) => None,
        };
        // Core dumps need no guest memory. A kernel that knows neither advice is merely slower.
        for advice in [Some(Advice::LinuxDontDump), thp].into_iter().flatten() {
            let _ = self.advise_one(advice);
        }
        if backing.merge {
            self.advise_one(Advice::LinuxMergeable).map_err(MemoryError::Merge)?;
        }
        Ok(())
    }

    fn advise_one(&self, advice: Advice) -> io::Result<()> {
        // SAFETY: the range is our own mapping, and none of the advice given changes its content.
        Ok(unsafe { rustix::mm::madvise(self.start.cast(), self.size, advice) }?)
    }
}

/// The file behind memory that others map too, or that is of huge pages.
fn file(len: u64, backing: &Backing) -> io::Result<Option<File>> {
    let kind = match backing.pages {
        Pages::Huge(HugePage::Mib2) => MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB,
        Pages::Huge(HugePage::Gib1) => MemfdFlags::HUGETLB | MemfdFlags::HUGE_1GB,
        Pages::Transparent | Pages::Small if backing.shared => MemfdFlags::empty(),
        Pages::Transparent | Pages::Small => return Ok(None),
    };
    let file = File::from(rustix::fs::memfd_create(c"tinderbox-ram", MemfdFlags::CLOEXEC | kind)?);
    file.set_len(len)?;
    Ok(Some(file))
}

/// Maps `file`, or anonymous memory, at an address that is a multiple of `alignment`; gives address and size.
fn map_aligned(
    len: u64,
    alignment: u64,
    flags: MapFlags,
    file: Option<&File>,
) -> io::Result<(*mut u8, usize)> {
    let too_large = |_| io::Error::from(io::ErrorKind::OutOfMemory);
    let (size, alignment) =
        (usize::try_from(len).map_err(too_large)?, usize::try_from(alignment).map_err(too_large)?);
    let reserve = size.checked_add(alignment).ok_or(io::ErrorKind::OutOfMemory)?;
    let hold = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice disturbs no other.
    let base = unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), reserve, ProtFlags::empty(), hold) }?
        .cast::<u8>();
    // `base` is page-aligned and the reserve has `alignment` to spare, so `skip + size` stays inside.
    let skip = base.align_offset(alignment).min(alignment);
    let start = base.wrapping_add(skip).cast();
    let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, flags | MapFlags::FIXED);
    match file {
        // SAFETY: the fixed range lies in the mapping of above, which nobody uses; the file is as long as the range.
        Some(file) => unsafe { rustix::mm::mmap(start, size, prot, flags, file, 0) }?,
        // SAFETY: as above.
        None => unsafe { rustix::mm::mmap_anonymous(start, size, prot, flags) }?,
    };
    Ok((start.cast(), size))
}
