//! What a guest can tell one disk from another by.

use std::str::FromStr;

/// Bytes of a serial number. NVMe 1.4, 5.15.2.2, SN.
const SERIAL_LEN: usize = 20;
/// MN.
const MODEL: &[u8] = b"Tinderbox NVMe disk";
/// FR.
const FIRMWARE: &[u8] = env!("CARGO_PKG_VERSION").as_bytes();

/// A disk's serial number, up to 20 characters of ASCII, as a guest sees it in `/dev/disk/by-id/nvme-…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serial(String);

/// This cannot be a serial.
#[derive(Debug, thiserror::Error)]
#[error("serial \"{0}\" must be 1 to 20 printable ASCII characters")]
pub struct BadSerial(String);

impl FromStr for Serial {
    type Err = BadSerial;

    fn from_str(text: &str) -> Result<Self, BadSerial> {
        let printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        match text.len() {
            1..=SERIAL_LEN if printable => Ok(Self(text.into())),
            _ => Err(BadSerial(text.into())),
        }
    }
}

/// Who a controller says it is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The disk's serial number.
    pub serial: Serial,
    /// Which of the machine's disks it is. Two with one serial still have names of their own, without which Linux takes them
    /// for two ways to one disk.
    pub index: u32,
}

impl Identity {
    /// The identity of the machine's disk number `index`, by a serial that fits the standard, else by that number.
    #[must_use]
    pub fn new(serial: Option<&str>, index: u32) -> Self {
        let serial = serial.and_then(|text| text.parse().ok());
        Self { serial: serial.unwrap_or_else(|| Serial(format!("tinderbox-{index}"))), index }
    }

    /// SN.
    pub(crate) fn serial(&self) -> [u8; SERIAL_LEN] {
        padded(self.serial.0.as_bytes())
    }

    /// MN.
    pub(crate) fn model(&self) -> [u8; 40] {
        padded(MODEL)
    }

    /// FR.
    pub(crate) fn firmware(&self) -> [u8; 8] {
        padded(FIRMWARE)
    }

    /// The namespace's UUID, of version 8 (RFC 9562, 5.8): a hash of serial and index, the same at every start.
    pub(crate) fn uuid(&self) -> [u8; 16] {
        const VERSION: u128 = 8 << 76;
        const VARIANT: u128 = 2 << 62;
        let hash = fnv(self.serial.0.bytes().chain(self.index.to_le_bytes()));
        (hash & !(0xf << 76 | 3 << 62) | VERSION | VARIANT).to_be_bytes()
    }

    /// SUBNQN, in the format that has a UUID. NVMe 1.4, 7.9.
    pub(crate) fn subsystem_name(&self) -> String {
        let hex = format!("{:032x}", u128::from_be_bytes(self.uuid()));
        let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|group| hex.get(group).unwrap_or_default());
        format!("nqn.2014-08.org.nvmexpress:uuid:{}", groups.join("-"))
    }
}

/// `text` at the beginning of a field of spaces.
fn padded<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut field = [b' '; N];
    field.iter_mut().zip(text).for_each(|(place, byte)| *place = *byte);
    field
}

/// The hash FNV-1a with 128 bits. RFC 9923.
fn fnv(bytes: impl Iterator<Item = u8>) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 1 << 88 | 0x13b;
    bytes.fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(serial: &str, index: u32) -> Identity {
        Identity { serial: serial.parse().unwrap(), index }
    }

    #[test]
    fn fnv_gives_the_published_values() {
        assert_eq!(fnv([].into_iter()), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(fnv(b"a".iter().copied()), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        assert_eq!(fnv(b"foobar".iter().copied()), 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18);
    }

    #[test]
    fn names_differ_by_serial_and_by_index() {
        let names =
            [("a", 0), ("a", 1), ("b", 0)].map(|(serial, index)| identity(serial, index).subsystem_name());
        assert!(names[0] != names[1] && names[0] != names[2] && names[1] != names[2]);
        assert_eq!(identity("a", 0).subsystem_name(), names[0]);
    }

    #[test]
    fn subsystem_name_has_the_shape_of_the_standard() {
        let name = identity("root", 7).subsystem_name();
        let uuid = name.strip_prefix("nqn.2014-08.org.nvmexpress:uuid:").unwrap();
        assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(&uuid[14..15], "8", "the version");
        assert!("89ab".contains(&uuid[19..20]), "the variant");
    }

    #[test]
    fn serial_is_short_ascii() {
        assert_eq!(identity("root disk", 0).serial(), *b"root disk           ");
        for text in ["", "a\n", "ä", "123456789012345678901"] {
            assert!(text.parse::<Serial>().is_err(), "{text:?}");
        }
    }
}
