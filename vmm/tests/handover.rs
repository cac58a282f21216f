//! `--kernel` with `--firmware`, as a user meets it when it cannot be. No test needs KVM.
#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A bundle with a BIOS that starts kernels by an option ROM, and one that does so by itself.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(TempDir::new().unwrap());
        let mut rom = vec![0; 512];
        rom[..3].copy_from_slice(&[0x55, 0xaa, 1]);
        bench.bundle("seabios", "bios", r#""linuxboot""#, &[0; 128 << 10]);
        bench.bundle("qboot", "bios", "", &[0; 64 << 10]);
        bench.bundle("linuxboot", "option-rom", "", &rom);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn bundle(&self, name: &str, kind: &str, option_roms: &str, image: &[u8]) {
        let manifest = format!(
            r#"{{"name": "{name}", "kind": "{kind}", "version": "1", "boots": "", "licence": "", "size": 0,
                 "sha256": "", "image": "image", "option-roms": [{option_roms}]}}"#
        );
        fs::create_dir(self.path(name)).unwrap();
        fs::write(self.path(name).join("manifest.json"), manifest).unwrap();
        fs::write(self.path(name).join("image"), image).unwrap();
    }

    /// What the program says of the file `kernel` under `firmware`: nothing if it would run, else its one line.
    fn refusal(&self, kernel: &str, firmware: &str, more: &[&str]) -> String {
        let kernel = self.path(kernel);
        let args = ["--firmware", firmware, "--kernel", kernel.to_str().unwrap()];
        self.message(&[&args, more].concat())
    }

    fn message(&self, args: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tinderbox"));
        command.args(["run", "--dry-run"]).args(args);
        let output =
            command.env("TINDERBOX_FIRMWARE_DIR", self.0.path()).stdin(Stdio::null()).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), message.is_empty(), "{message}");
        assert!(message.lines().count() <= 1, "{message}");
        let message = message.trim_end().trim_start_matches("tinderbox: ");
        message.replace(&format!("{}/", self.0.path().display()), "")
    }
}

/// Boot protocol 2.15, one sector of setup behind the first, 512 bytes of kernel that take 8 MiB from 16 MiB on.
fn bzimage() -> Vec<u8> {
    let mut file = vec![0; 1536];
    let fields: [(usize, &[u8]); 6] = [
        (0x1f1, &[1]),
        (0x1f4, &[32]),
        (0x200, b"\xeb\x6aHdrS\x0f\x02"),
        (0x211, &[1]),
        (0x22c, &[0xff, 0xff, 0xff, 0x7f]),
        (0x25b, &[1]),
    ];
    for (at, bytes) in fields {
        file[at..at + bytes.len()].copy_from_slice(bytes);
    }
    file[0x262] = 0x80;
    file
}

/// A segment of no bytes at 16 MiB, and a note with the entry point there.
fn pvh_elf() -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    let header = |kind: u64, offset: u64, address: u64, in_file: u64, in_memory: u64| {
        [kind, offset, 0, address, in_file, in_memory, 4]
    };
    let words = [[0, 64, 0, 0x0038_0040_0000_0000, 2]].concat();
    let headers = [header(1, 0, 16 << 20, 0, 16), header(4, 176, 0, 20, 20)].concat();
    file.extend(words.into_iter().chain(headers).flat_map(u64::to_le_bytes));
    file.extend(*b"\x04\0\0\0\x04\0\0\0\x12\0\0\0Xen\0\0\0\0\x01");
    file
}

#[test]
fn bios_with_option_rom_takes_a_bzimage_alone() {
    let bench = Bench::new();
    fs::write(bench.path("bzimage"), bzimage()).unwrap();
    fs::write(bench.path("vmlinux"), pvh_elf()).unwrap();
    for firmware in ["seabios", "qboot"] {
        assert_eq!(bench.refusal("bzimage", firmware, &[]), "");
    }
    assert_eq!(bench.refusal("vmlinux", "qboot", &[]), "");
    assert_eq!(
        bench.refusal("vmlinux", "seabios", &[]),
        "--kernel: vmlinux is a kernel (ELF with PVH note) that this --firmware does not start: take qboot, or leave \
         --firmware away"
    );
}

#[test]
fn missing_option_rom_is_missed_by_the_firmware_that_needs_it() {
    let bench = Bench::new();
    fs::write(bench.path("bzimage"), bzimage()).unwrap();
    // The bundle beside the program is looked in, too, and may have any ROM that there is.
    bench.bundle("other", "bios", r#""absent""#, &[0; 128 << 10]);
    let message = bench.refusal("bzimage", "other", &[]);
    assert_eq!(
        message,
        "--firmware: no option ROM \"absent\" is bundled; build it with `cargo xtask firmware build absent`"
    );
}

#[test]
fn qboot_without_a_kernel_is_refused() {
    let expected = "--firmware qboot, the default with --machine acpi=off, starts nothing by itself, give it a kernel \
                    with --kernel FILE";
    assert_eq!(Bench::new().message(&["--firmware", "qboot"]), expected);
    assert_eq!(Bench::new().message(&["--machine", "acpi=off"]), expected);
}

#[test]
fn broken_option_rom_is_refused() {
    let bench = Bench::new();
    fs::write(bench.path("bzimage"), bzimage()).unwrap();
    fs::write(bench.path("linuxboot/image"), [0; 512]).unwrap();
    let message = bench.refusal("bzimage", "seabios", &[]);
    assert!(message.contains("linuxboot/image is no option ROM, build it again"), "{message}");
}

#[test]
fn kernel_and_initrd_that_do_not_fit_are_refused() {
    let bench = Bench::new();
    let kernel = bzimage();
    fs::write(bench.path("bzimage"), &kernel).unwrap();
    fs::write(bench.path("short"), &kernel[..1500]).unwrap();
    fs::write(bench.path("initrd"), vec![0; 8 << 20]).unwrap();
    let initrd = bench.path("initrd");
    let with = |memory: &str| {
        bench.refusal("bzimage", "qboot", &["--memory", memory, "--initrd", initrd.to_str().unwrap()])
    };
    assert_eq!(with("33M"), "");
    assert_eq!(
        with("32M"),
        "--initrd: initrd has 8388608 bytes, beside this kernel there is room for 7340032, see --memory"
    );
    assert_eq!(
        with("16M"),
        "--kernel: bzimage starts in memory up to 24M, this machine has 16M there, see --memory"
    );
    assert_eq!(
        bench.refusal("short", "seabios", &[]),
        "--kernel: short is cut short: it has 1500 bytes, its headers speak of 1536"
    );
}
