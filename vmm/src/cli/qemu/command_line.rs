//! One option after the other, then all together.

use super::chardev::Chardevs;
use super::clock::Clock;
use super::drives::Drives;
use super::guest::Guest;
use super::help::{Help, device_names};
use super::machine::{Machine, firmware};
use super::memory::Memory;
use super::monitors::Monitors;
use super::nets::Nets;
use super::opts::{self, Opts};
use super::ports::{self, Ports};
use super::processor::Processor;
use super::usb::Usb;
use super::vhost_user::{self, VhostUsers};
use super::{Aliases, Parsed, QemuError, Reason, Wrong};
use crate::cli::run::default_firmware;
use crate::cli::vsock::VsockError;
use crate::config::{Config, DiskBus, EscapeKey, ExtraDevice, KernelConfig, Media, OnReset};
use crate::nearest::nearest;

/// What was said so far, by subject.
pub(super) struct CommandLine {
    machine: Machine,
    processor: Processor,
    memory: Memory,
    drives: Drives,
    chardevs: Chardevs,
    clock: Clock,
    guest: Guest,
    monitors: Monitors,
    nets: Nets,
    vhost_users: VhostUsers,
    ports: Ports,
    usb: Usb,
    extras: Vec<ExtraDevice>,
    kernel: Option<String>,
    initrd: Option<String>,
    append: String,
    escape: EscapeKey,
    on_reset: OnReset,
    notes: Vec<String>,
    dry_run: bool,
}

impl CommandLine {
    /// Nothing said yet.
    pub(super) fn new(aliases: Aliases) -> Self {
        Self {
            machine: Machine::new(aliases),
            processor: Processor::default(),
            memory: Memory::default(),
            drives: Drives::default(),
            chardevs: Chardevs::default(),
            clock: Clock::default(),
            guest: Guest::default(),
            monitors: Monitors::default(),
            nets: Nets::default(),
            vhost_users: VhostUsers::default(),
            ports: Ports::default(),
            usb: Usb::default(),
            extras: Vec::new(),
            kernel: None,
            initrd: None,
            append: String::new(),
            escape: EscapeKey::default(),
            on_reset: OnReset::default(),
            notes: Vec::new(),
            dry_run: false,
        }
    }

    /// Says that `option` was accepted and changes nothing, unless everybody expects that.
    pub(super) fn note(&mut self, option: &str, why: &str) {
        if !why.is_empty() {
            self.notes.push(format!("{option} changes nothing: {why}"));
        }
    }

    /// Takes the option `name`, written as `word`, with its value. Some ask for a text instead of a machine.
    pub(super) fn option(&mut self, name: &str, word: &str, value: &str) -> Result<Option<Help>, QemuError> {
        if let Some(help) = Help::wanted(name, value) {
            return Ok(Some(help));
        }
        let wrong = |reason| QemuError::Value { option: word.into(), value: value.into(), reason };
        self.take(name, value).map_err(wrong).map(|()| None)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), Reason> {
        match name {
            "machine" => self.machine.machine(value)?,
            "accel" => self.machine.accel(value)?,
            "enable-kvm" => self.machine.accel("kvm")?,
            "no-acpi" => self.machine.machine("acpi=off")?,
            "cpu" => self.processor.cpu(value)?,
            "smp" => self.processor.smp(value)?,
            "m" | "mem-path" | "mem-prealloc" | "numa" | "overcommit" => self.memory.option(name, value)?,
            "object" => self.memory.object(value)?,
            "drive" | "hda" | "cdrom" | "blockdev" | "add-fd" | "snapshot" => {
                self.drives.option(name, value)?
            }
            "device" => self.device(value)?,
            "global" => self.global(value)?,
            "chardev" | "serial" | "debugcon" | "nographic" | "nodefaults" | "display" | "monitor"
            | "parallel" | "vga" => self.chardevs.option(name, value)?,
            "S" | "daemonize" | "gdb" | "mon" | "name" | "no-shutdown" | "pidfile" | "qmp" | "qmp-pretty"
            | "s" => self.monitors.option(name, value)?,
            "kernel" => self.kernel = Some(value.into()),
            "initrd" => self.initrd = Some(value.into()),
            "append" => self.append = value.into(),
            "bios" => self.machine.bios = Some(firmware(value)),
            "usb" => self.machine.machine("usb=on")?,
            "echr" => self.escape = echr(value)?,
            "no-reboot" => self.on_reset = OnReset::End,
            "dry-run" => self.dry_run = true,
            "action" => self.action(value)?,
            "netdev" => self.nets.netdev(value)?,
            "nic" => self.nets.nic(value)?,
            "rtc" => self.clock.option(value)?,
            "boot" | "run-with" | "sandbox" => self.setting(name, value)?,
            _ => self.guest.option(name, value)?,
        }
        Ok(())
    }

    /// `-device NAME[,KEY=VALUE…]`, also as JSON.
    fn device(&mut self, text: &str) -> Result<(), Reason> {
        let mut opts = Opts::parse_or_json(text, "driver")?;
        let driver = opts.need("driver")?;
        match driver.as_str() {
            "virtio-blk-device" | "virtio-blk" => return self.drives.device(text, opts, DiskBus::VirtioMmio),
            "virtio-blk-pci" => return self.drives.device(text, opts, DiskBus::VirtioPci),
            "usb-storage" => {
                self.usb.drive(&mut opts)?;
                return self.drives.device(text, opts, DiskBus::Usb);
            }
            "nvme" => return self.drives.device(text, opts, DiskBus::Nvme),
            "scsi-hd" => return self.drives.target(text, opts, Media::Disk),
            "scsi-cd" => return self.drives.target(text, opts, Media::CdRom),
            // The adapter comes with its targets.
            "virtio-scsi-device" | "virtio-scsi" | "virtio-scsi-pci" => {
                self.nets.plug(&driver);
                opts.ignore(&[
                    "id",
                    "num_queues",
                    "max_sectors",
                    "cmd_per_lun",
                    "virtqueue_size",
                    "iothread",
                ]);
            }
            "virtio-net-device" | "virtio-net" | "virtio-net-pci" => {
                self.nets.plug(&driver);
                return self.nets.device(text, opts);
            }
            "virtio-rng-device" | "virtio-rng" | "virtio-rng-pci" => {
                self.nets.plug(&driver);
                opts.ignore(&["id", "rng", "max-bytes", "period"]);
                self.nets.rng = true;
            }
            name if Nets::input(name).is_some() => {
                self.nets.plug(name);
                self.nets.inputs.extend(Nets::input(name));
                opts.ignore(&["id", "serial", "display", "wheel-axis"]);
            }
            name if vhost_user::FS.contains(&name) => {
                self.nets.plug(name);
                return self.vhost_users.fs(text, opts);
            }
            name if vhost_user::BLK.contains(&name) => {
                self.nets.plug(name);
                return self.vhost_users.blk(text, opts);
            }
            name if ports::BUS.contains(&name) => {
                self.nets.plug(name);
                return self.ports.bus(opts);
            }
            "virtconsole" => return self.ports.console(text, opts),
            "virtserialport" => return self.ports.port(text, opts),
            name if Usb::knows(name) => return self.usb.device(opts, &driver, &mut self.extras),
            "i8042" => {
                self.note("-device i8042", "of the keyboard controller there is what resets the machine");
                self.extras.push(ExtraDevice::KeyboardReset);
            }
            "vhost-vsock-device" | "vhost-vsock-pci" | "vhost-vsock" => {
                self.nets.plug(&driver);
                let cid = opts.need("guest-cid")?;
                opts.ignore(&["id"]);
                self.nets.vsock =
                    Some(format!("cid={cid}").parse().map_err(|error: VsockError| error.to_string())?);
            }
            "isa-debugcon" => return self.chardevs.debugcon(opts),
            "isa-serial" => return self.chardevs.serial_device(opts),
            "isa-debug-exit" => {
                let port = opts.number("iobase")?.unwrap_or(DEBUG_EXIT_PORT);
                opts.ignore(&["iosize", "id"]);
                self.extras.push(ExtraDevice::DebugExit { port });
            }
            "virtio-balloon-device" | "virtio-balloon" | "virtio-balloon-pci" => {
                self.nets.plug(&driver);
                self.nets.balloon_id = opts.take("id");
                opts.ignore(&["deflate-on-oom", "free-page-reporting"]);
                self.nets.balloon = true;
            }
            "pc-testdev" => {
                opts.ignore(&["id"]);
                self.extras.push(ExtraDevice::TestDevice);
            }
            "pvpanic" => {
                opts.ignore(&["id", "events"]);
                opts.only("ioport", &["0x505", "1285"], "the panic port is 0x505")?;
                self.extras.push(ExtraDevice::PvPanic);
            }
            _ => return Err(unknown_device(&driver)),
        }
        opts.finish()
    }

    /// `-global DRIVER.PROPERTY=VALUE` or `driver=…,property=…,value=…`.
    fn global(&mut self, text: &str) -> Result<(), Reason> {
        let (driver, property, value) = global_parts(text)?;
        match (driver.as_str(), property.as_str(), value.as_str()) {
            ("virtio-mmio", "force-legacy", "false" | "off" | "no") => {}
            ("virtio-mmio", "force-legacy", _) => {
                return Err("transports follow version 2 of the standard, use force-legacy=false".into());
            }
            ("isa-debugcon", "iobase", _) => self.chardevs.debugcon_port(&value)?,
            ("kvm-pit", "lost_tick_policy", _) | ("mc146818rtc", "lost_tick_policy", _) => {
                self.note("-global", "ticks that come late are delivered late");
            }
            _ => return Err(format!("no device of this machine has the property {driver}.{property}").into()),
        }
        Ok(())
    }

    /// `-action EVENT=ACTION`.
    fn action(&mut self, text: &str) -> Result<(), Reason> {
        let mut opts = Opts::parse(text, None);
        match opts.take("reboot").as_deref() {
            Some("shutdown") => self.on_reset = OnReset::End,
            Some("reset") => self.on_reset = OnReset::Reboot,
            Some(other) => return Err(format!("reboot={other}: use reboot=reset or reboot=shutdown").into()),
            None => {}
        }
        match opts.take("shutdown").as_deref() {
            Some("pause") => self.monitors.stay(),
            Some("poweroff") | None => {}
            Some(other) => {
                return Err(format!("shutdown={other}: use shutdown=poweroff or shutdown=pause").into());
            }
        }
        opts.only("panic", &["shutdown", "exit-failure"], "a panic ends the run, use panic=exit-failure")?;
        opts.only("watchdog", &["none", "reset"], "this machine has no watchdog, leave it out")?;
        opts.finish()
    }

    /// Settings of which only some are to be had.
    fn setting(&mut self, name: &str, text: &str) -> Result<(), Reason> {
        let mut opts = Opts::parse(text, Some(if name == "boot" { "order" } else { "enable" }));
        match name {
            "boot" => {
                opts.ignore(&["order", "once", "strict", "splash", "splash-time", "reboot-timeout"]);
                opts.only("menu", &["off"], "there is no boot menu, use bootindex= of a device")?;
                self.note("-boot", "disks boot in their order, or by bootindex= of their device");
            }
            "run-with" => {
                opts.ignore(&["async-teardown"]);
                let chroot = "start it in one, as with `chroot` or systemd's RootDirectory=";
                opts.only("chroot", &[], chroot)?;
                opts.only("user", &[], "start it as that user, as with `setpriv` or systemd's User=")?;
            }
            _ => {
                let all = ["enable", "obsolete", "elevateprivileges", "spawn", "resourcecontrol"];
                opts.ignore(&all);
                self.note("-sandbox", "there is no sandbox yet");
            }
        }
        opts.finish()
    }

    /// Everything together: what refers to something finds it now.
    pub(super) fn finish(self) -> Result<Parsed, QemuError> {
        let Self { mut notes, mut chardevs, machine, .. } = self;
        let wrong =
            |(option, value, reason): Wrong| QemuError::Value { option: option.into(), value, reason };
        let options = machine.options;
        let (memory, backing, numa) = self.memory.finish(machine.memory_backend.as_deref()).map_err(wrong)?;
        let (console, debugcon) = chardevs.finish(&mut notes).map_err(wrong)?;
        let mut control = self.monitors.finish(&mut chardevs, &mut notes).map_err(wrong)?;
        let disks = self.drives.finish(&mut notes).map_err(wrong)?;
        control.fds = self.drives.fds();
        let mut virtio = self.nets.finish(&mut notes).map_err(wrong)?;
        virtio.vhost_user = self.vhost_users.finish(&mut chardevs).map_err(wrong)?;
        virtio.ports = self.ports.finish(&mut chardevs).map_err(wrong)?;
        let usb = self.usb.finish(&disks);
        let rtc = self.clock.finish(&options, &mut notes);
        let guest_info = self.guest.finish().map_err(wrong)?;
        let cpus = self.processor.topology().map_err(wrong)?;
        let kernel = kernel(self.kernel, self.initrd, self.append)?;
        let firmware = machine.bios.unwrap_or_else(|| default_firmware(kernel.is_some(), &options));
        let config = Config {
            memory,
            backing,
            cpus,
            numa,
            cpu: self.processor.model,
            options,
            rtc,
            extras: self.extras,
            firmware,
            kernel,
            disks,
            usb,
            virtio,
            console,
            escape: self.escape,
            debugcon,
            on_reset: self.on_reset,
            guest_info,
            control,
            ..Config::default()
        };
        Ok(Parsed { config, notes, dry_run: self.dry_run })
    }
}

/// QEMU's place for the debug exit unless told otherwise.
const DEBUG_EXIT_PORT: u16 = 0x501;

fn unknown_device(driver: &str) -> Reason {
    let known: Vec<_> = device_names().collect();
    let hint = match nearest(driver, known.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean {meant}?"),
        None => "`-device help` lists what there is".into(),
    };
    format!("unknown device `{driver}`, {hint}").into()
}

/// `-echr N`: the key's ASCII code.
fn echr(text: &str) -> Result<EscapeKey, Reason> {
    let code = opts::number(text).and_then(|code| u8::try_from(code).ok()).filter(u8::is_ascii);
    code.map(EscapeKey).ok_or_else(|| "it is no ASCII code, use for example -echr 0x14 for Ctrl-t".into())
}

/// Driver, property and value of `-global` in either form.
fn global_parts(text: &str) -> Result<(String, String, String), Reason> {
    if let Some((place, value)) = text.split_once('=')
        && let Some((driver, property)) = place.split_once('.')
    {
        return Ok((driver.into(), property.into(), value.into()));
    }
    let mut opts = Opts::parse(text, None);
    let parts = (opts.need("driver")?, opts.need("property")?, opts.need("value")?);
    opts.finish().map(|()| parts)
}

/// The kernel with what belongs to it.
fn kernel(
    path: Option<String>,
    initrd: Option<String>,
    append: String,
) -> Result<Option<KernelConfig>, QemuError> {
    let Some(path) = path else {
        let orphan =
            initrd.map(|initrd| ("-initrd", initrd)).or((!append.is_empty()).then_some(("-append", append)));
        return orphan.map_or(Ok(None), |(option, value)| {
            let reason = "it is for a kernel, add -kernel FILE".into();
            Err(QemuError::Value { option: option.into(), value, reason })
        });
    };
    Ok(Some(KernelConfig { path: path.into(), initrd: initrd.map(Into::into), cmdline: append }))
}
