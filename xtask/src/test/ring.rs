//! The rings of the tests: when each runs, and what it needs before that.

use clap::ValueEnum as _;

/// A file of `tests/tests`, but for the first two.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Ring {
    Check,
    Firmware,
    Machine,
    Uefi,
    Switches,
    Acpi,
    Kernels,
    Pci,
    Plugging,
    Devices,
    Backends,
    Cpus,
    Control,
    Vng,
    Symbols,
    Usbboot,
    Usbguest,
    Debug,
    Cloud,
}

/// When a ring runs that needs 64-bit guests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// In the one lab.
    First,
    /// Beside those, if there is another lab.
    Beside,
    /// If it is asked for by name.
    Asked,
}

/// Which image of Debian a ring's machines have.
#[derive(Clone, Copy)]
pub(super) enum Disk {
    Plain,
    /// Its kernel drives the USB controller of the system bus.
    UsbPlatform,
    /// It waits for a seed to say who may log in.
    Cloud,
}

/// What there is to be before a ring that needs 64-bit guests runs.
pub(super) struct Needs {
    pub(super) turn: Turn,
    /// Firmware beside what every machine can have.
    pub(super) firmware: &'static [&'static str],
    /// Debian's packages on this machine, which is the lab's, too.
    pub(super) packages: &'static [&'static str],
    /// A copy of the image, for one test that writes to it.
    pub(super) copy: bool,
    pub(super) disk: Disk,
    /// A list of machines.
    pub(super) acpi_machines: bool,
    /// virtme-ng with all that it needs.
    pub(super) vng: bool,
    /// The symbols of edk2's modules.
    pub(super) symbols: bool,
    /// Memory of the lab for guests of more than half a GiB, but no other lab beside it.
    pub(super) large_lab: bool,
}

impl Needs {
    const fn at(turn: Turn) -> Self {
        Self {
            turn,
            firmware: &[],
            packages: &[],
            copy: false,
            disk: Disk::Plain,
            acpi_machines: false,
            vng: false,
            symbols: false,
            large_lab: matches!(turn, Turn::First),
        }
    }
}

impl Ring {
    /// The one table of them. The rings that run no 64-bit guest need nothing.
    pub(super) const fn needs(self) -> Option<Needs> {
        use Turn::{Asked, Beside, First};
        Some(match self {
            Self::Check | Self::Firmware => return None,
            Self::Machine => Needs { copy: true, ..Needs::at(First) },
            Self::Uefi => Needs { firmware: &["edk2"], ..Needs::at(First) },
            Self::Acpi => Needs { acpi_machines: true, ..Needs::at(First) },
            Self::Switches | Self::Pci | Self::Usbguest => Needs::at(Beside),
            Self::Kernels => Needs { copy: true, ..Needs::at(Beside) },
            Self::Plugging => {
                Needs { copy: true, firmware: &["seabios-usb"], packages: &["mtools"], ..Needs::at(Beside) }
            }
            Self::Devices => Needs { packages: &["passt"], ..Needs::at(Asked) },
            Self::Backends => Needs { packages: &["iperf3", "qemu-system-common"], ..Needs::at(Asked) },
            Self::Cpus => Needs::at(Asked),
            Self::Control => Needs::at(First),
            Self::Vng => Needs { vng: true, ..Needs::at(First) },
            Self::Symbols => {
                Needs { symbols: true, firmware: &["edk2-debug"], packages: &["gdb"], ..Needs::at(First) }
            }
            Self::Debug => Needs { firmware: &["edk2-debug"], ..Needs::at(First) },
            Self::Cloud => Needs { disk: Disk::Cloud, ..Needs::at(Asked) },
            Self::Usbboot => {
                Needs { firmware: &["seabios-usb", "edk2-usb"], disk: Disk::UsbPlatform, ..Needs::at(Asked) }
            }
        })
    }

    /// The rings that run at `turn`, in their order.
    pub(super) fn at(turn: Turn) -> impl Iterator<Item = Self> {
        let rings = Self::value_variants().iter().copied();
        rings.filter(move |ring| ring.needs().is_some_and(|needs| needs.turn == turn))
    }

    /// As the command line and `tests/tests` call it.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
