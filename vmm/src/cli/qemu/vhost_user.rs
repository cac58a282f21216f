//! `-device vhost-user-fs-device` and the like, whose back ends are sockets of `-chardev`.

use super::chardev::Chardevs;
use super::opts::Opts;
use super::{Reason, Wrong};
use crate::cli::vhost_user::{checked_queues, checked_tag};
use crate::config::{FsServer, VhostUserConfig};

/// The device names, without what they are plugged into.
pub(super) const FS: [&str; 3] = ["vhost-user-fs-device", "vhost-user-fs-pci", "vhost-user-fs"];
/// The same for disks.
pub(super) const BLK: [&str; 3] = ["vhost-user-blk-device", "vhost-user-blk-pci", "vhost-user-blk"];

/// The devices, each with the id of its character device.
#[derive(Default)]
pub(super) struct VhostUsers(Vec<Device>);

struct Device {
    text: String,
    chardev: String,
    kind: Kind,
}

enum Kind {
    Fs { tag: String },
    Blk { queues: u16 },
}

impl VhostUsers {
    /// `-device vhost-user-fs-device,chardev=ID,tag=NAME`.
    pub(super) fn fs(&mut self, text: &str, mut opts: Opts) -> Result<(), Reason> {
        let tag = checked_tag(opts.need("tag")?).map_err(|error| error.to_string())?;
        opts.only("num-request-queues", &["1"], "there is one queue of requests, use num-request-queues=1")?;
        opts.ignore(&["queue-size", "cache-size"]);
        self.add(text, opts, Kind::Fs { tag })
    }

    /// `-device vhost-user-blk-device,chardev=ID[,num-queues=N]`.
    pub(super) fn blk(&mut self, text: &str, mut opts: Opts) -> Result<(), Reason> {
        let queues = opts.take("num-queues").map_or(Ok(1), checked_queues);
        let queues = queues.map_err(|error| error.to_string())?;
        opts.ignore(&["queue-size", "bootindex", "config-wce"]);
        self.add(text, opts, Kind::Blk { queues })
    }

    fn add(&mut self, text: &str, mut opts: Opts, kind: Kind) -> Result<(), Reason> {
        let chardev = opts.need("chardev")?;
        opts.ignore(&["id", "vectors", "addr"]);
        opts.finish()?;
        self.0.push(Device { text: text.into(), chardev, kind });
        Ok(())
    }

    /// All devices with the sockets of `chardevs`.
    pub(super) fn finish(self, chardevs: &mut Chardevs) -> Result<Vec<VhostUserConfig>, Wrong> {
        let device = |Device { text, chardev, kind }| {
            let socket = chardevs.client(&chardev).map_err(|reason| ("-device", text, reason))?;
            Ok(match kind {
                Kind::Fs { tag } => VhostUserConfig::Fs { tag, server: FsServer::Socket(socket) },
                Kind::Blk { queues } => VhostUserConfig::Blk { socket, queues },
            })
        };
        self.0.into_iter().map(device).collect()
    }
}
