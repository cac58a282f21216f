use std::path::PathBuf;

/// A kernel and what it is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelConfig {
    /// The kernel: a bzImage, an ELF file, or a multiboot image.
    pub path: PathBuf,
    /// Its initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// Its command line.
    pub cmdline: String,
}
