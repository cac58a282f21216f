//! `tinderbox run`: boot a machine, or print it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::console::ConsoleArgs;
use super::control::ControlArgs;
use super::cpu::CpuChoice;
use super::device::{DeviceArg, Devices};
use super::disk::DiskArgs;
use super::failure::Failure;
use super::guest_info::GuestInfoArgs;
use super::kernel::KernelArgs;
use super::machine::MachineArgs;
use super::numa::NumaArgs;
use super::usb::UsbArgs;
use super::virtio::VirtioArgs;
use super::{cpu, dry_run, print};
use crate::config::{Config, Console, Endpoint, FirmwareChoice, MachineOptions, OnReset, PortEnd, Switch};
use crate::daemon;
use crate::host;
use crate::machine::{self, Outcome, Plan, Start};

/// The firmware that starts kernels alone, and needs no ACPI for it.
const QBOOT: &str = "qboot";

const EXAMPLES: &str = "\
Examples:
  tinderbox run debian.raw
  tinderbox run debian.raw --cpus 4 --memory 6G
  tinderbox run --disk a.raw --disk b.raw,readonly=on --console file:serial.log
  tinderbox run --usb storage,disk=debian.raw --usb kbd --firmware seabios-usb
  tinderbox run debian.raw --debugcon file:firmware.log --dry-run
  tinderbox run debian.raw --kernel vmlinuz --initrd initrd.img --cmdline 'root=/dev/vda1 console=ttyS0'

Exit status:
  0  the guest powered off, or reset under --no-reboot, or Ctrl-a x
  1  failure
  2  usage: the command line asks for something that cannot be
  With --device debug-exit also 2 * N + 1 for a guest that writes N to its port.";

/// What `tinderbox run` was told.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// A machine file: the options of this command in TOML, as `tinderbox config` prints them. What is said here, too, wins
    #[arg(long = "config", value_name = "FILE")]
    _file: Option<PathBuf>,
    /// Print the resolved machine and exit: map, interrupts, devices
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: as JSON, for programs
    #[arg(long, requires = "dry_run")]
    json: bool,
    #[command(flatten)]
    pub(super) config: ConfigArgs,
}

/// The options that describe a machine.
#[derive(Args, Debug)]
// What a value looks like is often longer than what it means.
#[command(next_line_help = true)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    disks: DiskArgs,
    #[command(flatten)]
    usb: UsbArgs,
    #[command(flatten)]
    virtio: VirtioArgs,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    numa: NumaArgs,
    #[command(flatten)]
    kernel: KernelArgs,
    #[command(flatten)]
    console: ConsoleArgs,
    #[command(flatten)]
    guest_info: GuestInfoArgs,
    #[command(flatten)]
    control: ControlArgs,
}

impl ConfigArgs {
    /// The machine as described.
    ///
    /// # Errors
    /// When two options contradict each other.
    pub(crate) fn into_config(self) -> Result<Config, Failure> {
        let kernel = self.kernel.into_kernel();
        let mut options = self.machine.options.unwrap_or_default();
        if self.machine.rtc.is_some() {
            options.rtc = clock_switch(options.rtc)?;
        }
        let default_firmware = default_firmware(kernel.is_some(), &options);
        let mut disks = self.disks.into_disks();
        let usb = self.usb.into_usb(&mut disks);
        let Devices { extras, root_ports, vfio } = DeviceArg::sort(self.machine.on_request);
        Ok(Config {
            memory: self.machine.memory.size,
            backing: self.machine.memory.backing,
            cpus: self.machine.cpus,
            numa: self.numa.into_numa(),
            cpu: self.machine.cpu.into_model(),
            options,
            rtc: self.machine.rtc.unwrap_or_default(),
            extras,
            root_ports,
            vfio,
            firmware: self.machine.firmware.unwrap_or(default_firmware),
            kernel,
            disks,
            usb,
            virtio: self.virtio.into_config(),
            console: self.console.console,
            escape: self.console.escape,
            debugcon: self.console.debugcon.map(|file| file.0),
            timeline: self.console.timeline,
            on_reset: if self.machine.no_reboot { OnReset::End } else { OnReset::Reboot },
            guest_info: self.guest_info.into_guest_info()?,
            control: self.control.into_control(),
            kvm: self.machine.kvm,
        })
    }
}

/// Who says what the clock shows wants one.
fn clock_switch(switch: Switch) -> Result<Switch, Failure> {
    match switch {
        Switch::Off => {
            Err(Failure::Usage("--rtc: --machine rtc=off leaves no clock, leave one of them out".into()))
        }
        Switch::On | Switch::Auto => Ok(Switch::On),
    }
}

/// A kernel needs no firmware, SeaBIOS finds no disk without ACPI.
pub(super) fn default_firmware(has_kernel: bool, options: &MachineOptions) -> FirmwareChoice {
    match (has_kernel, options.has_acpi()) {
        (true, _) => FirmwareChoice::None,
        (false, true) => Config::default().firmware,
        (false, false) => FirmwareChoice::Named(QBOOT.into()),
    }
}

/// qboot starts a kernel of the host's, and stands still for ever without one.
fn check_kernel(config: &Config) -> Result<(), Failure> {
    let is_qboot = config.firmware == FirmwareChoice::Named(QBOOT.into());
    if is_qboot && config.kernel.is_none() {
        let message = "--firmware qboot, the default with --machine acpi=off, starts nothing by itself, \
                       give it a kernel with --kernel FILE";
        return Err(Failure::Usage(message.into()));
    }
    Ok(())
}

/// Standard input and output have one user.
fn check_stdio(config: &Config) -> Result<(), Failure> {
    let monitors = config.control.qmp.iter().filter(|monitor| monitor.endpoint == Endpoint::Stdio).count();
    let ports = config.virtio.ports.iter().filter(|port| port.end == PortEnd::Stdio).count();
    let users = monitors + ports + usize::from(config.console == Console::Stdio);
    if config.control.daemonize && users > 0 {
        let message =
            "--daemonize leaves no terminal: give console, ports and QMP elsewhere, as with --console none";
        return Err(Failure::Usage(message.into()));
    }
    if monitors + usize::from(config.console == Console::Stdio) > 1 {
        let message =
            "QMP on stdio needs it for itself: give the console elsewhere, as with --console file:PATH";
        return Err(Failure::Usage(message.into()));
    }
    Ok(())
}

/// Boots the machine and waits for its end, or prints it.
pub(crate) fn run(args: RunArgs) -> Result<ExitCode, Failure> {
    if args.config.machine.cpu == CpuChoice::List {
        print(&cpu::list(&args.config.machine.kvm))?;
        return Ok(ExitCode::SUCCESS);
    }
    let purpose = match (args.dry_run, args.json) {
        (false, _) => Purpose::Boot,
        (true, false) => Purpose::Text,
        (true, true) => Purpose::Json,
    };
    let config = args.config.into_config()?;
    match in_background(&config, purpose)? {
        Some(status) => Ok(status),
        None => run_config(&config, purpose),
    }
}

/// Runs the machine of `config` in the background if it is to be there and this process is not.
pub(super) fn in_background(config: &Config, purpose: Purpose) -> Result<Option<ExitCode>, Failure> {
    if !config.control.daemonize || purpose != Purpose::Boot || daemon::is_background() {
        return Ok(None);
    }
    check_stdio(config)?;
    Ok(daemon::start().map(Some).context("start in the background")?)
}

/// What a machine is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To run.
    Boot,
    /// To be shown to people.
    Text,
    /// To be shown to programs.
    Json,
}

/// Checks that there is a machine of `args`.
pub(super) fn check(args: ConfigArgs) -> Result<(), Failure> {
    let config = args.into_config()?;
    Plan::check(&config, address_bits()?)?;
    check_kernel(&config)
}

/// Boots the machine of `config` and waits for its end, or prints it.
pub(super) fn run_config(config: &Config, purpose: Purpose) -> Result<ExitCode, Failure> {
    // What no firmware could change is said first, and says the same on a host without firmware or KVM.
    Plan::check(config, address_bits()?)?;
    check_kernel(config)?;
    check_stdio(config)?;
    if purpose == Purpose::Boot { boot(config) } else { show(config, purpose) }
}

fn show(config: &Config, purpose: Purpose) -> Result<ExitCode, Failure> {
    let start = Start::open(config)?;
    let plan = Plan::new(config, start.firmware_len(), address_bits()?)?;
    let placed = start.place(&plan).map_err(anyhow::Error::new)?;
    if purpose == Purpose::Json {
        return print(&dry_run::json(config, &plan)).map(|()| ExitCode::SUCCESS);
    }
    let kernel = placed.kernel().map(dry_run::start).unwrap_or_default();
    print(&(dry_run::describe(config, &plan) + &kernel))?;
    Ok(ExitCode::SUCCESS)
}

fn boot(config: &Config) -> Result<ExitCode, Failure> {
    // Ended from inside, or by the person in front of it: either is as asked.
    match machine::run(config)? {
        Outcome::PoweredOff | Outcome::Reset | Outcome::Quit => Ok(ExitCode::SUCCESS),
        Outcome::Exit(status) => Ok(ExitCode::from(status)),
    }
}

/// Physical address bits of the host's CPU, which the guest's has too.
pub(super) fn address_bits() -> Result<u32, Failure> {
    Ok(host::physical_address_bits().map_err(anyhow::Error::new)?)
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use super::*;
    use crate::backing::Backing;
    use crate::config::{
        CloudInit, Console, ControlConfig, EscapeKey, ExtraDevice, FsServer, FwCfgFile, GuestInfo,
        KernelConfig, Monitor, NodeConfig, NumaConfig, OnPowerOff, PmemConfig, PortConfig, PortEnd, RtcBase,
        RtcClock, RtcConfig, Side, Source, StartState, Switch, UsbConfig, VhostUserConfig, VirtioBus,
        VirtioConfig, VsockConfig,
    };
    use crate::cpu::CpuModel;
    use crate::topology::Topology;
    use clap::{CommandFactory as _, Parser};

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        args: ConfigArgs,
    }

    fn config(args: &str) -> Config {
        let words = std::iter::once("run").chain(args.split_whitespace());
        Alone::try_parse_from(words).unwrap().args.into_config().unwrap()
    }

    #[test]
    fn parser_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_is_grouped_has_examples_and_is_no_column_of_words() {
        let mut cli = Cli::command();
        let run = cli.find_subcommand_mut("run").unwrap();
        let help = run.clone().term_width(100).render_help().to_string();
        for group in [
            "Disks",
            "USB",
            "Network and other devices",
            "Machine",
            "Consoles",
            "Control from outside",
            "Examples",
        ] {
            assert!(help.contains(&format!("\n{group}")), "{group}\n{help}");
        }
        let lines: Vec<_> = help.lines().collect();
        let words = |line: &&&str| line.starts_with("  ") && line.split_whitespace().count() == 1;
        assert!(lines.len() < 200 && lines.iter().filter(words).count() < 20, "{help}");
    }

    #[test]
    fn no_options_mean_the_default_machine() {
        assert_eq!(config(""), Config::default());
    }

    #[test]
    fn every_option_reaches_the_configuration() {
        let args = "--memory 6G,shared=on --cpus 4 --cpu host,-avx --firmware ./bios --kernel vmlinuz --initrd initrd \
                    --cmdline quiet --console none --escape ctrl-x --debugcon file:fw.log --timeline boot.json,mark=up --no-reboot --kvm /dev/kvm2 \
                    --uuid 00112233-4455-6677-8899-aabbccddeeff --fw-cfg opt/a,file=b \
                    --machine pit=off --rtc base=localtime,clock=rt --numa node,cpus=0-3,memory=6G --device pvpanic --device reset-port --rng --input kbd --input tablet --net null --fs tag=src,socket=s --vhost-user blk,socket=b --virtio-console pty --vsock socket=v --balloon 64M --pmem p,size=64M --cloud-init user-data=u \
                    --name vm --pidfile pid --qmp unix:q --paused --no-shutdown --daemonize";
        let file = FwCfgFile { name: "opt/a".into(), content: Source::File("b".into()) };
        let expected = Config {
            memory: 6 << 30,
            backing: Backing { shared: true, ..Backing::default() },
            cpus: Topology::of_cores(4),
            numa: NumaConfig {
                nodes: vec![NodeConfig { cpus: vec![0..=3], memory: 6 << 30 }],
                ..NumaConfig::default()
            },
            cpu: CpuModel { switches: [("avx", false)].into(), ..CpuModel::default() },
            options: MachineOptions { pit: Switch::Off, rtc: Switch::On, ..MachineOptions::default() },
            rtc: RtcConfig { base: RtcBase::LocalTime, clock: RtcClock::Steady },
            extras: vec![ExtraDevice::PvPanic, ExtraDevice::ResetPort],
            root_ports: Vec::new(),
            vfio: Vec::new(),
            firmware: FirmwareChoice::File("./bios".into()),
            kernel: Some(KernelConfig {
                path: "vmlinuz".into(),
                initrd: Some("initrd".into()),
                cmdline: "quiet".into(),
            }),
            disks: Vec::new(),
            usb: UsbConfig::default(),
            virtio: VirtioConfig {
                bus: VirtioBus::Mmio,
                rng: true,
                inputs: vec![virtio::input::Kind::Keyboard, virtio::input::Kind::Tablet],
                nets: vec!["null".parse().unwrap()],
                vhost_user: vec![
                    VhostUserConfig::Fs { tag: "src".into(), server: FsServer::Socket("s".into()) },
                    VhostUserConfig::Blk { socket: "b".into(), queues: 1 },
                ],
                ports: vec![PortConfig { kind: virtio::console::Kind::Console, end: PortEnd::Pty }],
                vsock: Some(VsockConfig { cid: 3, socket: Some("v".into()) }),
                balloon: Some(64 << 20),
                balloon_id: None,
                pmems: vec![PmemConfig { path: "p".into(), size: 64 << 20 }],
                cloud_init: Some(CloudInit { user_data: "u".into(), meta_data: None, network_config: None }),
            },
            console: Console::None,
            escape: EscapeKey(24),
            debugcon: Some("fw.log".into()),
            timeline: "boot.json,mark=up".parse().ok(),
            on_reset: OnReset::End,
            guest_info: GuestInfo {
                uuid: "00112233-4455-6677-8899-aabbccddeeff".parse().ok(),
                smbios: None,
                files: vec![file],
            },
            control: ControlConfig {
                name: Some("vm".into()),
                pid_file: Some("pid".into()),
                qmp: vec![Monitor { endpoint: Endpoint::Unix("q".into()), side: Side::Server }],
                gdb: None,
                start: StartState::Paused,
                on_power_off: OnPowerOff::Stay,
                daemonize: true,
                fds: Vec::new(),
            },
            kvm: "/dev/kvm2".into(),
        };
        assert_eq!(config(args), expected);
    }

    #[test]
    fn kernel_alone_starts_without_firmware() {
        assert_eq!(config("--kernel vmlinuz").firmware, FirmwareChoice::None);
        assert_eq!(
            config("--kernel vmlinuz --firmware qboot").firmware,
            FirmwareChoice::Named("qboot".into())
        );
    }

    #[test]
    fn machine_without_acpi_starts_in_qboot() {
        assert_eq!(config("--machine acpi=off").firmware, FirmwareChoice::Named("qboot".into()));
        assert_eq!(config("--machine acpi=off --kernel vmlinuz").firmware, FirmwareChoice::None);
        assert_eq!(
            config("--machine acpi=off --firmware seabios").firmware,
            FirmwareChoice::Named("seabios".into())
        );
    }

    #[test]
    fn plain_disk_comes_before_the_others_and_keeps_its_commas() {
        let config = config("--disk b.raw,readonly=on a,b.raw --disk c.raw");
        let disks: Vec<_> =
            config.disks.iter().map(|disk| (disk.path.to_str().unwrap(), disk.readonly)).collect();
        assert_eq!(disks, [("a,b.raw", false), ("b.raw", true), ("c.raw", false)]);
    }
}
