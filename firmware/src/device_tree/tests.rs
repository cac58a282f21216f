use super::*;

/// A tree as the specification's chapter 5 lays it out, back as lines: `/node/property = bytes`, sorted.
fn lines(fdt: &[u8]) -> Vec<String> {
    let word = |at: usize| u32::from_be_bytes(fdt[at..at + 4].try_into().unwrap());
    assert_eq!(word(0), 0xd00d_feed, "magic");
    assert_eq!((word(4) as usize, word(20), word(24)), (fdt.len(), 17, 16), "size and versions");
    let text = |at: usize| fdt[at..].split(|&byte| byte == 0).next().map(String::from_utf8_lossy).unwrap();
    let (mut at, strings) = (word(8) as usize, word(12) as usize);
    let (mut path, mut lines) = (Vec::new(), Vec::new());
    loop {
        at += 4;
        match word(at - 4) {
            1 => {
                let name = text(at).into_owned();
                at += (name.len() + 1).next_multiple_of(4);
                path.push(name);
                lines.push(format!("{}/", path.join("/")));
            }
            2 => drop(path.pop()),
            3 => {
                let (len, name) = (word(at) as usize, text(strings + word(at + 4) as usize));
                let value: String = fdt[at + 8..][..len].iter().map(|byte| format!("{byte:02x}")).collect();
                lines.push(format!("{}/{name} = {value}", path.join("/")));
                at += 8 + len.next_multiple_of(4);
            }
            9 => return lines,
            other => panic!("token {other}"),
        }
    }
}

fn ioapic(name: &str, base: u64, gsis: Range<u32>) -> Controller {
    Controller { node: Node::new(name, "intel,ce4100-ioapic", base, 0x1000), gsis }
}

/// The lines about `path`, without it.
fn node(tree: &DeviceTree, path: &str) -> Vec<String> {
    let all = lines(&tree.encode("linux,microvm").unwrap());
    all.iter().filter_map(|line| line.strip_prefix(path)?.strip_prefix('/')).map(str::to_owned).collect()
}

#[test]
fn empty_machine_is_a_root_with_an_empty_chosen() {
    let lines = lines(&DeviceTree::default().encode("linux,microvm").unwrap());

    let compatible = "6c696e75782c6d6963726f766d00"; // "linux,microvm"
    assert_eq!(
        lines,
        [
            "/",
            &format!("/compatible = {compatible}"),
            "/#address-cells = 00000002",
            "/#size-cells = 00000002",
            "/chosen/"
        ]
    );
}

#[test]
fn device_has_its_registers_as_two_pairs_of_cells_and_its_name_with_the_address() {
    let mut tree = DeviceTree::default();
    tree.device(Node::new("memory", "m", 0x12_3456_789a, 0x200).dma_coherent());

    assert_eq!(
        node(&tree, "/memory@123456789a"),
        ["", "compatible = 6d00", "reg = 000000123456789a0000000000000200", "dma-coherent = "]
    );
}

#[test]
fn interrupt_is_a_pin_of_the_controller_that_has_it() {
    let mut tree = DeviceTree::default();
    tree.controller(ioapic("ioapic1", 0xfec0_0000, 0..24));
    tree.controller(ioapic("ioapic2", 0xfec1_0000, 24..48));
    tree.device(Node::new("virtio_mmio", "v", 0xfeb0_0200, 0x200).interrupt(25));

    let device = node(&tree, "/virtio_mmio@feb00200");
    assert_eq!(device[3..], ["interrupt-parent = 00000002", "interrupts = 0000000100000000"]);
    let controller = node(&tree, "/ioapic2@fec10000");
    assert_eq!(
        controller[3..],
        [
            "interrupt-controller = ",
            "#interrupt-cells = 00000002",
            "#address-cells = 00000002",
            "phandle = 00000002",
            "linux,phandle = 00000002"
        ]
    );
}

#[test]
fn console_is_named_by_its_path() {
    let mut tree = DeviceTree::default();
    tree.console(Node::new("serial", "ns16550", 0x3f8, 8));

    assert_eq!(node(&tree, "/chosen"), ["", "stdout-path = 2f73657269616c4033663800"]); // "/serial@3f8"
}

#[test]
fn other_properties_are_text_and_cells() {
    let mut tree = DeviceTree::default();
    let pcie = Node::new("pcie", "p", 0, 0).unit_address(0x10).with("device_type", Value::Text("pci"));
    tree.device(pcie.with("bus-range", Value::Cells(vec![0, 255])));

    assert_eq!(node(&tree, "/pcie@10")[3..], ["device_type = 70636900", "bus-range = 00000000000000ff"]);
}

#[test]
fn interrupt_that_no_controller_takes_is_an_error() {
    let mut tree = DeviceTree::default();
    tree.controller(ioapic("ioapic1", 0xfec0_0000, 0..24));
    tree.device(Node::new("rtc", "r", 0x70, 8).interrupt(24));

    let message = tree.encode("m").unwrap_err().to_string();
    assert_eq!(message, "interrupt 24 of the device tree's node rtc@70 belongs to no interrupt controller");
}
