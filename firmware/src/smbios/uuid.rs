//! The machine's identity. RFC 4122, 3.

use std::fmt;
use std::str::FromStr;

/// A UUID, its bytes in the order in which it is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Uuid([u8; 16]);

/// This is no UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID, write for example 6ba7b810-9dad-11d1-80b4-00c04fd430c8")]
pub struct BadUuid;

/// Digits between the hyphens.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

impl Uuid {
    /// The bytes in the order in which it is printed.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// The UUID that sixteen random bytes make: of variant 1, version 4. RFC 4122, 4.4.
    #[must_use]
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// The bytes in the order of a structure: the first three fields little-endian. DSP0134 3.0, 7.2.1.
    #[must_use]
    pub fn wire(self) -> [u8; 16] {
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.0;
        let [i, j, k, l, m, n, o, p] = rest;
        [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
    }
}

impl FromStr for Uuid {
    type Err = BadUuid;

    fn from_str(text: &str) -> Result<Self, BadUuid> {
        let groups = text.split('-').map(str::len);
        let digits: String = text.chars().filter(|&c| c != '-').collect();
        // A sign is no digit, though a number may have one.
        if !groups.eq(GROUPS) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(BadUuid);
        }
        let number = u128::from_str_radix(&digits, 16).map_err(|_| BadUuid)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = format!("{:032x}", u128::from_be_bytes(self.0));
        for at in [20, 16, 12, 8] {
            digits.insert(at, '-');
        }
        f.write_str(&digits)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example of DSP0134 3.0, 7.2.1.
    #[test]
    fn wire_order_is_that_of_the_standards_example() {
        let uuid: Uuid = "00112233-4455-6677-8899-AABBCCDDEEFF".parse().unwrap();
        let expected =
            [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
        assert_eq!(uuid.wire(), expected);
        assert_eq!(uuid.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
    }

    #[test]
    fn random_bytes_make_a_uuid_of_version_4() {
        assert_eq!(Uuid::from_random([0xff; 16]).to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(Uuid::from_random([0; 16]).to_string(), "00000000-0000-4000-8000-000000000000");
    }

    #[test]
    fn text_of_another_shape_is_refused() {
        for text in [
            "",
            "00112233445566778899aabbccddeeff",
            "00112233-4455-6677-8899-aabbccddeef",
            "00112233-4455-6677-8899-aabbccddeeff-",
            "{0112233-4455-6677-8899-aabbccddeef}",
            "+0112233-4455-6677-8899-aabbccddeeff",
            "0011223-34455-6677-8899-aabbccddeeff",
            "é112233-4455-6677-8899-aabbccddeeff",
        ] {
            assert_eq!(text.parse::<Uuid>(), Err(BadUuid), "{text}");
        }
    }

    proptest! {
        #[test]
        fn printed_uuid_is_read_back(bytes in any::<[u8; 16]>()) {
            let uuid = Uuid(bytes);
            prop_assert_eq!(uuid.to_string().parse(), Ok(uuid));
        }

        #[test]
        fn any_text_is_judged(text in "\\PC{0,40}") {
            let _ = text.parse::<Uuid>();
        }
    }
}
