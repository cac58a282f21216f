//! Texts by which firmware, boot loaders, kernels and what follows make themselves known.

use super::record::Kind;

/// A text that begins a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    /// What is printed, somewhere in a line.
    pub(super) text: &'static str,
    /// Of what kind the phase is.
    pub(super) kind: Kind,
    /// What the phase is called.
    pub(super) name: &'static str,
}

const fn marker(text: &'static str, kind: Kind, name: &'static str) -> Marker {
    Marker { text, kind, name }
}

use Kind::{Device, Firmware, Kernel, Loader, Userspace};

/// What every system asks at last.
pub(super) const LOGIN: &str = "login: ";

/// Longer texts stand before their beginnings: the first that matches counts.
pub(super) const MARKERS: &[Marker] = &[
    marker("SeaBIOS (version", Firmware, "SeaBIOS"),
    marker("SecCoreStartupWithStack(", Firmware, "edk2: SEC"),
    marker("Loading PEIM at", Firmware, "edk2: PEI"),
    marker("Loading DXE CORE at", Firmware, "edk2: DXE"),
    marker("[Bds] Entry", Firmware, "edk2: BDS"),
    marker("UEFI firmware (version", Firmware, "edk2"),
    marker("Booting from Hard Disk", Device, "disk"),
    marker("Booting from DVD/CD", Device, "CD-ROM"),
    marker("Booting from Floppy", Device, "floppy"),
    marker("Booting from ROM", Device, "ROM"),
    marker("Booting from CBFS", Device, "CBFS"),
    marker("Booting from 0000:7c00", Loader, "boot sector"),
    marker("Booting from c", Loader, "option ROM"),
    marker("Boot failed", Device, "boot failed"),
    marker("No bootable device", Device, "no boot device"),
    marker("[Bds]Booting ", Device, "boot option"),
    marker("[Bds] Unable to boot", Device, "no boot device"),
    marker("BdsDxe: loading Boot", Device, "boot option"),
    marker("BdsDxe: failed to ", Device, "boot failed"),
    marker("BdsDxe: starting Boot", Loader, "UEFI program"),
    marker("UEFI Interactive Shell", Loader, "UEFI shell"),
    marker("iPXE ", Loader, "iPXE"),
    marker("GRUB loading", Loader, "GRUB's image"),
    marker("Welcome to GRUB", Loader, "GRUB"),
    marker("GNU GRUB", Loader, "GRUB's menu"),
    marker("ISOLINUX ", Loader, "ISOLINUX"),
    marker("SYSLINUX ", Loader, "SYSLINUX"),
    marker("EXTLINUX ", Loader, "EXTLINUX"),
    marker("systemd-boot", Loader, "systemd-boot"),
    marker("Loading Linux ", Loader, "loading the kernel"),
    marker("Loading initial ramdisk", Loader, "loading the initrd"),
    marker("EFI stub: ", Kernel, "EFI stub"),
    marker("Decompressing Linux", Kernel, "decompression"),
    marker("Linux version ", Kernel, "Linux"),
    marker("---<<BOOT>>---", Kernel, "FreeBSD"),
    marker("Run /init as init process", Userspace, "initrd"),
    marker(" as init process", Userspace, "init"),
    marker("systemd[1]: ", Userspace, "systemd"),
    marker("Welcome to ", Userspace, "system"),
    marker(LOGIN, Userspace, "login prompt"),
];

/// Text as it comes, searched for markers byte by byte.
#[derive(Debug, Default)]
pub(super) struct Stream {
    line: Vec<u8>,
    /// What is at hand is the tail of a longer line.
    cut: bool,
}

/// The longest line that is kept.
const LONGEST: usize = 200;

/// What a byte of text led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The line so far ends in a marker, by its place among [`MARKERS`].
    Marker(usize),
    /// The line so far ends in the text that the user gave.
    Mark,
    /// The line is complete.
    LineEnd,
}

impl Stream {
    /// Takes in the next byte of a stream in which `mark` may come.
    pub(super) fn push(&mut self, byte: u8, mark: Option<&str>) -> Option<Found> {
        if matches!(byte, b'\r' | b'\n') {
            return (!self.line.is_empty()).then_some(Found::LineEnd);
        }
        if self.line.len() == LONGEST {
            self.line.drain(..LONGEST / 2);
            self.cut = true;
        }
        self.line.push(byte);
        if mark.is_some_and(|mark| self.line.ends_with(mark.as_bytes())) {
            return Some(Found::Mark);
        }
        MARKERS.iter().position(|marker| self.line.ends_with(marker.text.as_bytes())).map(Found::Marker)
    }

    /// The line so far, without what is no plain text.
    pub(super) fn line(&self) -> String {
        let text = plain(&self.line);
        if self.cut { format!("…{text}") } else { text }
    }

    /// The next byte begins a new line.
    pub(super) fn clear(&mut self) {
        self.line.clear();
        self.cut = false;
    }
}

/// `bytes` without terminals' escape sequences and control characters.
fn plain(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut bytes = bytes.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            0x1b => skip_escape(&mut bytes),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {}
        }
    }
    text.trim().into()
}

/// A sequence of the form `ESC [ parameters letter`, or `ESC letter`.
fn skip_escape(bytes: &mut impl Iterator<Item = u8>) {
    if bytes.next() == Some(b'[') {
        let _ = bytes.find(|byte| (0x40..=0x7e).contains(byte));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &[u8]) -> Vec<Found> {
        let mut stream = Stream::default();
        let mut found = Vec::new();
        for byte in text {
            if let Some(what) = stream.push(*byte, Some("READY")) {
                found.push(what);
                if what == Found::LineEnd {
                    stream.clear();
                }
            }
        }
        found
    }

    #[test]
    fn marker_is_found_at_its_last_letter_and_the_line_later() {
        let names: Vec<_> = found(b"x SeaBIOS (version 1)\r\n\r\nlogin: ");
        let name = |found: &Found| match found {
            Found::Marker(at) => MARKERS[*at].name,
            Found::Mark => "mark",
            Found::LineEnd => "end",
        };
        assert_eq!(names.iter().map(name).collect::<Vec<_>>(), ["SeaBIOS", "end", "login prompt"]);
        assert_eq!(found(b"all READY\n"), [Found::Mark, Found::LineEnd]);
    }

    #[test]
    fn each_marker_is_found_by_its_own_text() {
        for (at, marker) in MARKERS.iter().enumerate() {
            let all = found(marker.text.as_bytes());
            assert_eq!(all.last(), Some(&Found::Marker(at)), "{}", marker.text);
        }
    }

    #[test]
    fn line_is_without_colours() {
        let mut stream = Stream::default();
        b"\x1b[1;32mhello\x1b[0m\x07 you \x1b".iter().for_each(|byte| {
            stream.push(*byte, None);
        });
        assert_eq!(stream.line(), "hello you");
    }

    proptest! {
        #[test]
        fn any_text_is_held_in_bounded_memory(text in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut stream = Stream::default();
            for byte in text {
                stream.push(byte, Some("x"));
                prop_assert!(stream.line.len() <= LONGEST && stream.line().is_ascii() || stream.cut);
            }
        }
    }
}
