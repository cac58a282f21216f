//! Which device to boot from: the fw_cfg file `bootorder`.
//!
//! Open Firmware device paths, best first, with a newline between two of them and a NUL at the end. SeaBIOS compares them
//! as text, edk2 translates them to UEFI device paths.

use std::fmt;

/// Name of the fw_cfg file.
pub const FILE: &str = "bootorder";

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootDevice {
    /// The disk on a virtio-mmio transport.
    VirtioMmioDisk {
        /// Address of the transport.
        base: u64,
    },
    /// The virtio disk in a PCI slot.
    VirtioPciDisk {
        /// The device number of the root port that it is behind; none on the root bus.
        port: Option<u8>,
        /// Its device number.
        device: u8,
        /// Which function of the device it is.
        function: u8,
    },
    /// A target of a virtio SCSI host adapter on a virtio-mmio transport.
    VirtioMmioTarget {
        /// Address of the transport.
        base: u64,
        /// The target, whose unit 0 it is.
        target: u8,
    },
    /// A target of a virtio SCSI host adapter in a PCI slot of the root bus.
    VirtioPciTarget {
        /// The adapter's device number.
        device: u8,
        /// The target, whose unit 0 it is.
        target: u8,
    },
    /// The first namespace of an NVMe controller in a PCI slot.
    NvmeNamespace {
        /// The device number of the root port that it is behind; none on the root bus.
        port: Option<u8>,
        /// The controller's device number.
        device: u8,
        /// Which function of the device it is.
        function: u8,
    },
    /// A disk on USB.
    UsbDisk {
        /// Where the controller is.
        controller: UsbController,
        /// Port numbers from the controller on, each from 1; the first counts among the root ports of the disk's speed.
        path: Vec<u8>,
    },
    /// An option ROM of fw_cfg.
    OptionRom {
        /// The ROM's file.
        file: &'static str,
    },
    /// Strict booting: what is not listed is not tried. Meant for the last line.
    Halt,
}

/// Where a USB controller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsbController {
    /// On the system bus.
    SystemBus {
        /// Its address.
        base: u64,
    },
    /// On the PCI root bus.
    Pci {
        /// Its device number.
        device: u8,
    },
}

impl fmt::Display for UsbController {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SystemBus { base } => write!(f, "/sysbus-xhci@{base:016x}"),
            Self::Pci { device } => write!(f, "/pci@ffffffffffffffff/usb@{device:x}"),
        }
    }
}

impl fmt::Display for BootDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // SeaBIOS looks for exactly 16 lower-case digits.
            Self::VirtioMmioDisk { base } => write!(f, "/virtio-mmio@{base:016x}/disk@0,0"),
            Self::VirtioPciDisk { port, device, function } => {
                write!(f, "{}/scsi@{}/disk@0,0", PciBus(*port), PciUnit(*device, *function))
            }
            Self::VirtioMmioTarget { base, target } => {
                write!(f, "/virtio-mmio@{base:016x}/channel@0/disk@{target:x},0")
            }
            Self::VirtioPciTarget { device, target } => {
                write!(f, "{}/scsi@{device:x}/channel@0/disk@{target:x},0", PciBus(None))
            }
            // edk2 knows NVMe by QEMU's first number for it, whatever the controller's own is.
            Self::NvmeNamespace { port, device, function } => {
                write!(f, "{}/pci8086,5845@{}/namespace@1,0", PciBus(*port), PciUnit(*device, *function))
            }
            Self::UsbDisk { controller, path } => {
                write!(f, "{controller}")?;
                usb_disk(f, path)
            }
            Self::OptionRom { file } => write!(f, "/rom@{file}"),
            Self::Halt => f.write_str("HALT"),
        }
    }
}

/// The hubs on the way, then the disk.
fn usb_disk(f: &mut fmt::Formatter<'_>, path: &[u8]) -> fmt::Result {
    let Some((port, hubs)) = path.split_last() else { return Ok(()) };
    hubs.iter().try_for_each(|port| write!(f, "/hub@{port:x}"))?;
    write!(f, "/storage@{port:x}/channel@0/disk@0,0")
}

/// The root bus, or the bus behind the root port of a device number.
struct PciBus(Option<u8>);

impl fmt::Display for PciBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // QEMU's address of a host bridge without ports; readers skip it.
        f.write_str("/pci@ffffffffffffffff")?;
        self.0.map_or(Ok(()), |device| write!(f, "/pci-bridge@{device:x}"))
    }
}

/// A device number, and the function's if it is not the first. *PCI Bus Binding to Open Firmware*, 2.2.1.3.
struct PciUnit(u8, u8);

impl fmt::Display for PciUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(device, 0) => write!(f, "{device:x}"),
            Self(device, function) => write!(f, "{device:x},{function:x}"),
        }
    }
}

/// The bytes of the file; none if no device is listed, as firmware expects it then.
#[must_use]
pub fn encode(devices: &[BootDevice]) -> Vec<u8> {
    if devices.is_empty() {
        return Vec::new();
    }
    let lines: Vec<_> = devices.iter().map(BootDevice::to_string).collect();
    let mut file = lines.join("\n").into_bytes();
    file.push(0);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_lines_with_16_digits_and_one_nul_at_the_end() {
        let disks = [0xfeb0_2e00, 0xfeb0_0000].map(|base| BootDevice::VirtioMmioDisk { base });
        let expected = "/virtio-mmio@00000000feb02e00/disk@0,0\n/virtio-mmio@00000000feb00000/disk@0,0\0";
        assert_eq!(encode(&disks), expected.as_bytes());
    }

    #[test]
    fn scsi_disks_are_called_by_their_targets() {
        let devices = [
            BootDevice::VirtioMmioTarget { base: 0xfeb0_0200, target: 0x1f },
            BootDevice::VirtioPciTarget { device: 3, target: 0 },
        ];
        let expected = "/virtio-mmio@00000000feb00200/channel@0/disk@1f,0\n\
                        /pci@ffffffffffffffff/scsi@3/channel@0/disk@0,0\0";
        assert_eq!(encode(&devices), expected.as_bytes());
    }

    #[test]
    fn nvme_is_called_as_edk2_knows_it() {
        let nvme = BootDevice::NvmeNamespace { port: None, device: 0x1f, function: 0 };
        assert_eq!(encode(&[nvme]), b"/pci@ffffffffffffffff/pci8086,5845@1f/namespace@1,0\0");
    }

    #[test]
    fn usb_disk_is_called_by_its_ports() {
        let controller = UsbController::SystemBus { base: 0xfe90_0000 };
        let disk = |path: &[u8]| BootDevice::UsbDisk { controller, path: path.into() };
        let expected = "/sysbus-xhci@00000000fe900000/storage@1/channel@0/disk@0,0\n\
                        /sysbus-xhci@00000000fe900000/hub@2/storage@3/channel@0/disk@0,0\0";
        assert_eq!(encode(&[disk(&[1]), disk(&[2, 3])]), expected.as_bytes());
    }

    #[test]
    fn pci_disks_are_found_by_their_slots() {
        let disks = [(None, 0x1f, 0), (Some(10), 0, 0), (None, 3, 1)]
            .map(|(port, device, function)| BootDevice::VirtioPciDisk { port, device, function });
        let expected = "/pci@ffffffffffffffff/scsi@1f/disk@0,0\n\
                        /pci@ffffffffffffffff/pci-bridge@a/scsi@0/disk@0,0\n\
                        /pci@ffffffffffffffff/scsi@3,1/disk@0,0\0";
        assert_eq!(encode(&disks), expected.as_bytes());
    }

    #[test]
    fn usb_disk_on_pci_is_called_as_edk2_translates_it() {
        let disk = BootDevice::UsbDisk { controller: UsbController::Pci { device: 3 }, path: vec![2] };
        assert_eq!(encode(&[disk]), b"/pci@ffffffffffffffff/usb@3/storage@2/channel@0/disk@0,0\0");
    }

    #[test]
    fn option_rom_is_called_by_its_file() {
        let rom = BootDevice::OptionRom { file: "genroms/linuxboot.bin" };
        assert_eq!(encode(&[rom]), b"/rom@genroms/linuxboot.bin\0");
    }

    #[test]
    fn strict_boot_ends_in_halt() {
        let file = encode(&[BootDevice::VirtioMmioDisk { base: 0xfeb0_0200 }, BootDevice::Halt]);
        assert_eq!(file, b"/virtio-mmio@00000000feb00200/disk@0,0\nHALT\0");
    }

    #[test]
    fn no_devices_make_an_empty_file() {
        assert!(encode(&[]).is_empty());
    }
}
