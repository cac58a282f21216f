//! The PCI Express host bridge and what is plugged into it.

use anyhow::Context as _;
use pcie::{Host, HostParts};

use super::build::Builder;
use super::plan::{PciePlan, Range};

impl Builder<'_> {
    /// The host bridge, if the plan has one.
    pub(super) fn pcie(&mut self) -> anyhow::Result<Option<Host>> {
        let Some(plan) = &self.plan.pcie else { return Ok(None) };
        let host = Host::new(HostParts {
            windows: [plan.window32, plan.window64].map(|window| window.start..=window.end() - 1),
            intx: plan.intx.map(|gsi| self.line(gsi)),
            routes: self.routes.clone(),
            first_gsi: plan.first_message,
            doorbells: Box::new(self.vm.doorbells()),
        });
        self.place_host(&host, plan)?;
        let messages = plan.first_message..host.next_gsi();
        self.routes.connect(messages).context("connect the interrupt routes of PCI functions")?;
        Ok(Some(host))
    }

    fn place_host(&mut self, host: &Host, plan: &PciePlan) -> anyhow::Result<()> {
        self.mmio("pcie-ecam", plan.ecam, host.ecam())?;
        let mut window = |name, range: Range| self.mmio(name, range, host.window(range.start));
        window("pcie-window32", plan.window32)?;
        window("pcie-window64", plan.window64)
    }
}
