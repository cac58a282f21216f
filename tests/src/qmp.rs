//! A program that controls a machine by QMP.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};

/// A client past its negotiation.
pub struct Qmp {
    stream: UnixStream,
    replies: BufReader<UnixStream>,
    /// Events that nobody asked for yet.
    events: Vec<String>,
}

impl Qmp {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// When there is none, or nobody greets.
    pub fn connect(path: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(path).with_context(|| format!("connect to {}", path.display()))?;
        stream.set_read_timeout(Some(crate::patience(10)))?;
        let replies = BufReader::new(stream.try_clone()?);
        let mut client = Self { stream, replies, events: Vec::new() };
        ensure!(client.line()?.contains("QMP"), "no greeting");
        client.execute("qmp_capabilities", "{}")?;
        Ok(client)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let count = self.replies.read_line(&mut line).context("read from QMP")?;
        ensure!(count > 0, "QMP ended");
        Ok(line)
    }

    /// Has `command` executed with `arguments`, which are JSON; it must succeed.
    ///
    /// # Errors
    /// When it fails.
    pub fn execute(&mut self, command: &str, arguments: &str) -> anyhow::Result<String> {
        let request = format!(r#"{{"execute":"{command}","arguments":{arguments}}}"#);
        self.stream.write_all(request.as_bytes())?;
        loop {
            let line = self.line()?;
            if line.contains(r#""event""#) {
                self.events.push(line);
            } else if line.contains(r#""error""#) {
                bail!("{request}: {line}");
            } else {
                return Ok(line);
            }
        }
    }

    /// Waits for an event that has `text` in it.
    ///
    /// # Errors
    /// When it does not come.
    pub fn event(&mut self, text: &str) -> anyhow::Result<()> {
        if let Some(at) = self.events.iter().position(|event| event.contains(text)) {
            self.events.remove(at);
            return Ok(());
        }
        while !self.line()?.contains(text) {}
        Ok(())
    }

    /// Types keys one after the other, each by QEMU's name; several at once with a `+` between them.
    ///
    /// # Errors
    /// When there is no keyboard.
    pub fn type_keys(&mut self, keys: &str) -> anyhow::Result<()> {
        for chord in keys.split_whitespace() {
            let keys: Vec<_> =
                chord.split('+').map(|key| format!(r#"{{"type":"qcode","data":"{key}"}}"#)).collect();
            self.execute("send-key", &format!(r#"{{"keys":[{}]}}"#, keys.join(",")))?;
        }
        Ok(())
    }
}
