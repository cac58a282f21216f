//! The disk that cloud-init finds its orders on, as its data source NoCloud wants it: a FAT file system called CIDATA with
//! the files `user-data`, `meta-data` and `network-config`.

use std::fs::File;
use std::io::{Cursor, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, ensure};
use block::Contents;
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};

use crate::config::CloudInit;

/// Bytes that a file may have: it is held in memory as long as the machine runs.
const MAX_FILE: u64 = 16 << 20;
/// Bytes of an empty file system: as many as FAT takes without thought.
const LEAST: usize = 1 << 20;
/// What NoCloud looks for. A label has 11 characters.
const LABEL: [u8; 11] = *b"CIDATA     ";
/// Meta-data for whoever gives none: NoCloud wants an instance to have a name, and does its work once for each.
const META_DATA: &str = "instance-id: tinderbox\n";

/// The disk with what the files of `config` say.
pub(super) fn seed(config: &CloudInit) -> anyhow::Result<Contents> {
    let read = |key: &str, path: &Path| bytes(path).with_context(|| format!("--cloud-init {key}="));
    let mut files = vec![("user-data", read("user-data", &config.user_data)?)];
    let meta_data = config.meta_data.as_deref();
    files
        .push(("meta-data", meta_data.map_or_else(|| Ok(META_DATA.into()), |path| read("meta-data", path))?));
    if let Some(path) = &config.network_config {
        files.push(("network-config", read("network-config", path)?));
    }
    file_system(&files).map(Contents::new).context("--cloud-init: make the seed disk")
}

fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).with_context(|| format!("read {}", path.display()))?;
    let most = MAX_FILE >> 20;
    ensure!(bytes.len() as u64 <= MAX_FILE, "{} has more than {most} MiB", path.display());
    Ok(bytes)
}

/// A FAT file system with `files` in its root, the same bytes for the same files.
fn file_system(files: &[(&str, Vec<u8>)]) -> std::io::Result<Vec<u8>> {
    // A quarter more is room for tables and unfilled clusters.
    let content: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut image = vec![0; (LEAST + content / 4 * 5).next_multiple_of(LEAST)];
    let label = FormatVolumeOptions::new().volume_label(LABEL).volume_id(0x7bd0_c1da);
    fatfs::format_volume(Cursor::new(image.as_mut_slice()), label)?;
    // Without its feature `chrono`, the crate dates files to the first day of DOS.
    let volume = FileSystem::new(Cursor::new(image.as_mut_slice()), FsOptions::new())?;
    for (name, bytes) in files {
        volume.root_dir().create_file(name)?.write_all(bytes)?;
    }
    volume.unmount()?;
    Ok(image)
}

#[cfg(test)]
mod tests {
    use block::Backend as _;
    use vm_memory::VolatileSlice;

    use super::*;

    fn write(dir: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Label, and the files with their content, as another reader of FAT would see them.
    fn open(config: &CloudInit) -> (String, Vec<(String, Vec<u8>)>) {
        let disk = seed(config).unwrap();
        let mut image = vec![0; disk.geometry().sectors as usize * 512];
        disk.read(0, &[VolatileSlice::from(image.as_mut_slice())]).unwrap();
        let volume = FileSystem::new(Cursor::new(image.as_mut_slice()), FsOptions::new()).unwrap();
        let files = volume.root_dir().iter().map(|entry| {
            let entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.to_file().read_to_end(&mut bytes).unwrap();
            (entry.file_name(), bytes)
        });
        let files = files.collect();
        (volume.volume_label(), files)
    }

    #[test]
    fn seed_has_the_label_and_the_files_of_nocloud() {
        let folder = tempfile::tempdir().unwrap();
        let long: Vec<u8> = (0..3_000_000_u32).map(|n| (n >> 3) as u8).collect();
        let config = CloudInit {
            user_data: write(folder.path(), "u", &long),
            meta_data: Some(write(folder.path(), "m", b"instance-id: x\n")),
            network_config: Some(write(folder.path(), "n", b"version: 2\n")),
        };
        let (label, files) = open(&config);
        assert_eq!(label, "CIDATA");
        let expected = [
            ("user-data".to_owned(), long),
            ("meta-data".to_owned(), b"instance-id: x\n".to_vec()),
            ("network-config".to_owned(), b"version: 2\n".to_vec()),
        ];
        assert!(files == expected);
    }

    #[test]
    fn instance_has_a_name_even_without_meta_data() {
        let folder = tempfile::tempdir().unwrap();
        let user_data = write(folder.path(), "u", b"#cloud-config\n");
        let (_, files) = open(&CloudInit { user_data, meta_data: None, network_config: None });
        assert_eq!(files[1], ("meta-data".to_owned(), b"instance-id: tinderbox\n".to_vec()));
        assert_eq!(files.len(), 2);
    }

    #[test]
    fn files_that_cannot_be_read_or_kept_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let config = |user_data| CloudInit { user_data, meta_data: None, network_config: None };
        let message = |config| format!("{:#}", seed(&config).err().unwrap());
        assert!(message(config("/nowhere".into())).starts_with("--cloud-init user-data=: open /nowhere: "));
        let large = write(folder.path(), "large", &[]);
        File::options().write(true).open(&large).unwrap().set_len(MAX_FILE + 1).unwrap();
        assert!(message(config(large)).ends_with("has more than 16 MiB"));
    }
}
