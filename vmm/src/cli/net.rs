//! `--net tap,ifname=NAME[,vhost=on|off|auto][,queues=N]|passt[,socket=PATH][,tcp=PORTS][,udp=PORTS]|null[,mac=ADDRESS][,mtu=N]`.

use std::str::FromStr;

use net::Limits;

use super::fields::{Fields, FieldsError};
use super::image::{ImageError, Rate, bytes, operations};
use super::machine::decimal;
use crate::config::{NetConfig, Switch, Wire};

/// What a `--net` looks like.
pub(crate) const NET: &str = "tap,ifname=NAME[,vhost=on|off|auto][,queues=N]|passt[,socket=PATH][,tcp=PORTS][,udp=PORTS]|null[,mac=ADDRESS][,mtu=N][,bps=SIZE][,pps=N][,id=NAME]";

/// The most pairs of queues.
const MOST_QUEUES: u16 = 32;

/// Why a text is no network interface.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NetError {
    /// No kind of wire.
    #[error("unknown kind of network `{0}`, use tap, passt or null")]
    Kind(String),
    /// A tap without its name.
    #[error("tap needs the name of an interface, write tap,ifname=tap0")]
    NoName,
    /// No switch.
    #[error("vhost={0} is no choice, use on, off or auto")]
    Vhost(String),
    /// No number of queues.
    #[error("queues={0} is no number of queues, use 1 to {MOST_QUEUES}")]
    Queues(String),
    /// A limit for each queue is none for all.
    #[error("queues={0} lets packets pass side by side, leave it out, or bps= and pps=")]
    SideBySide(u16),
    /// A key that this kind does not have.
    #[error("unknown key `{0}` for {1}, {2}")]
    Key(String, &'static str, &'static str),
    /// Options for a passt that runs already.
    #[error("{0}= is for a passt that tinderbox starts, leave out that or socket=")]
    Running(&'static str),
    /// No address.
    #[error("mac={0}: {1}")]
    Mac(String, virtio::net::BadMac),
    /// No length of a datagram.
    #[error("mtu={0} is no longest datagram, use 68 to 65535")]
    Mtu(String),
    /// Not a limit.
    #[error(transparent)]
    Rate(#[from] ImageError),
    /// Limits on what does not pass here.
    #[error("vhost=on lets packets pass without limits, leave it out, or bps= and pps=")]
    Unlimited,
    /// Not of the shape.
    #[error(transparent)]
    Fields(#[from] FieldsError),
}

impl FromStr for NetConfig {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let Fields { first: kind, pairs } = Fields::parse(text)?;
        let (mut id, mut mac, mut mtu, mut own) = (None, None, None, Vec::new());
        let (mut bps, mut pps) = (Rate::default(), Rate::default());
        for (key, value) in pairs {
            match key.as_str() {
                "bps" => bps.rate = Some(bytes("bps", &value)?),
                "bps-burst" => bps.burst = Some(bytes("bps-burst", &value)?),
                "pps" => pps.rate = Some(operations("pps", &value)?),
                "pps-burst" => pps.burst = Some(operations("pps-burst", &value)?),
                "id" => id = Some(value),
                "mac" => mac = Some(value.parse().map_err(|error| NetError::Mac(value, error))?),
                "mtu" => mtu = Some(longest_datagram(value)?),
                _ => own.push((key, value)),
            }
        }
        let wire = match kind.as_str() {
            "tap" => tap(own)?,
            "passt" => passt(own)?,
            "null" => null(own)?,
            _ => return Err(NetError::Kind(kind)),
        };
        let limits = Limits { bytes: bps.limit("bps")?, packets: pps.limit("pps")? };
        match wire {
            Wire::Tap { vhost: Switch::On, .. } if !limits.is_none() => Err(NetError::Unlimited),
            Wire::Tap { queues: queues @ 2.., .. } if !limits.is_none() => Err(NetError::SideBySide(queues)),
            wire => Ok(Self { names: id.into_iter().collect(), wire, mac, mtu, limits }),
        }
    }
}

fn tap(keys: Vec<(String, String)>) -> Result<Wire, NetError> {
    let (mut name, mut vhost, mut queues) = (None, Switch::Auto, 1);
    for (key, value) in keys {
        match key.as_str() {
            "ifname" => name = Some(value),
            "vhost" => vhost = switch(value)?,
            "queues" => queues = queue_pairs(value)?,
            _ => return Err(NetError::Key(key, "tap", "use ifname, vhost, queues, mac or mtu")),
        }
    }
    let name = name.filter(|name| !name.is_empty()).ok_or(NetError::NoName)?;
    Ok(Wire::Tap { name, vhost, queues })
}

/// How many pairs of queues an interface shall have.
pub(super) fn queue_pairs(text: String) -> Result<u16, NetError> {
    decimal(&text).filter(|count| (1..=MOST_QUEUES).contains(count)).ok_or(NetError::Queues(text))
}

fn switch(text: String) -> Result<Switch, NetError> {
    match text.as_str() {
        "on" => Ok(Switch::On),
        "off" => Ok(Switch::Off),
        "auto" => Ok(Switch::Auto),
        _ => Err(NetError::Vhost(text)),
    }
}

fn passt(keys: Vec<(String, String)>) -> Result<Wire, NetError> {
    let (mut socket, mut tcp, mut udp) = (None, None, None);
    for (key, value) in keys {
        match key.as_str() {
            "socket" => socket = Some(value.into()),
            "tcp" => tcp = Some(value),
            "udp" => udp = Some(value),
            _ => return Err(NetError::Key(key, "passt", "use socket, tcp, udp, mac or mtu")),
        }
    }
    match (socket, &tcp, &udp) {
        (Some(_), Some(_), _) => Err(NetError::Running("tcp")),
        (Some(_), _, Some(_)) => Err(NetError::Running("udp")),
        (Some(path), None, None) => Ok(Wire::Socket(path)),
        (None, ..) => Ok(Wire::Passt { tcp, udp }),
    }
}

fn null(keys: Vec<(String, String)>) -> Result<Wire, NetError> {
    match keys.into_iter().next() {
        Some((key, _)) => Err(NetError::Key(key, "null", "use mac or mtu")),
        None => Ok(Wire::Null),
    }
}

/// What IPv4 demands of every wire, up to the longest datagram there is.
pub(super) fn longest_datagram(text: String) -> Result<u16, NetError> {
    decimal(&text).filter(|&mtu| mtu >= 68).ok_or(NetError::Mtu(text))
}

#[cfg(test)]
mod tests {
    use net::Limit;

    use super::*;

    fn net(text: &str) -> Result<NetConfig, NetError> {
        text.parse()
    }

    fn wire(text: &str) -> Wire {
        net(text).unwrap().wire
    }

    #[test]
    fn every_kind_of_wire_has_its_keys() {
        let tap = |vhost| Wire::Tap { name: "tap0".into(), vhost, queues: 1 };
        assert_eq!(wire("tap,ifname=tap0"), tap(Switch::Auto));
        assert_eq!(wire("tap,ifname=tap0,vhost=auto"), tap(Switch::Auto));
        assert_eq!(wire("tap,ifname=tap0,vhost=off"), tap(Switch::Off));
        assert_eq!(wire("tap,vhost=on,ifname=tap0"), tap(Switch::On));
        let four = Wire::Tap { name: "tap0".into(), vhost: Switch::Auto, queues: 4 };
        assert_eq!(wire("tap,ifname=tap0,queues=4"), four);
        assert_eq!(net("tap,ifname=t,queues=2,bps=1M"), Err(NetError::SideBySide(2)));
        for count in ["0", "33", "two"] {
            assert_eq!(net(&format!("tap,ifname=t,queues={count}")), Err(NetError::Queues(count.into())));
        }
        assert_eq!(net("tap,ifname=tap0,vhost=1"), Err(NetError::Vhost("1".into())));
        assert_eq!(wire("passt"), Wire::Passt { tcp: None, udp: None });
        let forwarding = Wire::Passt { tcp: Some("2222:22,8080".into()), udp: Some("53".into()) };
        assert_eq!(wire("passt,tcp=2222:22,,8080,udp=53"), forwarding);
        assert_eq!(wire("passt,socket=/run/passt.sock"), Wire::Socket("/run/passt.sock".into()));
        let null = net("null,mtu=1400,mac=52:54:00:00:00:01").unwrap();
        assert_eq!((null.wire, null.mtu), (Wire::Null, Some(1400)));
        assert_eq!(null.mac, "52:54:00:00:00:01".parse().ok());
    }

    #[test]
    fn limits_are_as_those_of_disks() {
        let limits = net("null,bps=10M,pps=1000,pps-burst=5").unwrap().limits;
        assert_eq!(limits.bytes, Some(Limit { rate: 10 << 20, burst: 1 << 20 }));
        assert_eq!(limits.packets, Some(Limit { rate: 1000, burst: 5 }));
        assert_eq!(net("null").unwrap().limits, Limits::default());
        assert_eq!(net("null,pps-burst=5"), Err(NetError::Rate(ImageError::BurstAlone("pps"))));
        assert!(net("null,bps=0").unwrap_err().to_string().starts_with("bps=0 is no rate"));
        assert_eq!(net("tap,ifname=t,vhost=on,bps=1M"), Err(NetError::Unlimited));
        assert!(net("tap,ifname=t,bps=1M").is_ok());
    }

    #[test]
    fn kernel_moves_the_packets_of_a_tap_unless_there_are_limits() {
        let vhost = |text| net(text).unwrap().vhost();
        assert_eq!((vhost("tap,ifname=t"), vhost("tap,ifname=t,queues=2")), (Switch::Auto, Switch::Auto));
        assert_eq!(
            (vhost("tap,ifname=t,vhost=on"), vhost("tap,ifname=t,vhost=off")),
            (Switch::On, Switch::Off)
        );
        for limited in ["tap,ifname=t,bps=1M", "tap,ifname=t,vhost=auto,pps=100", "passt", "null"] {
            assert_eq!(vhost(limited), Switch::Off, "{limited}");
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        assert_eq!(net("user"), Err(NetError::Kind("user".into())));
        assert_eq!(net("tap"), Err(NetError::NoName));
        assert_eq!(net("tap,ifname="), Err(NetError::NoName));
        assert!(matches!(net("tap,name=tap0"), Err(NetError::Key(key, "tap", _)) if key == "name"));
        assert!(matches!(net("null,tcp=1"), Err(NetError::Key(..))));
        assert_eq!(net("passt,socket=a,tcp=22"), Err(NetError::Running("tcp")));
        assert!(matches!(net("null,mac=1"), Err(NetError::Mac(..))));
        for mtu in ["0", "67", "65536", "long"] {
            assert_eq!(net(&format!("null,mtu={mtu}")), Err(NetError::Mtu(mtu.into())));
        }
    }
}
