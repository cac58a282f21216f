//! What the real-time clock shows.

use chipset::time::Moment;

/// The time of the MC146818, if the machine has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtcConfig {
    /// What it shows when the machine starts.
    pub base: RtcBase,
    /// What it goes by from then on.
    pub clock: RtcClock,
}

/// What the clock shows when the machine starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RtcBase {
    /// The host's time in UTC.
    #[default]
    Utc,
    /// The host's time where the host is, as some guests want it.
    LocalTime,
    /// Nanoseconds since 1970-01-01, if that was in the guest's time zone.
    At(Moment),
}

/// What the clock goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RtcClock {
    /// The host's date: it jumps when somebody sets that.
    #[default]
    Host,
    /// The host's clock that nobody sets.
    Steady,
}
