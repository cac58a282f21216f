//! The four ioctls of a tap interface: the only unsafe code of this crate. No safe wrapper offers them.
#![expect(unsafe_code, reason = "tap interfaces are set up by ioctl alone")]

use std::fs::File;
use std::io;

use vmm_sys_util::ioctl::{ioctl_with_ref, ioctl_with_val};
use vmm_sys_util::ioctl_iow_nr;

use crate::Offloads;

/// `T`, the number of the driver. linux/if_tun.h.
const TUN: u32 = 0x54;

ioctl_iow_nr!(TUNSETIFF, TUN, 202, libc::c_int);
ioctl_iow_nr!(TUNSETOFFLOAD, TUN, 208, libc::c_uint);
ioctl_iow_nr!(TUNSETQUEUE, TUN, 217, libc::c_int);
ioctl_iow_nr!(TUNSETVNETHDRSZ, TUN, 216, libc::c_int);

/// A request to become the other end of an interface: the beginning of `struct ifreq`, as long as that is.
#[repr(C)]
pub(super) struct Attach {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    rest: [u8; 22],
}

const _: () = assert!(size_of::<Attach>() == size_of::<libc::ifreq>());

impl Attach {
    /// A request for the interface `name`, with headers and without the extra protocol field, to be one of `several` ends of it
    /// or the only one; none if no interface has such a name.
    pub(super) fn new(name: &str, several: bool) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
        let mut bytes = [0; libc::IFNAMSIZ];
        if name.is_empty() || name.len() >= bytes.len() || !name.bytes().all(fits) {
            return None;
        }
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        let queues = if several { libc::IFF_MULTI_QUEUE } else { 0 };
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | queues;
        Some(Self { name: bytes, flags: flags as libc::c_short, rest: [0; 22] })
    }

    /// Makes `file`, a fresh /dev/net/tun, that other end.
    pub(super) fn attach(&self, file: &File) -> io::Result<()> {
        // SAFETY: TUNSETIFF reads a `struct ifreq`, whose size `Attach` has, from a pointer that is valid during the call.
        done(unsafe { ioctl_with_ref(file, TUNSETIFF(), self) })
    }
}

/// Has `file`, one of several ends, take part or stand aside.
pub(super) fn set_used(file: &File, used: bool) -> io::Result<()> {
    let flags = if used { libc::IFF_ATTACH_QUEUE } else { libc::IFF_DETACH_QUEUE };
    let request = Attach { name: [0; libc::IFNAMSIZ], flags: flags as libc::c_short, rest: [0; 22] };
    // SAFETY: TUNSETQUEUE reads a `struct ifreq`, whose size `Attach` has, from a pointer that is valid during the call.
    done(unsafe { ioctl_with_ref(file, TUNSETQUEUE(), &request) })
}

/// Says how long the header before each frame is.
pub(super) fn set_header_len(file: &File, len: i32) -> io::Result<()> {
    // SAFETY: TUNSETVNETHDRSZ reads an int from a pointer that is valid during the call.
    done(unsafe { ioctl_with_ref(file, TUNSETVNETHDRSZ(), &len) })
}

/// Says what our side can do with packets that come from the kernel.
pub(super) fn set_offloads(file: &File, offloads: Offloads) -> io::Result<()> {
    let bits = [
        (offloads.checksum, libc::TUN_F_CSUM),
        (offloads.tso4, libc::TUN_F_TSO4),
        (offloads.tso6, libc::TUN_F_TSO6),
        (offloads.ecn, libc::TUN_F_TSO_ECN),
        (offloads.ufo, libc::TUN_F_UFO),
    ];
    let set = bits.iter().filter(|(on, _)| *on).fold(0, |set, (_, bit)| set | bit);
    // SAFETY: TUNSETOFFLOAD takes a set of bits by value and no pointer.
    done(unsafe { ioctl_with_val(file, TUNSETOFFLOAD(), set.into()) })
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
