//! Guests, devices and processors that do anything.

use proptest::collection::vec;
use proptest::prelude::*;

use super::Half::{First, Second};
use super::{DATA, Device as _, Half, Rig};

/// One thing that happens at any end.
#[derive(Clone, Debug)]
enum Act {
    Read(bool, u64),
    Write(bool, u64, u8),
    Initialize(bool, [u8; 4]),
    Elcr(u64, u8),
    Line(u32, bool),
    Acknowledge,
    Reset(bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (any::<bool>(), 0..2_u64).prop_map(|(half, offset)| Act::Read(half, offset)),
        12 => (any::<bool>(), 0..2_u64, any::<u8>()).prop_map(|(half, offset, value)| Act::Write(half, offset, value)),
        4 => (any::<bool>(), any::<[u8; 4]>()).prop_map(|(half, words)| Act::Initialize(half, words)),
        2 => (0..2_u64, any::<u8>()).prop_map(|(offset, value)| Act::Elcr(offset, value)),
        16 => (wired(), any::<bool>()).prop_map(|(irq, level)| Act::Line(irq, level)),
        8 => Just(Act::Acknowledge),
        1 => any::<bool>().prop_map(Act::Reset),
    ]
}

fn wired() -> impl Strategy<Value = u32> {
    (0..16_u32).prop_filter("the cascade has no wire", |&irq| irq != 2)
}

fn half(second: bool) -> Half {
    if second { Second } else { First }
}

impl Rig {
    fn act(&mut self, act: &Act) {
        match *act {
            Act::Read(second, offset) => drop(self.read(half(second), offset)),
            Act::Write(second, offset, value) => self.write(half(second), offset, value),
            Act::Initialize(second, [icw1, words @ ..]) => {
                self.command(half(second), icw1 | 0x10);
                words.into_iter().for_each(|word| self.mask(half(second), word));
            }
            Act::Elcr(offset, value) => self.set_elcr(offset, value),
            Act::Line(irq, level) => self.set(irq, level),
            Act::Acknowledge => drop(self.pic.acknowledge()),
            Act::Reset(second) => self.ports[usize::from(second)].reset(),
        }
    }

    /// Requests, mask and service of both, without a change; polls are over.
    fn registers(&mut self) -> [[u8; 3]; 2] {
        for half in [First, Second] {
            self.read(half, DATA);
        }
        [First, Second].map(|half| [self.requests(half), self.read(half, DATA), self.in_service(half)])
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn output_is_high_exactly_while_a_request_is_pending(acts in vec(act(), 1..100)) {
        let mut rig = Rig::new();
        let mut high = false;
        for act in acts {
            rig.act(&act);
            high = rig.levels().last().copied().unwrap_or(high);
            prop_assert_eq!(high, rig.pic.is_pending());
        }
    }

    #[test]
    fn pending_request_is_acknowledged_and_only_that(acts in vec(act(), 1..100)) {
        let mut rig = Rig::new();
        acts.iter().for_each(|act| rig.act(act));
        let before = rig.registers();
        let pending = rig.pic.is_pending();
        let level = rig.pic.acknowledge() & 7;
        let after = rig.registers();
        if pending {
            let [requests, mask, _] = before[0];
            prop_assert!(requests & !mask != 0, "nobody asked");
            let candidates: Vec<_> = before.iter().map(|[requests, mask, _]| requests & !mask & 1 << level).collect();
            prop_assert!(candidates.iter().any(|&asked| asked != 0), "nobody asked for {level}");
        } else {
            prop_assert_eq!((level, before), (7, after));
        }
        prop_assert_eq!(before.map(|[_, mask, _]| mask), after.map(|[_, mask, _]| mask));
    }

    #[test]
    fn initialized_controllers_serve_every_request_once(
        acts in vec(act(), 0..60), irqs in vec(wired(), 0..20),
    ) {
        let mut rig = Rig::new();
        acts.iter().for_each(|act| rig.act(act));
        (0..16).filter(|&irq| irq != 2).for_each(|irq| rig.set(irq, false));
        (0..2).for_each(|offset| rig.set_elcr(offset, 0));
        rig.initialize(First, [0x11, 0x20, 0x04, 0x01]);
        rig.initialize(Second, [0x11, 0x28, 0x02, 0x01]);
        irqs.iter().for_each(|&irq| rig.pulse(irq));
        let mut served = Vec::new();
        while rig.pic.is_pending() {
            served.push(u32::from(rig.pic.acknowledge() - 0x20));
            [Second, First].into_iter().for_each(|half| rig.command(half, 0x20));
        }
        let priority = |irq: &u32| if *irq >= 8 { 16 + irq } else { irq * 8 + if *irq > 2 { 32 } else { 0 } };
        let mut expected = irqs;
        expected.sort_by_key(priority);
        expected.dedup();
        prop_assert_eq!(served, expected);
    }
}
