//! A string of a structure. DSP0134 3.0, 6.1.3.

use std::fmt;
use std::str::FromStr;

use super::MAX_LEN;

/// A string without NUL, empty if there is nothing to say.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(Vec<u8>);

/// This cannot be a string of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// A control character, which tools would print to a terminal.
    #[error("a control character ({0:#04x}), use printable text")]
    Control(u8),
    /// It would end the string.
    #[error("a NUL byte, which SMBIOS cannot carry")]
    Nul,
    /// It does not fit into the structures even alone.
    #[error("{0} bytes, more than the {MAX_LEN} that all SMBIOS structures take together")]
    TooLong(usize),
}

impl Text {
    /// The string with these bytes, whatever they mean: line breaks, or characters of no known set.
    ///
    /// # Errors
    /// When there is a NUL among them, or they are too many.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, BadText> {
        match bytes.len() {
            len if len >= MAX_LEN => Err(BadText::TooLong(len)),
            _ if bytes.contains(&0) => Err(BadText::Nul),
            _ => Ok(Self(bytes)),
        }
    }

    /// A string of ours.
    pub(super) fn literal(text: &'static str) -> Self {
        Self(text.into())
    }

    /// The string with a number after it.
    pub(super) fn joined(&self, number: usize) -> Self {
        Self([self.as_bytes(), number.to_string().as_bytes()].concat())
    }

    /// The string with a space and a number after it.
    pub(super) fn numbered(&self, number: usize) -> Self {
        Self([self.as_bytes(), format!(" {number}").as_bytes()].concat())
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes, without the NUL that ends them in a structure.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Printable text in UTF-8.
impl FromStr for Text {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        match text.bytes().find(u8::is_ascii_control) {
            Some(control) => Err(BadText::Control(control)),
            None => Self::from_bytes(text.into()),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(&self.0), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_text_of_any_language_is_taken() {
        for text in ["", "Tinderbox", "a b;c=\"d\"", "é€"] {
            assert_eq!(text.parse::<Text>().unwrap().as_bytes(), text.as_bytes());
        }
    }

    #[test]
    fn control_characters_are_refused() {
        assert_eq!("a\nb".parse::<Text>(), Err(BadText::Control(b'\n')));
        assert_eq!("\0".parse::<Text>(), Err(BadText::Control(0)));
        assert_eq!("\x7f".parse::<Text>(), Err(BadText::Control(0x7f)));
    }

    #[test]
    fn bytes_of_a_file_may_be_anything_but_nul() {
        assert_eq!(Text::from_bytes(b"a\n\xff".to_vec()).unwrap().as_bytes(), b"a\n\xff");
        assert_eq!(Text::from_bytes(b"a\0b".to_vec()), Err(BadText::Nul));
    }

    #[test]
    fn text_as_long_as_all_structures_is_refused() {
        assert!("x".repeat(65534).parse::<Text>().is_ok());
        assert_eq!("x".repeat(65535).parse::<Text>(), Err(BadText::TooLong(65535)));
    }
}
