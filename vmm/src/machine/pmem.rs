//! Files of the host's that are memory of the guest's.

use std::fs::File;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::plan::MIB;
use crate::config::PmemConfig;

/// Opens the file of `config`, locked, or makes one of zeroes.
pub(super) fn open(config: &PmemConfig) -> anyhow::Result<Arc<File>> {
    let name = || format!("--pmem {}", config.path.display());
    let mut options = File::options();
    options.read(true).write(true);
    let made = options.clone().create_new(true).open(&config.path);
    let file = match made {
        Ok(file) => file.set_len(config.size).map(|()| file),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => options.open(&config.path),
        Err(error) => Err(error),
    };
    let file = file.with_context(name)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => anyhow::bail!("{} is in use by another process", name()),
        locked => locked.with_context(name)?,
    }
    let found = file.metadata().with_context(name)?.len();
    ensure!(
        found == config.size,
        "{} has {found} bytes, not the {} MiB of size=; change one of them",
        name(),
        config.size / MIB
    );
    Ok(Arc::new(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_made_once_and_has_one_user_and_one_size() {
        let folder = tempfile::tempdir().unwrap();
        let config = PmemConfig { path: folder.path().join("p"), size: 4 * MIB };
        let message = |config: &PmemConfig| format!("{:#}", open(config).err().unwrap());
        let file = open(&config).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 4 * MIB);
        assert!(message(&config).ends_with("/p is in use by another process"));
        drop(file);
        std::fs::write(&config.path, vec![7; 4 << 20]).unwrap();
        drop(open(&config).unwrap());
        assert_eq!(std::fs::read(&config.path).unwrap(), vec![7; 4 << 20], "what is there stays");
        let other = PmemConfig { size: 2 * MIB, ..config.clone() };
        assert!(message(&other).ends_with("has 4194304 bytes, not the 2 MiB of size=; change one of them"));
        assert!(
            message(&PmemConfig { path: "/nowhere/p".into(), ..other.clone() })
                .starts_with("--pmem /nowhere/p: ")
        );
    }
}
