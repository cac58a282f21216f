//! `-numa node` and `-numa dist`: which vCPUs are near which memory.

use std::ops::RangeInclusive;

use super::opts::{self, Opts};
use super::{Reason, Wrong};
use crate::cli::machine::decimal;
use crate::config::{NodeConfig, NodeDistance, NumaConfig};

/// Nodes and the ways between them, as far as they were described.
#[derive(Default)]
pub(super) struct Numa {
    nodes: Vec<Node>,
    distances: Vec<NodeDistance>,
}

struct Node {
    text: String,
    id: Option<u32>,
    cpus: Vec<RangeInclusive<u32>>,
    memory: Memory,
}

enum Memory {
    Size(u64),
    /// The size of a memory object.
    Object(String),
    Unsaid,
}

impl Numa {
    /// `-numa node[,nodeid=N][,cpus=N[-N]]…[,memdev=ID|,mem=SIZE]` or `-numa dist,src=N,dst=N,val=N`.
    pub(super) fn option(&mut self, text: &str) -> Result<(), Reason> {
        let mut opts = Opts::parse(text, Some("type"));
        match opts.need("type")?.as_str() {
            "node" => self.node(text, opts),
            "dist" => self.distance(opts),
            other => {
                Err(format!("`{other}` is not to be had, use node and dist; `tinderbox run --numa` has more")
                    .into())
            }
        }
    }

    fn node(&mut self, text: &str, mut opts: Opts) -> Result<(), Reason> {
        let id = opts.number("nodeid")?;
        let cpus = opts.take_all("cpus").iter().map(|text| range(text)).collect::<Result<_, _>>()?;
        let memory = match (opts.take("memdev"), opts.take("mem")) {
            (Some(object), None) => Memory::Object(object),
            (None, Some(size)) => Memory::Size(opts::size(&size, 20)?),
            (None, None) => Memory::Unsaid,
            (Some(_), Some(_)) => return Err("mem= and memdev= say the same, leave mem= out".into()),
        };
        opts.finish()?;
        self.nodes.push(Node { text: text.into(), id, cpus, memory });
        Ok(())
    }

    fn distance(&mut self, mut opts: Opts) -> Result<(), Reason> {
        let missing = |value: Option<u32>| value.ok_or("write dist,src=N,dst=N,val=N");
        let (from, to) = (missing(opts.number("src")?)?, missing(opts.number("dst")?)?);
        let value: u8 = opts.number("val")?.ok_or("write dist,src=N,dst=N,val=N")?;
        opts.finish()?;
        // A node's distance to itself is 10, whatever is said.
        if from != to {
            self.distances.push(NodeDistance { from, to, value });
        } else if value != 10 {
            return Err("a node is 10 away from itself, use val=10".into());
        }
        Ok(())
    }

    /// The memory objects of the nodes, by id.
    pub(super) fn objects(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter_map(|node| match &node.memory {
            Memory::Object(id) => Some(id.as_str()),
            Memory::Size(_) | Memory::Unsaid => None,
        })
    }

    /// The nodes, if there are several; `size_of` is a memory object's size.
    pub(super) fn several(&self, size_of: impl Fn(&str) -> Option<u64>) -> Result<Option<NumaConfig>, Wrong> {
        if self.nodes.len() < 2 {
            return Ok(None);
        }
        let mut nodes = Vec::new();
        for (node, place) in self.nodes.iter().zip(0..) {
            let wrong = |reason: Reason| ("-numa", node.text.clone(), reason);
            if node.id.is_some_and(|id| id != place) {
                return Err(wrong(format!("nodes are numbered in their order, use nodeid={place}").into()));
            }
            let memory = match &node.memory {
                Memory::Size(size) => *size,
                Memory::Object(id) => {
                    let missing = || wrong(format!("there is no -object of the id `{id}`, add it").into());
                    size_of(id).ok_or_else(missing)?
                }
                Memory::Unsaid => return Err(wrong("it has no memory, add memdev=ID or mem=SIZE".into())),
            };
            nodes.push(NodeConfig { cpus: node.cpus.clone(), memory });
        }
        Ok(Some(NumaConfig { nodes, distances: self.distances.clone(), accesses: Vec::new() }))
    }
}

/// `N` or `N-N`.
fn range(text: &str) -> Result<RangeInclusive<u32>, Reason> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let both = decimal(first).zip(decimal(last)).filter(|(first, last)| first <= last);
    let (first, last) = both.ok_or_else(|| format!("cpus={text}: write cpus=0 or cpus=0-3"))?;
    Ok(first..=last)
}
