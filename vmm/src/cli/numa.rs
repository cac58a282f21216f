//! `--numa node|distance|access,KEY=VALUE,…`: one node, or one way between two, each time.
//!
//! ```text
//!  node,cpus=0-1,memory=1G                         the next node; cpus= may be written more than once
//!  distance,from=0,to=1,value=21                   and back, unless that is said too
//!  access,from=0,to=1,latency=120,bandwidth=10G    nanoseconds, bytes a second
//! ```

use std::ops::RangeInclusive;
use std::str::FromStr;

use clap::Args;

use super::fields::{Fields, FieldsError};
use super::machine::{MachineError, MemorySize, decimal};
use crate::config::{NodeAccess, NodeConfig, NodeDistance, NumaConfig};

/// Nodes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Machine")]
pub(crate) struct NumaArgs {
    /// NUMA, repeatable: a node of vCPUs and memory (node,cpus=0-1,memory=1G), how far one is from another
    /// (distance,from=0,to=1,value=21), how fast its memory is (access,from=0,to=1,latency=NS,bandwidth=SIZE)
    #[arg(long, value_name = "node|distance|access,KEY=VALUE,…")]
    numa: Vec<NumaOption>,
}

impl NumaArgs {
    /// All of it, in the order of the command line.
    pub(crate) fn into_numa(self) -> NumaConfig {
        let mut numa = NumaConfig::default();
        for option in self.numa {
            match option {
                NumaOption::Node(node) => numa.nodes.push(node),
                NumaOption::Distance(distance) => numa.distances.push(distance),
                NumaOption::Access(access) => numa.accesses.push(access),
            }
        }
        numa
    }
}

/// One `--numa`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NumaOption {
    /// A node.
    Node(NodeConfig),
    /// How far it is from another.
    Distance(NodeDistance),
    /// How fast its memory is.
    Access(NodeAccess),
}

/// Why a text says nothing about nodes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum NumaError {
    /// Neither a node nor a way.
    #[error("`{0}` is nothing of a node's, use node, distance or access")]
    Kind(String),
    /// A key that is not there.
    #[error("unknown key `{key}`, use {known}")]
    Key {
        /// The key.
        key: String,
        /// What there is.
        known: &'static str,
    },
    /// A key that must be there.
    #[error("{0}= is missing, write for example {1}")]
    Missing(&'static str, &'static str),
    /// Not a range of vCPUs.
    #[error("cpus={0} is no range of vCPUs, write for example cpus=0-3")]
    Cpus(String),
    /// Not a number of a node.
    #[error("{0}={1} is no node, write its number: the first --numa node is 0")]
    Node(&'static str, String),
    /// Nearer than near, or too far.
    #[error("value={0} is no distance, write a number from 11 to 254, or 255 where there is no way")]
    Distance(String),
    /// Not a latency that the table can tell.
    #[error("latency={0} is none, write nanoseconds from 1 to 65534")]
    Latency(String),
    /// Not a bandwidth that the table can tell.
    #[error("bandwidth={0} is none, write bytes a second as a multiple of 1M, for example 10G")]
    Bandwidth(String),
    /// Not a size.
    #[error(transparent)]
    Memory(#[from] MachineError),
    /// Not of the shape.
    #[error(transparent)]
    Fields(#[from] FieldsError),
}

impl FromStr for NumaOption {
    type Err = NumaError;

    fn from_str(text: &str) -> Result<Self, NumaError> {
        let (kind, rest) = text.split_once(',').unwrap_or((text, ""));
        match kind {
            "node" if rest.is_empty() => Err(NumaError::Missing("cpus", "node,cpus=0-1,memory=1G")),
            "node" => node(rest).map(Self::Node),
            "distance" if rest.is_empty() => Err(Way::missing("from")),
            "distance" => distance(rest).map(Self::Distance),
            "access" if rest.is_empty() => Err(Way::missing("from")),
            "access" => access(rest).map(Self::Access),
            _ => Err(NumaError::Kind(kind.into())),
        }
    }
}

fn node(text: &str) -> Result<NodeConfig, NumaError> {
    let mut node = NodeConfig::default();
    let mut memory = None;
    for (key, value) in Fields::repeatable(text)? {
        match key.as_str() {
            "cpus" => node.cpus.push(cpus(&value).ok_or(NumaError::Cpus(value))?),
            "memory" if memory.is_some() => return Err(FieldsError::Twice(key).into()),
            "memory" => memory = Some(value.parse::<MemorySize>()?),
            _ => return Err(NumaError::Key { key, known: "cpus or memory" }),
        }
    }
    node.memory = memory.map_or(0, |MemorySize(bytes)| bytes);
    Ok(node)
}

/// `FIRST-LAST`, or one number for both.
fn cpus(text: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = decimal(first)?..=decimal(last)?;
    (!range.is_empty()).then_some(range)
}

/// From where to where.
#[derive(Default)]
struct Way {
    from: Option<u32>,
    to: Option<u32>,
}

impl Way {
    fn missing(key: &'static str) -> NumaError {
        NumaError::Missing(key, "from=0,to=1")
    }

    fn set_from(&mut self, value: String) -> Result<(), NumaError> {
        self.from = Some(decimal(&value).ok_or(NumaError::Node("from", value))?);
        Ok(())
    }

    fn set_to(&mut self, value: String) -> Result<(), NumaError> {
        self.to = Some(decimal(&value).ok_or(NumaError::Node("to", value))?);
        Ok(())
    }

    fn ends(&self) -> Result<(u32, u32), NumaError> {
        let from = self.from.ok_or_else(|| Self::missing("from"))?;
        Ok((from, self.to.ok_or_else(|| Self::missing("to"))?))
    }
}

fn distance(text: &str) -> Result<NodeDistance, NumaError> {
    let mut way = Way::default();
    let mut distance = None;
    for (key, value) in Fields::pairs(text)? {
        match key.as_str() {
            "from" => way.set_from(value)?,
            "to" => way.set_to(value)?,
            "value" => {
                let number = decimal(&value).filter(|&value: &u8| value > 10);
                distance = Some(number.ok_or(NumaError::Distance(value))?);
            }
            _ => return Err(NumaError::Key { key, known: "from, to or value" }),
        }
    }
    let (from, to) = way.ends()?;
    Ok(NodeDistance { from, to, value: distance.ok_or(NumaError::Missing("value", "value=21"))? })
}

fn access(text: &str) -> Result<NodeAccess, NumaError> {
    let mut way = Way::default();
    let (mut latency, mut bandwidth) = (None, None);
    for (key, value) in Fields::pairs(text)? {
        match key.as_str() {
            "from" => way.set_from(value)?,
            "to" => way.set_to(value)?,
            "latency" => {
                let number = decimal(&value).filter(|latency| (1..u16::MAX).contains(latency));
                latency = Some(number.ok_or(NumaError::Latency(value))?);
            }
            "bandwidth" => bandwidth = Some(parse_bandwidth(&value).ok_or(NumaError::Bandwidth(value))?),
            _ => return Err(NumaError::Key { key, known: "from, to, latency or bandwidth" }),
        }
    }
    let (from, to) = way.ends()?;
    if latency.is_none() && bandwidth.is_none() {
        return Err(NumaError::Missing("latency", "latency=120,bandwidth=10G"));
    }
    Ok(NodeAccess { from, to, latency, bandwidth })
}

fn parse_bandwidth(text: &str) -> Option<u64> {
    let MemorySize(bytes) = text.parse().ok()?;
    (bytes > 0 && bytes.is_multiple_of(1 << 20)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> NumaOption {
        text.parse().unwrap()
    }

    fn message(text: &str) -> String {
        text.parse::<NumaOption>().unwrap_err().to_string()
    }

    #[test]
    fn node_has_vcpus_in_several_ranges_and_memory() {
        let node = NodeConfig { cpus: vec![0..=1, 6..=6], memory: 1 << 30 };
        assert_eq!(parsed("node,cpus=0-1,memory=1G,cpus=6"), NumaOption::Node(node));
        let memory = NodeConfig { cpus: vec![], memory: 64 << 20 };
        assert_eq!(parsed("node,memory=64"), NumaOption::Node(memory));
    }

    #[test]
    fn ways_have_two_ends() {
        assert_eq!(
            parsed("distance,from=0,to=1,value=255"),
            NumaOption::Distance(NodeDistance { from: 0, to: 1, value: 255 })
        );
        let access = NodeAccess { from: 1, to: 0, latency: Some(120), bandwidth: Some(10 << 30) };
        assert_eq!(parsed("access,from=1,to=0,latency=120,bandwidth=10G"), NumaOption::Access(access));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(message("node"), "cpus= is missing, write for example node,cpus=0-1,memory=1G");
        assert_eq!(message("distance"), "from= is missing, write for example from=0,to=1");
        assert_eq!(message("access,from=0,latency=1"), "to= is missing, write for example from=0,to=1");
        assert_eq!(message("distance,from=0,to=1"), "value= is missing, write for example value=21");
        let expected = "latency= is missing, write for example latency=120,bandwidth=10G";
        assert_eq!(message("access,from=0,to=1"), expected);
    }

    #[test]
    fn wrong_values_are_named() {
        assert_eq!(message("cell,cpus=0"), "`cell` is nothing of a node's, use node, distance or access");
        assert_eq!(message("node,mem=1G"), "unknown key `mem`, use cpus or memory");
        assert_eq!(message("node,memory=1G,memory=2G"), "memory is given twice, give it once");
        for range in ["3-1", "-1", "a", "0-", "0-1-2", ""] {
            assert!(message(&format!("node,cpus={range}")).starts_with(&format!("cpus={range} is no range")));
        }
        assert!(message("node,memory=lots").starts_with("not a size"));
        assert!(message("distance,from=x,to=1,value=20").starts_with("from=x is no node"));
        for value in ["10", "256", "near"] {
            let text = format!("distance,from=0,to=1,value={value}");
            assert!(message(&text).starts_with(&format!("value={value} is no distance")));
        }
        assert!(message("access,from=0,to=1,latency=65535").starts_with("latency=65535 is none"));
        assert!(message("access,from=0,to=1,latency=0").starts_with("latency=0 is none"));
        assert!(message("access,from=0,to=1,bandwidth=1K").starts_with("bandwidth=1K is none"));
    }
}
