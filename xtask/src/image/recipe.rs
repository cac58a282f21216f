//! What goes into the disk, and the hash that names the result.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::gpt::{Guid, Partition, SECTOR, Table};
use crate::paths;

/// The release.
pub(super) const SUITE: &str = "bookworm";

/// Its kernel, what boots it, and the programs that tests call.
const PACKAGES: &[&str] = &[
    // The system. dbus, because logind listens to the power button and needs it.
    "linux-image-amd64",
    "initramfs-tools",
    "lz4",
    "systemd-sysv",
    "udev",
    "dbus",
    "kmod",
    // Disks and processes.
    "util-linux",
    "e2fsprogs",
    "fdisk",
    "procps",
    "less",
    // Devices: ACPI tables, PCI, USB.
    "acpica-tools",
    "pciutils",
    "usbutils",
    // Disks under load.
    "fio",
    "nvme-cli",
    // Network.
    "ethtool",
    "iperf3",
    "iproute2",
    "iputils-ping",
    "isc-dhcp-client",
];

/// What the disk of a [`Kind::Cloud`] has beside them.
const CLOUD_PACKAGES: &[&str] = &["cloud-init", "sudo"];

/// Whom a disk is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Tests and people in a hurry: root is logged in.
    Plain,
    /// Whom its seed names, as with Debian's own cloud images: nobody else can log in.
    Cloud,
}

impl Kind {
    /// The disk's file name, without its end.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "debian",
            Self::Cloud => "debian-cloud",
        }
    }

    /// What is installed.
    pub(super) fn packages(self) -> Vec<&'static str> {
        match self {
            Self::Plain => PACKAGES.to_vec(),
            Self::Cloud => [PACKAGES, CLOUD_PACKAGES].concat(),
        }
    }
}

/// Paths that packages shall not install: what nobody reads on a serial console.
pub(super) const LEFT_OUT: &[&str] =
    &["/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/doc/*"];

/// Licences stay, wherever they are.
pub(super) const KEPT: &str = "/usr/share/doc/*/copyright";

/// The date in everything that would otherwise hold the time of the build. Seconds since 1970.
pub(super) const SOURCE_DATE_EPOCH: &str = "1750000000";

/// The root file system's, also in `guest/etc/fstab` and `guest/boot/grub/grub.cfg`.
pub(super) const ROOT_UUID: &str = "11111111-2222-4333-8444-555555555555";
/// The EFI system partition's volume serial number, also in `guest/etc/fstab`.
pub(super) const ESP_SERIAL: &str = "D1D1D1D1";

const MIB: u64 = 1 << 20;
/// Size of the disk. It is sparse: what is not used costs nothing.
pub(super) const DISK_BYTES: u64 = 1536 * MIB;

/// Kept for GRUB's core image.
const KIND_BIOS_BOOT: Guid =
    Guid(0x2168_6148, 0x6449, 0x6e6f, [0x74, 0x4e, 0x65, 0x65, 0x64, 0x45, 0x46, 0x49]);
/// EFI system partition. UEFI 2.10, table 5-7.
const KIND_ESP: Guid = Guid(0xc12a_7328, 0xf81f, 0x11d2, [0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b]);
/// Root of an x86-64 system. Discoverable Partitions Specification.
const KIND_ROOT: Guid = Guid(0x4f68_bce3, 0xe8cd, 0x4db1, [0x96, 0xe7, 0xfb, 0xca, 0xf9, 0x84, 0xb7, 0x09]);

/// Holds `core.img`: 1 to 4 MiB.
pub(super) const BIOS_BOOT: Partition = Partition {
    number: 14,
    kind: KIND_BIOS_BOOT,
    identity: identity(14),
    name: "bios",
    first: 2048,
    sectors: 6144,
};
/// Holds GRUB for UEFI: 4 to 128 MiB.
pub(super) const ESP: Partition = Partition {
    number: 15,
    kind: KIND_ESP,
    identity: identity(15),
    name: "esp",
    first: 8192,
    sectors: 253_952,
};
/// Holds the system: the rest but 1 MiB, in which the table's copy lies.
pub(super) const ROOT: Partition = Partition {
    number: 1,
    kind: KIND_ROOT,
    identity: identity(1),
    name: "root",
    first: 262_144,
    sectors: (DISK_BYTES - MIB) / SECTOR - 262_144,
};

/// The layout of Debian's own cloud images.
pub(super) const TABLE: Table<'_> =
    Table { sectors: DISK_BYTES / SECTOR, identity: identity(0), partitions: &[ROOT, BIOS_BOOT, ESP] };

const fn identity(number: u8) -> Guid {
    Guid(0x0f0f_0f0f, 0xaaaa, 0x4bbb, [0x8c, 0xcc, 0xdd, 0xdd, 0xdd, 0xdd, 0xdd, number])
}

/// The files that are laid over those of the packages.
pub(super) fn guest_files() -> PathBuf {
    source().join("guest")
}

/// The hook that configures the rest.
pub(super) fn customise_hook() -> PathBuf {
    source().join("customise")
}

/// Where this module and its files lie.
fn source() -> PathBuf {
    paths::root().join("xtask/src/image")
}

/// The hash of everything that decides what the disk is like, all of which is in this folder: the code, the lists in it,
/// the guest's files. (`image.rs`, outside, stores the result.)
pub(super) fn hash(kind: Kind) -> anyhow::Result<String> {
    let mut files = Vec::new();
    collect(&source(), &mut files)?;
    files.sort();
    let mut hash = Sha256::new();
    hash.update(kind.name());
    for file in &files {
        absorb(&mut hash, file)?;
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// Adds one file: where it is, whether it is a program, and what is in it.
fn absorb(hash: &mut Sha256, file: &Path) -> anyhow::Result<()> {
    let read = || anyhow::Ok((fs::read(file)?, fs::metadata(file)?.permissions().mode() & 0o111));
    let (content, executable) = read().with_context(|| format!("read {}", file.display()))?;
    let name = file.strip_prefix(paths::root()).unwrap_or(file);
    hash.update(format!("{} {executable} {}\n", name.display(), content.len()));
    hash.update(content);
    Ok(())
}

/// Adds all files below `dir` to `files`.
fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let path = entry.with_context(|| format!("list {}", dir.display()))?.path();
        if path.is_dir() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest_file(name: &str) -> String {
        fs::read_to_string(guest_files().join(name)).unwrap()
    }

    #[test]
    fn partitions_neither_touch_the_table_nor_each_other() {
        let mut free_from = 34;
        for partition in [BIOS_BOOT, ESP, ROOT] {
            assert!(partition.first >= free_from);
            free_from = partition.first + partition.sectors;
        }
        assert!(free_from <= TABLE.back().0);
    }

    #[test]
    fn guest_mounts_the_file_systems_that_are_made() {
        let fstab = guest_file("etc/fstab");
        assert!(fstab.contains(&format!("UUID={ROOT_UUID} / ext4")));
        let (high, low) = ESP_SERIAL.split_at(4);
        assert!(fstab.contains(&format!("UUID={high}-{low} /boot/efi vfat")));
    }

    #[test]
    fn boot_loader_names_the_root_that_is_made() {
        assert!(guest_file("boot/grub/grub.cfg").contains(&format!("root=UUID={ROOT_UUID} ")));
    }

    #[test]
    fn guest_knows_nothing_of_this_project() {
        let mut files = Vec::new();
        collect(&guest_files(), &mut files).unwrap();
        for file in files {
            let text = fs::read_to_string(&file).unwrap().to_lowercase();
            assert!(!text.contains("tinderbox") && !text.contains("vmm"), "{}", file.display());
        }
    }

    #[test]
    fn hash_same_inputs_same_name() {
        let [plain, again, cloud] = [Kind::Plain, Kind::Plain, Kind::Cloud].map(|kind| hash(kind).unwrap());
        assert_eq!(plain, again);
        assert_ne!(plain, cloud);
        assert_eq!(plain.len(), 16);
    }
}
