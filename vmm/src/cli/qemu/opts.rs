//! QEMU's `key=value` lists: a comma in a value is written twice, a key alone is switched on, of a repeated key the last
//! counts, and where an option says so the first key may be left out. Where QEMU takes JSON instead, so does this.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde_json::Value;

use super::Reason;
use crate::cli::machine::decimal;
use crate::nearest::nearest;

/// What a list says, and what was asked of it so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Opts {
    pairs: Vec<(String, String)>,
    asked: BTreeSet<&'static str>,
}

impl Opts {
    /// Takes `text` apart. `implied` is the key of a first value that has none.
    pub(super) fn parse(text: &str, implied: Option<&str>) -> Self {
        let mut opts = Self::default();
        if text.is_empty() {
            return opts;
        }
        for (n, field) in split(text).into_iter().enumerate() {
            let (key, value) = match (field.split_once('='), implied) {
                (Some((key, value)), _) => (key.to_owned(), value.to_owned()),
                (None, Some(implied)) if n == 0 => (implied.to_owned(), field),
                (None, _) => (field, "on".to_owned()),
            };
            opts.pairs.push((key, value));
        }
        opts
    }

    /// As [`Opts::parse`], or a JSON object whose inner objects give keys with dots: `{"file": {"driver": "file"}}`.
    pub(super) fn parse_or_json(text: &str, implied: &str) -> Result<Self, Reason> {
        if !text.starts_with('{') {
            return Ok(Self::parse(text, Some(implied)));
        }
        let value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
        let mut opts = Self::default();
        flatten("", &value, &mut opts.pairs);
        Ok(opts)
    }

    /// Adds what a repeated option says; it wins over what was said before.
    pub(super) fn merge(&mut self, later: Self) {
        self.pairs.extend(later.pairs);
    }

    /// Whether the list asks for help instead of saying something.
    pub(super) fn wants_help(&self) -> bool {
        self.pairs.iter().any(|(key, value)| {
            ["help", "?"].contains(&key.as_str()) || ["help", "?"].contains(&value.as_str())
        })
    }

    /// The value of `key`, which nobody else needs.
    pub(super) fn take(&mut self, key: &'static str) -> Option<String> {
        self.take_all(key).pop()
    }

    /// Every value of `key` in the order written.
    pub(super) fn take_all(&mut self, key: &'static str) -> Vec<String> {
        self.asked.insert(key);
        let (taken, rest) = std::mem::take(&mut self.pairs).into_iter().partition(|(known, _)| known == key);
        self.pairs = rest;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// The value of `key`, which must be there.
    pub(super) fn need(&mut self, key: &'static str) -> Result<String, Reason> {
        let value = self.take(key).filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("{key}= is missing, write {key}=VALUE").into())
    }

    /// The value of `key` as a switch.
    pub(super) fn switch(&mut self, key: &'static str) -> Result<Option<bool>, Reason> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match switch(&value) {
            Some(on) => Ok(Some(on)),
            None => Err(format!("{key}={value} is no choice, use {key}=on or {key}=off").into()),
        }
    }

    /// The value of `key` as a number from 0, hexadecimal after `0x`.
    pub(super) fn number<T: FromStr + TryFrom<u64>>(
        &mut self,
        key: &'static str,
    ) -> Result<Option<T>, Reason> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match number(&value).and_then(|number| T::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("{key}={value} is no number of the right size").into()),
        }
    }

    /// Forgets `keys`, which change nothing here.
    pub(super) fn ignore(&mut self, keys: &[&'static str]) {
        for key in keys {
            self.take(key);
        }
    }

    /// Refuses `key` unless it says `only`, where nothing else is to be had.
    pub(super) fn only(&mut self, key: &'static str, only: &[&str], instead: &str) -> Result<(), Reason> {
        match self.take(key) {
            Some(value) if !only.contains(&value.as_str()) => Err(format!("{key}={value}: {instead}").into()),
            _ => Ok(()),
        }
    }

    /// What is left, in the order written.
    pub(super) fn rest(self) -> Vec<(String, String)> {
        self.pairs
    }

    /// Refuses keys that nobody asked for.
    pub(super) fn finish(self) -> Result<(), Reason> {
        let Some((key, _)) = self.pairs.first() else { return Ok(()) };
        let hint = match nearest(key, self.asked.iter().copied()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("here there are {}", self.asked.into_iter().collect::<Vec<_>>().join(", ")),
        };
        Err(format!("unknown key `{key}`, {hint}").into())
    }
}

/// A switch in each of QEMU's words.
pub(super) fn switch(text: &str) -> Option<bool> {
    match text {
        "on" | "yes" | "true" | "y" => Some(true),
        "off" | "no" | "false" | "n" => Some(false),
        _ => None,
    }
}

/// A number from 0, hexadecimal after `0x`.
pub(super) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            u64::from_str_radix(digits, 16).ok()
        }
        Some(_) => None,
        None => decimal(text),
    }
}

/// Bytes: a number, whole or with decimals, in `unit` (a power of two) or in the unit behind it.
pub(super) fn size(text: &str, unit: u32) -> Result<u64, Reason> {
    let wrong = || format!("`{text}` is no size, write for example 512M or 6G");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = text.get(digits.len()..).unwrap_or_default();
    if text.starts_with("0x") {
        return Ok(number(text).ok_or_else(wrong)?);
    }
    let shift = shift(suffix, unit).ok_or_else(wrong)?;
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
    let whole: u64 = decimal(whole).ok_or_else(wrong)?;
    let bytes = u128::from(whole) << shift;
    let bytes = bytes + fraction(decimals, shift).ok_or_else(wrong)?;
    Ok(u64::try_from(bytes).map_err(|_| wrong())?)
}

/// The power of two that a unit stands for.
fn shift(suffix: &str, default: u32) -> Option<u32> {
    let shift = match suffix.to_ascii_uppercase().as_str() {
        "" => default,
        "B" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        "E" => 60,
        _ => return None,
    };
    Some(shift)
}

/// What digits behind the point come to.
fn fraction(digits: &str, shift: u32) -> Option<u128> {
    const MOST: usize = 18;
    let number: u64 = decimal(digits).filter(|_| digits.len() <= MOST)?;
    let scale = 10_u128.checked_pow(u32::try_from(digits.len()).ok()?)?;
    Some((u128::from(number) << shift) / scale)
}

/// Splits at single commas; of two in a row, one stays.
fn split(text: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == ',' && chars.next_if_eq(&',').is_none() {
            fields.push(String::new());
        } else if let Some(field) = fields.last_mut() {
            field.push(c);
        }
    }
    fields
}

fn flatten(prefix: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    let text = match value {
        Value::Object(members) => {
            let dot = if prefix.is_empty() { "" } else { "." };
            return members
                .iter()
                .for_each(|(key, value)| flatten(&format!("{prefix}{dot}{key}"), value, pairs));
        }
        Value::Bool(on) => if *on { "on" } else { "off" }.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    pairs.push((prefix.to_owned(), text));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str, implied: Option<&str>) -> Vec<(String, String)> {
        Opts::parse(text, implied).rest()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    #[test]
    fn first_value_has_the_implied_key_and_a_bare_key_is_on() {
        assert_eq!(pairs("microvm,pit=off", Some("type")), [pair("type", "microvm"), pair("pit", "off")]);
        assert_eq!(pairs("type=microvm", Some("type")), [pair("type", "microvm")]);
        assert_eq!(pairs("snapshot", None), [pair("snapshot", "on")]);
        assert_eq!(pairs("", Some("type")), []);
    }

    #[test]
    fn comma_twice_is_a_comma() {
        assert_eq!(pairs("file=a,,b=c,id=d", None), [pair("file", "a,b=c"), pair("id", "d")]);
        assert_eq!(pairs("file=a,,,id=d", None), [pair("file", "a,"), pair("id", "d")]);
    }

    #[test]
    fn last_of_a_repeated_key_counts() {
        let mut opts = Opts::parse("pit=on,pit=off", None);
        opts.merge(Opts::parse("pic=off", None));
        assert_eq!((opts.switch("pit").unwrap(), opts.switch("pic").unwrap()), (Some(false), Some(false)));
        assert!(opts.finish().is_ok());
    }

    #[test]
    fn json_gives_keys_with_dots() {
        let text = r#"{"driver":"raw","file":{"driver":"file","filename":"a,b"},"read-only":true,"n":3}"#;
        let mut opts = Opts::parse_or_json(text, "driver").unwrap();
        assert_eq!(opts.take("file.filename").as_deref(), Some("a,b"));
        assert_eq!(opts.take("file.driver").as_deref(), Some("file"));
        assert_eq!(
            (opts.switch("read-only").unwrap(), opts.number::<u8>("n").unwrap()),
            (Some(true), Some(3))
        );
        assert!(Opts::parse_or_json("{", "driver").unwrap_err().to_string().starts_with("not JSON: EOF"));
    }

    #[test]
    fn key_that_nobody_asked_for_comes_with_what_was_meant() {
        let mut opts = Opts::parse("fiel=a", None);
        opts.ignore(&["file", "id"]);
        assert_eq!(opts.clone().finish().unwrap_err().to_string(), "unknown key `fiel`, did you mean file?");
        opts.pairs = vec![pair("wwn", "1")];
        assert_eq!(opts.finish().unwrap_err().to_string(), "unknown key `wwn`, here there are file, id");
    }

    #[test]
    fn switch_has_four_words_each_way() {
        assert!(["on", "yes", "true", "y"].iter().all(|text| switch(text) == Some(true)));
        assert!(["off", "no", "false", "n"].iter().all(|text| switch(text) == Some(false)));
        assert_eq!((switch("1"), switch("On")), (None, None));
    }

    #[test]
    fn size_has_units_and_decimals() {
        let mib = |text| size(text, 20).unwrap();
        assert_eq!((mib("512"), mib("1k"), mib("1.5G")), (512 << 20, 1 << 10, 3 << 29));
        assert_eq!((mib("0.5"), mib("16B"), mib("0x1000"), mib("1T")), (1 << 19, 16, 0x1000, 1 << 40));
        for text in ["", "M", "-1", "1.5.1", "1e3", "99999999999E", "é", "1.", "0x"] {
            assert!(size(text, 20).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn value_with_its_commas_doubled_comes_back(value in ".*", key in "[a-z.-]{1,9}") {
            let text = format!("{key}={},end=1", value.replace(',', ",,"));
            prop_assert_eq!(pairs(&text, None), [pair(&key, &value), pair("end", "1")]);
        }

        #[test]
        fn any_text_is_taken_apart(text in ".*", unit in 0_u32..60) {
            let mut opts = Opts::parse(&text, Some("type"));
            let _ = Opts::parse_or_json(&text, "type");
            let _ = (opts.wants_help(), opts.switch("a"), opts.number::<u32>("b"), size(&text, unit));
            let _ = opts.finish();
        }
    }
}
