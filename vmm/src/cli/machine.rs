//! `--memory`, `--cpus` and `--firmware`: the machine without its devices.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;

use super::cpu::CpuChoice;
use super::device::DeviceArg;
use super::memory::Memory;
use crate::config::{FirmwareChoice, MachineOptions, RtcConfig};
use crate::topology::Topology;

/// What `--memory` takes.
const MEMORY: &str = "SIZE[,hugepages=2M|1G][,shared=on][,prefault=on][,thp=never][,merge=on]";

/// The machine itself.
#[derive(Args, Debug)]
#[command(next_help_heading = "Machine")]
pub(crate) struct MachineArgs {
    /// RAM: a number with K, M, G or T, without a unit it is MiB; and what the host makes it of
    #[arg(short, long, value_name = MEMORY, default_value = "512M")]
    pub(crate) memory: Memory,
    /// How many vCPUs, and how they are arranged
    #[arg(long, value_name = "N[,sockets=N][,dies=N][,cores=N][,threads=N]", default_value = "1")]
    pub(crate) cpus: Topology,
    /// What the vCPUs can do: all that the host has, less or more; `list` prints what there is and exits
    #[arg(long, value_name = "MODEL[,+FEATURE][,-FEATURE]|list", default_value = "host")]
    pub(crate) cpu: CpuChoice,
    /// Switches of the machine type, each on, off or auto: acpi, pic, pit, rtc, isa-serial, ioapic2, pcie, x-option-roms,
    /// auto-kernel-cmdline; and irqchip, split or kernel
    #[arg(long = "machine", value_name = "KEY=VALUE,…")]
    pub(crate) options: Option<MachineOptions>,
    /// A real-time clock, and what it shows when the machine starts: the host's time, in UTC or as on its walls, or a date.
    /// It goes by the host's date, or with rt by a clock that nobody sets
    #[arg(long, value_name = "base=utc|localtime|YYYY-MM-DD[THH:MM:SS][,clock=host|rt]")]
    pub(crate) rtc: Option<RtcConfig>,
    /// A device on request, repeatable: root-port,id=NAME, pvpanic, debug-exit[,port=0xf4], reset-port, keyboard-reset,
    /// pc-testdev, vmgenid[,guid=GUID] or xhci[,msix=off]
    #[arg(long = "device", value_name = "NAME[,KEY=VALUE]")]
    pub(crate) on_request: Vec<DeviceArg>,
    /// What runs first: a name of `tinderbox firmware list`, or a file if it has a / or ends in .bin, .rom or .fd
    /// [default: seabios; none with --kernel]
    #[arg(long, value_name = "NAME|PATH|none")]
    pub(crate) firmware: Option<FirmwareChoice>,
    /// End the run when the guest resets the machine, with status 0
    #[arg(long)]
    pub(crate) no_reboot: bool,
    /// The KVM device
    #[arg(long, value_name = "PATH", default_value = "/dev/kvm", hide = true)]
    pub(crate) kvm: PathBuf,
}

/// An amount of memory in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemorySize(pub(crate) u64);

/// Why a text says nothing about a machine.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum MachineError {
    /// Not a number with a unit, or one beyond 64 bits.
    #[error("not a size, write for example 512M or 6G")]
    Size,
    /// Nothing.
    #[error("no firmware, write a name of `tinderbox firmware list` or a path")]
    Firmware,
}

impl FromStr for MemorySize {
    type Err = MachineError;

    fn from_str(text: &str) -> Result<Self, MachineError> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = shift(&text[digits.len()..]).ok_or(MachineError::Size)?;
        let count = decimal::<u64>(digits).ok_or(MachineError::Size)?;
        count.checked_mul(1 << unit).map(Self).ok_or(MachineError::Size)
    }
}

/// The power of two that a unit stands for.
fn shift(unit: &str) -> Option<u32> {
    match unit {
        "K" | "k" => Some(10),
        "" | "M" | "m" => Some(20),
        "G" | "g" => Some(30),
        "T" | "t" => Some(40),
        _ => None,
    }
}

/// Digits alone: the standard library would take a `+`.
pub(crate) fn decimal<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The rule looks at the text alone, so that no file in the current directory can hide a name of the bundle.
impl FromStr for FirmwareChoice {
    type Err = MachineError;

    fn from_str(text: &str) -> Result<Self, MachineError> {
        let suffix = Path::new(text).extension().and_then(|suffix| suffix.to_str());
        match suffix {
            _ if text.is_empty() => Err(MachineError::Firmware),
            _ if text == "none" => Ok(Self::None),
            Some("bin" | "rom" | "fd") => Ok(Self::File(text.into())),
            _ if text.contains('/') => Ok(Self::File(text.into())),
            _ => Ok(Self::Named(text.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Option<u64> {
        text.parse().ok().map(|MemorySize(bytes)| bytes)
    }

    #[test]
    fn memory_without_unit_is_mib() {
        assert_eq!(bytes("512"), Some(512 << 20));
    }

    #[test]
    fn memory_takes_units_in_both_cases() {
        assert_eq!(bytes("2048K"), Some(2 << 20));
        assert_eq!(bytes("512m"), Some(512 << 20));
        assert_eq!(bytes("6G"), Some(6 << 30));
        assert_eq!(bytes("1t"), Some(1 << 40));
    }

    #[test]
    fn memory_that_is_no_size_is_refused() {
        for text in ["", "M", "-1M", "+1M", "1.5G", "512MB", "512 M", "0x20M", "M512", "9é", "é"] {
            assert_eq!(text.parse::<MemorySize>(), Err(MachineError::Size), "{text}");
        }
    }

    #[test]
    fn memory_beyond_64_bits_is_refused() {
        assert_eq!(bytes("16777215T"), Some(0xff_ffff << 40));
        assert_eq!(bytes("16777216T"), None);
        assert_eq!(bytes("18446744073709551616K"), None);
    }

    #[test]
    fn firmware_with_slash_or_image_suffix_is_a_file() {
        for text in ["./seabios", "/usr/share/seabios/bios", "bios.bin", "vgabios.rom", "MICROVM.fd"] {
            assert_eq!(text.parse(), Ok(FirmwareChoice::File(text.into())));
        }
    }

    #[test]
    fn firmware_of_any_other_form_is_a_name() {
        assert_eq!("none".parse(), Ok(FirmwareChoice::None));
        for text in ["seabios", "edk2", "seabios-1.16", "bin"] {
            assert_eq!(text.parse(), Ok(FirmwareChoice::Named(text.into())));
        }
        assert_eq!("".parse::<FirmwareChoice>(), Err(MachineError::Firmware));
    }
}
