//! virtio-net: a network interface. virtio 1.2, 5.1.
//!
//! Pairs of queues, and the control queue. One thread serves them all: several pairs are for the guest's vCPUs, and for vhost, where
//! each has a thread of the kernel's. A packet is copied once in each direction; its header goes through as it is
//! where the [backend](Backend) has offloads, and has none otherwise. Filters that the driver sets are taken note of by nobody:
//! it gets every packet, as the standard allows.

mod control;
mod pairs;
mod receive;
mod spec;

use std::io;
use std::os::fd::BorrowedFd;
use std::str::FromStr;

use net::{Backend, HEADER_LEN, MAX_PACKET, Sent};
use zerocopy::IntoBytes as _;

use crate::{Broken, Features, Requests, VirtioDevice};

use pairs::Pairs;
use spec::Config;

pub(crate) use spec::MULTIQUEUE;

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

/// This is no address of an interface.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("write six bytes like 52:54:00:12:34:56, the first of which is even")]
pub struct BadMac;

impl FromStr for Mac {
    type Err = BadMac;

    fn from_str(text: &str) -> Result<Self, BadMac> {
        let byte = |part: &str| {
            let hex = part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
            hex.then(|| u8::from_str_radix(part, 16).ok()).flatten().ok_or(BadMac)
        };
        let bytes = text.split(':').map(byte).collect::<Result<Vec<_>, _>>()?;
        let mac: [u8; 6] = bytes.try_into().map_err(|_| BadMac)?;
        let [first, ..] = mac;
        // Odd ones are of groups.
        if first & 1 == 0 { Ok(Self(mac)) } else { Err(BadMac) }
    }
}

/// What there is to choose about an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Its address, which the driver may change.
    pub mac: Mac,
    /// The longest datagram that the driver shall send, if it is to be told; at least 68.
    pub mtu: Option<u16>,
}

/// A virtio network device.
pub struct Net {
    // Fixed.
    offered: Features,
    mac: Mac,
    // Glue.
    pairs: Pairs,
    /// A backend is gone for good.
    dead: bool,
    // Volatile.
    config: Config,
    /// The driver joins buffers for long packets.
    mergeable: bool,
    /// The driver knows several pairs of queues.
    multiqueue: bool,
    /// Goes out.
    outgoing: Vec<u8>,
}

impl Net {
    /// An interface on the wire `backend`.
    #[must_use]
    pub fn new(backend: Box<dyn Backend>, options: Options) -> Self {
        Self::on(Pairs::one(backend), options)
    }

    /// An interface with a pair of queues for each of `backends`, which are one wire, and all alike.
    ///
    /// # Errors
    /// The host has no more descriptors.
    pub fn with_queues(backends: Vec<Box<dyn Backend>>, options: Options) -> io::Result<Self> {
        Ok(Self::on(Pairs::several(backends)?, options))
    }

    fn on(pairs: Pairs, options: Options) -> Self {
        let mut offered = spec::FEATURES;
        if pairs.have_offloads() {
            offered = offered.union(spec::OFFLOADS);
        }
        if options.mtu.is_some() {
            offered = offered.union(spec::MTU);
        }
        if pairs.count() > 1 {
            offered = offered.union(MULTIQUEUE);
        }
        let mac = options.mac;
        let config = Config {
            mac: mac.0,
            status: spec::LINK_UP.into(),
            max_virtqueue_pairs: pairs.count().into(),
            mtu: options.mtu.unwrap_or_default().into(),
        };
        let outgoing = vec![0; MAX_PACKET];
        Self { offered, mac, pairs, dead: false, config, mergeable: false, multiqueue: false, outgoing }
    }

    /// The control queue. virtio 1.2, 5.1.2.
    fn control_queue(&self) -> u16 {
        if self.multiqueue { 2 * self.pairs.count() } else { 2 }
    }

    /// Sends what the driver has for the wire.
    fn transmit(&mut self, pair: u16, requests: &mut Requests<'_>) -> Result<(), Broken> {
        while let Some(request) = requests.next()? {
            let packet = &request.chain.readable;
            if (HEADER_LEN as u64..=MAX_PACKET as u64).contains(&packet.len()) {
                let len = packet.copy_to(&mut self.outgoing);
                let sent = self.pairs.send(pair, self.outgoing.get(..len).unwrap_or_default());
                if self.alive(sent) == Some(Sent::Later) {
                    requests.put_back(1);
                    return Ok(());
                }
            }
            requests.complete(&request, 0)?;
        }
        Ok(())
    }

    /// What the backend says, if it is there. Without it the link is down, and packets are lost as on any such.
    fn alive<T>(&mut self, result: io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                if !std::mem::replace(&mut self.dead, true) {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "the host's side of a network interface is gone; its link is down");
                }
                self.config.status = 0.into();
                None
            }
        }
    }

    fn is_up(&self) -> bool {
        self.config.status.get() & spec::LINK_UP != 0
    }
}

impl VirtioDevice for Net {
    fn id(&self) -> u32 {
        spec::ID
    }

    fn queues(&self) -> u16 {
        2 * self.pairs.count() + 1
    }

    fn features(&self) -> Features {
        self.offered
    }

    fn config(&self) -> &[u8] {
        self.config.as_bytes()
    }

    fn host_events(&self) -> Option<BorrowedFd<'_>> {
        self.pairs.events()
    }

    fn host_event(&mut self) {
        if !self.dead {
            self.config.status = if self.pairs.is_up() { spec::LINK_UP } else { 0 }.into();
        }
    }

    fn begin(&mut self, features: Features) {
        self.mergeable = features.contains(spec::MERGEABLE);
        self.config.mac = self.mac.0;
        self.multiqueue = features.contains(MULTIQUEUE);
        self.pairs.begin();
        self.pairs.set_offloads(spec::guest_offloads(features));
    }

    fn serve(&mut self, queue: u16, requests: &mut Requests<'_>) -> Result<(), Broken> {
        if queue == self.control_queue() {
            return requests.each(|chain| Ok(self.control(chain)));
        }
        match (queue / 2, queue % 2) {
            (pair, 0) => self.receive(pair, requests),
            (pair, _) => self.transmit(pair, requests),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_is_six_bytes_of_an_interface() {
        assert_eq!("52:54:00:12:34:Ab".parse(), Ok(Mac([0x52, 0x54, 0, 0x12, 0x34, 0xab])));
        for text in [
            "",
            "52:54:00:12:34",
            "52:54:00:12:34:56:78",
            "53:54:00:12:34:56",
            "5:54:0:12:34:56",
            "+2:54:00:12:34:56",
        ] {
            assert_eq!(text.parse::<Mac>(), Err(BadMac), "{text}");
        }
    }
}
