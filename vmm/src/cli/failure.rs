//! How the program fails: one line on stderr and an exit status.

use std::process::ExitCode;

use firmware::smbios::TooLong;

use crate::machine::plan::PlanError;

/// What a command can fail with.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line asks for something that cannot be: exit status 2.
    Usage(String),
    /// What was asked for did not happen: exit status 1.
    Failed(anyhow::Error),
}

impl Failure {
    /// Says what went wrong and gives the exit status.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("tinderbox: {}", self.line());
        match self {
            Self::Failed(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
        }
    }

    /// One line even if a file name has line breaks in it.
    fn line(&self) -> String {
        let message = match self {
            Self::Usage(message) => message.clone(),
            Self::Failed(error) => format!("{error:#}"),
        };
        message.chars().flat_map(visible).collect()
    }
}

fn visible(c: char) -> impl Iterator<Item = char> {
    let escaped = c.is_control().then(|| c.escape_default());
    let plain = (!c.is_control()).then_some(c);
    escaped.into_iter().flatten().chain(plain)
}

/// A plan that cannot be, or strings without room, are the command line's fault, wherever it was found out.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        if let Some(plan) = error.downcast_ref::<PlanError>() {
            return Self::Usage(plan.to_string());
        }
        match error.downcast_ref::<TooLong>() {
            Some(smbios) => Self::Usage(format!("--smbios: {smbios}")),
            None => Self::Failed(error),
        }
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        Self::Usage(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn failure_line_has_the_whole_chain() {
        let error = anyhow!("not found").context("open disk a.raw");
        assert_eq!(Failure::Failed(error).line(), "open disk a.raw: not found");
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(Failure::Usage("open a\nb\u{1b}[2J é".into()).line(), "open a\\nb\\u{1b}[2J é");
    }

    #[test]
    fn plan_error_under_a_context_is_usage() {
        let error = anyhow::Error::new(PlanError::Cpus(0)).context("lay out the machine");
        assert!(matches!(Failure::from(error), Failure::Usage(line) if line.starts_with("--cpus 0")));
    }
}
