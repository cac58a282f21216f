//! Where a function is on the host.

use std::fmt;
use std::str::FromStr;

/// Domain, bus, device and function, as `lspci -D` prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostAddress {
    domain: u32,
    bus: u8,
    device: u8,
    function: u8,
}

/// The text names no place.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("host={0} is no PCI address, write it as lspci prints it, for example host=0000:01:00.0")]
pub struct BadAddress(String);

impl FromStr for HostAddress {
    type Err = BadAddress;

    /// The domain may be left out, and is 0 then.
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        parse(text).ok_or_else(|| BadAddress(text.into()))
    }
}

fn parse(text: &str) -> Option<HostAddress> {
    let (rest, function) = text.split_once('.')?;
    let (rest, device) = rest.rsplit_once(':')?;
    let (domain, bus) = rest.split_once(':').unwrap_or(("0", rest));
    Some(HostAddress {
        domain: number(domain, u32::MAX)?,
        bus: number(bus, 0xff)? as u8,
        device: number(device, 0x1f)? as u8,
        function: number(function, 7)? as u8,
    })
}

/// A hexadecimal number of digits alone.
fn number(digits: &str, most: u32) -> Option<u32> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|number| plain && *number <= most)
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, bus, device, function } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, BadAddress> {
        text.parse::<HostAddress>().map(|address| address.to_string())
    }

    #[test]
    fn address_is_what_lspci_prints() {
        assert_eq!(shown("0001:0a:1f.7").unwrap(), "0001:0a:1f.7");
        assert_eq!(shown("1:2.3").unwrap(), "0000:01:02.3");
        assert_eq!(shown("10000:e1:00.0").unwrap(), "10000:e1:00.0");
    }

    #[test]
    fn other_texts_are_no_addresses() {
        for text in
            ["", "01:00", "01:20.0", "01:00.8", "100:00.0", "a:b:c:d.0", "+1:00.0", "0:1:2:3.0", "../1:0.0"]
        {
            assert_eq!(shown(text), Err(BadAddress(text.into())), "{text}");
        }
    }
}
