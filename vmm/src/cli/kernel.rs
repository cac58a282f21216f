//! `--kernel`, `--initrd` and `--cmdline`: a kernel of the host's.

use std::path::PathBuf;

use clap::Args;

use crate::config::KernelConfig;

/// The kernel to start, if not one from a disk.
#[derive(Args, Debug)]
#[command(next_help_heading = "Kernel")]
pub(crate) struct KernelArgs {
    /// Start this kernel: a bzImage, an ELF file or a multiboot image. Without --firmware it starts at once
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// Its initial RAM disk, or the one module of a multiboot kernel
    #[arg(long, value_name = "FILE", requires = "kernel")]
    initrd: Option<PathBuf>,
    /// Its command line
    #[arg(long, value_name = "TEXT", requires = "kernel", default_value = "", hide_default_value = true)]
    cmdline: String,
}

impl KernelArgs {
    /// The kernel with what belongs to it.
    pub(crate) fn into_kernel(self) -> Option<KernelConfig> {
        let Self { kernel, initrd, cmdline } = self;
        kernel.map(|path| KernelConfig { path, initrd, cmdline })
    }
}
