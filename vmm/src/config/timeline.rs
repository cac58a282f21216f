//! Where the boot's timeline goes.

use std::path::PathBuf;

/// A timeline of the boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineConfig {
    /// The file.
    pub path: PathBuf,
    /// What is in it.
    pub format: TimelineFormat,
    /// A text that the guest prints when it is ready for what its user wants.
    pub mark: Option<String>,
}

/// How a timeline is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimelineFormat {
    /// A page for people.
    Html,
    /// An object for programs.
    Json,
}

/// Why a text is no `--timeline`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TimelineError {
    /// A name that does not tell the format.
    #[error("`{0}` ends neither in .html nor in .json, write for example boot.html")]
    Format(String),
    /// `mark=` and nothing after.
    #[error("no text after mark=, write for example mark=READY")]
    NoMark,
}

/// `FILE.html` or `FILE.json`, and perhaps `,mark=TEXT`, whose text goes to the end.
impl std::str::FromStr for TimelineConfig {
    type Err = TimelineError;

    fn from_str(text: &str) -> Result<Self, TimelineError> {
        let (path, mark) = match text.split_once(",mark=") {
            Some((_, "")) => return Err(TimelineError::NoMark),
            Some((path, mark)) => (path, Some(mark.to_owned())),
            None => (text, None),
        };
        let format = match path.rsplit_once('.') {
            Some((_, "html" | "htm")) => TimelineFormat::Html,
            Some((_, "json")) => TimelineFormat::Json,
            _ => return Err(TimelineError::Format(path.into())),
        };
        Ok(Self { path: path.into(), format, mark })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_tells_the_format() {
        let config = |text: &str| text.parse::<TimelineConfig>();
        assert_eq!(config("a/boot.html").unwrap().format, TimelineFormat::Html);
        let json = config("boot.json,mark=a, b=c").unwrap();
        assert_eq!((json.format, json.mark.as_deref()), (TimelineFormat::Json, Some("a, b=c")));
        assert_eq!(config("boot.txt"), Err(TimelineError::Format("boot.txt".into())));
        assert_eq!(config("boot.html,mark="), Err(TimelineError::NoMark));
    }
}
