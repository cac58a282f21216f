//! Image formats, and how to tell one from its first bytes.

use std::fmt;
use std::str::FromStr;

/// How an image keeps a disk's sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Byte for byte.
    Raw,
    /// QEMU's, versions 2 and 3.
    Qcow2,
    /// VMware's, as a text that names flat files. It can be read.
    Vmdk,
}

impl Format {
    /// The format that `header`, the first bytes of an image, is of. Everything can be raw.
    #[must_use]
    pub fn probe(header: &[u8]) -> Self {
        match header {
            [b'Q', b'F', b'I', 0xfb, 0, 0, 0, 2 | 3, ..] => Self::Qcow2,
            [b'K', b'D', b'M', b'V', ..] => Self::Vmdk,
            _ if header.starts_with(b"# Disk DescriptorFile") => Self::Vmdk,
            _ => Self::Raw,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
        })
    }
}

/// No format has this name.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("not raw, qcow2 or vmdk")]
pub struct UnknownFormat;

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        match text {
            "raw" => Ok(Self::Raw),
            "qcow2" => Ok(Self::Qcow2),
            "vmdk" => Ok(Self::Vmdk),
            _ => Err(UnknownFormat),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_told_apart() {
        assert_eq!(Format::probe(b"QFI\xfb\0\0\0\x03rest"), Format::Qcow2);
        assert_eq!(Format::probe(b"QFI\xfb\0\0\0\x01rest"), Format::Raw, "version 1 is another format");
        assert_eq!(Format::probe(b"KDMV\x01"), Format::Vmdk);
        assert_eq!(Format::probe(b"# Disk DescriptorFile\nversion=1\n"), Format::Vmdk);
        for raw in [b"".as_slice(), b"QFI", b"\xeb\x63\x90", b"# Disk"] {
            assert_eq!(Format::probe(raw), Format::Raw);
        }
    }
}
