//! Descriptors that programs handed over, in numbered sets: `/dev/fdset/N` is a path to one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::OFlags;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::config::FdConfig;

/// Descriptors that there may be in all sets together.
const MOST: usize = 256;

/// The sets.
#[derive(Default)]
pub struct FdSets(Mutex<BTreeMap<u32, Vec<Entry>>>);

struct Entry {
    fd: OwnedFd,
    opaque: Option<String>,
}

/// A descriptor as programs see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its number in this process.
    pub fd: i32,
    /// What whoever gave it wants to read again.
    pub opaque: Option<String>,
}

/// What is wrong with a descriptor or a set.
#[derive(Debug, thiserror::Error)]
pub enum FdError {
    /// The number stands for nothing.
    #[error("-add-fd fd={0}: this process was given no such descriptor")]
    Closed(i32, #[source] std::io::Error),
    /// There are too many.
    #[error("{MOST} descriptors are enough, take one away with remove-fd first")]
    TooMany,
    /// No such set, or nothing of this number in it.
    #[error("File descriptor named '{0}' not found")]
    NotFound(String),
    /// A path to a set that there is not.
    #[error("{0}: there is no such set of descriptors, use -add-fd or QMP's add-fd")]
    NoSet(String),
    /// None of the set can do what is wanted.
    #[error("{0}: no descriptor of this set can be {1}")]
    Access(String, &'static str),
}

impl FdSets {
    /// The sets of the command line. The descriptors are duplicates, so that those of the command line may be closed.
    ///
    /// # Errors
    /// A number stands for nothing.
    pub(super) fn open(config: &[FdConfig]) -> Result<Self, FdError> {
        let sets = Self::default();
        for FdConfig { fd, set, opaque } in config {
            let duplicate = pidfd_open(getpid(), PidfdFlags::empty())
                .and_then(|this| pidfd_getfd(this, *fd, PidfdGetfdFlags::empty()));
            let duplicate = duplicate.map_err(|error| FdError::Closed(*fd, error.into()))?;
            sets.add(duplicate, Some(*set), opaque.clone())?;
        }
        Ok(sets)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Vec<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `fd` into a set, the first free one if none is named; returns its number and the descriptor's.
    ///
    /// # Errors
    /// There are too many.
    pub fn add(&self, fd: OwnedFd, set: Option<u32>, opaque: Option<String>) -> Result<(u32, i32), FdError> {
        let mut sets = self.lock();
        if sets.values().map(Vec::len).sum::<usize>() >= MOST {
            return Err(FdError::TooMany);
        }
        let free = || (0..).find(|set| !sets.contains_key(set)).unwrap_or_default();
        let (set, number) = (set.unwrap_or_else(free), fd.as_raw_fd());
        sets.entry(set).or_default().push(Entry { fd, opaque });
        Ok((set, number))
    }

    /// Closes the descriptor `fd` of a set, or all of them. Images that were opened by it stay open.
    ///
    /// # Errors
    /// There is none.
    pub fn remove(&self, set: u32, fd: Option<i32>) -> Result<(), FdError> {
        let mut sets = self.lock();
        let name = fd.map_or(String::new(), |fd| format!(", fd:{fd}"));
        let missing = || FdError::NotFound(format!("fdset-id:{set}{name}"));
        let entries = sets.get_mut(&set).ok_or_else(missing)?;
        let before = entries.len();
        entries.retain(|entry| fd.is_some_and(|fd| entry.fd.as_raw_fd() != fd));
        if entries.len() == before {
            return Err(missing());
        }
        if entries.is_empty() {
            sets.remove(&set);
        }
        Ok(())
    }

    /// All sets, with what is in them.
    #[must_use]
    pub fn list(&self) -> Vec<(u32, Vec<Listed>)> {
        let listed = |entry: &Entry| Listed { fd: entry.fd.as_raw_fd(), opaque: entry.opaque.clone() };
        self.lock().iter().map(|(set, entries)| (*set, entries.iter().map(listed).collect())).collect()
    }

    /// Where `path` is to be opened: a path to a set means the descriptor in it that allows what is wanted.
    pub(super) fn resolve<'a>(&self, path: &'a Path, readonly: bool) -> Result<Cow<'a, Path>, FdError> {
        let Some(set) = path.to_str().and_then(|path| path.strip_prefix("/dev/fdset/")) else {
            return Ok(path.into());
        };
        let sets = self.lock();
        let entries = set.parse().ok().and_then(|set: u32| sets.get(&set));
        let entries = entries.ok_or_else(|| FdError::NoSet(path.display().to_string()))?;
        let fits = |entry: &&Entry| match access(entry) {
            OFlags::RDWR => true,
            OFlags::RDONLY => readonly,
            _ => false,
        };
        let what = if readonly { "read" } else { "read and written" };
        let entry = entries.iter().find(fits);
        let entry = entry.ok_or_else(|| FdError::Access(path.display().to_string(), what))?;
        Ok(PathBuf::from(format!("/proc/self/fd/{}", entry.fd.as_raw_fd())).into())
    }
}

fn access(entry: &Entry) -> OFlags {
    rustix::fs::fcntl_getfl(&entry.fd).map_or(OFlags::WRONLY, |flags| flags & OFlags::ACCMODE)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn descriptors_of_the_command_line_are_duplicated() {
        let file = tempfile::tempfile().unwrap();
        let config = |fd| FdConfig { fd, set: 7, opaque: Some("x".into()) };
        let sets = FdSets::open(&[config(file.as_raw_fd())]).unwrap();
        let (set, listed) = sets.list().pop().unwrap();
        assert_eq!((set, listed[0].opaque.as_deref()), (7, Some("x")));
        assert_ne!(listed[0].fd, file.as_raw_fd());
        let error = FdSets::open(&[config(1 << 20)]).err().unwrap();
        assert_eq!(error.to_string(), "-add-fd fd=1048576: this process was given no such descriptor");
    }

    #[test]
    fn path_to_a_set_is_the_descriptor_that_may_do_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let sets = FdSets::default();
        let (set, reader) = sets.add(File::open(file.path()).unwrap().into(), None, None).unwrap();
        let path = format!("/dev/fdset/{set}");
        let resolve = |readonly| sets.resolve(path.as_ref(), readonly).map(Cow::into_owned);
        assert_eq!(resolve(true).unwrap(), PathBuf::from(format!("/proc/self/fd/{reader}")));
        let error = resolve(false).unwrap_err().to_string();
        assert_eq!(error, "/dev/fdset/0: no descriptor of this set can be read and written");
        let (again, writer) = sets.add(file.into_file().into(), Some(set), None).unwrap();
        assert_eq!((again, resolve(false).unwrap()), (set, format!("/proc/self/fd/{writer}").into()));
        assert!(sets.resolve("/dev/fdset/1".as_ref(), true).is_err());
        assert_eq!(sets.resolve("/tmp/a".as_ref(), true).unwrap(), Path::new("/tmp/a"));
    }

    #[test]
    fn sets_go_with_their_last_descriptor() {
        let sets = FdSets::default();
        let add = |set| sets.add(tempfile::tempfile().unwrap().into(), set, None).unwrap();
        let ((first, a), (second, _)) = (add(None), add(None));
        assert_eq!((first, second), (0, 1));
        add(Some(0));
        assert!(sets.remove(0, Some(a)).is_ok() && sets.remove(0, Some(a)).is_err());
        assert!(sets.remove(0, None).is_ok() && sets.remove(1, None).is_ok());
        assert_eq!(sets.list(), []);
        let error = sets.remove(1, Some(3)).unwrap_err().to_string();
        assert_eq!(error, "File descriptor named 'fdset-id:1, fd:3' not found");
        (0..MOST).for_each(|_| _ = add(None));
        let more = sets.add(tempfile::tempfile().unwrap().into(), None, None);
        assert!(matches!(more, Err(FdError::TooMany)));
    }
}
