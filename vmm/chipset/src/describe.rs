//! How the chipset appears in the DSDT.

use acpi::objects::{
    And, Arg, Equal, Field, FieldAccessType, FieldEntry, FieldLockRule, FieldUpdateRule, If, Local, Method,
    Notify, OpRegion, OpRegionSpace, Package, Path, Return, Store, ZERO,
};
use acpi::{Aml, Describe, Device, NameSeg, Scope};

/// The first serial port.
#[derive(Clone, Copy, Debug)]
pub struct Com1 {
    /// First I/O port.
    pub port: u16,
    /// How many ports.
    pub len: u8,
    /// ISA interrupt.
    pub irq: u8,
}

impl Describe for Com1 {
    fn describe(&self, scope: &mut Scope) {
        scope.device(b"COM1", |dev| {
            dev.eisa_hid("PNP0501"); // 16550A-compatible port
            dev.uid(&1u8);
            dev.sta(0x0f); // present, decoding, shown, working
            // The alignment of 0, which a range that cannot move never needs, is QEMU's.
            dev.crs(|crs| crs.aligned_io(self.port, self.len, 0).isa_irq(self.irq));
        });
    }
}

/// The real-time clock.
#[derive(Clone, Copy, Debug)]
pub struct Rtc {
    /// First I/O port.
    pub port: u16,
    /// How many ports.
    pub len: u8,
    /// ISA interrupt.
    pub irq: u8,
}

impl Describe for Rtc {
    fn describe(&self, scope: &mut Scope) {
        scope.device(b"RTC_", |dev| {
            dev.eisa_hid("PNP0B00"); // AT clock
            dev.crs(|crs| crs.io(self.port, self.len).isa_irq(self.irq));
        });
    }
}

/// The panic port, and methods for systems that would rather not access it themselves.
#[derive(Clone, Copy, Debug)]
pub struct PvPanic {
    /// The port.
    pub port: u16,
}

impl PvPanic {
    /// The port's region and its one field.
    fn describe_port(&self, dev: &mut Device) {
        dev.add(&OpRegion::new("PEOR".into(), OpRegionSpace::SystemIO, &self.port, &1u8));
        dev.add(&Field::new(
            "PEOR".into(),
            FieldAccessType::Byte,
            FieldLockRule::NoLock,
            FieldUpdateRule::Preserve,
            vec![FieldEntry::Named(*b"PEPT", 8)],
        ));
    }

    /// `RDPT` reads the events that the port knows, `WRPT` writes one.
    fn describe_methods(dev: &mut Device) {
        let (port, events) = (Path::new("PEPT"), Local(0));
        let read: [&dyn Aml; 2] = [&Store::new(&events, &port), &Return::new(&events)];
        dev.add(&Method::new("RDPT".into(), 0, false, read.to_vec()));
        dev.add(&Method::new("WRPT".into(), 1, false, vec![&Store::new(&port, &Arg(0))]));
    }
}

impl Describe for PvPanic {
    fn describe(&self, scope: &mut Scope) {
        scope.device(b"PEVT", |dev| {
            dev.hid("QEMU0001");
            dev.crs(|crs| crs.io(self.port, 1));
            self.describe_port(dev);
            dev.sta(0x0f); // present, decoding, shown, working
            Self::describe_methods(dev);
        });
    }
}

/// What the generic event device can tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// [`PowerButton`] was pressed.
    PowerButton,
    /// [`SleepButton`] was pressed.
    SleepButton,
    /// [`GenerationId`] changed.
    GenerationId,
}

impl Event {
    /// The bit of the event selector. QEMU's events have the low ones, ours those from 16 on.
    #[must_use]
    pub const fn bit(self) -> u32 {
        match self {
            Self::PowerButton => 1 << 1,
            Self::SleepButton => 1 << 16,
            Self::GenerationId => 1 << 17,
        }
    }

    /// The device that is told. All are told 0x80: pressed, or changed. ACPI 6.5, 5.6.6.
    const fn device(self) -> &'static [u8; 4] {
        match self {
            Self::PowerButton => b"PWRB",
            Self::SleepButton => b"SLPB",
            Self::GenerationId => b"VGEN",
        }
    }
}

/// The notification of every event.
const HAPPENED: u8 = 0x80;

/// The generic event device: tells the operating system what happened. ACPI 6.5, 5.6.9.
///
/// It notifies the devices of its events, so they go together.
#[derive(Clone, Copy, Debug)]
pub struct Ged {
    /// Physical address of the event selector, a register of four bytes that a read clears.
    pub selector: u32,
    /// Its interrupt, edge-triggered.
    pub gsi: u32,
    /// What it tells of.
    pub events: &'static [Event],
}

impl Ged {
    /// The selector's region and its one field.
    fn describe_selector(&self, dev: &mut Device) {
        dev.add(&OpRegion::new("EREG".into(), OpRegionSpace::SystemMemory, &self.selector, &4u8));
        dev.add(&Field::new(
            "EREG".into(),
            FieldAccessType::DWord,
            FieldLockRule::NoLock,
            FieldUpdateRule::WriteAsZeroes,
            vec![FieldEntry::Named(*b"ESEL", 32)],
        ));
    }

    /// `_EVT`, called with the GSI when the interrupt came. It reads the selector once, because reading clears.
    fn describe_event_method(&self, dev: &mut Device) {
        let pending = Local(0);
        let mut body = Scope::new();
        body.add(&Store::new(&pending, &Path::new("ESEL")));
        for event in self.events {
            let (bit, device) = (event.bit(), NameSeg::from(event.device()));
            let happened = And::new(&ZERO, &pending, &bit);
            body.add(&If::new(&Equal::new(&happened, &bit), vec![&Notify::new(&device, &HAPPENED)]));
        }
        dev.add(&Method::new("_EVT".into(), 1, true, vec![&body]));
    }
}

impl Describe for Ged {
    fn describe(&self, scope: &mut Scope) {
        scope.device(b"GED_", |dev| {
            dev.hid("ACPI0013");
            dev.uid(&"GED");
            dev.crs(|crs| crs.edge_interrupt(self.gsi));
            self.describe_selector(dev);
            self.describe_event_method(dev);
        });
    }
}

/// The power button, a control-method one. ACPI 6.5, 4.8.2.2.1.2.
#[derive(Clone, Copy, Debug)]
pub struct PowerButton;

impl Describe for PowerButton {
    fn describe(&self, scope: &mut Scope) {
        scope.device(b"PWRB", |dev| {
            dev.hid("PNP0C0C");
            dev.uid(&ZERO);
        });
    }
}

/// The sleep button, a control-method one. ACPI 6.5, 4.8.2.2.2.2.
#[derive(Clone, Copy, Debug)]
pub struct SleepButton;

impl Describe for SleepButton {
    fn describe(&self, scope: &mut Scope) {
        scope.device(b"SLPB", |dev| {
            dev.hid("PNP0C0E");
            dev.uid(&ZERO);
        });
    }
}

/// The VM generation id: 16 bytes of memory that change when the guest is another one than it was. Microsoft's "Virtual Machine
/// Generation ID" of 2012.
#[derive(Clone, Copy, Debug)]
pub struct GenerationId {
    /// Physical address of the bytes.
    pub address: u32,
}

impl Describe for GenerationId {
    fn describe(&self, scope: &mut Scope) {
        const KIND: &str = "VM_Gen_Counter";
        scope.device(b"VGEN", |dev| {
            // Drivers go by `_CID`; this is the maker's to choose. QEMU's QEMUVGID has not the form that ACPI 6.5, 6.1.5 wants.
            dev.hid("TBOX0001");
            dev.name(b"_CID", &KIND);
            dev.name(b"_DDN", &KIND);
            dev.name(b"ADDR", &Package::new(vec![&self.address, &ZERO])); // low and high half
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aml(device: &dyn Describe) -> Vec<u8> {
        let mut scope = Scope::new();
        device.describe(&mut scope);
        scope.bytes().to_vec()
    }

    const GED: Ged = Ged { selector: 0xfea0_0000, gsi: 9, events: &[Event::PowerButton] };

    fn contains(bytes: &[u8], part: &[u8]) -> bool {
        bytes.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn com1_is_a_present_16550_with_unaligned_ports() {
        let aml = aml(&Com1 { port: 0x3f8, len: 8, irq: 4 });

        assert_eq!(aml[..3], [0x5b, 0x82, aml.len() as u8 - 2]);
        assert!(aml[3..].starts_with(b"COM1\x08_HID\x0c\x41\xd0\x05\x01\x08_UID\x01\x08_STA\x0a\x0f"));
        assert!(aml.ends_with(b"\x08_CRS\x11\x10\x0a\x0d\x47\x01\xf8\x03\xf8\x03\0\x08\x22\x10\0\x79\0"));
    }

    #[test]
    fn rtc_has_no_uid_and_no_status() {
        let aml = aml(&Rtc { port: 0x70, len: 8, irq: 8 });

        assert!(aml.ends_with(
            b"RTC_\x08_HID\x0c\x41\xd0\x0b\0\x08_CRS\x11\x10\x0a\x0d\x47\x01\x70\0\x70\0\x01\x08\x22\0\x01\x79\0"
        ));
    }

    #[test]
    fn pvpanic_has_one_port_behind_a_byte_region() {
        let aml = aml(&PvPanic { port: 0x505 });

        assert!(contains(&aml, b"PEVT\x08_HID\x0dQEMU0001\0"));
        assert!(contains(&aml, b"\x08_CRS\x11\x0d\x0a\x0a\x47\x01\x05\x05\x05\x05\x01\x01\x79\0"));
        assert!(contains(&aml, b"\x5b\x80PEOR\x01\x0b\x05\x05\x01"));
        assert!(contains(&aml, b"\x5b\x81\x0bPEOR\x01PEPT\x08"));
        assert!(contains(&aml, b"\x08_STA\x0a\x0f"));
    }

    #[test]
    fn pvpanic_methods_read_and_write_the_port() {
        let aml = aml(&PvPanic { port: 0x505 });

        assert!(contains(&aml, b"\x14\x0eRDPT\0\x70PEPT\x60\xa4\x60"));
        assert!(aml.ends_with(b"\x14\x0cWRPT\x01\x70\x68PEPT"));
    }

    #[test]
    fn ged_selector_is_a_dword_region() {
        let aml = aml(&GED);

        assert!(contains(&aml, b"\x5b\x80EREG\0\x0c\0\0\xa0\xfe\x0a\x04"));
        assert!(contains(&aml, b"\x5b\x81\x0bEREG\x43ESEL\x20"));
    }

    #[test]
    fn ged_event_method_notifies_the_button_on_bit_one() {
        let aml = aml(&GED);

        assert!(aml.ends_with(b"_EVT\x09\x70ESEL\x60\xa0\x10\x93\x7b\x60\x0a\x02\0\x0a\x02\x86PWRB\x0a\x80"));
    }

    #[test]
    fn ged_interrupt_is_edge_triggered() {
        let aml = aml(&GED);

        assert!(contains(&aml, b"\x89\x06\0\x03\x01\x09\0\0\0"));
    }

    #[test]
    fn power_button_is_identified_by_text() {
        assert_eq!(aml(&PowerButton), b"\x5b\x82\x19PWRB\x08_HID\x0dPNP0C0C\0\x08_UID\0");
    }

    #[test]
    fn ged_has_a_branch_for_each_event() {
        let aml = aml(&Ged { events: &[Event::SleepButton, Event::GenerationId], ..GED });

        let branch = |bit: u8, device| {
            [
                b"\xa0\x16\x93\x7b\x60\x0c\0\0",
                &[bit][..],
                b"\0\0\x0c\0\0",
                &[bit],
                b"\0\x86",
                device,
                b"\x0a\x80",
            ]
            .concat()
        };
        assert!(aml.ends_with(&[branch(1, b"SLPB"), branch(2, b"VGEN")].concat()));
    }

    #[test]
    fn sleep_button_is_identified_by_text() {
        assert_eq!(aml(&SleepButton), b"\x5b\x82\x19SLPB\x08_HID\x0dPNP0C0E\0\x08_UID\0");
    }

    #[test]
    fn generation_id_says_where_it_is_in_two_halves() {
        let aml = aml(&GenerationId { address: 0xfeff_b000 });

        assert!(contains(&aml, b"VGEN\x08_HID\x0dTBOX0001\0\x08_CID\x0dVM_Gen_Counter\0"));
        assert!(aml.ends_with(b"\x08ADDR\x12\x08\x02\x0c\0\xb0\xff\xfe\0"));
    }
}
