//! The machine as a device tree, which edk2 reads in place of ACPI. Names, compatible strings and register sizes are those
//! of the `microvm` machine contract.

use firmware::device_tree::{Controller, DeviceTree, DeviceTreeError, Node, Value, cells};

use super::plan::{IoApicPlan, PciePlan, Plan, PortPlan, Range, TransportPlan, UsbPlan};

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
    if let Some(pcie) = &plan.pcie {
        tree.device(host_bridge(pcie));
    }
    if let Some(usb) = &plan.usb {
        tree.device(xhci(usb));
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

fn xhci(usb: &UsbPlan) -> Node {
    let node = Node::new("usb", "generic-xhci", usb.mmio.start, usb.mmio.len);
    node.dma_coherent().interrupt(usb.gsi)
}

/// The binding of `pci-host-ecam-generic`, without interrupts: who reads this polls. edk2 turns away the bridge if it does
/// not like a window, and wants both without the bit for prefetching.
fn host_bridge(pcie: &PciePlan) -> Node {
    /// Address spaces of a child: memory below 4 GiB, and memory (PCI Bus Binding to Open Firmware, 2.2.1.1).
    const MEMORY_32: u32 = 0x0200_0000;
    const MEMORY_64: u32 = 0x0300_0000;
    // Every bus has 1 MiB of configuration space.
    let last_bus = (pcie.ecam.len >> 20) as u32 - 1;
    let windows = [window(MEMORY_32, pcie.window32), window(MEMORY_64, pcie.window64)].concat();
    Node::new("pcie", "pci-host-ecam-generic", pcie.ecam.start, pcie.ecam.len)
        .unit_address(pcie.window32.start)
        .with("device_type", Value::Text("pci"))
        .with("#address-cells", Value::Cells(vec![3]))
        .with("#size-cells", Value::Cells(vec![2]))
        .with("linux,pci-domain", Value::Cells(vec![0]))
        .with("bus-range", Value::Cells(vec![0, last_bus]))
        .with("ranges", Value::Cells(windows))
        .dma_coherent()
}

/// A window that devices and CPUs see at the same address.
fn window(space: u32, range: Range) -> Vec<u32> {
    [&[space], cells(range.start).as_slice(), &cells(range.start), &cells(range.len)].concat()
}

fn on_ports(name: &str, compatible: &'static str, device: &PortPlan) -> Node {
    Node::new(name, compatible, device.ports.start, PORTS).interrupt(device.gsi)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Switch};

    #[test]
    fn windows_of_the_host_bridge_are_those_of_the_contract() {
        let mut config = Config::default();
        config.options.pcie = Switch::On;
        let plan = Plan::new(&config, 4 << 20, 40).unwrap();

        let tree = device_tree(&plan).unwrap();

        let ranges: [[u32; 7]; 2] = [
            [0x0200_0000, 0, 0xc000_0000, 0, 0xc000_0000, 0, 0x2000_0000],
            [0x0300_0000, 0xc0, 0, 0xc0, 0, 0x40, 0],
        ];
        let bytes: Vec<_> = ranges.as_flattened().iter().flat_map(|cell| cell.to_be_bytes()).collect();
        assert!(tree.windows(bytes.len()).any(|window| window == bytes));
    }
}
