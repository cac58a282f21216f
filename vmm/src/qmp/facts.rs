//! What a machine is, for those who ask.

use std::path::PathBuf;

use crate::config::{Config, Console, DiskConfig, OutputFile, PortConfig};
use crate::machine::Plan;
use crate::machine::disk_size::DiskSize;
use crate::machine::drives::Name;
use crate::machine::hands::Hands;
use crate::topology::Topology;

/// What does not change while the machine runs.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What programs know it by.
    pub name: Option<String>,
    /// Its UUID, as text.
    pub uuid: Option<String>,
    /// RAM in bytes.
    pub memory: u64,
    /// How the vCPUs are arranged.
    pub topology: Topology,
    /// The host's thread of each vCPU.
    pub threads: Vec<i32>,
    /// The hand on the balloon, if there is one.
    pub balloon: Option<virtio::balloon::Control>,
    /// What programs know the balloon by.
    pub balloon_id: String,
    /// What types and points.
    pub hands: Hands,
    /// The disks.
    pub drives: Vec<Drive>,
    /// What COM1 is connected to, if there is one.
    pub serial: Option<String>,
    /// Where the firmware's log goes, if anywhere.
    pub debugcon: Option<String>,
    /// The virtio ports, by name or number, and what each is connected to.
    pub ports: Vec<(String, String)>,
}

/// A disk.
#[derive(Clone, Debug)]
pub struct Drive {
    /// What programs know it by.
    pub name: String,
    /// What they know the device by that shows it.
    pub id: Option<String>,
    /// The image.
    pub path: PathBuf,
    /// The guest may not write.
    pub readonly: bool,
    /// The format of the image, as far as it was said.
    pub format: String,
    /// The hand on its size.
    pub size: Option<DiskSize>,
}

impl Drive {
    /// The image of `config` in the drive `name`.
    pub(super) fn new(name: &Name, config: &DiskConfig) -> Self {
        let Name { drive, id } = name.clone();
        Self {
            name: drive.unwrap_or_default(),
            id,
            path: config.path.clone(),
            readonly: config.readonly,
            format: config.image.format.map_or_else(|| "raw".into(), |format| format.to_string()),
            size: None,
        }
    }

    /// Whether `text` means it.
    pub(super) fn is(&self, text: &str) -> bool {
        Name { drive: Some(self.name.clone()), id: self.id.clone() }.is(text)
    }
}

/// A port's label, and what it is connected to.
fn port((n, port): (u32, &PortConfig)) -> (String, String) {
    let label = match &port.kind {
        virtio::console::Kind::Console => format!("console{n}"),
        virtio::console::Kind::Named(name) => name.clone(),
    };
    (label, port.end.to_string())
}

impl Facts {
    /// The same with the hands on the sizes of the disks, in their order.
    #[must_use]
    pub fn with_disk_sizes(mut self, sizes: &[Option<DiskSize>]) -> Self {
        self.drives.iter_mut().zip(sizes).for_each(|(drive, size)| drive.size.clone_from(size));
        self
    }

    /// The facts of the machine of `config` and `plan`, whose vCPUs run on `threads`, with the hands on its devices.
    #[must_use]
    pub fn new(
        config: &Config,
        plan: &Plan,
        threads: Vec<i32>,
        balloon: Option<virtio::balloon::Control>,
        hands: Hands,
    ) -> Self {
        let console = match &config.console {
            Console::Stdio => "stdio".into(),
            Console::File(file) => file.to_string(),
            Console::Stream(end) => end.to_string(),
            Console::None => "none".into(),
        };
        let drives = config.disks.iter().enumerate().map(|(n, disk)| {
            let drive = disk.name.clone().unwrap_or_else(|| format!("disk{n}"));
            Drive::new(&Name { drive: Some(drive), id: disk.id.clone() }, disk)
        });
        Self {
            name: config.control.name.clone(),
            uuid: config.guest_info.uuid.as_ref().map(ToString::to_string),
            memory: config.memory,
            topology: config.cpus,
            threads,
            balloon,
            balloon_id: config.virtio.balloon_id.clone().unwrap_or_else(|| "balloon0".into()),
            hands,
            drives: drives.collect(),
            serial: plan.com1.map(|_| console),
            debugcon: config.debugcon.as_ref().map(OutputFile::to_string),
            ports: (0..).zip(&config.virtio.ports).map(port).collect(),
        }
    }
}
