//! Writes the man page and the shell completions of `tinderbox` to the folder given. `cargo xtask dist` runs it.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use clap_complete::Shell;

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from).ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(&folder)?;
    pages(&folder)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut vmm::cli::command(), "tinderbox", &folder)?;
    }
    Ok(())
}

/// `tinderbox.1`, and a page for each command, as in `tinderbox-run.1`.
fn pages(folder: &Path) -> io::Result<()> {
    clap_mangen::generate_to(vmm::cli::command(), folder)
}
