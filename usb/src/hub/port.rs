//! A hub's downstream port. USB 2.0, 11.5 and 11.24.2.

use crate::{UsbDevice, Waker};

/// Feature selectors. USB 2.0, table 11-17.
mod feature {
    pub(super) const ENABLE: u16 = 1;
    pub(super) const SUSPEND: u16 = 2;
    pub(super) const RESET: u16 = 4;
    pub(super) const POWER: u16 = 8;
    /// The change bits, in the order of [`change`](super::change).
    pub(super) const CHANGES: std::ops::RangeInclusive<u16> = 16..=20;
    pub(super) const INDICATOR: u16 = 22;
}

/// Bits of `wPortStatus`. USB 2.0, table 11-21.
mod status {
    pub(super) const CONNECTION: u16 = 1 << 0;
    pub(super) const ENABLE: u16 = 1 << 1;
    pub(super) const SUSPEND: u16 = 1 << 2;
    pub(super) const POWER: u16 = 1 << 8;
    pub(super) const HIGH_SPEED: u16 = 1 << 10;
}

/// Bits of `wPortChange`. USB 2.0, table 11-22.
mod change {
    pub(super) const CONNECTION: u16 = 1 << 0;
    pub(super) const SUSPEND: u16 = 1 << 2;
    pub(super) const RESET: u16 = 1 << 4;
}

/// A port, with or without a device of high speed.
#[derive(Default)]
pub(super) struct Port {
    device: Option<Box<dyn UsbDevice>>,
    status: u16,
    change: u16,
}

impl Port {
    /// Whether the device would have the port leave its sleep.
    pub(super) fn is_woken(&self) -> bool {
        self.is(status::SUSPEND) && self.device.as_ref().is_some_and(|device| device.signals_wakeup())
    }

    /// A suspended device with something to tell resumes its port, if the driver allowed it to. USB 2.0, 11.9.
    pub(super) fn hear(&mut self) {
        if self.is_woken() {
            self.resume();
        }
    }

    pub(super) fn is_free(&self) -> bool {
        self.device.is_none()
    }

    pub(super) fn attach(&mut self, waker: &Waker) {
        if let Some(device) = &mut self.device {
            device.attach(waker.clone());
        }
    }

    pub(super) fn plug(&mut self, mut device: Box<dyn UsbDevice>, waker: &Waker) {
        device.attach(waker.clone());
        self.device = Some(device);
        self.connect();
    }

    pub(super) fn unplug(&mut self) -> Option<Box<dyn UsbDevice>> {
        self.connect_change();
        self.status &= status::POWER;
        self.device.take()
    }

    fn is(&self, bits: u16) -> bool {
        self.status & bits == bits
    }

    /// A device that gets power shows.
    fn connect(&mut self) {
        if self.device.is_some() && self.is(status::POWER) && !self.is(status::CONNECTION) {
            self.status |= status::CONNECTION;
            self.change |= change::CONNECTION;
        }
    }

    fn connect_change(&mut self) {
        if self.is(status::CONNECTION) {
            self.change |= change::CONNECTION;
        }
    }

    pub(super) fn power_off(&mut self) {
        (self.status, self.change) = (0, 0);
    }

    /// Whether the driver has not cleared a change.
    pub(super) const fn changed(&self) -> bool {
        self.change != 0
    }

    /// `wPortStatus` and `wPortChange`.
    pub(super) fn status(&self) -> [u8; 4] {
        let ([s0, s1], [c0, c1]) = (self.status.to_le_bytes(), self.change.to_le_bytes());
        [s0, s1, c0, c1]
    }

    /// SetPortFeature; false for a feature that ports do not have. USB 2.0, 11.24.2.13.
    pub(super) fn set(&mut self, feature: u16) -> bool {
        match feature {
            feature::POWER => {
                self.status |= status::POWER;
                self.connect();
            }
            feature::RESET => self.reset(),
            feature::SUSPEND if self.is(status::ENABLE) => self.status |= status::SUSPEND,
            feature::SUSPEND | feature::INDICATOR => {}
            _ => return false,
        }
        true
    }

    /// ClearPortFeature; false for a feature that cannot be cleared. USB 2.0, 11.24.2.2.
    pub(super) fn clear(&mut self, feature: u16) -> bool {
        match feature {
            feature::POWER => self.power_off(),
            feature::ENABLE => self.status &= !(status::ENABLE | status::SUSPEND),
            feature::SUSPEND => self.resume(),
            feature::INDICATOR => {}
            _ if feature::CHANGES.contains(&feature) => {
                self.change &= !(1 << (feature - feature::CHANGES.start()));
            }
            _ => return false,
        }
        true
    }

    /// Done at once: a driver finds the change bit set. USB 2.0, 11.5.1.5.
    fn reset(&mut self) {
        if let (Some(device), true) = (&mut self.device, self.status & status::CONNECTION != 0) {
            device.reset();
            self.status = status::POWER | status::CONNECTION | status::ENABLE | status::HIGH_SPEED;
            self.change |= change::RESET;
        }
    }

    fn resume(&mut self) {
        if self.is(status::SUSPEND) {
            self.status &= !status::SUSPEND;
            self.change |= change::SUSPEND;
        }
    }

    /// What is plugged in, whether or not the driver can talk to it.
    pub(super) fn device(&mut self) -> Option<&mut dyn UsbDevice> {
        match &mut self.device {
            Some(device) => Some(device.as_mut()),
            None => None,
        }
    }

    /// The device, if the driver can talk to it.
    pub(super) fn enabled(&mut self) -> Option<&mut dyn UsbDevice> {
        let enabled = self.is(status::ENABLE);
        match &mut self.device {
            Some(device) if enabled => Some(device.as_mut()),
            _ => None,
        }
    }
}
