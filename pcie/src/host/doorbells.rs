//! Doorbells that follow their BARs.

use crate::{Doorbell, DoorbellSink};

/// A doorbell and where it is connected, if its BAR decodes there.
pub(super) struct Bell {
    pub(super) doorbell: Doorbell,
    connected: Option<u64>,
}

impl Bell {
    pub(super) fn new(doorbell: Doorbell) -> Self {
        Self { doorbell, connected: None }
    }

    /// Disconnects the doorbell unless it already is at `address`.
    pub(super) fn leave(&mut self, address: Option<u64>, sink: &mut dyn DoorbellSink) {
        if self.connected != address
            && let Some(old) = self.connected.take()
        {
            sink.disconnect(old, &self.doorbell.event);
        }
    }

    /// Connects the doorbell at `address` unless it already is.
    pub(super) fn enter(&mut self, address: Option<u64>, sink: &mut dyn DoorbellSink) {
        if self.connected != address
            && let Some(new) = address
        {
            sink.connect(new, &self.doorbell.event);
            self.connected = Some(new);
        }
    }
}
