//! `--pmem FILE,size=SIZE`.

use std::str::FromStr;

use super::fields::{Fields, FieldsError};
use super::machine::{MachineError, MemorySize};
use crate::config::PmemConfig;

/// Why a text is no persistent memory.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PmemError {
    /// No file.
    #[error("no file, write FILE,size=SIZE")]
    NoFile,
    /// No size.
    #[error("no size, write FILE,size=SIZE; a file that is not there is made")]
    NoSize,
    /// Not a size.
    #[error("size={0}: {1}")]
    Size(String, MachineError),
    /// A key that there is not.
    #[error("unknown key `{0}`, use size")]
    Key(String),
    /// Not of the shape.
    #[error(transparent)]
    Fields(#[from] FieldsError),
}

impl FromStr for PmemConfig {
    type Err = PmemError;

    fn from_str(text: &str) -> Result<Self, PmemError> {
        let Fields { first: path, pairs } = Fields::parse(text)?;
        if path.is_empty() {
            return Err(PmemError::NoFile);
        }
        let mut size = None;
        for (key, value) in pairs {
            match key.as_str() {
                "size" => size = Some(value.parse().map_err(|error| PmemError::Size(value, error))?),
                _ => return Err(PmemError::Key(key)),
            }
        }
        let MemorySize(size) = size.ok_or(PmemError::NoSize)?;
        Ok(Self { path: path.into(), size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pmem(text: &str) -> Result<PmemConfig, PmemError> {
        text.parse()
    }

    #[test]
    fn memory_has_a_file_and_a_size() {
        assert_eq!(pmem("a,,b,size=2G"), Ok(PmemConfig { path: "a,b".into(), size: 2 << 30 }));
        assert_eq!(pmem(",size=2G"), Err(PmemError::NoFile));
        assert_eq!(pmem("a"), Err(PmemError::NoSize));
        assert!(matches!(pmem("a,size=much"), Err(PmemError::Size(..))));
        assert_eq!(pmem("a,size=1G,share=on"), Err(PmemError::Key("share".into())));
    }
}
