//! `--device NAME[,KEY=VALUE]`: devices on request, root ports among them.

use std::str::FromStr;

use super::fields::Fields;
use super::options::DeviceError;
use crate::config::{ExtraDevice, RootPort};

/// One `--device`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeviceArg {
    /// A device with ports.
    Extra(ExtraDevice),
    /// A PCI Express root port.
    RootPort(RootPort),
}

impl DeviceArg {
    /// The devices by their kinds, each in the order of the command line.
    pub(crate) fn sort(all: Vec<Self>) -> (Vec<ExtraDevice>, Vec<RootPort>) {
        let (mut extras, mut ports) = (Vec::new(), Vec::new());
        for device in all {
            match device {
                Self::Extra(extra) => extras.push(extra),
                Self::RootPort(port) => ports.push(port),
            }
        }
        (extras, ports)
    }
}

impl FromStr for DeviceArg {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let Fields { first: name, pairs } = Fields::parse(text)?;
        match name.as_str() {
            "root-port" => root_port(pairs).map(Self::RootPort),
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
        let (extras, ports) = DeviceArg::sort(args.into());
        assert_eq!(extras, [ExtraDevice::PvPanic]);
        assert_eq!(ports.iter().map(|port| port.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    }
}
