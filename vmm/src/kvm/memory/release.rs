//! Guest memory that the guest does without.
#![expect(unsafe_code, reason = "tells the kernel that memory is not needed")]

use rustix::mm::{Advice, madvise};
use vm_memory::VolatileSlice;

/// Bytes of a page of the host's.
const PAGE: usize = 4096;

/// Gives the whole pages in `slice` back to the host; the guest finds zeroes there. What the host does not take, such as parts
/// of huge pages, stays as it is.
pub fn release(slice: &VolatileSlice<'_>) {
    let guard = slice.ptr_guard_mut();
    let skip = guard.as_ptr().align_offset(PAGE);
    let len = guard.len().saturating_sub(skip) / PAGE * PAGE;
    if len == 0 {
        return;
    }
    let start = guard.as_ptr().wrapping_add(skip).cast();
    // SAFETY: the pages lie in the slice, which is mapped while its guard lives. They are guest memory, of which there are no
    // references and whose content may change at any time, to zeroes too.
    let shared = unsafe { madvise(start, len, Advice::LinuxRemove) };
    if shared.is_err() {
        // SAFETY: as above.
        let _ = unsafe { madvise(start, len, Advice::LinuxDontNeed) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm_memory::{Bytes as _, GuestAddress, GuestMemoryBackend as _, GuestMemoryMmap};

    #[test]
    fn whole_pages_become_zeroes_and_parts_stay() {
        let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), 8 * PAGE)]).unwrap();
        memory.write_slice(&[0xee; 8 * PAGE], GuestAddress(0)).unwrap();
        release(&memory.get_slice(GuestAddress(100), 3 * PAGE).unwrap());
        let mut bytes = vec![0; 8 * PAGE];
        memory.read_slice(&mut bytes, GuestAddress(0)).unwrap();
        assert!(bytes[..PAGE].iter().chain(&bytes[3 * PAGE..]).all(|&byte| byte == 0xee));
        assert!(bytes[PAGE..3 * PAGE].iter().all(|&byte| byte == 0));
        release(&memory.get_slice(GuestAddress(1), 100).unwrap());
    }
}
