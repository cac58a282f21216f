//! A port: two queues and a stream of the host's.

use std::os::fd::BorrowedFd;

use chardev::Chardev;

use super::Kind;
use crate::{Broken, Buffers, Requests};

/// Bytes that move at a time.
const PART: usize = 4096;

/// One port.
pub(super) struct Port {
    kind: Kind,
    end: Box<dyn Chardev>,
    /// Whether somebody was at the host's end when the driver was last told.
    told: bool,
    /// Whether somebody in the guest has it open.
    open: bool,
    /// How much of the driver's first chain has been passed on.
    passed: u64,
}

impl Port {
    pub(super) fn new(kind: Kind, end: Box<dyn Chardev>) -> Self {
        let told = end.is_connected();
        Self { kind, end, told, open: false, passed: 0 }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind.clone()
    }

    pub(super) fn events(&self) -> Option<BorrowedFd<'_>> {
        self.end.events()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.end.is_connected()
    }

    /// Starts over, for a driver that has the port open from the start, or says when it has.
    pub(super) fn begin(&mut self, open: bool) {
        self.open = open;
        self.passed = 0;
    }

    pub(super) fn set_open(&mut self, open: bool) {
        self.open = open;
    }

    /// Looks who is at the host's end.
    pub(super) fn look(&mut self) {
        self.end.look();
    }

    /// Whether somebody came there, or left, since this was last asked.
    pub(super) fn has_news(&mut self) -> bool {
        let connected = self.end.is_connected();
        connected != std::mem::replace(&mut self.told, connected)
    }

    /// Data to the driver.
    pub(super) fn receive(&mut self, requests: &mut Requests<'_>) -> Result<(), Broken> {
        let mut part = [0; PART];
        while self.open
            && let Some(request) = requests.next()?
        {
            let room = request.chain.writable.len().min(PART as u64) as usize;
            let len = self.end.read(part.get_mut(..room).unwrap_or_default());
            if len == 0 && room > 0 {
                requests.put_back(1);
                break;
            }
            request.chain.writable.copy_from(part.get(..len).unwrap_or_default());
            requests.complete(&request, len as u32)?;
        }
        Ok(())
    }

    /// Data from the driver.
    pub(super) fn transmit(&mut self, requests: &mut Requests<'_>) -> Result<(), Broken> {
        while let Some(mut request) = requests.next()? {
            let rest = request.chain.readable.split_off(self.passed).unwrap_or_default();
            if !self.pass_on(rest) {
                requests.put_back(1);
                break;
            }
            self.passed = 0;
            requests.complete(&request, 0)?;
        }
        Ok(())
    }

    /// Passes bytes on, as far as the host's end has room. True if these are all.
    fn pass_on(&mut self, mut bytes: Buffers<'_>) -> bool {
        let mut part = [0; PART];
        while !bytes.is_empty() {
            let len = bytes.copy_to(&mut part);
            let taken = self.end.write(part.get(..len).unwrap_or_default());
            self.passed += taken as u64;
            if taken < len {
                return false;
            }
            bytes = bytes.split_off(len as u64).unwrap_or_default();
        }
        true
    }
}
