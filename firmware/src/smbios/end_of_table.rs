//! End-of-Table, type 127: the last structure. DSP0134 3.0, 7.45.

use super::structure::{Strings, Writer};

const KIND: u8 = 127;

pub(super) fn append(writer: &mut Writer) {
    writer.append(KIND, 0, &(), &Strings::default());
}
