//! What comes out of a counter that was loaded once, as a formula.

use super::spec::Mode;

/// The count and the output of a counter in the clocks after it was loaded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wave {
    mode: Mode,
    /// What was loaded, at least 1.
    initial: u64,
    /// How many values the count has.
    modulus: u64,
}

impl Wave {
    /// A wave of `initial` clocks. A count of 1, which is illegal in the periodic modes, acts like 2 there.
    pub(super) fn new(mode: Mode, initial: u64, modulus: u64) -> Self {
        let least = if mode.is_periodic() { 2 } else { 1 };
        Self { mode, initial: initial.max(least), modulus }
    }

    /// The count `clock` clocks after loading.
    pub(super) fn count(self, clock: u64) -> u64 {
        let count = match self.mode {
            Mode::RateGenerator => self.initial - self.in_period(clock),
            Mode::SquareWave => (self.initial & !1) - 2 * self.in_half(clock),
            _ => self.initial + self.modulus - clock % self.modulus,
        };
        count % self.modulus
    }

    /// The output `clock` clocks after loading.
    pub(super) fn output(self, clock: u64) -> bool {
        match self.mode {
            Mode::TerminalCount | Mode::OneShot => clock >= self.initial,
            Mode::RateGenerator => self.in_period(clock) != self.initial - 1,
            Mode::SquareWave => self.in_period(clock) < self.high_half(),
            Mode::SoftwareStrobe | Mode::HardwareStrobe => clock != self.initial,
        }
    }

    /// The clock after `clock` with which the output rises next, if it does.
    pub(super) fn next_rise(self, clock: u64) -> Option<u64> {
        let once = |rise| (rise > clock).then_some(rise);
        match self.mode {
            Mode::TerminalCount | Mode::OneShot => once(self.initial),
            Mode::RateGenerator | Mode::SquareWave => Some(self.period_end(clock)),
            Mode::SoftwareStrobe | Mode::HardwareStrobe => once(self.initial + 1),
        }
    }

    /// The clock after `clock` with which the counter takes a new count by itself: the end of the period, or of the half
    /// period of a square wave. Only in the periodic modes.
    pub(super) fn next_load(self, clock: u64) -> u64 {
        let end = self.period_end(clock);
        if self.mode == Mode::SquareWave && self.output(clock) { end - self.low_half() } else { end }
    }

    /// The clock at which the first low half of a square wave starts.
    pub(super) fn high_half(self) -> u64 {
        self.initial.div_ceil(2)
    }

    fn low_half(self) -> u64 {
        self.initial / 2
    }

    fn in_period(self, clock: u64) -> u64 {
        clock % self.initial
    }

    fn in_half(self, clock: u64) -> u64 {
        let clock = self.in_period(clock);
        clock.checked_sub(self.high_half()).unwrap_or(clock)
    }

    fn period_end(self, clock: u64) -> u64 {
        clock - self.in_period(clock) + self.initial
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Counts and outputs, clock by clock, of the figures in the data sheet.
    #[rstest]
    #[case::mode_0(Mode::TerminalCount, 4, &[(4, 0), (3, 0), (2, 0), (1, 0), (0, 1), (0xffff, 1), (0xfffe, 1)])]
    #[case::mode_1(Mode::OneShot, 3, &[(3, 0), (2, 0), (1, 0), (0, 1), (0xffff, 1)])]
    #[case::mode_2(Mode::RateGenerator, 3, &[(3, 1), (2, 1), (1, 0), (3, 1), (2, 1), (1, 0), (3, 1)])]
    #[case::mode_3_even(Mode::SquareWave, 4, &[(4, 1), (2, 1), (4, 0), (2, 0), (4, 1)])]
    #[case::mode_3_odd(Mode::SquareWave, 5, &[(4, 1), (2, 1), (0, 1), (4, 0), (2, 0), (4, 1)])]
    #[case::mode_4(Mode::SoftwareStrobe, 3, &[(3, 1), (2, 1), (1, 1), (0, 0), (0xffff, 1)])]
    #[case::mode_5(Mode::HardwareStrobe, 2, &[(2, 1), (1, 1), (0, 0), (0xffff, 1)])]
    fn wave_is_that_of_the_figure(#[case] mode: Mode, #[case] initial: u64, #[case] figure: &[(u64, u8)]) {
        let wave = Wave::new(mode, initial, 0x1_0000);
        let actual: Vec<_> =
            (0..figure.len() as u64).map(|at| (wave.count(at), wave.output(at).into())).collect();
        assert_eq!(actual, figure);
    }

    #[rstest]
    fn rise_is_where_the_output_rises(
        #[values(0, 1, 2, 3, 4, 5)] mode: u8,
        #[values(1, 2, 3, 4, 7)] initial: u64,
    ) {
        let wave = Wave::new(Mode::decode(mode), initial, 0x1_0000);
        let rises = |at: u64| at > 0 && !wave.output(at - 1) && wave.output(at);
        for clock in 0..20 {
            let expected = (clock + 1..40).find(|&at| rises(at));
            assert_eq!(wave.next_rise(clock), expected, "after {clock}");
        }
    }

    #[test]
    fn decimal_count_wraps_to_9999() {
        let wave = Wave::new(Mode::TerminalCount, 1, 10_000);
        assert_eq!([0, 1, 2].map(|clock| wave.count(clock)), [1, 0, 9999]);
    }

    #[test]
    fn full_count_reads_as_zero() {
        let wave = Wave::new(Mode::RateGenerator, 0x1_0000, 0x1_0000);
        assert_eq!([0, 1, 0xffff, 0x1_0000].map(|clock| wave.count(clock)), [0, 0xffff, 1, 0]);
    }

    #[test]
    fn new_count_waits_for_the_end_of_the_period_or_half_period() {
        let load = |mode, clock| Wave::new(mode, 5, 0x1_0000).next_load(clock);
        assert_eq!([0, 4, 5].map(|clock| load(Mode::RateGenerator, clock)), [5, 5, 10]);
        assert_eq!([0, 2, 3, 4, 5].map(|clock| load(Mode::SquareWave, clock)), [3, 3, 5, 5, 8]);
    }
}
