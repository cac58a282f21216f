//! What firmware is told: the ACPI tables and the contents of fw_cfg, from the plan alone.
//!
//! | table | for whom |
//! |---|---|
//! | DSDT | drivers of everything that cannot be enumerated; SeaBIOS finds its disks there |
//! | FADT | every system: hardware-reduced profile, sleep and reset registers |
//! | MADT | every system: processors, IOAPICs |
//! | SRAT, SLIT | schedulers and allocators; only with `--numa` |
//! | HMAT | the same, for the speed of memory; only with `--numa access` |
//! | PPTT | schedulers; only with sockets, dies or threads. Linux on x86 takes the CPUID's word instead |
//! | MCFG | systems that look for configuration space before they can run AML; only with PCIe |
//! | SPCR, DBG2 | early consoles and kernel debuggers; only with COM1 |
//!
//! There is no WAET: it spares Windows work on an RTC's periodic interrupt and on a PM timer, and this machine has no PM timer
//! and rarely an RTC. `cargo xtask conformance acpi` tests them all, `vmm/tests/tables.rs` the plans of random machines.

mod affinity;

use acpi::table::dsdt::Dsdt;
use acpi::table::fadt::{Absent, Fadt};
use acpi::table::madt::{self, Madt};
use acpi::table::mcfg::{Ecam, Mcfg};
use acpi::table::{Dbg2, Spcr};
use acpi::{Describe, OemIds, TableSet};
use chipset::describe::{Com1, Event, Ged, GenerationId, PowerButton, PvPanic, Rtc, SleepButton};
use firmware::boot_order::{self, BootDevice, UsbController};
use firmware::describe::FwCfg;
use firmware::fw_cfg::{Contents, Item};
use firmware::{device_tree, e820};
use pcie::describe::PciHost;
use usb::describe::XhciDevice;
use virtio::describe::MmioTransport;

use super::plan::{Boot, ExtraPlan, PciFunction, PciePlan, Plan, PortPlan, ScsiPlace, UsbPlan};
use crate::boot::Handover;
use crate::config::ExtraDevice;

/// What SLP_TYP means "off" to the GED. Any number would do if `_S5` names it; this is the contract's.
const SOFT_OFF: u8 = chipset::ged::SOFT_OFF;

/// `_OSC`: PCI Express Capability Structure control. PCI Firmware 3.3, table 4-5.
const CAPABILITY_STRUCTURES: u8 = 1 << 4;

/// The ACPI tables of the machine, if it has ACPI.
#[must_use]
pub fn acpi_tables(plan: &Plan) -> Option<TableSet> {
    let power = plan.ged?.power.start;
    let devices = devices(plan);
    let mut tables = TableSet::new(OemIds::default());
    let dsdt =
        tables.place(&Dsdt { devices: devices.iter().map(AsRef::as_ref).collect(), soft_off_type: SOFT_OFF });
    tables.list(&Fadt {
        dsdt,
        sleep_control_register: power,
        sleep_status_register: power + 1,
        reset_register: power + 2,
        reset_value: chipset::ged::RESET_VALUE,
        // The contract leaves these bits 0 even so; Linux then polls a clock that is not there.
        absent: Absent { vga: true, cmos_rtc: plan.rtc.is_none() },
    });
    tables.list(&madt(plan));
    affinity::list(&mut tables, plan);
    if let Some(pcie) = &plan.pcie {
        let ecam = Ecam { base: pcie.ecam.start, segment: 0, first_bus: 0, last_bus: u8::MAX };
        tables.list(&Mcfg { ranges: vec![ecam] });
    }
    if let Some(com1) = plan.com1 {
        list_console(&mut tables, com1, plan.pic.is_some());
    }
    Some(tables)
}

/// COM1 as the console, which Linux on x86 takes for a bare `earlycon` alone (`console=` decides as ever), and as the port
/// that kernel debuggers may have.
fn list_console(tables: &mut TableSet, com1: PortPlan, pic: bool) {
    let port = port(com1.ports.start);
    tables.list(&Spcr { port, irq: com1.gsi as u8, pic });
    tables.list(&Dbg2 { port, len: com1.ports.len as u32, path: "\\_SB.COM1" });
}

/// What the GED tells of.
const BUTTONS: &[Event] = &[Event::PowerButton, Event::SleepButton];
/// The same with a generation id.
const ALL_EVENTS: &[Event] = &[Event::PowerButton, Event::SleepButton, Event::GenerationId];

/// The devices in the order of the DSDT. SeaBIOS probes from its end.
fn devices(plan: &Plan) -> Vec<Box<dyn Describe>> {
    let fw_cfg = FwCfg { port: port(plan.fw_cfg.start), len: len(plan.fw_cfg.len) };
    let com1 = plan.com1.map(|com1| Com1 {
        port: port(com1.ports.start),
        len: len(com1.ports.len),
        irq: com1.gsi as u8,
    });
    let rtc =
        plan.rtc.map(|rtc| Rtc { port: port(rtc.ports.start), len: len(rtc.ports.len), irq: rtc.gsi as u8 });
    let events = if plan.generation.is_some() { ALL_EVENTS } else { BUTTONS };
    let ged = plan.ged.map(|ged| Ged { selector: address(ged.events.start), gsi: ged.gsi, events });
    let generation = plan.generation.map(|plan| GenerationId { address: address(plan.page.start) });
    let transports = plan.populated().map(|(transport, _)| MmioTransport {
        index: transport.index as u8,
        base: address(transport.mmio.start),
        len: address(transport.mmio.len),
        gsi: transport.gsi,
    });
    let mut devices: Vec<Box<dyn Describe>> = vec![Box::new(fw_cfg)];
    devices.extend(com1.map(|com1| Box::new(com1) as Box<dyn Describe>));
    devices.extend(rtc.map(|rtc| Box::new(rtc) as Box<dyn Describe>));
    devices.extend(ged.map(|ged| Box::new(ged) as Box<dyn Describe>));
    devices.push(Box::new(PowerButton));
    devices.push(Box::new(SleepButton));
    devices.extend(generation.map(|generation| Box::new(generation) as Box<dyn Describe>));
    devices.extend(plan.extras.iter().filter_map(extra));
    devices.extend(transports.map(|transport| Box::new(transport) as Box<dyn Describe>));
    devices.extend(affinity::processors(plan));
    // Last: its child ends what SeaBIOS' parser knows of the parent.
    devices.extend(plan.usb.map(|usb| Box::new(xhci(usb)) as Box<dyn Describe>));
    devices.extend(plan.pcie.as_ref().map(|pcie| Box::new(pci_host(pcie)) as Box<dyn Describe>));
    devices
}

fn xhci(usb: UsbPlan) -> XhciDevice {
    XhciDevice { base: address(usb.mmio.start), len: address(usb.mmio.len), gsi: usb.gsi }
}

/// Of the devices on request, drivers look for this one alone.
fn extra(plan: &ExtraPlan) -> Option<Box<dyn Describe>> {
    (plan.device == ExtraDevice::PvPanic).then(|| Box::new(PvPanic { port: port(plan.ports.start) }) as _)
}

fn madt(plan: &Plan) -> Madt {
    Madt {
        local_apic: address(plan.lapic.start),
        pcat_compat: plan.pic.is_some(),
        cpus: plan.apic_ids.iter().map(|&apic_id| madt::Cpu { apic_id, present: true }).collect(),
        io_apics: plan
            .ioapics
            .iter()
            .map(|ioapic| madt::IoApic {
                id: ioapic.id,
                address: address(ioapic.mmio.start),
                gsi_base: ioapic.gsi_base,
            })
            .collect(),
        overrides: overrides(plan),
    }
}

/// PCI's pins, where they are those of ISA interrupts, which are edge-triggered by default.
fn overrides(plan: &Plan) -> Vec<madt::Override> {
    const ISA_IRQS: u32 = 16;
    let pins = plan.pcie.iter().flat_map(|pcie| pcie.intx).filter(|&gsi| gsi < ISA_IRQS);
    pins.map(|gsi| madt::Override { isa_irq: gsi as u8, gsi, signal: madt::Signal::LevelHigh }).collect()
}

/// Of what `_OSC` asks, the operating system gets the capability structures; there is no hot-plug, PME or error reporting.
fn pci_host(plan: &PciePlan) -> PciHost {
    PciHost {
        ecam: plan.ecam.start,
        window32: address(plan.window32.start)..=address(plan.window32.end() - 1),
        window64: plan.window64.start..=plan.window64.end() - 1,
        intx: plan.intx,
        control: CAPABILITY_STRUCTURES,
    }
}

/// Everything that fw_cfg serves; of `kernel`, which is there for firmware to start, it takes the bytes.
///
/// # Errors
/// When a file does not fit the directory, or the device tree cannot say what the plan does.
pub fn fw_cfg(plan: &Plan, kernel: Option<&mut Handover>) -> anyhow::Result<Contents> {
    let cpus = plan.apic_ids.len() as u16;
    let memory = plan.low_ram.len + plan.high_ram.map_or(0, |range| range.len);
    let mut contents = Contents::new();
    contents
        .item(Item::RamSize(memory))
        .item(Item::Nographic(true)) // there is no graphics, so SeaBIOS talks on COM1
        .item(Item::BootCpus(cpus))
        .item(Item::MaxCpus(cpus))
        .item(Item::BootMenu(false))
        .item(Item::Irq0Override(true))
        .item(Item::Uuid([0; 16]));
    for file in acpi_tables(plan).iter().flat_map(TableSet::files) {
        contents.file(file.name, file.bytes)?;
    }
    contents.file(e820::FILE, e820::encode(&memory_map(plan)))?;
    contents.file(boot_order::FILE, boot_order::encode(&boot_devices(plan, kernel.as_deref())))?;
    contents.file("bios-geometry", [])?;
    // Never: a person looks at "No bootable device" until they end it.
    contents.file("etc/boot-fail-wait", u32::MAX.to_le_bytes())?;
    contents.file(device_tree::FILE, super::device_tree::device_tree(plan)?)?;
    kernel.map_or(Ok(()), |kernel| kernel.offer(&mut contents))?;
    Ok(contents)
}

fn memory_map(plan: &Plan) -> Vec<e820::Entry> {
    let entry = |part: &super::plan::E820Plan| e820::Entry {
        address: part.range.start,
        length: part.range.len,
        kind: if part.ram { e820::Kind::Ram } else { e820::Kind::Reserved },
    };
    plan.e820.iter().map(entry).collect()
}

/// The kernel comes before all disks.
fn boot_devices(plan: &Plan, kernel: Option<&Handover>) -> Vec<BootDevice> {
    let disks = plan.boot_order().filter_map(|place| boot_disk(plan, place));
    kernel.and_then(Handover::boot_device).into_iter().chain(disks).collect()
}

/// How firmware calls a disk.
fn boot_disk(plan: &Plan, place: Boot<'_>) -> Option<BootDevice> {
    Some(match place {
        Boot::Transport(transport) => BootDevice::VirtioMmioDisk { base: transport.mmio.start },
        Boot::Function(plan) => match plan.function {
            PciFunction::Nvme(_) => {
                BootDevice::NvmeNamespace { port: plan.port, device: plan.device, function: plan.number }
            }
            _ => BootDevice::VirtioPciDisk { port: plan.port, device: plan.device, function: plan.number },
        },
        Boot::Scsi(ScsiPlace::Transport(transport), target) => {
            BootDevice::VirtioMmioTarget { base: transport.mmio.start, target }
        }
        Boot::Scsi(ScsiPlace::Function(plan), target) => {
            BootDevice::VirtioPciTarget { device: plan.device, target }
        }
        Boot::Usb(place) => {
            let (controller, counts_all_ports) = boot_controller(plan)?;
            let path = if counts_all_ports { place.path_from_all_ports() } else { place.path.clone() };
            BootDevice::UsbDisk { controller, path }
        }
    })
}

/// The controller of USB disks, and whether firmware counts all its root ports in one row. No firmware but edk2, which
/// does, looks for it on PCI.
fn boot_controller(plan: &Plan) -> Option<(UsbController, bool)> {
    if let Some((device, _)) = plan.pci_usb() {
        return Some((UsbController::Pci { device }, true));
    }
    let usb = plan.usb?;
    Some((UsbController::SystemBus { base: usb.mmio.start }, usb.counts_all_ports))
}

// The plan puts ports below 64 KiB and these registers below 4 GiB; its tests hold it to that.

fn port(start: u64) -> u16 {
    start as u16
}

fn len(len: u64) -> u8 {
    len as u8
}

fn address(start: u64) -> u32 {
    start as u32
}

#[cfg(test)]
mod tests {
    use usb::Speed;

    use super::*;
    use crate::config::{
        Config, Console, DiskBus, DiskConfig, ExtraDevice, FirmwareChoice, UsbConfig, UsbDevice, UsbKind,
        UsbStorage,
    };

    fn plan(config: &Config) -> Plan {
        Plan::new(config, 128 << 10, 46).unwrap()
    }

    fn disks(count: usize) -> Config {
        Config { disks: vec![DiskConfig::new("disk.raw"); count], ..Config::default() }
    }

    fn dsdt(config: &Config) -> Vec<u8> {
        let resolved = acpi_tables(&plan(config)).unwrap().resolve(0x10_0000, 0xf_0000).unwrap();
        let tables = resolved.each();
        tables.into_iter().find(|(name, _)| *name == "DSDT").unwrap().1.to_vec()
    }

    fn has(table: &[u8], name: &[u8; 4]) -> bool {
        table.windows(4).any(|window| window == name)
    }

    #[test]
    fn only_populated_transports_are_described() {
        let dsdt = dsdt(&disks(2));
        assert!(has(&dsdt, b"VR00") && has(&dsdt, b"VR01"));
        assert!(!has(&dsdt, b"VR02"));
    }

    #[test]
    fn no_console_means_no_com1() {
        assert!(has(&dsdt(&Config::default()), b"COM1"));
        assert!(!has(&dsdt(&Config { console: Console::None, ..Config::default() }), b"COM1"));
    }

    /// The boot order with a USB disk of high speed.
    fn usb_boot_order(config: Config) -> String {
        let storage = UsbStorage { disk: 0, cdrom: false, removable: false, speed: Speed::High };
        let device = UsbDevice { id: None, kind: UsbKind::Storage(storage), hub: None };
        let disk = DiskConfig { bus: DiskBus::Usb, ..DiskConfig::new("disk.raw") };
        let usb = UsbConfig { devices: vec![device], pcap: None };
        let devices = boot_devices(&plan(&Config { disks: vec![disk], usb, ..config }), None);
        devices.iter().map(BootDevice::to_string).collect()
    }

    #[test]
    fn root_port_of_a_usb_disk_is_counted_as_the_firmware_does() {
        let edk2 = || Config { firmware: FirmwareChoice::Named("edk2-usb".into()), ..Config::default() };
        let on_pci = Config { extras: vec![ExtraDevice::Xhci(pcie::Messages::Either)], ..edk2() };

        let system_bus = "/sysbus-xhci@00000000fe900000";
        assert!(usb_boot_order(Config::default()).starts_with(&format!("{system_bus}/storage@1/")));
        assert!(usb_boot_order(edk2()).starts_with(&format!("{system_bus}/storage@9/")));
        assert!(usb_boot_order(on_pci).ends_with("/storage@9/channel@0/disk@0,0"));
    }

    #[test]
    fn fw_cfg_has_the_files_that_firmware_reads() {
        let contents = fw_cfg(&plan(&disks(1)), None).unwrap();
        let files: Vec<_> = contents.files().collect();
        let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
        let expected = [
            "bios-geometry",
            "bootorder",
            "etc/acpi/rsdp",
            "etc/acpi/tables",
            "etc/boot-fail-wait",
            "etc/e820",
            "etc/fdt",
            "etc/table-loader",
        ];
        assert_eq!(names, expected);
        assert!(files.contains(&("etc/e820", 40)));
        assert!(files.contains(&("bootorder", "/virtio-mmio@00000000feb00000/disk@0,0\0".len())));
    }
}
