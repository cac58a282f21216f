//! System Boot Information, type 32. DSP0134 3.0, 7.33.

use zerocopy::{Immutable, IntoBytes};

use super::structure::{HEADER, Strings, Writer};

const KIND: u8 = 32;

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Area {
    reserved: [u8; 6],
    status: u8,
}
const _: () = assert!(HEADER + size_of::<Area>() == 0x0b);

/// 7.33.1.
const NO_ERRORS: u8 = 0;

pub(super) fn append(writer: &mut Writer) {
    writer.append(KIND, 0, &Area { reserved: [0; 6], status: NO_ERRORS }, &Strings::default());
}
