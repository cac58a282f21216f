//! `-machine`, `-accel` and `-bios`.

use super::opts::{Opts, switch};
use super::{Aliases, Reason};
use crate::config::{FirmwareChoice, MachineOptions};

/// Keys that concern what this machine never has or does.
const HARMLESS: [&str; 5] = ["dump-guest-core", "graphics", "suppress-vmdesc", "mem-merge", "vmport"];

/// The machine type and its switches.
pub(super) struct Machine {
    aliases: Aliases,
    /// The switches so far.
    pub(super) options: MachineOptions,
    /// The memory object that makes RAM, by its id.
    pub(super) memory_backend: Option<String>,
    /// The firmware asked for.
    pub(super) bios: Option<FirmwareChoice>,
}

impl Machine {
    /// The machine as it is.
    pub(super) fn new(aliases: Aliases) -> Self {
        Self { aliases, options: MachineOptions::default(), memory_backend: None, bios: None }
    }

    /// `-machine [type=]microvm[,KEY=VALUE…]`: what is said later wins.
    pub(super) fn machine(&mut self, text: &str) -> Result<(), Reason> {
        let mut opts = Opts::parse(text, Some("type"));
        if let Some(name) = opts.take("type") {
            self.check_type(&name)?;
        }
        if let Some(list) = opts.take("accel") {
            accelerator(list.split(':'))?;
        }
        if let Some(place) = opts.take("kernel-irqchip") {
            self.irqchip(&place)?;
        }
        self.memory_backend = opts.take("memory-backend").or(self.memory_backend.take());
        if let Some(path) = opts.take("firmware") {
            self.bios = Some(firmware(&path));
        }
        opts.ignore(&HARMLESS);
        opts.only("nvdimm", &["off"], "this machine has none, use nvdimm=off")?;
        opts.rest().iter().try_for_each(|(key, value)| {
            let value = switch(value).map_or(value.as_str(), |on| if on { "on" } else { "off" });
            Ok(self.options.set(key, value)?)
        })
    }

    fn check_type(&mut self, name: &str) -> Result<(), Reason> {
        let foreign = ["q35", "pc", "pc-q35", "pc-i440fx", "isapc"];
        match name {
            "microvm" => Ok(()),
            _ if !foreign.iter().any(|prefix| name.starts_with(prefix)) => {
                Err(format!("unknown machine type `{name}`, use microvm").into())
            }
            // All of those have PCI, and their users write so.
            _ if self.aliases == Aliases::Taken => Ok(self.options.set("pcie", "on")?),
            _ => Err(format!(
                "this machine is not a {name}, use microvm; TINDERBOX_QEMU_ALIAS=microvm in the environment takes \
                 the one for the other"
            )
            .into()),
        }
    }

    /// `-accel [accel=]kvm[,KEY=VALUE…]`.
    pub(super) fn accel(&mut self, text: &str) -> Result<(), Reason> {
        let mut opts = Opts::parse(text, Some("accel"));
        accelerator([opts.need("accel")?.as_str()].into_iter())?;
        if let Some(place) = opts.take("kernel-irqchip") {
            self.irqchip(&place)?;
        }
        opts.ignore(&["dirty-ring-size", "notify-vmexit", "notify-window"]);
        opts.finish()
    }

    /// QEMU says `on` for KVM's own controllers.
    fn irqchip(&mut self, place: &str) -> Result<(), Reason> {
        let place = match place {
            "split" => "split",
            _ if switch(place) == Some(true) => "kernel",
            _ => {
                let reason = "local APICs are in KVM, use kernel-irqchip=split or kernel-irqchip=on";
                return Err(format!("kernel-irqchip={place}: {reason}").into());
            }
        };
        Ok(self.options.set("irqchip", place)?)
    }
}

/// Of several accelerators QEMU takes the first that works.
fn accelerator<'a>(mut names: impl Iterator<Item = &'a str>) -> Result<(), Reason> {
    if names.any(|name| name == "kvm") {
        return Ok(());
    }
    Err("there is no other accelerator than kvm here, use kvm".into())
}

/// QEMU's names for its firmware mean ours of the same kind; anything else is a file.
pub(super) fn firmware(text: &str) -> FirmwareChoice {
    match text {
        "bios-microvm.bin" => FirmwareChoice::Named("seabios".into()),
        "qboot.rom" | "qboot.bin" => FirmwareChoice::Named("qboot".into()),
        _ => FirmwareChoice::File(text.into()),
    }
}
