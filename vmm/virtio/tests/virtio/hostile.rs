//! A driver that breaks the rules: the device says so and stops, and a reset brings it back. virtio 1.2, 2.1.2.

use rstest::rstest;

use crate::rig::ring::{Descriptor, INDIRECT, NEXT, WRITE, chain};
use crate::rig::{Buffer, HIGH_MEMORY, MEMORY_END, Rig, Ring, feature, reg};
use Buffer::{In, Out};

const TABLE: u64 = 0x2_0000;
const HEADER: u64 = 0x3_0000;
const DATA: u64 = 0x3_1000;
const STATUS: u64 = 0x3_2000;
const GOOD: &[Buffer] = &[Out(HEADER, 16), In(DATA, 512), In(STATUS, 1)];

fn good_ring() -> Ring {
    Ring::new(16, 0x1_0000)
}

/// The device is broken, tells the driver, ignores further requests, and works after a reset.
fn assert_breaks(rig: &Rig, mut ring: Ring) {
    rig.wait_needs_reset();
    rig.wait_until("a configuration interrupt", || rig.read(reg::INTERRUPT_STATUS) & 2 != 0);
    assert!(rig.line.is_high());
    ring.add(&rig.memory, GOOD);
    rig.kick();
    rig.settle();
    assert!(!ring.has_used(&rig.memory), "it consumes nothing more");

    rig.store(0x1_0000, &[0; 0x8000]);
    rig.store(HEADER, &[0; 16]);
    rig.store(HEADER + 8, &[5]);
    let mut ring = good_ring();
    rig.start(feature::ALL, &ring);
    assert!(!rig.needs_reset() && !rig.line.is_high());
    assert_eq!(rig.request(&mut ring, GOOD), 513);
    assert_eq!(rig.load(DATA, 512), [5; 512]);
}

#[rstest]
#[case::descriptors_outside(Ring { descriptors: MEMORY_END, ..good_ring() })]
#[case::descriptors_leave_memory(Ring { descriptors: MEMORY_END - 0x80, ..good_ring() })]
#[case::descriptors_wrap(Ring { descriptors: u64::MAX - 0xf, ..good_ring() })]
#[case::descriptors_unaligned(Ring { descriptors: 0x1_0008, ..good_ring() })]
#[case::avail_outside(Ring { avail: HIGH_MEMORY - 0x1000, ..good_ring() })]
#[case::avail_leaves_memory(Ring { avail: MEMORY_END - 36, ..good_ring() })]
#[case::avail_unaligned(Ring { avail: 0x1_4001, ..good_ring() })]
#[case::used_outside(Ring { used: 1 << 63, ..good_ring() })]
#[case::used_leaves_memory(Ring { used: MEMORY_END - 132, ..good_ring() })]
#[case::used_unaligned(Ring { used: 0x1_5002, ..good_ring() })]
#[case::size_zero(Ring { size: 0, ..good_ring() })]
#[case::size_no_power_of_two(Ring { size: 24, ..good_ring() })]
#[case::size_beyond_the_maximum(Ring { size: 2048, ..good_ring() })]
fn impossible_rings_break_the_device(#[case] bad: Ring) {
    let (rig, _disk) = Rig::with_disk();
    rig.start(feature::ALL, &bad);
    assert_breaks(&rig, good_ring());
}

#[test]
fn size_of_more_than_16_bits_breaks_the_device() {
    let (rig, _disk) = Rig::with_disk();
    rig.write(reg::STATUS, 7);
    rig.write(reg::QUEUE_NUM, 0x1_0010);
    rig.write_address(reg::QUEUE_DESC, 0x1_0000);
    rig.write_address(reg::QUEUE_DRIVER, 0x1_4000);
    rig.write_address(reg::QUEUE_DEVICE, 0x1_5000);
    rig.write(reg::QUEUE_READY, 1);
    assert!(rig.needs_reset());
}

/// What a hostile driver does to a good ring before it kicks.
struct Deed(fn(&Rig, &mut Ring));

fn offer(rig: &Rig, ring: &mut Ring, descriptors: &[Descriptor]) {
    ring.store_table(&rig.memory, 0, descriptors);
    ring.add_head(&rig.memory, 0);
}

fn offer_chain(rig: &Rig, ring: &mut Ring, buffers: &[Buffer]) {
    offer(rig, ring, &chain(buffers, 0));
}

fn offer_table(rig: &Rig, ring: &mut Ring, address: u64, len: u32, table: &[Descriptor]) {
    let elsewhere = Ring { descriptors: TABLE, ..*ring };
    elsewhere.store_table(&rig.memory, 0, table);
    offer(rig, ring, &[Descriptor { address, len, flags: INDIRECT, next: 0 }]);
}

#[rstest]
#[case::chain_of_itself(Deed(|rig, ring| {
    offer(rig, ring, &[Descriptor { address: HEADER, len: 16, flags: NEXT, next: 0 }]);
}))]
#[case::chain_in_a_circle(Deed(|rig, ring| {
    let mut descriptors = chain(GOOD, 0);
    descriptors[2].flags |= NEXT;
    descriptors[2].next = 1;
    offer(rig, ring, &descriptors);
}))]
#[case::next_outside_the_table(Deed(|rig, ring| {
    offer(rig, ring, &[Descriptor { address: HEADER, len: 16, flags: NEXT, next: 16 }]);
}))]
#[case::head_outside_the_table(Deed(|rig, ring| ring.add_head(&rig.memory, 16)))]
#[case::head_far_outside_the_table(Deed(|rig, ring| ring.add_head(&rig.memory, 0xffff)))]
#[case::more_available_than_the_ring_holds(Deed(|rig, ring| ring.set_avail_index(&rig.memory, 17)))]
#[case::available_index_behind(Deed(|rig, ring| ring.set_avail_index(&rig.memory, 0xffff)))]
#[case::buffer_outside(Deed(|rig, ring| offer_chain(rig, ring, &[Out(MEMORY_END, 16), In(STATUS, 1)])))]
#[case::buffer_leaves_memory(Deed(|rig, ring| {
    offer_chain(rig, ring, &[Out(HEADER, 16), In(MEMORY_END - 256, 512), In(STATUS, 1)]);
}))]
#[case::buffer_huge(Deed(|rig, ring| offer_chain(rig, ring, &[Out(HEADER, 16), In(DATA, u32::MAX)])))]
#[case::buffer_wraps(Deed(|rig, ring| offer_chain(rig, ring, &[Out(u64::MAX - 7, 16), In(STATUS, 1)])))]
#[case::chain_of_more_than_4_gib(Deed(|rig, ring| {
    offer_chain(rig, ring, &[Out(HEADER, 16), In(DATA, u32::MAX), In(STATUS, 1)]);
}))]
#[case::status_outside_memory(Deed(|rig, ring| offer_chain(rig, ring, &[Out(HEADER, 16), In(1 << 40, 1)])))]
#[case::readable_behind_writable(Deed(|rig, ring| {
    offer_chain(rig, ring, &[Out(HEADER, 16), In(STATUS, 1), Out(DATA, 512)]);
}))]
#[case::no_room_for_a_status(Deed(|rig, ring| offer_chain(rig, ring, &[Out(HEADER, 16), Out(DATA, 512)])))]
#[case::no_header(Deed(|rig, ring| offer_chain(rig, ring, &[In(DATA, 512), In(STATUS, 1)])))]
#[case::header_too_short(Deed(|rig, ring| offer_chain(rig, ring, &[Out(HEADER, 15), In(STATUS, 1)])))]
#[case::nothing_but_empty_buffers(Deed(|rig, ring| offer_chain(rig, ring, &[Out(0, 0), In(0, 0)])))]
#[case::table_empty(Deed(|rig, ring| offer_table(rig, ring, TABLE, 0, &[])))]
#[case::table_of_two_and_a_half(Deed(|rig, ring| offer_table(rig, ring, TABLE, 40, &chain(GOOD, 0))))]
#[case::table_outside_memory(Deed(|rig, ring| offer_table(rig, ring, MEMORY_END, 48, &[])))]
#[case::table_at_the_last_address(Deed(|rig, ring| offer_table(rig, ring, u64::MAX, 48, &[])))]
#[case::table_huge(Deed(|rig, ring| offer_table(rig, ring, TABLE, 0xffff_fff0, &chain(GOOD, 0))))]
#[case::table_in_a_table(Deed(|rig, ring| {
    offer_table(rig, ring, TABLE, 16, &[Descriptor { address: TABLE, len: 16, flags: INDIRECT, next: 0 }]);
}))]
#[case::table_whose_chain_leaves_it(Deed(|rig, ring| offer_table(rig, ring, TABLE, 32, &chain(GOOD, 0))))]
#[case::table_whose_chain_loops(Deed(|rig, ring| {
    offer_table(rig, ring, TABLE, 48, &[Descriptor { address: HEADER, len: 16, flags: NEXT, next: 0 }]);
}))]
#[case::table_of_more_than_1024(Deed(|rig, ring| {
    let bytes: Vec<_> = (0..2000).map(|index| In(DATA + index, 1)).collect();
    let all = [&[Out(HEADER, 16)], bytes.as_slice()].concat();
    offer_table(rig, ring, TABLE, 16 * 2001, &chain(&all, 0));
}))]
#[case::table_behind_a_buffer_of_the_other_kind(Deed(|rig, ring| {
    let first = Descriptor { address: STATUS, len: 1, flags: WRITE | NEXT, next: 1 };
    let table = Descriptor { address: TABLE, len: 16, flags: INDIRECT, next: 0 };
    let elsewhere = Ring { descriptors: TABLE, ..*ring };
    elsewhere.store_table(&rig.memory, 0, &chain(&[Out(HEADER, 16)], 0));
    offer(rig, ring, &[first, table]);
}))]
fn impossible_chains_break_the_device(#[case] deed: Deed) {
    let (rig, disk) = Rig::with_disk();
    let before = disk.with(|bytes| bytes.to_vec());
    let mut ring = good_ring();
    rig.start(feature::ALL, &ring);
    deed.0(&rig, &mut ring);
    rig.kick();
    assert_breaks(&rig, ring);
    assert!(disk.with(|bytes| *bytes == before));
}

#[test]
fn requests_before_the_broken_one_are_done() {
    let (rig, _disk) = Rig::with_disk();
    let mut ring = good_ring();
    rig.start(feature::ALL, &ring);
    ring.add(&rig.memory, GOOD);
    ring.add_head(&rig.memory, 99);
    rig.kick();
    rig.wait_needs_reset();
    assert_eq!(rig.wait_used(&mut ring), (0, 513));
    assert!(!ring.has_used(&rig.memory));
}

#[test]
fn driver_that_is_not_ready_hears_of_the_breakdown_when_it_is() {
    let (rig, _disk) = Rig::with_disk();
    rig.write(reg::STATUS, 0xb);
    rig.start_queue(0, &Ring { size: 3, ..good_ring() });
    assert_eq!(rig.read(reg::STATUS), 0x4b);
    assert_eq!((rig.read(reg::INTERRUPT_STATUS), rig.line.is_high()), (0, false));
    rig.write(reg::STATUS, 0xf);
    assert_eq!((rig.read(reg::STATUS), rig.read(reg::INTERRUPT_STATUS)), (0x4f, 2));
}

#[test]
fn broken_device_starts_no_queue() {
    let (rig, _disk) = Rig::with_disk();
    rig.start(feature::ALL, &Ring { size: 3, ..good_ring() });
    let mut ring = good_ring();
    rig.write(reg::QUEUE_READY, 0);
    rig.start_queue(0, &ring);
    ring.add(&rig.memory, GOOD);
    rig.kick();
    rig.settle();
    assert!(!ring.has_used(&rig.memory));
}

#[test]
fn guest_that_never_stops_asking_can_be_reset() {
    let (rig, _disk) = Rig::with_disk();
    let ring = good_ring();
    rig.start(feature::ALL, &ring);
    let memory = rig.memory.clone();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Another processor makes the same chain available for ever, as fast as it is used.
        scope.spawn(|| {
            let mut ring = ring;
            ring.store_table(&memory, 0, &chain(GOOD, 0));
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                ring.add_head(&memory, 0);
                while !ring.has_used(&memory) && !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    std::hint::spin_loop();
                }
                ring.take_used(&memory);
                ring.set_used_event(&memory, u16::MAX);
            }
        });
        rig.kick();
        std::thread::sleep(std::time::Duration::from_millis(20));
        rig.write(reg::STATUS, 0);
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
    });
    assert_eq!(rig.read(reg::STATUS), 0);
}
