//! The controller as a PCI function. NVMe 1.4, 2.

use std::sync::Arc;

use block::EngineKind;
use block::testing::MemoryDisk;
use bus::{Access, Refused, Width};
use nvme::{Identity, Nvme, Options, WriteCache};
use pcie::{Function, Messages};
use vm_memory::{GuestAddress, GuestMemoryMmap};

use crate::rig::{ADMIN_CQ, ADMIN_SQ, Command, ENABLE, Queue, reg};

fn memory() -> GuestMemoryMmap {
    GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x20_0000)]).unwrap()
}

fn nvme(queues: u16, memory: &GuestMemoryMmap) -> Nvme {
    nvme_with(Messages::Either, queues, memory)
}

fn nvme_with(messages: Messages, queues: u16, memory: &GuestMemoryMmap) -> Nvme {
    let identity = Identity::new(None, 3);
    let options =
        Options { identity, queues, write_cache: WriteCache::On, messages, engine: EngineKind::default() };
    Nvme::new(Arc::new(MemoryDisk::new(16)), options, memory.clone()).unwrap()
}

fn config(nvme: &mut Nvme, offset: u64) -> u64 {
    nvme.read_config(Access { offset, width: Width::Dword })
}

fn write(nvme: &mut Nvme, offset: u64, width: Width, value: u64) {
    nvme.write_bar(0, Access { offset, width }, value).unwrap();
}

#[test]
fn header_is_that_of_an_nvme_controller() {
    let mut nvme = nvme(4, &memory());
    assert_eq!(config(&mut nvme, 0x08) >> 8, 0x01_0802, "class code");
    assert_eq!(config(&mut nvme, 0x10) & 0xf, 4, "BAR 0 is a 64-bit one");
    let found = capabilities(&mut nvme);
    let ids: Vec<_> = found.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [0x01, 0x05, 0x11, 0x10], "PM, MSI, MSI-X, PCIe");
    assert_eq!(found[1].1 >> 1 & 7, 2, "four messages");
    assert_eq!(found[2].1 & 0x7ff, 4, "five vectors: four queues and the admin queue");
}

/// The ids of the capabilities, each with the word behind its header.
fn capabilities(nvme: &mut Nvme) -> Vec<(u64, u64)> {
    let mut capability = config(nvme, 0x34) & 0xff;
    let mut found = vec![];
    while capability != 0 {
        let header = config(nvme, capability);
        found.push((header & 0xff, header >> 16));
        capability = header >> 8 & 0xff;
    }
    found
}

#[test]
fn controller_without_msix_has_msi_with_32_messages_at_most() {
    for (queues, messages) in [(2, 1), (3, 2), (30, 4), (31, 5), (64, 5)] {
        let found = capabilities(&mut nvme_with(Messages::Msi, queues, &memory()));
        let [(0x01, _), (0x05, control), (0x10, _)] = found[..] else { panic!("{found:x?}") };
        assert_eq!(control >> 1 & 7, messages, "{queues} queues");
    }
}

#[test]
fn bar_ends_behind_the_doorbells() {
    let mut nvme = nvme(1, &memory());
    assert_eq!(nvme.read_bar(0, Access { offset: 0x08, width: Width::Dword }), Ok(0x1_0400));
    assert_eq!(nvme.read_bar(0, Access { offset: 0x2000, width: Width::Dword }), Err(Refused));
    assert_eq!(nvme.write_bar(0, Access { offset: 0x2000, width: Width::Dword }, 1), Err(Refused));
}

#[test]
fn doorbells_are_quiet_from_their_shadows_to_the_reset() {
    let memory = memory();
    let mut nvme = nvme(2, &memory);
    let offsets: Vec<_> = nvme.doorbells().iter().map(|doorbell| doorbell.offset).collect();
    assert_eq!(offsets, [0x1008, 0x1010], "the tails of I/O queues 1 and 2");
    write(&mut nvme, reg::AQA, Width::Dword, 15 << 16 | 15);
    write(&mut nvme, reg::ASQ, Width::Qword, ADMIN_SQ);
    write(&mut nvme, reg::ACQ, Width::Qword, ADMIN_CQ);
    write(&mut nvme, reg::CC, Width::Dword, ENABLE.into());
    assert!(!nvme.doorbells_are_quiet());

    let mut admin = Queue::new(0, ADMIN_SQ, ADMIN_CQ, 16);
    admin.submit(&memory, Command::new(0x7c).prp(0x8_0000).prp2(0x8_1000));
    write(&mut nvme, reg::DOORBELLS, Width::Dword, admin.tail.into());
    while admin.peek(&memory).is_none() {
        std::thread::yield_now();
    }
    assert_eq!(admin.take(&memory).status, 0);
    assert!(nvme.doorbells_are_quiet());

    nvme.reset();
    assert!(!nvme.doorbells_are_quiet());
}

#[test]
fn number_of_queues_has_bounds() {
    assert_eq!(nvme(0, &memory()).doorbells().len(), 2, "edk2 makes two without asking");
    assert_eq!(nvme(1000, &memory()).doorbells().len(), 64);
}
