//! `--rtc base=…[,clock=…]`: what the real-time clock shows.

use std::str::FromStr;

use chipset::time::Moment;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::fields::{Fields, FieldsError};
use crate::config::{RtcBase, RtcClock, RtcConfig};

/// Why a text says nothing about the clock.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RtcError {
    /// No time to begin with.
    #[error(
        "base={0} is no time from 1970 to 2553, use base=utc, base=localtime, or for example base=2026-08-04T11:59:59"
    )]
    Base(String),
    /// Nothing to go by.
    #[error("clock={0} is no clock, use clock=host or clock=rt")]
    Clock(String),
    /// A key that there is not.
    #[error("unknown key `{0}`, use base or clock")]
    Key(String),
    /// Not of the shape.
    #[error(transparent)]
    Fields(#[from] FieldsError),
}

impl FromStr for RtcConfig {
    type Err = RtcError;

    fn from_str(text: &str) -> Result<Self, RtcError> {
        let mut rtc = Self::default();
        for (key, value) in Fields::pairs(text)? {
            match key.as_str() {
                "base" => rtc.base = value.parse()?,
                "clock" => rtc.clock = value.parse()?,
                _ => return Err(RtcError::Key(key)),
            }
        }
        Ok(rtc)
    }
}

impl FromStr for RtcBase {
    type Err = RtcError;

    fn from_str(text: &str) -> Result<Self, RtcError> {
        match text {
            "utc" => Ok(Self::Utc),
            "localtime" => Ok(Self::LocalTime),
            _ => date(text).map(Self::At).ok_or_else(|| RtcError::Base(text.into())),
        }
    }
}

impl FromStr for RtcClock {
    type Err = RtcError;

    /// QEMU's names.
    fn from_str(text: &str) -> Result<Self, RtcError> {
        match text {
            "host" => Ok(Self::Host),
            "rt" => Ok(Self::Steady),
            _ => Err(RtcError::Clock(text.into())),
        }
    }
}

/// A date, and perhaps a time of that day.
fn date(text: &str) -> Option<Moment> {
    let whole_day = |_| Date::strptime("%Y-%m-%d", text).map(DateTime::from);
    let time = DateTime::strptime("%Y-%m-%dT%H:%M:%S", text).or_else(whole_day).ok()?;
    let since_1970 = TimeZone::UTC.to_timestamp(time).ok()?.as_nanosecond();
    u64::try_from(since_1970).ok().map(Moment)
}

#[cfg(test)]
mod tests {
    use chipset::time::SECOND;

    use super::*;

    fn rtc(text: &str) -> Result<RtcConfig, RtcError> {
        text.parse()
    }

    fn base(text: &str) -> Option<RtcBase> {
        rtc(&format!("base={text}")).ok().map(|rtc| rtc.base)
    }

    #[test]
    fn clock_begins_with_the_hosts_time_or_a_date() {
        let at = |seconds: u64| Some(RtcBase::At(Moment(seconds * SECOND)));
        assert_eq!((base("utc"), base("localtime")), (Some(RtcBase::Utc), Some(RtcBase::LocalTime)));
        assert_eq!(base("2026-08-04T11:59:59"), at(1_785_844_799));
        assert_eq!((base("2000-02-29"), base("1970-01-01")), (at(951_782_400), at(0)));
        assert_eq!(rtc("clock=rt"), Ok(RtcConfig { clock: RtcClock::Steady, ..RtcConfig::default() }));
        assert_eq!(rtc("clock=host,base=utc"), Ok(RtcConfig::default()));
    }

    #[test]
    fn times_that_cannot_be_are_refused() {
        for text in [
            "",
            "now",
            "2026",
            "2026-02-29",
            "2026-13-01",
            "2026-08-04T24:00:00",
            "2026-08-04T11:59",
            "2026-08-04 11:59:59",
            "2026-08-04T11:59:59Z",
            "1969-12-31",
            "2999-01-01",
        ] {
            assert_eq!(base(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_comes_with_what_is_right() {
        let message = |text| rtc(text).unwrap_err().to_string();
        assert!(message("base=noon").starts_with("base=noon is no time from 1970 to 2553, use base=utc"));
        assert_eq!(message("clock=sun"), "clock=sun is no clock, use clock=host or clock=rt");
        assert_eq!(message("bases=utc"), "unknown key `bases`, use base or clock");
    }
}
