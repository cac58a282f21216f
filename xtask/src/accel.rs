//! Where guests run: on this machine's `/dev/kvm`, or in the lab.
//!
//! CPU flags do not tell: on some cloud machines `/dev/kvm` is there, but runs a guest's kernel mode one instruction at a
//! time, and not all of them. So the product itself tries: `tinderbox probe-kvm` runs a few instructions in 64-bit kernel
//! mode and prints `full`, `limited: REASON` or `absent: REASON`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

/// Where guests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Accel {
    /// On this machine's /dev/kvm
    Kvm,
    /// In an emulated host, see `cargo xtask lab`
    Lab,
}

/// A choice, and the line that explains it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) accel: Accel,
    /// For the person who waits: `accel: lab (…)`.
    pub(crate) why: String,
}

/// Takes what was `requested`; else asks `tinderbox`, the built VMM, what this machine's `/dev/kvm` can do.
///
/// # Errors
///
/// When the VMM cannot be run, or does not answer as agreed.
pub(crate) fn choose(requested: Option<Accel>, tinderbox: &Path) -> anyhow::Result<Choice> {
    match requested {
        Some(accel @ Accel::Kvm) => Ok(Choice { accel, why: "accel: kvm (as asked for)".to_owned() }),
        Some(accel @ Accel::Lab) => Ok(Choice { accel, why: "accel: lab (as asked for)".to_owned() }),
        None => judge(&probe(tinderbox)?),
    }
}

fn probe(tinderbox: &Path) -> anyhow::Result<String> {
    let mut command = Command::new(tinderbox);
    let output =
        command.arg("probe-kvm").output().with_context(|| format!("start {}", tinderbox.display()))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "probe /dev/kvm: {} {}", output.status, complaint.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn judge(finding: &str) -> anyhow::Result<Choice> {
    let lab =
        |why: String| Choice { accel: Accel::Lab, why: format!("accel: lab ({why}; --accel kvm to insist)") };
    match finding.split_once(": ").unwrap_or((finding, "")) {
        ("full", _) => {
            let why = "accel: kvm (/dev/kvm runs 64-bit guests natively; --accel lab for the emulated host)";
            Ok(Choice { accel: Accel::Kvm, why: why.to_owned() })
        }
        ("limited", reason) => Ok(lab(format!("/dev/kvm is of no use for 64-bit guests: {reason}"))),
        ("absent", reason) => Ok(lab(format!("no /dev/kvm here: {reason}"))),
        _ => bail!("probe /dev/kvm: cannot make sense of {finding:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judge_full_takes_kvm() {
        assert_eq!(judge("full").unwrap().accel, Accel::Kvm);
    }

    #[test]
    fn judge_limited_takes_the_lab_and_says_why() {
        let choice = judge("limited: fninit is not emulated").unwrap();

        assert_eq!(choice.accel, Accel::Lab);
        assert!(choice.why.contains("fninit is not emulated"), "{}", choice.why);
    }

    #[test]
    fn judge_absent_takes_the_lab_and_says_why() {
        let choice = judge("absent: open /dev/kvm: No such file or directory").unwrap();

        assert_eq!(choice.accel, Accel::Lab);
        assert!(choice.why.contains("No such file or directory"), "{}", choice.why);
    }

    #[test]
    fn judge_anything_else_is_an_error() {
        assert!(judge("").is_err());
    }

    #[test]
    fn choose_requested_needs_no_probe() {
        let choice = choose(Some(Accel::Lab), Path::new("/does/not/exist")).unwrap();

        assert_eq!(choice.accel, Accel::Lab);
    }

    #[test]
    fn choose_without_the_program_names_it() {
        let error = choose(None, Path::new("/does/not/exist")).unwrap_err();

        assert!(error.to_string().contains("/does/not/exist"), "{error}");
    }
}
