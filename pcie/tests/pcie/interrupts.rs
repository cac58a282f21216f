//! Pins, MSI and MSI-X.

use bus::{Device as _, Msi, Width};
use pcie::{Function as _, Interrupts, Messages, Mode, MsixLayout, Slot};
use rstest::rstest;

use crate::rig::{FIRST_GSI, HIGH, Latch, PENDING, Rig, TABLE, identity, latch};

const FUNCTION: (u64, u64) = (0, 1);
const MEMORY_AND_MASTER: u64 = 6;

/// A function with `vectors` of MSI-X, its BAR 2 at the start of the upper window.
fn rig(vectors: u16) -> (Rig, Interrupts) {
    let rig = Rig::new();
    let mut latch = latch(vectors);
    let interrupts = latch.config().interrupts().clone();
    rig.host.plug(Slot::root(1), Box::new(latch)).unwrap();
    rig.write_dword(FUNCTION, 0x1c, (HIGH >> 32) as u32);
    rig.write(FUNCTION, 4, Width::Word, MEMORY_AND_MASTER);
    (rig, interrupts)
}

fn program(rig: &Rig, vector: u64, message: Msi, control: u32) {
    let entry = HIGH + u64::from(TABLE) + 16 * vector;
    rig.poke(entry, Width::Qword, message.address);
    rig.poke(entry + 8, Width::Dword, message.data.into());
    rig.poke(entry + 12, Width::Dword, control.into());
}

fn msix_control(rig: &Rig, value: u64) {
    let at = rig.capability(FUNCTION, 0x11) + 2;
    rig.write(FUNCTION, at, Width::Word, value);
}

fn pending(rig: &Rig) -> u64 {
    rig.peek(HIGH + u64::from(PENDING), Width::Qword)
}

const ENABLE: u64 = 1 << 15;
const MASK_ALL: u64 = 1 << 14;
const MESSAGE: Msi = Msi { address: 0xfee0_1000, data: 0x41 };

#[test]
fn msix_vector_is_routed_and_sent_when_unmasked() {
    let (rig, interrupts) = rig(3);
    msix_control(&rig, ENABLE);
    program(&rig, 2, MESSAGE, 0);
    assert_eq!(interrupts.mode(), Mode::Msix);
    assert_eq!(rig.messages.0.lock().unwrap().routes, [(FIRST_GSI + 2, MESSAGE)].into());
    interrupts.fire(2);
    assert_eq!(rig.fired(), [FIRST_GSI + 2]);
}

#[rstest]
#[case::by_the_vector(ENABLE, 1)]
#[case::by_the_function(ENABLE | MASK_ALL, 0)]
fn masked_msix_vector_is_sent_once_when_the_mask_goes(#[case] control: u64, #[case] vector_control: u32) {
    let (rig, interrupts) = rig(3);
    msix_control(&rig, control);
    program(&rig, 1, MESSAGE, vector_control);
    interrupts.fire(1);
    interrupts.fire(1);
    assert_eq!((rig.fired(), pending(&rig)), (vec![], 0b10));
    msix_control(&rig, ENABLE);
    program(&rig, 1, MESSAGE, 0);
    assert_eq!((rig.fired(), pending(&rig)), (vec![FIRST_GSI + 1], 0));
}

#[test]
fn msix_vector_that_does_not_exist_is_ignored() {
    let (rig, interrupts) = rig(3);
    msix_control(&rig, ENABLE);
    interrupts.fire(3);
    interrupts.fire(u16::MAX);
    assert_eq!((rig.fired(), pending(&rig)), (vec![], 0));
}

#[test]
fn msix_table_is_masked_after_a_reset() {
    let (rig, _) = rig(2);
    program(&rig, 0, MESSAGE, 0);
    rig.host.ecam().reset();
    rig.write_dword(FUNCTION, 0x1c, (HIGH >> 32) as u32);
    rig.write(FUNCTION, 4, Width::Word, MEMORY_AND_MASTER);
    let words = [0, 4, 8, 12].map(|at| rig.peek(HIGH + u64::from(TABLE) + at, Width::Dword));
    assert_eq!(words, [0, 0, 0, 1]);
    assert!(rig.messages.0.lock().unwrap().routes.is_empty());
}

#[test]
fn msix_table_of_the_largest_size_is_bounded() {
    let (rig, _) = rig(2);
    assert_eq!(rig.peek(HIGH + u64::from(TABLE) + 32, Width::Dword), 0x2020, "the function's own register");
    assert_eq!(rig.peek(HIGH + u64::from(TABLE), Width::Word), 0xffff, "undefined width");
}

#[test]
fn message_to_memory_is_not_sent() {
    let (rig, _) = rig(1);
    msix_control(&rig, ENABLE);
    program(&rig, 0, MESSAGE, 0);
    program(&rig, 0, Msi { address: 0x1000, data: 1 }, 0);
    assert!(rig.messages.0.lock().unwrap().routes.is_empty());
}

#[test]
fn nothing_is_sent_without_bus_mastering() {
    let (rig, interrupts) = rig(1);
    msix_control(&rig, ENABLE);
    program(&rig, 0, MESSAGE, 0);
    rig.write(FUNCTION, 4, Width::Word, 2);
    interrupts.fire(0);
    assert_eq!(rig.fired(), []);
    assert!(!interrupts.is_bus_master());
}

#[test]
fn msi_vectors_differ_in_the_low_bits_of_the_data() {
    let (rig, interrupts) = rig(1);
    let at = rig.capability(FUNCTION, 5);
    rig.write_dword(FUNCTION, at + 4, 0xfee0_2000);
    rig.write(FUNCTION, at + 12, Width::Word, 0x52);
    rig.write(FUNCTION, at + 2, Width::Word, 1 | 1 << 4); // enabled, 2 of 4 vectors
    assert_eq!(interrupts.mode(), Mode::Msi(2));
    let message = |data| Msi { address: 0xfee0_2000, data };
    let expected = [(FIRST_GSI, message(0x52)), (FIRST_GSI + 1, message(0x53))].into();
    assert_eq!(rig.messages.0.lock().unwrap().routes, expected);
    interrupts.fire(3);
    assert_eq!(rig.fired(), [FIRST_GSI + 1], "vectors not granted share those that are");
}

#[test]
fn function_without_msix_has_as_many_messages_as_fit() {
    for (vectors, expected) in [(1, 0), (3, 1), (4, 2), (33, 5), (2048, 5)] {
        let layout = MsixLayout { vectors, bar: 2, table: TABLE, pending: PENDING };
        let rig = Rig::new();
        for (device, messages) in [(1, Messages::Either), (2, Messages::Msi)] {
            let latch = Latch { config: identity().messages(messages, layout).build(), value: 0 };
            rig.host.plug(Slot::root(device), Box::new(latch)).unwrap();
            let at = rig.capability((0, device.into()), 0x05);
            assert_eq!(rig.read((0, device.into()), at + 2, Width::Word) >> 1 & 7, expected, "{vectors}");
        }
        let most = u32::from(vectors) + (1 << expected);
        assert_eq!(rig.host.next_gsi(), FIRST_GSI + most, "routes for the larger of both, and for MSI");
    }
}

#[test]
fn root_port_has_one_message() {
    let rig = Rig::new();
    rig.host.add_root_port(1).unwrap();
    let at = rig.capability(FUNCTION, 5);
    assert_eq!(rig.read(FUNCTION, at + 2, Width::Word), 0x180, "one vector, 64 bits, maskable");
    assert_eq!(rig.host.next_gsi(), FIRST_GSI + 1);
}

#[test]
fn masked_msi_vector_is_pending() {
    let (rig, interrupts) = rig(1);
    let at = rig.capability(FUNCTION, 5);
    rig.write_dword(FUNCTION, at + 4, 0xfee0_2000);
    rig.write_dword(FUNCTION, at + 16, 1);
    rig.write(FUNCTION, at + 2, Width::Word, 1);
    interrupts.fire(0);
    assert_eq!((rig.fired(), rig.read_dword(FUNCTION, at + 20)), (vec![], 1));
    rig.write_dword(FUNCTION, at + 16, 0);
    assert_eq!((rig.fired(), rig.read_dword(FUNCTION, at + 20)), (vec![FIRST_GSI], 0));
}

#[test]
fn pin_is_silent_when_disabled_or_replaced_by_messages() {
    let (rig, interrupts) = rig(1);
    let high = |rig: &Rig| rig.pins() != [false; 4];
    interrupts.set_pin(true);
    assert!(high(&rig));
    rig.write(FUNCTION, 4, Width::Word, MEMORY_AND_MASTER | 1 << 10);
    assert!(!high(&rig));
    assert_eq!(rig.read(FUNCTION, 6, Width::Word) & 1 << 3, 1 << 3, "still shown as pending");
    rig.write(FUNCTION, 4, Width::Word, MEMORY_AND_MASTER);
    assert!(high(&rig));
    msix_control(&rig, ENABLE);
    assert!(!high(&rig));
}

#[test]
fn pins_are_rotated_by_slot_and_by_port() {
    let rig = Rig::new();
    let port = rig.host.add_root_port(6).unwrap();
    for (slot, wire) in [(Slot::root(1), 1), (Slot::root(4), 0), (Slot::behind(port), 2)] {
        let mut latch = latch(1);
        let interrupts = latch.config().interrupts().clone();
        rig.host.plug(slot, Box::new(latch)).unwrap();
        interrupts.set_pin(true);
        let mut expected = [false; 4];
        expected[wire] = true;
        assert_eq!(rig.pins(), expected, "{slot}");
        interrupts.set_pin(false);
    }
}

#[test]
fn shared_pin_is_high_while_anybody_wants_it() {
    let rig = Rig::new();
    let [first, second] = [1, 5].map(|device| {
        let mut latch = latch(1);
        let interrupts = latch.config().interrupts().clone();
        rig.host.plug(Slot::root(device), Box::new(latch)).unwrap();
        interrupts
    });
    first.set_pin(true);
    second.set_pin(true);
    second.set_pin(true);
    first.set_pin(false);
    assert!(rig.pins()[1]);
    second.set_pin(false);
    assert!(!rig.pins()[1]);
}

#[test]
fn every_function_has_routes_of_its_own() {
    let rig = Rig::new();
    rig.host.plug(Slot::root(1), Box::new(latch(7))).unwrap();
    rig.host.plug(Slot::root(2), Box::new(latch(2))).unwrap();
    assert_eq!(rig.host.next_gsi(), FIRST_GSI + 7 + 4, "MSI has four, MSI-X seven and two");
}
