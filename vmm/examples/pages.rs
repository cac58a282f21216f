//! Writes the man pages and the shell completions of `tinderbox` to the folder given, each where programs look for it below a
//! `share`. `cargo xtask dist` runs it.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

/// The shells, and where they look for what they have not loaded yet.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions/tinderbox"),
    (Shell::Fish, "fish/vendor_completions.d/tinderbox.fish"),
    (Shell::Zsh, "zsh/site-functions/_tinderbox"),
];

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from).ok_or(io::ErrorKind::InvalidInput)?;
    write_all(&folder)
}

/// Writes everything below `folder`.
pub(crate) fn write_all(folder: &Path) -> io::Result<()> {
    for (shell, place) in SHELLS {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut vmm::cli::command(), "tinderbox", &mut text);
        write(&folder.join(place), &text)?;
    }
    // The pages of the commands say all that `help` would.
    let mut command = vmm::cli::command().disable_help_subcommand(true);
    command.build();
    pages(&command, &folder.join("man/man1"))
}

/// The page of `command`, as in `tinderbox-run.1`, and those of its own commands.
fn pages(command: &Command, folder: &Path) -> io::Result<()> {
    let commands = command.get_subcommands().filter(|command| !command.is_hide_set());
    commands.into_iter().try_for_each(|command| pages(command, folder))?;
    let title = command.get_display_name().unwrap_or(command.get_name()).to_uppercase();
    let page = Man::new(command.clone())
        .title(title)
        .date(jiff::ZonedDateTime::now().date().to_string())
        .source(concat!("tinderbox ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    page.render(&mut text)?;
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    write(&folder.join(page.get_filename()), with_breaks(&text).as_bytes())
}

/// The page with places where a line may end: what an option takes is one word otherwise, longer than a line.
fn with_breaks(page: &str) -> String {
    let mut broken = String::new();
    for line in page.lines() {
        if line.starts_with(".SH NAME") {
            broken += ".nh\n.ad l\n"; // words of options are copied, and make no lines of one length
        }
        if line.starts_with('.') {
            broken += line;
        } else {
            let line = line.trim_end().replace('|', r"|\:").replace(',', r",\:");
            broken += &line.replace(r",\: ", ", ");
        }
        broken.push('\n');
    }
    broken
}

fn write(file: &Path, content: &[u8]) -> io::Result<()> {
    file.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(file, content)
}
