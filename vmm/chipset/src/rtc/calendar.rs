//! Dates: the Gregorian calendar, and the week.

/// Seconds in a day.
pub(super) const DAY: i64 = 86_400;
/// Days in 400 years, after which the calendar repeats.
const ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

/// A moment as the registers of the clock tell it.
///
/// Nothing keeps a guest from writing a month 99 into them; such a moment is the one reached by counting on from the
/// last sensible one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Calendar {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    /// 1 is Sunday. Counted by itself: whatever the guest wrote there is the day before the next.
    pub(super) weekday: i64,
}

impl Calendar {
    /// The moment `seconds` after 1970-01-01, a Thursday.
    pub(super) fn utc(seconds: i64) -> Self {
        let weekday = (seconds.div_euclid(DAY) + 4).rem_euclid(7) + 1;
        Self::new(seconds, weekday)
    }

    /// The moment that is `seconds` later, or earlier.
    pub(super) fn plus(self, seconds: i64) -> Self {
        let (before, after) = (self.seconds(), self.seconds() + seconds);
        let days = after.div_euclid(DAY) - before.div_euclid(DAY);
        Self::new(after, (self.weekday - 1 + days).rem_euclid(7) + 1)
    }

    /// Seconds since midnight.
    pub(super) fn time_of_day(self) -> i64 {
        self.seconds().rem_euclid(DAY)
    }

    fn new(seconds: i64, weekday: i64) -> Self {
        let (year, month, day) = date(seconds.div_euclid(DAY));
        let time = seconds.rem_euclid(DAY);
        Self { year, month, day, hour: time / 3600, minute: time / 60 % 60, second: time % 60, weekday }
    }

    /// Seconds since 1970-01-01.
    fn seconds(self) -> i64 {
        days(self.year, self.month, self.day) * DAY + self.hour * 3600 + self.minute * 60 + self.second
    }
}

/// Days from 1970-01-01 to the given date. Years are counted from March, so that the leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let months = year * 12 + month - 3;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12));
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + days_before(month) + day - 1 - EPOCH
}

/// Days in a year before its month `month`, which is 0 for March.
fn days_before(month: i64) -> i64 {
    (month * 153 + 2) / 5 // five months have 153 days, of the pattern 31 30 31 30 31
}

/// Year, month and day of the month, `days` after 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    let (era, in_era) = ((days + EPOCH).div_euclid(ERA), (days + EPOCH).rem_euclid(ERA));
    let leap_days = in_era / 1460 - in_era / 36_524 + in_era / (ERA - 1);
    let year = (in_era - leap_days) / 365;
    let in_year = in_era - (year * 365 + year / 4 - year / 100);
    let month = (in_year * 5 + 2) / 153;
    let months = (era * 400 + year) * 12 + month + 2;
    (months.div_euclid(12), months.rem_euclid(12) + 1, in_year - days_before(month) + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const fn moment(date: (i64, i64, i64), time: (i64, i64, i64), weekday: i64) -> Calendar {
        let ((year, month, day), (hour, minute, second)) = (date, time);
        Calendar { year, month, day, hour, minute, second, weekday }
    }

    #[rstest]
    #[case::epoch(0, moment((1970, 1, 1), (0, 0, 0), 5))]
    #[case::second_before(-1, moment((1969, 12, 31), (23, 59, 59), 4))]
    #[case::millennium(946_684_800, moment((2000, 1, 1), (0, 0, 0), 7))]
    #[case::leap_day_of_a_century(951_827_696, moment((2000, 2, 29), (12, 34, 56), 3))]
    #[case::after_it(951_868_800, moment((2000, 3, 1), (0, 0, 0), 4))]
    #[case::no_leap_day(4_107_542_400, moment((2100, 3, 1), (0, 0, 0), 2))]
    #[case::today(1_785_844_799, moment((2026, 8, 4), (11, 59, 59), 3))]
    #[case::end_of_32_bits(2_147_483_647, moment((2038, 1, 19), (3, 14, 7), 3))]
    fn utc_is_what_date_says(#[case] seconds: i64, #[case] expected: Calendar) {
        assert_eq!(Calendar::utc(seconds), expected);
        assert_eq!(expected.seconds(), seconds);
    }

    /// The day after, by the rule of thumb.
    fn tomorrow((year, month, day): (i64, i64, i64)) -> (i64, i64, i64) {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let february = if leap { 29 } else { 28 };
        let length = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize - 1];
        match (month, day) {
            (12, 31) => (year + 1, 1, 1),
            _ if day == length => (year, month + 1, 1),
            _ => (year, month, day + 1),
        }
    }

    #[test]
    fn every_day_of_ten_thousand_years_follows_the_one_before() {
        let first = days(0, 1, 1);
        let mut expected = (0, 1, 1);
        for day in first..days(10_000, 1, 1) {
            assert_eq!(date(day), expected);
            assert_eq!(days(expected.0, expected.1, expected.2), day);
            expected = tomorrow(expected);
        }
    }

    #[test]
    fn week_goes_its_own_way() {
        let wrong = moment((2026, 8, 4), (23, 59, 59), 7);
        assert_eq!(wrong.plus(1).weekday, 1);
        assert_eq!(wrong.plus(DAY).weekday, 1);
        assert_eq!(wrong.plus(0).weekday, 7);
        assert_eq!(wrong.plus(-DAY).weekday, 6);
    }

    #[test]
    fn nonsense_is_counted_on() {
        assert_eq!(moment((2026, 2, 31), (0, 0, 0), 1).plus(0), moment((2026, 3, 3), (0, 0, 0), 1));
        assert_eq!(moment((2026, 13, 1), (24, 60, 60), 0).plus(0), moment((2027, 1, 2), (1, 1, 0), 7));
    }

    proptest! {
        #[test]
        fn adding_in_two_steps_is_adding_once(
            start in -1_000_000_000_000_i64..1_000_000_000_000,
            first in -10_000_000_000_i64..10_000_000_000,
            second in -10_000_000_000_i64..10_000_000_000,
        ) {
            let start = Calendar::utc(start);
            prop_assert_eq!(start.plus(first).plus(second), start.plus(first + second));
        }
    }
}
