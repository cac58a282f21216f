//! Images that wait for a device or a drive, by the names that programs gave them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::disks::Disk;
use super::fd_sets::FdSets;
use crate::config::DiskConfig;

/// Nodes that there may be at a time.
const MOST_NODES: usize = 64;

/// The nodes, each with its image open.
#[derive(Default)]
pub(super) struct Nodes(Mutex<BTreeMap<String, Node>>);

struct Node {
    disk: Disk,
    in_use: bool,
}

/// Why a node cannot be made, used or taken away.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// There is one of this name.
    #[error("Duplicate nodes with node-name='{0}'")]
    Duplicate(String),
    /// There are too many.
    #[error("{MOST_NODES} nodes are enough, take one away with blockdev-del first")]
    TooMany,
    /// There is none of this name.
    #[error("Cannot find device='' nor node-name='{0}'")]
    NotFound(String),
    /// A device has it.
    #[error("Node {0} is in use")]
    InUse(String),
    /// The image cannot be opened.
    #[error("{0}")]
    Open(String),
}

impl NodeError {
    /// An image that cannot be opened.
    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    pub(super) fn open(error: anyhow::Error) -> Self {
        Self::Open(format!("{error:#}"))
    }
}

impl Nodes {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Node>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the image of `config`, which may be one of `fds`, as the node `name`.
    pub(super) fn add(&self, name: &str, config: &DiskConfig, fds: &FdSets) -> Result<(), NodeError> {
        let mut nodes = self.lock();
        match nodes.len() {
            _ if nodes.contains_key(name) => Err(NodeError::Duplicate(name.into())),
            MOST_NODES.. => Err(NodeError::TooMany),
            _ => {
                let disk = Disk::open(config, fds).map_err(NodeError::open)?;
                nodes.insert(name.into(), Node { disk, in_use: false });
                Ok(())
            }
        }
    }

    /// Closes the node `name`.
    pub(super) fn delete(&self, name: &str) -> Result<(), NodeError> {
        let mut nodes = self.lock();
        match nodes.get(name) {
            None => Err(NodeError::NotFound(name.into())),
            Some(node) if node.in_use => Err(NodeError::InUse(name.into())),
            Some(_) => {
                nodes.remove(name);
                Ok(())
            }
        }
    }

    /// Gives the node `name` to a device.
    pub(super) fn take(&self, name: &str) -> Result<Disk, NodeError> {
        let mut nodes = self.lock();
        let node = nodes.get_mut(name).ok_or_else(|| NodeError::NotFound(name.into()))?;
        if std::mem::replace(&mut node.in_use, true) {
            return Err(NodeError::InUse(name.into()));
        }
        Ok(node.disk.clone())
    }

    /// The device that had the node `name` is gone.
    pub(super) fn give_back(&self, name: &str) {
        if let Some(node) = self.lock().get_mut(name) {
            node.in_use = false;
        }
    }
}
