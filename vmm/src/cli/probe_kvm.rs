//! `tinderbox probe-kvm`: can this host run a 64-bit guest? For programs that choose where to run one.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::failure::Failure;
use super::print;
use crate::kvm::{self, Verdict};

/// What is probed.
#[derive(Args, Debug)]
pub(crate) struct ProbeArgs {
    /// The KVM device
    #[arg(long, value_name = "PATH", default_value = "/dev/kvm")]
    kvm: PathBuf,
}

/// Prints `full`, `limited: <why>` or `absent: <why>`; finding out is success in each case.
pub(crate) fn run(args: &ProbeArgs) -> Result<ExitCode, Failure> {
    let verdict = kvm::probe(&args.kvm);
    print(&format!("{}\n", text(&verdict)))?;
    Ok(ExitCode::SUCCESS)
}

fn text(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Full => "full".into(),
        Verdict::Limited(why) => format!("limited: {why}"),
        Verdict::Absent(why) => format!("absent: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdict_is_a_word_and_a_reason() {
        let missing = kvm::probe("/nonexistent/kvm".as_ref());
        assert!(text(&missing).starts_with("absent: /nonexistent/kvm does not exist"), "{}", text(&missing));
        assert_eq!(text(&Verdict::Limited("too slow".into())), "limited: too slow");
        assert_eq!(text(&Verdict::Full), "full");
    }
}
