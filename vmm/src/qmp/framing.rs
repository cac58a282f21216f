//! JSON objects in a stream of bytes.

use serde_json::Value;

/// The longest request.
const LONGEST: usize = 64 << 10;

/// What a client sent and nobody has looked at.
#[derive(Default)]
pub(super) struct Framing {
    buffer: Vec<u8>,
    /// Bytes in which no request ends.
    tried: usize,
    /// The rest of a request that is too long goes unread.
    skipping: bool,
}

/// What was found.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// A JSON value.
    Value(Value),
    /// Something else; what is wrong with it.
    Garbage(String),
}

impl Framing {
    /// Takes in what a client sent.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next thing that is there as a whole.
    pub(super) fn next(&mut self) -> Option<Found> {
        if self.skipping {
            self.skip_line();
        }
        let fresh = self.buffer.get(self.tried..).unwrap_or_default();
        if self.skipping || !fresh.iter().any(|byte| b"}]\n\"".contains(byte)) && self.buffer.len() < LONGEST
        {
            return None;
        }
        let mut values = serde_json::Deserializer::from_slice(&self.buffer).into_iter();
        let value = values.next();
        let end = values.byte_offset();
        match value {
            None => self.wait(self.buffer.len()),
            Some(Ok(value)) => {
                self.forget(end);
                Some(Found::Value(value))
            }
            Some(Err(error)) if error.is_eof() && self.buffer.len() < LONGEST => self.wait(0),
            Some(Err(error)) => {
                let what =
                    if error.is_eof() { format!("longer than {LONGEST} bytes") } else { error.to_string() };
                self.skipping = true;
                self.skip_line();
                Some(Found::Garbage(what))
            }
        }
    }

    /// Forgets what is white space, and waits for more.
    fn wait(&mut self, space: usize) -> Option<Found> {
        self.forget(space);
        self.tried = self.buffer.len();
        None
    }

    fn forget(&mut self, bytes: usize) {
        self.buffer.drain(..bytes.min(self.buffer.len()));
        self.tried = 0;
    }

    /// A new line is a new start.
    fn skip_line(&mut self) {
        let line = self.buffer.iter().position(|byte| *byte == b'\n');
        self.skipping = line.is_none();
        self.forget(line.map_or(self.buffer.len(), |end| end + 1));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn all(framing: &mut Framing, bytes: &[u8]) -> Vec<Found> {
        framing.push(bytes);
        std::iter::from_fn(|| framing.next()).collect()
    }

    #[test]
    fn objects_are_found_wherever_they_end() {
        let mut framing = Framing::default();
        assert_eq!(all(&mut framing, b"  \r\n{\"a\":\n1"), []);
        assert_eq!(all(&mut framing, b"} {}"), [Found::Value(json!({"a": 1})), Found::Value(json!({}))]);
        assert_eq!(framing.buffer, b"");
    }

    #[test]
    fn garbage_ends_with_its_line() {
        let mut framing = Framing::default();
        let found = all(&mut framing, b"hello {}\n{}");
        assert!(matches!(&found[..], [Found::Garbage(_), Found::Value(_)]), "{found:?}");
    }

    #[test]
    fn request_that_is_too_long_is_skipped_in_bounded_memory() {
        let mut framing = Framing::default();
        let mut found = all(&mut framing, b"{\"a\":\"");
        for _ in 0..1000 {
            found.extend(all(&mut framing, &[b'x'; 4096]));
            assert!(framing.buffer.len() <= LONGEST);
        }
        found.extend(all(&mut framing, b"\"}\n{}"));
        assert!(matches!(&found[..], [Found::Garbage(_), Found::Value(_)]), "{found:?}");
    }

    #[test]
    fn nesting_without_end_is_garbage() {
        let found = all(&mut Framing::default(), &[b"[".repeat(1000), b"\n".to_vec()].concat());
        assert!(matches!(&found[..], [Found::Garbage(_)]), "{found:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_leave_a_framing_that_finds_the_next_line(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let mut framing = Framing::default();
            for chunk in &chunks {
                all(&mut framing, chunk);
            }
            all(&mut framing, b"\"\n\n\\\"}]\n\n");
            let found = all(&mut framing, b"\n{\"id\":7}\n");
            prop_assert!(framing.buffer.len() < LONGEST);
            prop_assert!(found.contains(&Found::Value(json!({"id": 7}))) || !framing.buffer.is_empty(), "{:?}", found);
        }
    }
}
