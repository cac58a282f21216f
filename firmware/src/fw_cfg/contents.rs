//! What the device will serve: items under fixed keys, and files by name.

use std::collections::BTreeMap;

use zerocopy::{FromZeros, IntoBytes};

use super::spec::{
    DirEntry, Directory, FILE_FIRST, FILE_NAME_SIZE, FILE_SLOTS, ID_DMA, ID_TRADITIONAL, Key, SIGNATURE,
};

/// A value under a fixed key. Numbers are little-endian in the guest's eyes.
///
/// Signature, interface version and file directory are not in this list: the device knows them itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The machine's UUID, in the order in which RFC 4122 prints it.
    Uuid([u8; 16]),
    /// All RAM, in bytes.
    RamSize(u64),
    /// No graphics was asked for: SeaBIOS then uses the serial port.
    Nographic(bool),
    /// Processors present at boot. SeaBIOS and edk2 wait until that many have answered.
    BootCpus(u16),
    /// Processors there may ever be.
    MaxCpus(u16),
    /// A boot menu was asked for.
    BootMenu(bool),
    /// ISA interrupt 0 arrives at IOAPIC input 2.
    Irq0Override(bool),
    /// Where the kernel's protected-mode part goes.
    KernelAddr(u32),
    /// How long it is; given apart from the data, because a PVH kernel has a size but no data.
    KernelSize(u32),
    /// The kernel's protected-mode part.
    KernelData(Vec<u8>),
    /// The PVH entry point.
    KernelEntry(u32),
    /// Where the initial RAM disk goes.
    InitrdAddr(u32),
    /// How long it is.
    InitrdSize(u32),
    /// The initial RAM disk.
    InitrdData(Vec<u8>),
    /// Where the command line goes.
    CmdlineAddr(u32),
    /// How long it is, its NUL included.
    CmdlineSize(u32),
    /// The command line with its NUL.
    CmdlineData(Vec<u8>),
    /// Where the kernel's real-mode part goes.
    SetupAddr(u32),
    /// How long it is.
    SetupSize(u32),
    /// The kernel's real-mode part; for PVH the first 8 KiB of the ELF file.
    SetupData(Vec<u8>),
}

impl Item {
    /// Where the item is found, and its bytes.
    fn into_entry(self) -> (Key, Vec<u8>) {
        let word = |value: u16| value.to_le_bytes().to_vec();
        let dword = |value: u32| value.to_le_bytes().to_vec();
        match self {
            Self::Uuid(uuid) => (Key::UUID, uuid.to_vec()),
            Self::RamSize(bytes) => (Key::RAM_SIZE, bytes.to_le_bytes().to_vec()),
            Self::Nographic(on) => (Key::NOGRAPHIC, word(on.into())),
            Self::BootCpus(count) => (Key::NB_CPUS, word(count)),
            Self::MaxCpus(count) => (Key::MAX_CPUS, word(count)),
            Self::BootMenu(on) => (Key::BOOT_MENU, word(on.into())),
            Self::Irq0Override(on) => (Key::IRQ0_OVERRIDE, dword(on.into())),
            Self::KernelAddr(addr) => (Key::KERNEL_ADDR, dword(addr)),
            Self::KernelSize(size) => (Key::KERNEL_SIZE, dword(size)),
            Self::KernelData(data) => (Key::KERNEL_DATA, data),
            Self::KernelEntry(addr) => (Key::KERNEL_ENTRY, dword(addr)),
            Self::InitrdAddr(addr) => (Key::INITRD_ADDR, dword(addr)),
            Self::InitrdSize(size) => (Key::INITRD_SIZE, dword(size)),
            Self::InitrdData(data) => (Key::INITRD_DATA, data),
            Self::CmdlineAddr(addr) => (Key::CMDLINE_ADDR, dword(addr)),
            Self::CmdlineSize(size) => (Key::CMDLINE_SIZE, dword(size)),
            Self::CmdlineData(data) => (Key::CMDLINE_DATA, data),
            Self::SetupAddr(addr) => (Key::SETUP_ADDR, dword(addr)),
            Self::SetupSize(size) => (Key::SETUP_SIZE, dword(size)),
            Self::SetupData(data) => (Key::SETUP_DATA, data),
        }
    }
}

/// Why a file cannot be offered to the guest.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Two files would have one name.
    #[error("fw_cfg file {name:?} is given twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The name is empty, holds a NUL, or does not fit into its field.
    #[error("fw_cfg file name {name:?} is not of 1 to {} bytes without NUL", FILE_NAME_SIZE - 1)]
    Name {
        /// The name.
        name: String,
    },
    /// The directory is full.
    #[error("no room for fw_cfg file {name:?}: there are {FILE_SLOTS} already")]
    TooMany {
        /// The name.
        name: String,
    },
    /// The size does not fit into the directory's 32 bits.
    #[error("fw_cfg file {name:?} has {len:#x} bytes, more than 32 bits can tell")]
    TooLong {
        /// The name.
        name: String,
        /// Bytes in the file.
        len: usize,
    },
}

/// One item or file.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) data: Vec<u8>,
    /// The guest may overwrite the data, never lengthen it.
    pub(super) writable: bool,
}

/// Everything under its key; fixed while the guest runs.
pub(super) type Entries = BTreeMap<Key, Entry>;

/// A collection of items and files for one machine.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    items: BTreeMap<Key, Vec<u8>>,
    files: BTreeMap<String, Entry>, // the directory's order: strcmp on bytes
}

impl Contents {
    /// Nothing beyond what the device knows itself.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers `item`, in place of an earlier one of its kind.
    pub fn item(&mut self, item: Item) -> &mut Self {
        let (key, data) = item.into_entry();
        self.items.insert(key, data);
        self
    }

    /// Offers `data` as the file `name`, which the guest can only read.
    ///
    /// # Errors
    /// When the name is taken or malformed, the directory full, or the file too long for it.
    pub fn file(
        &mut self,
        name: impl Into<String>,
        data: impl Into<Vec<u8>>,
    ) -> Result<&mut Self, FileError> {
        self.insert(name.into(), Entry { data: data.into(), writable: false })
    }

    /// Offers `data` as the file `name`, whose bytes the guest may change until the next reset.
    ///
    /// # Errors
    /// As [`Contents::file`].
    pub fn writable_file(
        &mut self,
        name: impl Into<String>,
        data: impl Into<Vec<u8>>,
    ) -> Result<&mut Self, FileError> {
        self.insert(name.into(), Entry { data: data.into(), writable: true })
    }

    /// Names and sizes of the files, in the directory's order.
    pub fn files(&self) -> impl Iterator<Item = (&str, usize)> {
        self.files.iter().map(|(name, entry)| (name.as_str(), entry.data.len()))
    }

    fn insert(&mut self, name: String, entry: Entry) -> Result<&mut Self, FileError> {
        let len = entry.data.len();
        if !(1..FILE_NAME_SIZE).contains(&name.len()) || name.contains('\0') {
            return Err(FileError::Name { name });
        }
        if self.files.contains_key(&name) {
            return Err(FileError::Duplicate { name });
        }
        if u32::try_from(len).is_err() {
            return Err(FileError::TooLong { name, len });
        }
        if self.files.len() == FILE_SLOTS {
            return Err(FileError::TooMany { name });
        }
        self.files.insert(name, entry);
        Ok(self)
    }

    /// Hands out the selectors and writes the directory.
    pub(super) fn finish(self) -> Entries {
        let directory = self.directory();
        let constant = |data: Vec<u8>| Entry { data, writable: false };
        let mut entries: Entries = self.items.into_iter().map(|(key, data)| (key, constant(data))).collect();
        entries.insert(Key::SIGNATURE, constant(SIGNATURE.to_vec()));
        entries.insert(Key::ID, constant((ID_TRADITIONAL | ID_DMA).to_le_bytes().to_vec()));
        entries.insert(Key::FILE_DIR, constant(directory.as_bytes().to_vec()));
        let keys = (FILE_FIRST..).map(Key::from_selector);
        entries.extend(keys.zip(self.files.into_values()));
        entries
    }

    fn directory(&self) -> Directory {
        let mut directory = Directory::new_zeroed();
        let slots = directory.entries.iter_mut().zip(FILE_FIRST..);
        for ((slot, select), (name, len)) in slots.zip(self.files()) {
            *slot = DirEntry::new_zeroed();
            slot.size = (len as u32).into(); // `insert` let no longer file in
            slot.select = select.into();
            slot.name.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
            directory.count += 1;
        }
        directory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(contents: &Contents) -> Vec<&str> {
        contents.files().map(|(name, _)| name).collect()
    }

    #[test]
    fn files_are_sorted_by_the_bytes_of_their_names() {
        let mut contents = Contents::new();
        for name in ["etc/table-loader", "opt/\u{e4}", "bootorder", "etc/e820", "etc", "opt/Z"] {
            contents.file(name, []).unwrap();
        }
        let sorted = ["bootorder", "etc", "etc/e820", "etc/table-loader", "opt/Z", "opt/\u{e4}"];
        assert_eq!(names(&contents), sorted);
    }

    #[test]
    fn second_file_of_a_name_is_refused() {
        let mut contents = Contents::new();
        contents.file("etc/e820", *b"first").unwrap();
        let error = contents.writable_file("etc/e820", []).unwrap_err();
        assert_eq!(error.to_string(), "fw_cfg file \"etc/e820\" is given twice");
        assert_eq!(contents.files().collect::<Vec<_>>(), [("etc/e820", 5)]);
    }

    #[test]
    fn name_may_have_55_bytes_and_no_more() {
        let mut contents = Contents::new();
        contents.file("n".repeat(55), []).unwrap();
        let error = contents.file("n".repeat(56), []).unwrap_err();
        assert!(error.to_string().ends_with("is not of 1 to 55 bytes without NUL"), "{error}");
    }

    #[test]
    fn name_that_a_guest_would_read_differently_is_refused() {
        for name in ["", "etc\0e820"] {
            assert_eq!(Contents::new().file(name, []).unwrap_err(), FileError::Name { name: name.into() });
        }
    }

    #[test]
    fn thirty_third_file_is_refused() {
        let mut contents = Contents::new();
        for n in 0..32 {
            contents.file(format!("opt/{n}"), []).unwrap();
        }
        let error = contents.file("opt/last", []).unwrap_err();
        assert_eq!(error, FileError::TooMany { name: "opt/last".into() });
    }

    #[test]
    fn later_item_replaces_an_earlier_one() {
        let mut contents = Contents::new();
        contents.item(Item::BootCpus(1)).item(Item::BootCpus(4));
        assert_eq!(contents.finish()[&Key::NB_CPUS].data, [4, 0]);
    }
}
