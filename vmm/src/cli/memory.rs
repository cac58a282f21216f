//! `--memory SIZE[,hugepages=on|off|2M|1G][,shared=on][,prefault=on][,thp=always|never][,merge=on]`.

use std::str::FromStr;

use super::fields::{Fields, FieldsError};
use super::machine::{MachineError, MemorySize};
use crate::backing::{Backing, HugePage, Pages};

/// Guest memory: how much, and what of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Bytes.
    pub(crate) size: u64,
    /// What of.
    pub(crate) backing: Backing,
}

/// Why a text is no memory.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum MemoryError {
    /// Not a size.
    #[error(transparent)]
    Size(#[from] MachineError),
    /// A value that the key does not take.
    #[error("{key}={value} is no choice, use {choices}")]
    Choice {
        /// The key.
        key: &'static str,
        /// What was written.
        value: String,
        /// What could be.
        choices: &'static str,
    },
    /// A key that memory does not have.
    #[error("unknown key `{0}`, use hugepages, shared, prefault, thp or merge")]
    Key(String),
    /// Two keys that do not go together.
    #[error("{0} and {1} exclude each other: {2}")]
    Contradiction(&'static str, &'static str, &'static str),
    /// Not of the shape.
    #[error(transparent)]
    Fields(#[from] FieldsError),
}

impl FromStr for Memory {
    type Err = MemoryError;

    fn from_str(text: &str) -> Result<Self, MemoryError> {
        let Fields { first, pairs } = Fields::parse(text)?;
        let MemorySize(size) = first.parse()?;
        let mut keys = Keys::default();
        for (key, value) in &pairs {
            keys.set(key, value)?;
        }
        Ok(Self { size, backing: keys.backing()? })
    }
}

/// What was written, before one key meets the others.
#[derive(Default)]
struct Keys {
    huge: Option<HugePage>,
    thp: Option<Pages>,
    shared: bool,
    prefault: bool,
    merge: bool,
}

impl Keys {
    fn set(&mut self, key: &str, value: &str) -> Result<(), MemoryError> {
        match key {
            "hugepages" => self.huge = huge_pages(value)?,
            "thp" => self.thp = Some(transparent(value)?),
            "shared" => self.shared = switch("shared", value)?,
            "prefault" => self.prefault = switch("prefault", value)?,
            "merge" => self.merge = switch("merge", value)?,
            _ => return Err(MemoryError::Key(key.into())),
        }
        Ok(())
    }

    fn backing(self) -> Result<Backing, MemoryError> {
        let refused = |a, b, why| Err(MemoryError::Contradiction(a, b, why));
        match (self.huge, self.thp) {
            (Some(_), Some(_)) => {
                return refused("hugepages", "thp", "huge pages are not joined from small ones");
            }
            (Some(_), _) if self.merge => {
                return refused("hugepages", "merge", "only small pages are merged");
            }
            _ if self.shared && self.merge => {
                return refused("shared", "merge", "only private pages are merged");
            }
            _ => {}
        }
        let pages = self.huge.map(Pages::Huge).or(self.thp).unwrap_or_default();
        Ok(Backing { pages, shared: self.shared, prefault: self.prefault, merge: self.merge })
    }
}

fn choice(key: &'static str, value: &str, choices: &'static str) -> MemoryError {
    MemoryError::Choice { key, value: value.into(), choices }
}

fn huge_pages(value: &str) -> Result<Option<HugePage>, MemoryError> {
    match value {
        "off" => Ok(None),
        "on" | "2M" => Ok(Some(HugePage::Mib2)),
        "1G" => Ok(Some(HugePage::Gib1)),
        _ => Err(choice("hugepages", value, "2M, 1G, on (2M) or off")),
    }
}

fn transparent(value: &str) -> Result<Pages, MemoryError> {
    match value {
        "always" => Ok(Pages::Transparent),
        "never" => Ok(Pages::Small),
        _ => Err(choice("thp", value, "always or never")),
    }
}

fn switch(key: &'static str, value: &str) -> Result<bool, MemoryError> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(choice(key, value, "on or off")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backing(text: &str) -> Backing {
        text.parse::<Memory>().unwrap().backing
    }

    fn message(text: &str) -> String {
        text.parse::<Memory>().unwrap_err().to_string()
    }

    #[test]
    fn size_alone_is_private_memory_with_transparent_huge_pages() {
        assert_eq!("2G".parse(), Ok(Memory { size: 2 << 30, backing: Backing::default() }));
    }

    #[test]
    fn keys_come_together() {
        let expected =
            Backing { pages: Pages::Huge(HugePage::Gib1), shared: true, prefault: true, merge: false };
        assert_eq!(backing("2G,hugepages=1G,shared=on,prefault=on,merge=off"), expected);
        assert_eq!(backing("2G,hugepages=on").pages, Pages::Huge(HugePage::Mib2));
        assert_eq!(backing("2G,hugepages=off,thp=never,merge=on").to_string(), "small pages, merged");
    }

    #[test]
    fn contradictions_name_both_keys() {
        let expected = "hugepages and thp exclude each other: huge pages are not joined from small ones";
        assert_eq!(message("2G,thp=always,hugepages=2M"), expected);
        assert!(message("2G,merge=on,hugepages=2M").starts_with("hugepages and merge exclude each other"));
        assert!(message("2G,merge=on,shared=on").starts_with("shared and merge exclude each other"));
    }

    #[test]
    fn wrong_values_are_named() {
        assert_eq!(message("lots,shared=on"), "not a size, write for example 512M or 6G");
        assert_eq!(message("2G,hugepages=4M"), "hugepages=4M is no choice, use 2M, 1G, on (2M) or off");
        assert_eq!(message("2G,thp=madvise"), "thp=madvise is no choice, use always or never");
        assert_eq!(message("2G,shared=yes"), "shared=yes is no choice, use on or off");
        assert!(message("2G,slots=2").starts_with("unknown key `slots`, use hugepages, "));
    }
}
