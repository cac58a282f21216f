//! `--dry-run`: the resolved machine as text. It needs no KVM and opens no disk.

mod json;
mod kernel;
mod numa;
mod pcie;
mod usb;

use std::fmt::Write as _;

use block::Aio;

pub(crate) use json::json;
pub(crate) use kernel::start;

use super::table::columns;
use crate::config::{Config, Console, DiskConfig, FirmwareChoice, Irqchip, OutputFile};
use crate::machine::Plan;
use crate::machine::plan::{Boot, E820Plan, Gsi, MIB, PortPlan, Range, ScsiPlace, TransportPlan};

/// Everything that `plan` decided about the machine of `config`.
pub(crate) fn describe(config: &Config, plan: &Plan) -> String {
    let e820_title = if plan.firmware.is_some() { "e820 of the firmware's start" } else { "e820" };
    let kernel = config.kernel.as_ref().map(|kernel| kernel::files(kernel, plan)).unwrap_or_default();
    let sections = [
        ("machine", columns(&machine(config, plan))),
        ("memory", columns(&memory(plan))),
        ("nodes", plan.numa.as_ref().map(numa::nodes).unwrap_or_default()),
        ("ports", columns(&ports(plan))),
        ("interrupts", columns(&interrupts(plan))),
        ("PCI functions", columns(&pcie::functions(plan))),
        ("disks", columns(&disks(config, plan))),
        ("USB", columns(&usb::devices(config, plan))),
        ("kernel", columns(&kernel)),
        (e820_title, columns(&e820(&plan.e820))),
    ];
    let mut text = String::new();
    for (title, body) in sections.iter().filter(|(_, body)| !body.is_empty()) {
        let gap = if text.is_empty() { "" } else { "\n" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{gap}{title}\n{body}");
    }
    text
}

fn machine(config: &Config, plan: &Plan) -> Vec<[String; 2]> {
    let firmware = match &config.firmware {
        FirmwareChoice::Named(name) => name.clone(),
        FirmwareChoice::File(path) => path.display().to_string(),
        FirmwareChoice::None => "none".into(),
    };
    let firmware_len = plan.firmware.map(|firmware| format!(", {}", size(firmware.image.len)));
    let console = match &config.console {
        Console::Stdio => "stdio".into(),
        Console::File(file) => file.to_string(),
        Console::Stream(end) => end.to_string(),
        Console::None => "none".into(),
    };
    let debugcon = config.debugcon.as_ref().map_or("none".into(), OutputFile::to_string);
    vec![
        ["memory".into(), format!("{}, {}", size(config.memory), plan.backing)],
        ["vCPUs".into(), vcpus(plan)],
        ["CPU".into(), plan.cpu.to_string()],
        ["ACPI".into(), if plan.ged.is_some() { "on" } else { "off" }.into()],
        ["irqchip".into(), irqchip(plan)],
        ["firmware".into(), firmware + &firmware_len.unwrap_or_default()],
        ["console".into(), console],
        ["debugcon".into(), debugcon],
    ]
}

fn irqchip(plan: &Plan) -> String {
    match plan.irqchip {
        Irqchip::Split => "split: local APICs in KVM, the rest here".into(),
        Irqchip::Kernel => "kernel: in KVM, but for the second IOAPIC".into(),
    }
}

fn vcpus(plan: &Plan) -> String {
    let ids = match plan.apic_ids.as_slice() {
        [first, .., last] => format!("APIC ids {first} to {last}"),
        [only] => format!("APIC id {only}"),
        [] => "none".into(),
    };
    format!("{}, {}, {ids}", plan.apic_ids.len(), plan.topology)
}

/// The guest-physical map by address. Where ranges overlap, the later line wins.
fn memory(plan: &Plan) -> Vec<[String; 3]> {
    let mut map = vec![
        (plan.low_ram, "RAM".into()),
        (plan.lapic, "local APICs".into()),
        (plan.kvm_identity_map, "KVM, identity map".into()),
        (plan.kvm_tss, "KVM, task state".into()),
    ];
    if let Some(firmware) = plan.firmware {
        map.push((firmware.shadow, "end of the firmware image".into()));
        map.push((firmware.image, "firmware image".into()));
    }
    if let Some(ged) = plan.ged {
        map.extend([(ged.events, "GED, events".into()), (ged.power, "GED, sleep and reset".into())]);
    }
    map.extend(plan.generation.map(|plan| (plan.page, "VM generation id".into())));
    map.extend(plan.high_ram.map(|range| (range, "RAM".into())));
    map.extend(plan.pmems.iter().zip(0..).map(|(range, n)| (*range, format!("pmem {n}"))));
    map.extend(plan.test_memory.map(|range| (range, "pc-testdev".into())));
    map.extend(plan.ioapics.iter().map(|ioapic| (ioapic.mmio, format!("IOAPIC {}", ioapic.id))));
    map.extend(plan.usb.map(|usb| (usb.mmio, "USB, xHCI".into())));
    map.extend(pcie::memory(plan));
    map.extend(groups(&plan.transports).map(|group| (group_mmio(group), group_name(group))));
    map.sort_by_key(|(range, _)| range.start);
    map.into_iter().map(|(range, name)| [range.to_string(), size(range.len), name]).collect()
}

fn ports(plan: &Plan) -> Vec<[String; 2]> {
    let mut map = vec![(plan.fw_cfg, "fw_cfg".to_owned())];
    map.extend(port_devices(plan).map(|(device, name)| (device.ports, name.into())));
    map.extend(plan.debugcon.map(|port| (port, "debugcon".into())));
    if let Some(pic) = plan.pic {
        map.extend([
            (pic.first, "PIC".into()),
            (pic.second, "PIC".into()),
            (pic.elcr, "PIC, edge or level".into()),
        ]);
    }
    map.extend(plan.extras.iter().map(|extra| (extra.ports, extra.device.name().into())));
    map.sort_by_key(|(range, _)| range.start);
    map.into_iter().map(|(range, name)| [port_range(range), name]).collect()
}

/// The devices with ports and an interrupt.
fn port_devices(plan: &Plan) -> impl Iterator<Item = (PortPlan, &'static str)> {
    [(plan.pit, "PIT"), (plan.rtc, "RTC"), (plan.com1, "COM1")]
        .into_iter()
        .filter_map(|(device, name)| Some((device?, name)))
}

fn interrupts(plan: &Plan) -> Vec<[String; 4]> {
    let mut map: Vec<_> =
        port_devices(plan).map(|(device, name)| (device.gsi, device.gsi, "edge", name.to_owned())).collect();
    map.extend(plan.ged.map(|ged| (ged.gsi, ged.gsi, "edge", "GED".to_owned())));
    map.extend(
        groups(&plan.transports)
            .filter_map(|group| Some((group.first()?.gsi, group.last()?.gsi, "level", group_name(group)))),
    );
    map.extend(plan.usb.map(|usb| (usb.gsi, usb.gsi, "level", "USB, xHCI".to_owned())));
    map.extend(pcie::interrupts(plan));
    map.sort_by_key(|(first, ..)| *first);
    let pin = |gsi| ioapic_pin(plan, gsi);
    map.into_iter()
        .map(|(first, last, trigger, name)| [numbers("GSI", first, last), pin(first), trigger.into(), name])
        .collect()
}

/// The IOAPIC that has the pin of `gsi`.
fn ioapic_pin(plan: &Plan, gsi: Gsi) -> String {
    let has = |base: Gsi, pins: u32| (base..base + pins).contains(&gsi);
    let ioapic = plan.ioapics.iter().find(|ioapic| has(ioapic.gsi_base, ioapic.pins));
    ioapic.map_or("no pin".into(), |ioapic| format!("IOAPIC {}", ioapic.id))
}

fn disks(config: &Config, plan: &Plan) -> Vec<[String; 4]> {
    let disks = config.disks.iter().enumerate();
    disks.filter_map(|(n, disk)| Some(disk_row(plan.find_disk(n)?, n, disk))).collect()
}

fn disk_row(place: Boot<'_>, n: usize, disk: &DiskConfig) -> [String; 4] {
    let access = if disk.readonly { "read-only" } else { "read-write" };
    let access = match disk.image.aio {
        Aio::Auto => access.into(), // the host decides
        aio => format!("{access}, aio={aio}"),
    };
    let place = match place {
        Boot::Transport(transport) => format!("virtio-mmio {}", transport.index),
        Boot::Usb(place) => usb::port(place),
        Boot::Function(function) => format!("PCI {function}"),
        Boot::Scsi(ScsiPlace::Transport(transport), target) => {
            format!("virtio-mmio {} target {target}", transport.index)
        }
        Boot::Scsi(ScsiPlace::Function(function), target) => format!("PCI {function} target {target}"),
    };
    let path = if disk.is_empty() { "no medium".into() } else { disk.path.display().to_string() };
    [format!("disk {n}"), place, access, path]
}

fn e820(entries: &[E820Plan]) -> Vec<[String; 3]> {
    let mut entries = entries.to_vec();
    entries.sort_by_key(|entry| entry.range.start);
    let kind = |ram| if ram { "RAM" } else { "reserved" }.to_owned();
    entries.iter().map(|entry| [entry.range.to_string(), size(entry.range.len), kind(entry.ram)]).collect()
}

/// Each populated transport alone, neighbours without a device together.
fn groups(transports: &[TransportPlan]) -> impl Iterator<Item = &[TransportPlan]> {
    transports.chunk_by(|a, b| a.device.is_none() && b.device.is_none())
}

fn group_mmio(group: &[TransportPlan]) -> Range {
    let start = group.first().map_or(0, |first| first.mmio.start);
    Range::new(start, group.iter().map(|transport| transport.mmio.len).sum())
}

fn group_name(group: &[TransportPlan]) -> String {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return String::new() };
    let device = first.device.map_or("no device".into(), |device| device.to_string());
    format!("{}, {device}", numbers("virtio-mmio", first.index, last.index))
}

fn numbers(name: &str, first: u32, last: u32) -> String {
    if first == last { format!("{name} {first}") } else { format!("{name} {first}-{last}") }
}

fn port_range(range: Range) -> String {
    match range.len {
        1 => format!("{:#06x}", range.start),
        _ => format!("{:#06x}-{:#06x}", range.start, range.end() - 1),
    }
}

/// In the largest unit that leaves a whole number.
fn size(bytes: u64) -> String {
    match bytes {
        _ if bytes.is_multiple_of(MIB) => format!("{} MiB", bytes / MIB),
        _ if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::plan::GIB;
    use crate::topology::Topology;

    fn text(config: &Config) -> String {
        describe(config, &Plan::new(config, 128 << 10, 46).unwrap())
    }

    #[test]
    fn default_machine_is_printed_whole() {
        assert_eq!(text(&Config::default()), include_str!("dry_run/default.txt"));
    }

    #[test]
    fn memory_map_is_sorted_and_has_high_ram_last() {
        let text = text(&Config { memory: 6 * GIB, ..Config::default() });
        let memory = text.split("\n\n").nth(1).unwrap();
        let starts: Vec<_> = memory.lines().skip(1).map(|line| line.trim().get(..12).unwrap()).collect();
        assert!(starts.is_sorted(), "{memory}");
        assert!(memory.ends_with("0x0100000000-0x01bfffffff  3072 MiB  RAM"), "{memory}");
    }

    #[test]
    fn every_disk_has_its_transport_and_access() {
        let disk = |path, readonly| DiskConfig { readonly, ..DiskConfig::new(path) };
        let text =
            text(&Config { disks: vec![disk("a.raw", false), disk("b.raw", true)], ..Config::default() });
        assert!(text.contains("  disk 0  virtio-mmio 0  read-write  a.raw\n"), "{text}");
        assert!(text.contains("  disk 1  virtio-mmio 1  read-only   b.raw\n"), "{text}");
        assert!(text.contains("  GSI 26-47  IOAPIC 1  level  virtio-mmio 2-23, no device\n"), "{text}");
    }

    #[test]
    fn absent_devices_have_no_lines() {
        let text = text(&Config { console: Console::None, ..Config::default() });
        assert!(!text.contains("COM1"), "{text}");
    }

    #[test]
    fn several_vcpus_have_an_arrangement_and_a_range_of_apic_ids() {
        let cpus = Topology { sockets: 2, dies: 1, cores: 3, threads: 1 };
        let text = text(&Config { cpus, ..Config::default() });
        assert!(text.contains("  vCPUs     6, sockets=2,cores=3,threads=1, APIC ids 0 to 6\n"), "{text}");
    }

    #[test]
    fn size_is_in_the_largest_whole_unit() {
        assert_eq!(size(3 << 20), "3 MiB");
        assert_eq!(size(0x21000), "132 KiB");
        assert_eq!(size(0x201), "513 B");
    }
}
