//! When the alarm rings.

use super::calendar::DAY;
use super::format::Format;
use super::spec::{ANY, BYTES, HOURS_ALARM, MINUTES_ALARM, SECONDS_ALARM};

/// One of the three bytes of the alarm.
#[derive(Clone, Copy, Debug)]
struct Hand {
    /// None for any.
    at: Option<i64>,
    /// Positions that it has.
    count: i64,
}

impl Hand {
    /// The first position from `from` on at which the alarm can ring.
    fn first(self, from: i64) -> Option<i64> {
        let position = self.at.map_or(Some(from), |at| (at >= from).then_some(at))?;
        (position < self.count).then_some(position)
    }

    /// `position`, if the alarm can ring there.
    fn here(self, position: i64) -> Option<i64> {
        self.first(position).filter(|&first| first == position)
    }
}

/// The time, or times, of the day at which the alarm rings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alarm {
    hour: Hand,
    minute: Hand,
    second: Hand,
}

impl Alarm {
    /// Reads the alarm out of the registers.
    pub(super) fn decode(format: Format, bytes: &[u8; BYTES]) -> Self {
        let hand = |index, count, decode: fn(Format, u8) -> i64| {
            let byte = bytes[usize::from(index)];
            Hand { at: (byte & ANY != ANY).then(|| decode(format, byte)), count }
        };
        Self {
            hour: hand(HOURS_ALARM, 24, Format::hour),
            minute: hand(MINUTES_ALARM, 60, Format::number),
            second: hand(SECONDS_ALARM, 60, Format::number),
        }
    }

    /// How many seconds after `now`, which is a time of day, the alarm rings next: 1 to a whole day. None if it never does.
    pub(super) fn rings_in(self, now: i64) -> Option<i64> {
        let (hour, minute, second) = (now / 3600, now / 60 % 60, now % 60);
        let Self { hour: hours, minute: minutes, second: seconds } = self;
        let in_this_minute = || clock(hours.here(hour), minutes.here(minute), seconds.first(second + 1));
        let in_this_hour = || clock(hours.here(hour), minutes.first(minute + 1), seconds.first(0));
        let today = || clock(hours.first(hour + 1), minutes.first(0), seconds.first(0));
        let tomorrow = || clock(hours.first(0), minutes.first(0), seconds.first(0)).map(|time| time + DAY);
        let rings = in_this_minute().or_else(in_this_hour).or_else(today).or_else(tomorrow)?;
        Some(rings - now)
    }
}

/// The time of day at which the three hands stand.
fn clock(hour: Option<i64>, minute: Option<i64>, second: Option<i64>) -> Option<i64> {
    Some(hour? * 3600 + minute? * 60 + second?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::super::spec::RegisterB;
    use super::*;

    fn alarm(b: RegisterB, hour: u8, minute: u8, second: u8) -> Alarm {
        let mut bytes = [0; BYTES];
        (bytes[1], bytes[3], bytes[5]) = (second, minute, hour);
        Alarm::decode(Format::from(b), &bytes)
    }

    const NOON: i64 = 12 * 3600;

    #[rstest]
    #[case::later_today(0x13, 0x30, 0x15, Some(5415))]
    #[case::earlier_today(0x11, 0x59, 0x59, Some(DAY - 1))]
    #[case::at_this_moment(0x12, 0x00, 0x00, Some(DAY))]
    #[case::every_second(0xff, 0xff, 0xff, Some(1))]
    #[case::every_minute(0xff, 0xff, 0x00, Some(60))]
    #[case::every_hour(0xff, 0x00, 0x00, Some(3600))]
    #[case::every_second_of_an_hour(0x14, 0xff, 0xc0, Some(7200))]
    #[case::no_such_hour(0x24, 0x00, 0x00, None)]
    #[case::no_such_minute(0xff, 0x60, 0xff, None)]
    #[case::no_such_second(0xff, 0xff, 0xbf, None)]
    fn alarm_seen_from_noon(#[case] h: u8, #[case] m: u8, #[case] s: u8, #[case] rings: Option<i64>) {
        assert_eq!(alarm(RegisterB::POWER_ON, h, m, s).rings_in(NOON), rings);
    }

    #[test]
    fn twelve_hour_alarm_knows_its_half_of_the_day() {
        let at = |hour| alarm(RegisterB::new(), hour, 0, 0).rings_in(NOON);
        assert_eq!(at(0x81), Some(3600));
        assert_eq!(at(0x01), Some(13 * 3600));
        assert_eq!(at(0x12), Some(12 * 3600));
    }

    proptest! {
        #[test]
        fn alarm_rings_at_the_first_second_that_matches(
            now in 0..DAY, hour in 0..26_u8, minute in 0..62_u8, second in 0..62_u8,
            any in [any::<bool>(), any::<bool>(), any::<bool>()],
        ) {
            let byte = |value: u8, any| if any { 0xff } else { value };
            let fits = |at: u8, any, now: i64| any || i64::from(at) == now;
            let binary = RegisterB::new().with_binary(true).with_hours_24(true);
            let alarm = alarm(binary, byte(hour, any[0]), byte(minute, any[1]), byte(second, any[2]));
            let matches = |time: i64| {
                fits(hour, any[0], time / 3600) && fits(minute, any[1], time / 60 % 60) && fits(second, any[2], time % 60)
            };
            let expected = (1..=DAY).find(|passed| matches((now + passed) % DAY));
            prop_assert_eq!(alarm.rings_in(now), expected);
        }
    }
}
