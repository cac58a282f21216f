//! The keys of `--disk` that concern its image: `format`, `cache`, `aio`, `snapshot`, `backing-dir`, `queues`, and the limits `bps`,
//! `bps-burst`, `iops` and `iops-burst`.

use std::str::FromStr;

use block::{Aio, Format, Limit};
use virtio::blk::MAX_QUEUES;

use super::machine::{MemorySize, decimal};
use crate::config::{Cache, ImageConfig};

/// What a key may be set to.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ImageError {
    /// No format of this name.
    #[error("format={0} is no format, use format=raw, qcow2, vmdk or auto")]
    Format(String),
    /// No way to cache.
    #[error("cache={0} is no choice, use cache=writeback, cache=writethrough or cache=none")]
    Cache(String),
    /// No engine.
    #[error("aio={0} is no choice, use aio=auto, aio=io_uring or aio=threads")]
    Aio(String),
    /// An engine that this image cannot have.
    #[error("aio=io_uring is for raw images, not with {0}: leave one of them out, or use aio=threads")]
    NoRing(&'static str),
    /// Neither yes nor no.
    #[error("snapshot={0} is no choice, use snapshot=on or snapshot=off")]
    Snapshot(String),
    /// No folder.
    #[error("backing-dir= names no folder, write backing-dir=DIR")]
    BackingDir,
    /// Not a number of queues.
    #[error("queues={0} is no number of queues, use 1 to {MAX_QUEUES}")]
    Queues(String),
    /// Not a rate.
    #[error("{0}={1} is no rate, write a number a second above 0, for example bps=10M or iops=500")]
    Rate(&'static str, String),
    /// What may exceed a rate that there is not.
    #[error("{0}-burst= says nothing without {0}=, add that or leave this out")]
    BurstAlone(&'static str),
}

/// The keys as they are written, until all are known.
#[derive(Debug, Default)]
pub(crate) struct ImageKeys {
    image: ImageConfig,
    bps: Rate,
    iops: Rate,
}

/// Two keys that belong together.
#[derive(Debug, Default)]
pub(super) struct Rate {
    pub(super) rate: Option<u64>,
    pub(super) burst: Option<u64>,
}

impl ImageKeys {
    /// Takes a key if it is one of these; false if it is not.
    ///
    /// # Errors
    /// The value is not one for this key.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<bool, ImageError> {
        let image = &mut self.image;
        match key {
            "format" if value == "auto" => image.format = None,
            "format" => {
                image.format = Some(value.parse().map_err(|_| ImageError::Format(value.into()))?);
            }
            "cache" => image.cache = value.parse()?,
            "aio" => image.aio = value.parse().map_err(|_| ImageError::Aio(value.into()))?,
            "snapshot" => image.snapshot = on_or_off(value)?,
            "backing-dir" if value.is_empty() => return Err(ImageError::BackingDir),
            "backing-dir" => image.backing_dir = Some(value.into()),
            "queues" => image.queues = Some(queues(value)?),
            "bps" => self.bps.rate = Some(bytes("bps", value)?),
            "bps-burst" => self.bps.burst = Some(bytes("bps-burst", value)?),
            "iops" => self.iops.rate = Some(operations("iops", value)?),
            "iops-burst" => self.iops.burst = Some(operations("iops-burst", value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What the keys say together.
    ///
    /// # Errors
    /// One of them needs another.
    pub(crate) fn finish(mut self) -> Result<ImageConfig, ImageError> {
        self.image.limits.bytes = self.bps.limit("bps")?;
        self.image.limits.operations = self.iops.limit("iops")?;
        match no_ring(&self.image) {
            Some(why) if self.image.aio == Aio::IoUring => Err(ImageError::NoRing(why)),
            _ => Ok(self.image),
        }
    }
}

/// Why the kernel's ring is not for an image, as far as the keys tell.
pub(super) fn no_ring(image: &ImageConfig) -> Option<&'static str> {
    match image {
        _ if image.snapshot => Some("snapshot=on"),
        _ if !image.limits.is_none() => Some("limits such as bps= or iops="),
        ImageConfig { format: Some(Format::Qcow2), .. } => Some("format=qcow2"),
        ImageConfig { format: Some(Format::Vmdk), .. } => Some("format=vmdk"),
        _ => None,
    }
}

impl Rate {
    /// Without a word about bursts, a tenth of a second's worth is free, as in QEMU.
    pub(super) fn limit(&self, name: &'static str) -> Result<Option<Limit>, ImageError> {
        match (self.rate, self.burst) {
            (None, Some(_)) => Err(ImageError::BurstAlone(name)),
            (None, None) => Ok(None),
            (Some(rate), burst) => Ok(Some(Limit { rate, burst: burst.unwrap_or(rate / 10) })),
        }
    }
}

impl FromStr for Cache {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        match text {
            "writeback" => Ok(Self::WriteBack),
            "writethrough" => Ok(Self::WriteThrough),
            "none" => Ok(Self::None),
            _ => Err(ImageError::Cache(text.into())),
        }
    }
}

fn on_or_off(text: &str) -> Result<bool, ImageError> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(ImageError::Snapshot(text.into())),
    }
}

fn queues(text: &str) -> Result<u16, ImageError> {
    let queues = decimal(text).filter(|queues| (1..=MAX_QUEUES).contains(queues));
    queues.ok_or_else(|| ImageError::Queues(text.into()))
}

/// A number of bytes with a unit, bytes without one.
pub(super) fn bytes(key: &'static str, text: &str) -> Result<u64, ImageError> {
    let size = match decimal(text) {
        None => text.parse::<MemorySize>().ok().map(|size| size.0),
        number => number,
    };
    size.filter(|&size| size > 0).ok_or_else(|| ImageError::Rate(key, text.into()))
}

pub(super) fn operations(key: &'static str, text: &str) -> Result<u64, ImageError> {
    decimal(text).filter(|&rate| rate > 0).ok_or_else(|| ImageError::Rate(key, text.into()))
}

#[cfg(test)]
mod tests {
    use block::Limits;

    use super::*;

    fn image(keys: &[(&str, &str)]) -> Result<ImageConfig, ImageError> {
        let mut image = ImageKeys::default();
        for (key, value) in keys {
            assert!(image.set(key, value)?, "{key} is known");
        }
        image.finish()
    }

    #[test]
    fn every_key_is_kept() {
        let keys = [
            ("format", "qcow2"),
            ("cache", "none"),
            ("aio", "threads"),
            ("snapshot", "on"),
            ("backing-dir", "/srv"),
            ("queues", "4"),
            ("bps", "10M"),
            ("bps-burst", "4096"),
            ("iops", "500"),
        ];
        let bytes = Some(Limit { rate: 10 << 20, burst: 4096 });
        let operations = Some(Limit { rate: 500, burst: 50 });
        let expected = ImageConfig {
            format: Some(Format::Qcow2),
            cache: Cache::None,
            aio: Aio::Threads,
            snapshot: true,
            backing_dir: Some("/srv".into()),
            limits: Limits { bytes, operations },
            queues: Some(4),
        };
        assert_eq!(image(&keys), Ok(expected));
        assert_eq!(image(&[("format", "auto")]), Ok(ImageConfig::default()));
    }

    #[test]
    fn wrong_values_are_refused() {
        let error = |key, value| image(&[(key, value)]).unwrap_err();
        assert_eq!(error("format", "vdi"), ImageError::Format("vdi".into()));
        assert_eq!(error("cache", "unsafe"), ImageError::Cache("unsafe".into()));
        assert_eq!(error("aio", "native"), ImageError::Aio("native".into()));
        assert_eq!(error("snapshot", ""), ImageError::Snapshot(String::new()));
        for text in ["0", "65", "many"] {
            assert_eq!(error("queues", text), ImageError::Queues(text.into()));
        }
        for text in ["0", "-1", "fast", "0M"] {
            assert_eq!(error("bps", text), ImageError::Rate("bps", text.into()));
        }
        assert_eq!(error("iops", "5k"), ImageError::Rate("iops", "5k".into()));
        assert_eq!(error("iops-burst", "5"), ImageError::BurstAlone("iops"));
        assert_eq!(ImageKeys::default().set("bus", "x"), Ok(false));
    }

    #[test]
    fn ring_is_for_raw_images() {
        let with = |key, value| image(&[("aio", "io_uring"), (key, value)]);
        assert_eq!(with("format", "raw").map(|image| image.aio), Ok(Aio::IoUring));
        for (key, value) in [("format", "qcow2"), ("snapshot", "on"), ("iops", "5")] {
            let error = with(key, value).unwrap_err().to_string();
            assert!(error.contains(key) && error.ends_with("use aio=threads"), "{error}");
        }
    }
}
