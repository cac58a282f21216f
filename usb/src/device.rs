//! What a device is to the controller.

use std::fmt;
use std::sync::Arc;

use crate::{Data, Direction, Hub, Setup};

/// How fast a device talks. USB 3.2, 10.16.2; decides which kind of root port it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speed {
    /// 1.5 Mb/s.
    Low,
    /// 12 Mb/s.
    Full,
    /// 480 Mb/s.
    High,
    /// 5 Gb/s.
    Super,
}

/// An endpoint of a device: number and direction, as in `bEndpointAddress`. USB 2.0, 9.6.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointAddress(u8);

impl EndpointAddress {
    /// The endpoint of this number (0 to 15) and direction.
    #[must_use]
    pub const fn new(number: u8, direction: Direction) -> Self {
        let flag = match direction {
            Direction::In => 0x80,
            Direction::Out => 0,
        };
        Self(flag | number & 0xf)
    }

    /// What a descriptor or a request calls by this byte; reserved bits are dropped.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte & 0x8f)
    }

    /// The byte of a descriptor: direction in bit 7, number in bits 3:0.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// The number, 0 to 15.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0 & 0xf
    }

    /// Which way its data go.
    #[must_use]
    pub const fn direction(self) -> Direction {
        if self.0 & 0x80 == 0 { Direction::Out } else { Direction::In }
    }
}

/// What a device says to a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The device did its part. With an IN transfer that it did not fill, this is a short packet (possibly of no bytes)
    /// and ends the transfer; an OUT transfer must have been taken whole.
    Done,
    /// NAK: nothing (more) now. The controller keeps the transfer and offers it again after [`Waker::wake`], from where the
    /// device stopped. It asks no earlier, so a device that says this must wake.
    Nak,
    /// STALL: the device refuses, and (other than for control) keeps refusing until the driver clears the endpoint's halt.
    Stall,
    /// The device has a packet that is longer than what is left of the transfer. USB 2.0, 8.7.4.
    Babble,
    /// The device does not answer: unplugged, or its other side failed.
    Gone,
}

/// A device on the bus.
///
/// All calls but [`transfer_at_once`](Self::transfer_at_once) come from the controller's worker thread, never from a vCPU, and
/// may therefore block for the time of one disk access. The guest is behind every argument: nothing in a [`Setup`] or in data is to be trusted.
///
/// A transfer reaches the device as one call or as several in a row, each with a window of its data ([`Data`]); how the driver
/// cut it into buffers has no meaning. A device that has to tell where a transfer ends tells so by its own protocol.
///
/// * **IN**: the device puts in what it has. If it fills the window, the next window (or the next transfer) is asked of it when
///   it comes; if it answers [`Outcome::Done`] with room left, that is a short packet and ends the transfer.
/// * **OUT**: the device takes all of the window, or answers [`Outcome::Stall`].
/// * Either may answer [`Outcome::Nak`] at any point, with a part already moved.
pub trait UsbDevice: Send {
    /// How fast it talks. Fixed while it is attached.
    fn speed(&self) -> Speed;

    /// It is plugged in, in its power-on state. `waker` is for [`Outcome::Nak`]; a hub passes clones to its devices.
    fn attach(&mut self, waker: Waker);

    /// Bus reset: default state, nothing in flight, no configuration. USB 2.0, 9.1.1.3. What persists in a real device
    /// (the sectors of a disk) persists.
    fn reset(&mut self);

    /// A control transfer to endpoint 0: the request and its data stage, whose length is `setup.length` or what the
    /// driver's buffer holds, and whose direction is the request's. Never called with SET_ADDRESS, which is the controller's.
    ///
    /// The status stage follows from the answer: [`Outcome::Done`] acknowledges, [`Outcome::Stall`] refuses the request. A
    /// device that answers [`Outcome::Nak`] gets the same request again. Most devices begin with [`Standard::control`].
    ///
    /// [`Standard::control`]: crate::Standard::control
    fn control(&mut self, setup: Setup, data: &mut Data<'_>) -> Outcome;

    /// A part of a bulk, interrupt or isochronous transfer, in the direction of `endpoint`, which is not 0. It may be one the
    /// device does not have: [`Outcome::Stall`].
    fn transfer(&mut self, endpoint: EndpointAddress, data: &mut Data<'_>) -> Outcome;

    /// The same from a vCPU's thread, whose guest stands still meanwhile: for transfers that do no more than move a few bytes in
    /// memory. None from a device that would do more, or does not know: then nothing has changed, and the worker asks again by
    /// [`transfer`](Self::transfer).
    fn transfer_at_once(&mut self, endpoint: EndpointAddress, data: &mut Data<'_>) -> Option<Outcome> {
        let _ = (endpoint, data);
        None
    }

    /// The driver gave up a transfer that was answered with [`Outcome::Nak`], on `endpoint` (0 for control). Data that the
    /// device acknowledged stay acknowledged; data it moved for this transfer are lost.
    fn cancel(&mut self, endpoint: EndpointAddress) {
        let _ = endpoint;
    }

    /// Whether it would wake its port, were that suspended: the driver allowed it to (DEVICE_REMOTE_WAKEUP), and it has something
    /// to tell, be it from before the port was suspended. Asked when the port is, and after each [`Waker::wake`]. USB 2.0, 7.1.7.7.
    fn signals_wakeup(&self) -> bool {
        false
    }

    /// The device behind downstream port `port` (from 1), if this is a hub and there is an enabled one.
    fn downstream(&mut self, port: u8) -> Option<&mut dyn UsbDevice> {
        let _ = port;
        None
    }

    /// This device as a hub, if it is one, to plug something in behind it.
    fn as_hub(&mut self) -> Option<&mut Hub> {
        None
    }
}

/// Tells the controller that a device has news: endpoints that said [`Outcome::Nak`] are asked again.
///
/// Callable from any thread and at any time; cheap, and never calls the device back.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    /// A waker that calls `wake`, which must not block.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// A waker that wakes nobody.
    #[must_use]
    pub fn unconnected() -> Self {
        Self::new(|| {})
    }

    /// Has the controller ask again.
    pub fn wake(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}
