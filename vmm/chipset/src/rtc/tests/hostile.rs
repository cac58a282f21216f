//! Guests and hosts that do anything.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Device as _, Rig, SECOND};
use crate::time::{Clock as _, Moment};

/// One thing that happens at either end.
#[derive(Clone, Debug)]
enum Act {
    Read(u8),
    Write(u8, u8),
    Pass(u64),
    /// Somebody sets the host's clock.
    Jump(u64),
    Tick,
    Reset,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => any::<u8>().prop_map(Act::Read),
        16 => (0..0x0e_u8, any::<u8>()).prop_map(|(index, value)| Act::Write(index, value)),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(index, value)| Act::Write(index, value)),
        4 => (0..2 * SECOND).prop_map(Act::Pass),
        2 => (0..400_000 * SECOND).prop_map(Act::Pass),
        1 => any::<u64>().prop_map(Act::Jump),
        8 => Just(Act::Tick),
        1 => Just(Act::Reset),
    ]
}

impl Rig {
    fn act(&mut self, act: &Act) {
        match act {
            Act::Read(index) => drop(self.get(*index)),
            Act::Write(index, value) => self.set(*index, *value),
            Act::Pass(nanos) => self.clock.set(self.clock.now().0.saturating_add(*nanos)),
            Act::Jump(now) => self.clock.set(*now),
            Act::Tick => self.timer.tick(),
            Act::Reset => self.rtc.reset(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn line_is_high_exactly_while_register_c_says_so(acts in vec(act(), 1..100)) {
        let mut rig = Rig::new();
        let mut high = false;
        for act in acts {
            rig.act(&act);
            rig.timer.tick();
            high = rig.levels().last().copied().unwrap_or(high);
            let interrupts = rig.get(0x0c) & 0x80 != 0;
            prop_assert_eq!(high, interrupts, "after {:?}", act);
            high = rig.levels().last().copied().unwrap_or(high);
        }
    }

    #[test]
    fn timer_that_sleeps_until_the_next_event_is_never_late_and_never_spins(acts in vec(act(), 1..100)) {
        let mut rig = Rig::new();
        for act in acts {
            rig.act(&act);
            rig.timer.tick();
            let now = rig.clock.now();
            let Some(event) = rig.timer.next_event() else { continue };
            prop_assert!(rig.levels().last() != Some(&true), "due although the line is high");
            prop_assert!(event > now || now.0 > u64::MAX - 2 * SECOND, "{event:?} at {now:?} after {act:?}");
            rig.clock.set(event.0 - 1);
            rig.timer.tick();
            prop_assert!(rig.levels().is_empty(), "{act:?}: it rose before {event:?}");
            rig.clock.set(event.0);
            rig.timer.tick();
            if event < Moment(u64::MAX - SECOND) {
                prop_assert_eq!(rig.levels(), [true]);
            }
        }
    }

    #[test]
    fn looking_does_not_change_what_will_be_seen(looks in vec(0..SECOND, 0..20), set in vec((0..10_u8, any::<u8>()), 0..10)) {
        let (mut watched, mut alone) = (Rig::new(), Rig::new());
        for rig in [&mut watched, &mut alone] {
            set.iter().for_each(|&(index, value)| rig.set(index, value));
            rig.pass(SECOND); // what is no date has become one
            rig.time();
        }
        for &nanos in &looks {
            watched.pass(nanos);
            watched.date();
        }
        alone.pass(looks.iter().sum());
        prop_assert_eq!((watched.date(), watched.time(), watched.get(12)), (alone.date(), alone.time(), alone.get(12)));
    }
}
