//! The chain of dividers between crystal and seconds.

use crate::time::{Moment, SECOND};

/// Cycles of the crystal in a second.
const CRYSTAL: u64 = 32_768;

/// Where the clock's seconds begin within those of the host.
///
/// Positions of the chain are nanoseconds, and each whole second among them is an update of the time. What is counted in
/// cycles of the crystal divides the second, so a position tells all there is to know.
#[derive(Clone, Debug, Default)]
pub(super) struct Divider {
    phase: u64,
}

impl Divider {
    /// The position of the chain at `now`.
    pub(super) fn position(&self, now: Moment) -> u64 {
        now.0.saturating_add(self.phase)
    }

    /// When the chain is at `position`.
    pub(super) fn moment(&self, position: u64) -> Moment {
        Moment(position.saturating_sub(self.phase))
    }

    /// Lets go of the chain at `now`; the first update is half a second later.
    pub(super) fn release(&mut self, now: Moment) {
        self.phase = (SECOND + SECOND / 2 - now.0 % SECOND) % SECOND;
    }
}

/// How many seconds there were until `position`.
pub(super) fn seconds(position: u64) -> u64 {
    position / SECOND
}

/// The position of the update that follows `position` by `count` seconds, the current one not counted.
pub(super) fn update_after(position: u64, count: u64) -> u64 {
    seconds(position).saturating_add(count).saturating_mul(SECOND)
}

/// How many periods of `period` cycles there were until `position`.
pub(super) fn periods(position: u64, period: u64) -> u64 {
    (seconds(position) * CRYSTAL + position % SECOND * CRYSTAL / SECOND) / period
}

/// The position at which the current period of `period` cycles ends.
pub(super) fn period_end(position: u64, period: u64) -> u64 {
    let cycles = (periods(position, period) + 1) * period;
    let (seconds, rest) = (cycles / CRYSTAL, cycles % CRYSTAL);
    seconds.saturating_mul(SECOND).saturating_add((rest * SECOND).div_ceil(CRYSTAL))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::on_the_second(7 * SECOND)]
    #[case::in_the_first_half(7 * SECOND + 1)]
    #[case::in_the_middle(7 * SECOND + SECOND / 2)]
    #[case::in_the_second_half(8 * SECOND - 1)]
    fn released_chain_updates_after_half_a_second(#[case] now: u64) {
        let mut divider = Divider::default();
        divider.release(Moment(now));
        let position = divider.position(Moment(now));
        assert_eq!(divider.moment(update_after(position, 1)), Moment(now + SECOND / 2));
    }

    #[test]
    fn period_of_eight_kilohertz_is_four_cycles() {
        assert_eq!(period_end(0, 4), 122_071);
        assert_eq!(periods(122_070, 4), 0);
        assert_eq!(periods(122_071, 4), 1);
        assert_eq!(periods(SECOND, 4), 8192);
    }

    #[test]
    fn end_of_time_does_not_overflow() {
        let divider = Divider { phase: SECOND - 1 };
        let position = divider.position(Moment(u64::MAX));
        assert_eq!(update_after(position, u64::MAX), u64::MAX);
        assert!(period_end(position, 1) >= position - SECOND);
    }

    proptest! {
        #[test]
        fn period_ends_with_the_next_count_and_not_before(position in 0..u64::MAX / 2, shift in 0..15_u32) {
            let period = 1 << shift;
            let end = period_end(position, period);
            prop_assert!(end > position);
            prop_assert_eq!(periods(end, period), periods(position, period) + 1);
            prop_assert_eq!(periods(end - 1, period), periods(position, period));
        }
    }
}
