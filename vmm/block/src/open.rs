//! From a path and what the user says of it to a disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::host_file::{Cached, HostFile, Kind};
use crate::image::{Image, folder};
use crate::undisguised::Undisguised;
use crate::{Backend, Format, OpenError, OpenMode, RawImage, ReadOnly};

/// What the user says of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// Its format; to be found out if not said.
    pub format: Option<Format>,
    /// What the guest may do.
    pub mode: OpenMode,
    /// Whether the host's page cache is used.
    pub cached: Cached,
    /// What the guest writes is not kept.
    pub snapshot: bool,
    /// The folder that holds all files which the image refers to, if that is not its own.
    pub backing_dir: Option<PathBuf>,
}

/// Opens the disk image at `path`.
///
/// # Errors
/// [`OpenError`], whose message names the path and what to do about it.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Arc<dyn Backend>, OpenError> {
    let mode = if options.snapshot { OpenMode::ReadOnly } else { options.mode };
    let file = HostFile::open(path, mode, options.cached)?;
    let format = options.format.map_or_else(|| guess(&file), Ok)?;
    let within = options.backing_dir.as_deref().unwrap_or(folder(path));
    let backend: Arc<dyn Backend> = match (options.snapshot, format, options.cached) {
        (true, ..) => Arc::new(Image::open_snapshot(file, format, within)?),
        (false, Format::Raw, Cached::Yes) => Arc::new(RawImage::new(file)?),
        (false, Format::Raw, Cached::No) => {
            file.geometry()?; // says best what is wrong with the size
            Arc::new(Image::open(file, format, within)?)
        }
        (false, ..) => Arc::new(Image::open(file, format, within)?),
    };
    Ok(protected(backend, options, format))
}

/// Keeps the guest from what it must not do.
fn protected(backend: Arc<dyn Backend>, options: &OpenOptions, format: Format) -> Arc<dyn Backend> {
    let guessed = options.format.is_none() && format == Format::Raw && !options.snapshot;
    match options.mode {
        OpenMode::ReadOnly => Arc::new(ReadOnly::new(backend)),
        OpenMode::ReadWrite if guessed => Arc::new(Undisguised::new(backend)),
        OpenMode::ReadWrite => backend,
    }
}

/// The format by the first bytes, unless a guest could have put them there: into a raw image, by its name or kind.
fn guess(file: &HostFile) -> Result<Format, OpenError> {
    let found = Format::probe(&file.header()?);
    let is_raw = |extension: &std::ffi::OsStr| extension == "raw" || extension == "img";
    let but = match file.kind {
        _ if found == Format::Raw => return Ok(found),
        Kind::BlockDevice => "is a block device",
        Kind::File if file.path.extension().is_some_and(is_raw) => "is called a raw image",
        Kind::File => return Ok(found),
    };
    Err(OpenError::Doubtful { path: file.path.clone(), found, but })
}
