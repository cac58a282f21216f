//! Get Features and Set Features. NVMe 1.4, 5.14 and 5.21.

use crate::options::{Options, WriteCache};
use crate::queue::Outcome;
use crate::spec::command::Command;
use crate::spec::feature::{CHANGEABLE, TEMPERATURE, TEMPERATURE_WARNING, id, select};
use crate::spec::identify::Controller;
use crate::spec::log::TEMPERATURE_BEYOND;
use crate::spec::status::Status;
use crate::spec::{BROADCAST, NAMESPACE};

/// The features' values. None can be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Features {
    defaults: Defaults,
    arbitration: u32,
    power_management: u32,
    /// Kelvin.
    over_temperature: u16,
    under_temperature: u16,
    error_recovery: u32,
    write_cache: u32,
    /// Granted submission queues, less one, in 15:0 and completion queues in 31:16.
    queues: u32,
    coalescing: u32,
    /// The vectors whose interrupts may not be coalesced: a bit for each. None ever are.
    uncoalesced: u128,
    atomicity: u32,
    async_events: u32,
}

/// What a machine chooses of the values that a reset brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Defaults {
    /// I/O queues of each direction.
    queues: u16,
    write_cache: WriteCache,
}

impl Features {
    /// The features of a drive with `options`, after a reset.
    pub(super) fn new(options: &Options) -> Self {
        Defaults { queues: options.pairs(), write_cache: options.write_cache }.into()
    }
}

impl From<Defaults> for Features {
    fn from(defaults: Defaults) -> Self {
        let last_queue = u32::from(defaults.queues) - 1;
        Self {
            defaults,
            arbitration: 0,
            power_management: 0,
            over_temperature: TEMPERATURE_WARNING,
            under_temperature: 0,
            error_recovery: 0,
            write_cache: (defaults.write_cache == WriteCache::On).into(),
            queues: last_queue << 16 | last_queue,
            coalescing: 0,
            uncoalesced: 0,
            atomicity: 0,
            async_events: 0,
        }
    }
}

/// The temperature threshold that CDW11 means. NVMe 1.4, 5.21.1.4.
enum Threshold {
    Over,
    Under,
}

impl Threshold {
    /// There is no sensor beside the composite temperature, which "all" means too.
    fn of(cdw11: u32) -> Result<Self, Status> {
        match (cdw11 >> 16 & 0xf, cdw11 >> 20 & 3) {
            (0 | 0xf, 0) => Ok(Self::Over),
            (0 | 0xf, 1) => Ok(Self::Under),
            _ => Err(Status::INVALID_FIELD),
        }
    }
}

impl Features {
    /// Whether writes may stay in a cache until a flush.
    pub(super) fn has_write_cache(&self) -> bool {
        self.write_cache != 0
    }

    /// How many I/O submission queues the driver was granted.
    pub(super) fn submission_queues(&self) -> u16 {
        self.queues as u16 + 1
    }

    /// How many I/O completion queues the driver was granted.
    pub(super) fn completion_queues(&self) -> u16 {
        (self.queues >> 16) as u16 + 1
    }

    /// The critical warnings of the health log.
    pub(super) fn critical_warning(&self) -> u8 {
        let fine = self.under_temperature < TEMPERATURE && TEMPERATURE < self.over_temperature;
        if fine { 0 } else { TEMPERATURE_BEYOND }
    }

    /// Whether the driver asked for events of the temperature.
    pub(super) fn wants_temperature_events(&self) -> bool {
        self.async_events & u32::from(TEMPERATURE_BEYOND) != 0
    }

    /// Whether the driver asked for events of namespaces that change.
    pub(super) fn wants_namespace_events(&self) -> bool {
        self.async_events & Controller::NAMESPACE_NOTICES != 0
    }

    /// Set Features. `has_queues`: there is an I/O queue.
    pub(super) fn set(&mut self, command: &Command, has_queues: bool) -> Outcome {
        let (feature, value) = (command.cdw10.get() as u8, command.cdw11.get());
        let saves = command.cdw10.get() >> 31 != 0;
        self.read(feature, value)?; // it exists
        check_namespace(feature, command.namespace.get())?;
        if saves {
            return Err(Status::NOT_SAVEABLE);
        }
        match feature {
            id::NUMBER_OF_QUEUES => return self.grant_queues(value, has_queues),
            id::POWER_MANAGEMENT if value & 0x1f != 0 => return Err(Status::INVALID_FIELD), // one state
            id::ERROR_RECOVERY if value >> 16 & 1 != 0 => return Err(Status::INVALID_FIELD), // DULBE
            _ => self.store(feature, value)?,
        }
        Ok(0)
    }

    fn store(&mut self, feature: u8, value: u32) -> Result<(), Status> {
        match feature {
            id::ARBITRATION => self.arbitration = value,
            id::POWER_MANAGEMENT => self.power_management = value & 0xff,
            id::TEMPERATURE_THRESHOLD => match Threshold::of(value)? {
                Threshold::Over => self.over_temperature = value as u16,
                Threshold::Under => self.under_temperature = value as u16,
            },
            id::ERROR_RECOVERY => self.error_recovery = value & 0xffff,
            id::WRITE_CACHE => self.write_cache = value & 1,
            id::INTERRUPT_COALESCING => self.coalescing = value & 0xffff,
            id::INTERRUPT_VECTOR => {
                let bit = self.vector_bit(value)?;
                self.uncoalesced &= !bit;
                self.uncoalesced |= if value >> 16 & 1 != 0 { bit } else { 0 };
            }
            id::WRITE_ATOMICITY => self.atomicity = value & 1,
            id::ASYNC_EVENTS => self.async_events = value,
            _ => return Err(Status::INVALID_FIELD),
        }
        Ok(())
    }

    /// Get Features.
    pub(super) fn get(&self, command: &Command) -> Outcome {
        let (feature, detail) = (command.cdw10.get() as u8, command.cdw11.get());
        match command.cdw10.get() >> 8 & 7 {
            select::CURRENT => self.read(feature, detail),
            select::DEFAULT | select::SAVED => Self::from(self.defaults).read(feature, detail),
            select::CAPABILITIES => self.read(feature, detail).map(|_| CHANGEABLE),
            _ => Err(Status::INVALID_FIELD),
        }
    }

    fn read(&self, feature: u8, detail: u32) -> Outcome {
        Ok(match feature {
            id::ARBITRATION => self.arbitration,
            id::POWER_MANAGEMENT => self.power_management,
            id::TEMPERATURE_THRESHOLD => match Threshold::of(detail)? {
                Threshold::Over => self.over_temperature.into(),
                Threshold::Under => self.under_temperature.into(),
            },
            id::ERROR_RECOVERY => self.error_recovery,
            id::WRITE_CACHE => self.write_cache,
            id::NUMBER_OF_QUEUES => self.queues,
            id::INTERRUPT_COALESCING => self.coalescing,
            id::INTERRUPT_VECTOR => {
                let uncoalesced = self.uncoalesced & self.vector_bit(detail)? != 0;
                detail & 0xffff | u32::from(uncoalesced) << 16
            }
            id::WRITE_ATOMICITY => self.atomicity,
            id::ASYNC_EVENTS => self.async_events,
            _ => return Err(Status::INVALID_FIELD),
        })
    }

    /// NVMe 1.4, 5.21.1.7.
    fn grant_queues(&mut self, wanted: u32, has_queues: bool) -> Outcome {
        let (submission, completion) = (wanted & 0xffff, wanted >> 16);
        if submission == 0xffff || completion == 0xffff {
            return Err(Status::INVALID_FIELD);
        }
        if has_queues {
            return Err(Status::COMMAND_SEQUENCE_ERROR);
        }
        let last = u32::from(self.defaults.queues) - 1;
        self.queues = completion.min(last) << 16 | submission.min(last);
        Ok(self.queues)
    }

    /// The bit of the vector in bits 15:0: that of the admin queue, or of an I/O queue.
    fn vector_bit(&self, value: u32) -> Result<u128, Status> {
        let vector = value & 0xffff;
        if vector <= self.defaults.queues.into() { Ok(1 << vector) } else { Err(Status::INVALID_FIELD) }
    }
}

/// A feature of the controller is not set for a namespace alone. NVMe 1.4, 5.21.
fn check_namespace(feature: u8, namespace: u32) -> Result<(), Status> {
    match namespace {
        0 | BROADCAST => Ok(()),
        NAMESPACE if feature == id::ERROR_RECOVERY => Ok(()),
        NAMESPACE => Err(Status::NOT_NAMESPACE_SPECIFIC),
        _ => Err(Status::INVALID_NAMESPACE),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn features() -> Features {
        Defaults { queues: 64, write_cache: WriteCache::On }.into()
    }

    fn command(cdw10: u32, cdw11: u32) -> Command {
        Command { cdw10: cdw10.into(), cdw11: cdw11.into(), ..Command::default() }
    }

    #[rstest]
    #[case::arbitration(0x01, 0x0102_0304)]
    #[case::power_state_0(0x02, 0x20)]
    #[case::time_limited_error_recovery(0x05, 0x1234)]
    #[case::write_cache_off(0x06, 0)]
    #[case::coalescing(0x08, 0x0a05)]
    #[case::vector_64(0x09, 0x1_0040)]
    #[case::atomicity(0x0a, 1)]
    #[case::events(0x0b, 0xff)]
    fn value_set_is_the_current_one_and_not_the_default(#[case] feature: u32, #[case] value: u32) {
        let mut features = features();
        let default = features.get(&command(feature, value)).unwrap();
        assert_eq!(features.set(&command(feature, value), false), Ok(0));
        assert_eq!(features.get(&command(feature, value)), Ok(value));
        assert_eq!(features.get(&command(feature | 1 << 8, value)), Ok(default));
        assert_eq!(features.get(&command(feature | 3 << 8, value)), Ok(4), "changeable");
        assert_eq!(features.set(&command(feature | 1 << 31, value), false), Err(Status::NOT_SAVEABLE));
    }

    #[rstest]
    #[case::reserved(0x00, 0, Status::INVALID_FIELD)]
    #[case::vendor_specific(0xc0, 0, Status::INVALID_FIELD)]
    #[case::second_power_state(0x02, 1, Status::INVALID_FIELD)]
    #[case::sensor(0x04, 0x1_0150, Status::INVALID_FIELD)]
    #[case::third_threshold(0x04, 0x20_0150, Status::INVALID_FIELD)]
    #[case::deallocated_block_errors(0x05, 0x1_0000, Status::INVALID_FIELD)]
    #[case::no_such_vector(0x09, 65, Status::INVALID_FIELD)]
    #[case::too_many_queues(0x07, 0xffff, Status::INVALID_FIELD)]
    fn impossible_value_changes_nothing(#[case] feature: u32, #[case] value: u32, #[case] status: Status) {
        let mut features = features();
        assert_eq!(features.set(&command(feature, value), false), Err(status));
        assert_eq!(features, self::features());
    }

    #[test]
    fn queues_are_granted_up_to_64_and_before_there_are_any() {
        let mut features = features();
        assert_eq!(features.set(&command(7, 0x0003_0001), false), Ok(0x0003_0001));
        assert_eq!((features.submission_queues(), features.completion_queues()), (2, 4));
        assert_eq!(features.set(&command(7, 0xfffe_fffe), false), Ok(0x003f_003f));
        assert_eq!(features.set(&command(7, 0), true), Err(Status::COMMAND_SEQUENCE_ERROR));
        assert_eq!(features.get(&command(7, 0)), Ok(0x003f_003f));
    }

    #[test]
    fn namespace_matters_to_error_recovery_alone() {
        let mut features = features();
        let mut set = |feature, namespace: u32| {
            features.set(&Command { namespace: namespace.into(), ..command(feature, 0) }, false)
        };
        assert_eq!([set(6, 0), set(6, u32::MAX), set(5, 1)], [Ok(0); 3]);
        assert_eq!(set(6, 1), Err(Status::NOT_NAMESPACE_SPECIFIC));
        assert_eq!([set(6, 2), set(5, 2)], [Err(Status::INVALID_NAMESPACE); 2]);
    }

    #[test]
    fn temperature_beyond_a_threshold_is_critical() {
        let mut features = features();
        assert_eq!(features.critical_warning(), 0);
        features.set(&command(4, 300), false).unwrap();
        assert_eq!(features.critical_warning(), 2);
        features.set(&command(4, 0xf_0000 | 400), false).unwrap();
        assert_eq!(features.critical_warning(), 0);
        features.set(&command(4, 1 << 20 | 310), false).unwrap();
        assert_eq!(features.critical_warning(), 2);
    }
}
