//! The host's side: finding the function in sysfs, and reaching it through VFIO.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use vfio_ioctls::VfioDevice;
use vmm_sys_util::eventfd::EventFd;

use crate::HostAddress;

/// Why the host cannot hand out a function.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FindError {
    /// No such function.
    #[error("--device vfio,host={0}: the host has no such PCI function, lspci -D lists them")]
    Absent(HostAddress),
    /// Nothing would keep the function from the host's memory.
    #[error(
        "--device vfio,host={0}: the host has no IOMMU for it, turn on VT-d or AMD-Vi in the host's firmware (and boot its Linux with \
         intel_iommu=on)"
    )]
    NoIommu(HostAddress),
    /// A driver of the host's has it.
    #[error(
        "--device vfio,host={address}: {driver} has it, give it to vfio-pci first: modprobe vfio-pci; echo vfio-pci > \
         {path}/driver_override; echo {address} > {path}/driver/unbind; echo {address} > /sys/bus/pci/drivers_probe"
    )]
    OtherDriver {
        /// The function.
        address: HostAddress,
        /// The driver, or nobody.
        driver: String,
        /// Its folder.
        path: String,
    },
}

/// A function that the host can hand out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Its folder in sysfs.
    pub path: PathBuf,
    /// The number of its IOMMU group, which has a file in `/dev/vfio`.
    pub group: String,
}

/// Looks for the function at `address` in the sysfs at `sys`, and whether VFIO has it.
///
/// # Errors
/// What is missing, and what to do about it.
pub fn find(sys: &Path, address: HostAddress) -> Result<Located, FindError> {
    let path = sys.join("bus/pci/devices").join(address.to_string());
    if !path.exists() {
        return Err(FindError::Absent(address));
    }
    let name = |link: &str| {
        let target = fs::read_link(path.join(link)).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    };
    let group = name("iommu_group").ok_or(FindError::NoIommu(address))?;
    match name("driver") {
        Some(driver) if driver.starts_with("vfio") => Ok(Located { path, group }),
        other => Err(FindError::OtherDriver {
            address,
            driver: other.map_or_else(|| "no driver".into(), |driver| format!("the host's driver {driver}")),
            path: path.display().to_string(),
        }),
    }
}

/// VFIO's number of the region with the configuration space; BARs have their own.
pub(crate) const CONFIG_REGION: u32 = 7;

/// A function of the host's, as VFIO shows it.
pub trait HostFunction: Send + Sync {
    /// Bytes of a region: a BAR by its number, or the configuration space.
    fn region_len(&self, region: u32) -> u64;

    /// Reads from a region; what cannot be read stays as it is.
    fn read(&self, region: u32, offset: u64, buffer: &mut [u8]);

    /// Writes to a region.
    fn write(&self, region: u32, offset: u64, data: &[u8]);

    /// Has MSI-X vectors signal `events`, one each, or nobody.
    ///
    /// # Errors
    /// The host refuses.
    fn deliver(&self, events: &[&EventFd]) -> io::Result<()>;

    /// Resets the function, if it can be reset.
    fn reset(&self);
}

impl HostFunction for VfioDevice {
    fn region_len(&self, region: u32) -> u64 {
        self.get_region_size(region)
    }

    fn read(&self, region: u32, offset: u64, buffer: &mut [u8]) {
        self.region_read(region, buffer, offset);
    }

    fn write(&self, region: u32, offset: u64, data: &[u8]) {
        self.region_write(region, data, offset);
    }

    fn deliver(&self, events: &[&EventFd]) -> io::Result<()> {
        let result = if events.is_empty() { self.disable_msix() } else { self.enable_msix(events.into()) };
        result.map_err(io::Error::other)
    }

    fn reset(&self) {
        Self::reset(self);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A sysfs with one function and these links of it.
    fn look(links: &[(&str, &str)]) -> Result<Located, FindError> {
        let sys = tempfile::tempdir().unwrap();
        let function = sys.path().join("bus/pci/devices/0000:01:00.0");
        fs::create_dir_all(&function).unwrap();
        for (name, target) in links {
            symlink(target, function.join(name)).unwrap();
        }
        find(sys.path(), "01:00.0".parse().unwrap())
    }

    const GROUP: (&str, &str) = ("iommu_group", "../../../kernel/iommu_groups/14");

    #[test]
    fn function_of_vfio_has_a_group() {
        let found = look(&[GROUP, ("driver", "../../bus/pci/drivers/vfio-pci")]).unwrap();

        assert_eq!(found.group, "14");
        assert!(found.path.ends_with("0000:01:00.0"));
    }

    #[test]
    fn what_is_missing_is_named_with_a_remedy() {
        let message = |links: &[(&str, &str)]| look(links).unwrap_err().to_string();
        assert!(message(&[]).contains("no IOMMU") && message(&[]).contains("intel_iommu=on"));
        let nvme = message(&[GROUP, ("driver", "../../bus/pci/drivers/nvme")]);
        assert!(nvme.contains("the host's driver nvme has it") && nvme.contains("driver_override"), "{nvme}");
        assert!(message(&[GROUP]).contains("no driver has it"));
        let absent = find(Path::new("/nowhere"), "0000:02:00.0".parse().unwrap()).unwrap_err();
        assert!(absent.to_string().contains("no such PCI function"), "{absent}");
    }
}
