use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::error::BootError;
use crate::machine::plan::Range;

/// A file of the user's. It stays open, so that a reset finds what power-on found.
#[derive(Debug)]
pub(super) struct Source {
    option: &'static str,
    path: PathBuf,
    file: File,
    len: u64,
}

impl Source {
    /// Opens the file that `option` names.
    pub(super) fn open(option: &'static str, path: &Path) -> Result<Self, BootError> {
        let failed = |source| BootError::Read { option, path: path.into(), source };
        // Asked first: to open a pipe is to wait for its writer.
        if !path.metadata().map_err(failed)?.is_file() {
            return Err(BootError::NoFile { option, path: path.into() });
        }
        let file = File::open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        Ok(Self { option, path: path.into(), file, len })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// Bytes.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// The first bytes, `most` of them or all there are.
    pub(super) fn head(&self, most: u64) -> Result<Vec<u8>, BootError> {
        self.read(Range::new(0, most.min(self.len)))
    }

    /// The bytes `range`, which the headers of a kernel speak of.
    pub(super) fn read(&self, range: Range) -> Result<Vec<u8>, BootError> {
        self.check(range)?;
        let mut bytes = vec![0; range.len as usize];
        self.file.read_exact_at(&mut bytes, range.start).map_err(|error| self.failed(error))?;
        Ok(bytes)
    }

    /// That the file has the bytes `range`.
    pub(super) fn check(&self, range: Range) -> Result<(), BootError> {
        let need = range.start.saturating_add(range.len);
        if need > self.len {
            return Err(BootError::CutShort { path: self.path.clone(), len: self.len, need });
        }
        Ok(())
    }

    /// It is a kernel, but not for this machine.
    pub(super) fn unusable(&self, why: &'static str) -> BootError {
        BootError::Unusable { path: self.path.clone(), why }
    }

    pub(super) fn failed(&self, source: io::Error) -> BootError {
        BootError::Read { option: self.option, path: self.path.clone(), source }
    }
}
