//! `-device qemu-xhci`, `usb-kbd`, `usb-mouse` and `usb-tablet`; `usb-storage` is a drive.

use pcie::Messages;

use super::Reason;
use super::opts::Opts;
use crate::cli::options::msix;
use crate::config::{DiskBus, DiskConfig, ExtraDevice, Media, UsbConfig, UsbDevice, UsbKind, UsbStorage};

/// Controllers that are taken for ours: they are xHCI, too.
const CONTROLLERS: [&str; 2] = ["qemu-xhci", "nec-usb-xhci"];
/// What a person works with.
const INPUT: [(&str, UsbKind); 3] =
    [("usb-kbd", UsbKind::Keyboard), ("usb-mouse", UsbKind::Mouse), ("usb-tablet", UsbKind::Tablet)];

/// What is plugged into the controller.
#[derive(Default)]
pub(super) struct Usb {
    /// The devices that are no drives, each with its id.
    devices: Vec<(UsbKind, Option<String>)>,
    /// Whether the medium of each drive can be taken out, in the order of the drives.
    removable: Vec<bool>,
}

impl Usb {
    /// Whether `driver` is one of these.
    pub(super) fn knows(driver: &str) -> bool {
        CONTROLLERS.contains(&driver) || INPUT.iter().any(|(name, _)| *name == driver)
    }

    /// `-device DRIVER[,id=ID][,bus=BUS][,port=PORT]`. A controller goes to `extras`, once.
    pub(super) fn device(
        &mut self,
        mut opts: Opts,
        driver: &str,
        extras: &mut Vec<ExtraDevice>,
    ) -> Result<(), Reason> {
        if CONTROLLERS.contains(&driver) {
            opts.ignore(&["id", "p2", "p3", "addr"]);
            opts.only("msi", &["on", "auto"], "the controller has MSI, leave it out")?;
            let choice = opts.take("msix").filter(|choice| choice != "auto");
            let messages = choice.map_or(Some(Messages::Either), |choice| msix(&choice));
            let messages = messages.ok_or("msix takes on, off or auto")?;
            if extras.iter().any(|extra| matches!(extra, ExtraDevice::Xhci(_))) {
                return Err("there is one USB controller, leave this one out".into());
            }
            extras.push(ExtraDevice::Xhci(messages));
        }
        if let Some((_, kind)) = INPUT.iter().find(|(name, _)| *name == driver) {
            let id = opts.take("id");
            opts.ignore(&["bus", "port", "display"]);
            self.devices.push((kind.clone(), id));
        }
        opts.finish()
    }

    /// What `-device usb-storage` says besides what every drive does: `[,removable=on][,bus=BUS][,port=PORT]`.
    pub(super) fn drive(&mut self, opts: &mut Opts) -> Result<(), Reason> {
        self.removable.push(opts.switch("removable")?.unwrap_or(false));
        opts.ignore(&["bus", "port"]);
        Ok(())
    }

    /// Everything on USB: the drives among `disks`, then the others.
    pub(super) fn finish(self, disks: &[DiskConfig]) -> UsbConfig {
        let is_disc = |disk: usize| disks.get(disk).is_some_and(|disk| disk.media == Media::CdRom);
        let speed = ::usb::Speed::Super;
        let drives =
            disks.iter().enumerate().filter(|(_, disk)| disk.bus == DiskBus::Usb).zip(self.removable);
        let drives = drives.map(|((at, disk), removable)| {
            let storage = UsbStorage { disk: at, cdrom: is_disc(at), removable, speed };
            (UsbKind::Storage(storage), disk.id.clone())
        });
        let devices = drives.chain(self.devices).map(|(kind, id)| UsbDevice { kind, hub: None, id });
        let devices = devices.collect();
        UsbConfig { devices, pcap: None }
    }
}
