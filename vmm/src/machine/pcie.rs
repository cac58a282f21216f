//! The PCI Express host bridge and what is plugged into it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use nvme::Nvme;
use pcie::{Function, Host, HostParts, PortId, Slot};
use usb::pci::XhciFunction;
use virtio::VirtioDevice;
use virtio::pci::PciTransport;

use super::build::Builder;
use super::disks::Disk;
use super::pass_through::HostFunctions;
use super::plan::{FunctionPlan, PciFunction, PciePlan, Range, Virtio};

/// Makes a virtio device, once.
type MakeVirtio<'a> = &'a mut dyn FnMut(Virtio) -> Option<Box<dyn VirtioDevice>>;

impl Builder<'_> {
    /// The host bridge, if the plan has one, and what is plugged into it.
    pub(super) fn pcie(
        &mut self,
        disks: &[Disk],
        mut virtio: impl FnMut(Virtio) -> Option<Box<dyn VirtioDevice>>,
        usb: Option<XhciFunction>,
        host_functions: &HostFunctions,
    ) -> anyhow::Result<Option<Host>> {
        let Some(plan) = &self.plan.pcie else { return Ok(None) };
        let host = Host::new(HostParts {
            windows: [plan.window32, plan.window64].map(|window| window.start..=window.end() - 1),
            intx: plan.intx.map(|gsi| self.line(gsi)),
            routes: self.routes.clone(),
            first_gsi: plan.first_message,
            doorbells: Box::new(self.vm.doorbells()),
        });
        self.place_host(&host, plan)?;
        self.plug_all(&host, plan, disks, &mut virtio, usb, host_functions)?;
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

    /// Plugs everything in; ports come before what is behind them.
    fn plug_all(
        &self,
        host: &Host,
        plan: &PciePlan,
        disks: &[Disk],
        virtio: MakeVirtio<'_>,
        mut usb: Option<XhciFunction>,
        host_functions: &HostFunctions,
    ) -> anyhow::Result<()> {
        let mut ports = BTreeMap::new();
        for place in &plan.functions {
            let function = match place.function {
                PciFunction::RootPort(_) => {
                    ports.insert(place.device, host.add_root_port(place.device)?);
                    continue;
                }
                PciFunction::Virtio(which) => self.virtio_function(which, virtio)?,
                PciFunction::Nvme(n) => self.nvme(n, disks)?,
                PciFunction::Vfio(n) => host_functions.function(n)?,
                PciFunction::Xhci(_) => usb.take().map(|function| Box::new(function) as Box<dyn Function>),
            };
            if let Some(function) = function {
                host.plug(slot(place, &ports), function)?;
            }
        }
        Ok(())
    }

    fn virtio_function(
        &self,
        which: Virtio,
        virtio: MakeVirtio<'_>,
    ) -> anyhow::Result<Option<Box<dyn Function>>> {
        let Some(device) = virtio(which) else { return Ok(None) };
        let transport = PciTransport::new(device, self.ram.memory().clone());
        Ok(Some(Box::new(transport.with_context(|| format!("start {which} on PCI"))?)))
    }

    fn nvme(&self, n: usize, disks: &[Disk]) -> anyhow::Result<Option<Box<dyn Function>>> {
        let Some(disk) = disks.get(n) else { return Ok(None) };
        let options = disk.nvme(n, self.plan.apic_ids.len());
        let Some(backend) = disk.backend.clone() else { return Ok(None) };
        let nvme = Nvme::new(backend, options, self.ram.memory().clone());
        let nvme = nvme.with_context(|| format!("start the NVMe controller of disk {n}"))?;
        disk.size.iter().for_each(|size| size.listen(nvme.resize_notice()));
        Ok(Some(Box::new(nvme)))
    }
}

fn slot(plan: &FunctionPlan, ports: &BTreeMap<u8, PortId>) -> Slot {
    let port = plan.port.and_then(|port| ports.get(&port)).copied();
    Slot { port, device: plan.device, function: plan.number }
}
