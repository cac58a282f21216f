//! ACPICA's interpreter, which Linux has too, loads the whole set and evaluates what the DSDT declares.

use std::process::Command;

use acpi::inspect::{Kind, Namespace, Object};
use anyhow::Context as _;

use super::routing;
use super::tables::Dump;

/// acpiexec cuts longer lines of commands.
const LINE: usize = 900;
/// The host bridge's `_OSC`, as bytes of 33DB4D5B-1FF7-401C-9657-7441C03DD766. PCI Firmware 3.3, 4.5.1.
const OSC_UUID: &str = "(5B 4D DB 33 F7 1F 1C 40 96 57 74 41 C0 3D D7 66)";
/// What `_OSC` answers to one who asks for everything: some was held back (bit 4 of the first dword), and of the controls
/// only the capability structures (bit 4 of the third) were granted, because no root port signals hot-plug, PME or errors.
const OSC_ANSWER: &str = "10 00 00 00 1F 00 00 00 10 00 00 00";
/// The functions of PCI devices' `_DSM`, E5C937D0-3553-4D7A-9117-EA4D19C3434D. PCI Firmware 3.3, 4.6.
const DSM_UUID: &str = "(D0 37 C9 E5 53 35 7A 4D 91 17 EA 4D 19 C3 43 4D)";

/// What the interpreter found.
#[derive(Default)]
pub(super) struct Executed {
    pub(super) faults: Vec<String>,
    pub(super) count: usize,
}

/// Evaluates every object with a value and every method of the DSDT.
pub(super) fn evaluate_all(dump: &Dump) -> anyhow::Result<Executed> {
    let mut executed = Executed::default();
    let namespace = dump.namespace()?;
    let probe = routing::probe(dump, &namespace)?;
    let commands = [commands(&namespace), probe.commands].concat();
    for line in lines(&commands) {
        let mut command = Command::new("acpiexec");
        command.args(["-b", &line.join(";")]);
        command.args(dump.signatures().iter().map(|signature| dump.file(signature))).args(&probe.table);
        let output = command.output().context("start acpiexec")?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        executed.faults.extend(complaints(&text));
        executed.faults.extend(wrong_grant(&text));
        let done = text.lines().filter(|line| is_result(line)).count();
        executed.count += done;
        if done != line.len() {
            executed.faults.push(format!("{done} of {} objects were evaluated", line.len()));
        }
    }
    Ok(executed)
}

/// A command for each object.
fn commands(namespace: &Namespace) -> Vec<String> {
    let command = |object: &Object| match object.kind {
        // Asked for entry by entry.
        Kind::Name(_) if object.path.ends_with("._PRT") => None,
        Kind::Name(_) => Some(format!("evaluate {}", object.path)),
        Kind::Method(arguments) => {
            Some(format!("evaluate {}{}", object.path, values(&object.path, arguments)))
        }
        _ => None,
    };
    namespace.objects().iter().filter_map(command).collect()
}

/// Arguments that make sense to the method.
fn values(path: &str, arguments: u8) -> String {
    match path.rsplit(['.', '\\']).next() {
        // Asks for all five controls, supporting everything.
        Some("_OSC") => format!(" {OSC_UUID} 1 3 (00 00 00 00 1F 00 00 00 1F 00 00 00)"),
        Some("_DSM") => format!(" {DSM_UUID} 0 0 [0]"),
        Some("_EVT") => " 9".into(),
        Some("_SRS") => " (79 00)".into(),
        _ => " 0".repeat(arguments.into()),
    }
}

/// The commands in as many lines as they need.
fn lines(commands: &[String]) -> Vec<Vec<&str>> {
    let mut lines: Vec<Vec<&str>> = Vec::new();
    let mut len = 0;
    for command in commands {
        match lines.last_mut() {
            Some(line) if len + command.len() < LINE => line.push(command),
            _ => {
                lines.push(vec![command]);
                len = 0;
            }
        }
        len += command.len() + 1;
    }
    lines
}

/// Whether the line ends an evaluation that went well.
fn is_result(line: &str) -> bool {
    line.starts_with("Evaluation of ") && line.contains(" returned object ")
        || line.starts_with("No object was returned from evaluation of ")
}

/// What is wrong with the answer of `_OSC`, if it is in `text`.
fn wrong_grant(text: &str) -> Option<String> {
    let answer = text.split("._OSC returned object").nth(1)?.lines().nth(1).unwrap_or_default();
    (!answer.contains(OSC_ANSWER)).then(|| format!("_OSC answers {}, not {OSC_ANSWER}", answer.trim()))
}

/// Lines that ACPICA writes about what is wrong.
fn complaints(text: &str) -> Vec<String> {
    let wrong = [
        "ACPI Error",
        "ACPI Warning",
        "ACPI Exception",
        "ACPI BIOS",
        "Firmware Error",
        "Firmware Warning",
        " failed",
        "AE_",
        "No handler",
    ];
    let lines = text.lines().filter(|line| wrong.iter().any(|word| line.contains(word)));
    lines.map(|line| line.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_short_and_lose_nothing() {
        let commands: Vec<_> = (0..100).map(|n| format!("evaluate \\_SB.VR{n:02}._CRS")).collect();
        let lines = lines(&commands);
        assert!(lines.iter().all(|line| line.join(";").len() < LINE));
        assert_eq!(lines.concat(), commands);
    }

    #[test]
    fn osc_that_grants_more_is_found() {
        let text = |granted| {
            format!(
                "Evaluation of \\X._OSC returned object 0x5, external buffer length 28\n  [Buffer] Length 0C = 0000: 10 00 00 00 1F 00 00 00 {granted} 00 00 00\n"
            )
        };
        assert_eq!(wrong_grant(&text("10")), None);
        assert!(wrong_grant(&text("1F")).is_some());
        assert_eq!(wrong_grant("Evaluation of \\X._CBA returned object"), None);
    }

    #[test]
    fn complaints_are_found_among_results() {
        let text =
            "Evaluating \\X\nACPI Error: No pointer\nEvaluation of \\X failed with status AE_NOT_FOUND\n";
        assert_eq!(complaints(text).len(), 2);
        assert!(!text.lines().any(is_result));
    }
}
