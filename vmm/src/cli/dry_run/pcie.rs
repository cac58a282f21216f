//! The PCI Express host bridge.

use crate::machine::Plan;
use crate::machine::plan::{Gsi, Range};

/// What of the memory map is PCI's.
pub(super) fn memory(plan: &Plan) -> Vec<(Range, String)> {
    let Some(pcie) = &plan.pcie else { return Vec::new() };
    [
        (pcie.window32, "PCI window"),
        (pcie.ecam, "PCI configuration space"),
        (pcie.window64, "PCI window, 64-bit"),
    ]
    .map(|(range, name)| (range, name.to_owned()))
    .into()
}

/// The pins that functions without messages share: first and last GSI, trigger, name.
pub(super) fn interrupts(plan: &Plan) -> Option<(Gsi, Gsi, &'static str, String)> {
    let [first, .., last] = plan.pcie.as_ref()?.intx;
    Some((first, last, "level", "PCI INTA-INTD".to_owned()))
}

/// Every function but the host bridge's own, with its slot.
pub(super) fn functions(plan: &Plan) -> Vec<[String; 2]> {
    let functions = plan.pcie.iter().flat_map(|pcie| &pcie.functions);
    functions.map(|function| [function.to_string(), function.function.to_string()]).collect()
}
