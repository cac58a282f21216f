//! `--machine KEY=VALUE,…` and `--device NAME[,KEY=VALUE]`: the switches of the machine type, and devices on request.

use std::str::FromStr;

use pcie::Messages;

use super::fields::{Fields, FieldsError};
use crate::config::{ExtraDevice, GenerationId, Irqchip, MachineOptions, Switch};

/// The keys, for messages and help.
const KEYS: &str =
    "acpi, pic, pit, rtc, isa-serial, ioapic2, pcie, usb, x-option-roms, auto-kernel-cmdline or irqchip";
/// Where test kernels look for the debug exit, unless they are told otherwise.
const DEBUG_EXIT_PORT: u16 = 0xf4;

/// Why a text is no `--machine`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OptionsError {
    /// A key that the machine does not have.
    #[error("unknown key `{0}`, use {KEYS}")]
    Key(String),
    /// No choice for a switch.
    #[error("{0}={1} is no choice, use {0}=on, {0}=off or {0}=auto")]
    Switch(String, String),
    /// No place for the interrupt controllers.
    #[error("irqchip={0} is no choice, use irqchip=split or irqchip=kernel")]
    Irqchip(String),
    /// Not of the shape.
    #[error(transparent)]
    Fields(#[from] FieldsError),
}

impl FromStr for MachineOptions {
    type Err = OptionsError;

    /// As in QEMU, the name of the machine type may stand first.
    fn from_str(text: &str) -> Result<Self, OptionsError> {
        let text = text.strip_prefix("microvm,").unwrap_or(text);
        let mut options = Self::default();
        for (key, value) in Fields::pairs(text)? {
            options.set(&key, &value)?;
        }
        Ok(options)
    }
}

impl MachineOptions {
    /// Sets the switch `key`.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), OptionsError> {
        let switch = match key {
            "acpi" => &mut self.acpi,
            "pic" => &mut self.pic,
            "pit" => &mut self.pit,
            "rtc" => &mut self.rtc,
            "isa-serial" => &mut self.isa_serial,
            "ioapic2" => &mut self.ioapic2,
            "pcie" => &mut self.pcie,
            "usb" => &mut self.usb,
            "x-option-roms" => &mut self.option_roms,
            "auto-kernel-cmdline" => &mut self.auto_kernel_cmdline,
            "irqchip" => {
                self.irqchip = irqchip(value)?;
                return Ok(());
            }
            _ => return Err(OptionsError::Key(key.into())),
        };
        *switch = choice(key, value)?;
        Ok(())
    }
}

fn choice(key: &str, value: &str) -> Result<Switch, OptionsError> {
    match value {
        "on" => Ok(Switch::On),
        "off" => Ok(Switch::Off),
        "auto" => Ok(Switch::Auto),
        _ => Err(OptionsError::Switch(key.into(), value.into())),
    }
}

fn irqchip(value: &str) -> Result<Irqchip, OptionsError> {
    match value {
        "split" => Ok(Irqchip::Split),
        "kernel" => Ok(Irqchip::Kernel),
        _ => Err(OptionsError::Irqchip(value.into())),
    }
}

/// Why a text is no `--device`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeviceError {
    /// A name that no device has.
    #[error(
        "unknown device `{0}`, use pvpanic, debug-exit, reset-port, keyboard-reset, pc-testdev, vmgenid, root-port, vfio or xhci"
    )]
    Name(String),
    /// A key that the device does not have.
    #[error("unknown key `{key}`, {hint}")]
    Key {
        /// The key.
        key: String,
        /// What there is.
        hint: &'static str,
    },
    /// A root port that nothing could be plugged into.
    #[error("a root port needs a name, write root-port,id=NAME")]
    NoId,
    /// No function of the host's.
    #[error("a function of the host's needs its address, write vfio,host=0000:01:00.0; lspci -D lists them")]
    NoHost,
    /// Not an address of the host's.
    #[error(transparent)]
    Host(#[from] vfio::BadAddress),
    /// No port, or one too high for four.
    #[error("port={0} is no port, write for example port=0xf4; the last is 0xfffc")]
    Port(String),
    /// Neither with nor without MSI-X.
    #[error("msix={0} is no choice, use msix=on or msix=off")]
    Msix(String),
    /// No GUID.
    #[error("guid={0} is no GUID, write for example guid=6ba7b810-9dad-11d1-80b4-00c04fd430c8, or guid=auto")]
    Guid(String),
    /// Not of the shape.
    #[error(transparent)]
    Fields(#[from] FieldsError),
}

impl FromStr for ExtraDevice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let Fields { first: name, pairs } = Fields::parse(text)?;
        let device = match name.as_str() {
            "pvpanic" => Self::PvPanic,
            "debug-exit" => return debug_exit(pairs),
            "reset-port" => Self::ResetPort,
            "keyboard-reset" => Self::KeyboardReset,
            "pc-testdev" => Self::TestDevice,
            "xhci" => return messages(pairs).map(Self::Xhci),
            "vmgenid" => return generation_id(pairs).map(Self::GenerationId),
            _ => return Err(DeviceError::Name(name)),
        };
        match pairs.into_iter().next() {
            Some((key, _)) => Err(DeviceError::Key { key, hint: "this device has none" }),
            None => Ok(device),
        }
    }
}

fn debug_exit(pairs: Vec<(String, String)>) -> Result<ExtraDevice, DeviceError> {
    let mut port = DEBUG_EXIT_PORT;
    for (key, value) in pairs {
        match key.as_str() {
            "port" => port = parse_port(&value).ok_or(DeviceError::Port(value))?,
            _ => return Err(DeviceError::Key { key, hint: "use port" }),
        }
    }
    Ok(ExtraDevice::DebugExit { port })
}

fn messages(pairs: Vec<(String, String)>) -> Result<Messages, DeviceError> {
    let mut messages = Messages::default();
    for (key, value) in pairs {
        match key.as_str() {
            "msix" => messages = msix(&value).ok_or(DeviceError::Msix(value))?,
            _ => return Err(DeviceError::Key { key, hint: "use msix" }),
        }
    }
    Ok(messages)
}

/// The choice of `msix=`: a function without MSI-X has MSI.
pub(super) fn msix(value: &str) -> Option<Messages> {
    match value {
        "on" => Some(Messages::Either),
        "off" => Some(Messages::Msi),
        _ => None,
    }
}

fn generation_id(pairs: Vec<(String, String)>) -> Result<GenerationId, DeviceError> {
    let mut id = GenerationId::Random;
    for (key, value) in pairs {
        id = match (key.as_str(), value.as_str()) {
            ("guid", "auto") => GenerationId::Random,
            ("guid", _) => GenerationId::Fixed(value.parse().map_err(|_| DeviceError::Guid(value))?),
            _ => return Err(DeviceError::Key { key, hint: "use guid" }),
        };
    }
    Ok(id)
}

/// The first of four ports, hexadecimal after `0x`.
fn parse_port(text: &str) -> Option<u16> {
    const LAST: u16 = u16::MAX - 3;
    let port = match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    port.filter(|&port| port <= LAST && !text.contains('+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        text.parse::<MachineOptions>().unwrap_err().to_string()
    }

    fn device(text: &str) -> Result<ExtraDevice, String> {
        text.parse().map_err(|error: DeviceError| error.to_string())
    }

    #[test]
    fn every_switch_is_set_and_no_other() {
        let options: MachineOptions = "microvm,pit=off,rtc=on,ioapic2=auto,irqchip=kernel".parse().unwrap();
        let expected = MachineOptions {
            pit: Switch::Off,
            rtc: Switch::On,
            irqchip: Irqchip::Kernel,
            ..MachineOptions::default()
        };
        assert_eq!(options, expected);
        let all = "acpi=off,pic=off,pit=off,rtc=off,isa-serial=off,ioapic2=off,x-option-roms=off,auto-kernel-cmdline=off";
        let off = all.parse::<MachineOptions>().unwrap();
        let switches = [off.acpi, off.pic, off.pit, off.rtc, off.isa_serial, off.ioapic2, off.option_roms];
        assert_eq!(switches, [Switch::Off; 7]);
        assert_eq!(off.auto_kernel_cmdline, Switch::Off);
    }

    #[test]
    fn misspelt_repeated_and_wrong_switches_are_refused() {
        assert!(refused("pci=on").starts_with("unknown key `pci`, use acpi, "));
        assert_eq!(refused("pit=yes"), "pit=yes is no choice, use pit=on, pit=off or pit=auto");
        assert_eq!(refused("irqchip=off"), "irqchip=off is no choice, use irqchip=split or irqchip=kernel");
        assert_eq!(refused("pit=on,pit=off"), "pit is given twice, give it once");
        assert!(refused("pit").starts_with("`pit` has no value"));
        assert!(refused("").contains("has no value"));
    }

    #[test]
    fn devices_have_names_and_some_keys() {
        assert_eq!(device("pvpanic"), Ok(ExtraDevice::PvPanic));
        assert_eq!(device("pc-testdev"), Ok(ExtraDevice::TestDevice));
        assert_eq!(device("xhci"), Ok(ExtraDevice::Xhci(Messages::Either)));
        assert_eq!(device("xhci,msix=off"), Ok(ExtraDevice::Xhci(Messages::Msi)));
        assert_eq!(device("xhci,msix=0").unwrap_err(), "msix=0 is no choice, use msix=on or msix=off");
        assert_eq!(device("debug-exit"), Ok(ExtraDevice::DebugExit { port: 0xf4 }));
        assert_eq!(device("debug-exit,port=0x501"), Ok(ExtraDevice::DebugExit { port: 0x501 }));
        assert_eq!(device("vmgenid"), Ok(ExtraDevice::GenerationId(GenerationId::Random)));
        assert_eq!(device("vmgenid,guid=auto"), device("vmgenid"));
        let guid = "00112233-4455-6677-8899-aabbccddeeff";
        let fixed = GenerationId::Fixed(guid.parse().unwrap());
        assert_eq!(device(&format!("vmgenid,guid={guid}")), Ok(ExtraDevice::GenerationId(fixed)));
        assert!(device("vmgenid,guid=1").unwrap_err().starts_with("guid=1 is no GUID, write for example"));
        assert!(device("pvpanik").unwrap_err().starts_with("unknown device `pvpanik`, use pvpanic"));
        assert_eq!(device("pvpanic,port=1").unwrap_err(), "unknown key `port`, this device has none");
        assert_eq!(device("debug-exit,iobase=1").unwrap_err(), "unknown key `iobase`, use port");
        for port in ["0xfffd", "0x10000", "-1", "+4", "0x", "f4", ""] {
            assert!(
                device(&format!("debug-exit,port={port}"))
                    .unwrap_err()
                    .starts_with(&format!("port={port} is no"))
            );
        }
    }
}
