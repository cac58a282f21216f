//! How many exits happened when: slices of time, which grow with the boot.

use std::time::Duration;

use super::record::DeviceId;

/// Slices at most.
const MOST: usize = 480;
/// The first slices are this long.
const SHORTEST: Duration = Duration::from_micros(50);

/// Exits by slice and device.
#[derive(Debug)]
pub(super) struct Slices {
    width: Duration,
    counts: Vec<Vec<u64>>,
}

impl Default for Slices {
    fn default() -> Self {
        Self { width: SHORTEST, counts: Vec::new() }
    }
}

impl Slices {
    /// An exit for `device` happened.
    pub(super) fn count(&mut self, device: DeviceId, now: Duration) {
        let mut at = self.at(now);
        while at >= MOST {
            self.double();
            at = self.at(now);
        }
        if self.counts.len() <= at {
            self.counts.resize_with(at + 1, Vec::new);
        }
        let Some(slice) = self.counts.get_mut(at) else { return };
        if slice.len() <= device {
            slice.resize(device + 1, 0);
        }
        if let Some(count) = slice.get_mut(device) {
            *count += 1;
        }
    }

    fn at(&self, now: Duration) -> usize {
        usize::try_from(now.as_nanos() / self.width.as_nanos().max(1)).unwrap_or(usize::MAX)
    }

    /// Two slices become one.
    fn double(&mut self) {
        self.width *= 2;
        self.counts = self.counts.chunks(2).map(sum).collect();
    }

    /// How long a slice is.
    pub(super) const fn width(&self) -> Duration {
        self.width
    }

    /// Exits of each slice, by device as far as there are any.
    pub(super) fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }
}

fn sum(slices: &[Vec<u64>]) -> Vec<u64> {
    let mut sum = Vec::new();
    for slice in slices {
        sum.resize(sum.len().max(slice.len()), 0);
        sum.iter_mut().zip(slice).for_each(|(sum, count): (&mut u64, _)| *sum += count);
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_exit_is_lost_and_each_is_in_its_time(
            mut exits in prop::collection::vec((0_u64..100_000_000, 0_usize..5), 1..200),
        ) {
            exits.sort_unstable();
            let mut slices = Slices::default();
            exits.iter().for_each(|(us, device)| slices.count(*device, Duration::from_micros(*us)));
            prop_assert!(slices.counts().len() <= MOST);
            prop_assert_eq!(slices.counts().iter().flatten().sum::<u64>(), exits.len() as u64);
            let last = exits.last().map_or(0, |(us, _)| u128::from(*us) / slices.width().as_micros());
            prop_assert_eq!(slices.counts().len() as u128, last + 1);
        }
    }
}
