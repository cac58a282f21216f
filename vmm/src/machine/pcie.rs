//! The PCI Express host bridge and what is plugged into it.

use anyhow::Context as _;
use nvme::Nvme;
use pcie::{Function, Host, HostParts, Slot};

use super::build::Builder;
use super::disks::Disk;
use super::plan::{PciFunction, PciePlan, Range};

impl Builder<'_> {
    /// The host bridge, if the plan has one, and what is plugged into it.
    pub(super) fn pcie(&mut self, disks: &[Disk]) -> anyhow::Result<Option<Host>> {
        let Some(plan) = &self.plan.pcie else { return Ok(None) };
        let host = Host::new(HostParts {
            windows: [plan.window32, plan.window64].map(|window| window.start..=window.end() - 1),
            intx: plan.intx.map(|gsi| self.line(gsi)),
            routes: self.routes.clone(),
            first_gsi: plan.first_message,
            doorbells: Box::new(self.vm.doorbells()),
        });
        self.place_host(&host, plan)?;
        for place in &plan.functions {
            if let Some(function) = self.function(place.function, disks)? {
                host.plug(Slot::root(place.device), function)?;
            }
        }
        let messages = plan.first_message..host.next_gsi();
        self.routes.connect(messages).context("connect the interrupt routes of PCI functions")?;
        Ok(Some(host))
    }

    fn function(&self, which: PciFunction, disks: &[Disk]) -> anyhow::Result<Option<Box<dyn Function>>> {
        match which {
            PciFunction::Nvme(n) => {
                let Some(disk) = disks.get(n) else { return Ok(None) };
                let options = disk.nvme(n, self.plan.apic_ids.len());
                let nvme = Nvme::new(disk.backend.clone(), options, self.ram.memory().clone());
                Ok(Some(Box::new(nvme.with_context(|| format!("start the NVMe controller of disk {n}"))?)))
            }
        }
    }

    fn place_host(&mut self, host: &Host, plan: &PciePlan) -> anyhow::Result<()> {
        self.mmio("pcie-ecam", plan.ecam, host.ecam())?;
        let mut window = |name, range: Range| self.mmio(name, range, host.window(range.start));
        window("pcie-window32", plan.window32)?;
        window("pcie-window64", plan.window64)
    }
}
