//! QEMU's `microvm` as far as its tables go: the numbers of its address map, and the devices that describe themselves.

// The descriptions alone, not their crates: those depend on this one, and no arrow points back.
#[path = "../../../vmm/chipset/src/describe.rs"]
#[expect(unreachable_pub, reason = "public in its own crate")]
mod chipset;
#[path = "../../../firmware/src/describe.rs"]
#[expect(unreachable_pub, reason = "public in its own crate")]
mod firmware;
#[path = "../../../pcie/src/describe.rs"]
#[expect(unreachable_pub, reason = "public in its own crate")]
mod pcie;
#[path = "../../../usb/src/describe.rs"]
#[expect(unreachable_pub, reason = "public in its own crate")]
mod usb;
#[path = "../../../vmm/virtio/src/describe.rs"]
#[expect(unreachable_pub, reason = "public in its own crate")]
mod virtio;

use acpi::table::fadt::Absent;
use acpi::table::madt::{Cpu, IoApic, Override, Signal};
use acpi::table::{Dsdt, Fadt, Madt};
use acpi::{Describe, OemIds, TableSet};

use chipset::{Com1, Ged, PowerButton, Rtc};
use firmware::FwCfg;
use pcie::PciHost;
use usb::XhciDevice;
use virtio::MmioTransport;

pub(crate) const TABLES_AT: u64 = 0x7fe_0000;
pub(crate) const RSDP_AT: u64 = 0xf_5000;

/// Options that change tables.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) ioapic2: bool,
    pub(crate) rtc: bool,
    pub(crate) serial: bool,
    pub(crate) pic: bool,
    pub(crate) pcie: bool,
    pub(crate) usb: bool,
    pub(crate) apic_ids: Vec<u32>,
    pub(crate) absent_cpus: usize,
    /// Transports with a device, in the order of the DSDT.
    pub(crate) transports: Vec<u8>,
}

impl Default for Options {
    /// The machine of the golden tables: one processor, one disk on the highest transport, COM1.
    fn default() -> Self {
        Self {
            ioapic2: false,
            rtc: false,
            serial: true,
            pic: true,
            pcie: false,
            usb: false,
            apic_ids: vec![0],
            absent_cpus: 0,
            transports: vec![7],
        }
    }
}

impl Options {
    pub(crate) fn with_ioapic2() -> Self {
        Self { ioapic2: true, transports: vec![23], ..Self::default() }
    }

    /// The tables of this machine.
    pub(crate) fn tables(&self) -> TableSet {
        let mut set = TableSet::new(OemIds::default());
        let devices = self.devices();
        let devices = devices.iter().map(Box::as_ref).collect();
        let dsdt = set.place(&Dsdt { devices, soft_off_type: 5 });
        set.list(&Fadt {
            dsdt,
            reset_register: 0xfea0_0202,
            reset_value: 0x42,
            sleep_control_register: 0xfea0_0200,
            sleep_status_register: 0xfea0_0201,
            absent: Absent::default(),
        });
        set.list(&self.madt());
        set
    }

    fn devices(&self) -> Vec<Box<dyn Describe>> {
        let mut devices: Vec<Box<dyn Describe>> = vec![Box::new(FwCfg { port: 0x510, len: 12 })];
        if self.serial {
            devices.push(Box::new(Com1 { port: 0x3f8, len: 8, irq: 4 }));
        }
        if self.rtc {
            devices.push(Box::new(Rtc { port: 0x70, len: 8, irq: 8 }));
        }
        devices.push(Box::new(Ged { selector: 0xfea0_0000, gsi: 9, events: &[chipset::Event::PowerButton] }));
        devices.push(Box::new(PowerButton));
        for &index in &self.transports {
            devices.push(Box::new(self.transport(index)));
        }
        if self.usb {
            devices.push(Box::new(XhciDevice { base: 0xfe90_0000, len: 0x4000, gsi: 10 }));
        }
        if self.pcie {
            devices.push(Box::new(self.pci_host()));
        }
        devices
    }

    fn transport(&self, index: u8) -> MmioTransport {
        let first_gsi = if self.ioapic2 { 24 } else { 16 };
        let number = u32::from(index);
        MmioTransport { index, base: 0xfeb0_0000 + number * 0x200, len: 0x200, gsi: first_gsi + number }
    }

    /// The windows of a machine with 40 physical address bits.
    fn pci_host(&self) -> PciHost {
        let intx = if self.ioapic2 { [16, 17, 18, 19] } else { [12, 13, 14, 15] };
        PciHost {
            ecam: 0xe000_0000,
            window32: 0xc000_0000..=0xdfff_ffff,
            window64: 0xc0_0000_0000..=0xff_ffff_ffff,
            intx,
            control: 0x1f,
        }
    }

    fn madt(&self) -> Madt {
        let present = self.apic_ids.len() - self.absent_cpus;
        let cpu = |(n, &apic_id)| Cpu { apic_id, present: n < present };
        let mut io_apics = vec![IoApic { id: 0, address: 0xfec0_0000, gsi_base: 0 }];
        if self.ioapic2 {
            io_apics.push(IoApic { id: 1, address: 0xfec1_0000, gsi_base: 24 });
        }
        let level = |irq| Override { isa_irq: irq, gsi: irq.into(), signal: Signal::LevelHigh };
        let overrides = if self.pcie && !self.ioapic2 { (12..=15).map(level).collect() } else { vec![] };
        Madt {
            local_apic: 0xfee0_0000,
            pcat_compat: self.pic,
            cpus: self.apic_ids.iter().enumerate().map(cpu).collect(),
            io_apics,
            overrides,
        }
    }
}
