//! The page of the VM generation id, below KVM's own pages.

use super::{PlanError, Range};
use crate::config::{Config, ExtraDevice, GenerationId};

/// A page of its own, so that no guest takes it for RAM and no firmware has to be asked where it put it.
const PAGE: Range = Range::new(0xfeff_b000, 0x1000);

/// Where the VM generation id is, and what it is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenerationPlan {
    /// Memory that begins with it.
    pub page: Range,
    /// The number.
    pub id: GenerationId,
}

impl GenerationPlan {
    /// The plan of the generation id, if the machine has one.
    pub(super) fn new(config: &Config) -> Result<Option<Self>, PlanError> {
        let mut found = config.extras.iter().filter_map(|&device| match device {
            ExtraDevice::GenerationId(id) => Some((device, Self { page: PAGE, id })),
            _ => None,
        });
        match (found.next(), found.next()) {
            (_, Some((device, _))) => Err(PlanError::DeviceTwice(device)),
            (Some((device, _)), None) if !config.options.has_acpi() => {
                Err(PlanError::DeviceNeedsAcpi(device))
            }
            (first, None) => Ok(first.map(|(_, plan)| plan)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MachineOptions, Switch};
    use crate::machine::Plan;

    const DEVICE: ExtraDevice = ExtraDevice::GenerationId(GenerationId::Random);

    fn plan(extras: Vec<ExtraDevice>, acpi: Switch) -> Result<Plan, String> {
        let options = MachineOptions { acpi, ..MachineOptions::default() };
        Plan::new(&Config { extras, options, ..Config::default() }, 128 << 10, 46)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn page_is_reserved_and_no_ram() {
        let plan = plan(vec![DEVICE], Switch::Auto).unwrap();

        let page = plan.generation.unwrap().page;
        let covers = |range: Range| range.start <= page.start && page.end() <= range.end();
        assert!(plan.e820.iter().any(|entry| !entry.ram && covers(entry.range)));
        assert!(!page.overlaps(plan.kvm_identity_map));
    }

    #[test]
    fn one_machine_has_one_and_acpi() {
        let twice = "--device vmgenid is given twice, give it once";
        assert_eq!(plan(vec![DEVICE; 2], Switch::Auto).unwrap_err(), twice);
        let without = plan(vec![DEVICE], Switch::Off).unwrap_err();
        assert!(
            without.starts_with("--device vmgenid and --machine acpi=off exclude each other"),
            "{without}"
        );
    }
}
