//! `-cpu` and `-smp`.

use super::opts::{Opts, switch};
use super::{Reason, Wrong};
use crate::cli::cpu::CpuChoice;
use crate::cpu::CpuModel;
use crate::topology::Topology;

/// Properties of QEMU's that do not change what the guest's processor can do.
/// `topoext` goes with the host's processor, and virtme-ng asks for it on those that have it not.
const HARMLESS: [&str; 8] =
    ["migratable", "kvm", "host-phys-bits", "host-cache-info", "check", "enforce", "l3-cache", "topoext"];

/// The vCPUs.
#[derive(Default)]
pub(super) struct Processor {
    /// What each can do.
    pub(super) model: CpuModel,
    /// All of `-smp`.
    smp: Opts,
}

impl Processor {
    /// `-cpu MODEL[,+FEATURE][,-FEATURE][,FEATURE=on|off]`.
    pub(super) fn cpu(&mut self, text: &str) -> Result<(), Reason> {
        let fields: Vec<_> = text.split(',').filter(|field| !is_harmless(field)).map(plain).collect();
        self.model = fields.join(",").parse::<CpuChoice>()?.into_model();
        Ok(())
    }

    /// `-smp [cpus=]N[,maxcpus=N][,sockets=N][,dies=N][,cores=N][,threads=N]`: what is said later wins.
    pub(super) fn smp(&mut self, text: &str) -> Result<(), Reason> {
        self.smp.merge(Opts::parse(text, Some("cpus")));
        topology(self.smp.clone()).map(|_| ())
    }

    /// How the vCPUs are arranged.
    pub(super) fn topology(&self) -> Result<Topology, Wrong> {
        topology(self.smp.clone()).map_err(|reason| ("-smp", String::new(), reason))
    }
}

fn topology(mut opts: Opts) -> Result<Topology, Reason> {
    let levels: Vec<(&str, String)> = ["sockets", "dies", "cores", "threads"]
        .into_iter()
        .filter_map(|key| Some((key, opts.take(key)?)))
        .collect();
    for level in ["clusters", "modules", "drawers", "books"] {
        opts.only(level, &["1"], "this machine has sockets, dies, cores and threads")?;
    }
    let most = opts.number::<u32>("maxcpus")?;
    let cpus = match opts.number::<u32>("cpus")?.or(most) {
        Some(cpus) => cpus,
        None => product(&levels)?,
    };
    if most.is_some_and(|most| most != cpus) {
        return Err(format!("vCPUs cannot be added later, use maxcpus={cpus} or leave it out").into());
    }
    opts.finish()?;
    let levels: String = levels.iter().map(|(key, count)| format!(",{key}={count}")).collect();
    Ok(format!("{cpus}{levels}").parse()?)
}

/// Without a number of vCPUs there are as many as the levels make.
fn product(levels: &[(&str, String)]) -> Result<u32, Reason> {
    let count = |(key, text): &(&str, String)| {
        let count = crate::cli::machine::decimal::<u32>(text);
        count.ok_or_else(|| Reason::from(format!("{key}={text} is no count, write a number from 1")))
    };
    let counts = levels.iter().map(count).collect::<Result<Vec<_>, _>>()?;
    Ok(counts.into_iter().fold(1, u32::saturating_mul))
}

fn is_harmless(field: &str) -> bool {
    let name = field.split('=').next().unwrap_or_default();
    HARMLESS.contains(&name.trim_start_matches(['+', '-']))
}

/// QEMU has more words for on and off.
fn plain(field: &str) -> String {
    let Some((name, value)) = field.split_once('=') else { return field.into() };
    let value = switch(value).map_or(value, |on| if on { "on" } else { "off" });
    format!("{name}={value}")
}
