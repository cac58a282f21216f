//! Mass storage: SCSI units on a USB device.
//!
//! The interface has two settings. Setting 0 is the bulk-only transport, which everything knows; setting 1 is USB Attached
//! SCSI, which keeps several commands under way. Without the streams of a SuperSpeed controller UAS is for high speed
//! alone, so that a SuperSpeed device has setting 0 only.

mod bulk_only;
mod information_unit;
mod spec;
#[cfg(test)]
mod tests;
mod uas;
mod wrapper;

use scsi::Target;

use crate::layout::{self, BY_INTERFACE, Endpoint, Interface, Model, Transfers, Wakes};
use crate::{
    Answer, Change, Data, Descriptors, Direction, EndpointAddress, Outcome, Setup, Speed, Standard,
    UsbDevice, Waker,
};
use bulk_only::{BulkOnly, Step};
use uas::Uas;

/// Endpoints of the bulk-only transport, and data pipes of UAS.
const IN: EndpointAddress = EndpointAddress::new(1, Direction::In);
const OUT: EndpointAddress = EndpointAddress::new(2, Direction::Out);
const DATA_IN: EndpointAddress = IN;
const DATA_OUT: EndpointAddress = OUT;
/// The other pipes of UAS.
const STATUS: EndpointAddress = EndpointAddress::new(3, Direction::In);
const COMMAND: EndpointAddress = EndpointAddress::new(4, Direction::Out);
/// The alternate setting that is UAS.
const UAS_SETTING: u8 = 1;

/// A mass storage device.
pub struct Storage {
    // Fixed.
    speed: Speed,
    descriptors: Descriptors,
    waker: Waker,
    target: Target,
    // Volatile.
    state: State,
}

/// What a bus reset forgets.
#[derive(Default)]
struct State {
    standard: Standard,
    bulk_only: BulkOnly,
    uas: Uas,
}

impl Storage {
    /// A device with the units of `target`, of which there is at least one. `serial` is what tells it from others of its
    /// kind; a guest finds it in `/dev/disk/by-id`.
    #[must_use]
    pub fn new(speed: Speed, target: Target, serial: &str) -> Self {
        Self {
            speed,
            descriptors: descriptors(speed, serial),
            waker: Waker::unconnected(),
            target,
            state: State::default(),
        }
    }

    /// The units, to change a medium.
    pub fn target(&mut self) -> &mut Target {
        &mut self.target
    }

    fn class_request(&mut self, setup: Setup, data: &mut Data<'_>) -> Outcome {
        match setup.code() {
            spec::BULK_ONLY_RESET => {
                self.state.bulk_only.reset();
                self.waker.wake();
                Outcome::Done
            }
            spec::GET_MAX_LUN => {
                data.put(&[self.target.units().saturating_sub(1) as u8]);
                Outcome::Done
            }
            _ => Outcome::Stall,
        }
    }

    fn changed(&mut self, change: Change) -> Outcome {
        if !matches!(change, Change::HaltCleared(_)) {
            self.state.bulk_only.reset();
            self.state.uas = Uas::default();
        }
        Outcome::Done
    }

    fn bulk_only(&mut self, endpoint: EndpointAddress, data: &mut Data<'_>) -> Outcome {
        let step = match endpoint {
            IN => self.state.bulk_only.input(&mut self.target, data),
            OUT => self.state.bulk_only.out(&mut self.target, data),
            _ => Step::Answer(Outcome::Stall),
        };
        self.answer(step)
    }

    fn uas(&mut self, endpoint: EndpointAddress, data: &mut Data<'_>) -> Outcome {
        let uas = &mut self.state.uas;
        let outcome = match endpoint {
            COMMAND => uas.command(&mut self.target, data),
            STATUS => uas.status(data),
            DATA_IN => uas.data_in(data),
            DATA_OUT => uas.data_out(data),
            _ => Outcome::Stall,
        };
        self.tell(outcome);
        outcome
    }

    /// Most units of UAS make news on another pipe.
    fn tell(&self, outcome: Outcome) {
        if outcome == Outcome::Done {
            self.waker.wake();
        }
    }

    fn bulk_only_at_once(&mut self, endpoint: EndpointAddress, data: &mut Data<'_>) -> Option<Outcome> {
        let step = match endpoint {
            IN => self.state.bulk_only.input_at_once(&mut self.target, data)?,
            OUT => self.state.bulk_only.out_at_once(&mut self.target, data)?,
            _ => return None,
        };
        Some(self.answer(step))
    }

    fn uas_at_once(&mut self, endpoint: EndpointAddress, data: &mut Data<'_>) -> Option<Outcome> {
        let uas = &mut self.state.uas;
        let outcome = match endpoint {
            COMMAND => uas.command_at_once(&mut self.target, data)?,
            STATUS => uas.status(data),
            DATA_IN | DATA_OUT => uas.data_at_once(endpoint.direction())?,
            _ => return None,
        };
        self.tell(outcome);
        Some(outcome)
    }

    fn answer(&mut self, step: Step) -> Outcome {
        match step {
            Step::Answer(outcome) => outcome,
            Step::Turn(outcome) => {
                self.waker.wake();
                outcome
            }
            Step::Broken => {
                self.waker.wake(); // what waits on the other pipe has to see that it stalls
                self.state.standard.halt(IN);
                self.state.standard.halt(OUT)
            }
        }
    }
}

impl UsbDevice for Storage {
    fn speed(&self) -> Speed {
        self.speed
    }

    fn attach(&mut self, waker: Waker) {
        self.waker = waker;
        self.reset();
    }

    fn reset(&mut self) {
        self.state = State::default();
        self.target.reset();
    }

    fn control(&mut self, setup: Setup, data: &mut Data<'_>) -> Outcome {
        match self.state.standard.control(&self.descriptors, self.speed, setup, data) {
            Answer::Final(outcome) => outcome,
            Answer::Changed(change) => self.changed(change),
            Answer::NotStandard => self.class_request(setup, data),
        }
    }

    fn transfer(&mut self, endpoint: EndpointAddress, data: &mut Data<'_>) -> Outcome {
        if !self.state.standard.configured() || self.state.standard.halted(endpoint) {
            return Outcome::Stall;
        }
        match self.state.standard.setting(0) {
            UAS_SETTING => self.uas(endpoint, data),
            _ => self.bulk_only(endpoint, data),
        }
    }

    /// Commands that move blocks, and the status of all: everything but the disk's own work.
    fn transfer_at_once(&mut self, endpoint: EndpointAddress, data: &mut Data<'_>) -> Option<Outcome> {
        if !self.state.standard.configured() || self.state.standard.halted(endpoint) {
            return None;
        }
        match self.state.standard.setting(0) {
            UAS_SETTING => self.uas_at_once(endpoint, data),
            _ => self.bulk_only_at_once(endpoint, data),
        }
    }
}

fn descriptors(speed: Speed, serial: &str) -> Descriptors {
    let bulk = |address| Endpoint { address, transfers: Transfers::Bulk, extra: &[] };
    let pipe = |address, usage| Endpoint { address, transfers: Transfers::Bulk, extra: usage };
    let (bulk_only, attached) = (
        [bulk(IN), bulk(OUT)],
        [
            pipe(COMMAND, &spec::COMMAND_PIPE),
            pipe(STATUS, &spec::STATUS_PIPE),
            pipe(DATA_IN, &spec::DATA_IN_PIPE),
            pipe(DATA_OUT, &spec::DATA_OUT_PIPE),
        ],
    );
    let setting = |setting, protocol, endpoints| Interface {
        number: 0,
        setting,
        class: [spec::MASS_STORAGE, spec::SCSI, protocol],
        extra: &[],
        endpoints,
    };
    let settings =
        [setting(0, spec::BULK_ONLY, bulk_only.as_slice()), setting(UAS_SETTING, spec::UAS, &attached)];
    let interfaces = if speed == Speed::Super { &settings[..1] } else { &settings };
    let model = Model {
        product: 0x0001,
        class: BY_INTERFACE,
        name: "USB disk",
        serial,
        wakes: Wakes::No,
        preface: &[],
        interfaces,
    };
    layout::lay_out(&model, speed)
}
