//! `--cpus N[,sockets=N][,dies=N][,cores=N][,threads=N]`, the keys of QEMU's `-smp`.
//!
//! A level that is not given is 1; of the levels cores, sockets and threads, the first not given takes what is left of the
//! number of vCPUs.

use std::str::FromStr;

use super::fields::{Fields, FieldsError};
use crate::topology::Topology;

/// Why a text is no arrangement of vCPUs.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TopologyError {
    /// Not a number.
    #[error("not a number of vCPUs, write for example 4")]
    Count,
    /// A level that is not a number from 1.
    #[error("{0}={1} is no count, write a number from 1")]
    Level(String, String),
    /// A key that vCPUs do not have.
    #[error("unknown key `{0}`, use sockets, dies, cores or threads")]
    Key(String),
    /// The levels make another number.
    #[error("{count} vCPUs and {levels} contradict each other: that is {product}; leave one of them out")]
    Contradiction {
        /// vCPUs asked for.
        count: u32,
        /// The levels asked for.
        levels: String,
        /// vCPUs that the levels make.
        product: u64,
    },
    /// The level that is left to find is no whole number.
    #[error("{count} vCPUs and {levels} contradict each other: {count} is no multiple of {product}")]
    Indivisible {
        /// vCPUs asked for.
        count: u32,
        /// The levels asked for.
        levels: String,
        /// vCPUs that the levels make.
        product: u64,
    },
    /// Not of the shape.
    #[error(transparent)]
    Fields(#[from] FieldsError),
}

impl FromStr for Topology {
    type Err = TopologyError;

    fn from_str(text: &str) -> Result<Self, TopologyError> {
        let Fields { first, pairs } = Fields::parse(text)?;
        let count = number(&first).ok_or(TopologyError::Count)?;
        let mut levels = Levels::default();
        for (key, value) in &pairs {
            levels.set(key, value)?;
        }
        levels.resolve(count)
    }
}

/// What was said about the levels.
#[derive(Clone, Copy, Default)]
struct Levels {
    sockets: Option<u32>,
    dies: Option<u32>,
    cores: Option<u32>,
    threads: Option<u32>,
}

impl Levels {
    fn set(&mut self, key: &str, value: &str) -> Result<(), TopologyError> {
        let level = match key {
            "sockets" => &mut self.sockets,
            "dies" => &mut self.dies,
            "cores" => &mut self.cores,
            "threads" => &mut self.threads,
            _ => return Err(TopologyError::Key(key.into())),
        };
        let given = number(value).filter(|&count| count > 0);
        *level = Some(given.ok_or_else(|| TopologyError::Level(key.into(), value.into()))?);
        Ok(())
    }

    /// The arrangement of `count` vCPUs.
    fn resolve(mut self, count: u32) -> Result<Topology, TopologyError> {
        let levels = || self.to_string();
        let product = self.product();
        if let Some(open) = [self.cores, self.sockets, self.threads].iter().position(Option::is_none) {
            if !u64::from(count).is_multiple_of(product) {
                return Err(TopologyError::Indivisible { count, levels: levels(), product });
            }
            let rest = (u64::from(count) / product) as u32;
            match open {
                0 => self.cores = Some(rest),
                1 => self.sockets = Some(rest),
                _ => self.threads = Some(rest),
            }
        } else if product != u64::from(count) {
            return Err(TopologyError::Contradiction { count, levels: levels(), product });
        }
        let level = |given: Option<u32>| given.unwrap_or(1);
        Ok(Topology {
            sockets: level(self.sockets),
            dies: level(self.dies),
            cores: level(self.cores),
            threads: level(self.threads),
        })
    }

    /// vCPUs that the given levels make.
    fn product(self) -> u64 {
        self.named().into_iter().filter_map(|(_, count)| count).map(u64::from).fold(1, u64::saturating_mul)
    }

    fn named(self) -> [(&'static str, Option<u32>); 4] {
        [("sockets", self.sockets), ("dies", self.dies), ("cores", self.cores), ("threads", self.threads)]
    }
}

impl std::fmt::Display for Levels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let given = self.named().into_iter().filter_map(|(name, count)| Some(format!("{name}={}", count?)));
        f.write_str(&given.collect::<Vec<_>>().join(","))
    }
}

/// Digits alone: the standard library would take a `+`.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> [u32; 4] {
        let Topology { sockets, dies, cores, threads } = text.parse().unwrap();
        [sockets, dies, cores, threads]
    }

    fn message(text: &str) -> String {
        text.parse::<Topology>().unwrap_err().to_string()
    }

    #[test]
    fn plain_number_is_cores_of_one_package() {
        assert_eq!(parsed("4"), [1, 1, 4, 1]);
        assert_eq!(parsed("0"), [1, 1, 0, 1]);
    }

    #[test]
    fn number_that_is_none_is_refused() {
        for text in ["", "two", "-1", "+1", "1.0", "4294967296", ",cores=2"] {
            assert_eq!(text.parse::<Topology>(), Err(TopologyError::Count), "{text}");
        }
    }

    #[test]
    fn first_open_level_takes_what_is_left() {
        assert_eq!(parsed("8,sockets=2"), [2, 1, 4, 1]);
        assert_eq!(parsed("8,threads=2"), [1, 1, 4, 2]);
        assert_eq!(parsed("8,cores=2"), [4, 1, 2, 1]);
        assert_eq!(parsed("8,sockets=2,cores=2"), [2, 1, 2, 2]);
        assert_eq!(parsed("8,dies=2"), [1, 2, 4, 1]);
    }

    #[test]
    fn complete_arrangement_is_taken_as_it_is() {
        assert_eq!(parsed("8,sockets=2,dies=1,cores=2,threads=2"), [2, 1, 2, 2]);
    }

    #[test]
    fn contradictions_name_both_sides() {
        let expected =
            "8 vCPUs and sockets=2,cores=3,threads=1 contradict each other: that is 6; leave one of them out";
        assert_eq!(message("8,sockets=2,cores=3,threads=1"), expected);
        let expected = "7 vCPUs and sockets=2 contradict each other: 7 is no multiple of 2";
        assert_eq!(message("7,sockets=2"), expected);
        let huge = "2,sockets=4294967295,dies=4294967295,cores=4294967295,threads=4294967295";
        assert!(message(huge).contains("that is 18446744073709551615"), "{}", message(huge));
    }

    #[test]
    fn wrong_levels_are_named() {
        assert_eq!(message("4,sockets=0"), "sockets=0 is no count, write a number from 1");
        assert_eq!(message("4,cores=many"), "cores=many is no count, write a number from 1");
        assert_eq!(message("4,maxcpus=8"), "unknown key `maxcpus`, use sockets, dies, cores or threads");
        assert_eq!(message("4,cores=2,cores=2"), "cores is given twice, give it once");
    }
}
