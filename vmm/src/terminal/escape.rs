//! The escape key, `Ctrl-a` unless told otherwise, as QEMU has it.

use crate::config::EscapeKey;

/// What a key does after the escape key, for [`Stderr`](super::Stderr).
const KEYS: [(&str, &str); 6] = [
    ("h", "this help"),
    ("x", "quit: the guest stops at once"),
    ("p", "press the power button: the guest shuts down by itself"),
    ("s", "press the sleep button"),
    ("g", "tell the guest that it is another one, a copy (--device vmgenid)"),
    ("r", "reset the machine"),
];

/// The keys.
#[must_use]
pub fn help(escape: EscapeKey) -> String {
    let line = |(key, text): (String, String)| format!("{:14} {text}\n", format!("{escape} {key}"));
    let keys = KEYS.map(|(key, text)| (key.to_owned(), text.to_owned())).into_iter();
    let itself = (escape.to_string(), format!("send {escape} to the guest"));
    "\n".to_owned() + &keys.chain([itself]).map(line).collect::<String>()
}

/// What the user wants of tinderbox, not of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Print [`help`].
    Help,
    /// End at once, as if the cord were pulled.
    Quit,
    /// Press the ACPI power button.
    PowerButton,
    /// Press the ACPI sleep button.
    SleepButton,
    /// Give the machine a new generation id.
    NewGeneration,
    /// Reset the machine.
    Reset,
}

/// A piece of what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// For the guest, never empty.
    Bytes(&'a [u8]),
    /// For tinderbox.
    Command(Command),
}

/// Tells keys for the guest from keys for tinderbox, over any division of the input into reads.
#[derive(Debug, Default)]
pub struct EscapeFilter {
    key: EscapeKey,
    /// The last byte was an escape whose meaning is still open.
    escaped: bool,
}

impl EscapeFilter {
    /// A filter for commands after `key`.
    #[must_use]
    pub const fn new(key: EscapeKey) -> Self {
        Self { key, escaped: false }
    }

    /// Passes what `bytes` mean to `sink`, in order. A key that means nothing after the escape is dropped with it.
    pub fn feed<'a>(&mut self, bytes: &'a [u8], mut sink: impl FnMut(Input<'a>)) {
        let mut rest = bytes;
        while let Some((first, after)) = rest.split_first() {
            if std::mem::take(&mut self.escaped) {
                self.meaning(*first, &rest[..1]).into_iter().for_each(&mut sink);
                rest = after;
            } else {
                rest = self.plain(rest, &mut sink);
            }
        }
    }

    /// Passes on what stands before the next escape and returns what stands after it.
    fn plain<'a>(&mut self, bytes: &'a [u8], sink: &mut impl FnMut(Input<'a>)) -> &'a [u8] {
        let end = bytes.iter().position(|&byte| byte == self.key.0);
        let (plain, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        if !plain.is_empty() {
            sink(Input::Bytes(plain));
        }
        self.escaped = end.is_some();
        rest.get(1..).unwrap_or_default()
    }

    /// What `key` means after an escape; `itself` is the same key as it was typed.
    fn meaning<'a>(&self, key: u8, itself: &'a [u8]) -> Option<Input<'a>> {
        Some(match key {
            _ if key == self.key.0 => Input::Bytes(itself),
            b'h' | b'?' => Input::Command(Command::Help),
            b'x' => Input::Command(Command::Quit),
            b'p' => Input::Command(Command::PowerButton),
            b's' => Input::Command(Command::SleepButton),
            b'g' => Input::Command(Command::NewGeneration),
            b'r' => Input::Command(Command::Reset),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the guest gets, and the commands.
    fn feed(reads: &[&[u8]]) -> (Vec<u8>, Vec<Command>) {
        let (mut bytes, mut commands) = (Vec::new(), Vec::new());
        let mut filter = EscapeFilter::default();
        for read in reads {
            filter.feed(read, |input| match input {
                Input::Bytes(run) => bytes.extend(run),
                Input::Command(command) => commands.push(command),
            });
        }
        (bytes, commands)
    }

    #[test]
    fn plain_bytes_pass_in_one_piece() {
        let mut pieces = Vec::new();
        EscapeFilter::default().feed(b"ls\r\x00\xff", |input| pieces.push(input));
        assert_eq!(pieces, [Input::Bytes(b"ls\r\x00\xff")]);
    }

    #[test]
    fn every_command_has_its_key() {
        let (bytes, commands) = feed(&[b"\x01h\x01?\x01x\x01p\x01s\x01g\x01r"]);
        let expected = [
            Command::Help,
            Command::Help,
            Command::Quit,
            Command::PowerButton,
            Command::SleepButton,
            Command::NewGeneration,
            Command::Reset,
        ];
        assert_eq!((bytes.as_slice(), commands.as_slice()), (&b""[..], &expected[..]));
    }

    #[test]
    fn bytes_around_a_command_keep_their_order() {
        let mut pieces = Vec::new();
        EscapeFilter::default().feed(b"a\x01pb", |input| pieces.push(input));
        assert_eq!(pieces, [Input::Bytes(b"a"), Input::Command(Command::PowerButton), Input::Bytes(b"b")]);
    }

    #[test]
    fn doubled_escape_is_one_for_the_guest() {
        assert_eq!(feed(&[b"a\x01\x01b"]), (b"a\x01b".to_vec(), vec![]));
        assert_eq!(feed(&[b"\x01\x01x"]), (b"\x01x".to_vec(), vec![]));
    }

    #[test]
    fn escape_works_across_reads() {
        assert_eq!(feed(&[b"a\x01", b"xb"]), (b"ab".to_vec(), vec![Command::Quit]));
        assert_eq!(feed(&[b"\x01", b"", b"\x01"]), (b"\x01".to_vec(), vec![]));
    }

    #[test]
    fn unknown_key_after_escape_is_dropped() {
        assert_eq!(feed(&[b"\x01qx"]), (b"x".to_vec(), vec![]));
    }

    #[test]
    fn another_key_makes_the_first_one_the_guests() {
        let mut pieces = Vec::new();
        EscapeFilter::new(EscapeKey(20)).feed(b"\x01x\x14x\x14\x14", |input| pieces.push(input));
        let expected = [Input::Bytes(b"\x01x"), Input::Command(Command::Quit), Input::Bytes(b"\x14")];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn help_names_every_key() {
        let text = help(EscapeKey::default());
        for key in ["Ctrl-a h", "Ctrl-a x", "Ctrl-a p", "Ctrl-a s", "Ctrl-a g", "Ctrl-a r", "Ctrl-a Ctrl-a"] {
            assert!(text.contains(&format!("\n{key} ")), "{key}");
        }
        assert!(text.contains("Ctrl-a x       quit"), "{text}");
        assert!(help(EscapeKey(29)).contains("\nCtrl-] Ctrl-]  send Ctrl-] to the guest\n"));
    }
}
