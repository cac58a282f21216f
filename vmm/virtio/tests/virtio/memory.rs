//! A balloon: pages that are given back read as zeroes, and nothing else changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rstest::rstest;
use virtio::balloon::{Balloon, Control, Statistics};
use vm_memory::VolatileSlice;

use crate::rig::{Buffer, MEMORY_END, Rig, Ring, feature, reg};
use Buffer::{In, Out};

const LIST: u64 = 0x5_0000;
const STATS_VQ: u64 = 1 << 1;
const FREE_PAGE_HINT: u64 = 1 << 3;
const PAGES: u64 = 0x10_0000;

/// Overwrites instead of giving back: the test sees which pages they are.
fn mark(slice: &VolatileSlice<'_>) {
    slice.copy_from(&vec![0xbb_u8; slice.len()]);
}

fn start() -> (Rig, Ring, Ring) {
    let control = Control::new(64 << 20, |_| {}).unwrap();
    start_with(control)
}

fn start_with(control: Control) -> (Rig, Ring, Ring) {
    let rig = Rig::with_balloon(|memory| Balloon::new(control, memory, mark));
    let [inflate, reporting] = [0x1_0000, 0x2_0000].map(|address| Ring::new(16, address));
    rig.start(feature::ALL & !(STATS_VQ | FREE_PAGE_HINT), &inflate);
    rig.start_queue(2, &reporting);
    (rig, inflate, reporting)
}

fn is_marked(rig: &Rig, page: u64) -> bool {
    rig.load(PAGES + 4096 * page, 4096) == [0xbb; 4096]
}

#[test]
fn balloon_asks_for_its_size() {
    let (rig, ..) = start();
    assert_eq!((rig.read(reg::DEVICE_ID), rig.read(reg::CONFIG)), (5, 16384));
    rig.write(reg::CONFIG + 4, 77);
    assert_eq!((rig.read(reg::CONFIG), rig.read(reg::CONFIG + 4)), (16384, 77));
    rig.write(reg::CONFIG, 1);
    assert_eq!(rig.read(reg::CONFIG), 16384, "the host's to decide");
}

#[test]
fn host_changes_the_size_and_hears_what_the_guest_gives() {
    let heard = Arc::new(AtomicU64::new(0));
    let listener = Arc::clone(&heard);
    let control = Control::new(64 << 20, move |bytes| listener.store(bytes, Ordering::SeqCst)).unwrap();
    let (rig, ..) = start_with(control.clone());
    control.set(1 << 20);
    rig.wait_until("the new size", || rig.read(reg::CONFIG) == 256);
    assert_eq!(rig.read(reg::INTERRUPT_STATUS) & 2, 2, "the driver was not told");
    rig.write(reg::CONFIG + 4, 255);
    assert_eq!((heard.load(Ordering::SeqCst), control.actual()), (255 << 12, 255 << 12));
    rig.write(reg::STATUS, 0);
    assert_eq!(
        (heard.load(Ordering::SeqCst), control.actual()),
        (0, 0),
        "a reset guest has all of its memory"
    );
}

#[test]
fn pages_of_the_list_are_given_back_and_no_others() {
    let (rig, mut inflate, _) = start();
    let numbers: Vec<u8> = [0x103_u32, 0x100, 0x101].iter().flat_map(|page| page.to_le_bytes()).collect();
    rig.store(LIST, &numbers);
    assert_eq!(rig.request(&mut inflate, &[Out(LIST, 5), Out(LIST + 5, 7)]), 0);
    let marked = [0, 1, 2, 3, 4].map(|page| is_marked(&rig, page));
    assert_eq!(marked, [true, true, false, true, false]);
}

#[rstest]
#[case::outside(&[0xffff_ffff, 0x20_0000, (MEMORY_END >> 12) as u32])]
#[case::twice(&[0x100, 0x100, 0x100])]
#[case::none(&[])]
fn lists_of_anything_harm_nobody(#[case] pages: &[u32]) {
    let (rig, mut inflate, _) = start();
    rig.store(LIST, &pages.iter().flat_map(|page| page.to_le_bytes()).collect::<Vec<_>>());
    assert_eq!(rig.request(&mut inflate, &[Out(LIST, 4 * pages.len() as u32 + 3)]), 0);
    assert!(!rig.needs_reset());
}

#[test]
fn free_pages_are_given_back() {
    let (rig, _, mut reporting) = start();
    reporting.add(&rig.memory, &[In(PAGES, 8192), In(PAGES + 0x4000, 4096)]);
    rig.write(reg::QUEUE_NOTIFY, 2);
    assert_eq!(rig.wait_used(&mut reporting), (0, 0));
    assert_eq!([0, 1, 2, 4, 5].map(|page| is_marked(&rig, page)), [true, true, false, true, false]);
}

/// Tags 4 and 9, one of a later standard, and half an entry.
fn told(free: u64) -> Vec<u8> {
    let entry = |tag: u16, value: u64| [&tag.to_le_bytes()[..], &value.to_le_bytes()].concat();
    [entry(4, free), entry(9, 7), entry(10, 8), vec![5, 0, 1]].concat()
}

#[test]
fn guest_tells_its_numbers_when_it_is_asked() {
    let control = Control::new(0, |_| {}).unwrap();
    let rig = Rig::with_balloon(|memory| Balloon::new(control.clone(), memory, mark));
    let [inflate, mut statistics] = [0x1_0000, 0x2_0000].map(|address| Ring::new(16, address));
    rig.start(feature::ALL, &inflate);
    rig.start_queue(2, &statistics);
    assert_eq!(control.statistics(), Statistics::default());
    let lend = |rig: &Rig, statistics: &mut Ring, free| {
        let bytes = told(free);
        rig.store(LIST, &bytes);
        statistics.add(&rig.memory, &[Out(LIST, bytes.len() as u32)]);
        rig.write(reg::QUEUE_NOTIFY, 2);
    };
    lend(&rig, &mut statistics, 1 << 30);
    rig.wait_until("the first numbers", || control.statistics().updated.is_some());
    let first = control.statistics();
    let expected = [None, None, None, None, Some(1 << 30), None, None, None, None, Some(7)];
    assert_eq!(first.values, expected);
    control.set(1 << 20);
    rig.wait_until("the new size", || rig.read(reg::CONFIG) == 256);
    assert!(!statistics.has_used(&rig.memory), "nobody asked");
    assert_eq!(control.statistics(), first, "that is no news");
    control.ask_every(1).unwrap();
    rig.wait_used(&mut statistics);
    lend(&rig, &mut statistics, 5);
    rig.wait_until("newer numbers", || control.statistics().values[4] == Some(5));
    rig.wait_used(&mut statistics);
    control.ask_every(0).unwrap();
    assert_eq!(control.interval(), 0);
}

#[rstest]
#[case::hints(feature::ALL & !STATS_VQ, 3)]
#[case::statistics(feature::ALL & !FREE_PAGE_HINT, 3)]
#[case::both(feature::ALL, 4)]
fn reports_come_behind_the_queues_that_there_are(#[case] features: u64, #[case] queue: u32) {
    let rig = Rig::with_balloon(|memory| Balloon::new(Control::new(0, |_| {}).unwrap(), memory, mark));
    let [inflate, mut reporting] = [0x1_0000, 0x2_0000].map(|address| Ring::new(16, address));
    rig.start(features, &inflate);
    rig.start_queue(queue, &reporting);
    reporting.add(&rig.memory, &[In(PAGES, 4096)]);
    rig.write(reg::QUEUE_NOTIFY, queue);
    rig.wait_used(&mut reporting);
    assert!(is_marked(&rig, 0));
}
