//! PCI functions of the host: `--device vfio`.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use pcie::Function;
use vfio::{HostAddress, PassThrough};
use vfio_ioctls::{VfioContainer, VfioDevice};
use vm_memory::GuestMemoryMmap;

use crate::config::VfioConfig;
use crate::kvm;

/// The host's functions that the guest gets, in their order, and the IOMMU's table that they share.
pub(super) struct HostFunctions(Option<Open>);

struct Open {
    functions: Vec<(HostAddress, Arc<VfioDevice>)>,
    container: Arc<VfioContainer>,
}

impl HostFunctions {
    /// Opens all of them. From now on nobody else has them.
    pub(super) fn open(configs: &[VfioConfig]) -> anyhow::Result<Self> {
        if configs.is_empty() {
            return Ok(Self(None));
        }
        let locate = |config: &VfioConfig| vfio::find(Path::new("/sys"), config.host);
        let located = configs.iter().map(locate).collect::<Result<Vec<_>, _>>()?;
        let container = VfioContainer::new(None);
        let container = container
            .context("--device vfio: open VFIO (module vfio-pci; /dev/vfio needs your user's access)")?;
        let container = Arc::new(container);
        let mut functions = Vec::new();
        for (config, located) in configs.iter().zip(located) {
            let device = VfioDevice::new(&located.path, container.clone(), false);
            let device = device.with_context(|| {
                let group = &located.group;
                format!(
                    "--device vfio,host={}: open it (its IOMMU group {group} needs your user's access to /dev/vfio/{group}, and all its \
                     members bound to vfio-pci)",
                    config.host
                )
            })?;
            functions.push((config.host, Arc::new(device)));
        }
        Ok(Self(Some(Open { functions, container })))
    }

    /// Lets all of them reach guest memory, at the guest's addresses.
    pub(super) fn with_memory(self, memory: &GuestMemoryMmap) -> anyhow::Result<Self> {
        if let Self(Some(open)) = &self {
            kvm::map_for_devices(&open.container, memory).context(
                "--device vfio: pin the guest's memory for it (ulimit -l must allow as much as --memory says)",
            )?;
        }
        Ok(self)
    }

    /// The function for the guest that stands for the `n`-th.
    pub(super) fn function(&self, n: usize) -> anyhow::Result<Option<Box<dyn Function>>> {
        let Some((host, device)) = self.0.as_ref().and_then(|open| open.functions.get(n)) else {
            return Ok(None);
        };
        let function =
            PassThrough::new(device.clone()).with_context(|| format!("--device vfio,host={host}"))?;
        Ok(Some(Box::new(function)))
    }
}
