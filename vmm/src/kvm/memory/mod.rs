//! Guest RAM in our address space and as KVM's memory slots.
#![expect(unsafe_code, reason = "hands host addresses to KVM")]

mod prefault;
mod ram;
mod release;

use std::fs::File;
use std::io;
use std::sync::Arc;

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;
use rustix::fs::MemfdFlags;
use vm_memory::{
    Bytes as _, FileOffset, GuestAddress, GuestMemoryBackend as _, GuestMemoryMmap, GuestMemoryRegion as _,
    GuestRegionMmap, MmapRegion,
};

use crate::backing::Backing;
use crate::machine::plan::{FirmwarePlan, Plan, Range};
use ram::Ram;

pub use release::release;

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
    /// The host cannot give all of it at once.
    #[error("--memory prefault=on: take the guest's memory (it needs Linux 5.14)")]
    Prefault(#[source] io::Error),
    /// The host does not merge.
    #[error("--memory merge=on: this kernel has no KSM, leave it out")]
    Merge(#[source] io::Error),
    /// The pieces do not make an address space.
    #[error("lay out guest memory")]
    Layout(#[from] vm_memory::GuestRegionCollectionError),
    /// Cannot write the firmware image.
    #[error("put the firmware in place")]
    Firmware(#[from] vm_memory::GuestMemoryError),
}

/// All memory of the guest: RAM, the firmware image, which is one buffer seen at two addresses, a page for the VM
/// generation id, and files of the host's.
pub struct GuestRam {
    memory: GuestMemoryMmap,
    firmware: Option<FirmwarePlan>,
}

impl GuestRam {
    /// Maps the plan's memory. `pmems` are the files of persistent memory, each as long as its range.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn allocate(plan: &Plan, pmems: &[Arc<File>]) -> Result<Self, MemoryError> {
        let low = Ram::map(plan.low_ram.len, &plan.backing)?;
        let mut regions = match plan.firmware {
            Some(firmware) => around_shadow(&low, plan.low_ram, firmware)?,
            None => vec![at(low.region(0, plan.low_ram.len)?, plan.low_ram)?],
        };
        if let Some(range) = plan.high_ram {
            regions.push(at(Ram::map(range.len, &plan.backing)?.region(0, range.len)?, range)?);
        }
        if let Some(generation) = plan.generation {
            let page = generation.page;
            regions.push(at(Ram::map(page.len, &Backing::default())?.region(0, page.len)?, page)?);
        }
        for (range, file) in plan.pmems.iter().zip(pmems) {
            regions.push(view(file, 0, *range)?);
        }
        regions.sort_by_key(GuestRegionMmap::start_addr);
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

/// The regions below 4 GiB: RAM, the end of the firmware image instead of RAM up to 1 MiB, and the whole image at the top.
/// They are regions of their own, because a mapping of huge pages cannot have another in its middle.
fn around_shadow(
    low: &Ram,
    low_ram: Range,
    FirmwarePlan { image, shadow }: FirmwarePlan,
) -> Result<Vec<GuestRegionMmap>, MemoryError> {
    let file = firmware_buffer(image.len)?;
    let view = |range: Range| view(&file, image.len - range.len, range);
    let ram = |range: Range| at(low.region(range.start, range.len)?, range);
    let below = Range::new(low_ram.start, shadow.start);
    let above = Range::new(shadow.end(), low_ram.end().saturating_sub(shadow.end()));
    Ok(vec![ram(below)?, view(shadow)?, ram(above)?, view(image)?])
}

/// The part of `file` from `offset` on as the memory of `range`.
fn view(file: &Arc<File>, offset: u64, range: Range) -> Result<GuestRegionMmap, MemoryError> {
    let mapping = MmapRegion::from_file(FileOffset::from_arc(Arc::clone(file), offset), range.len as usize);
    at(mapping.map_err(|error| map_failed(range.len)(io::Error::other(error)))?, range)
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
        // the regions of files after the VM. Guest and devices may race on it; all our accesses are volatile.
        unsafe { vm.set_user_memory_region(region) }?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backing::Pages;
    use crate::config::{Config, PmemConfig, VirtioConfig};
    use crate::machine::plan::{GIB, MIB};

    fn ram(memory: u64, firmware: u64) -> (GuestRam, Plan) {
        let plan = Plan::new(&Config { memory, ..Config::default() }, firmware, 46).unwrap();
        (GuestRam::allocate(&plan, &[]).unwrap(), plan)
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
    fn every_backing_holds_what_is_written() {
        let plain = Backing::default();
        for backing in [
            Backing { shared: true, prefault: true, ..plain },
            Backing { pages: Pages::Small, prefault: true, ..plain },
        ] {
            let config = Config { memory: 64 * MIB, backing, ..Config::default() };
            let ram = GuestRam::allocate(&Plan::new(&config, 128 << 10, 46).unwrap(), &[]).unwrap();
            ram.memory().write_obj(0x5a_u8, GuestAddress(64 * MIB - 1)).unwrap();
            assert_eq!(ram.memory().read_obj::<u8>(GuestAddress(64 * MIB - 1)).unwrap(), 0x5a);
        }
    }

    #[test]
    fn shared_memory_has_a_file_for_others_to_map() {
        let backing = Backing { shared: true, ..Backing::default() };
        let config = Config { memory: 64 * MIB, backing, ..Config::default() };
        let ram = GuestRam::allocate(&Plan::new(&config, 128 << 10, 46).unwrap(), &[]).unwrap();
        let region = ram.memory().find_region(GuestAddress(MIB)).unwrap();
        assert_eq!(region.file_offset().unwrap().start(), MIB);
    }

    #[test]
    fn persistent_memory_is_its_file() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4 * MIB).unwrap();
        let virtio = VirtioConfig {
            pmems: vec![PmemConfig { path: "p".into(), size: 4 * MIB }],
            ..VirtioConfig::default()
        };
        let plan = Plan::new(&Config { virtio, ..Config::default() }, 128 << 10, 46).unwrap();
        let file = Arc::new(file);
        let ram = GuestRam::allocate(&plan, &[Arc::clone(&file)]).unwrap();
        ram.memory().write_obj(0x1234_5678_u32, GuestAddress(4 * GIB + 0x1000)).unwrap();
        let mut bytes = [0; 4];
        std::os::unix::fs::FileExt::read_exact_at(&*file, &mut bytes, 0x1000).unwrap();
        assert_eq!(u32::from_le_bytes(bytes), 0x1234_5678);
        assert!(ram.memory().read_obj::<u8>(GuestAddress(4 * GIB + 4 * MIB)).is_err());
    }

    #[test]
    fn access_across_the_shadow_is_one_access() {
        let (ram, _) = ram(64 * MIB, 128 << 10);
        let bytes: Vec<u8> = (0..0x30000).map(|n: u32| (n >> 8) as u8).collect();
        ram.memory().write_slice(&bytes, GuestAddress(0xd_8000)).unwrap();
        let mut read = vec![0; bytes.len()];
        ram.memory().read_slice(&mut read, GuestAddress(0xd_8000)).unwrap();
        assert_eq!(read, bytes);
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
