use super::*;
use crate::config::{
    Console, DiskConfig, FirmwareChoice, Irqchip, KernelConfig, MachineOptions, Switch, VhostUserConfig,
    VirtioBus, VirtioConfig,
};

const SEABIOS: u64 = 128 << 10;

fn plan(config: Config) -> Result<Plan, PlanError> {
    Plan::new(&config, SEABIOS, 46)
}

#[test]
fn scsi_disks_are_targets_of_one_adapter_in_their_order() {
    let disks = ["a,bus=scsi", "b", "c.iso,media=cdrom,bootindex=0"].map(|disk| disk.parse().unwrap());
    let config = Config { disks: disks.into(), ..Config::default() };
    let on_mmio = plan(config.clone()).unwrap();
    assert_eq!(
        on_mmio.populated().map(|(_, device)| device).collect::<Vec<_>>(),
        [Virtio::Disk(1), Virtio::Scsi]
    );
    let places: Vec<_> = on_mmio.boot_order().collect();
    let [Boot::Scsi(ScsiPlace::Transport(adapter), 1), Boot::Scsi(_, 0), Boot::Transport(disk)] = places[..]
    else {
        panic!("{places:?}");
    };
    assert_eq!((adapter.index, disk.index), (1, 0));
    let virtio = VirtioConfig { bus: VirtioBus::Pci, ..VirtioConfig::default() };
    let on_pci = plan(Config { virtio, ..config }).unwrap();
    assert!(
        matches!(on_pci.find_disk(2), Some(Boot::Scsi(ScsiPlace::Function(function), 1)) if function.device == 1)
    );
    let many = vec!["a,bus=scsi".parse().unwrap(); 33];
    let error = plan(Config { disks: many, ..Config::default() }).unwrap_err().to_string();
    assert_eq!(
        error,
        "33 disks on bus=scsi are too many: the adapter has 32 targets, put disks on another bus"
    );
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
fn memory_that_other_processes_map_is_shared() {
    let socket = "s".into();
    let vhost_user = vec![VhostUserConfig::Blk { socket, queues: 1 }];
    let virtio = VirtioConfig { vhost_user, ..VirtioConfig::default() };
    let config = |merge| Config {
        virtio: virtio.clone(),
        backing: Backing { merge, ..Backing::default() },
        ..Config::default()
    };
    assert!(plan(config(false)).unwrap().backing.shared);
    assert!(!plan(Config::default()).unwrap().backing.shared);
    assert_eq!(plan(config(true)), Err(PlanError::MergedAndShared));
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
fn kernel_is_told_of_disks_that_no_acpi_describes() {
    let kernel = KernelConfig { path: "vmlinuz".into(), initrd: None, cmdline: "quiet".into() };
    let config = |options| Config {
        kernel: Some(kernel.clone()),
        options,
        disks: ["a.raw", "b.raw"].map(|path| path.parse::<DiskConfig>().unwrap()).into(),
        ..Config::default()
    };
    let cmdline = |options| plan(config(options)).unwrap().kernel_cmdline.unwrap();
    let without = MachineOptions { acpi: Switch::Off, ..MachineOptions::default() };
    let devices = "quiet virtio_mmio.device=512@0xfeb00000:5 virtio_mmio.device=512@0xfeb00200:6";
    assert_eq!(cmdline(without.clone()), devices);
    assert_eq!(cmdline(MachineOptions { auto_kernel_cmdline: Switch::Off, ..without }), "quiet");
    assert_eq!(cmdline(MachineOptions::default()), "quiet");
}

#[test]
fn without_firmware_the_map_has_its_holes_already() {
    let plan = Plan::new(&Config { memory: 4 * GIB, ..Config::default() }, 0, 46).unwrap();
    assert_eq!(plan.firmware, None);
    let map: Vec<_> =
        plan.e820.iter().map(|entry| (entry.range.start, entry.range.end(), entry.ram)).collect();
    let expected = [
        (0, 0x9_fc00, true),
        (0x9_fc00, MIB, false),
        (MIB, 3 * GIB, true),
        (0xfeff_c000, 0xff00_0000, false),
        (4 * GIB, 5 * GIB, true),
    ];
    assert_eq!(map, expected);
}

#[test]
fn transports_take_the_second_ioapic() {
    let plan = plan(Config::default()).unwrap();
    let last = plan.transports.last().unwrap();
    assert_eq!((plan.transports[0].mmio.start, plan.transports[0].gsi), (0xfeb0_0000, 24));
    assert_eq!((last.mmio, last.gsi), (Range::new(0xfeb0_2e00, 0x200), 47));
}

#[test]
fn other_devices_come_behind_the_disks_and_are_told_of_like_them() {
    let kernel = KernelConfig { path: "vmlinuz".into(), initrd: None, cmdline: String::new() };
    let options = MachineOptions { acpi: Switch::Off, ..MachineOptions::default() };
    let disks = vec![DiskConfig::new("a.raw")];
    let virtio = VirtioConfig { rng: true, nets: vec!["null".parse().unwrap()], ..VirtioConfig::default() };
    let plan = plan(Config { disks, virtio, options, kernel: Some(kernel), ..Config::default() }).unwrap();
    let devices: Vec<_> = plan.populated().map(|(transport, device)| (transport.index, device)).collect();
    assert_eq!(devices, [(0, Virtio::Disk(0)), (1, Virtio::Net(0)), (2, Virtio::Rng)]);
    assert!(plan.kernel_cmdline.unwrap().ends_with(" virtio_mmio.device=512@0xfeb00400:7"));
}

#[test]
fn no_two_ranges_of_memory_overlap() {
    let plan = Plan::new(&Config { memory: 64 * GIB, ..Config::default() }, 16 * MIB, 46).unwrap();
    let mut ranges =
        vec![plan.low_ram, plan.high_ram.unwrap(), plan.firmware.unwrap().image, plan.kvm_identity_map];
    let ged = plan.ged.unwrap();
    ranges.extend([plan.kvm_tss, plan.lapic, ged.events, ged.power]);
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
    let options = MachineOptions { rtc: Switch::On, ..MachineOptions::default() };
    let plan = plan(Config { options, ..Config::default() }).unwrap();
    let ports = [plan.com1, plan.pit, plan.rtc];
    let mut gsis: Vec<_> = ports.into_iter().flatten().map(|device| device.gsi).collect();
    gsis.push(plan.ged.unwrap().gsi);
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
    let edk2 = Config { firmware: FirmwareChoice::Named("edk2-debug".into()), ..default() };
    let expected = "--memory 32M is too small: firmware needs at least 64M";
    assert_eq!(message(Config { memory: 32 * MIB, ..edk2 }), expected);
    assert!(message(Config { memory: 17 * MIB + 1, ..default() }).contains("multiple of 1M"));
    assert!(message(Config { memory: 1 << 46, ..default() }).contains("46 bits"));
    assert!(message(Config { memory: u64::MAX - MIB + 1, ..default() }).contains("46 bits"));
    assert!(
        message(Config { cpus: Topology::of_cores(0), ..default() }).starts_with("--cpus 0 is out of range")
    );
    assert!(message(Config { cpus: Topology::of_cores(289), ..default() }).starts_with("--cpus 289"));
    let nothing = Config { firmware: FirmwareChoice::None, ..default() };
    assert!(message(nothing).starts_with("--firmware none starts nothing"));
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

fn with(options: MachineOptions) -> Config {
    Config { options, ..Config::default() }
}

/// GSIs of the first and the last transport.
fn transport_gsis(options: MachineOptions) -> (Gsi, Gsi) {
    let transports = plan(with(options)).unwrap().transports;
    (transports[0].gsi, transports.last().unwrap().gsi)
}

#[test]
fn default_machine_has_what_the_contract_says() {
    let plan = plan(Config::default()).unwrap();
    assert!(plan.pic.is_some() && plan.pit.is_some() && plan.rtc.is_none());
    assert!(plan.ged.is_some() && plan.com1.is_some());
    assert_eq!((plan.ioapics.len(), plan.transports.len()), (2, 24));
}

#[test]
fn transports_and_their_gsis_follow_acpi_and_the_second_ioapic() {
    let default = MachineOptions::default;
    assert_eq!(transport_gsis(default()), (24, 47));
    assert_eq!(transport_gsis(MachineOptions { ioapic2: Switch::Off, ..default() }), (16, 23));
    assert_eq!(transport_gsis(MachineOptions { acpi: Switch::Off, ..default() }), (5, 12));
}

#[test]
fn without_acpi_there_is_neither_ged_nor_second_ioapic() {
    let plan = plan(with(MachineOptions { acpi: Switch::Off, ..MachineOptions::default() })).unwrap();
    assert_eq!((plan.ged, plan.ioapics.len()), (None, 1));
}

#[test]
fn edk2_gets_a_clock_unless_it_is_switched_off() {
    let firmware = FirmwareChoice::Named("edk2".into());
    let rtc = |rtc| {
        let options = MachineOptions { rtc, ..MachineOptions::default() };
        plan(Config { firmware: firmware.clone(), ..with(options) }).unwrap().rtc.is_some()
    };
    assert!(rtc(Switch::Auto) && rtc(Switch::On) && !rtc(Switch::Off));
}

#[test]
fn contradictions_name_both_options() {
    let message = |options| plan(with(options)).unwrap_err().to_string();
    let default = MachineOptions::default;
    let second = message(MachineOptions { acpi: Switch::Off, ioapic2: Switch::On, ..default() });
    assert!(second.contains("ioapic2=on") && second.contains("acpi=off"), "{second}");
    let kernel = message(MachineOptions { irqchip: Irqchip::Kernel, pic: Switch::Off, ..default() });
    assert!(kernel.contains("irqchip=kernel") && kernel.contains("pic=off"), "{kernel}");
    let silent = with(MachineOptions { isa_serial: Switch::Off, ..default() });
    let file = plan(Config { console: Console::File("a".into()), ..silent }).unwrap_err().to_string();
    assert!(file.contains("--console") && file.contains("isa-serial=off"), "{file}");
}

#[test]
fn ports_of_devices_on_request_overlap_no_others() {
    let message = |extras| plan(Config { extras, ..Config::default() }).unwrap_err().to_string();
    let exit = |port| ExtraDevice::DebugExit { port };
    let rtc = message(vec![exit(0x6e)]);
    assert!(rtc.contains("debug-exit") && rtc.contains("the RTC"), "{rtc}");
    let twice = message(vec![exit(0xf4), exit(0xf6)]);
    assert!(twice.contains("belong to --device debug-exit"), "{twice}");
    let all = vec![
        ExtraDevice::PvPanic,
        exit(0xf4),
        ExtraDevice::ResetPort,
        ExtraDevice::KeyboardReset,
        ExtraDevice::TestDevice,
    ];
    let all = plan(Config { extras: all, ..Config::default() }).unwrap();
    assert_eq!((all.extras.len(), all.test_memory), (6, Some(Range::new(0xff00_0000, 0x1_0000))));
}

#[test]
fn test_device_and_the_greatest_firmware_image_exclude_each_other() {
    let config = Config { extras: vec![ExtraDevice::TestDevice], ..Config::default() };
    let error = Plan::new(&config, 16 * MIB, 46).unwrap_err().to_string();
    assert!(error.contains("--device pc-testdev") && error.contains("--firmware"), "{error}");
    assert!(Plan::new(&config, 8 * MIB, 46).is_ok());
}

#[test]
fn apic_ids_follow_the_topology_up_to_the_last() {
    let threes = |sockets| Topology { sockets, dies: 3, cores: 3, threads: 3 };
    let plan_of = |cpus| plan(Config { cpus, ..Config::default() });
    assert_eq!(plan_of(threes(3)).unwrap().apic_ids.last(), Some(&170));
    assert!(!plan_of(threes(3)).unwrap().has_wide_apic_ids());
    let wide = plan_of(threes(5)).unwrap();
    assert_eq!((wide.apic_ids.last(), wide.has_wide_apic_ids()), (Some(&298), true));
    let refused = |options| Plan::check(&Config { cpus: threes(5), options, ..Config::default() }, 46);
    let kernel = MachineOptions { irqchip: Irqchip::Kernel, ..MachineOptions::default() };
    assert_eq!(
        refused(kernel).unwrap_err().to_string(),
        "--cpus sockets=5,dies=3,cores=3,threads=3: its last APIC id is 298, but --machine irqchip=kernel names none \
         beyond 254; take fewer vCPUs or irqchip=split"
    );
    let without_acpi = MachineOptions { acpi: Switch::Off, ..MachineOptions::default() };
    assert!(refused(without_acpi).unwrap_err().to_string().ends_with("take fewer vCPUs or acpi=on"));
}
