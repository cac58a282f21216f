//! Our own messages beside a guest's console.

use std::io::{self, Write};

use super::raw_mode::is_raw;

/// stderr with line breaks that also work in raw mode, where the terminal no longer adds the carriage return.
#[derive(Debug, Default)]
pub struct Stderr(());

impl Write for Stderr {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let mut stderr = io::stderr().lock();
        if is_raw() {
            stderr.write_all(&with_carriage_returns(text))?;
        } else {
            stderr.write_all(text)?;
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn with_carriage_returns(text: &[u8]) -> Vec<u8> {
    text.split_inclusive(|&byte| byte == b'\n')
        .flat_map(|line| match line.strip_suffix(b"\n") {
            Some(line) => [line, b"\r\n"],
            None => [line, b""],
        })
        .flatten()
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_get_a_carriage_return() {
        assert_eq!(with_carriage_returns(b"a\n\nb"), b"a\r\n\r\nb");
        assert_eq!(with_carriage_returns(b"a\n"), b"a\r\n");
        assert_eq!(with_carriage_returns(b""), b"");
    }
}
