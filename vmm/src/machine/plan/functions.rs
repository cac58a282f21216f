//! Which PCI functions there are, and in which slot each is.

use std::collections::BTreeSet;
use std::fmt;

use pcie::Messages;

use super::{PlanError, Virtio, virtio};
use crate::config::{Config, DiskBus, DiskConfig, PciAddress, Switch, VirtioBus};

/// A PCI function: its kind, and which of that kind in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PciFunction {
    /// A root port, as an index into [`Config::root_ports`].
    RootPort(usize),
    /// A virtio device.
    Virtio(Virtio),
    /// The NVMe controller of a disk, as an index into [`Config::disks`].
    Nvme(usize),
    /// The USB controller.
    Xhci(Messages),
    /// A function of the host's, as an index into [`Config::vfio`].
    Vfio(usize),
}

impl PciFunction {
    /// The disk that it shows, as an index into [`Config::disks`].
    #[must_use]
    pub const fn disk(self) -> Option<usize> {
        match self {
            Self::Virtio(Virtio::Disk(n)) | Self::Nvme(n) => Some(n),
            Self::RootPort(_) | Self::Virtio(_) | Self::Xhci(_) | Self::Vfio(_) => None,
        }
    }
}

impl fmt::Display for PciFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RootPort(n) => write!(f, "root port {n}"),
            Self::Virtio(device) => write!(f, "virtio, {device}"),
            Self::Nvme(n) => write!(f, "NVMe, disk {n}"),
            Self::Xhci(_) => f.write_str("USB, xHCI"),
            Self::Vfio(n) => write!(f, "VFIO, function {n} of the host"),
        }
    }
}

/// A function in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionPlan {
    /// The device number of the root port that it is behind; none on the root bus.
    pub port: Option<u8>,
    /// Its device number: on the root bus from 1 on, because 0 is the host bridge itself; 0 behind a port.
    pub device: u8,
    /// Which function of the device it is.
    pub number: u8,
    /// What it is.
    pub function: PciFunction,
}

/// `00:01.0`, or `00:01.0/00.0` behind a port.
impl fmt::Display for FunctionPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00:")?;
        self.port.map_or(Ok(()), |port| write!(f, "{port:02x}.0/"))?;
        write!(f, "{:02x}.{}", self.device, self.number)
    }
}

/// Why PCI functions cannot be plugged in as asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PortError {
    /// Two ports of one name.
    #[error("--device root-port,id={0} is given twice: give each port its own id")]
    SameId(String),
    /// A function behind a port that there is not.
    #[error("port={0} names no root port, add --device root-port,id={0}")]
    NoPort(String),
    /// Two functions behind one port, in the same place.
    #[error(
        "port={0} is given twice, and a root port has one slot: add another --device root-port, or make them functions of \
         one device, with addr=0.0, addr=0.1 and so on"
    )]
    Taken(String),
    /// A function of the host's for the second time.
    #[error("--device vfio,host={0} is given twice, give it once")]
    SameHost(vfio::HostAddress),
    /// Memory that a function of the host's uses cannot be given back.
    #[error(
        "--device vfio,host={0} and --balloon exclude each other: the function may use all memory at any time, so leave one of them out"
    )]
    Balloon(vfio::HostAddress),
    /// Two functions in one place of the root bus.
    #[error("addr={0} is given twice: give each PCI function its own")]
    SameAddress(PciAddress),
    /// A place that the bus has not.
    #[error(
        "addr={0} is not there: slot 0 of the root bus is the host bridge, and behind a root port there is slot 0 alone"
    )]
    NoAddress(PciAddress),
    /// A device whose first function is missing.
    #[error(
        "addr={0} needs a function 0 beside it, for guests look for the others only where that is: add one"
    )]
    NoFirst(PciAddress),
}

/// Device numbers of a bus beside the host bridge's.
const SLOTS: u8 = 31;

/// A function that is no root port, and where it is to be.
struct Wanted<'a> {
    function: PciFunction,
    port: Option<&'a str>,
    addr: Option<PciAddress>,
}

impl Wanted<'_> {
    const fn anywhere(function: PciFunction) -> Self {
        Self { function, port: None, addr: None }
    }
}

/// The slots of the root bus that nobody has chosen are filled from device 1 upwards: with the root ports, with the disks in
/// their order, with the USB controller, with functions of the host's, then with the other virtio devices.
pub(super) fn functions(config: &Config) -> Result<Vec<FunctionPlan>, PlanError> {
    let wanted = devices(config);
    let on_root = || wanted.iter().filter(|wanted| wanted.port.is_none());
    let chosen: BTreeSet<_> = on_root().filter_map(|wanted| Some(wanted.addr?.device)).collect();
    let ports = config.root_ports.len();
    let functions = ports + on_root().filter(|wanted| wanted.addr.is_none()).count() + chosen.len();
    if functions > SLOTS.into() {
        return Err(PlanError::PciSlots { functions, slots: SLOTS.into() });
    }
    let mut slots = (1..=SLOTS).filter(|slot| !chosen.contains(slot));
    let mut next = |function| Some(FunctionPlan { port: None, device: slots.next()?, number: 0, function });
    let mut plans: Vec<_> = (0..ports).filter_map(|n| next(PciFunction::RootPort(n))).collect();
    for Wanted { function, port, addr } in wanted {
        match (port, addr) {
            (None, None) => plans.extend(next(function)),
            (None, Some(addr)) => plans.push(on_root_bus(&plans, function, addr)?),
            (Some(id), addr) => plans.push(behind(config, &plans, function, id, addr)?),
        }
    }
    have_first_functions(&plans)?;
    Ok(plans)
}

/// At a place of its own choice.
fn on_root_bus(
    plans: &[FunctionPlan],
    function: PciFunction,
    addr: PciAddress,
) -> Result<FunctionPlan, PortError> {
    let PciAddress { device, function: number } = addr;
    let taken = |plan: &FunctionPlan| (plan.port, plan.device, plan.number) == (None, device, number);
    match device {
        0 => Err(PortError::NoAddress(addr)),
        _ if plans.iter().any(taken) => Err(PortError::SameAddress(addr)),
        _ => Ok(FunctionPlan { port: None, device, number, function }),
    }
}

/// A link has one device at its end.
fn behind(
    config: &Config,
    plans: &[FunctionPlan],
    function: PciFunction,
    id: &str,
    addr: Option<PciAddress>,
) -> Result<FunctionPlan, PortError> {
    let index = config.root_ports.iter().position(|port| port.id == id);
    let port = plans.iter().find(|plan| index.is_some_and(|n| plan.function == PciFunction::RootPort(n)));
    let port = Some(port.ok_or_else(|| PortError::NoPort(id.into()))?.device);
    if let Some(addr) = addr.filter(|addr| addr.device != 0) {
        return Err(PortError::NoAddress(addr));
    }
    let number = addr.map_or(0, |addr| addr.function);
    match plans.iter().any(|plan| plan.port == port && plan.number == number) {
        true => Err(PortError::Taken(id.into())),
        false => Ok(FunctionPlan { port, device: 0, number, function }),
    }
}

/// Guests look for more functions of a device where there is the first. PCIe 5.0, 7.5.1.1.9.
fn have_first_functions(plans: &[FunctionPlan]) -> Result<(), PortError> {
    let first = |of: &FunctionPlan| {
        plans.iter().any(|plan| (plan.port, plan.device, plan.number) == (of.port, of.device, 0))
    };
    match plans.iter().find(|plan| !first(plan)) {
        Some(plan) => Err(PortError::NoFirst(PciAddress { device: plan.device, function: plan.number })),
        None => Ok(()),
    }
}

/// The functions that are no root ports.
fn devices(config: &Config) -> Vec<Wanted<'_>> {
    let disk = |(n, disk): (usize, _)| {
        let function = disk_function(n, disk)?;
        Some(Wanted { function, port: disk.port.as_deref(), addr: disk.addr })
    };
    let usb = config.pci_usb().map(|messages| Wanted::anywhere(PciFunction::Xhci(messages)));
    let vfio = config.vfio.iter().enumerate().map(|(n, vfio)| Wanted {
        function: PciFunction::Vfio(n),
        port: vfio.port.as_deref(),
        addr: None,
    });
    let virtio = virtio::others(config).filter(|_| config.virtio.bus == VirtioBus::Pci);
    let virtio = virtio.map(|device| Wanted::anywhere(PciFunction::Virtio(device)));
    config.disks.iter().enumerate().filter_map(disk).chain(usb).chain(vfio).chain(virtio).collect()
}

fn disk_function(n: usize, disk: &DiskConfig) -> Option<PciFunction> {
    match disk.bus {
        DiskBus::VirtioMmio | DiskBus::Usb | DiskBus::Scsi => None,
        DiskBus::VirtioPci => Some(PciFunction::Virtio(Virtio::Disk(n))),
        DiskBus::Nvme => Some(PciFunction::Nvme(n)),
    }
}

/// Names are told apart, and what is on PCI Express needs its host bridge, and that needs ACPI.
pub(super) fn check(config: &Config) -> Result<(), PlanError> {
    check_ids(config)?;
    check_host_functions(config)?;
    let Some(option) = first_option(config) else { return Ok(()) };
    let excluded = |other, reason| Err(PlanError::OnPci { option, other, reason });
    match config.options.pcie {
        Switch::Off => excluded("pcie=off", "it is on PCI Express"),
        _ if !config.options.has_acpi() => {
            excluded("acpi=off", "nothing but ACPI tells of the PCI Express host bridge")
        }
        _ => Ok(()),
    }
}

/// Each is there once, and memory that it may use at any time is not given back to the host.
fn check_host_functions(config: &Config) -> Result<(), PortError> {
    let twice = config
        .vfio
        .iter()
        .enumerate()
        .find(|(n, vfio)| config.vfio.iter().take(*n).any(|other| other.host == vfio.host));
    match (twice, config.vfio.first()) {
        (Some((_, vfio)), _) => Err(PortError::SameHost(vfio.host)),
        (None, Some(vfio)) if config.virtio.balloon.is_some() => Err(PortError::Balloon(vfio.host)),
        _ => Ok(()),
    }
}

fn check_ids(config: &Config) -> Result<(), PortError> {
    let mut ids: Vec<_> = config.root_ports.iter().map(|port| port.id.as_str()).collect();
    ids.sort_unstable();
    match ids.windows(2).find_map(|pair| if let [a, b] = pair { (a == b).then_some(*a) } else { None }) {
        Some(id) => Err(PortError::SameId(id.into())),
        None => Ok(()),
    }
}

/// The first option that puts something on PCI.
fn first_option(config: &Config) -> Option<String> {
    let disk = config.disks.iter().find_map(|disk| match disk.bus {
        DiskBus::VirtioMmio | DiskBus::Usb | DiskBus::Scsi => None,
        bus => Some(format!("--disk {},bus={bus}", disk.path.display())),
    });
    let usb = || config.has_pci_usb().then(|| "--device xhci".to_owned());
    let virtio = || (config.virtio.bus == VirtioBus::Pci).then(|| "--virtio-bus pci".to_owned());
    let vfio = || config.vfio.first().map(|vfio| format!("--device vfio,host={}", vfio.host));
    disk.or_else(usb)
        .or_else(vfio)
        .or_else(virtio)
        .or_else(|| config.root_ports.first().map(|port| format!("--device root-port,id={}", port.id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        ExtraDevice, MachineOptions, RootPort, UsbDevice, UsbKind, VfioConfig, VirtioConfig,
    };
    use crate::machine::plan::{Boot, Plan};

    fn config(disks: &[&str]) -> Config {
        let disks = disks.iter().map(|text| text.parse::<DiskConfig>().unwrap()).collect();
        Config { disks, ..Config::default() }
    }

    fn with_ports(ports: &[&str], disks: &[&str]) -> Config {
        let root_ports = ports.iter().map(|&id| RootPort { id: id.into() }).collect();
        Config { root_ports, ..config(disks) }
    }

    fn plan(config: &Config) -> Result<Plan, PlanError> {
        Plan::new(config, 128 << 10, 46)
    }

    fn message(config: &Config) -> String {
        let error = Plan::check(config, 46).unwrap_err().to_string();
        assert_eq!(plan(config).unwrap_err().to_string(), error);
        error
    }

    #[test]
    fn pci_disks_bring_pcie_and_take_slots_from_1_on() {
        let plan = plan(&config(&["a,bus=nvme", "b", "c,bus=nvme", "d,bus=virtio-pci"])).unwrap();
        let slot = |device, function| FunctionPlan { port: None, device, number: 0, function };
        let virtio = PciFunction::Virtio(Virtio::Disk(3));
        let expected = [slot(1, PciFunction::Nvme(0)), slot(2, PciFunction::Nvme(2)), slot(3, virtio)];
        assert_eq!(plan.pcie.unwrap().functions, expected);
        assert_eq!(plan.transports.iter().filter(|transport| transport.device.is_some()).count(), 1);
    }

    #[test]
    fn other_virtio_devices_are_on_pci_on_request() {
        let virtio = VirtioConfig { bus: VirtioBus::Pci, rng: true, ..VirtioConfig::default() };
        let plan = plan(&Config { virtio, ..config(&["a", "b,bus=virtio-pci"]) }).unwrap();
        let functions: Vec<_> = plan.pcie.iter().flat_map(|pcie| &pcie.functions).collect();
        let texts: Vec<_> = functions.iter().map(|plan| format!("{plan} {}", plan.function)).collect();
        assert_eq!(texts, ["00:01.0 virtio, disk 1", "00:02.0 virtio, rng"]);
        assert_eq!(plan.populated().map(|(_, device)| device).collect::<Vec<_>>(), [Virtio::Disk(0)]);
    }

    #[test]
    fn root_ports_come_first_and_have_one_function_each() {
        let config = with_ports(&["a", "b"], &["0,bus=virtio-pci", "1,bus=nvme,port=b", "2,bus=pci,port=a"]);
        let functions = plan(&config).unwrap().pcie.unwrap().functions;
        let texts: Vec<_> = functions.iter().map(|plan| format!("{plan} {}", plan.function)).collect();
        let expected = [
            "00:01.0 root port 0",
            "00:02.0 root port 1",
            "00:03.0 virtio, disk 0",
            "00:02.0/00.0 NVMe, disk 1",
            "00:01.0/00.0 virtio, disk 2",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn root_ports_that_cannot_be_are_named() {
        assert!(message(&with_ports(&["a", "b", "a"], &[])).starts_with("--device root-port,id=a is given"));
        assert!(
            message(&with_ports(&["a"], &["0,bus=nvme,port=b"])).starts_with("port=b names no root port")
        );
        let twice = with_ports(&["a"], &["0,bus=nvme,port=a", "1,bus=pci,port=a"]);
        assert!(message(&twice).starts_with("port=a is given twice"));
    }

    fn places(config: &Config) -> Vec<String> {
        let functions = plan(config).unwrap().pcie.unwrap().functions;
        functions.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn disks_may_choose_slots_and_be_functions_of_one_device() {
        let disks =
            ["0,bus=nvme", "1,bus=pci,addr=1.1", "2,bus=nvme,addr=1", "3,bus=pci", "4,bus=pci,addr=1f"];
        assert_eq!(places(&config(&disks)), ["00:02.0", "00:01.1", "00:01.0", "00:03.0", "00:1f.0"]);
        let behind = ["0,bus=pci,port=p", "1,bus=nvme,port=p,addr=0.5"];
        assert_eq!(places(&with_ports(&["p"], &behind)), ["00:01.0", "00:01.0/00.0", "00:01.0/00.5"]);
    }

    #[test]
    fn addresses_that_cannot_be_are_named() {
        let on_root = |addrs: &[&str]| {
            let disks: Vec<_> = addrs.iter().map(|addr| format!("a,bus=nvme,addr={addr}")).collect();
            message(&config(&disks.iter().map(String::as_str).collect::<Vec<_>>()))
        };
        assert!(on_root(&["3", "3.0"]).starts_with("addr=3.0 is given twice"));
        assert!(on_root(&["0"]).starts_with("addr=0.0 is not there"));
        assert!(on_root(&["1f.2", "1f.1"]).starts_with("addr=1f.2 needs a function 0"));
        let behind = |disks: &[&str]| message(&with_ports(&["p"], disks));
        assert!(behind(&["a,bus=nvme,port=p,addr=1"]).starts_with("addr=1.0 is not there"));
        assert!(behind(&["a,bus=nvme,port=p,addr=0.1"]).starts_with("addr=0.1 needs a function 0"));
    }

    #[test]
    fn functions_of_the_host_have_slots_or_ports() {
        let vfio = |host: &str, port: Option<&str>| VfioConfig {
            host: host.parse().unwrap(),
            port: port.map(str::to_owned),
        };
        let all = vec![vfio("01:00.0", None), vfio("02:00.0", Some("p"))];
        let config = Config { vfio: all, ..with_ports(&["p"], &["a,bus=nvme"]) };
        assert_eq!(places(&config), ["00:01.0", "00:02.0", "00:03.0", "00:01.0/00.0"]);
        let virtio = VirtioConfig { balloon: Some(0), ..VirtioConfig::default() };
        assert!(message(&Config { virtio, ..config.clone() }).contains("--balloon exclude each other"));
        let twice = Config { vfio: vec![vfio("01:00.0", None), vfio("0:1:0.0", None)], ..config };
        assert_eq!(message(&twice), "--device vfio,host=0000:01:00.0 is given twice, give it once");
    }

    #[test]
    fn boot_order_goes_across_buses() {
        let plan = plan(&config(&["a,bus=nvme", "b", "c,bus=virtio-pci,bootindex=0"])).unwrap();
        let order: Vec<_> = plan.boot_order().collect();
        let [Boot::Function(first), Boot::Function(second), Boot::Transport(third)] = order[..] else {
            panic!("{order:?}");
        };
        assert_eq!((first.device, second.device, third.index), (2, 1, 0));
    }

    #[test]
    fn usb_controller_comes_after_the_disks_and_takes_the_devices() {
        let mut config = Config { extras: vec![ExtraDevice::Xhci(Messages::Msi)], ..config(&["a,bus=nvme"]) };
        config.usb.devices.push(UsbDevice { id: None, kind: UsbKind::Keyboard, hub: None });
        let plan = plan(&config).unwrap();
        assert_eq!((plan.pci_usb(), plan.usb), (Some((2, Messages::Msi)), None));
        let options = MachineOptions { pcie: Switch::Off, ..MachineOptions::default() };
        let error =
            Plan::check(&Config { options, disks: Vec::new(), ..config }, 46).unwrap_err().to_string();
        let expected = "--device xhci and --machine pcie=off exclude each other: it is on PCI Express, so leave one of them out";
        assert_eq!(error, expected);
    }

    #[test]
    fn there_are_31_slots() {
        assert!(plan(&config(&["a,bus=nvme"; 31])).is_ok());
        let expected =
            "32 PCI devices are too many: this machine has 31 PCI slots, put disks on bus=virtio-mmio";
        assert_eq!(message(&config(&["a,bus=nvme"; 32])), expected);
    }

    #[test]
    fn what_is_on_pci_excludes_a_machine_without() {
        let with = |pcie, acpi, config| {
            message(&Config { options: MachineOptions { pcie, acpi, ..MachineOptions::default() }, ..config })
        };
        let off = with(Switch::Off, Switch::Auto, config(&["a.raw,bus=nvme"]));
        let expected = "--disk a.raw,bus=nvme and --machine pcie=off exclude each other: it is on PCI Express, so \
                        leave one of them out";
        assert_eq!(off, expected);
        let no_acpi = with(Switch::Auto, Switch::Off, with_ports(&["p"], &[]));
        assert!(no_acpi.starts_with("--device root-port,id=p and --machine acpi=off exclude"), "{no_acpi}");
    }
}
