//! The one plan of addresses: every range, GSI and name of the machine, from a [`Config`] and nothing else.
//!
//! ACPI, e820, fw_cfg, `--dry-run` and the buses read the plan; no other file holds an address.
//! The numbers are those of the `microvm` machine contract.

mod cmdline;
mod devices;
mod functions;
mod generation;
mod numa;
mod pcie;
mod pmem;
#[cfg(test)]
mod tests;
mod usb;
mod usb_devices;
mod virtio;

use std::fmt;
use std::path::PathBuf;

use ::pcie::Messages;

pub(super) use devices::TEST_LINES;
pub use generation::GenerationPlan;
pub use numa::{NodePlan, NumaError, NumaPlan};

use super::boot_order::boot_order;
use crate::backing::{Backing, HugePage, Pages};
use crate::config::{Config, ExtraDevice, FirmwareChoice, Irqchip};
use crate::cpu::CpuModel;
use crate::topology::Topology;

pub use functions::{FunctionPlan, PciFunction, PortError};
pub use pcie::PciePlan;
pub use usb::UsbPlan;
pub(super) use usb_devices::{ROOT_PORTS, root_port};
pub use usb_devices::{UsbError, UsbPlace};
pub use virtio::{TransportPlan, Virtio};

/// 1 MiB.
pub const MIB: u64 = 1 << 20;
/// 1 GiB.
pub const GIB: u64 = 1 << 30;

/// Where RAM below 4 GiB ends at the latest; PCIe windows and registers follow.
const LOW_RAM_LIMIT: u64 = 3 * GIB;
/// Where the rest of RAM goes.
const HIGH_RAM: u64 = 4 * GIB;
/// As many as QEMU's microvm has.
const MAX_CPUS: u32 = 288;
/// The last APIC id of xAPIC mode, where 255 is everybody's.
const LAST_XAPIC_ID: u32 = 254;

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

/// The pair of i8259.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PicPlan {
    /// The controller of IRQ 0 to 7.
    pub first: Range,
    /// The controller of IRQ 8 to 15.
    pub second: Range,
    /// The registers that choose edge or level.
    pub elcr: Range,
}

/// A device that was asked for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtraPlan {
    /// Which.
    pub device: ExtraDevice,
    /// Its ports.
    pub ports: Range,
}

/// Who has a range of memory in the firmware's map (ACPI 6.5, 15.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct E820Plan {
    /// The range.
    pub range: Range,
    /// RAM (type 1) or reserved (type 2).
    pub ram: bool,
}

impl E820Plan {
    /// The type as every boot protocol numbers it. ACPI 6.5, table 15.4.
    #[must_use]
    pub const fn kind(self) -> u32 {
        if self.ram { 1 } else { 2 }
    }
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
    /// What the host makes RAM of.
    pub backing: Backing,
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
    /// The nodes, if the machine is divided into some.
    pub numa: Option<NumaPlan>,
    /// What each vCPU can do.
    pub cpu: CpuModel,
    /// APIC ids by vCPU index, ascending, with gaps where a level of the topology has no power of two.
    pub apic_ids: Vec<u32>,
    /// Local APIC registers, in KVM.
    pub lapic: Range,
    /// Where the interrupt controllers are.
    pub irqchip: Irqchip,
    /// The I/O APICs.
    pub ioapics: Vec<IoApicPlan>,
    /// The PC's own interrupt controllers.
    pub pic: Option<PicPlan>,
    /// The interval timer.
    pub pit: Option<PortPlan>,
    /// The clock.
    pub rtc: Option<PortPlan>,
    /// Power button, sleep and reset; they come with ACPI.
    pub ged: Option<GedPlan>,
    /// The serial port.
    pub com1: Option<PortPlan>,
    /// The firmware's log port.
    pub debugcon: Option<Range>,
    /// fw_cfg's ports.
    pub fw_cfg: Range,
    /// What was asked for by name.
    pub extras: Vec<ExtraPlan>,
    /// The VM generation id, if the machine has one.
    pub generation: Option<GenerationPlan>,
    /// The memory of `pc-testdev`, beside its ports.
    pub test_memory: Option<Range>,
    /// The PCI Express host bridge.
    pub pcie: Option<PciePlan>,
    /// The USB controller.
    pub usb: Option<UsbPlan>,
    /// Where the devices on USB are, in the order of the configuration.
    pub usb_places: Vec<UsbPlace>,
    /// virtio-mmio, all of them.
    pub transports: Vec<TransportPlan>,
    /// The targets of the SCSI host adapter from 0 on, as indices into [`Config::disks`].
    pub scsi_disks: Vec<usize>,
    /// Where the files are that are memory, in the order of the configuration.
    pub pmems: Vec<Range>,
    /// The command line of the kernel, if there is one.
    pub kernel_cmdline: Option<String>,
    /// The disks in the order in which firmware tries them, as indices into [`Config::disks`].
    pub boot_disks: Vec<usize>,
    /// The memory map that firmware starts from.
    pub e820: Vec<E820Plan>,
}

/// Why there is no such machine. Each message names the option and what to do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    /// Too little RAM.
    #[error("--memory {}M is too small: firmware needs at least {}M", .memory / MIB, .least / MIB)]
    MemoryTooSmall {
        /// What was asked for, in bytes.
        memory: u64,
        /// What the firmware can work in, in bytes.
        least: u64,
    },
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
    /// RAM where PCI functions have theirs.
    #[error(
        "--memory {}M is too large with --machine pcie=on: it leaves no room for the PCI window at {:#x}, use {}M or less",
        .memory / MIB, .window.start, (.window.start - (HIGH_RAM - LOW_RAM_LIMIT)) / MIB
    )]
    PcieMemory {
        /// What was asked for, in bytes.
        memory: u64,
        /// What it would overlap.
        window: Range,
    },
    /// No room for a window above 4 GiB.
    #[error("--machine pcie=on needs a CPU with more than {0} physical address bits, leave it out")]
    PcieAddresses(u32),
    /// RAM not in whole MiB.
    #[error("--memory must be a multiple of 1M, not {0} bytes")]
    MemoryUnaligned(u64),
    /// RAM not in whole huge pages.
    #[error("--memory {}M is no multiple of {size}, which hugepages={size} needs", .memory / MIB)]
    HugePages {
        /// What was asked for, in bytes.
        memory: u64,
        /// What it is to consist of.
        size: HugePage,
    },
    /// No vCPU, or too many.
    #[error("--cpus {0} is out of range: this machine has 1 to {MAX_CPUS} vCPUs")]
    Cpus(u32),
    /// Nodes that cannot be.
    #[error(transparent)]
    Numa(#[from] NumaError),
    /// USB devices that cannot be plugged in.
    #[error(transparent)]
    Usb(#[from] UsbError),
    /// Nothing to start.
    #[error("--firmware none starts nothing by itself, give it a kernel with --kernel FILE")]
    NothingToStart,
    /// An APIC id that something of the machine cannot name.
    #[error(
        "--cpus {cpus}: its last APIC id is {last}, but --machine {switch} names none beyond {LAST_XAPIC_ID}; \
         take fewer vCPUs or {instead}"
    )]
    ApicIds {
        /// The vCPUs.
        cpus: Topology,
        /// The last id.
        last: u32,
        /// What cannot name it.
        switch: &'static str,
        /// What can.
        instead: &'static str,
    },
    /// Two options that exclude each other.
    #[error(
        "--machine {option} and --machine {other} exclude each other: {reason}, so leave one of them out"
    )]
    Contradiction {
        /// The one.
        option: &'static str,
        /// The other.
        other: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A console, and no port for it.
    #[error(
        "--console file:… and --machine isa-serial=off exclude each other: the console is the serial port's, so leave one of them out"
    )]
    ConsoleWithoutPort,
    /// Several ends, and one terminal.
    #[error(
        "--virtio-console, --virtio-port and --usb serial: stdio is taken, by --console stdio unless it says otherwise; give it to one of them alone"
    )]
    StdioTaken,
    /// Memory that another process maps, and that is not to be shared.
    #[error(
        "--memory merge=on and --fs or --vhost-user exclude each other: only private pages are merged, so leave one of them out"
    )]
    MergedAndShared,
    /// Memory that the firmware image has.
    #[error(
        "--device pc-testdev: its memory is at {memory}, where --firmware has its image ({image}): use a smaller image"
    )]
    TestMemoryTaken {
        /// The device's.
        memory: Range,
        /// The image's.
        image: Range,
    },
    /// Ports that another device has.
    #[error("--device {device}: ports {ports} belong to {owner}, choose others with port=")]
    PortsTaken {
        /// Who asks.
        device: ExtraDevice,
        /// For which.
        ports: Range,
        /// Who has some of them.
        owner: String,
    },
    /// More devices than transports.
    #[error(
        "{devices} virtio devices, disks among them, are too many: this machine has {transports} virtio-mmio transports"
    )]
    Transports {
        /// How many were asked for.
        devices: usize,
        /// How many there is room for.
        transports: usize,
    },
    /// A device of which a machine has one.
    #[error("--device {0} is given twice, give it once")]
    DeviceTwice(ExtraDevice),
    /// A device that only ACPI tells of.
    #[error(
        "--device {0} and --machine acpi=off exclude each other: nothing but ACPI tells of it, so leave one of them out"
    )]
    DeviceNeedsAcpi(ExtraDevice),
    /// Something on PCI, and a machine that shall have none.
    #[error("{option} and --machine {other} exclude each other: {reason}, so leave one of them out")]
    OnPci {
        /// The option that puts something on PCI.
        option: String,
        /// The other option.
        other: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// No such root port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// More PCI functions than slots.
    #[error(
        "{functions} PCI devices are too many: this machine has {slots} PCI slots, put disks on bus=virtio-mmio"
    )]
    PciSlots {
        /// How many were asked for.
        functions: usize,
        /// How many there is room for.
        slots: usize,
    },
    /// Persistent memory of a size that systems do not add.
    #[error("--pmem {}: size must be a multiple of 2M, not {size} bytes", .path.display())]
    PmemSize {
        /// The file.
        path: PathBuf,
        /// Bytes asked for.
        size: u64,
    },
    /// Persistent memory beyond what the CPU addresses, or where PCI functions have theirs.
    #[error("--pmem {} is too large: memory ends at {limit:#x} on this machine, use a smaller size", .path.display())]
    PmemRoom {
        /// The file.
        path: PathBuf,
        /// Where memory ends.
        limit: u64,
    },
    /// More disks on SCSI than targets.
    #[error("{0} disks on bus=scsi are too many: the adapter has {MAX} targets, put disks on another bus", MAX = ::virtio::scsi::MAX_TARGETS)]
    ScsiTargets(usize),
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

/// What a disk is plugged into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot<'p> {
    /// A virtio-mmio transport.
    Transport(&'p TransportPlan),
    /// A slot of PCI.
    Function(&'p FunctionPlan),
    /// A port of the USB controller, or of a hub on it.
    Usb(&'p UsbPlace),
    /// A target of the SCSI host adapter.
    Scsi(ScsiPlace<'p>, u8),
}

/// What the SCSI host adapter is plugged into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScsiPlace<'p> {
    /// A virtio-mmio transport.
    Transport(&'p TransportPlan),
    /// A slot of PCI.
    Function(&'p FunctionPlan),
}

impl Plan {
    /// Lays out the machine of `config` with a firmware image of `firmware_len` bytes (a multiple of 64 KiB, 16 MiB at most;
    /// 0 without firmware) for a CPU with `phys_bits` physical address bits.
    ///
    /// # Errors
    /// When the configuration asks for what this machine cannot have.
    pub fn new(config: &Config, firmware_len: u64, phys_bits: u32) -> Result<Self, PlanError> {
        Self::check(config, phys_bits)?;
        let options = &config.options;
        let (low_ram, high_ram) = ram(config.memory);
        let kvm_identity_map = Range::new(0xfeff_c000, 0x1000);
        let kvm_tss = Range::new(0xfeff_d000, 0x3000);
        let transports = virtio::transports(config)?;
        let pcie = pcie::pcie(config, phys_bits)?;
        let generation = GenerationPlan::new(config)?;
        let first_reserved = generation.map_or(kvm_identity_map, |plan| plan.page).start;
        let reserved = Range::new(first_reserved, kvm_tss.end() - first_reserved);
        let firmware = FirmwarePlan::new(firmware_len);
        Ok(Self {
            backing: virtio::backing(config)?,
            low_ram,
            high_ram,
            firmware,
            kvm_identity_map,
            kvm_tss,
            topology: config.cpus,
            numa: NumaPlan::new(config, low_ram, high_ram)?,
            cpu: config.cpu.clone(),
            apic_ids: apic_ids(config)?,
            lapic: Range::new(0xfee0_0000, 0x1000),
            irqchip: options.irqchip,
            ioapics: devices::ioapics(options),
            pic: options.pic.or(true).then(devices::pic),
            pit: options.pit.or(true).then_some(devices::PIT),
            rtc: options.rtc.or(devices::needs_rtc(&config.firmware)).then_some(devices::RTC),
            ged: options.has_acpi().then_some(devices::GED),
            com1: devices::has_com1(config).then_some(devices::COM1),
            debugcon: config.debugcon.is_some().then_some(devices::DEBUGCON),
            fw_cfg: devices::FW_CFG,
            extras: devices::extras(config)?,
            generation,
            test_memory: devices::test_memory(config, firmware)?,
            pmems: pmem::ranges(config, memory_limit(pcie.as_ref(), phys_bits))?,
            pcie,
            usb: usb::usb(config)?,
            usb_places: usb_devices::places(&config.usb)?,
            kernel_cmdline: cmdline::kernel_cmdline(config, &transports),
            transports,
            scsi_disks: config.scsi_disks().collect(),
            boot_disks: boot_order(&config.disks)?,
            e820: match firmware {
                Some(_) => e820(reserved, low_ram, high_ram),
                None => e820_without_firmware(reserved, low_ram, high_ram),
            },
        })
    }

    /// Checks what no firmware image could change: [`Plan::new`] then succeeds with each.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn check(config: &Config, phys_bits: u32) -> Result<(), PlanError> {
        check_memory(config, phys_bits)?;
        check_pages(config.memory, virtio::backing(config)?.pages)?;
        apic_ids(config)?;
        let (low_ram, high_ram) = ram(config.memory);
        NumaPlan::new(config, low_ram, high_ram)?;
        boot_order(&config.disks)?;
        if config.firmware == FirmwareChoice::None && config.kernel.is_none() {
            return Err(PlanError::NothingToStart);
        }
        devices::check_options(config)?;
        devices::extras(config)?;
        let pcie = pcie::pcie(config, phys_bits)?;
        pmem::ranges(config, memory_limit(pcie.as_ref(), phys_bits))?;
        usb::usb(config)?;
        GenerationPlan::new(config)?;
        usb_devices::places(&config.usb)?;
        virtio::transports(config).map(|_| ())
    }

    /// Whether a vCPU has an APIC id that takes more than xAPIC mode, and messages with more than eight bits for it.
    #[must_use]
    pub fn has_wide_apic_ids(&self) -> bool {
        self.apic_ids.last().is_some_and(|&last| last > LAST_XAPIC_ID)
    }

    /// The device number of the USB controller on PCI and how it interrupts, if there is one.
    #[must_use]
    pub fn pci_usb(&self) -> Option<(u8, Messages)> {
        self.pcie.as_ref()?.functions.iter().find_map(|plan| match plan.function {
            PciFunction::Xhci(messages) => Some((plan.device, messages)),
            _ => None,
        })
    }

    /// How many GSIs the IOAPICs take together.
    #[must_use]
    pub fn gsi_count(&self) -> u32 {
        self.ioapics.iter().map(|ioapic| ioapic.pins).sum()
    }

    /// The transports that have a device, with that device.
    pub fn populated(&self) -> impl Iterator<Item = (&TransportPlan, Virtio)> {
        self.transports.iter().filter_map(|transport| Some((transport, transport.device?)))
    }

    /// Where the disks are, in the order in which firmware tries them.
    pub fn boot_order(&self) -> impl Iterator<Item = Boot<'_>> {
        self.boot_disks.iter().filter_map(|&disk| self.find_disk(disk))
    }

    /// Where a disk is, by its index in [`Config::disks`].
    #[must_use]
    pub fn find_disk(&self, disk: usize) -> Option<Boot<'_>> {
        let on_mmio = self.transports.iter().find(|transport| transport.device == Some(Virtio::Disk(disk)));
        let mut functions = self.pcie.iter().flat_map(|pcie| &pcie.functions);
        let on_pci = functions.find(|plan| plan.function.disk() == Some(disk));
        let on_usb = self.usb_places.iter().find(|place| place.disk == Some(disk));
        let on_virtio = on_mmio.map(Boot::Transport).or(on_pci.map(Boot::Function));
        on_virtio.or(on_usb.map(Boot::Usb)).or_else(|| self.find_target(disk))
    }

    /// Targets are numbered in the order of their disks.
    fn find_target(&self, disk: usize) -> Option<Boot<'_>> {
        let target = self.scsi_disks.iter().position(|&other| other == disk)?;
        let on_mmio = self.transports.iter().find(|transport| transport.device == Some(Virtio::Scsi));
        let mut functions = self.pcie.iter().flat_map(|pcie| &pcie.functions);
        let on_pci = functions.find(|plan| plan.function == PciFunction::Virtio(Virtio::Scsi));
        let place = on_mmio.map(ScsiPlace::Transport).or(on_pci.map(ScsiPlace::Function))?;
        Some(Boot::Scsi(place, u8::try_from(target).ok()?))
    }
}

/// Where memory ends at the latest.
fn memory_limit(pcie: Option<&PciePlan>, phys_bits: u32) -> u64 {
    pcie.map_or(1 << phys_bits, |pcie| pcie.window64.start)
}

/// RAM from 0, and from 4 GiB what does not fit below the windows of devices.
fn ram(memory: u64) -> (Range, Option<Range>) {
    let high = memory.checked_sub(LOW_RAM_LIMIT).filter(|&len| len > 0);
    (Range::new(0, memory.min(LOW_RAM_LIMIT)), high.map(|len| Range::new(HIGH_RAM, len)))
}

fn check_memory(config: &Config, bits: u32) -> Result<(), PlanError> {
    let (memory, least) = (config.memory, devices::least_memory(&config.firmware));
    if memory < least {
        return Err(PlanError::MemoryTooSmall { memory, least });
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

fn check_pages(memory: u64, pages: Pages) -> Result<(), PlanError> {
    match pages {
        Pages::Huge(size) if !memory.is_multiple_of(size.bytes()) => {
            Err(PlanError::HugePages { memory, size })
        }
        _ => Ok(()),
    }
}

fn apic_ids(config: &Config) -> Result<Vec<u32>, PlanError> {
    let (cpus, options) = (config.cpus, &config.options);
    let count = cpus.count();
    if !(1..=MAX_CPUS).contains(&count) {
        return Err(PlanError::Cpus(count));
    }
    let ids: Vec<_> = (0..count).map(|index| cpus.apic_id(index)).collect();
    let last = ids.last().copied().unwrap_or_default();
    // Bytes in the MP table, and in the redirection entries of KVM's own IOAPIC.
    let refuse = |switch, instead| Err(PlanError::ApicIds { cpus, last, switch, instead });
    match (last > LAST_XAPIC_ID, options.has_acpi(), options.irqchip) {
        (true, false, _) => refuse("acpi=off", "acpi=on"),
        (true, _, Irqchip::Kernel) => refuse("irqchip=kernel", "irqchip=split"),
        _ => Ok(ids),
    }
}

/// Firmware adds the holes below 1 MiB and itself.
fn e820(kvm_pages: Range, low_ram: Range, high_ram: Option<Range>) -> Vec<E820Plan> {
    let ram = |range| E820Plan { range, ram: true };
    [E820Plan { range: kvm_pages, ram: false }, ram(low_ram)].into_iter().chain(high_ram.map(ram)).collect()
}

/// What firmware would have made of it, by address: the tables of [`crate::boot`] lie below 1 MiB.
fn e820_without_firmware(kvm_pages: Range, low_ram: Range, high_ram: Option<Range>) -> Vec<E820Plan> {
    const BASE_MEMORY: u64 = 0x9_fc00;
    let ram = |range| E820Plan { range, ram: true };
    let reserved = |range| E820Plan { range, ram: false };
    let below = [ram(Range::new(0, BASE_MEMORY)), reserved(Range::new(BASE_MEMORY, MIB - BASE_MEMORY))];
    let above = [ram(Range::new(MIB, low_ram.end() - MIB)), reserved(kvm_pages)];
    below.into_iter().chain(above).chain(high_ram.map(ram)).collect()
}
