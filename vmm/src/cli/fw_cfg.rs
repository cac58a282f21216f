//! `--fw-cfg [name=]NAME,string=TEXT` and `--fw-cfg [name=]NAME,file=PATH`.

use std::str::FromStr;

use super::fields::{Fields, FieldsError};
use crate::config::{FwCfgFile, Source};

/// Bytes of a name: its field in the directory, less the NUL.
const MAX_NAME: usize = 55;

/// Names outside `opt/` that firmware reads and this machine never has. All others are, or may become, the machine's own.
const FIRMWARE_NAMES: [&str; 12] = [
    "etc/advertise-serial-debug-port",
    "etc/boot-menu-key",
    "etc/boot-menu-message",
    "etc/boot-menu-wait",
    "etc/optionroms-checksum",
    "etc/pci-optionrom-exec",
    "etc/s3-resume-vga-init",
    "etc/screen-and-debug",
    "etc/sercon-port",
    "etc/show-boot-menu",
    "etc/threads",
    "etc/usb-time-sigatt",
];

/// Why a text is no file for fw_cfg.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FwCfgError {
    /// No name.
    #[error("no name, write name=opt/NAME,string=TEXT or name=opt/NAME,file=PATH")]
    NoName,
    /// A name that the directory has no room for.
    #[error("the name has {0} bytes, use at most {MAX_NAME}")]
    LongName(usize),
    /// A name that could be the machine's own.
    #[error("the name must start with opt/, as in opt/{}", if .0.is_empty() { "NAME" } else { .0 })]
    Reserved(String),
    /// A name that no shell of the guest could be handed.
    #[error("the name has a control character, use printable text")]
    Control,
    /// Neither or both of `string` and `file`.
    #[error("write one of string=TEXT and file=PATH")]
    Content,
    /// A key that files do not have.
    #[error("unknown key `{0}`, use name, string or file; a comma in a value is written twice")]
    Key(String),
    /// Not of the shape.
    #[error(transparent)]
    Fields(#[from] FieldsError),
}

impl FromStr for FwCfgFile {
    type Err = FwCfgError;

    fn from_str(text: &str) -> Result<Self, FwCfgError> {
        let (mut name, mut content) = (None, None);
        for (key, value) in Fields::repeatable(&with_name_key(text))? {
            match key.as_str() {
                "name" if name.is_none() => name = Some(value),
                "string" if content.is_none() => content = Some(Source::Text(value)),
                "file" if content.is_none() => content = Some(Source::File(value.into())),
                "name" => return Err(FieldsError::Twice(key).into()),
                "string" | "file" => return Err(FwCfgError::Content),
                _ => return Err(FwCfgError::Key(key)),
            }
        }
        let name = name.filter(|name| !name.is_empty()).ok_or(FwCfgError::NoName)?;
        check(&name)?;
        Ok(Self { name, content: content.ok_or(FwCfgError::Content)? })
    }
}

/// The key of the name may be left out if the name comes first.
fn with_name_key(text: &str) -> String {
    let first = text.split(',').next().unwrap_or_default();
    if first.contains('=') { text.to_owned() } else { format!("name={text}") }
}

fn check(name: &str) -> Result<(), FwCfgError> {
    let own = name.strip_prefix("opt/").is_some_and(|rest| !rest.is_empty());
    match name.len() {
        len if len > MAX_NAME => Err(FwCfgError::LongName(len)),
        _ if name.chars().any(char::is_control) => Err(FwCfgError::Control),
        _ if own || FIRMWARE_NAMES.contains(&name) => Ok(()),
        _ => Err(FwCfgError::Reserved(name.trim_start_matches("opt/").into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<FwCfgFile, FwCfgError> {
        text.parse()
    }

    fn text(name: &str, content: &str) -> Result<FwCfgFile, FwCfgError> {
        Ok(FwCfgFile { name: name.into(), content: Source::Text(content.into()) })
    }

    #[test]
    fn key_of_the_name_may_be_left_out_or_come_later() {
        assert_eq!(file("name=opt/a,string=b"), text("opt/a", "b"));
        assert_eq!(file("opt/a,string=b"), text("opt/a", "b"));
        assert_eq!(file("string=b,name=opt/a"), text("opt/a", "b"));
    }

    #[test]
    fn content_is_a_text_or_a_file() {
        assert_eq!(file("opt/a,string="), text("opt/a", ""));
        assert_eq!(file("opt/a,string=x=y,,z"), text("opt/a", "x=y,z"));
        assert_eq!(file("opt/a,file=./b").unwrap().content, Source::File("./b".into()));
        for text in ["opt/a", "opt/a,string=a,file=b", "opt/a,file=a,file=b"] {
            assert_eq!(file(text), Err(FwCfgError::Content), "{text}");
        }
    }

    #[test]
    fn names_that_the_machine_may_have_itself_are_refused() {
        assert_eq!(file("etc/e820,string=x"), Err(FwCfgError::Reserved("etc/e820".into())));
        assert_eq!(file("opt/,string=x"), Err(FwCfgError::Reserved(String::new())));
        assert!(file("etc/boot-menu-wait,file=x").is_ok());
    }

    #[test]
    fn name_may_have_55_bytes_and_no_control_characters() {
        let name = format!("opt/{}", "n".repeat(51));
        assert!(file(&format!("{name},string=x")).is_ok());
        assert_eq!(file(&format!("{name}n,string=x")), Err(FwCfgError::LongName(56)));
        assert_eq!(file("opt/a\n,string=x"), Err(FwCfgError::Control));
    }

    #[test]
    fn other_keys_and_missing_names_are_refused() {
        assert_eq!(file(""), Err(FwCfgError::NoName));
        assert_eq!(file("string=x"), Err(FwCfgError::NoName));
        assert_eq!(file("opt/a,name=opt/b,string=x"), Err(FieldsError::Twice("name".into()).into()));
        assert_eq!(file("opt/a,text=x"), Err(FwCfgError::Key("text".into())));
        assert_eq!(file("opt/a,b"), Err(FieldsError::NoValue("b".into()).into()));
    }
}
