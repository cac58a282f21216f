//! `--smbios type=N,KEY=VALUE…`: QEMU's keys. Options of one type complement each other; a key is given once.

use std::str::FromStr;

use firmware::smbios::{BadText, BadUuid, Bios, Chassis, MemoryDevice, Processor, System, Text};

use super::fields::{Fields, FieldsError};
use super::machine::decimal;
use crate::config::{GuestInfo, SmbiosConfig, Source};

/// One `--smbios`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SmbiosOption {
    kind: Kind,
    pairs: Vec<(String, String)>,
}

/// The structures whose strings can be given. DSP0134 3.0, 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Bios = 0,
    System = 1,
    Chassis = 3,
    Processor = 4,
    OemStrings = 11,
    MemoryDevice = 17,
}

/// Why a text says nothing for SMBIOS.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum SmbiosError {
    /// No type.
    #[error("no type, write type=N,KEY=VALUE with N one of 0, 1, 3, 4, 11 and 17")]
    NoType,
    /// A type without strings of the user's.
    #[error("type={0} cannot be given, use 0, 1, 3, 4, 11 or 17")]
    Type(String),
    /// A key that the type does not have.
    #[error("unknown key `{key}`, type={kind} has {known}; a comma in a value is written twice")]
    Key {
        /// As written.
        key: String,
        /// The type's number.
        kind: u8,
        /// The keys it has.
        known: &'static str,
    },
    /// Not a number, or too large.
    #[error("{key}={value} is no number from 0 to {max}")]
    Number {
        /// The key.
        key: &'static str,
        /// As written.
        value: String,
        /// The largest.
        max: u64,
    },
    /// Not a release.
    #[error("release={0} is no release, write MAJOR.MINOR, each from 0 to 255")]
    Release(String),
    /// Neither yes nor no.
    #[error("uefi={0} is no choice, use uefi=on or uefi=off")]
    Uefi(String),
    /// Not a UUID.
    #[error("uuid={value} is {error}")]
    Uuid {
        /// As written.
        value: String,
        /// What is wrong.
        error: BadUuid,
    },
    /// Not a string of SMBIOS.
    #[error("{key} has {error}")]
    Text {
        /// The key.
        key: String,
        /// What is wrong.
        error: BadText,
    },
    /// An OEM string of no length ends the list of strings.
    #[error("{0}= is empty, write a text or a path")]
    Empty(String),
    /// A key for the second time, here or in an earlier option.
    #[error("type={kind}: {key} is given twice, give it once")]
    Twice {
        /// The type's number.
        kind: u8,
        /// The key.
        key: String,
    },
    /// Not of the shape.
    #[error(transparent)]
    Fields(#[from] FieldsError),
}

impl FromStr for SmbiosOption {
    type Err = SmbiosError;

    fn from_str(text: &str) -> Result<Self, SmbiosError> {
        let pairs = Fields::repeatable(text)?;
        let (types, pairs): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(key, _)| key == "type");
        let kind = match types.as_slice() {
            [] => return Err(SmbiosError::NoType),
            [(_, kind)] => kind.parse()?,
            [(key, _), ..] => return Err(FieldsError::Twice(key.clone()).into()),
        };
        let option = Self { kind, pairs };
        // What is wrong with this option alone is said with its text.
        merge(std::slice::from_ref(&option)).map(|_| option)
    }
}

impl FromStr for Kind {
    type Err = SmbiosError;

    fn from_str(text: &str) -> Result<Self, SmbiosError> {
        match decimal(text) {
            Some(0_u8) => Ok(Self::Bios),
            Some(1) => Ok(Self::System),
            Some(3) => Ok(Self::Chassis),
            Some(4) => Ok(Self::Processor),
            Some(11) => Ok(Self::OemStrings),
            Some(17) => Ok(Self::MemoryDevice),
            _ => Err(SmbiosError::Type(text.into())),
        }
    }
}

/// What `options` say together, UUID included.
///
/// # Errors
/// When one is wrong, or two say the same thing.
pub(crate) fn merge(options: &[SmbiosOption]) -> Result<GuestInfo, SmbiosError> {
    let mut info = GuestInfo::default();
    let mut seen = Vec::new();
    for option in options {
        for (key, value) in &option.pairs {
            set(&mut info, option.kind, key, value)?;
            let place = (option.kind as u8, key.as_str());
            if option.kind != Kind::OemStrings && seen.contains(&place) {
                return Err(SmbiosError::Twice { kind: place.0, key: key.clone() });
            }
            seen.push(place);
        }
        // A type alone asks for the structures as they are.
        info.smbios.get_or_insert_default();
    }
    Ok(info)
}

fn set(info: &mut GuestInfo, kind: Kind, key: &str, value: &str) -> Result<(), SmbiosError> {
    let SmbiosConfig { names, oem_strings } = info.smbios.get_or_insert_default();
    match kind {
        Kind::Bios => set_bios(names.bios.get_or_insert_default(), key, value),
        Kind::System if key == "uuid" => {
            let wrong = |error| SmbiosError::Uuid { value: value.into(), error };
            info.uuid = Some(value.parse().map_err(wrong)?);
            Ok(())
        }
        Kind::System => set_system(&mut names.system, key, value),
        Kind::Chassis => set_chassis(&mut names.chassis, key, value),
        Kind::Processor => set_processor(&mut names.processor, key, value),
        Kind::OemStrings => oem_string(key, value).map(|source| oem_strings.push(source)),
        Kind::MemoryDevice => set_memory_device(&mut names.memory_device, key, value),
    }
}

fn set_bios(bios: &mut Bios, key: &str, value: &str) -> Result<(), SmbiosError> {
    match key {
        "vendor" => bios.vendor = text(key, value)?,
        "version" => bios.version = text(key, value)?,
        "date" => bios.date = text(key, value)?,
        "release" => bios.release = Some(release(value)?),
        "uefi" => bios.uefi = on_or_off(value)?,
        _ => return Err(unknown(key, Kind::Bios, "vendor, version, date, release and uefi")),
    }
    Ok(())
}

fn set_system(system: &mut System, key: &str, value: &str) -> Result<(), SmbiosError> {
    const KEYS: &str = "manufacturer, product, version, serial, uuid, sku and family";
    let field = match key {
        "manufacturer" => &mut system.manufacturer,
        "product" => &mut system.product,
        "version" => &mut system.version,
        "serial" => &mut system.serial,
        "sku" => &mut system.sku,
        "family" => &mut system.family,
        _ => return Err(unknown(key, Kind::System, KEYS)),
    };
    *field = text(key, value)?;
    Ok(())
}

fn set_chassis(chassis: &mut Chassis, key: &str, value: &str) -> Result<(), SmbiosError> {
    let field = match key {
        "manufacturer" => &mut chassis.manufacturer,
        "version" => &mut chassis.version,
        "serial" => &mut chassis.serial,
        "asset" => &mut chassis.asset,
        "sku" => &mut chassis.sku,
        _ => return Err(unknown(key, Kind::Chassis, "manufacturer, version, serial, asset and sku")),
    };
    *field = text(key, value)?;
    Ok(())
}

fn set_processor(processor: &mut Processor, key: &str, value: &str) -> Result<(), SmbiosError> {
    const KEYS: &str = "sock_pfx, manufacturer, version, serial, asset, part, max-speed, current-speed and \
                        processor-id";
    match key {
        "sock_pfx" => processor.socket_prefix = text(key, value)?,
        "manufacturer" => processor.manufacturer = text(key, value)?,
        "version" => processor.version = text(key, value)?,
        "serial" => processor.serial = text(key, value)?,
        "asset" => processor.asset = text(key, value)?,
        "part" => processor.part = text(key, value)?,
        "max-speed" => processor.max_speed = speed("max-speed", value)?,
        "current-speed" => processor.current_speed = speed("current-speed", value)?,
        "processor-id" => processor.id = Some(processor_id(value)?),
        _ => return Err(unknown(key, Kind::Processor, KEYS)),
    }
    Ok(())
}

fn set_memory_device(device: &mut MemoryDevice, key: &str, value: &str) -> Result<(), SmbiosError> {
    match key {
        "loc_pfx" => device.locator_prefix = text(key, value)?,
        "bank" => device.bank = text(key, value)?,
        "manufacturer" => device.manufacturer = text(key, value)?,
        "serial" => device.serial = text(key, value)?,
        "asset" => device.asset = text(key, value)?,
        "part" => device.part = text(key, value)?,
        "speed" => device.speed = speed("speed", value)?,
        _ => {
            let keys = "loc_pfx, bank, manufacturer, serial, asset, part and speed";
            return Err(unknown(key, Kind::MemoryDevice, keys));
        }
    }
    Ok(())
}

fn oem_string(key: &str, value: &str) -> Result<Source, SmbiosError> {
    match key {
        "value" | "path" if value.is_empty() => Err(SmbiosError::Empty(key.into())),
        "value" => text(key, value).map(|_| Source::Text(value.into())),
        "path" => Ok(Source::File(value.into())),
        _ => Err(unknown(key, Kind::OemStrings, "value and path")),
    }
}

fn unknown(key: &str, kind: Kind, known: &'static str) -> SmbiosError {
    SmbiosError::Key { key: key.into(), kind: kind as u8, known }
}

fn text(key: &str, value: &str) -> Result<Text, SmbiosError> {
    value.parse().map_err(|error| SmbiosError::Text { key: key.into(), error })
}

fn release(value: &str) -> Result<(u8, u8), SmbiosError> {
    let parts = value.split_once('.').and_then(|(major, minor)| Some((decimal(major)?, decimal(minor)?)));
    parts.ok_or_else(|| SmbiosError::Release(value.into()))
}

fn on_or_off(value: &str) -> Result<bool, SmbiosError> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(SmbiosError::Uefi(value.into())),
    }
}

fn speed(key: &'static str, value: &str) -> Result<u16, SmbiosError> {
    decimal(value).ok_or_else(|| SmbiosError::Number { key, value: value.into(), max: u16::MAX.into() })
}

/// Decimal, or hexadecimal after `0x` as people read it from CPUID.
fn processor_id(value: &str) -> Result<u64, SmbiosError> {
    let digits =
        value.strip_prefix("0x").filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let id = digits.map_or_else(|| decimal(value), |digits| u64::from_str_radix(digits, 16).ok());
    id.ok_or_else(|| SmbiosError::Number { key: "processor-id", value: value.into(), max: u64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Result<GuestInfo, SmbiosError> {
        let options: Result<Vec<_>, _> = texts.iter().map(|text| text.parse()).collect();
        merge(&options?)
    }

    fn names(text: &str) -> firmware::smbios::Smbios {
        parse(&[text]).unwrap().smbios.unwrap().names
    }

    fn message(text: &str) -> String {
        parse(&[text]).unwrap_err().to_string()
    }

    #[test]
    fn no_option_asks_for_no_smbios_and_a_type_alone_does() {
        assert_eq!(parse(&[]), Ok(GuestInfo::default()));
        assert!(parse(&["type=1"]).unwrap().has_smbios());
    }

    #[test]
    fn system_takes_its_keys_in_any_order() {
        let text = "serial=s,,1,type=1,product=p,uuid=00112233-4455-6677-8899-aabbccddeeff,sku=k";
        let info = parse(&[text]).unwrap();
        let system = info.smbios.unwrap().names.system;
        assert_eq!((system.serial.as_bytes(), system.product.as_bytes()), (&b"s,1"[..], &b"p"[..]));
        assert_eq!(system.manufacturer, System::default().manufacturer);
        assert_eq!(info.uuid.unwrap().to_string(), "00112233-4455-6677-8899-aabbccddeeff");
    }

    #[test]
    fn bios_has_a_release_and_a_kind() {
        let bios = names("type=0,vendor=v,version=1,date=08/01/2026,release=3.14,uefi=on").bios.unwrap();
        assert_eq!((bios.release, bios.uefi), (Some((3, 14)), true));
        assert!(message("type=0,release=3").starts_with("release=3 is no release, write MAJOR.MINOR"));
        assert!(message("type=0,release=1.256").starts_with("release=1.256 is no release"));
        assert_eq!(message("type=0,uefi=yes"), "uefi=yes is no choice, use uefi=on or uefi=off");
    }

    #[test]
    fn processor_and_memory_take_numbers() {
        let processor = names("type=4,max-speed=5000,processor-id=0x0f8bfbff000006f1").processor;
        assert_eq!((processor.max_speed, processor.id), (5000, Some(0x0f8b_fbff_0000_06f1)));
        assert_eq!(names("type=17,speed=4800,bank=b").memory_device.speed, 4800);
        assert_eq!(names("type=4,processor-id=18446744073709551615").processor.id, Some(u64::MAX));
        assert_eq!(message("type=17,speed=65536"), "speed=65536 is no number from 0 to 65535");
        for id in ["0x", "0x+1", "-1", "18446744073709551616", "0x1ffffffffffffffff"] {
            assert!(message(&format!("type=4,processor-id={id}")).contains("is no number"), "{id}");
        }
    }

    #[test]
    fn oem_strings_add_up_in_the_order_written() {
        let info = parse(&["type=11,value=io.systemd.credential:a=b,path=/x", "type=11,value=c"]).unwrap();
        let expected = [
            Source::Text("io.systemd.credential:a=b".into()),
            Source::File("/x".into()),
            Source::Text("c".into()),
        ];
        assert_eq!(info.smbios.unwrap().oem_strings, expected);
        assert_eq!(message("type=11,value="), "value= is empty, write a text or a path");
    }

    #[test]
    fn options_of_one_type_complement_each_other() {
        let info = parse(&["type=1,serial=a", "type=3,serial=b", "type=1,sku=c"]).unwrap();
        let names = info.smbios.unwrap().names;
        let strings = [names.system.serial, names.chassis.serial, names.system.sku];
        assert_eq!(strings.map(|text| text.as_bytes().to_vec()), [b"a", b"b", b"c"]);
    }

    #[test]
    fn key_given_twice_is_refused_in_one_option_and_in_two() {
        let expected = "type=1: serial is given twice, give it once";
        assert_eq!(message("type=1,serial=a,serial=a"), expected);
        assert_eq!(parse(&["type=1,serial=a", "type=1,serial=b"]).unwrap_err().to_string(), expected);
        assert_eq!(message("type=1,type=1"), "type is given twice, give it once");
    }

    #[test]
    fn types_and_keys_that_are_none_are_named() {
        assert_eq!(
            message("serial=a"),
            "no type, write type=N,KEY=VALUE with N one of 0, 1, 3, 4, 11 and 17"
        );
        assert_eq!(message("type=16"), "type=16 cannot be given, use 0, 1, 3, 4, 11 or 17");
        assert_eq!(message("type=one"), "type=one cannot be given, use 0, 1, 3, 4, 11 or 17");
        let key = "unknown key `name`, type=3 has manufacturer, version, serial, asset and sku; a comma in a \
                   value is written twice";
        assert_eq!(message("type=3,name=x"), key);
        assert!(message("type=1,a").starts_with("`a` has no value"));
    }

    #[test]
    fn strings_that_smbios_cannot_carry_are_refused() {
        assert_eq!(
            message("type=1,serial=a\nb"),
            "serial has a control character (0x0a), use printable text"
        );
        let long = message(&format!("type=3,asset={}", "a".repeat(65535)));
        assert!(long.starts_with("asset has 65535 bytes, more than the 65535"), "{long}");
        assert!(message("type=1,uuid=1").starts_with("uuid=1 is not a UUID, write for example"));
    }
}
