use rstest::rstest;

use super::*;
use crate::table::fadt::Absent;
use crate::table::hmat::Target;
use crate::table::madt::{Cpu, IoApic};
use crate::table::srat::{CpuAffinity, MemoryRange};
use crate::table::{Dsdt, Fadt, Hmat, Madt, Pptt, Slit, Spcr, Srat};
use crate::{Describe, NameSeg, OemIds, Resources, Scope, TableSet};

const AT: u64 = 0x10_0000;

/// A device with this name, id and resources.
struct Dev(&'static [u8; 4], &'static str, fn(Resources) -> Resources);

impl Describe for Dev {
    fn describe(&self, scope: &mut Scope) {
        scope.device(self.0, |dev| {
            dev.hid(self.1);
            dev.crs(self.2);
        });
    }
}

fn madt() -> Madt {
    Madt {
        local_apic: 0xfee0_0000,
        cpus: vec![Cpu { apic_id: 0, present: true }],
        io_apics: vec![IoApic { id: 0, address: 0xfec0_0000, gsi_base: 0 }],
        ..Madt::default()
    }
}

/// A processor and its node.
struct Processor(u8, Option<u8>);

impl Describe for Processor {
    fn describe(&self, scope: &mut Scope) {
        scope.device(NameSeg::hexadecimal(b'C', self.0.into()), |dev| {
            dev.hid("ACPI0007");
            dev.uid(&self.0);
            if let Some(node) = &self.1 {
                dev.name(b"_PXM", node);
            }
        });
    }
}

/// A set with these devices and the processors of `madt`, each in a node of its own if there are `nodes`.
fn set_with(devices: &[Dev], madt: &Madt, nodes: bool) -> TableSet {
    let mut set = TableSet::new(OemIds::default());
    let uids = 0..madt.cpus.len() as u8;
    let processors: Vec<_> = uids.map(|uid| Processor(uid, nodes.then_some(uid))).collect();
    let devices = devices.iter().map(|dev| dev as &dyn Describe);
    let devices = devices.chain(processors.iter().map(|processor| processor as &dyn Describe)).collect();
    let dsdt = set.place(&Dsdt { devices, soft_off_type: 5 });
    set.list(&Fadt {
        dsdt,
        reset_register: 0xfea0_0202,
        reset_value: 0x42,
        sleep_control_register: 0xfea0_0200,
        sleep_status_register: 0xfea0_0201,
        absent: Absent::default(),
    });
    set.list(madt);
    set
}

fn set(devices: &[Dev], madt: &Madt) -> TableSet {
    set_with(devices, madt, false)
}

fn faults_of(set: &TableSet) -> Vec<String> {
    let resolved = set.resolve(AT, 0xf_0000).unwrap();
    check(&resolved, AT, 40).iter().map(ToString::to_string).collect()
}

fn faults(devices: &[Dev]) -> Vec<String> {
    faults_of(&set(devices, &madt()))
}

#[test]
fn check_good_set_has_no_findings() {
    let devices = [
        Dev(b"DEV0", "ABCD0001", |crs| crs.memory32(0xfeb0_0000, 0x200).interrupt(16)),
        Dev(b"DEV1", "ABCD0002", |crs| crs.io(0x510, 12).edge_interrupt(9)),
    ];
    assert_eq!(faults(&devices), [""; 0]);
}

#[rstest]
#[case::memory(|crs: Resources| crs.memory32(0xfec0_0800, 0x200), "memory 0xfec00000-0xfec00fff of MADT I/O APIC 0 and 0xfec00800-0xfec009ff of \\_SB.DEV1 overlap")]
#[case::ports(|crs: Resources| crs.io(0x51b, 1), "ports 0x510-0x51b of \\_SB.DEV0 and 0x51b-0x51b of \\_SB.DEV1 overlap")]
#[case::no_input(|crs: Resources| crs.interrupt(24), "\\_SB.DEV1: no I/O APIC has GSI 24")]
#[case::not_alone(|crs: Resources| crs.interrupt(9), "\\_SB.DEV0 and \\_SB.DEV1 both have GSI 9 to themselves")]
#[case::width(|crs: Resources| crs.window64(1 << 39, 1 << 40), "\\_SB.DEV1 ends at 0x10000000000, beyond 40 address bits")]
#[case::empty(|crs: Resources| crs.memory32(1, 0), "\\_SB.DEV1._CRS: resource descriptor 0x86 has a minimum, maximum and length that do not agree")]
fn check_devices_in_conflict_are_found(#[case] crs: fn(Resources) -> Resources, #[case] fault: &str) {
    let devices =
        [Dev(b"DEV0", "ABCD0001", |crs| crs.io(0x510, 12).edge_interrupt(9)), Dev(b"DEV1", "ABCD0002", crs)];
    assert_eq!(faults(&devices), [format!("DSDT: {fault}")]);
}

#[rstest]
#[case("abcd0001", false)]
#[case("PNP0501", true)]
#[case("QEMU0002", true)]
#[case("PNP05", false)]
#[case("PNP050é", false)]
fn check_hardware_id_has_the_standards_form(#[case] id: &'static str, #[case] valid: bool) {
    assert_eq!(faults(&[Dev(b"DEV0", id, |crs| crs)]).is_empty(), valid);
}

#[test]
fn check_devices_that_cannot_be_told_apart_are_found() {
    let devices = [Dev(b"DEV0", "ABCD0001", |crs| crs), Dev(b"DEV1", "ABCD0001", |crs| crs)];
    assert_eq!(faults(&devices), [r#"DSDT: two devices are ("ABCD0001", None, None)"#]);
}

#[test]
fn check_controllers_in_conflict_are_found() {
    let mut twice = madt();
    twice.cpus.push(twice.cpus[0]);
    twice.io_apics.push(IoApic { address: 0xfec1_0000, ..twice.io_apics[0] });

    let expected = [
        "APIC: two processors have one APIC id",
        "APIC: two I/O APICs have one id",
        "APIC: two I/O APICs have the same GSI",
    ];
    assert_eq!(faults_of(&set(&[], &twice)), expected);
}

#[test]
fn check_console_that_no_device_is_is_found() {
    let mut set = set(&[], &madt());
    set.list(&Spcr { port: 0x3f8, irq: 4, pic: false });

    let expected =
        ["SPCR: no device of the DSDT has port 0x3f8", "SPCR: GSI 4 is not the interrupt of that device"];
    assert_eq!(faults_of(&set), expected);
}

#[test]
fn check_damaged_byte_anywhere_is_found() {
    let good = set(&[], &madt()).resolve(AT, 0xf_0000).unwrap();
    for at in 0..good.tables.len() {
        let mut damaged = good.clone();
        damaged.tables[at] ^= 0x10;
        assert!(!check(&damaged, AT, 40).is_empty(), "byte {at}");
    }
    for at in 0..good.rsdp.len() {
        let mut damaged = good.clone();
        damaged.rsdp[at] ^= 1;
        assert!(!check(&damaged, AT, 40).is_empty(), "byte {at} of the RSDP");
    }
}

#[test]
fn check_of_nothing_is_no_panic() {
    assert!(!check(&Resolved { tables: vec![], rsdp: vec![] }, AT, 40).is_empty());
    assert!(!check(&Resolved { tables: vec![0xff; 200], rsdp: vec![0; 3] }, AT, 64).is_empty());
}

/// A set of two processors in two nodes, with `srat` and `slit`.
fn nodes(srat: &Srat, slit: &Slit) -> Vec<String> {
    let mut madt = madt();
    madt.cpus.push(Cpu { apic_id: 1, present: true });
    let mut set = set_with(&[], &madt, true);
    set.list(srat);
    set.list(slit);
    faults_of(&set)
}

fn two_nodes() -> Srat {
    let memory = |base, node| MemoryRange { base, len: 1 << 30, node };
    Srat {
        cpus: [0, 1].map(|n| CpuAffinity { apic_id: n, node: n }).to_vec(),
        memory: vec![memory(0, 0), memory(1 << 30, 1)],
    }
}

#[test]
fn check_good_nodes_have_no_findings() {
    assert_eq!(nodes(&two_nodes(), &Slit::new(2, |_, _| 20)), [""; 0]);
}

#[test]
fn check_nodes_that_do_not_fit_are_found() {
    let mut lost = two_nodes();
    lost.cpus[1].apic_id = 2;
    let expected =
        ["SRAT: its processors are not those of the MADT", "DSDT: \\_SB.C001._PXM is not what the SRAT says"];
    assert_eq!(nodes(&lost, &Slit::new(2, |_, _| 20)), expected);
    let mut overlap = two_nodes();
    overlap.memory[1].base -= 1;
    assert_eq!(nodes(&overlap, &Slit::new(2, |_, _| 20)), ["SRAT: two ranges of memory overlap"]);
    let three = Slit::new(3, |_, _| 20);
    assert_eq!(
        nodes(&two_nodes(), &three),
        ["SLIT: its localities are not the proximity domains of the SRAT"]
    );
    let near = Slit::new(2, |_, _| 10);
    let expected = "SLIT: a distance is not 10 within a node, or not more between nodes";
    assert_eq!(nodes(&two_nodes(), &near), [expected]);
}

#[test]
fn check_tree_without_a_processor_is_found() {
    let mut set = set(&[], &madt());
    set.list(&Pptt { packages: 1, dies: 1, cores: 2, threads: 1 });
    assert_eq!(faults_of(&set), ["PPTT: its leaves are not the processors of the MADT"]);
}

#[test]
fn check_memory_speeds_of_no_node_are_found() {
    let mut set = set(&[], &madt());
    let targets = vec![Target { node: 0, initiator: Some(0) }];
    set.list(&Hmat { initiators: vec![0], targets, accesses: vec![] });
    let expected =
        ["HMAT: a node without memory has memory attributes", "HMAT: an initiator has no processors"];
    assert_eq!(faults_of(&set), expected);
}

#[test]
fn check_processor_device_that_the_madt_lacks_is_found() {
    let expected = [
        "DSDT: \\_SB.DEV0 is no processor of the MADT",
        "DSDT: there are 2 devices for 1 processors of the MADT",
    ];
    assert_eq!(faults(&[Dev(b"DEV0", "ACPI0007", |crs| crs)]), expected);
}
