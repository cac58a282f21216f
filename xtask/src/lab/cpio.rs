//! Archives that Linux unpacks into its initial root: cpio in the "new ASCII" form (Linux
//! Documentation/driver-api/early-userspace/buffer-format.rst), uncompressed.

/// `S_IFDIR`: the entry is a folder.
const DIRECTORY: u32 = 0o040_000;
/// `S_IFREG`: the entry is a file.
const REGULAR: u32 = 0o100_000;

/// An archive under construction. All entries belong to root and are of the epoch, so equal contents give equal bytes.
#[derive(Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a folder; its parents must be in the archive already.
    pub(super) fn directory(&mut self, name: &str) {
        self.entry(name, DIRECTORY | 0o755, &[]);
    }

    /// Adds a file that may be executed; its folder must be in the archive already.
    pub(super) fn file(&mut self, name: &str, content: &[u8]) {
        self.entry(name, REGULAR | 0o755, content);
    }

    /// The finished archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let links = if mode & DIRECTORY == 0 { 1 } else { 2 };
        let (inode, size, name_size) = (self.entries, content.len(), name.len() + 1);
        // c_magic, c_ino, c_mode, c_uid, c_gid, c_nlink, c_mtime, c_filesize, c_maj, c_min, c_rmaj, c_rmin, c_namesize,
        // c_chksum: eight hexadecimal digits each.
        let header = format!(
            "070701{inode:08X}{mode:08X}{0:08X}{0:08X}{links:08X}{0:08X}{size:08X}{0:08X}{0:08X}{0:08X}{0:08X}{name_size:08X}{0:08X}",
            0
        );
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
    }

    /// Header with name, and content, are each padded to a multiple of four bytes.
    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries as another reader sees them: name, mode, content.
    fn read(mut bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        loop {
            let field = |index: usize| {
                let text = std::str::from_utf8(&bytes[6 + index * 8..14 + index * 8]).unwrap();
                usize::from_str_radix(text, 16).unwrap()
            };
            assert_eq!(&bytes[..6], b"070701");
            let (mode, size, name_size) = (field(1), field(6), field(11));
            let name = String::from_utf8(bytes[110..110 + name_size - 1].to_vec()).unwrap();
            let start = (110 + name_size).next_multiple_of(4);
            let content = bytes[start..start + size].to_vec();
            bytes = &bytes[(start + size).next_multiple_of(4)..];
            if name == "TRAILER!!!" {
                assert!(bytes.is_empty());
                return entries;
            }
            entries.push((name, u32::try_from(mode).unwrap(), content));
        }
    }

    #[test]
    fn archive_is_read_back_as_written() {
        let mut archive = Archive::default();
        archive.directory("bin");
        archive.file("bin/sh", b"12345");
        archive.file("init", b"");

        let entries = read(&archive.finish());

        let expected: [(&str, u32, &[u8]); 3] =
            [("bin", 0o040_755, b""), ("bin/sh", 0o100_755, b"12345"), ("init", 0o100_755, b"")];
        assert_eq!(entries, expected.map(|(name, mode, content)| (name.to_owned(), mode, content.to_vec())));
    }
}
