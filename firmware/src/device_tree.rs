//! The machine as a device tree: the fw_cfg file `etc/fdt`, by which edk2 finds virtio-mmio transports and the PCIe host
//! bridge.
//!
//! ```text
//! /                       2 address cells, 2 size cells
//! ├─ chosen               stdout-path
//! ├─ ioapic1@fec00000     phandle ◄──────────────┐
//! └─ virtio_mmio@feb00000 reg, interrupts, interrupt-parent
//! ```
//!
//! Format: Devicetree Specification 0.4, chapter 5. The tree is as large as its content: edk2 copies what it is given.
//!
//! Left out: CPUs, memory and the kernel's command line, which readers of this tree take from elsewhere in fw_cfg; how an
//! interrupt is triggered, which none of them asks.

use std::ops::Range;

use vm_fdt::FdtWriter;

#[cfg(test)]
mod tests;

/// Name of the fw_cfg file.
pub const FILE: &str = "etc/fdt";

/// What a property holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing: it says something by being there.
    Flag,
    /// One string.
    Text(&'static str),
    /// 32-bit numbers.
    Cells(Vec<u32>),
}

/// A device with registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    name: String,
    unit: u64,
    properties: Vec<(&'static str, Value)>,
    gsi: Option<u32>,
}

impl Node {
    /// A device of the generic `name` (Devicetree Specification 0.4, 2.2.1) that drivers know as `compatible`, with its
    /// registers in `len` bytes from `base`.
    #[must_use]
    pub fn new(name: &str, compatible: &'static str, base: u64, len: u64) -> Self {
        let registers = [cells(base), cells(len)].concat();
        Self {
            name: name.to_owned(),
            unit: base,
            properties: vec![("compatible", Value::Text(compatible)), ("reg", Value::Cells(registers))],
            gsi: None,
        }
    }

    /// The same with one property more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Value) -> Self {
        self.properties.push((name, value));
        self
    }

    /// The same with another address in its name than that of its registers.
    #[must_use]
    pub fn unit_address(mut self, unit: u64) -> Self {
        self.unit = unit;
        self
    }

    /// The same with an interrupt.
    #[must_use]
    pub fn interrupt(mut self, gsi: u32) -> Self {
        self.gsi = Some(gsi);
        self
    }

    /// The same device as one whose DMA needs no care for caches.
    #[must_use]
    pub fn dma_coherent(self) -> Self {
        self.with("dma-coherent", Value::Flag)
    }

    /// Devicetree Specification 0.4, 2.2.1.
    fn full_name(&self) -> String {
        format!("{}@{:x}", self.name, self.unit)
    }
}

/// The two cells of a 64-bit number, the high one first.
#[must_use]
pub fn cells(number: u64) -> [u32; 2] {
    [(number >> 32) as u32, number as u32]
}

/// Who takes interrupts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Its node, registers included.
    pub node: Node,
    /// The interrupts it takes; the first is that of its pin 0.
    pub gsis: Range<u32>,
}

/// The whole machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceTree {
    controllers: Vec<Controller>,
    nodes: Vec<Node>,
    console: Option<String>,
}

impl DeviceTree {
    /// Adds an interrupt controller.
    pub fn controller(&mut self, controller: Controller) {
        self.controllers.push(controller);
    }

    /// Adds a device.
    pub fn device(&mut self, node: Node) {
        self.nodes.push(node);
    }

    /// Adds the device that messages go to.
    pub fn console(&mut self, node: Node) {
        self.console = Some(format!("/{}", node.full_name()));
        self.device(node);
    }

    /// The file, for a machine that is `compatible` with what drivers of its platform know.
    ///
    /// # Errors
    /// When a name has letters that a tree does not take, or no controller takes an interrupt.
    pub fn encode(&self, compatible: &str) -> Result<Vec<u8>, DeviceTreeError> {
        let mut fdt = FdtWriter::new()?;
        let root = fdt.begin_node("")?;
        fdt.property_string("compatible", compatible)?;
        fdt.property_u32("#address-cells", 2)?;
        fdt.property_u32("#size-cells", 2)?;
        self.write_chosen(&mut fdt)?;
        for (controller, phandle) in self.controllers.iter().zip(1..) {
            write_controller(&mut fdt, controller, phandle)?;
        }
        self.nodes.iter().try_for_each(|node| self.write_node(&mut fdt, node))?;
        fdt.end_node(root)?;
        Ok(fdt.finish()?)
    }

    fn write_chosen(&self, fdt: &mut FdtWriter) -> Result<(), DeviceTreeError> {
        let chosen = fdt.begin_node("chosen")?;
        if let Some(path) = &self.console {
            fdt.property_string("stdout-path", path)?;
        }
        Ok(fdt.end_node(chosen)?)
    }

    fn write_node(&self, fdt: &mut FdtWriter, node: &Node) -> Result<(), DeviceTreeError> {
        let open = fdt.begin_node(&node.full_name())?;
        write_properties(fdt, node)?;
        if let Some(gsi) = node.gsi {
            let unrouted = || DeviceTreeError::Unrouted { node: node.full_name(), gsi };
            let (phandle, pin) = self.route(gsi).ok_or_else(unrouted)?;
            fdt.property_u32("interrupt-parent", phandle)?;
            fdt.property_array_u32("interrupts", &[pin, 0])?;
        }
        Ok(fdt.end_node(open)?)
    }

    /// The phandle of the controller that takes `gsi`, and on which of its pins.
    fn route(&self, gsi: u32) -> Option<(u32, u32)> {
        let mut controllers = self.controllers.iter().zip(1..);
        controllers.find_map(|(controller, phandle)| {
            controller.gsis.contains(&gsi).then(|| (phandle, gsi - controller.gsis.start))
        })
    }
}

/// Devicetree Specification 0.4, 2.4.2; the second name of the handle is what trees had before that standard.
fn write_controller(
    fdt: &mut FdtWriter,
    controller: &Controller,
    phandle: u32,
) -> Result<(), DeviceTreeError> {
    let open = fdt.begin_node(&controller.node.full_name())?;
    write_properties(fdt, &controller.node)?;
    fdt.property_null("interrupt-controller")?;
    fdt.property_u32("#interrupt-cells", 2)?;
    fdt.property_u32("#address-cells", 2)?;
    fdt.property_phandle(phandle)?;
    fdt.property_u32("linux,phandle", phandle)?;
    Ok(fdt.end_node(open)?)
}

fn write_properties(fdt: &mut FdtWriter, node: &Node) -> Result<(), DeviceTreeError> {
    for (name, value) in &node.properties {
        match value {
            Value::Flag => fdt.property_null(name)?,
            Value::Text(text) => fdt.property_string(name, text)?,
            Value::Cells(cells) => fdt.property_array_u32(name, cells)?,
        }
    }
    Ok(())
}

/// Why there is no device tree.
#[derive(Debug, thiserror::Error)]
pub enum DeviceTreeError {
    /// The format has no room for it.
    #[error("write the device tree")]
    Write(#[from] vm_fdt::Error),
    /// An interrupt that goes nowhere.
    #[error("interrupt {gsi} of the device tree's node {node} belongs to no interrupt controller")]
    Unrouted {
        /// Whose.
        node: String,
        /// Which.
        gsi: u32,
    },
}
