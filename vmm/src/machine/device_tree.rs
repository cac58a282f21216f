//! The machine as a device tree, which edk2 reads in place of ACPI. Names, compatible strings and register sizes are those
//! of the `microvm` machine contract.

use firmware::device_tree::{Controller, DeviceTree, DeviceTreeError, Node};

use super::plan::{IoApicPlan, Plan, PortPlan, TransportPlan};

/// What edk2's platform calls this machine.
const COMPATIBLE: &str = "linux,microvm";

/// What a device on ports claims of them, however many it has.
const PORTS: u64 = 8;

/// The file for fw_cfg.
///
/// # Errors
/// When the plan gives an interrupt that no IOAPIC takes.
pub(super) fn device_tree(plan: &Plan) -> Result<Vec<u8>, DeviceTreeError> {
    let mut tree = DeviceTree::default();
    plan.ioapics.iter().for_each(|ioapic| tree.controller(controller(ioapic)));
    plan.populated().for_each(|(transport, _)| tree.device(virtio(transport)));
    if let Some(usb) = &plan.usb {
        tree.device(
            Node::new("usb", "generic-xhci", usb.mmio.start, usb.mmio.len).dma_coherent().interrupt(usb.gsi),
        );
    }
    if let Some(com1) = &plan.com1 {
        tree.console(on_ports("serial", "ns16550", com1));
    }
    if let Some(rtc) = &plan.rtc {
        tree.device(on_ports("rtc", "motorola,mc146818", rtc));
    }
    tree.encode(COMPATIBLE)
}

fn controller(ioapic: &IoApicPlan) -> Controller {
    // There are two at most, counted from 1 here.
    let name = format!("ioapic{}", ioapic.id + 1);
    Controller {
        node: Node::new(&name, "intel,ce4100-ioapic", ioapic.mmio.start, ioapic.mmio.len),
        gsis: ioapic.gsi_base..ioapic.gsi_base + ioapic.pins,
    }
}

fn virtio(transport: &TransportPlan) -> Node {
    let node = Node::new("virtio_mmio", "virtio,mmio", transport.mmio.start, transport.mmio.len);
    node.dma_coherent().interrupt(transport.gsi)
}

fn on_ports(name: &str, compatible: &'static str, device: &PortPlan) -> Node {
    Node::new(name, compatible, device.ports.start, PORTS).interrupt(device.gsi)
}
