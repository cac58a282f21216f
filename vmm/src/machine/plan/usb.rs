//! Where the USB controller is.

use super::{Gsi, PlanError, Range, UsbError, devices};
use crate::config::{Config, Switch};

/// The xHCI controller on the system bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsbPlan {
    /// Its registers.
    pub mmio: Range,
    /// Its interrupt, level-triggered.
    pub gsi: Gsi,
    /// Whether the firmware counts all root ports in one row, as edk2 does, and not those of each speed, as SeaBIOS does.
    pub counts_all_ports: bool,
}

/// The controller of `usb=on`.
///
/// # Errors
/// Without ACPI nothing tells a guest of it.
pub(super) fn usb(config: &Config) -> Result<Option<UsbPlan>, PlanError> {
    if config.options.usb == Switch::Off && !config.usb.devices.is_empty() && !config.has_pci_usb() {
        return Err(UsbError::Off.into());
    }
    if !config.has_usb() {
        return Ok(None);
    }
    if !config.options.has_acpi() {
        if config.options.usb == Switch::Auto {
            return Err(UsbError::NoAcpi.into());
        }
        let reason = "nothing but ACPI tells of the USB controller";
        return Err(PlanError::Contradiction { option: "usb=on", other: "acpi=off", reason });
    }
    let counts_all_ports = devices::is_edk2(&config.firmware);
    Ok(Some(UsbPlan { mmio: Range::new(0xfe90_0000, usb::xhci::LEN), gsi: 10, counts_all_ports }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MachineOptions, Switch};

    fn usb_of(options: MachineOptions) -> Result<Option<UsbPlan>, PlanError> {
        usb(&Config { options, ..Config::default() })
    }

    #[test]
    fn controller_comes_on_request_at_the_address_of_the_contract() {
        assert_eq!(usb_of(MachineOptions::default()), Ok(None));
        let on = MachineOptions { usb: Switch::On, ..MachineOptions::default() };
        let mmio = Range::new(0xfe90_0000, 0x4000);
        assert_eq!(usb_of(on), Ok(Some(UsbPlan { mmio, gsi: 10, counts_all_ports: false })));
    }

    #[test]
    fn controller_without_acpi_is_refused() {
        let options = MachineOptions { usb: Switch::On, acpi: Switch::Off, ..MachineOptions::default() };
        let error = usb_of(options).unwrap_err().to_string();
        assert!(error.starts_with("--machine usb=on and --machine acpi=off exclude each other: "), "{error}");
    }
}
