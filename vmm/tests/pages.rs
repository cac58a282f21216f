//! The man pages and shell completions that `cargo xtask dist` makes, as far as bash can judge them. No test needs KVM.
#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

#[path = "../examples/pages.rs"]
#[expect(dead_code, reason = "the example's own main")]
mod pages;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Completes the last of its arguments as bash does when somebody hits Tab there.
const TAB: &str = r#"
source "$0" && COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_tinderbox "$1" "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}" && printf '%s\n' "${COMPREPLY[@]}"
"#;

fn made() -> TempDir {
    let folder = TempDir::new().unwrap();
    pages::write_all(folder.path()).unwrap();
    folder
}

fn all_pages(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder.join("man/man1")).unwrap().map(|page| page.unwrap().path()).collect()
}

/// What bash offers for the last of `words`, with the script at `completion`.
fn offered(completion: &Path, words: &[&str]) -> Vec<String> {
    let output = Command::new("bash").args(["-c", TAB]).arg(completion).args(words).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_files() {
    let folder = made();
    let bash = folder.path().join("bash-completion/completions/tinderbox");
    assert_eq!(offered(&bash, &["tinderbox", "fir"]), ["firmware"]);
    assert_eq!(offered(&bash, &["tinderbox", "firmware", "li"]), ["list"]);
    assert_eq!(offered(&bash, &["tinderbox", "run", "--mem"]), ["--memory"]);
    assert_eq!(offered(&bash, &["tinderbox", "run", "disk.raw", "--usb"]), ["--usb", "--usb-pcap"]);
    let file = fs::canonicalize(bash).unwrap();
    let (all, half) = (file.to_str().unwrap(), file.to_str().unwrap().strip_suffix("box").unwrap());
    assert_eq!(offered(&file, &["tinderbox", "run", "--kernel", half]), [all]);
}

#[test]
fn every_command_has_a_page_with_a_head() {
    let folder = made();
    let mut names: Vec<_> = all_pages(folder.path());
    names.sort();
    let names: Vec<_> = names.iter().map(|page| page.file_name().unwrap().to_str().unwrap()).collect();
    for name in ["tinderbox.1", "tinderbox-run.1", "tinderbox-qemu.1", "tinderbox-acpi-dump.1"] {
        assert!(names.contains(&name), "no {name} among {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("probe-kvm") || name.contains("help")), "{names:?}");
    let run = fs::read_to_string(folder.path().join("man/man1/tinderbox-run.1")).unwrap();
    let head = run.lines().find(|line| line.starts_with(".TH")).unwrap();
    let fields: Vec<_> = head.splitn(4, ' ').collect();
    assert_eq!(fields[..3], [".TH", "TINDERBOX-RUN", "1"]);
    let date = fields[3].split_once(' ').unwrap();
    assert!(date.0.parse::<jiff::civil::Date>().is_ok() && date.1.starts_with("\"tinderbox "), "{head}");
}

/// Typesetters complain of a word that is longer than a line, and cut it anywhere.
#[test]
fn no_word_of_a_page_is_longer_than_a_line() {
    const LINE: usize = 60; // of a terminal's 80, without the indents
    let folder = made();
    for page in all_pages(folder.path()) {
        let text = fs::read_to_string(&page).unwrap();
        for word in text.lines().filter(|line| !line.starts_with('.')).flat_map(|line| line.split(' ')) {
            let longest = word.split(r"\:").map(|part| part.chars().count()).max();
            assert!(longest <= Some(LINE), "{}: {word}", page.display());
        }
    }
}
