//! What is plugged into the PCI Express host bridge besides the functions themselves, and where functions are.

use std::fmt;

/// A root port: a slot with a link of its own, for one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootPort {
    /// By what functions name it.
    pub id: String,
}

/// A PCI function of the host, for the guest alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VfioConfig {
    /// Where it is on the host.
    pub host: vfio::HostAddress,
    /// The root port it is behind, if it is not on the root bus.
    pub port: Option<String>,
}

/// A place on a bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PciAddress {
    /// The device number, 0 to 31.
    pub device: u8,
    /// Which of the device's functions, 0 to 7.
    pub function: u8,
}

/// As on the command line.
impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{}", self.device, self.function)
    }
}
