//! `--device NAME[,KEY=VALUE]`: devices on request, root ports and functions of the host's among them.

use std::str::FromStr;

use super::fields::Fields;
use super::options::DeviceError;
use crate::config::{ExtraDevice, RootPort, VfioConfig};

/// One `--device`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeviceArg {
    /// A device with ports.
    Extra(ExtraDevice),
    /// A PCI Express root port.
    RootPort(RootPort),
    /// A PCI function of the host's.
    Vfio(VfioConfig),
}

/// All `--device` by their kinds, each in the order of the command line.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    pub(crate) extras: Vec<ExtraDevice>,
    pub(crate) root_ports: Vec<RootPort>,
    pub(crate) vfio: Vec<VfioConfig>,
}

impl DeviceArg {
    /// Puts each to its kind.
    pub(crate) fn sort(all: Vec<Self>) -> Devices {
        let mut devices = Devices::default();
        for device in all {
            match device {
                Self::Extra(extra) => devices.extras.push(extra),
                Self::RootPort(port) => devices.root_ports.push(port),
                Self::Vfio(function) => devices.vfio.push(function),
            }
        }
        devices
    }
}

impl FromStr for DeviceArg {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let Fields { first: name, pairs } = Fields::parse(text)?;
        match name.as_str() {
            "root-port" => root_port(pairs).map(Self::RootPort),
            "vfio" => vfio(pairs).map(Self::Vfio),
            _ => text.parse().map(Self::Extra),
        }
    }
}

fn root_port(pairs: Vec<(String, String)>) -> Result<RootPort, DeviceError> {
    let mut id = String::new();
    for (key, value) in pairs {
        match key.as_str() {
            "id" => id = value,
            _ => return Err(DeviceError::Key { key, hint: "use id" }),
        }
    }
    match id.is_empty() {
        true => Err(DeviceError::NoId),
        false => Ok(RootPort { id }),
    }
}

fn vfio(pairs: Vec<(String, String)>) -> Result<VfioConfig, DeviceError> {
    let (mut host, mut port) = (None, None);
    for (key, value) in pairs {
        match key.as_str() {
            "host" => host = Some(value.parse()?),
            "port" => port = Some(value),
            _ => return Err(DeviceError::Key { key, hint: "use host or port" }),
        }
    }
    Ok(VfioConfig { host: host.ok_or(DeviceError::NoHost)?, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_port_has_an_id() {
        let port = DeviceArg::RootPort(RootPort { id: "a".into() });
        assert_eq!("root-port,id=a".parse(), Ok(port));
        for text in ["root-port", "root-port,id="] {
            assert_eq!(text.parse::<DeviceArg>(), Err(DeviceError::NoId));
        }
        let error = "root-port,slot=1".parse::<DeviceArg>().unwrap_err().to_string();
        assert_eq!(error, "unknown key `slot`, use id");
    }

    #[test]
    fn devices_are_sorted_by_kind() {
        let args = ["root-port,id=b", "pvpanic", "root-port,id=a"].map(|text| text.parse().unwrap());
        let devices = DeviceArg::sort(args.into());
        assert_eq!(devices.extras, [ExtraDevice::PvPanic]);
        assert_eq!(devices.root_ports.iter().map(|port| port.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn function_of_the_host_has_its_address() {
        let DeviceArg::Vfio(function) = "vfio,host=01:00.0,port=p".parse().unwrap() else {
            panic!("another device")
        };
        assert_eq!((function.host.to_string(), function.port), ("0000:01:00.0".into(), Some("p".into())));
        let error = |text: &str| text.parse::<DeviceArg>().unwrap_err().to_string();
        assert!(error("vfio").starts_with("a function of the host's needs its address, write vfio,host="));
        assert!(error("vfio,host=eth0").starts_with("host=eth0 is no PCI address"));
        assert_eq!(error("vfio,host=1:0.0,slot=1"), "unknown key `slot`, use host or port");
    }
}
