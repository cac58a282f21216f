//! Guest RAM in our address space and as KVM's memory slots.
#![expect(unsafe_code, reason = "maps memory, and hands host addresses to KVM")]

use std::fs::File;
use std::io;
use std::ptr;
use std::sync::Arc;

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;
use rustix::fs::MemfdFlags;
use rustix::mm::{Advice, MapFlags, ProtFlags};
use vm_memory::{
    Bytes as _, FileOffset, GuestAddress, GuestMemoryBackend as _, GuestMemoryMmap, GuestMemoryRegion as _,
    GuestRegionMmap, MmapRegion,
};

use crate::machine::plan::{FirmwarePlan, Plan, Range};

/// Host huge pages fit the guest's only if both sides start at the same offset in one.
const HUGE_PAGE: usize = 2 << 20;

/// Why there is no memory for the guest.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The host gives no address space or memory.
    #[error("allocate {} MiB of guest memory (see --memory)", .len >> 20)]
    Map {
        /// Bytes asked for.
        len: u64,
        /// Why not.
        source: io::Error,
    },
    /// The pieces do not make an address space.
    #[error("lay out guest memory")]
    Layout(#[from] vm_memory::GuestRegionCollectionError),
    /// Cannot write the firmware image.
    #[error("put the firmware in place")]
    Firmware(#[from] vm_memory::GuestMemoryError),
}

/// All memory of the guest: RAM, and the firmware image, which is one buffer seen at two addresses.
pub struct GuestRam {
    memory: GuestMemoryMmap,
    firmware: Option<FirmwarePlan>,
}

impl GuestRam {
    /// Maps the plan's memory. Nothing is touched, so nothing is paid for until the guest writes.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn allocate(plan: &Plan) -> Result<Self, MemoryError> {
        let low = map_ram(plan.low_ram.len)?;
        let top = plan.firmware.map(|firmware| map_firmware(&low, plan.low_ram, firmware)).transpose()?;
        let mut regions = vec![at(low, plan.low_ram)?];
        regions.extend(top);
        if let Some(range) = plan.high_ram {
            regions.push(at(map_ram(range.len)?, range)?);
        }
        Ok(Self { memory: GuestMemoryMmap::from_regions(regions)?, firmware: plan.firmware })
    }

    /// The memory as devices see it.
    #[must_use]
    pub const fn memory(&self) -> &GuestMemoryMmap {
        &self.memory
    }

    /// Writes the pristine firmware image, as at power-on; both views change.
    ///
    /// # Errors
    /// When `image` is longer than the plan's range.
    pub fn restore_firmware(&self, image: &[u8]) -> Result<(), MemoryError> {
        match self.firmware {
            Some(firmware) => Ok(self.memory.write_slice(image, GuestAddress(firmware.image.start))?),
            None => Ok(()),
        }
    }
}

fn map_failed(len: u64) -> impl Fn(io::Error) -> MemoryError {
    move |source| MemoryError::Map { len, source }
}

/// The shared buffer behind both views of the firmware.
fn firmware_buffer(len: u64) -> Result<Arc<File>, MemoryError> {
    let make = || -> io::Result<File> {
        let file = File::from(rustix::fs::memfd_create(c"tinderbox-firmware", MemfdFlags::CLOEXEC)?);
        file.set_len(len)?;
        Ok(file)
    };
    make().map(Arc::new).map_err(map_failed(len))
}

/// Makes the firmware's memory: the region below 4 GiB, and its end again over `low`.
fn map_firmware(
    low: &MmapRegion,
    low_ram: Range,
    firmware: FirmwarePlan,
) -> Result<GuestRegionMmap, MemoryError> {
    let len = firmware.image.len;
    let image = firmware_buffer(len)?;
    overlay(low, low_ram, &image, firmware)?;
    let top = MmapRegion::from_file(FileOffset::from_arc(image, 0), len as usize)
        .map_err(|error| map_failed(len)(io::Error::other(error)))?;
    at(top, firmware.image)
}

/// Private anonymous memory that starts at a huge page. It lives as long as the process.
fn map_ram(len: u64) -> Result<MmapRegion, MemoryError> {
    let failed = map_failed(len);
    let size = usize::try_from(len).map_err(|_| failed(io::ErrorKind::OutOfMemory.into()))?;
    let reserve = size.checked_add(HUGE_PAGE).ok_or_else(|| failed(io::ErrorKind::OutOfMemory.into()))?;
    let prot = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice disturbs no other.
    let base = unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), reserve, prot, flags) }
        .map_err(|error| failed(error.into()))?
        .cast::<u8>();
    // `base` is page-aligned and the reserve has a huge page to spare, so `skip + size` stays inside.
    let skip = base.align_offset(HUGE_PAGE).min(HUGE_PAGE);
    let start = base.wrapping_add(skip);
    // SAFETY: the range is our own mapping of above. Advice changes no content; without it RAM is merely slower.
    let _ = unsafe { rustix::mm::madvise(start.cast(), size, Advice::LinuxHugepage) };
    // SAFETY: as above; core dumps need no guest memory.
    let _ = unsafe { rustix::mm::madvise(start.cast(), size, Advice::LinuxDontDump) };
    // SAFETY: `start..start + size` is mapped readable and writable, is used by nobody else, and is never unmapped.
    unsafe { MmapRegion::build_raw(start, size, prot.bits() as i32, flags.bits() as i32) }
        .map_err(|error| failed(io::Error::other(error)))
}

/// Puts the end of the image over RAM, ending at 1 MiB.
fn overlay(
    low: &MmapRegion,
    low_ram: Range,
    image: &File,
    FirmwarePlan { image: whole, shadow }: FirmwarePlan,
) -> Result<(), MemoryError> {
    let failed = map_failed(shadow.len);
    if shadow.end() > low_ram.len {
        return Err(failed(io::ErrorKind::InvalidInput.into()));
    }
    let address = low.as_ptr().wrapping_add(shadow.start as usize);
    // SAFETY: the fixed range lies inside `low` (checked above), which we own and nobody has used yet; it stays readable
    // and writable, and the file is as long as the image.
    unsafe {
        rustix::mm::mmap(
            address.cast(),
            shadow.len as usize,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED | MapFlags::FIXED,
            image,
            whole.len - shadow.len,
        )
    }
    .map_err(|error| failed(error.into()))?;
    Ok(())
}

fn at(mapping: MmapRegion, range: Range) -> Result<GuestRegionMmap, MemoryError> {
    GuestRegionMmap::new(mapping, GuestAddress(range.start))
        .ok_or_else(|| map_failed(range.len)(io::ErrorKind::InvalidInput.into()))
}

/// One slot a region.
pub(super) fn set_slots(vm: &VmFd, ram: &GuestRam) -> Result<(), kvm_ioctls::Error> {
    for (slot, region) in (0..).zip(ram.memory.iter()) {
        let region = kvm_userspace_memory_region {
            slot,
            flags: 0,
            guest_phys_addr: region.start_addr().0,
            memory_size: region.len(),
            userspace_addr: region.as_ptr() as u64,
        };
        // SAFETY: the mapping is at least that long and outlives the VM: RAM is never unmapped, and the machine drops
        // the firmware's region after the VM. Guest and devices may race on it; all our accesses are volatile.
        unsafe { vm.set_user_memory_region(region) }?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::machine::plan::{GIB, MIB};

    fn ram(memory: u64, firmware: u64) -> (GuestRam, Plan) {
        let plan = Plan::new(&Config { memory, ..Config::default() }, firmware, 46).unwrap();
        (GuestRam::allocate(&plan).unwrap(), plan)
    }

    #[test]
    fn firmware_is_one_buffer_at_two_addresses() {
        let (ram, _) = ram(64 * MIB, 4 * MIB);
        let memory = ram.memory();
        memory.write_obj(0x1234_5678_u32, GuestAddress(0xf_fff0)).unwrap();
        assert_eq!(memory.read_obj::<u32>(GuestAddress(0xffff_fff0)).unwrap(), 0x1234_5678);
        memory.write_obj(0x9abc_def0_u32, GuestAddress(0xfffe_0000)).unwrap();
        assert_eq!(memory.read_obj::<u32>(GuestAddress(0xe_0000)).unwrap(), 0x9abc_def0);
    }

    #[test]
    fn small_firmware_leaves_ram_below_its_shadow() {
        let (ram, _) = ram(64 * MIB, 64 << 10);
        ram.restore_firmware(&vec![0xaa; 64 << 10]).unwrap();
        assert_eq!(ram.memory().read_obj::<u8>(GuestAddress(0xe_ffff)).unwrap(), 0);
        assert_eq!(ram.memory().read_obj::<u8>(GuestAddress(0xf_0000)).unwrap(), 0xaa);
    }

    #[test]
    fn restore_brings_back_the_image_and_leaves_ram() {
        let (ram, _) = ram(64 * MIB, 128 << 10);
        let image: Vec<u8> = (0..128 << 10).map(|n: u32| n as u8).collect();
        ram.restore_firmware(&image).unwrap();
        ram.memory().write_obj(0xff_u8, GuestAddress(0xe_0005)).unwrap();
        ram.memory().write_obj(0x77_u8, GuestAddress(0x7c00)).unwrap();
        ram.restore_firmware(&image).unwrap();
        assert_eq!(ram.memory().read_obj::<u8>(GuestAddress(0xe_0005)).unwrap(), 5);
        assert_eq!(ram.memory().read_obj::<u8>(GuestAddress(0x7c00)).unwrap(), 0x77);
    }

    #[test]
    fn high_ram_starts_at_4_gib_and_the_hole_is_a_hole() {
        let (ram, plan) = ram(6 * GIB, 128 << 10);
        let memory = ram.memory();
        memory.write_obj(1_u8, GuestAddress(plan.high_ram.unwrap().end() - 1)).unwrap();
        assert!(memory.read_obj::<u8>(GuestAddress(3 * GIB)).is_err());
        assert!(memory.read_obj::<u8>(GuestAddress(7 * GIB)).is_err());
    }
}
