//! The time that the real-time clock goes by.

use std::sync::Arc;

use chipset::time::{Clock, Moment, ShiftedClock, SteadyClock, UtcClock};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::{RtcBase, RtcClock, RtcConfig};

/// A clock that shows from now on what `config` says.
pub(super) fn start(config: RtcConfig) -> Arc<dyn Clock> {
    let now = match config.base {
        RtcBase::Utc => UtcClock.now(),
        RtcBase::LocalTime => local_time(),
        RtcBase::At(moment) => moment,
    };
    match (config.base, config.clock) {
        (RtcBase::Utc, RtcClock::Host) => Arc::new(UtcClock),
        (_, RtcClock::Host) => Arc::new(ShiftedClock::showing(now, UtcClock)),
        (_, RtcClock::Steady) => Arc::new(ShiftedClock::showing(now, SteadyClock::start())),
    }
}

/// What clocks on the wall show here. A host whose time zone is unknown is taken to be in UTC.
///
/// The difference to UTC is that of the start: the guest sets its clock when summer begins.
fn local_time() -> Moment {
    let ahead = TimeZone::system().to_offset(Timestamp::now()).seconds();
    Moment(UtcClock.now().0.saturating_add_signed(i64::from(ahead) * 1_000_000_000))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// 2001-09-09 01:46:40.
    const BILLION: Moment = Moment(1_000_000_000_000_000_000);

    fn shown(base: RtcBase, clock: RtcClock) -> Moment {
        start(RtcConfig { base, clock }).now()
    }

    #[test]
    fn date_is_shown_at_the_start_and_goes_on() {
        for clock in [RtcClock::Host, RtcClock::Steady] {
            let clock = start(RtcConfig { base: RtcBase::At(BILLION), clock });
            let first = clock.now();
            assert!(first >= BILLION && first.since(BILLION) < Duration::from_secs(60), "{first:?}");
            std::thread::sleep(Duration::from_millis(2));
            assert!(clock.now().since(first) >= Duration::from_millis(1));
        }
    }

    #[test]
    fn steady_clock_begins_with_the_hosts_date() {
        assert!(shown(RtcBase::Utc, RtcClock::Steady).since(UtcClock.now()) < Duration::from_secs(60));
        assert!(UtcClock.now().since(shown(RtcBase::Utc, RtcClock::Steady)) < Duration::from_secs(60));
    }

    #[test]
    fn local_time_is_what_date_says() {
        let date = std::process::Command::new("date").arg("+%z").output().unwrap();
        let zone = String::from_utf8(date.stdout).unwrap();
        let (hours, minutes) = zone.trim().split_at(3);
        let (hours, minutes): (i64, i64) = (hours.parse().unwrap(), minutes.parse().unwrap());
        let ahead = hours * 3600 + minutes * 60 * if zone.starts_with('-') { -1 } else { 1 };
        let (local, utc) = (local_time().0 as i64, UtcClock.now().0 as i64);
        assert!(((local - utc) / 1_000_000_000 - ahead).abs() < 60, "{zone}");
    }
}
