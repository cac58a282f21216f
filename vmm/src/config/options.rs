//! The switches of the machine type, as QEMU's `-M microvm,…` has them.

use std::fmt;

use firmware::smbios::Uuid;

/// A switch that the machine may decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// The machine's own default.
    #[default]
    Auto,
    /// On, whatever the default.
    On,
    /// Off, whatever the default.
    Off,
}

impl Switch {
    /// On or off, where `auto` is the default.
    #[must_use]
    pub const fn or(self, auto: bool) -> bool {
        match self {
            Self::Auto => auto,
            Self::On => true,
            Self::Off => false,
        }
    }
}

/// Where the interrupt controllers other than the local APICs are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Irqchip {
    /// In this process, all of them.
    #[default]
    Split,
    /// In KVM: the first IOAPIC, the PIC and the PIT. The second IOAPIC stays in this process.
    Kernel,
}

/// The switches, each with the default of the machine contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineOptions {
    /// ACPI tables, the power button, the reset register, and the room for a second IOAPIC. On by default.
    pub acpi: Switch,
    /// The pair of i8259. On by default.
    pub pic: Switch,
    /// The i8254. On by default.
    pub pit: Switch,
    /// The MC146818 clock. Off by default, because KVM's clock is better.
    pub rtc: Switch,
    /// COM1, if it has a console. On by default.
    pub isa_serial: Switch,
    /// The second IOAPIC, and with it 24 instead of 8 virtio-mmio transports. On by default, if there is ACPI.
    pub ioapic2: Switch,
    /// The PCI Express host bridge. Off by default.
    pub pcie: Switch,
    /// The USB controller on the system bus. On if something is plugged into it.
    pub usb: Switch,
    /// The option ROM that boots a kernel from SeaBIOS. On by default.
    pub option_roms: Switch,
    /// virtio-mmio devices on the kernel's command line, if there is no ACPI to find them by. On by default.
    pub auto_kernel_cmdline: Switch,
    /// Where the interrupt controllers are.
    pub irqchip: Irqchip,
}

impl MachineOptions {
    /// Whether there is ACPI.
    #[must_use]
    pub const fn has_acpi(&self) -> bool {
        self.acpi.or(true)
    }

    /// Whether there is a second IOAPIC.
    #[must_use]
    pub const fn has_ioapic2(&self) -> bool {
        self.ioapic2.or(self.has_acpi())
    }
}

/// A device that a machine has only on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraDevice {
    /// The panic port: a guest that panics ends the run with a failure.
    PvPanic,
    /// The debug exit at this port: a guest ends the run with a status of its choice.
    DebugExit {
        /// The first of four ports.
        port: u16,
    },
    /// The reset control register, port 0xCF9.
    ResetPort,
    /// The keyboard controller's reset, port 0x64.
    KeyboardReset,
    /// Registers that remember and interrupt lines at will, for kernel test suites.
    TestDevice,
    /// The USB controller as a PCI function, to which USB devices then belong.
    Xhci(pcie::Messages),
    /// A number that changes when the guest is another one than it was.
    GenerationId(GenerationId),
}

/// The first VM generation id of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationId {
    /// Another in each run.
    Random,
    /// This one.
    Fixed(Uuid),
}

impl ExtraDevice {
    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PvPanic => "pvpanic",
            Self::DebugExit { .. } => "debug-exit",
            Self::ResetPort => "reset-port",
            Self::KeyboardReset => "keyboard-reset",
            Self::TestDevice => "pc-testdev",
            Self::Xhci(_) => "xhci",
            Self::GenerationId(_) => "vmgenid",
        }
    }
}

impl fmt::Display for ExtraDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
