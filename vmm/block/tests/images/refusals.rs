//! Images that cannot be opened, or only if the user says more.

use block::{Error, Format, OpenOptions};
use proptest::prelude::*;
use vm_memory::VolatileSlice;

use crate::files::{Folder, MIB, WRITABLE, format, pattern};

/// The message for `name`, without the folder's path.
#[track_caller]
fn message(folder: &Folder, name: &str, options: &OpenOptions) -> String {
    let error = folder.try_open(name, options).err().unwrap();
    error.to_string().replace(folder.path("").to_str().unwrap(), "")
}

#[test]
fn backing_file_elsewhere_needs_the_users_word() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("vm")).unwrap();
    folder.write("secret.raw", &pattern(MIB));
    folder.qemu_img("create -q -f qcow2 -b ../secret.raw -F raw vm/a.qcow2");
    let expected = "disk image vm/a.qcow2 refers to vm/../secret.raw, outside vm; if you trust the image, add backing-dir=DIR with a folder that holds it";
    assert_eq!(message(&folder, "vm/a.qcow2", &WRITABLE), expected);
    let trusting = OpenOptions { backing_dir: Some(folder.path("")), ..WRITABLE };
    folder.try_open("vm/a.qcow2", &trusting).unwrap();
    std::os::unix::fs::symlink("../secret.raw", folder.path("vm/link.raw")).unwrap();
    folder.qemu_img("rebase -u -f qcow2 -F raw -b link.raw vm/a.qcow2");
    assert!(message(&folder, "vm/a.qcow2", &WRITABLE).contains("vm/link.raw, outside vm"));
}

#[test]
fn backing_file_that_is_the_image_itself_is_a_loop() {
    let folder = Folder::new();
    folder.qemu_img("create -q -f qcow2 a.qcow2 1M");
    folder.qemu_img("create -q -f qcow2 -b a.qcow2 -F qcow2 b.qcow2");
    folder.qemu_img("rebase -u -f qcow2 -F qcow2 -b b.qcow2 a.qcow2");
    let expected = "disk image b.qcow2 is backed by itself, or by more than 32 images; rebase or commit it with qemu-img";
    assert_eq!(message(&folder, "a.qcow2", &WRITABLE), expected);
    folder.qemu_img("rebase -u -f qcow2 -F qcow2 -b a.qcow2 a.qcow2");
    assert!(message(&folder, "a.qcow2", &WRITABLE).starts_with("disk image a.qcow2 is backed by itself"));
}

#[test]
fn backing_file_of_unknown_format_is_not_guessed() {
    let folder = Folder::new();
    folder.qemu_img("create -q -f qcow2 base.qcow2 1M");
    folder.qemu_img("create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2");
    // The header extension that names the format begins with this; another number is one to ignore.
    let mut image = std::fs::read(folder.path("a.qcow2")).unwrap();
    let at = image.windows(4).position(|word| word == [0xe2, 0x79, 0x2a, 0xca]).unwrap();
    image[at] = 0x12;
    folder.write("a.qcow2", &image);
    let expected = "disk image a.qcow2 does not name the format of its backing file; \
                    add it with qemu-img rebase -u -F FORMAT -b base.qcow2 a.qcow2";
    assert_eq!(message(&folder, "a.qcow2", &WRITABLE), expected);
}

#[test]
fn missing_backing_and_external_data_files_are_named() {
    let folder = Folder::new();
    folder.qemu_img("create -q -f qcow2 -u -b gone.raw -F raw a.qcow2 1M");
    assert_eq!(
        message(&folder, "a.qcow2", &WRITABLE),
        "disk image gone.raw does not exist; check the path, or create the image first"
    );
    folder.qemu_img("create -q -f qcow2 -o data_file=b.data b.qcow2 1M");
    let expected =
        "disk image b.qcow2 keeps its data in another file; make one file of them with qemu-img convert";
    assert_eq!(message(&folder, "b.qcow2", &WRITABLE), expected);
}

#[test]
fn guessed_format_must_fit_the_name() {
    let folder = Folder::new();
    folder.qemu_img("create -q -f qcow2 a.img 1M");
    std::fs::File::options().append(true).open(folder.path("a.img")).unwrap().set_len(MIB as u64).unwrap();
    let expected = "disk image a.img begins like qcow2 but is called a raw image, which a guest could have arranged; \
                    say format=raw or format=qcow2";
    assert_eq!(message(&folder, "a.img", &WRITABLE), expected);
    assert_eq!(folder.try_open("a.img", &format(Format::Qcow2)).unwrap().geometry().sectors, 2048);
    assert!(folder.try_open("a.img", &format(Format::Raw)).unwrap().geometry().sectors > 2);
}

#[test]
fn raw_disk_of_guessed_format_takes_no_disguise() {
    let folder = Folder::new();
    folder.write("disk", &pattern(MIB));
    let header = |options: &OpenOptions| {
        let mut header = *b"QFI\xfb\0\0\0\x03";
        let mut sector = [0; 504];
        let slices = [VolatileSlice::from(header.as_mut_slice()), VolatileSlice::from(sector.as_mut_slice())];
        folder.try_open("disk", options).unwrap().write(0, &slices)
    };
    assert!(matches!(header(&WRITABLE), Err(Error::Disguise(Format::Qcow2))));
    assert!(header(&format(Format::Raw)).is_ok(), "whoever says raw gets raw");
}

#[test]
fn wrong_formats_say_what_is_wrong() {
    let folder = Folder::new();
    folder.write("a.raw", &pattern(MIB));
    let error = folder.try_open("a.raw", &format(Format::Qcow2)).err().unwrap();
    assert!(error.to_string().ends_with("a.raw cannot be used as qcow2"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
    folder.qemu_img("convert -O vmdk -o subformat=monolithicFlat a.raw a.vmdk");
    let expected =
        "disk image a.vmdk is of format vmdk, which can only be read; add readonly=on or snapshot=on";
    assert_eq!(message(&folder, "a.vmdk", &WRITABLE), expected);
    folder.qemu_img("create -q -f qcow2 empty.qcow2 0");
    assert!(message(&folder, "empty.qcow2", &WRITABLE).ends_with("cannot be used as qcow2"));
}

#[test]
fn vmdk_extent_elsewhere_is_refused() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("vm")).unwrap();
    folder.write("secret.raw", &pattern(MIB));
    let text = "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\n\
                RW 2048 FLAT \"../secret.raw\" 0\n";
    folder.write("vm/a.vmdk", text.as_bytes());
    let error = folder.try_open("vm/a.vmdk", &OpenOptions { snapshot: true, ..WRITABLE }).err().unwrap();
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.to_string().contains("outside"), "{source}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn damaged_image_fails_in_words(
        at in prop::collection::vec((0..0x5_0000_usize, any::<u8>()), 1..8),
        header in prop::collection::vec((0..104_usize, any::<u8>()), 0..3),
    ) {
        let folder = Folder::new();
        folder.write("a.raw", &pattern(MIB));
        folder.qemu_img("convert -O qcow2 -o cluster_size=4k a.raw a.qcow2");
        let mut image = std::fs::read(folder.path("a.qcow2")).unwrap();
        // Metadata is at the beginning: header, tables of references, tables of clusters.
        for (at, byte) in at.into_iter().chain(header).filter(|(at, _)| *at >= 8) {
            let at = at % image.len();
            image[at] = byte;
        }
        folder.write("a.qcow2", &image);
        let Ok(disk) = folder.try_open("a.qcow2", &WRITABLE) else { return Ok(()) };
        let end = disk.geometry().sectors * 512;
        for offset in (0..end.min(MIB as u64)).step_by(64 << 10) {
            let mut data = vec![1; 4096];
            let slices = [VolatileSlice::from(data.as_mut_slice())];
            let _ = disk.read(offset, &slices);
            let _ = disk.write(offset, &slices);
            let _ = disk.discard(offset, 4096);
        }
        let _ = disk.flush();
    }
}
