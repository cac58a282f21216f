//! `--config FILE`: a machine in a TOML file. Its keys are the long options of `tinderbox run`, its values what they take;
//! `tinderbox config OPTIONS` prints the file that says the same as OPTIONS.
//!
//! ```toml
//! memory = "2G,hugepages=2M"
//! cpus = 4
//! no-reboot = true
//! disk = ["debian.raw", "data.raw,readonly=on"]   # an option that may be repeated
//! machine = { pit = "off", rtc = "on" }           # KEY=VALUE,…
//! ```
//!
//! The file is turned into options, so there is one parser. What the command line says, too, wins; of an option that may be
//! repeated, the file's come first.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory as _};
use toml::{Table, Value};

use super::failure::Failure;
use super::{Cli, print};
use crate::nearest::nearest;

/// The option that names the file.
const OPTION: &str = "--config";
/// The subcommands that take a machine's options, and no name of their own after them.
const COMMANDS: [&str; 2] = ["run", "config"];

/// The program's arguments with those of the file that they name, if any.
///
/// # Errors
/// When the file cannot be read, or says what no option says.
pub(crate) fn expand(args: &[OsString]) -> Result<Vec<OsString>, Failure> {
    let command = args.iter().position(|word| COMMANDS.iter().any(|name| word == name));
    let (Some(command), Some((path, given))) = (command, without_file(args)) else {
        return Ok(args.to_vec());
    };
    let text = fs::read_to_string(&path).map_err(|error| {
        anyhow::Error::new(error).context(format!("{OPTION}: read {}", Path::new(&path).display()))
    })?;
    let wrong = |error: String| Failure::Usage(format!("{OPTION} {}: {error}", Path::new(&path).display()));
    let table: Table = text.parse().map_err(|error: toml::de::Error| wrong(one_line(&error, &text)))?;
    let options = options(&table, &given).map_err(wrong)?;
    let mut all = given;
    all.splice(command + 1..command + 1, options);
    Ok(all)
}

/// The file's path, and the arguments without it. No value of an option of ours starts like this one.
fn without_file(args: &[OsString]) -> Option<(OsString, Vec<OsString>)> {
    let mut rest = args.to_vec();
    if let Some(at) = args.iter().position(|word| word == OPTION) {
        rest.remove(at);
        return (at < rest.len()).then(|| (rest.remove(at), rest));
    }
    let with_value = |word: &OsString| word.to_str()?.strip_prefix("--config=").map(OsString::from);
    let at = args.iter().position(|word| with_value(word).is_some())?;
    rest.remove(at);
    Some((with_value(args.get(at)?)?, rest))
}

/// What is wrong with TOML, and where.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.lines().count().max(1);
    format!("line {line}: {}", error.message().lines().next().unwrap_or_default())
}

fn options(table: &Table, given: &[OsString]) -> Result<Vec<OsString>, String> {
    let cli = Cli::command();
    let run = cli.find_subcommand("run").ok_or("no command run")?;
    let mut words = Vec::new();
    for (key, value) in table {
        let option = find(run, key)?;
        if is_repeatable(option) || !is_given(option, given) {
            words.extend(option_words(key, option, value)?);
        }
    }
    Ok(words)
}

fn find<'a>(run: &'a Command, key: &str) -> Result<&'a Arg, String> {
    let names = || run.get_arguments().filter_map(Arg::get_long).filter(|name| *name != "config");
    let option = run.get_arguments().find(|option| option.get_long() == Some(key));
    option.filter(|_| key != "config").ok_or_else(|| match nearest(key, names()) {
        Some(meant) => format!("unknown key `{key}`, did you mean {meant}?"),
        None => format!("unknown key `{key}`, keys are the options of `tinderbox run --help`"),
    })
}

fn is_repeatable(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append)
}

fn is_given(option: &Arg, given: &[OsString]) -> bool {
    let long = option.get_long().map(|name| format!("--{name}"));
    let short = option.get_short().map(|name| format!("-{name}"));
    given.iter().filter_map(|word| word.to_str()).any(|word| {
        let name = word.split('=').next().unwrap_or_default();
        long.as_deref() == Some(name) || short.as_deref().is_some_and(|short| word.starts_with(short))
    })
}

fn option_words(key: &str, option: &Arg, value: &Value) -> Result<Vec<OsString>, String> {
    let word = |text: String| OsString::from(format!("--{key}={text}"));
    match (option.get_action(), value) {
        (ArgAction::SetTrue, Value::Boolean(on)) => {
            Ok(on.then(|| format!("--{key}").into()).into_iter().collect())
        }
        (ArgAction::SetTrue, _) => Err(format!("{key} is true or false")),
        (_, Value::Array(values)) if is_repeatable(option) => {
            values.iter().map(|value| text(key, value).map(word)).collect()
        }
        (_, Value::Array(_)) => Err(format!("{key} has one value, write {key} = \"VALUE\"")),
        (_, value) => Ok(vec![word(text(key, value)?)]),
    }
}

/// A value as an option takes it; a table is its KEY=VALUE list, after what the key `path` or `value` says.
fn text(key: &str, value: &Value) -> Result<String, String> {
    let Value::Table(members) = value else { return scalar(key, value) };
    let first = ["path", "value"].into_iter().find_map(|name| members.get(name));
    let mut fields: Vec<String> = Vec::new();
    fields.extend(first.map(|value| scalar(key, value)).transpose()?.map(doubled));
    for (name, value) in members.iter().filter(|(name, _)| !["path", "value"].contains(&name.as_str())) {
        fields.push(format!("{name}={}", doubled(scalar(key, value)?)));
    }
    Ok(fields.join(","))
}

fn scalar(key: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(on) => Ok(if *on { "on" } else { "off" }.into()),
        _ => Err(format!("{key} has a value of no use, write text, a number, true or false")),
    }
}

fn doubled(text: String) -> String {
    text.replace(',', ",,")
}

/// `tinderbox config OPTIONS`: prints the file that says the same as `args`, which have been parsed and are right.
pub(crate) fn show(args: &[OsString]) -> Result<ExitCode, Failure> {
    let cli = Cli::command();
    let matches = cli.clone().get_matches_from(args);
    let (Some(command), Some(given)) = (cli.find_subcommand("config"), matches.subcommand_matches("config"))
    else {
        return Ok(ExitCode::SUCCESS);
    };
    let text = toml::to_string(&table(command, given)).map_err(anyhow::Error::new)?;
    print(&text).map(|()| ExitCode::SUCCESS)
}

fn table(command: &Command, given: &ArgMatches) -> Table {
    let mut table = Table::new();
    for option in command.get_arguments() {
        let id = option.get_id().as_str();
        if given.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        let values: Vec<Value> = given
            .get_raw(id)
            .into_iter()
            .flatten()
            .map(|text| text.to_string_lossy().into_owned().into())
            .collect();
        match (option.get_long(), option.get_action()) {
            (Some(name), ArgAction::SetTrue) => drop(table.insert(name.into(), true.into())),
            (Some(name), ArgAction::Append) => add(&mut table, name, values),
            (Some(name), ArgAction::Set) => {
                drop(values.into_iter().next().map(|value| table.insert(name.into(), value)))
            }
            // The first disk has no name; a comma in its path is no separator there.
            (None, _) => {
                let paths =
                    values.into_iter().filter_map(|path| Some(doubled(path.as_str()?.to_owned()).into()));
                add(&mut table, "disk", paths.collect());
            }
            _ => {}
        }
    }
    table
}

fn add(table: &mut Table, name: &str, values: Vec<Value>) {
    let list = table.entry(name).or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(list) = list {
        list.extend(values);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(file: &str, given: &[&str]) -> Result<Vec<String>, String> {
        let given: Vec<_> = given.iter().map(OsString::from).collect();
        let words = options(&file.parse().unwrap(), &given)?;
        Ok(words.into_iter().map(|word| word.into_string().unwrap()).collect())
    }

    #[test]
    fn keys_become_options() {
        let file = "memory = \"2G\"\ncpus = 4\nno-reboot = true\npaused = false\ndisk = [\"a\", { path = \"b,c\", readonly = true }]";
        let expected = ["--cpus=4", "--disk=a", "--disk=b,,c,readonly=on", "--memory=2G", "--no-reboot"];
        let mut found = words(file, &[]).unwrap();
        found.sort();
        assert_eq!(found, expected);
        assert_eq!(words("machine = { pit = \"off\" }", &[]).unwrap(), ["--machine=pit=off"]);
    }

    #[test]
    fn command_line_wins_but_adds_to_what_may_be_repeated() {
        let file = "memory = \"2G\"\ndisk = [\"a\"]";
        assert_eq!(words(file, &["run", "-m", "1G", "--disk", "b"]).unwrap(), ["--disk=a"]);
        assert_eq!(words(file, &["run", "--memory=1G"]).unwrap(), ["--disk=a"]);
    }

    #[test]
    fn what_no_option_says_is_named() {
        assert_eq!(words("memry = 1", &[]), Err("unknown key `memry`, did you mean memory?".into()));
        assert_eq!(words("no-reboot = 1", &[]), Err("no-reboot is true or false".into()));
        assert_eq!(
            words("memory = [\"1G\"]", &[]),
            Err("memory has one value, write memory = \"VALUE\"".into())
        );
        assert!(words("config = \"x\"", &[]).is_err());
    }

    #[test]
    fn file_is_named_in_two_ways() {
        let args = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        for line in ["t run --config f --paused", "t run --config=f --paused"] {
            assert_eq!(without_file(&args(line)), Some(("f".into(), args("t run --paused"))));
        }
        assert_eq!(without_file(&args("t run --config")), None);
        assert_eq!(without_file(&args("t run a.raw")), None);
    }

    #[test]
    fn options_come_back_from_the_file_that_they_make() {
        let line = "t config a,b.raw --memory 2G,shared=on --disk c.raw,readonly=on --no-reboot --device pvpanic --cpus 2";
        let cli = Cli::command();
        let matches = cli.clone().get_matches_from(line.split(' '));
        let table =
            table(cli.find_subcommand("config").unwrap(), matches.subcommand_matches("config").unwrap());
        let mut words = words(&toml::to_string(&table).unwrap(), &[]).unwrap();
        words.sort();
        let expected = [
            "--cpus=2",
            "--device=pvpanic",
            "--disk=a,,b.raw",
            "--disk=c.raw,readonly=on",
            "--memory=2G,shared=on",
            "--no-reboot",
        ];
        assert_eq!(words, expected);
    }

    proptest! {
        #[test]
        fn any_file_is_options_or_one_clear_line(key in "[a-z-]{1,9}", value in any::<i64>(), text in "\\PC{0,20}") {
            let mut table = Table::new();
            table.insert(key, value.into());
            table.insert("memory".into(), text.into());
            let _ = options(&table, &[]);
        }
    }
}
