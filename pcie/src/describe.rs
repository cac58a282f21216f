//! How the PCI Express host bridge appears in the DSDT: interrupt links, windows, configuration space, and what the operating
//! system may control itself.

use std::ops::RangeInclusive;

use acpi::objects::{
    And, Arg, BufferData, CreateDWordField, Else, Equal, If, Method, NotEqual, ONE, Or, Package, Path,
    Return, Store, Uuid, VarPackageTerm, ZERO,
};
use acpi::{Aml, AmlSink, Describe, Device, NameSeg, Resources, Scope};

/// A PCI Express host bridge with 256 buses in segment 0, its configuration space memory-mapped, without I/O ports.
#[derive(Clone, Debug)]
pub struct PciHost {
    /// Physical address of the configuration space: ECAM, 1 MiB a bus.
    pub ecam: u64,
    /// Memory for functions below 4 GiB.
    pub window32: RangeInclusive<u32>,
    /// Memory for functions anywhere.
    pub window64: RangeInclusive<u64>,
    /// The GSIs of INTA to INTD of slot 0; other slots rotate them.
    pub intx: [u32; 4],
    /// What `_OSC` grants: bit 0 hot-plug, 1 SHPC, 2 PME, 3 AER, 4 capability structures. PCI Firmware 3.3, table 4-5.
    pub control: u8,
}

const SLOTS: u8 = 32;
/// INTA to INTD.
const PINS: u8 = 4;
const ECAM_LEN: u64 = 0x1000_0000;
/// The host bridge's `_OSC`. PCI Firmware 3.3, 4.5.1.
const OSC_UUID: &str = "33DB4D5B-1FF7-401C-9657-7441C03DD766";
/// The functions of PCI devices' `_DSM`. PCI Firmware 3.3, 4.6.
const DSM_UUID: &str = "E5C937D0-3553-4D7A-9117-EA4D19C3434D";

impl Describe for PciHost {
    fn describe(&self, scope: &mut Scope) {
        for (pin, gsi) in (0..).zip(self.intx) {
            describe_link(scope, pin, gsi);
        }
        scope.device(b"PCI0", |dev| {
            describe_identity(dev);
            dev.name(b"_PRT", &VarPackageTerm::new(&Routing));
            // Where MCFG does not say it. PCI Firmware 3.3, 4.1.3.
            dev.add(&Method::new("_CBA".into(), 0, false, vec![&Return::new(&self.ecam)]));
            dev.crs(|crs| self.windows(crs));
            self.describe_osc(dev);
            describe_dsm(dev);
            self.describe_reservation(dev);
        });
    }
}

/// The link device of one of the four interrupt lines: wired, so that setting it does nothing. ACPI 6.5, 6.2.13.
fn describe_link(scope: &mut Scope, pin: u8, gsi: u32) {
    scope.device(link(pin), |dev| {
        dev.hid("PNP0C0F"); // PCI interrupt link
        dev.uid(&pin);
        dev.name(b"_PRS", &Resources::new().interrupt(gsi));
        dev.crs(|crs| crs.interrupt(gsi));
        dev.add(&Method::new("_SRS".into(), 1, false, vec![]));
    });
}

fn link(pin: u8) -> NameSeg {
    NameSeg::from(&[b'L', b'0', b'0', b'0' + pin])
}

fn describe_identity(dev: &mut Device) {
    dev.hid("PNP0A08"); // PCI Express root bridge
    dev.name(b"_CID", &"PNP0A03"); // PCI root bridge
    dev.name(b"_SEG", &ZERO);
    dev.name(b"_BBN", &ZERO);
    dev.uid(&ZERO);
    dev.name(b"_STR", &utf16("PCIe 0 Device"));
    dev.coherent();
}

/// A Unicode string with its terminator. ACPI 6.5, 6.1.10.
fn utf16(text: &str) -> BufferData {
    BufferData::new(text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect())
}

/// The elements of `_PRT`: for each pin of each slot the link it goes to. ACPI 6.5, 6.2.13.
struct Routing;

impl Aml for Routing {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        (SLOTS * PINS).to_aml_bytes(sink);
        for (slot, pin) in (0..SLOTS).flat_map(|slot| (0..PINS).map(move |pin| (slot, pin))) {
            let all_functions = u32::from(slot) << 16 | 0xffff;
            Package::new(vec![&all_functions, &pin, &link((slot + pin) % PINS), &ZERO]).to_aml_bytes(sink);
        }
    }
}

impl PciHost {
    /// Buses and memory that the bridge hands out. There is no I/O window.
    fn windows(&self, crs: Resources) -> Resources {
        crs.bus_numbers(0, 0xff)
            .window32(*self.window32.start(), *self.window32.end())
            .window64(*self.window64.start(), *self.window64.end())
    }

    /// `_OSC`: who controls what, negotiated in the buffer that is argument 3. ACPI 6.5, 6.2.11; PCI Firmware 3.3, 4.5.1.
    fn describe_osc(&self, dev: &mut Device) {
        dev.name(b"SUPP", &ZERO);
        dev.name(b"CTRL", &ZERO);
        let (status, support, control) = (Path::new("CDW1"), Path::new("CDW2"), Path::new("CDW3"));
        let (supported, granted) = (Path::new("SUPP"), Path::new("CTRL"));
        dev.add(&Method::new(
            "_OSC".into(),
            4,
            false,
            vec![
                &CreateDWordField::new(&status, &Arg(3), &ZERO),
                &If::new(
                    &Equal::new(&Arg(0), &Uuid::new(OSC_UUID)),
                    vec![
                        &CreateDWordField::new(&support, &Arg(3), &4u8),
                        &CreateDWordField::new(&control, &Arg(3), &8u8),
                        &Store::new(&supported, &support),
                        &Store::new(&granted, &control),
                        &And::new(&granted, &granted, &self.control),
                        &If::new(&NotEqual::new(&Arg(1), &ONE), vec![&Raise(UNKNOWN_REVISION)]),
                        &If::new(&NotEqual::new(&control, &granted), vec![&Raise(MASKED)]),
                        &Store::new(&control, &granted),
                        &Return::new(&Arg(3)),
                    ],
                ),
                &Else::new(vec![&Raise(UNKNOWN_UUID), &Return::new(&Arg(3))]),
            ],
        ));
    }

    /// The configuration space as a motherboard resource, without which Linux does not trust it. PCI Firmware 3.3, 4.1.2.
    fn describe_reservation(&self, dev: &mut Device) {
        dev.device(b"RES0", |dev| {
            dev.hid("PNP0C02"); // motherboard resources
            dev.crs(|crs| crs.window64(self.ecam, self.ecam + (ECAM_LEN - 1)));
        });
    }
}

/// Sets one bit of the status dword that `_OSC` returns.
struct Raise(u8);

impl Aml for Raise {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        let status = Path::new("CDW1");
        Or::new(&status, &status, &self.0).to_aml_bytes(sink);
    }
}

// Status bits of `_OSC`. ACPI 6.5, 6.2.11.
const UNKNOWN_UUID: u8 = 1 << 2;
const UNKNOWN_REVISION: u8 = 1 << 3;
const MASKED: u8 = 1 << 4;

/// `_DSM`: no functions. ACPI 6.5, 9.1.1.
fn describe_dsm(dev: &mut Device) {
    let none = BufferData::new(vec![0]);
    dev.add(&Method::new(
        "_DSM".into(),
        4,
        false,
        vec![
            &If::new(
                &Equal::new(&Arg(0), &Uuid::new(DSM_UUID)),
                vec![&If::new(&Equal::new(&Arg(2), &ZERO), vec![&Return::new(&none)])],
            ),
            &Return::new(&none),
        ],
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aml(control: u8) -> Vec<u8> {
        let mut scope = Scope::new();
        let host = PciHost {
            ecam: 0xe000_0000,
            window32: 0xc000_0000..=0xdfff_ffff,
            window64: 0xc0_0000_0000..=0xff_ffff_ffff,
            intx: [16, 17, 18, 19],
            control,
        };
        host.describe(&mut scope);
        scope.bytes().to_vec()
    }

    fn contains(bytes: &[u8], part: &[u8]) -> bool {
        bytes.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn pci_host_rotates_pins_from_slot_to_slot() {
        let aml = aml(0x1f);

        assert!(contains(&aml, b"\x12\x0b\x04\x0b\xff\xff\0L000\0"));
        assert!(contains(&aml, b"\x12\x0d\x04\x0c\xff\xff\x01\0\0L001\0"));
        assert!(contains(&aml, b"\x12\x0e\x04\x0c\xff\xff\x1f\0\x0a\x02L001\0"));
    }

    #[test]
    fn pci_host_link_is_wired_to_its_gsi() {
        let interrupt = b"\x11\x0e\x0a\x0b\x89\x06\0\x01\x01\x13\0\0\0\x79\0";
        let link =
            [b"\x08_UID\x0a\x03\x08_PRS".as_slice(), interrupt, b"\x08_CRS", interrupt, b"\x14\x06_SRS\x01"]
                .concat();

        assert!(contains(&aml(0x1f), &link));
    }

    #[test]
    fn pci_host_grants_only_what_it_was_told_to() {
        assert!(contains(&aml(0x15), b"\x7bCTRL\x0a\x15CTRL"));
    }

    #[test]
    fn pci_host_reserves_its_configuration_space() {
        let range = [0u64, 0xe000_0000, 0xefff_ffff, 0, 0x1000_0000].map(u64::to_le_bytes).concat();
        let reservation =
            [b"_HID\x0dPNP0C02\0\x08_CRS\x11\x33\x0a\x30\x8a\x2b\0\0\x0c\x01".as_slice(), &range].concat();

        assert!(contains(&aml(0x1f), &reservation));
    }
}
