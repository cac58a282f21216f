//! Functions of the root complex: the host bridge itself, and root ports. PCIe 5.0, 1.3.1 and 7.5.1.3.

use bus::{Access, Refused, Width};

use crate::config::{Header, Identity, spec};
use crate::{ConfigSpace, Function};

/// Red Hat's vendor id, under which QEMU's generic devices are known.
const VENDOR: u16 = 0x1b36;
const HOST_BRIDGE: u16 = 0x0008;
const ROOT_PORT: u16 = 0x000c;
const SUBSYSTEM: [u16; 2] = [0x1af4, 0x1100];

/// A function with a configuration space and nothing else.
pub(crate) struct Plain(ConfigSpace);

impl Function for Plain {
    fn config(&mut self) -> &mut ConfigSpace {
        &mut self.0
    }

    fn read_bar(&mut self, _bar: usize, _at: Access) -> Result<u64, Refused> {
        Err(Refused)
    }

    fn write_bar(&mut self, _bar: usize, _at: Access, _value: u64) -> Result<(), Refused> {
        Err(Refused)
    }

    fn reset(&mut self) {}
}

/// The function that a host bridge shows of itself.
pub(crate) fn host_bridge() -> Plain {
    let class = [0x06, 0x00, 0x00];
    let identity = Identity { vendor: VENDOR, device: HOST_BRIDGE, revision: 0, class, subsystem: SUBSYSTEM };
    Plain(ConfigSpace::endpoint(identity).build())
}

/// A root port with a slot, and no window for I/O ports. It has a message to send, as all that have a pin must, and nothing to
/// say: no hot-plug, no PME.
pub(crate) fn root_port() -> Plain {
    let class = [0x06, 0x04, 0x00];
    let identity = Identity { vendor: VENDOR, device: ROOT_PORT, revision: 0, class, subsystem: SUBSYSTEM };
    Plain(ConfigSpace::bridge(identity).pin().power_management().msi(1).express().build())
}

/// The number of the bus behind a port, once software gave it one, and while it is not held in reset.
pub(crate) fn secondary_bus(port: &ConfigSpace) -> Option<u8> {
    let registers = port.registers();
    let (secondary, subordinate) =
        (registers.byte(spec::SECONDARY_BUS), registers.byte(spec::SUBORDINATE_BUS));
    let reachable = secondary != 0 && secondary <= subordinate && !port.bus_reset_asserted();
    reachable.then_some(secondary)
}

/// The memory that a bridge forwards to the bus behind it: two windows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forwarding([(u64, u64); 2]);

impl Forwarding {
    const NOTHING: Self = Self([(u64::MAX, 0); 2]);

    /// What the registers of a function say.
    pub(crate) fn of(config: &ConfigSpace) -> Self {
        if config.header() != Header::Bridge || !config.decodes_memory() || config.bus_reset_asserted() {
            return Self::NOTHING;
        }
        let registers = config.registers();
        // The upper 12 bits of a word are address bits 31:20. PCIe 5.0, 7.5.1.3.8.
        let bits = |offset| u64::from(registers.word(offset) & 0xfff0) << 16;
        let upper = |offset| u64::from(registers.dword(offset)) << 32;
        let memory = (bits(spec::MEMORY_BASE), bits(spec::MEMORY_LIMIT) | 0xf_ffff);
        let prefetchable = (
            bits(spec::PREFETCHABLE_BASE) | upper(spec::PREFETCHABLE_BASE_UPPER),
            bits(spec::PREFETCHABLE_LIMIT) | upper(spec::PREFETCHABLE_LIMIT_UPPER) | 0xf_ffff,
        );
        Self([memory, prefetchable])
    }

    /// Whether all of a range gets through.
    pub(crate) fn forwards(&self, start: u64, last: u64) -> bool {
        self.0.iter().any(|&(base, limit)| base <= start && last <= limit)
    }
}

/// Sets a port up as firmware does: the bus behind it, and the windows from `first` to before `end`, the one below 4 GiB and
/// the prefetchable one. An empty window stays closed.
pub(crate) fn open(port: &mut ConfigSpace, bus: u8, first: [u64; 2], end: [u64; 2]) {
    let mut write = |offset: usize, width, value| {
        port.write(Access { offset: offset as u64, width }, value);
    };
    let ([low_first, high_first], [low_end, high_end]) = (first, end);
    write(spec::SECONDARY_BUS, Width::Byte, bus.into());
    write(spec::SUBORDINATE_BUS, Width::Byte, bus.into());
    if low_first < low_end {
        write(spec::MEMORY_BASE, Width::Word, low_first >> 16);
        write(spec::MEMORY_LIMIT, Width::Word, (low_end - 1) >> 16 & 0xffff);
    }
    if high_first < high_end {
        let high_last = high_end - 1;
        write(spec::PREFETCHABLE_BASE, Width::Word, high_first >> 16 & 0xffff);
        write(spec::PREFETCHABLE_LIMIT, Width::Word, high_last >> 16 & 0xffff);
        write(spec::PREFETCHABLE_BASE_UPPER, Width::Dword, high_first >> 32);
        write(spec::PREFETCHABLE_LIMIT_UPPER, Width::Dword, high_last >> 32);
    }
    write(spec::COMMAND, Width::Word, u64::from(spec::COMMAND_MEMORY | spec::COMMAND_BUS_MASTER));
}
