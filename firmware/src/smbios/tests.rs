use proptest::prelude::*;

use super::*;

/// A structure as a reader finds it: type, handle, formatted area with its header, strings.
#[derive(Debug)]
struct Found {
    kind: u8,
    handle: u16,
    area: Vec<u8>,
    strings: Vec<Vec<u8>>,
}

impl Found {
    /// The string that the field at `offset` names.
    fn string(&self, offset: usize) -> Option<&[u8]> {
        let number = usize::from(self.area[offset]).checked_sub(1)?;
        Some(self.strings[number].as_slice())
    }

    fn u16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.area[offset..][..2].try_into().unwrap())
    }

    fn u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.area[offset..][..4].try_into().unwrap())
    }
}

/// Reads structures as DSP0134 3.0, 6.1.2 and 6.1.3 say, up to type 127.
fn walk(mut bytes: &[u8]) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    while found.last().is_none_or(|last| last.kind != 127) {
        let (area, rest) = bytes.split_at(bytes[1].into());
        let end = rest.windows(2).position(|pair| pair == [0, 0]).unwrap();
        let strings = rest[..end].split(|&byte| byte == 0).map(<[u8]>::to_vec);
        found.push(Found {
            kind: area[0],
            handle: u16::from_le_bytes([area[2], area[3]]),
            area: area.to_vec(),
            strings: strings.filter(|string| !string.is_empty()).collect(),
        });
        bytes = &rest[end + 2..];
    }
    assert!(bytes.is_empty(), "nothing after the end");
    found
}

fn hardware() -> Hardware {
    Hardware {
        sockets: 1,
        cores: 4,
        threads: 2,
        processor_id: 0x0f8b_fbff_0000_06f1,
        caches: Vec::new(),
        memory: vec![(0, 3 << 30), (4 << 30, 3 << 30)],
    }
}

fn found(smbios: &Smbios, uuid: Option<Uuid>, hardware: &Hardware) -> Vec<Found> {
    walk(smbios.encode(uuid, hardware).unwrap().structures())
}

fn one(found: &[Found], kind: u8) -> &Found {
    found.iter().find(|found| found.kind == kind).unwrap()
}

fn text(text: &str) -> Text {
    text.parse().unwrap()
}

#[test]
fn default_machine_has_each_type_that_hardware_asks_for() {
    let found = found(&Smbios::default(), None, &hardware());
    let kinds: Vec<_> = found.iter().map(|found| found.kind).collect();
    assert_eq!(kinds, [1, 3, 4, 16, 17, 19, 19, 32, 127]);
    let system = one(&found, 1);
    assert_eq!((system.string(4), system.string(5)), (Some(&b"Tinderbox"[..]), Some(&b"microvm"[..])));
    assert_eq!((system.string(6), system.area[8..24].to_vec()), (None, vec![0; 16]));
}

#[test]
fn bios_is_described_if_given() {
    let bios = Bios {
        vendor: text("V"),
        version: text("1.2"),
        date: text("08/01/2026"),
        release: Some((3, 4)),
        uefi: true,
    };
    let found = found(&Smbios { bios: Some(bios), ..Smbios::default() }, None, &hardware());
    let bios = one(&found, 0);
    assert_eq!(bios.handle, 0);
    assert_eq!(bios.string(4), Some(&b"V"[..]));
    assert_eq!(bios.string(8), Some(&b"08/01/2026"[..]));
    assert_eq!(bios.area[0x12..0x18], [0, 0x1c, 3, 4, 0xff, 0xff]);
}

#[test]
fn system_has_its_strings_and_the_uuid_in_wire_order() {
    let system = System { serial: text("s-1"), sku: text("sku"), family: text("fam"), ..System::default() };
    let uuid = "00112233-4455-6677-8899-aabbccddeeff".parse().ok();
    let found = found(&Smbios { system, ..Smbios::default() }, uuid, &hardware());
    let system = one(&found, 1);
    assert_eq!(system.string(7), Some(&b"s-1"[..]));
    assert_eq!(system.area[8..12], [0x33, 0x22, 0x11, 0x00]);
    assert_eq!((system.area[0x18], system.string(0x19)), (6, Some(&b"sku"[..])));
    assert_eq!(system.string(0x1a), Some(&b"fam"[..]));
}

#[test]
fn each_socket_is_a_processor_with_its_cores_threads_and_caches() {
    let cache = |level, kind, size_kib| Cache { level, kind, size_kib, ways: 8 };
    let caches = vec![cache(1, CacheKind::Data, 32), cache(2, CacheKind::Unified, 1024)];
    let hardware = Hardware { sockets: 2, caches, ..hardware() };
    let found = found(&Smbios::default(), None, &hardware);
    let second = found.iter().filter(|found| found.kind == 4).nth(1).unwrap();
    assert_eq!((second.handle, second.string(4)), (0x0401, Some(&b"CPU 1"[..])));
    assert_eq!((second.area[0x23], second.area[0x24], second.area[0x25]), (4, 4, 8));
    assert_eq!((second.u16(0x2a), second.u16(0x2e), second.u16(0x26)), (4, 8, 0x3c));
    assert_eq!(second.u32(8), 0x6f1);
    let caches = [second.u16(0x1a), second.u16(0x1c), second.u16(0x1e)];
    assert_eq!(caches, [0x0705, 0x0706, 0xffff]);
    let level2 = found.iter().find(|found| found.handle == caches[1]).unwrap();
    assert_eq!((level2.kind, level2.string(4)), (7, Some(&b"L2"[..])));
    assert_eq!((level2.u16(5), level2.u16(9), level2.area[0x11], level2.area[0x12]), (0x181, 1024, 5, 7));
}

#[test]
fn more_than_254_cores_are_in_the_wide_field() {
    let found = found(&Smbios::default(), None, &Hardware { cores: 300, ..hardware() });
    let processor = one(&found, 4);
    assert_eq!((processor.area[0x23], processor.u16(0x2a)), (255, 300));
    assert_eq!((processor.area[0x25], processor.u16(0x2e)), (255, 600));
}

#[test]
fn memory_is_an_array_of_devices_at_addresses() {
    let found = found(&Smbios::default(), None, &hardware());
    let array = one(&found, 16);
    assert_eq!((array.u32(7), array.u16(0x0d)), (6 << 20, 1));
    let device = one(&found, 17);
    assert_eq!((device.u16(4), device.u16(0x0c)), (array.handle, 6 << 10));
    assert_eq!(device.string(0x10), Some(&b"DIMM 0"[..]));
    let ranges: Vec<_> = found.iter().filter(|found| found.kind == 19).collect();
    assert_eq!((ranges[0].u32(4), ranges[0].u32(8)), (0, (3 << 20) - 1));
    assert_eq!((ranges[1].u32(4), ranges[1].u32(8)), (4 << 20, (7 << 20) - 1));
    assert_eq!((ranges[1].u16(0x0c), ranges[1].handle), (array.handle, 0x1301));
}

#[test]
fn oem_strings_keep_their_order_and_spill_into_a_second_structure() {
    let texts: Vec<_> = (0..256).map(|n| text(&format!("value {n}"))).collect();
    let found = found(&Smbios { oem_strings: texts, ..Smbios::default() }, None, &hardware());
    let oem: Vec<_> = found.iter().filter(|found| found.kind == 11).collect();
    assert_eq!(oem.iter().map(|oem| oem.area[4]).collect::<Vec<_>>(), [255, 1]);
    assert_eq!(
        (oem[0].strings[254].as_slice(), oem[1].strings[0].as_slice()),
        (&b"value 254"[..], &b"value 255"[..])
    );
}

#[test]
fn strings_that_do_not_fit_together_are_refused() {
    let system = System { serial: text(&"s".repeat(60_000)), ..System::default() };
    let smbios = Smbios { system, oem_strings: vec![text(&"o".repeat(6000))], ..Smbios::default() };
    let TooLong { len } = smbios.encode(None, &hardware()).unwrap_err();
    assert!((66_000..67_000).contains(&len), "{len}");
}

proptest! {
    /// Whatever the numbers, a reader finds every structure, once each by handle.
    #[test]
    fn every_structure_is_found_and_has_its_own_handle(
        sockets in 1_u8..=254,
        cores in 1_u16..,
        threads in 1_u16..,
        levels in proptest::collection::vec((0_u8..5, any::<u32>(), any::<u16>()), 0..6),
        memory in proptest::collection::vec((0..1_u64 << 45, 1..1_u64 << 45), 1..4),
        strings in proptest::collection::vec("\\PC{0,20}", 0..300),
    ) {
        let cache = |&(level, size_kib, ways)| Cache { level, kind: CacheKind::Unified, size_kib, ways };
        let caches = levels.iter().map(cache).collect();
        let hardware = Hardware { sockets, cores, threads, processor_id: 0, caches, memory };
        let oem_strings = strings.iter().map(|string| text(string)).collect();
        let found = found(&Smbios { oem_strings, ..Smbios::default() }, None, &hardware);
        let mut handles: Vec<_> = found.iter().map(|found| found.handle).collect();
        handles.sort_unstable();
        prop_assert!(handles.windows(2).all(|pair| pair[0] != pair[1]));
        prop_assert!(found.iter().all(|found| found.handle >> 8 >= found.kind.into()));
        let oem = found.iter().filter(|found| found.kind == 11).flat_map(|found| found.strings.clone());
        let given = strings.iter().filter(|string| !string.is_empty()).map(|string| string.clone().into_bytes());
        prop_assert!(oem.eq(given));
    }
}
