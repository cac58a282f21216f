//! Guests and hosts that do anything.

use bus::Device as _;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{OUTPUT_CAPACITY, Rig};

/// One thing that happens at either end.
#[derive(Clone, Debug)]
enum Act {
    Read(u64),
    Write(u64, u8),
    Burst(usize),
    Push(usize),
    Take,
    Unplug,
    Reset,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0..8_u64).prop_map(Act::Read),
        16 => (0..8_u64, any::<u8>()).prop_map(|(offset, value)| Act::Write(offset, value)),
        1 => (0..OUTPUT_CAPACITY).prop_map(Act::Burst),
        4 => (0..20_usize).prop_map(Act::Push),
        2 => Just(Act::Take),
        1 => Just(Act::Reset),
        1 => prop::bool::weighted(0.1).prop_map(|gone| if gone { Act::Unplug } else { Act::Take }),
    ]
}

impl Rig {
    fn act(&mut self, act: &Act) {
        match act {
            Act::Read(offset) => drop(self.read(*offset)),
            Act::Write(offset, value) => self.write(*offset, *value),
            Act::Burst(count) => (0..*count).for_each(|_| self.write(0, 0x55)),
            Act::Push(count) => {
                let taken = self.host.as_ref().map(|host| host.push_input(&vec![b'x'; *count]));
                assert!(taken.unwrap_or(0) <= 16);
            }
            Act::Take => {
                let taken = self.host.as_ref().map(|_| self.output().len());
                assert!(taken.unwrap_or(0) <= OUTPUT_CAPACITY);
            }
            Act::Unplug => self.host = None,
            Act::Reset => self.uart.reset(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn line_is_high_exactly_while_an_interrupt_is_identified(acts in vec(act(), 1..80)) {
        let mut rig = Rig::new();
        let mut high = false;
        for act in acts {
            rig.act(&act);
            high = rig.levels().last().copied().unwrap_or(high);
            let identified = rig.read(2) & 0x01 == 0;
            prop_assert_eq!(high, identified, "after {:?}", act);
            high = rig.levels().last().copied().unwrap_or(high);
        }
    }

    #[test]
    fn driver_that_obeys_thre_loses_nothing(
        text in vec(any::<u8>(), 0..500),
        pauses in vec(0..3_u8, 0..40),
        fcr in prop::sample::select(vec![0x00, 0x01, 0xc7]),
    ) {
        let mut rig = Rig::new();
        rig.write(2, fcr);
        let filler = OUTPUT_CAPACITY - 64; // the host is late from the start
        (0..filler).for_each(|_| rig.write(0, 0));
        let (mut left, mut received, mut pauses) = (text.as_slice(), Vec::new(), pauses.into_iter());
        while !left.is_empty() {
            if rig.read(5) & 0x20 == 0 || pauses.next() == Some(0) {
                received.extend(rig.output());
            } else {
                let (burst, rest) = left.split_at(left.len().min(16));
                rig.send(burst);
                left = rest;
            }
        }
        received.extend(rig.output());
        prop_assert_eq!(&received[filler..], text.as_slice());
    }
}
