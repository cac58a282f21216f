use proptest::collection::vec;
use proptest::prelude::*;

use super::spec::LEN;
use super::*;

/// What the I/O APIC did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Route(u32, Option<Msi>),
    Fire(u32),
}
use Event::{Fire, Route};

#[derive(Default)]
struct Recorder(Mutex<Vec<Event>>);

impl MsiRoutes for Recorder {
    fn route(&self, gsi: u32, msi: Option<Msi>) {
        self.0.lock().unwrap().push(Route(gsi, msi));
    }
    fn fire(&self, gsi: u32) {
        self.0.lock().unwrap().push(Fire(gsi));
    }
}

struct Rig {
    ioapic: Arc<IoApic>,
    device: IoApicDevice,
    routes: Arc<Recorder>,
}

const VECTOR: u8 = 0x31;
const EDGE: u32 = VECTOR as u32;
const LEVEL: u32 = VECTOR as u32 | 1 << 15;
const MASKED: u32 = 1 << 16;
const REMOTE_IRR: u32 = 1 << 14;

/// The message of [`EDGE`] to APIC 0.
const EDGE_MESSAGE: Msi = Msi { address: 0xfee0_0000, data: 0x31 };
/// The message of [`LEVEL`] to APIC 0.
const LEVEL_MESSAGE: Msi = Msi { address: 0xfee0_0000, data: 0x8031 };

impl Rig {
    fn new(gsi_base: u32) -> Self {
        let routes = Arc::new(Recorder::default());
        let ioapic = IoApic::new(gsi_base, routes.clone());
        Self { device: ioapic.device(), ioapic, routes }
    }

    /// The second I/O APIC with `low` in the entry of GSI 24, and what that caused already forgotten.
    fn with_entry(low: u32) -> Self {
        let mut rig = Self::new(24);
        rig.set(0x10, low);
        rig.events();
        rig
    }

    fn get(&mut self, index: u8) -> u32 {
        self.device.write(Access { offset: 0, width: Width::Dword }, index.into()).unwrap();
        self.device.read(Access { offset: 0x10, width: Width::Dword }).unwrap() as u32
    }

    fn set(&mut self, index: u8, value: u32) {
        self.device.write(Access { offset: 0, width: Width::Dword }, index.into()).unwrap();
        self.device.write(Access { offset: 0x10, width: Width::Dword }, value.into()).unwrap();
    }

    fn line(&self, gsi: u32) -> IrqLine {
        self.ioapic.line(gsi).unwrap()
    }

    /// What happened since the last call.
    fn events(&self) -> Vec<Event> {
        std::mem::take(&mut self.routes.0.lock().unwrap())
    }
}

#[test]
fn registers_at_power_on() {
    let mut rig = Rig::new(0);
    assert_eq!(rig.get(0), 0);
    assert_eq!(rig.get(1), 0x0017_0020);
    assert_eq!(rig.get(2), 0);
    for pin in 0..24 {
        assert_eq!((rig.get(0x10 + 2 * pin), rig.get(0x11 + 2 * pin)), (0x0001_0000, 0));
    }
}

#[test]
fn select_keeps_eight_bits_and_can_be_read_in_three_widths() {
    let mut rig = Rig::new(0);
    for (width, value) in [(Width::Byte, 0x12), (Width::Word, 0x3413), (Width::Dword, 0x7856_3414)] {
        let at = Access { offset: 0, width };
        rig.device.write(at, value).unwrap();
        assert_eq!(rig.device.read(at), Ok(value & 0xff));
    }
}

#[test]
fn window_is_read_and_written_as_a_dword_only() {
    let mut rig = Rig::new(0);
    rig.set(0x10, MASKED | 0x20);
    for width in [Width::Byte, Width::Word] {
        let at = Access { offset: 0x10, width };
        assert_eq!((rig.device.read(at), rig.device.write(at, 0)), (Ok(0), Err(Refused)));
    }
    assert_eq!(rig.get(0x10), MASKED | 0x20);
}

#[test]
fn other_offsets_and_quadwords_are_refused() {
    let mut rig = Rig::new(0);
    for offset in (1..0x10).chain(0x11..0x40).chain(0x41..LEN) {
        let at = Access { offset, width: Width::Byte };
        assert_eq!((rig.device.read(at), rig.device.write(at, 0)), (Err(Refused), Err(Refused)));
    }
    for offset in [0, 0x10, 0x40] {
        let at = Access { offset, width: Width::Qword };
        assert_eq!((rig.device.read(at), rig.device.write(at, 0)), (Err(Refused), Err(Refused)));
    }
}

#[test]
fn id_keeps_four_bits_and_shows_in_arbitration() {
    let mut rig = Rig::new(0);
    rig.set(0, 0xffff_ffff);
    assert_eq!((rig.get(0), rig.get(2)), (0x0f00_0000, 0x0f00_0000));
}

#[test]
fn version_arbitration_and_absent_registers_ignore_writes() {
    let mut rig = Rig::new(0);
    for index in [0x01, 0x02, 0x03, 0x0f, 0x40, 0xff] {
        let before = rig.get(index);
        rig.set(index, 0x5555_5555);
        assert_eq!(rig.get(index), before, "{index:#x}");
    }
    assert_eq!(rig.get(0x40), 0);
}

#[test]
fn entry_keeps_what_software_may_write() {
    let mut rig = Rig::new(0);
    rig.set(0x3e, 0xffff_ffff);
    rig.set(0x3f, 0xffff_ffff);
    assert_eq!((rig.get(0x3e), rig.get(0x3f)), (0x0001_afff, 0xfffe_0000));
}

#[test]
fn lines_exist_for_the_gsis_of_the_inputs() {
    let rig = Rig::new(24);
    assert!(rig.ioapic.line(23).is_none());
    assert!(rig.ioapic.line(24).is_some());
    assert!(rig.ioapic.line(47).is_some());
    assert!(rig.ioapic.line(48).is_none());
    assert!(rig.ioapic.line(u32::MAX).is_none());
}

#[test]
fn message_is_announced_with_the_entry_in_full() {
    let mut rig = Rig::new(24);
    rig.set(0x11, 0x0300_0000);
    assert_eq!(rig.events(), [], "masked");
    rig.set(0x10, 0x0000_0931); // lowest priority, logical
    assert_eq!(rig.events(), [Route(24, Some(Msi { address: 0xfee0_3004, data: 0x0131 }))]);
}

#[test]
fn rising_edge_sends_one_message() {
    let rig = Rig::with_entry(EDGE);
    rig.line(24).set(true);
    assert_eq!(rig.events(), [Fire(24)]);
    rig.line(24).set(true);
    rig.line(24).set(false);
    assert_eq!(rig.events(), [], "repeated level, falling edge");
    rig.line(24).pulse();
    assert_eq!(rig.events(), [Fire(24)]);
}

#[test]
fn edges_need_no_end_of_interrupt() {
    let mut rig = Rig::with_entry(EDGE);
    rig.line(24).pulse();
    rig.line(24).pulse();
    assert_eq!(rig.events(), [Fire(24), Fire(24)]);
    assert_eq!(rig.get(0x10), EDGE);
    rig.ioapic.end_of_interrupt(VECTOR);
    assert_eq!(rig.events(), []);
}

#[test]
fn edge_while_masked_is_lost() {
    let mut rig = Rig::with_entry(EDGE | MASKED);
    rig.line(24).pulse();
    rig.line(24).set(true);
    rig.set(0x10, EDGE);
    assert_eq!(rig.events(), [Route(24, Some(EDGE_MESSAGE))]);
}

#[test]
fn high_level_sends_once_and_sets_remote_irr() {
    let mut rig = Rig::with_entry(LEVEL);
    rig.line(24).set(true);
    rig.line(24).set(true);
    rig.line(24).pulse();
    assert_eq!(rig.events(), [Fire(24)]);
    assert_eq!(rig.get(0x10), LEVEL | REMOTE_IRR);
}

#[test]
fn end_of_interrupt_sends_again_while_the_line_is_high() {
    let mut rig = Rig::with_entry(LEVEL);
    rig.line(24).set(true);
    rig.ioapic.end_of_interrupt(VECTOR);
    assert_eq!(rig.events(), [Fire(24), Fire(24)]);
    rig.line(24).set(false);
    rig.ioapic.end_of_interrupt(VECTOR);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.get(0x10), LEVEL);
}

#[test]
fn line_that_rises_before_the_end_of_interrupt_is_served_after_it() {
    let rig = Rig::with_entry(LEVEL);
    rig.line(24).pulse();
    rig.line(24).set(true);
    assert_eq!(rig.events(), [Fire(24)]);
    rig.ioapic.end_of_interrupt(VECTOR);
    assert_eq!(rig.events(), [Fire(24)]);
}

#[test]
fn end_of_interrupt_of_another_vector_changes_nothing() {
    let mut rig = Rig::with_entry(LEVEL);
    rig.line(24).set(true);
    rig.events();
    rig.ioapic.end_of_interrupt(VECTOR + 1);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.get(0x10), LEVEL | REMOTE_IRR);
}

#[test]
fn end_of_interrupt_without_an_interrupt_sends_nothing() {
    let mut rig = Rig::with_entry(LEVEL | MASKED);
    rig.line(24).set(true);
    rig.ioapic.end_of_interrupt(VECTOR);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.get(0x10), LEVEL | MASKED);
}

#[test]
fn eoi_register_ends_interrupts_by_its_low_byte() {
    for width in [Width::Byte, Width::Word, Width::Dword] {
        let mut rig = Rig::with_entry(LEVEL);
        rig.line(24).set(true);
        rig.events();
        rig.device.write(Access { offset: 0x40, width }, VECTOR.into()).unwrap();
        assert_eq!(rig.events(), [Fire(24)]);
        assert_eq!(rig.device.read(Access { offset: 0x40, width }), Ok(0));
    }
}

#[test]
fn inputs_that_share_a_vector_end_together() {
    let mut rig = Rig::with_entry(LEVEL);
    rig.set(0x12, LEVEL);
    rig.line(24).set(true);
    rig.line(25).set(true);
    rig.events();
    rig.ioapic.end_of_interrupt(VECTOR);
    assert_eq!(rig.events(), [Fire(24), Fire(25)]);
}

#[test]
fn level_that_is_high_while_masked_is_sent_when_unmasked() {
    let mut rig = Rig::with_entry(LEVEL | MASKED);
    rig.line(24).set(true);
    assert_eq!(rig.events(), []);
    rig.set(0x10, LEVEL);
    assert_eq!(rig.events(), [Route(24, Some(LEVEL_MESSAGE)), Fire(24)], "route before message");
}

#[test]
fn level_that_fell_while_masked_is_forgotten() {
    let mut rig = Rig::with_entry(LEVEL | MASKED);
    rig.line(24).pulse();
    rig.set(0x10, LEVEL);
    assert_eq!(rig.events(), [Route(24, Some(LEVEL_MESSAGE))]);
}

#[test]
fn handler_that_masks_before_the_end_of_interrupt_gets_the_next_one() {
    let mut rig = Rig::with_entry(LEVEL);
    rig.line(24).set(true);
    rig.set(0x10, LEVEL | MASKED);
    rig.ioapic.end_of_interrupt(VECTOR);
    assert_eq!(rig.events(), [Fire(24)], "the route stays, or KVM would not report the end");
    assert_eq!(rig.get(0x10), LEVEL | MASKED);
    rig.set(0x10, LEVEL);
    assert_eq!(rig.events(), [Fire(24)]);
}

#[test]
fn writing_the_entry_keeps_remote_irr() {
    let mut rig = Rig::with_entry(LEVEL);
    rig.line(24).set(true);
    rig.set(0x10, LEVEL);
    assert_eq!(rig.get(0x10), LEVEL | REMOTE_IRR);
    assert_eq!(rig.events(), [Fire(24)]);
}

#[test]
fn switching_to_edge_and_back_ends_the_interrupt() {
    let mut rig = Rig::with_entry(LEVEL);
    rig.line(24).set(true);
    rig.events();
    rig.set(0x10, EDGE | MASKED);
    assert_eq!(rig.get(0x10), EDGE | MASKED);
    rig.set(0x10, LEVEL);
    assert_eq!(rig.events(), [Route(24, None), Route(24, Some(LEVEL_MESSAGE)), Fire(24)]);
}

#[test]
fn masked_edge_entry_loses_its_route() {
    let mut rig = Rig::with_entry(EDGE);
    rig.set(0x10, EDGE | MASKED);
    assert_eq!(rig.events(), [Route(24, None)]);
}

#[test]
fn route_is_told_only_when_the_message_changes() {
    let mut rig = Rig::with_entry(EDGE);
    rig.set(0x10, EDGE);
    rig.set(0x11, 0);
    rig.set(0x10, EDGE | 1 << 13); // polarity is not part of the message
    assert_eq!(rig.events(), []);
    rig.set(0x11, 0x0100_0000);
    assert_eq!(rig.events(), [Route(24, Some(Msi { address: 0xfee0_1000, data: 0x31 }))]);
}

#[test]
fn reset_masks_everything_and_removes_routes() {
    let mut rig = Rig::with_entry(LEVEL);
    rig.set(0, 0x0100_0000);
    rig.line(24).set(true);
    rig.events();
    rig.device.reset();
    assert_eq!(rig.events(), [Route(24, None)]);
    assert_eq!(rig.device.read(Access { offset: 0, width: Width::Byte }), Ok(0));
    assert_eq!((rig.get(0x00), rig.get(0x10), rig.get(0x11)), (0, MASKED, 0));
}

#[test]
fn line_that_a_reset_leaves_high_is_still_high() {
    let mut rig = Rig::with_entry(LEVEL);
    rig.line(24).set(true);
    rig.device.reset();
    rig.events();
    rig.set(0x10, LEVEL);
    assert_eq!(rig.events(), [Route(24, Some(LEVEL_MESSAGE)), Fire(24)]);
}

/// One thing that guest, device or KVM does.
#[derive(Clone, Debug)]
enum Act {
    Write(u64, Width, u64),
    Read(u64, Width),
    Entry(u8, u32),
    Line(u32, bool),
    End(u8),
    Reset,
}

fn act() -> impl Strategy<Value = Act> {
    let width = || proptest::sample::select(Width::ALL.to_vec());
    let offset = || prop_oneof![Just(0), Just(0x10), Just(0x40), 0..LEN];
    // Few vectors, so that ends of interrupts hit.
    let entry = (0..2_u32, 0..2_u32, 0..2_u32, 0..8_u32)
        .prop_map(|(vector, level, masked, mode)| vector | level << 15 | masked << 16 | mode << 8);
    prop_oneof![
        2 => (offset(), width(), any::<u64>()).prop_map(|(at, width, value)| Act::Write(at, width, value)),
        1 => (offset(), width()).prop_map(|(at, width)| Act::Read(at, width)),
        8 => (0x10..0x16_u8, entry).prop_map(|(index, value)| Act::Entry(index, value)),
        8 => (24..27_u32, any::<bool>()).prop_map(|(gsi, level)| Act::Line(gsi, level)),
        6 => (0..2_u8).prop_map(Act::End),
        1 => Just(Act::Reset),
    ]
}

impl Rig {
    fn act(&mut self, act: Act) {
        match act {
            Act::Write(offset, width, value) => {
                let _ = self.device.write(Access { offset, width }, value & width.ones());
            }
            Act::Read(offset, width) => drop(self.device.read(Access { offset, width })),
            Act::Entry(index, value) => self.set(index, value),
            Act::Line(gsi, level) => self.line(gsi).set(level),
            Act::End(vector) => self.ioapic.end_of_interrupt(vector),
            Act::Reset => self.device.reset(),
        }
    }

    /// Every message since the last call had its route, and no route was told twice.
    fn check(&mut self, told: &mut [Option<Msi>; 24]) -> Result<(), TestCaseError> {
        let events = self.events();
        prop_assert!(events.len() <= 48, "{} events at once", events.len());
        for event in events {
            match event {
                Route(gsi, message) => {
                    let known = &mut told[gsi as usize - 24];
                    prop_assert_ne!(*known, message);
                    *known = message;
                }
                Fire(gsi) => prop_assert!(told[gsi as usize - 24].is_some()),
            }
        }
        Ok(())
    }

    /// What each entry owes its line, and its route.
    fn check_entries(&self, told: &[Option<Msi>; 24]) -> Result<(), TestCaseError> {
        let core = self.ioapic.lock();
        for (pin, entry) in core.state.entries.iter().enumerate() {
            let in_use = !entry.masked();
            prop_assert!(!in_use || told[pin] == Some(entry.message()), "route of an entry in use");
            prop_assert!(!entry.remote_irr() || entry.level(), "edge entry with remote IRR");
            let owed = in_use && entry.level() && core.high[pin] && !entry.remote_irr();
            prop_assert!(!owed, "level not delivered");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_traffic_keeps_routes_and_levels_in_order(acts in vec(act(), 1..100)) {
        let mut rig = Rig::new(24);
        let mut told = [None; 24];
        for act in acts {
            rig.act(act);
            rig.check(&mut told)?;
            rig.check_entries(&told)?;
        }
    }
}

/// The second I/O APIC beside one in KVM, with a level-triggered entry for GSI 24.
fn deaf() -> Rig {
    let routes = Arc::new(Recorder::default());
    let ioapic = IoApic::without_ends(24, routes.clone());
    let mut rig = Rig { device: ioapic.device(), ioapic, routes };
    rig.set(0x10, LEVEL);
    assert_eq!(rig.events(), [Route(24, Some(EDGE_MESSAGE))], "the message is an edge");
    rig
}

#[test]
fn without_ends_each_raise_of_a_level_is_a_message() {
    let rig = deaf();
    let line = rig.line(24);
    line.set(true);
    line.set(true);
    line.set(false);
    line.set(true);
    assert_eq!(rig.events(), [Fire(24); 3]);
}

#[test]
fn without_ends_software_ends_the_interrupt_of_a_wire_still_high() {
    let mut rig = deaf();
    rig.line(24).set(true);
    rig.events();
    assert_eq!(rig.get(0x10) & REMOTE_IRR, 0, "nobody waits for an end that will not come");
    rig.device.write(Access { offset: 0x40, width: Width::Dword }, VECTOR.into()).unwrap();
    assert_eq!(rig.events(), [Fire(24)]);
    rig.line(24).set(false);
    rig.device.write(Access { offset: 0x40, width: Width::Dword }, VECTOR.into()).unwrap();
    assert_eq!(rig.events(), []);
}
