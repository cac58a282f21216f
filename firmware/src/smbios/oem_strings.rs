//! OEM Strings, type 11: free text for software in the guest, such as systemd's credentials. DSP0134 3.0, 7.12.

use super::Text;
use super::structure::{HEADER, Strings, Writer};

const KIND: u8 = 11;
const _: () = assert!(HEADER + size_of::<u8>() == 5);

/// How many strings a structure can count.
const PER_STRUCTURE: usize = 255;

/// As many structures as `texts` need; none for none.
pub(super) fn append(texts: &[Text], writer: &mut Writer) {
    let texts: Vec<_> = texts.iter().filter(|text| !text.is_empty()).collect();
    for (n, chunk) in texts.chunks(PER_STRUCTURE).enumerate() {
        let mut strings = Strings::default();
        // The formatted area is the count, which is the number of the last string.
        let count = chunk.iter().fold(0, |_, text| strings.add(text));
        writer.append(KIND, n, &count, &strings);
    }
}
