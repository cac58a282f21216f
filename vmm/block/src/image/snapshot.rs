//! A qcow2 image without a name, for what a guest writes and nobody shall keep.

use std::io;
use std::path::{Path, PathBuf};

use imago::file::File;
use imago::qcow2::Qcow2;
use imago::{DenyImplicitOpenGate, FormatAccess, FormatCreateBuilder as _, FormatDriverBuilder as _};

use crate::OpenError;

/// Lays an empty image over `layers`, those of the image at `path`.
pub(super) fn over(layers: FormatAccess<File>, path: &Path) -> Result<FormatAccess<File>, OpenError> {
    let dir = folder();
    match create(layers, &dir) {
        Ok(overlay) => Ok(overlay),
        Err(source) => Err(OpenError::Snapshot { path: path.into(), dir, source }),
    }
}

fn create(layers: FormatAccess<File>, dir: &Path) -> io::Result<FormatAccess<File>> {
    let size = layers.size();
    let file = File::try_from(tempfile::tempfile_in(dir)?)?;
    let overlay =
        Qcow2::create_builder(file).size(size).create_open(DenyImplicitOpenGate::default(), |file| {
            Ok(Qcow2::builder(file).write(true).backing(Some(layers)).data_file(None))
        })?;
    Ok(FormatAccess::new(overlay))
}

/// Not /tmp, which is often in memory.
fn folder() -> PathBuf {
    std::env::var_os("TMPDIR").map_or_else(|| "/var/tmp".into(), PathBuf::from)
}
