//! What guest memory is made of on the host.

use std::fmt;

use crate::machine::plan::{GIB, MIB};

/// How the host provides guest memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backing {
    /// The pages it consists of.
    pub pages: Pages,
    /// Another process may map it too, given its file descriptor.
    pub shared: bool,
    /// All of it is taken from the host before the guest starts.
    pub prefault: bool,
    /// The host keeps equal pages only once (KSM).
    pub merge: bool,
}

/// Pages of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pages {
    /// Small ones that the kernel joins to huge ones where it can.
    #[default]
    Transparent,
    /// Small ones, never joined.
    Small,
    /// From the pool that the administrator reserved.
    Huge(HugePage),
}

/// Sizes of huge pages on x86-64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HugePage {
    /// 2 MiB.
    Mib2,
    /// 1 GiB.
    Gib1,
}

impl HugePage {
    /// Bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Mib2 => 2 * MIB,
            Self::Gib1 => GIB,
        }
    }
}

/// As on the command line: 2M, 1G.
impl fmt::Display for HugePage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mib2 => "2M",
            Self::Gib1 => "1G",
        })
    }
}

/// In words, for people.
impl fmt::Display for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pages {
            Pages::Transparent => f.write_str("transparent huge pages")?,
            Pages::Small => f.write_str("small pages")?,
            Pages::Huge(size) => write!(f, "huge pages of {size}")?,
        }
        let traits = [(self.shared, "shared"), (self.prefault, "prefaulted"), (self.merge, "merged")];
        traits.iter().filter(|(on, _)| *on).try_for_each(|(_, name)| write!(f, ", {name}"))
    }
}
