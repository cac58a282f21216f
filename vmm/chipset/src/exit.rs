//! The debug exit: a port that ends the session, for test kernels.
//!
//! What a guest writes becomes the exit status of the process, as an odd number: zero is left for a guest that shuts
//! down, and a test suite tells its results from ours.
//!
//! Standard: QEMU's `isa-debug-exit`.

use std::fmt;

use bus::{Access, Device, Refused};

/// Where test kernels look for it, and where QEMU puts it unless told otherwise.
pub const PORT: u64 = 0xf4;
/// QEMU's own default.
pub const QEMU_PORT: u64 = 0x501;
/// Ports.
pub const LEN: u64 = 4;

/// The port.
pub struct DebugExit {
    request: Box<dyn Fn(u8) + Send>,
}

impl DebugExit {
    /// A port that calls `request` with the exit status, on the thread of the vCPU that wrote, with the device's lock
    /// held.
    pub fn new(request: impl Fn(u8) + Send + 'static) -> Self {
        Self { request: Box::new(request) }
    }
}

impl Device for DebugExit {
    fn read(&mut self, _at: Access) -> Result<u64, Refused> {
        Ok(0)
    }

    /// At any place and of any width. An exit status has eight bits; the rest is lost.
    fn write(&mut self, _at: Access, value: u64) -> Result<(), Refused> {
        (self.request)((value << 1 | 1) as u8);
        Ok(())
    }

    fn reset(&mut self) {}
}

impl fmt::Debug for DebugExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DebugExit")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use bus::Width;
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn port() -> (DebugExit, Arc<Mutex<Vec<u8>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = asked.clone();
        (DebugExit::new(move |status| record.lock().unwrap().push(status)), asked)
    }

    #[rstest]
    #[case::success_of_kvm_unit_tests(0, Width::Dword, 1)]
    #[case::failure_of_kvm_unit_tests(1, Width::Dword, 3)]
    #[case::success_of_rust_kernels(0x10, Width::Dword, 33)]
    #[case::byte(0x11, Width::Byte, 35)]
    #[case::lost_bits(0x80, Width::Word, 1)]
    #[case::all_bits(0xffff_ffff, Width::Dword, 255)]
    fn exit_status_of_a_write(#[case] value: u64, #[case] width: Width, #[case] status: u8) {
        let (mut port, asked) = port();
        port.write(Access { offset: 0, width }, value).unwrap();
        assert_eq!(*asked.lock().unwrap(), [status]);
    }

    #[test]
    fn read_ends_nothing() {
        let (mut port, asked) = port();
        assert_eq!(port.read(Access { offset: 0, width: Width::Dword }), Ok(0));
        port.reset();
        assert!(asked.lock().unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn no_guest_fakes_success(offset in 0..LEN, value: u64) {
            let (mut port, asked) = port();
            port.write(Access { offset, width: Width::Byte }, value).unwrap();
            prop_assert_eq!(asked.lock().unwrap().pop().map(|status| status % 2), Some(1));
        }
    }
}
