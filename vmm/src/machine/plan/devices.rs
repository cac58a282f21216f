//! What the switches stand for: the devices of a PC, each at its place.

use super::{ExtraPlan, FirmwarePlan, GedPlan, IoApicPlan, MIB, PicPlan, PlanError, PortPlan, Range};
use crate::config::{Config, Console, ExtraDevice, FirmwareChoice, Irqchip, MachineOptions, Switch};

/// IRQ 0, which on a PC is input 2 of the first IOAPIC.
pub(super) const PIT: PortPlan = PortPlan { ports: Range::new(0x40, 4), gsi: 0 };
pub(super) const RTC: PortPlan = PortPlan { ports: Range::new(0x70, 2), gsi: 8 };
pub(super) const COM1: PortPlan = PortPlan { ports: Range::new(0x3f8, 8), gsi: 4 };
pub(super) const DEBUGCON: Range = Range::new(0x402, 1);
pub(super) const FW_CFG: Range = Range::new(0x510, 0xc);
pub(super) const GED: GedPlan =
    GedPlan { events: Range::new(0xfea0_0000, 4), power: Range::new(0xfea0_0200, 3), gsi: 9 };

/// The registers of `pc-testdev`.
const TEST_LATCH: Range = Range::new(0xe0, 12);
/// A port for each interrupt line of `pc-testdev`.
pub(in crate::machine) const TEST_LINES: Range = Range::new(0x2000, 24);
/// The memory of `pc-testdev`.
const TEST_MEMORY: Range = Range::new(0xff00_0000, 0x1_0000);

/// The memory of `pc-testdev`, if the machine has one. A firmware image of the greatest size lies there, too.
pub(super) fn test_memory(
    config: &Config,
    firmware: Option<FirmwarePlan>,
) -> Result<Option<Range>, PlanError> {
    let memory = config.extras.contains(&ExtraDevice::TestDevice).then_some(TEST_MEMORY);
    match (memory, firmware) {
        (Some(memory), Some(firmware)) if memory.overlaps(firmware.image) => {
            Err(PlanError::TestMemoryTaken { memory, image: firmware.image })
        }
        _ => Ok(memory),
    }
}

pub(super) const fn pic() -> PicPlan {
    PicPlan { first: Range::new(0x20, 2), second: Range::new(0xa0, 2), elcr: Range::new(0x4d0, 2) }
}

pub(super) fn ioapics(options: &MachineOptions) -> Vec<IoApicPlan> {
    let second = options.has_ioapic2().then(|| ioapic(1, 0xfec1_0000));
    [ioapic(0, 0xfec0_0000)].into_iter().chain(second).collect()
}

/// edk2's clock driver takes an absent clock for a broken one, and stops.
pub(super) fn needs_rtc(firmware: &FirmwareChoice) -> bool {
    is_edk2(firmware)
}

/// The least RAM in bytes that firmware and a boot loader can work in: SeaBIOS in 16 MiB; in less than 64 MiB, edk2 loads
/// nothing any more, and does not say so.
pub(super) fn least_memory(firmware: &FirmwareChoice) -> u64 {
    if is_edk2(firmware) { 64 * MIB } else { 16 * MIB }
}

pub(super) fn is_edk2(firmware: &FirmwareChoice) -> bool {
    matches!(firmware, FirmwareChoice::Named(name) if name.starts_with("edk2"))
}

pub(super) fn has_com1(config: &Config) -> bool {
    config.options.isa_serial.or(true) && config.console != Console::None
}

pub(super) fn check_options(config: &Config) -> Result<(), PlanError> {
    let options = &config.options;
    let contradiction = |option, other, reason| Err(PlanError::Contradiction { option, other, reason });
    if options.ioapic2 == Switch::On && !options.has_acpi() {
        return contradiction("ioapic2=on", "acpi=off", "nothing but ACPI tells of a second IOAPIC");
    }
    if options.irqchip == Irqchip::Kernel && options.pic == Switch::Off {
        return contradiction("irqchip=kernel", "pic=off", "KVM's interrupt controllers include the PIC");
    }
    if options.isa_serial == Switch::Off && matches!(config.console, Console::File(_) | Console::Stream(_)) {
        return Err(PlanError::ConsoleWithoutPort);
    }
    Ok(())
}

/// The ports of the devices that were asked for by name. None overlap others, whether those are there or not: a machine
/// with one switch more shall not be a contradiction.
pub(super) fn extras(config: &Config) -> Result<Vec<ExtraPlan>, PlanError> {
    let mut taken: Vec<(Range, String)> = [
        (pic().first, "the PIC"),
        (pic().second, "the PIC"),
        (pic().elcr, "the PIC"),
        (PIT.ports, "the PIT"),
        (RTC.ports, "the RTC"),
        (COM1.ports, "COM1"),
        (DEBUGCON, "the debug console"),
        (FW_CFG, "fw_cfg"),
    ]
    .map(|(range, owner)| (range, owner.to_owned()))
    .into();
    let mut plans = Vec::new();
    for &device in &config.extras {
        for ports in device_ports(device) {
            if let Some((_, owner)) = taken.iter().find(|(range, _)| range.overlaps(ports)) {
                return Err(PlanError::PortsTaken { device, ports, owner: owner.clone() });
            }
            taken.push((ports, format!("--device {device}")));
            plans.push(ExtraPlan { device, ports });
        }
    }
    Ok(plans)
}

fn device_ports(device: ExtraDevice) -> Vec<Range> {
    vec![match device {
        ExtraDevice::PvPanic => Range::new(0x505, 1),
        ExtraDevice::DebugExit { port } => Range::new(port.into(), 4),
        ExtraDevice::ResetPort => Range::new(0xcf9, 1),
        ExtraDevice::KeyboardReset => Range::new(0x64, 1),
        ExtraDevice::TestDevice => return vec![TEST_LATCH, TEST_LINES],
        ExtraDevice::GenerationId(_) | ExtraDevice::Xhci(_) => return Vec::new(),
    }]
}

fn ioapic(id: u8, base: u64) -> IoApicPlan {
    const PINS: u32 = 24;
    IoApicPlan { id, mmio: Range::new(base, 0x1000), gsi_base: u32::from(id) * PINS, pins: PINS }
}
