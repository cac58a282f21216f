//! The job of a lab: a shell script that mounts what is shared and becomes the command.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Exit status when the command could not even be started, as of `docker` and `chroot`.
const NOT_STARTED: &str = "125";

/// What happens in the emulated host.
pub(super) struct Job<'a> {
    /// The command and its arguments.
    pub(super) command: &'a [OsString],
    /// Its working folder.
    pub(super) folder: &'a Path,
    /// Its environment.
    pub(super) environment: Vec<(OsString, OsString)>,
    /// Folders that are the machine's own: the n-th has the 9p tag of [`share_tag`]\(n).
    pub(super) shares: &'a [PathBuf],
    /// Rows and columns of the terminal it gets.
    pub(super) terminal: Option<(u16, u16)>,
}

/// The name under which the emulated host finds a share.
pub(super) fn share_tag(index: usize) -> String {
    format!("share{index}")
}

impl Job<'_> {
    /// The script, for any POSIX shell.
    pub(super) fn script(&self) -> Vec<u8> {
        let mut script = Script::default();
        for (name, value) in self.environment.iter().filter(|(name, _)| is_identifier(name)) {
            script.line(&[b"export ", name.as_bytes(), b"=", &quote(value)]);
        }
        if let Some((rows, columns)) = self.terminal {
            script.line(&[format!("stty rows {rows} cols {columns} 2>/dev/null").as_bytes()]);
        }
        for (index, folder) in self.shares.iter().enumerate() {
            // What is written has to be outside when the command ends: no cache but that of mapped files.
            let mount = format!(
                "mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=mmap {} ",
                share_tag(index)
            );
            script.line_or_stop(&[mount.as_bytes(), &quote(folder.as_os_str())]);
        }
        script.line_or_stop(&[b"cd ", &quote(self.folder.as_os_str())]);
        let words: Vec<_> = self.command.iter().map(|word| quote(word)).collect();
        script.line(&[b"exec ", &words.join(&b' ')]);
        script.0
    }
}

#[derive(Default)]
struct Script(Vec<u8>);

impl Script {
    fn line(&mut self, parts: &[&[u8]]) {
        self.0.extend(parts.concat());
        self.0.push(b'\n');
    }

    fn line_or_stop(&mut self, parts: &[&[u8]]) {
        self.line(&[&parts.concat(), b" || exit ", NOT_STARTED.as_bytes()]);
    }
}

/// `word` such that the shell takes it as it is.
fn quote(word: &OsStr) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for &byte in word.as_bytes() {
        match byte {
            b'\'' => quoted.extend(br"'\''"),
            _ => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// Whether the shell can export a variable of this name.
fn is_identifier(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    bytes.iter().all(word) && bytes.first().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn job(command: &[OsString]) -> Job<'_> {
        Job { command, folder: Path::new("/"), environment: Vec::new(), shares: &[], terminal: None }
    }

    fn run(job: &Job) -> Output {
        let script = String::from_utf8(job.script()).unwrap();
        Command::new("/bin/sh").arg("-c").arg(script).output().unwrap()
    }

    #[test]
    fn script_passes_words_as_they_are() {
        let command = words(&["printf", "<%s>", "two words", "it's", "$HOME `id` \\ \"", ""]);

        let output = run(&job(&command));

        assert_eq!(String::from_utf8_lossy(&output.stdout), "<two words><it's><$HOME `id` \\ \"><>");
    }

    #[test]
    fn script_ends_with_the_status_of_the_command() {
        let command = words(&["sh", "-c", "exit 7"]);

        assert_eq!(run(&job(&command)).status.code(), Some(7));
    }

    #[test]
    fn script_exports_what_a_shell_can_export() {
        let command = words(&["printenv", "LAB_TEST"]);
        let environment =
            vec![("LAB_TEST".into(), "a 'b'".into()), ("BASH_FUNC_x%%".into(), "() { :; }".into())];

        let output = run(&Job { environment, ..job(&command) });

        assert_eq!(String::from_utf8_lossy(&output.stdout), "a 'b'\n");
        assert!(output.stderr.is_empty());
    }

    #[test]
    fn script_stops_where_the_folder_is_not_there() {
        let command = words(&["echo", "started"]);

        let output = run(&Job { folder: Path::new("/does/not/exist"), ..job(&command) });

        assert_eq!(output.status.code(), Some(125));
        assert!(output.stdout.is_empty());
    }

    #[test]
    fn script_mounts_each_share_where_it_is_outside() {
        let command = words(&["true"]);
        let shares = [PathBuf::from("/a"), PathBuf::from("/b c")];

        let script = String::from_utf8(Job { shares: &shares, ..job(&command) }.script()).unwrap();

        assert!(script.contains(" share0 '/a' || exit 125\n"));
        assert!(script.contains(" share1 '/b c' || exit 125\n"));
    }
}
