//! Guest memory in the host's IOMMU.
#![expect(unsafe_code, reason = "hands host addresses to the IOMMU")]

use vfio_ioctls::{VfioContainer, VfioError};
use vm_memory::GuestMemoryMmap;

/// Lets the functions of `container` read and write all of `memory`, at the guest's addresses. Its pages are pinned.
///
/// # Errors
/// When the host refuses: it limits how much a process pins.
pub fn map_for_devices(container: &VfioContainer, memory: &GuestMemoryMmap) -> Result<(), VfioError> {
    // SAFETY: every region is a mapping of ours of just its length. VFIO pins its pages, so a function that still writes when the
    // mapping is gone writes to pages that belong to nobody else; they are freed when the container is closed.
    unsafe { container.vfio_map_guest_memory(memory) }
}
