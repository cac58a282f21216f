//! A root hub port. xHCI 1.2, 4.19.
//!
//! ```text
//!  USB 2:  RxDetect ──attach──► Polling ──reset──► U0 ──PLS=3──► U3 ──PLS=15 or device──► Resume ──PLS=0──► U0
//!  USB 3:  RxDetect ──attach (trains by itself)──► U0 ──PLS=3──► U3 ──PLS=0──► U0;  U3 ──device──► Resume ──PLS=0──► U0
//! ```

use super::spec::port::{PortSc, link, speed_id};
use crate::Speed;

/// What a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Usb2,
    Usb3,
}

impl Protocol {
    /// The protocol of a device of this speed.
    pub(crate) fn of(speed: Speed) -> Self {
        if speed == Speed::Super { Self::Usb3 } else { Self::Usb2 }
    }
}

/// Whether transfers can pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Up,
    Suspended,
    Down,
}

/// A port's volatile state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    protocol: Protocol,
    register: PortSc,
    /// A reset the worker has to carry out.
    reset: Option<ResetKind>,
}

/// How a port is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResetKind {
    Hot,
    Warm,
}

impl Port {
    /// A port with nothing in it.
    pub(crate) fn new(protocol: Protocol) -> Self {
        let register = PortSc::new().with_power(true).with_link(link::RX_DETECT);
        Self { protocol, register, reset: None }
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(crate) fn read(&self) -> u32 {
        self.register.into_bits()
    }

    /// Change bits that are set.
    pub(crate) fn changes(&self) -> u32 {
        self.register.into_bits() & PortSc::RW1C
    }

    pub(crate) fn link(&self) -> Link {
        match (self.register.enabled(), self.register.link()) {
            (true, link::U0..=link::U2) => Link::Up,
            (true, _) => Link::Suspended,
            (false, _) => Link::Down,
        }
    }

    /// A driver's write.
    pub(crate) fn write(&mut self, value: u32) {
        let bits = self.register.into_bits() & !PortSc::STORED | value & PortSc::STORED;
        self.register = PortSc::from_bits(bits & !(value & PortSc::RW1C));
        let wanted = PortSc::from_bits(value);
        if wanted.warm_reset() && self.protocol == Protocol::Usb3 {
            self.ask_reset(ResetKind::Warm);
        } else if wanted.reset() {
            self.ask_reset(ResetKind::Hot);
        } else if wanted.enabled() && self.register.enabled() {
            self.disable();
        } else if wanted.link_strobe() {
            self.set_link(wanted.link());
        }
    }

    fn ask_reset(&mut self, kind: ResetKind) {
        if self.register.connected() {
            self.register.set_reset(true);
            self.reset = Some(kind);
        }
    }

    fn disable(&mut self) {
        self.register.set_enabled(false);
        self.register.set_link(link::DISABLED);
    }

    /// xHCI 1.2, table 5-27 and 4.15.2.
    fn set_link(&mut self, state: u8) {
        let now = self.register.link();
        match state {
            link::U0 if self.register.enabled() && now != link::U0 => {
                self.register.set_link(link::U0);
                self.register.set_link_change(now >= link::U3);
            }
            link::U3 if self.link() == Link::Up => self.register.set_link(link::U3),
            link::RESUME if self.protocol == Protocol::Usb2 && now == link::U3 => {
                self.register.set_link(link::RESUME);
            }
            link::DISABLED if self.protocol == Protocol::Usb3 => self.disable(),
            link::RX_DETECT if now == link::DISABLED => self.train(),
            _ => {}
        }
    }

    /// A SuperSpeed link comes up by itself, others wait for a reset.
    fn train(&mut self) {
        let (state, enabled) = match (self.register.connected(), self.protocol) {
            (false, _) => (link::RX_DETECT, false),
            (true, Protocol::Usb3) => (link::U0, true),
            (true, Protocol::Usb2) => (link::POLLING, false),
        };
        self.register.set_link(state);
        self.register.set_enabled(enabled);
    }

    /// A device of this speed is plugged in.
    pub(crate) fn attach(&mut self, speed: Speed) {
        self.register.set_connected(true);
        self.register.set_speed(speed_id(speed));
        self.register.set_connect_change(true);
        self.train();
    }

    /// The device is pulled out.
    pub(crate) fn detach(&mut self) {
        self.reset = None;
        self.register.set_reset(false);
        self.register.set_connected(false);
        self.register.set_speed(0);
        self.register.set_connect_change(true);
        self.train();
    }

    /// Whether the worker has to reset the device, and then say [`finish_reset`](Self::finish_reset).
    pub(crate) fn needs_reset(&self) -> bool {
        self.reset.is_some()
    }

    /// The device has been reset. xHCI 1.2, 4.19.5.
    pub(crate) fn finish_reset(&mut self) {
        let Some(kind) = self.reset.take() else { return };
        self.register.set_reset(false);
        self.register.set_enabled(true);
        self.register.set_link(link::U0);
        self.register.set_reset_change(true);
        if kind == ResetKind::Warm {
            self.register.set_warm_reset_change(true);
        }
    }

    /// The device of a suspended port wants attention. xHCI 1.2, 4.15.2.3.
    pub(crate) fn wake(&mut self) {
        if self.register.enabled() && self.register.link() == link::U3 {
            self.register.set_link(link::RESUME);
            self.register.set_link_change(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PR: u32 = 1 << 4;
    const LWS: u32 = 1 << 16;
    const PLC: u32 = 1 << 22;

    fn port(speed: Speed) -> Port {
        let mut port = Port::new(Protocol::of(speed));
        port.attach(speed);
        port
    }

    fn enabled(speed: Speed) -> Port {
        let mut port = port(speed);
        port.write(PR | PortSc::RW1C);
        port.finish_reset();
        port.write(PortSc::RW1C);
        port
    }

    #[test]
    fn attach_shows_what_spec_xhci_md_recorded() {
        assert_eq!(Port::new(Protocol::Usb3).read(), 0x0000_02a0);
        assert_eq!(port(Speed::Super).read(), 0x0002_1203);
        assert_eq!(port(Speed::High).read(), 0x0002_0ee1);
    }

    #[test]
    fn reset_enables_once_the_worker_is_done() {
        let mut port = port(Speed::High);
        port.write(PR);
        assert!(port.needs_reset() && port.read() & PR != 0);
        port.finish_reset();
        assert_eq!(port.read(), 0x0022_0e03, "U0, CSC, PRC");
        assert_eq!(port.link(), Link::Up);
    }

    #[test]
    fn reset_of_an_empty_port_does_nothing() {
        let mut port = Port::new(Protocol::Usb2);
        port.write(PR);
        assert!(!port.needs_reset());
        assert_eq!(port.read(), 0x0000_02a0);
    }

    #[test]
    fn warm_reset_is_for_usb_3_alone_and_shows_two_changes() {
        let mut port = enabled(Speed::Super);
        port.write(1 << 31);
        port.finish_reset();
        assert_eq!(port.changes(), 1 << 19 | 1 << 21);
        let mut port = enabled(Speed::High);
        port.write(1 << 31);
        assert!(!port.needs_reset());
    }

    #[test]
    fn usb_2_resumes_in_two_steps() {
        let mut port = enabled(Speed::High);
        port.write(LWS | 3 << 5);
        assert_eq!((port.link(), port.changes()), (Link::Suspended, 0));
        port.write(LWS | 15 << 5);
        assert_eq!((port.read() >> 5 & 0xf, port.changes()), (15, 0));
        port.write(LWS);
        assert_eq!((port.link(), port.changes()), (Link::Up, PLC));
    }

    #[test]
    fn device_wakes_a_suspended_port_alone() {
        let mut port = enabled(Speed::Super);
        port.wake();
        assert_eq!(port.changes(), 0);
        port.write(LWS | 3 << 5);
        port.wake();
        assert_eq!((port.read() >> 5 & 0xf, port.changes()), (15, PLC));
    }

    #[test]
    fn link_state_without_strobe_is_ignored() {
        let mut port = enabled(Speed::Super);
        port.write(3 << 5);
        assert_eq!(port.link(), Link::Up);
    }

    #[test]
    fn detach_clears_all_but_the_change() {
        let mut port = enabled(Speed::Super);
        port.detach();
        assert_eq!(port.read(), 0x0002_02a0);
        assert_eq!(port.link(), Link::Down);
    }

    #[test]
    fn writing_enabled_disables() {
        let mut port = enabled(Speed::High);
        port.write(2);
        assert_eq!((port.link(), port.read() >> 5 & 0xf), (Link::Down, 4));
    }
}
