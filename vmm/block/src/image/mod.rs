//! Images that are not just the disk's bytes, by the crate `imago`; and raw ones that bypass the page cache, or stand under a
//! snapshot.
//!
//! ```text
//!  overlay of a snapshot, a nameless file          each layer locked like any image: the top one against everybody,
//!   └► the image that was named                    the others against writers
//!       └► its backing file, and so on
//! ```

mod backing;
mod direct;
mod snapshot;

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use imago::file::File;
use imago::io_buffers::{IoVector, IoVectorMut};
use imago::qcow2::Qcow2;
use imago::raw::Raw;
use imago::vmdk::Vmdk;
use imago::{DenyImplicitOpenGate, FormatAccess, FormatDriverBuilder as _, StorageOpenOptions};
use vm_memory::VolatileSlice;

use crate::backend::total;
use crate::host_file::{Cached, HostFile};
use crate::{Access, Backend, Error, Format, Geometry, OpenError, OpenMode, Operation, Room, SECTOR};

use backing::{Chain, SameFolder};
use direct::Direct;

pub(crate) use backing::folder;

/// A disk image of any format.
pub(crate) struct Image {
    /// Locked to write by what changes where data is; transfers share it.
    layers: RwLock<FormatAccess<File>>,
    geometry: Geometry,
    /// If it is raw.
    direct: Option<Direct>,
}

impl Image {
    /// The disk in `file`, whose references to other files must stay in the folder `within`.
    pub(crate) fn open(file: HostFile, format: Format, within: &Path) -> Result<Self, OpenError> {
        let block_size = file.block_size();
        let path = file.path.clone();
        let access = file.access();
        let shared = (format == Format::Raw).then(|| file.share()).transpose()?;
        let layers = open_layers(file, format, &mut Chain::new(within))?;
        let direct =
            shared.map(|file| Direct { file, block: layers.req_align(), memory: layers.mem_align() });
        match Self::new(layers, access, block_size) {
            Ok(image) => Ok(Self { direct, ..image }),
            Err(source) => Err(OpenError::Format { path, format, source }),
        }
    }

    /// The disk in `file`, which stays as it is: what the guest writes goes to a temporary file, and is gone with it.
    pub(crate) fn open_snapshot(file: HostFile, format: Format, within: &Path) -> Result<Self, OpenError> {
        let block_size = file.block_size();
        let path = file.path.clone();
        let layers = open_layers(file, format, &mut Chain::new(within))?;
        let overlay = snapshot::over(layers, &path)?;
        Self::new(overlay, Access::ReadWrite, block_size).map_err(|source| OpenError::Format {
            path,
            format,
            source,
        })
    }

    fn new(layers: FormatAccess<File>, access: Access, block_size: u32) -> io::Result<Self> {
        let size = layers.size();
        if size == 0 || !size.is_multiple_of(SECTOR) {
            return Err(invalid(format!("its disk has {size} bytes, not a multiple of 512 above 0")));
        }
        let geometry = Geometry { sectors: size / SECTOR, block_size, access };
        Ok(Self { layers: RwLock::new(layers), geometry, direct: None })
    }

    fn layers(&self) -> RwLockReadGuard<'_, FormatAccess<File>> {
        self.layers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn layers_alone(&self) -> RwLockWriteGuard<'_, FormatAccess<File>> {
        self.layers.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Image {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn read(&self, offset: u64, to: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.geometry.check(offset, total(to))?;
        let Some(to) = filled(to) else { return Ok(()) };
        let (vector, _guard) = IoVectorMut::from_volatile_slice(to);
        Ok(self.layers().readv(vector, offset)?)
    }

    fn write(&self, offset: u64, from: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.geometry.check_write(offset, total(from))?;
        let Some(from) = filled(from) else { return Ok(()) };
        let (vector, _guard) = IoVector::from_volatile_slice(from);
        Ok(self.layers().writev(vector, offset)?)
    }

    fn flush(&self) -> Result<(), Error> {
        let layers = self.layers();
        layers.flush()?; // what imago holds, to the file
        Ok(layers.sync()?) // and the file to the storage
    }

    /// Of a raw image imago holds nothing back that a flush would have to care for.
    fn file_for(&self, operation: &Operation<'_>) -> Option<BorrowedFd<'_>> {
        let direct = self.direct.as_ref().filter(|_| self.geometry.allows(operation));
        direct?.file_for(operation)
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), Error> {
        self.write_zeroes(offset, len, Room::Free)
    }

    fn write_zeroes(&self, offset: u64, len: u64, room: Room) -> Result<(), Error> {
        self.geometry.check_write(offset, len)?;
        match room {
            Room::Keep => self.layers().write_zeroes(offset, len)?,
            Room::Free => self.layers_alone().discard_to_zero(offset, len)?,
        }
        Ok(())
    }
}

/// Opens the image in `file` with all that it stands on.
fn open_layers(file: HostFile, format: Format, chain: &mut Chain) -> Result<FormatAccess<File>, OpenError> {
    chain.enter(&file)?;
    let (path, writable) = (file.path.clone(), file.mode == OpenMode::ReadWrite);
    let failed = |source| OpenError::Format { path: path.clone(), format, source };
    if format == Format::Vmdk && writable {
        return Err(OpenError::ReadOnlyFormat { path, format });
    }
    let storage = storage(file).map_err(failed)?;
    match format {
        Format::Raw => {
            let raw = Raw::builder(storage).write(writable).open(DenyImplicitOpenGate::default());
            Ok(FormatAccess::new(raw.map_err(failed)?))
        }
        Format::Qcow2 => open_qcow2(storage, writable, &path, chain),
        Format::Vmdk => {
            let vmdk = Vmdk::<File>::builder(storage).open(SameFolder::new(&path, chain));
            Ok(FormatAccess::new(vmdk.map_err(failed)?))
        }
    }
}

fn open_qcow2(
    storage: File,
    writable: bool,
    path: &Path,
    chain: &mut Chain,
) -> Result<FormatAccess<File>, OpenError> {
    let builder = Qcow2::builder(storage).backing(None).data_file(None).write(writable);
    let mut qcow2 = builder.open(DenyImplicitOpenGate::default()).map_err(|source| OpenError::Format {
        path: path.into(),
        format: Format::Qcow2,
        source,
    })?;
    if qcow2.requires_external_data_file() {
        return Err(OpenError::DataFile(path.into()));
    }
    if let Some(name) = qcow2.implicit_backing_file() {
        let (file, format) = chain.backing(path, name, qcow2.implicit_backing_format())?;
        qcow2.set_backing(Some(open_layers(file, format, chain)?));
    }
    Ok(FormatAccess::new(qcow2))
}

/// `file` in imago's hands. It keeps the lock.
fn storage(file: HostFile) -> io::Result<File> {
    let options = StorageOpenOptions::new()
        .filename(&file.path)
        .write(file.mode == OpenMode::ReadWrite)
        .direct(file.cached == Cached::No);
    File::from_open_file(file.into_file(), options)
}

/// The slices that are not empty, which imago insists on; none if all are.
fn filled<'a, 'm>(slices: &'a [VolatileSlice<'m>]) -> Option<Vec<&'a VolatileSlice<'m>>> {
    let filled: Vec<_> = slices.iter().filter(|slice| !slice.is_empty()).collect();
    (!filled.is_empty()).then_some(filled)
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}
