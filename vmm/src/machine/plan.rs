//! The one plan of addresses: every range, GSI and name of the machine, from a [`Config`] and nothing else.
//!
//! ACPI, e820, fw_cfg, `--dry-run` and the buses read the plan; no other file holds an address.
//! The numbers are those of the `microvm` machine contract.

use std::fmt;
use std::path::PathBuf;

use super::boot_order::boot_order;
use crate::config::{Config, Console, FirmwareChoice};
use crate::cpu::CpuModel;
use crate::topology::Topology;

/// 1 MiB.
pub const MIB: u64 = 1 << 20;
/// 1 GiB.
pub const GIB: u64 = 1 << 30;

/// Where RAM below 4 GiB ends at the latest; PCIe windows and registers follow.
const LOW_RAM_LIMIT: u64 = 3 * GIB;
/// Where the rest of RAM goes.
const HIGH_RAM: u64 = 4 * GIB;
/// The least RAM that SeaBIOS and a boot loader can work in.
const MIN_MEMORY: u64 = 16 * MIB;
/// What xAPIC ids can name without the broadcast id 255.
const MAX_CPUS: u32 = 254;
/// The last APIC id of xAPIC mode.
const LAST_APIC_ID: u32 = 254;

/// A range of guest-physical memory, or of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first address.
    pub start: u64,
    /// Bytes.
    pub len: u64,
}

impl Range {
    /// The range of `len` bytes at `start`.
    #[must_use]
    pub const fn new(start: u64, len: u64) -> Self {
        Self { start, len }
    }

    /// The address after the last.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.start + self.len
    }

    /// Whether the two share an address.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.start < other.end() && other.start < self.end()
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#012x}-{:#012x}", self.start, self.end() - 1)
    }
}

/// An interrupt input of the machine: 0 to 23 on the first IOAPIC, 24 to 47 on the second.
pub type Gsi = u32;

/// One IOAPIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApicPlan {
    /// Its id in the MADT.
    pub id: u8,
    /// Its registers.
    pub mmio: Range,
    /// The GSI of its first pin.
    pub gsi_base: Gsi,
    /// How many pins it has.
    pub pins: u32,
}

/// The generic event device with the sleep and reset registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GedPlan {
    /// The event selector.
    pub events: Range,
    /// Sleep control, sleep status and reset, a byte each.
    pub power: Range,
    /// Its interrupt, edge-triggered.
    pub gsi: Gsi,
}

/// A device with ports and an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortPlan {
    /// Its ports.
    pub ports: Range,
    /// Its interrupt.
    pub gsi: Gsi,
}

/// One virtio-mmio transport, populated or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportPlan {
    /// Its number, counted from 0.
    pub index: u32,
    /// Its registers.
    pub mmio: Range,
    /// Its interrupt, level-triggered.
    pub gsi: Gsi,
    /// The disk plugged into it, as an index into [`Config::disks`].
    pub disk: Option<usize>,
}

/// Who has a range of memory in the firmware's map (ACPI 6.5, 15.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct E820Plan {
    /// The range.
    pub range: Range,
    /// RAM (type 1) or reserved (type 2).
    pub ram: bool,
}

/// One buffer at two addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirmwarePlan {
    /// The image, ending at 4 GiB.
    pub image: Range,
    /// Its last 128 KiB again, ending at 1 MiB.
    pub shadow: Range,
}

impl FirmwarePlan {
    /// Where an image of `len` bytes goes; nowhere if there is none.
    fn new(len: u64) -> Option<Self> {
        let shadow = len.min(128 << 10);
        (len > 0).then_some(Self {
            image: Range::new(4 * GIB - len, len),
            shadow: Range::new(MIB - shadow, shadow),
        })
    }
}

/// The whole machine, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// RAM from 0; the firmware's shadow lies over it.
    pub low_ram: Range,
    /// RAM from 4 GiB.
    pub high_ram: Option<Range>,
    /// The firmware image, if the machine starts with one.
    pub firmware: Option<FirmwarePlan>,
    /// One page that Intel's KVM wants for real mode.
    pub kvm_identity_map: Range,
    /// Three pages that Intel's KVM wants for virtual 8086 mode.
    pub kvm_tss: Range,
    /// How the vCPUs are arranged.
    pub topology: Topology,
    /// What each vCPU can do.
    pub cpu: CpuModel,
    /// APIC ids by vCPU index, ascending, with gaps where a level of the topology has no power of two.
    pub apic_ids: Vec<u32>,
    /// Local APIC registers, in KVM.
    pub lapic: Range,
    /// The interrupt controllers.
    pub ioapics: Vec<IoApicPlan>,
    /// Power button, sleep and reset.
    pub ged: GedPlan,
    /// The serial port.
    pub com1: Option<PortPlan>,
    /// The firmware's log port.
    pub debugcon: Option<Range>,
    /// fw_cfg's ports.
    pub fw_cfg: Range,
    /// virtio-mmio, all of them.
    pub transports: Vec<TransportPlan>,
    /// The disks in the order in which firmware tries them, as indices into [`Config::disks`].
    pub boot_disks: Vec<usize>,
    /// The memory map that firmware starts from.
    pub e820: Vec<E820Plan>,
}

/// Why there is no such machine. Each message names the option and what to do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    /// Too little RAM.
    #[error("--memory {}M is too small: firmware needs at least {}M", .0 / MIB, MIN_MEMORY / MIB)]
    MemoryTooSmall(u64),
    /// RAM beyond the CPU's physical address width.
    #[error(
        "--memory {}M is too large: the guest's CPU addresses {bits} bits, which leaves room for {}M",
        .memory / MIB, ((1 << bits) - (HIGH_RAM - LOW_RAM_LIMIT)) / MIB
    )]
    MemoryTooLarge {
        /// What was asked for, in bytes.
        memory: u64,
        /// Physical address bits of the guest's CPU.
        bits: u32,
    },
    /// RAM not in whole MiB.
    #[error("--memory must be a multiple of 1M, not {0} bytes")]
    MemoryUnaligned(u64),
    /// No vCPU, or too many.
    #[error("--cpus {0} is out of range: this machine has 1 to {MAX_CPUS} vCPUs")]
    Cpus(u32),
    /// Nothing to start.
    #[error("--firmware none starts nothing by itself, give it a kernel with --kernel FILE")]
    NothingToStart,
    /// The arrangement leaves so many gaps that ids run out.
    #[error(
        "--cpus {0}: its last APIC id is {1}, beyond {LAST_APIC_ID}; choose powers of two, which leave no gaps"
    )]
    ApicIds(Topology, u32),
    /// More disks than transports.
    #[error("{disks} disks are too many: this machine has {transports} virtio-mmio transports")]
    Disks {
        /// How many were asked for.
        disks: usize,
        /// How many there is room for.
        transports: usize,
    },
    /// Two disks want one place in the boot order.
    #[error(
        "bootindex={index} is given to two disks, {} and {}: give each its own",
        .first.display(), .second.display()
    )]
    BootIndex {
        /// The place.
        index: u32,
        /// The disk that has it first on the command line.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

impl Plan {
    /// Lays out the machine of `config` with a firmware image of `firmware_len` bytes (a multiple of 64 KiB, 16 MiB at most;
    /// 0 without firmware) for a CPU with `phys_bits` physical address bits.
    ///
    /// # Errors
    /// When the configuration asks for what this machine cannot have.
    pub fn new(config: &Config, firmware_len: u64, phys_bits: u32) -> Result<Self, PlanError> {
        Self::check(config, phys_bits)?;
        let low_ram = Range::new(0, config.memory.min(LOW_RAM_LIMIT));
        let high_ram =
            (config.memory > LOW_RAM_LIMIT).then(|| Range::new(HIGH_RAM, config.memory - LOW_RAM_LIMIT));
        let kvm_identity_map = Range::new(0xfeff_c000, 0x1000);
        let kvm_tss = Range::new(0xfeff_d000, 0x3000);
        Ok(Self {
            low_ram,
            high_ram,
            firmware: FirmwarePlan::new(firmware_len),
            kvm_identity_map,
            kvm_tss,
            topology: config.cpus,
            cpu: config.cpu.clone(),
            apic_ids: apic_ids(config.cpus)?,
            lapic: Range::new(0xfee0_0000, 0x1000),
            ioapics: vec![ioapic(0, 0xfec0_0000), ioapic(1, 0xfec1_0000)],
            ged: GedPlan { events: Range::new(0xfea0_0000, 4), power: Range::new(0xfea0_0200, 3), gsi: 9 },
            com1: (config.console != Console::None)
                .then_some(PortPlan { ports: Range::new(0x3f8, 8), gsi: 4 }),
            debugcon: config.debugcon.is_some().then_some(Range::new(0x402, 1)),
            fw_cfg: Range::new(0x510, 0xc),
            transports: transports(config.disks.len())?,
            boot_disks: boot_order(&config.disks)?,
            e820: e820(Range::new(kvm_identity_map.start, 0x4000), low_ram, high_ram),
        })
    }

    /// Checks what no firmware image could change: [`Plan::new`] then succeeds with each.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn check(config: &Config, phys_bits: u32) -> Result<(), PlanError> {
        check_memory(config.memory, phys_bits)?;
        apic_ids(config.cpus)?;
        boot_order(&config.disks)?;
        if config.firmware == FirmwareChoice::None && config.kernel.is_none() {
            return Err(PlanError::NothingToStart);
        }
        transports(config.disks.len()).map(|_| ())
    }

    /// How many GSIs the IOAPICs take together.
    #[must_use]
    pub fn gsi_count(&self) -> u32 {
        self.ioapics.iter().map(|ioapic| ioapic.pins).sum()
    }

    /// The transports that have a device, with the index of their disk.
    pub fn disks(&self) -> impl Iterator<Item = (&TransportPlan, usize)> {
        self.transports.iter().filter_map(|transport| Some((transport, transport.disk?)))
    }

    /// The transports of the disks, in the order in which firmware tries them.
    pub fn boot_order(&self) -> impl Iterator<Item = &TransportPlan> {
        let has = |disk| self.transports.iter().find(move |transport| transport.disk == Some(disk));
        self.boot_disks.iter().filter_map(move |&disk| has(disk))
    }
}

fn check_memory(memory: u64, bits: u32) -> Result<(), PlanError> {
    if memory < MIN_MEMORY {
        return Err(PlanError::MemoryTooSmall(memory));
    }
    if !memory.is_multiple_of(MIB) {
        return Err(PlanError::MemoryUnaligned(memory));
    }
    let end = memory.saturating_add(HIGH_RAM - LOW_RAM_LIMIT);
    if memory > LOW_RAM_LIMIT && end > 1 << bits {
        return Err(PlanError::MemoryTooLarge { memory, bits });
    }
    Ok(())
}

fn apic_ids(topology: Topology) -> Result<Vec<u32>, PlanError> {
    let count = topology.count();
    if !(1..=MAX_CPUS).contains(&count) {
        return Err(PlanError::Cpus(count));
    }
    let ids: Vec<_> = (0..count).map(|index| topology.apic_id(index)).collect();
    match ids.last() {
        Some(&last) if last > LAST_APIC_ID => Err(PlanError::ApicIds(topology, last)),
        _ => Ok(ids),
    }
}

fn ioapic(id: u8, base: u64) -> IoApicPlan {
    const PINS: u32 = 24;
    IoApicPlan { id, mmio: Range::new(base, 0x1000), gsi_base: u32::from(id) * PINS, pins: PINS }
}

/// Transports are filled from index 0 upwards, in boot order.
fn transports(disks: usize) -> Result<Vec<TransportPlan>, PlanError> {
    const COUNT: u32 = 24;
    const BASE: u64 = 0xfeb0_0000;
    const LEN: u64 = 0x200;
    const FIRST_GSI: Gsi = 24;
    if disks > COUNT as usize {
        return Err(PlanError::Disks { disks, transports: COUNT as usize });
    }
    let transport = |index: u32| TransportPlan {
        index,
        mmio: Range::new(BASE + u64::from(index) * LEN, LEN),
        gsi: FIRST_GSI + index,
        disk: Some(index as usize).filter(|&disk| disk < disks),
    };
    Ok((0..COUNT).map(transport).collect())
}

/// Firmware adds the holes below 1 MiB and itself.
fn e820(kvm_pages: Range, low_ram: Range, high_ram: Option<Range>) -> Vec<E820Plan> {
    let ram = |range| E820Plan { range, ram: true };
    [E820Plan { range: kvm_pages, ram: false }, ram(low_ram)].into_iter().chain(high_ram.map(ram)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEABIOS: u64 = 128 << 10;

    fn plan(config: Config) -> Result<Plan, PlanError> {
        Plan::new(&config, SEABIOS, 46)
    }

    #[test]
    fn memory_below_3_gib_stays_below() {
        let plan = plan(Config { memory: 3 * GIB, ..Config::default() }).unwrap();
        assert_eq!(plan.low_ram, Range::new(0, 3 * GIB));
        assert_eq!(plan.high_ram, None);
        assert_eq!(plan.e820.len(), 2);
    }

    #[test]
    fn memory_beyond_3_gib_continues_at_4_gib() {
        let plan = plan(Config { memory: 6 * GIB, ..Config::default() }).unwrap();
        assert_eq!(plan.low_ram.end(), 0xc000_0000);
        assert_eq!(plan.high_ram, Some(Range::new(0x1_0000_0000, 3 * GIB)));
        assert_eq!(plan.e820[2], E820Plan { range: Range::new(0x1_0000_0000, 3 * GIB), ram: true });
    }

    #[test]
    fn firmware_ends_at_4_gib_and_its_last_128_kib_at_1_mib() {
        let edk2 = Plan::new(&Config::default(), 4 * MIB, 46).unwrap();
        let image = Range::new(0xffc0_0000, 4 * MIB);
        assert_eq!(edk2.firmware, Some(FirmwarePlan { image, shadow: Range::new(0xe0000, 0x20000) }));
        let qboot = Plan::new(&Config::default(), 64 << 10, 46).unwrap();
        assert_eq!(qboot.firmware.unwrap().shadow, Range::new(0xf0000, 0x10000));
    }

    #[test]
    fn no_firmware_has_no_place() {
        assert_eq!(Plan::new(&Config::default(), 0, 46).unwrap().firmware, None);
    }

    #[test]
    fn transports_take_the_second_ioapic() {
        let plan = plan(Config::default()).unwrap();
        let last = plan.transports.last().unwrap();
        assert_eq!((plan.transports[0].mmio.start, plan.transports[0].gsi), (0xfeb0_0000, 24));
        assert_eq!((last.mmio, last.gsi), (Range::new(0xfeb0_2e00, 0x200), 47));
    }

    #[test]
    fn no_two_ranges_of_memory_overlap() {
        let plan = Plan::new(&Config { memory: 64 * GIB, ..Config::default() }, 16 * MIB, 46).unwrap();
        let mut ranges =
            vec![plan.low_ram, plan.high_ram.unwrap(), plan.firmware.unwrap().image, plan.kvm_identity_map];
        ranges.extend([plan.kvm_tss, plan.lapic, plan.ged.events, plan.ged.power]);
        ranges.extend(plan.ioapics.iter().map(|ioapic| ioapic.mmio));
        ranges.extend(plan.transports.iter().map(|transport| transport.mmio));
        for (n, a) in ranges.iter().enumerate() {
            for b in &ranges[n + 1..] {
                assert!(!a.overlaps(*b), "{a} and {b}");
            }
        }
    }

    #[test]
    fn every_gsi_in_use_has_a_pin_and_one_owner() {
        let plan = plan(Config::default()).unwrap();
        let mut gsis = vec![plan.ged.gsi, plan.com1.unwrap().gsi];
        gsis.extend(plan.transports.iter().map(|transport| transport.gsi));
        gsis.sort_unstable();
        assert!(gsis.windows(2).all(|pair| pair[0] != pair[1]), "{gsis:?}");
        assert!(gsis.iter().all(|&gsi| gsi < plan.gsi_count()));
    }

    #[test]
    fn impossible_machines_are_refused_by_option() {
        let message = |config| plan(config).unwrap_err().to_string();
        let default = Config::default;
        assert!(message(Config { memory: MIB, ..default() }).starts_with("--memory 1M is too small"));
        assert!(message(Config { memory: 17 * MIB + 1, ..default() }).contains("multiple of 1M"));
        assert!(message(Config { memory: 1 << 46, ..default() }).contains("46 bits"));
        assert!(message(Config { memory: u64::MAX - MIB + 1, ..default() }).contains("46 bits"));
        assert!(
            message(Config { cpus: Topology::of_cores(0), ..default() })
                .starts_with("--cpus 0 is out of range")
        );
        assert!(message(Config { cpus: Topology::of_cores(255), ..default() }).starts_with("--cpus 255"));
        let nothing = Config { firmware: FirmwareChoice::None, ..default() };
        assert!(message(nothing).starts_with("--firmware none starts nothing"));
    }

    #[test]
    fn apic_ids_follow_the_topology_up_to_the_last() {
        let threes = |sockets| Topology { sockets, dies: 3, cores: 3, threads: 3 };
        let plan_of = |cpus| plan(Config { cpus, ..Config::default() });
        assert_eq!(plan_of(threes(3)).unwrap().apic_ids.last(), Some(&170));
        assert_eq!(
            plan_of(threes(5)).unwrap_err().to_string(),
            "--cpus sockets=5,dies=3,cores=3,threads=3: its last APIC id is 298, beyond 254; \
             choose powers of two, which leave no gaps"
        );
    }

    #[test]
    fn largest_memory_fits_the_address_width_exactly() {
        let memory = (1 << 40) - GIB;
        assert!(Plan::new(&Config { memory, ..Config::default() }, SEABIOS, 40).is_ok());
        let more = Config { memory: memory + MIB, ..Config::default() };
        assert_eq!(
            Plan::new(&more, SEABIOS, 40).unwrap_err().to_string(),
            "--memory 1047553M is too large: the guest's CPU addresses 40 bits, which leaves room for 1047552M"
        );
    }
}
