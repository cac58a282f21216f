//! A guest's shell, on the standard streams of its VMM.

use std::io::Write as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;

/// A guest that does not answer in this time has hung.
const PATIENCE: Duration = Duration::from_secs(600);

/// A running VMM, in whose guest root is logged in. Dropped, it is killed.
pub(super) struct Shell {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    /// What the guest printed and nobody has waited for.
    text: Vec<u8>,
    commands: u32,
}

impl Shell {
    /// Starts `vmm`, whose guest has its console on the standard streams, and waits for the shell that follows the login.
    ///
    /// # Errors
    ///
    /// When it cannot be started, ends, or does not get there in time.
    pub(super) fn start(vmm: &mut Command) -> anyhow::Result<Self> {
        let program = vmm.get_program().to_string_lossy().into_owned();
        vmm.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = vmm.spawn().with_context(|| format!("start {program}"))?;
        let input = child.stdin.take().context("no standard input")?;
        let output = child.stdout.take().context("no standard output")?;
        let mut shell = Self { child, input, output, text: Vec::new(), commands: 0 };
        shell.expect("root@")?;
        shell.expect("# ")?;
        // A dumb terminal: nothing between the lines of a command's output.
        shell
            .run("export TERM=dumb PS1=''; stty -echo; bind 'set enable-bracketed-paste off'; dmesg -n 1")?;
        Ok(shell)
    }

    /// The process of the VMM.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has the guest's shell run `command`; gives its output.
    ///
    /// # Errors
    ///
    /// When it fails or does not end in time.
    pub(super) fn run(&mut self, command: &str) -> anyhow::Result<String> {
        self.commands += 1;
        let n = self.commands;
        // The quotes keep the echo of what is typed from looking like the output.
        let line = format!("echo st''art-{n}; {command}; echo e''nd-{n}-$?\n");
        self.input.write_all(line.as_bytes()).context("type on the guest's console")?;
        self.expect(&format!("start-{n}\r\n"))?;
        let output = self.expect(&format!("end-{n}-"))?.replace("\r\n", "\n");
        let status = self.expect("\r\n")?;
        ensure!(status == "0", "`{command}` in the guest ended with {status}: {output}");
        Ok(output.trim().to_owned())
    }

    /// Waits for `word`; gives what came before it.
    fn expect(&mut self, word: &str) -> anyhow::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut searched = 0;
        loop {
            let unread = self.text.get(searched..).unwrap_or_default();
            if let Some(place) = unread.windows(word.len()).position(|window| window == word.as_bytes()) {
                let mut before: Vec<_> = self.text.drain(..searched + place + word.len()).collect();
                before.truncate(searched + place);
                return Ok(String::from_utf8_lossy(&before).into_owned());
            }
            // The end may be the beginning of the word.
            searched += (unread.len() + 1).saturating_sub(word.len());
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "no {word:?} in {} s, but {}", PATIENCE.as_secs(), self.tail());
            self.read(left).with_context(|| format!("wait for {word:?}"))?;
        }
    }

    /// Waits up to `patience` for output and takes it.
    fn read(&mut self, patience: Duration) -> anyhow::Result<()> {
        let patience = Timespec::try_from(patience).context("a time to wait")?;
        let mut ready = [PollFd::new(&self.output, PollFlags::IN)];
        match poll(&mut ready, Some(&patience)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error).context("wait for the guest"),
        }
        let mut buffer = [0; 4096];
        let length = rustix::io::read(&self.output, &mut buffer).context("read what the guest prints")?;
        if length == 0 {
            let status = self.child.wait().context("wait for the VMM")?;
            bail!("it ended with {status}, after {}", self.tail());
        }
        self.text.extend_from_slice(buffer.get(..length).unwrap_or_default());
        Ok(())
    }

    /// The last words, for an error message.
    fn tail(&self) -> String {
        let from = self.text.len().saturating_sub(400);
        format!("{:?}", String::from_utf8_lossy(self.text.get(from..).unwrap_or_default()))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A guest that is the host's shell.
    fn shell(script: &str) -> anyhow::Result<Shell> {
        Shell::start(Command::new("sh").args(["-c", script]))
    }

    /// Answers to commands like a console does, with `\r\n`, all of which it says succeeded and printed `words`.
    const GUEST: &str = r#"
        printf 'login: root@x:~# '
        while read -r line; do
            n=${line#*art-}; n=${n%%;*}
            printf "start-$n\r\nwords\r\nof $n\r\nend-$n-%d\r\n" "$([ "$n" -lt 3 ]; echo $?)"
        done"#;

    #[test]
    fn run_gives_the_output_of_its_own_command() {
        let mut shell = shell(GUEST).unwrap();

        assert_eq!(shell.run("uname").unwrap(), "words\nof 2");
        let error = shell.run("false").unwrap_err().to_string();
        assert!(error.starts_with("`false` in the guest ended with 1: words"), "{error}");
    }

    #[test]
    fn start_fails_when_the_vmm_ends() {
        let error = format!("{:#}", shell("echo no disk; exit 3").err().unwrap());

        assert!(error.contains("exit status: 3") && error.contains("no disk"), "{error}");
    }
}
