//! The nodes.

use super::{columns, size};
use crate::machine::plan::{NodePlan, NumaPlan, Range};

/// A line for each node: its vCPUs, its memory, and how far the nodes are.
pub(super) fn nodes(numa: &NumaPlan) -> String {
    let count = numa.nodes.len() as u32;
    let row = |(number, node): (u32, &NodePlan)| {
        let distances: Vec<_> = (0..count).map(|to| numa.distance(number, to).to_string()).collect();
        [format!("node {number}"), cpus(node), memory(node), format!("distances {}", distances.join(" "))]
    };
    columns(&(0..).zip(&numa.nodes).map(row).collect::<Vec<_>>())
}

fn cpus(node: &NodePlan) -> String {
    let runs = node.cpus.chunk_by(|a, b| a + 1 == *b).filter_map(|run| Some((run.first()?, run.last()?)));
    let runs =
        runs.map(|(first, last)| if first == last { format!("{first}") } else { format!("{first}-{last}") });
    let runs: Vec<_> = runs.collect();
    if runs.is_empty() { "no vCPU".into() } else { format!("vCPU {}", runs.join(" ")) }
}

fn memory(node: &NodePlan) -> String {
    let total = node.memory.iter().map(|range| range.len).sum();
    let ranges: Vec<_> = node.memory.iter().map(Range::to_string).collect();
    if ranges.is_empty() { "no memory".into() } else { format!("{} {}", size(total), ranges.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::plan::GIB;

    #[test]
    fn nodes_are_lines_of_vcpus_memory_and_distances() {
        let near =
            NodePlan { cpus: vec![0, 1, 4], memory: vec![Range::new(0, GIB), Range::new(4 * GIB, GIB)] };
        let far = NodePlan { cpus: vec![], memory: vec![] };
        let numa = NumaPlan { nodes: vec![near, far], distances: vec![], accesses: vec![] };

        let text = nodes(&numa);
        let words: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let near =
            "node 0 vCPU 0-1 4 2048 MiB 0x0000000000-0x003fffffff 0x0100000000-0x013fffffff distances 10 20";
        assert_eq!(words[0].join(" "), near);
        assert_eq!(words[1].join(" "), "node 1 no vCPU no memory distances 20 10");
    }
}
