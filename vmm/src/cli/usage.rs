//! A wrong command line in one line: what is wrong, and what to do.

use std::error::Error as _;
use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ErrorKind};

use super::Cli;

/// Condenses the parser's report of several lines about `args` to `<what>, <what to do>`.
pub(crate) fn one_line(error: &clap::Error, args: &[OsString]) -> String {
    let argument = || option_name(&context(error, ContextKind::InvalidArg));
    let help = see_help(args);
    match error.kind() {
        ErrorKind::ValueValidation => invalid_value(error, &help),
        ErrorKind::InvalidValue => format!("{} needs a value, {help}", argument()),
        ErrorKind::TooManyValues => format!("{} takes no value, {help}", argument()),
        ErrorKind::ArgumentConflict => format!("{} is given twice, give it once", argument()),
        ErrorKind::MissingRequiredArgument => format!("{} is missing, {help}", argument()),
        ErrorKind::UnknownArgument => {
            format!("{}, {}", unknown(&argument()), suggestion(error, ContextKind::SuggestedArg, help))
        }
        ErrorKind::InvalidSubcommand => {
            let command = context(error, ContextKind::InvalidSubcommand);
            format!(
                "unknown command {command}, {}",
                suggestion(error, ContextKind::SuggestedSubcommand, help)
            )
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            format!("no command, {help}")
        }
        ErrorKind::InvalidUtf8 => format!("an option is not UTF-8, {help}"),
        _ => first_line(error),
    }
}

/// The option's own `FromStr` knows what is wrong and what to do.
fn invalid_value(error: &clap::Error, help: &str) -> String {
    let option = option_name(&context(error, ContextKind::InvalidArg));
    let value = context(error, ContextKind::InvalidValue);
    let cause = error.source().map_or_else(|| help.to_owned(), ToString::to_string);
    if value.is_empty() { format!("{option}: {cause}") } else { format!("{option} {value}: {cause}") }
}

fn unknown(argument: &str) -> String {
    let kind = if argument.starts_with('-') { "unknown option" } else { "unexpected argument" };
    format!("{kind} {argument}")
}

/// What was probably meant, or else where to look.
fn suggestion(error: &clap::Error, kind: ContextKind, help: String) -> String {
    match context(error, kind) {
        none if none.is_empty() => help,
        meant => format!("did you mean {meant}?"),
    }
}

/// Points to the help of the command that `args` name, as far as there are commands of that name.
fn see_help(args: &[OsString]) -> String {
    let cli = Cli::command();
    let (mut command, mut names) = (&cli, vec![cli.get_name()]);
    for word in args.iter().skip(1).filter(|word| !word.as_encoded_bytes().starts_with(b"-")) {
        let Some(found) = command.find_subcommand(word) else { break };
        names.push(found.get_name());
        command = found;
    }
    format!("see `{} --help`", names.join(" "))
}

/// `--memory <SIZE>` without its value.
fn option_name(argument: &str) -> String {
    argument.split(' ').next().unwrap_or_default().to_owned()
}

fn context(error: &clap::Error, kind: ContextKind) -> String {
    error.get(kind).map(ToString::to_string).unwrap_or_default()
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use proptest::prelude::*;

    use super::super::Command;
    use super::super::failure::Failure;
    use super::*;
    use crate::machine::Plan;

    fn message(args: &str) -> String {
        let args: Vec<_> = args.split(' ').map(OsString::from).collect();
        one_line(&Cli::try_parse_from(&args).unwrap_err(), &args)
    }

    #[test]
    fn wrong_value_names_option_value_and_remedy() {
        let size = "--memory 5X: not a size, write for example 512M or 6G";
        assert_eq!(message("tinderbox run --memory 5X"), size);
        assert_eq!(message("tinderbox run --memory=5X"), size);
        let bus = "--disk a.raw,bus=ide: unknown bus `ide`, use bus=virtio-mmio, bus=virtio-pci, bus=scsi or bus=nvme";
        assert_eq!(message("tinderbox run --disk a.raw,bus=ide"), bus);
        assert_eq!(message("tinderbox run --cpus -1"), "unknown option -1, see `tinderbox run --help`");
    }

    #[test]
    fn missing_value_names_the_option() {
        let expected = "--cpus needs a value, see `tinderbox run --help`";
        assert_eq!(message("tinderbox run --cpus"), expected);
    }

    #[test]
    fn missing_option_is_named() {
        assert_eq!(message("tinderbox acpi dump"), "--output is missing, see `tinderbox acpi dump --help`");
    }

    #[test]
    fn empty_value_names_the_option() {
        assert_eq!(message("tinderbox run --memory="), "--memory: not a size, write for example 512M or 6G");
    }

    #[test]
    fn value_of_a_switch_is_refused() {
        let expected = "--dry-run takes no value, see `tinderbox run --help`";
        assert_eq!(message("tinderbox run --dry-run=yes"), expected);
    }

    #[test]
    fn repeated_option_is_refused() {
        let expected = "--memory is given twice, give it once";
        assert_eq!(message("tinderbox run --memory 1G --memory 2G"), expected);
    }

    #[test]
    fn unknown_option_comes_with_the_nearest_or_with_help() {
        assert_eq!(message("tinderbox run --disc a"), "unknown option --disc, did you mean --disk?");
        assert_eq!(message("tinderbox run --xyz"), "unknown option --xyz, see `tinderbox run --help`");
        assert_eq!(message("tinderbox --xyz"), "unknown option --xyz, see `tinderbox --help`");
    }

    #[test]
    fn second_plain_argument_is_refused() {
        let expected = "unexpected argument b.raw, see `tinderbox run --help`";
        assert_eq!(message("tinderbox run a.raw b.raw"), expected);
    }

    #[test]
    fn unknown_and_missing_commands_are_named() {
        assert_eq!(message("tinderbox rum"), "unknown command rum, did you mean run?");
        assert_eq!(message("tinderbox"), "no command, see `tinderbox --help`");
        assert_eq!(message("tinderbox firmware"), "no command, see `tinderbox firmware --help`");
    }

    /// Options of `run` with texts of the shapes that values have, and then some.
    fn words() -> impl Strategy<Value = Vec<OsString>> {
        let cli = Cli::command();
        let run = cli.find_subcommand("run").unwrap();
        let names: Vec<_> =
            run.get_arguments().filter_map(|option| Some(format!("--{}", option.get_long()?))).collect();
        let option = prop_oneof![prop::sample::select(names), "--?[a-z-]{0,8}"];
        let value = prop_oneof![
            "[a-z]{0,6}(,[a-z-]{1,9}=[a-z0-9./:]{0,9}){0,4}",
            "[0-9]{1,20}[KMGTPE]?(,[a-z]{1,9}=[0-9]{1,9}){0,3}",
            "[a-z]{1,6}:.{0,9}",
            "\\PC{0,40}",
        ];
        prop::collection::vec(prop_oneof![option, value], 0..12).prop_map(|words| {
            ["tinderbox", "run"].map(Into::into).into_iter().chain(words).map(OsString::from).collect()
        })
    }

    proptest! {
        #[test]
        fn any_command_line_is_a_machine_or_one_clear_line(words in words()) {
            let plan = |args: super::super::run::ConfigArgs| -> Result<(), Failure> {
                Ok(Plan::check(&args.into_config()?, 46)?)
            };
            let line = match Cli::try_parse_from(&words) {
                Ok(Cli { command: Command::Run(args), .. }) => match plan(args.config) {
                    Err(Failure::Usage(line)) => line,
                    Ok(()) | Err(_) => return Ok(()),
                },
                Ok(_) => return Ok(()),
                Err(help) if !help.use_stderr() => return Ok(()),
                Err(error) => one_line(&error, &words),
            };
            prop_assert!(line.len() > 10 && !line.contains('\n'), "{line:?}");
        }
    }
}
