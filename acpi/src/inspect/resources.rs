//! Resource descriptors read back. ACPI 6.5, section 6.4.

use std::fmt;

use super::bytes::Bytes;

/// A descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Fixed ports.
    Ports {
        /// The first.
        first: u16,
        /// The last.
        last: u16,
    },
    /// Fixed memory-mapped registers.
    Memory {
        /// The first byte.
        first: u64,
        /// The last byte.
        last: u64,
    },
    /// A window that a bridge hands out, or reserves.
    Window {
        /// Of what.
        kind: WindowKind,
        /// The first address or bus.
        first: u64,
        /// The last address or bus.
        last: u64,
    },
    /// An interrupt input, as a GSI; ISA interrupts are mapped one to one.
    Interrupt {
        /// The GSI.
        gsi: u32,
        /// How it is signalled.
        trigger: Trigger,
        /// Whether other devices may have it too.
        shared: bool,
    },
}

/// What a window is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// Memory.
    Memory,
    /// Ports.
    Ports,
    /// Bus numbers.
    Buses,
}

/// How an interrupt is signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// By a change.
    Edge,
    /// By a state.
    Level,
}

/// Descriptors that contradict the standard or themselves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// No end tag, or a descriptor beyond the end.
    #[error("resource descriptors have no end tag")]
    NoEnd,
    /// Bytes after the end tag.
    #[error("resource descriptors go on behind their end tag")]
    BehindEnd,
    /// A tag that is not read here.
    #[error("resource descriptor {0:#04x} is not understood")]
    Tag(u8),
    /// A descriptor that is too short.
    #[error("resource descriptor {0:#04x} is too short")]
    Short(u8),
    /// A fixed range whose parts disagree.
    #[error("resource descriptor {0:#04x} has a minimum, maximum and length that do not agree")]
    Range(u8),
}

/// Reads the descriptors of a `_CRS` or `_PRS`.
///
/// # Errors
/// The bytes are no template, or have descriptors that no device here uses.
pub fn resources(template: &[u8]) -> Result<Vec<Resource>, ResourceError> {
    let mut bytes = Bytes::new(template);
    let mut found = Vec::new();
    loop {
        let tag = bytes.u8().ok_or(ResourceError::NoEnd)?;
        let len = match tag {
            0x80.. => bytes.u16().ok_or(ResourceError::NoEnd)?.into(),
            _ => usize::from(tag & 7),
        };
        let body = bytes.take(len).ok_or(ResourceError::NoEnd)?;
        if tag == END {
            return if bytes.is_empty() { Ok(found) } else { Err(ResourceError::BehindEnd) };
        }
        found.extend(descriptor(tag, Bytes::new(body))?);
    }
}

const END: u8 = 0x79;

fn descriptor(tag: u8, mut body: Bytes<'_>) -> Result<Vec<Resource>, ResourceError> {
    let found = match tag {
        0x22 | 0x23 => isa(&mut body),
        0x47 => ports(&mut body).map(|ports| vec![ports]),
        0x86 => memory32(&mut body).map(|memory| vec![memory]),
        0x87 => return window(tag, body, 4),
        0x88 => return window(tag, body, 2),
        0x8a => return window(tag, body, 8),
        0x89 => interrupts(&mut body),
        _ => return Err(ResourceError::Tag(tag)),
    };
    match found {
        Some(found) if consistent(&found) => Ok(found),
        Some(_) => Err(ResourceError::Range(tag)),
        None => Err(ResourceError::Short(tag)),
    }
}

fn consistent(found: &[Resource]) -> bool {
    found.iter().all(|resource| match *resource {
        Resource::Ports { first, last } => first <= last,
        Resource::Memory { first, last } | Resource::Window { first, last, .. } => first <= last,
        Resource::Interrupt { .. } => true,
    })
}

/// Edge-triggered and exclusive unless a third byte says otherwise. ACPI 6.5, 6.4.2.1.
fn isa(body: &mut Bytes<'_>) -> Option<Vec<Resource>> {
    let mask = body.u16()?;
    let flags = body.u8().unwrap_or(1);
    let trigger = if flags & 1 == 0 { Trigger::Level } else { Trigger::Edge };
    let irqs = (0..16).filter(|irq| mask >> irq & 1 == 1);
    Some(irqs.map(|gsi| Resource::Interrupt { gsi, trigger, shared: flags & 1 << 4 != 0 }).collect())
}

/// ACPI 6.5, 6.4.2.5. A range that could move has no last port, so it counts as inconsistent.
fn ports(body: &mut Bytes<'_>) -> Option<Resource> {
    let (_decode, first, maximum) = (body.u8()?, body.u16()?, body.u16()?);
    let (_align, len) = (body.u8()?, body.u8()?);
    let last = first.wrapping_add(len.into()).wrapping_sub(1);
    Some(Resource::Ports { first, last: if first == maximum && len > 0 { last } else { 0 } })
}

/// ACPI 6.5, 6.4.3.4.
fn memory32(body: &mut Bytes<'_>) -> Option<Resource> {
    let (_writable, first, len) = (body.u8()?, u64::from(body.u32()?), u64::from(body.u32()?));
    Some(Resource::Memory { first, last: (first + len).checked_sub(1)? })
}

/// Address space descriptors of 2, 4 and 8 bytes. ACPI 6.5, 6.4.3.5.
fn window(tag: u8, mut body: Bytes<'_>, width: usize) -> Result<Vec<Resource>, ResourceError> {
    let mut read = || {
        let (kind, _flags, _specific) = (body.u8()?, body.u8()?, body.u8()?);
        let mut number = || body.number(width);
        let (_granularity, first, last, _offset, len) =
            (number()?, number()?, number()?, number()?, number()?);
        Some((kind, first, last, len))
    };
    let (kind, first, last, len) = read().ok_or(ResourceError::Short(tag))?;
    let kind = match kind {
        0 => WindowKind::Memory,
        1 => WindowKind::Ports,
        2 => WindowKind::Buses,
        _ => return Err(ResourceError::Tag(tag)),
    };
    match last.checked_sub(first).and_then(|span| span.checked_add(1)) {
        Some(span) if span == len => Ok(vec![Resource::Window { kind, first, last }]),
        _ => Err(ResourceError::Range(tag)),
    }
}

/// ACPI 6.5, 6.4.3.6.
fn interrupts(body: &mut Bytes<'_>) -> Option<Vec<Resource>> {
    let (flags, count) = (body.u8()?, body.u8()?);
    let trigger = if flags & 1 << 1 == 0 { Trigger::Level } else { Trigger::Edge };
    let shared = flags & 1 << 3 != 0;
    (0..count).map(|_| Some(Resource::Interrupt { gsi: body.u32()?, trigger, shared })).collect()
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ports { first, last } => write!(f, "ports {first:#06x}-{last:#06x}"),
            Self::Memory { first, last } => write!(f, "memory {first:#010x}-{last:#010x}"),
            Self::Window { kind, first, last } => write!(f, "{kind} window {first:#x}-{last:#x}"),
            Self::Interrupt { gsi, trigger, shared } => {
                write!(f, "interrupt {gsi} {trigger}{}", if *shared { ", shared" } else { "" })
            }
        }
    }
}

impl fmt::Display for WindowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Ports => "port",
            Self::Buses => "bus",
        })
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edge => "edge",
            Self::Level => "level",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Aml as _, Resources};
    use rstest::rstest;

    fn read(written: Resources) -> Vec<String> {
        let mut aml = Vec::new();
        written.to_aml_bytes(&mut aml);
        let header = if aml[1] < 0x40 { 4 } else { 5 };
        resources(&aml[header..]).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn resources_come_back_as_they_were_written() {
        let written = Resources::new()
            .io(0x3f8, 8)
            .isa_irq(4)
            .memory32(0xfeb0_0000, 0x200)
            .edge_interrupt(9)
            .bus_numbers(0, 0xff)
            .window64(0xc0_0000_0000, 0xff_ffff_ffff);

        let expected = [
            "ports 0x03f8-0x03ff",
            "interrupt 4 edge",
            "memory 0xfeb00000-0xfeb001ff",
            "interrupt 9 edge",
            "bus window 0x0-0xff",
            "memory window 0xc000000000-0xffffffffff",
        ];
        assert_eq!(read(written), expected);
    }

    #[rstest]
    #[case::nothing(&[], ResourceError::NoEnd)]
    #[case::no_end(&[0x22, 0x10, 0], ResourceError::NoEnd)]
    #[case::behind_the_end(&[0x79, 0, 0], ResourceError::BehindEnd)]
    #[case::beyond_the_end(&[0x86, 9, 0, 1], ResourceError::NoEnd)]
    #[case::short(&[0x86, 1, 0, 1, 0x79, 0], ResourceError::Short(0x86))]
    #[case::empty_memory(&[0x86, 9, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0x79, 0], ResourceError::Range(0x86))]
    #[case::ports_that_move(&[0x47, 1, 0, 1, 0, 2, 1, 8, 0x79, 0], ResourceError::Range(0x47))]
    #[case::vendor(&[0x84, 0, 0, 0x79, 0], ResourceError::Tag(0x84))]
    fn resources_that_are_wrong_are_errors(#[case] template: &[u8], #[case] error: ResourceError) {
        assert_eq!(resources(template), Err(error));
    }
}
