//! From the plan to a machine that stands at its reset vector.
//!
//! The order matters to the user: what is wrong with the command line, the firmware or an image is said before
//! `/dev/kvm` is touched, and nothing on the host is changed before everything is open.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use block::{Backend, OpenMode, RawImage, ReadOnly};
use bus::{Bus, Device, IrqLine};
use chipset::debugcon;
use chipset::ged::{Ged, PowerButton, PowerEvent, SleepReset};
use chipset::ioapic::IoApic;
use chipset::uart;
use firmware::FirmwareImage;
use firmware::fw_cfg::FwCfg;
use virtio::blk::{self, Blk};
use virtio::mmio::{self, MmioTransport};

use super::console::{Console, Log, Serial, Waker};
use super::control::{Cause, Control, Event};
use super::guest_info::GuestData;
use super::plan::{Plan, Range, TransportPlan};
use super::tables;
use super::vcpus::{Board, Vcpus};
use crate::config::{self, Config, DiskConfig};
use crate::kvm::{GuestRam, Kvm, Vcpu, Vm, install_wake_handler};
use crate::{bundle, host};

/// What the host contributes, opened before anything else happens.
pub(super) struct Resources {
    firmware: Option<FirmwareImage>,
    disks: Vec<Disk>,
    console: Option<(Box<dyn io::Write + Send>, bool)>,
    debugcon: Option<File>,
    guest_data: GuestData,
    kvm: Kvm,
}

impl Resources {
    /// Opens everything that `config` names.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        let firmware = bundle::load(&config.firmware)?;
        host::check_memory(config.memory)?;
        let disks = config.disks.iter().map(open_disk).collect::<anyhow::Result<_>>()?;
        let guest_data = GuestData::read(&config.guest_info)?;
        let kvm = Kvm::open(&config.kvm)?;
        let console: Option<(Box<dyn io::Write + Send>, bool)> = match &config.console {
            config::Console::Stdio => Some((Box::new(io::stdout()), true)),
            config::Console::File(path) => Some((Box::new(create(path, "--console")?), false)),
            config::Console::None => None,
        };
        let debugcon = config.debugcon.as_deref().map(|path| create(path, "--debugcon")).transpose()?;
        Ok(Self { firmware, disks, console, debugcon, guest_data, kvm })
    }

    /// Size of the firmware image in bytes, which the plan needs; 0 without one.
    pub(super) fn firmware_len(&self) -> u64 {
        self.firmware.as_ref().map_or(0, |image| image.bytes().len() as u64)
    }
}

/// A disk's contents, and what the guest can tell it by.
struct Disk {
    backend: Arc<dyn Backend>,
    serial: blk::Serial,
}

fn open_disk(disk: &DiskConfig) -> anyhow::Result<Disk> {
    let backend: Arc<dyn Backend> = if disk.readonly {
        Arc::new(ReadOnly::new(RawImage::open(&disk.path, OpenMode::ReadOnly)?))
    } else {
        Arc::new(RawImage::open(&disk.path, OpenMode::ReadWrite)?)
    };
    Ok(Disk { backend, serial: disk.serial })
}

fn create(path: &Path, option: &str) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("{option}: create {}", path.display()))
}

/// A machine with its devices in place and its vCPUs at the reset vector.
pub(super) struct Machine {
    // Dropped in this order: the VM's vCPUs and slots before the memory they use.
    vcpus: Vec<Vcpu>,
    pub(super) board: Arc<Board>,
    pub(super) control: Arc<Control>,
    pub(super) events: Receiver<Event>,
    pub(super) power_button: PowerButton,
    console: Option<Console>,
    _vm: Vm,
    ram: GuestRam,
    firmware: Option<FirmwareImage>,
}

impl Machine {
    /// Builds the machine of `plan`.
    pub(super) fn build(plan: &Plan, resources: Resources) -> anyhow::Result<Self> {
        let Resources { firmware, disks, console, debugcon, guest_data, kvm } = resources;
        let ram = GuestRam::allocate(plan)?;
        if let Some(firmware) = &firmware {
            ram.restore_firmware(firmware.bytes())?;
        }
        let vm = kvm.create_vm(plan)?;
        vm.set_memory(&ram)?;
        let (control, events) = Control::new(plan.apic_ids.len());
        let control = Arc::new(control);
        let mut builder = Builder::new(&vm, plan, &ram)?;
        let power_button = builder.ged(&control)?;
        builder.fw_cfg(&guest_data)?;
        let waker = Waker::new().context("make an eventfd")?;
        let serial = builder.com1(console, &waker)?;
        let log = builder.debugcon(debugcon, &waker)?;
        builder.transports(&disks)?;
        let board = Arc::new(builder.board);
        let vcpus =
            (0..plan.apic_ids.len()).map(|index| vm.create_vcpu(index, plan)).collect::<Result<_, _>>()?;
        let console =
            Console::start(serial, log, waker, Arc::clone(&control)).context("start the console's thread")?;
        Ok(Self {
            vcpus,
            board,
            control,
            events,
            power_button,
            console: Some(console),
            _vm: vm,
            ram,
            firmware,
        })
    }

    /// Lets the guest run.
    pub(super) fn start(&mut self) -> anyhow::Result<Vcpus> {
        install_wake_handler().context("install the wake-up signal")?;
        let vcpus = std::mem::take(&mut self.vcpus);
        Vcpus::start(vcpus, &self.board, &self.control).context("start the vCPU threads")
    }

    /// Power-on state of everything but the vCPUs, which are parked meanwhile. RAM keeps its content.
    pub(super) fn reset(&self) -> anyhow::Result<()> {
        self.board.reset();
        if let Some(firmware) = &self.firmware {
            self.ram.restore_firmware(firmware.bytes())?;
        }
        Ok(())
    }

    /// Writes out what the guest sent last.
    pub(super) fn finish(&mut self) {
        if let Some(console) = self.console.take() {
            console.finish();
        }
    }
}

/// Puts devices on the buses, each where the plan says.
struct Builder<'a> {
    vm: &'a Vm,
    plan: &'a Plan,
    ram: &'a GuestRam,
    board: Board,
}

impl<'a> Builder<'a> {
    fn new(vm: &'a Vm, plan: &'a Plan, ram: &'a GuestRam) -> anyhow::Result<Self> {
        let mut routes = vm.routes();
        routes.connect(0..plan.gsi_count()).context("connect the interrupt routes")?;
        let routes = Arc::new(routes);
        let ioapics =
            plan.ioapics.iter().map(|ioapic| IoApic::new(ioapic.gsi_base, routes.clone())).collect();
        let board = Board { mmio: Bus::new(), pio: Bus::new(), ioapics };
        let mut builder = Self { vm, plan, ram, board };
        for (n, ioapic) in plan.ioapics.iter().enumerate() {
            if let Some(device) = builder.board.ioapics.get(n).map(IoApic::device) {
                builder.mmio(&format!("ioapic{n}"), ioapic.mmio, device)?;
            }
        }
        Ok(builder)
    }

    fn mmio(&mut self, name: &str, range: Range, device: impl Device + 'static) -> anyhow::Result<()> {
        Ok(self.board.mmio.insert(name, range.start, range.len, Arc::new(Mutex::new(device)))?)
    }

    fn pio(&mut self, name: &str, range: Range, device: impl Device + 'static) -> anyhow::Result<()> {
        Ok(self.board.pio.insert(name, range.start, range.len, Arc::new(Mutex::new(device)))?)
    }

    fn line(&self, gsi: u32) -> IrqLine {
        self.board.ioapics.iter().find_map(|ioapic| ioapic.line(gsi)).unwrap_or_else(IrqLine::unconnected)
    }

    fn ged(&mut self, control: &Arc<Control>) -> anyhow::Result<PowerButton> {
        let ged = Ged::new(self.line(self.plan.ged.gsi));
        let button = ged.power_button();
        self.mmio("ged", self.plan.ged.events, ged)?;
        let control = Arc::clone(control);
        let power = SleepReset::new(move |event| {
            control.ask(match event {
                PowerEvent::PowerOff => Event::PowerOff,
                PowerEvent::Reset => Event::Reset(Cause::Register),
            });
        });
        self.mmio("power", self.plan.ged.power, power)?;
        Ok(button)
    }

    fn fw_cfg(&mut self, data: &GuestData) -> anyhow::Result<()> {
        let mut contents = tables::fw_cfg(self.plan)?;
        data.offer(self.plan, &mut contents)?;
        self.pio("fw_cfg", self.plan.fw_cfg, FwCfg::new(contents, self.ram.memory().clone()))
    }

    fn com1(
        &mut self,
        console: Option<(Box<dyn io::Write + Send>, bool)>,
        waker: &Waker,
    ) -> anyhow::Result<Option<Serial>> {
        let (Some(com1), Some((output, typed))) = (self.plan.com1, console) else { return Ok(None) };
        let waker = waker.clone();
        let (device, uart) = uart::pair(self.line(com1.gsi), move || waker.wake());
        self.pio("com1", com1.ports, device)?;
        Ok(Some(Serial { uart, output, typed }))
    }

    fn debugcon(&mut self, file: Option<File>, waker: &Waker) -> anyhow::Result<Option<Log>> {
        let (Some(port), Some(file)) = (self.plan.debugcon, file) else { return Ok(None) };
        let waker = waker.clone();
        let (device, reader) = debugcon::pair(move || waker.wake());
        self.pio("debugcon", port, device)?;
        Ok(Some(Log { reader, file }))
    }

    /// All transports, those without a device too.
    fn transports(&mut self, disks: &[Disk]) -> anyhow::Result<()> {
        let plan = self.plan;
        plan.transports.iter().try_for_each(|transport| {
            let disk = transport.disk.and_then(|disk| disks.get(disk));
            self.transport(transport, disk)
        })
    }

    fn transport(&mut self, plan: &TransportPlan, disk: Option<&Disk>) -> anyhow::Result<()> {
        let name = format!("virtio{}", plan.index);
        let device = disk.map(|disk| Box::new(Blk::new(Arc::clone(&disk.backend), disk.serial)) as _);
        let transport = MmioTransport::new(device, self.ram.memory().clone(), self.line(plan.gsi))
            .with_context(|| format!("start {name}"))?;
        for (queue, kick) in transport.kicks() {
            self.vm.ioeventfd(kick, plan.mmio.start + mmio::QUEUE_NOTIFY, queue)?;
        }
        self.mmio(&name, plan.mmio, transport)
    }
}
