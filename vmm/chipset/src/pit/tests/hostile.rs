//! Guests and hosts that do anything.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Device as _, Rig, SECOND};
use crate::pit::model::SHORTEST_PERIOD;
use crate::time::Clock as _;

/// One thing that happens at either end.
#[derive(Clone, Debug)]
enum Act {
    Read(u64),
    Write(u64, u8),
    Pass(u64),
    Jump(u64),
    Gate(bool),
    Tick,
    Reset,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..3_u64).prop_map(Act::Read),
        16 => (0..4_u64, any::<u8>()).prop_map(|(offset, value)| Act::Write(offset, value)),
        4 => (0..100_000_u64).prop_map(Act::Pass),
        2 => (0..SECOND).prop_map(Act::Pass),
        1 => any::<u64>().prop_map(Act::Jump),
        1 => any::<bool>().prop_map(Act::Gate),
        4 => Just(Act::Tick),
        1 => Just(Act::Reset),
    ]
}

impl Rig {
    fn act(&mut self, act: &Act) {
        match act {
            Act::Read(offset) => drop(self.read(*offset)),
            Act::Write(offset, value) => self.write(*offset, *value),
            Act::Pass(nanos) => self.clock.set(self.clock.now().0.saturating_add(*nanos)),
            Act::Jump(now) => self.clock.set(*now),
            Act::Gate(level) => self.pit.gate().set(*level),
            Act::Tick => self.timer.tick(),
            Act::Reset => self.pit.reset(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn line_is_the_output_of_counter_zero(acts in vec(act(), 1..100)) {
        let mut rig = Rig::new();
        let mut high = false;
        for act in acts {
            rig.act(&act);
            let output = loop {
                // What was latched before comes first.
                let before = rig.status(0);
                if before == rig.status(0) {
                    break before & 0x80 != 0;
                }
            };
            high = rig.levels().last().copied().unwrap_or(high);
            prop_assert_eq!(high, output, "after {:?}", act);
        }
    }

    #[test]
    fn timer_is_never_early_and_never_spins(acts in vec(act(), 1..100)) {
        let mut rig = Rig::new();
        for act in acts {
            rig.act(&act);
            rig.timer.tick();
            rig.levels();
            let now = rig.clock.now();
            let Some(event) = rig.timer.next_event() else { continue };
            if event.0 == u64::MAX || event <= now {
                break; // the clock ran backwards, or to its end
            }
            rig.clock.set(event.0);
            rig.timer.tick();
            prop_assert!(rig.levels().contains(&true), "{:?} brought nothing", event);
            let after = rig.timer.next_event();
            let rested = event + SHORTEST_PERIOD;
            prop_assert!(after.is_none_or(|next| next >= rested), "{event:?}, then {after:?}");
        }
    }
}
