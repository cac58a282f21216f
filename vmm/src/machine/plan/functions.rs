//! Which PCI functions there are, and in which slot of the root bus each is.

use super::PlanError;
use crate::config::{Config, DiskBus, Switch};

/// A PCI function: its kind, and which of that kind in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PciFunction {
    /// The NVMe controller of a disk, as an index into [`Config::disks`].
    Nvme(usize),
}

/// A function in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionPlan {
    /// Its device number on the root bus, from 1 on; 0 is the host bridge itself.
    pub device: u8,
    /// What it is.
    pub function: PciFunction,
}

/// Device numbers of a bus beside the host bridge's.
const SLOTS: usize = 31;

/// Slots are filled from device 1 upwards, with the disks in their order.
pub(super) fn functions(config: &Config) -> Result<Vec<FunctionPlan>, PlanError> {
    let nvme = config.disks.iter().enumerate().filter(|(_, disk)| disk.bus == DiskBus::Nvme);
    let disks: Vec<_> = nvme.map(|(n, _)| n).collect();
    if disks.len() > SLOTS {
        return Err(PlanError::PciSlots { functions: disks.len(), slots: SLOTS });
    }
    let place = |(device, disk)| FunctionPlan { device, function: PciFunction::Nvme(disk) };
    Ok((1..).zip(disks).map(place).collect())
}

/// What is on PCI Express needs its host bridge, and that needs ACPI.
pub(super) fn check(config: &Config) -> Result<(), PlanError> {
    let Some(disk) = config.disks.iter().find(|disk| disk.bus == DiskBus::Nvme) else { return Ok(()) };
    let excluded = |other, reason| Err(PlanError::DiskBus { path: disk.path.clone(), other, reason });
    match config.options.pcie {
        Switch::Off => excluded("pcie=off", "NVMe is on PCI Express"),
        _ if !config.options.has_acpi() => {
            excluded("acpi=off", "nothing but ACPI tells of the PCI Express host bridge")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DiskConfig, MachineOptions};
    use crate::machine::plan::{Boot, Plan};

    fn config(disks: &[&str]) -> Config {
        let disks = disks.iter().map(|text| text.parse::<DiskConfig>().unwrap()).collect();
        Config { disks, ..Config::default() }
    }

    fn plan(config: &Config) -> Result<Plan, PlanError> {
        Plan::new(config, 128 << 10, 46)
    }

    #[test]
    fn nvme_disks_bring_pcie_and_take_slots_from_1_on() {
        let plan = plan(&config(&["a,bus=nvme", "b", "c,bus=nvme"])).unwrap();
        let slot = |device, disk| FunctionPlan { device, function: PciFunction::Nvme(disk) };
        assert_eq!(plan.pcie.unwrap().functions, [slot(1, 0), slot(2, 2)]);
        assert_eq!(plan.transports.iter().filter(|transport| transport.device.is_some()).count(), 1);
    }

    #[test]
    fn boot_order_goes_across_buses() {
        let plan = plan(&config(&["a,bus=nvme", "b", "c,bus=nvme,bootindex=0"])).unwrap();
        let order: Vec<_> = plan.boot_order().collect();
        let [Boot::Function(first), Boot::Function(second), Boot::Transport(third)] = order[..] else {
            panic!("{order:?}");
        };
        assert_eq!((first.device, second.device, third.index), (2, 1, 0));
    }

    #[test]
    fn there_are_31_slots() {
        assert!(plan(&config(&["a,bus=nvme"; 31])).is_ok());
        let error = plan(&config(&["a,bus=nvme"; 32])).unwrap_err();
        let expected =
            "32 PCI devices are too many: this machine has 31 PCI slots, put disks on bus=virtio-mmio";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn nvme_excludes_a_machine_without_pcie() {
        let message = |options| {
            let config = Config { options, ..config(&["a.raw,bus=nvme"]) };
            (plan(&config).unwrap_err().to_string(), Plan::check(&config, 46).unwrap_err().to_string())
        };
        let off = message(MachineOptions { pcie: Switch::Off, ..MachineOptions::default() });
        let expected = "--disk a.raw,bus=nvme and --machine pcie=off exclude each other: NVMe is on PCI Express, so \
                        leave one of them out";
        assert_eq!(off, (expected.into(), expected.into()));
        let (no_acpi, _) = message(MachineOptions { acpi: Switch::Off, ..MachineOptions::default() });
        assert!(no_acpi.starts_with("--disk a.raw,bus=nvme and --machine acpi=off exclude"), "{no_acpi}");
    }
}
