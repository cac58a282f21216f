//! From the plan to a machine that stands at its first instruction.
//!
//! The order matters to the user: what is wrong with the command line, the firmware or an image is said before
//! `/dev/kvm` is touched, and nothing on the host is changed before everything is open.

use std::fs::File;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use bus::{Bus, Device};
use chardev::Keep;
use chipset::debugcon;
use chipset::ged::{self, Ged, PowerEvent, SleepReset, Trigger};
use chipset::ioapic::IoApic;
use chipset::time::Clock;
use chipset::uart;
use firmware::fw_cfg::FwCfg;
use firmware::smbios::Tables;
use virtio::VirtioDevice;
use virtio::mmio::{self, MmioTransport};
use vm_memory::GuestMemoryMmap;

use super::console::{Console, End, Log, Serial, Waker};
use super::control::{Cause, Control, Event};
use super::disk_size::DiskSize;
use super::disks::Disk;
use super::drives::Drives;
use super::fd_sets::FdSets;
use super::generation::Generation;
use super::guest_info::GuestData;
use super::hands::Hands;
use super::pass_through::HostFunctions;
use super::plan::{Plan, Range, TransportPlan, Virtio};
use super::remote::Notice;
use super::start::Placed;
use super::stream::Stream;
use super::timers::{Alarm, Timers};
use super::usb::Usb;
use super::usb_devices::UsbDevices;
use super::vcpus::{Board, Vcpus};
use super::virtio::{Backends, open_end};
use super::{tables, wall_clock};
use crate::boot::{Handover, Ram};
use crate::config::{self, Config, EscapeKey, Irqchip, OutputFile};
use crate::host;
use crate::kvm::{GuestRam, Kvm, Routes, Vcpu, Vm, install_wake_handler};
use crate::timeline::{Places, Recorder, Watched};

/// What the host contributes besides what the machine starts with.
pub(super) struct Resources {
    disks: Vec<Disk>,
    virtio: Backends,
    usb: UsbDevices,
    host_functions: HostFunctions,
    console: Option<End>,
    debugcon: Option<File>,
    guest_data: GuestData,
    escape: EscapeKey,
    rtc: Arc<dyn Clock>,
    fds: FdSets,
    kvm: Kvm,
}

impl Resources {
    /// Opens everything that `config` names.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        host::check_memory(config.memory, &config.backing)?;
        let fds = FdSets::open(&config.control.fds)?;
        let disks = config.disks.iter().map(|disk| Disk::open(disk, &fds));
        let disks = disks.collect::<anyhow::Result<_>>()?;
        let virtio = Backends::open(&config.virtio)?;
        let usb = UsbDevices::open(&config.usb)?;
        let host_functions = HostFunctions::open(&config.vfio)?;
        let guest_data = GuestData::read(&config.guest_info)?;
        let kvm = Kvm::open(&config.kvm)?;
        let console = open_console(&config.console)?;
        let escape = config.escape;
        let rtc = wall_clock::start(config.rtc);
        let debugcon = config.debugcon.as_ref().map(OutputFile::open).transpose().context("--debugcon")?;
        Ok(Self { disks, virtio, usb, host_functions, console, debugcon, guest_data, escape, rtc, fds, kvm })
    }
}

/// What COM1 is connected to, if there is one.
fn open_console(console: &config::Console) -> anyhow::Result<Option<End>> {
    Ok(Some(match console {
        config::Console::Stdio => End::Terminal,
        config::Console::File(file) => End::File(file.open().context("--console")?),
        config::Console::Stream(end) => {
            let chardev = open_end(end, Keep::Last).context("--console")?;
            End::Stream(Stream::new(chardev).context("--console")?)
        }
        config::Console::None => return Ok(None),
    }))
}

/// A machine with its devices in place and its vCPUs about to start.
pub(super) struct Machine {
    // Dropped in this order: the VM's vCPUs and slots before the memory they use.
    vcpus: Vec<Vcpu>,
    pub(super) board: Arc<Board>,
    pub(super) control: Arc<Control>,
    pub(super) events: Receiver<Event>,
    /// Comes with ACPI.
    pub(super) power_button: Option<Trigger>,
    /// Comes with ACPI.
    pub(super) sleep_button: Option<Trigger>,
    pub(super) generation: Option<Generation>,
    /// The host's hand on the balloon, if there is one.
    pub(super) balloon: Option<virtio::balloon::Control>,
    /// The plugs of the network interfaces, in their order.
    pub(super) links: Vec<net::Plug>,
    /// What types and points.
    pub(super) hands: Hands,
    /// The drives whose medium can go, and what programs opened for them.
    pub(super) drives: Arc<Drives>,
    /// The host's hands on the sizes of the disks, in their order.
    pub(super) disk_sizes: Vec<Option<DiskSize>>,
    console: Option<Console>,
    _timers: Option<Timers>,
    /// The USB controller, until the machine ends.
    pub(super) usb: Option<Usb>,
    vm: Vm,
    ram: GuestRam,
    start: Placed,
    /// The host bridge, if there is no firmware to give out its buses and addresses.
    pcie: Option<pcie::Host>,
}

impl Machine {
    /// Builds the machine of `plan`, to begin with `start`.
    pub(super) fn build(plan: &Plan, resources: Resources, mut start: Placed) -> anyhow::Result<Self> {
        let Resources {
            disks,
            virtio,
            usb,
            host_functions,
            console,
            debugcon,
            guest_data,
            escape,
            rtc,
            fds,
            kvm,
        } = resources;
        bus::workers_behave(crate::kvm::take_manner);
        let ram = GuestRam::allocate(plan, virtio.pmems())?;
        let vm = kvm.create_vm(plan)?;
        let smbios = guest_data.smbios(plan, &vm.processor(plan.topology))?;
        if let Some(tables) = &smbios {
            start.describe(tables);
        }
        start.write(&ram, Ram::Fresh)?;
        vm.set_memory(&ram)?;
        let (control, events) = Control::new(plan.apic_ids.len());
        let control = Arc::new(control);
        let vcpus: Vec<_> = (0..plan.apic_ids.len())
            .map(|index| vm.create_vcpu(index, plan, start.entry()))
            .collect::<Result<_, _>>()?;
        let mut builder = Builder::new(&vm, plan, &ram)?;
        builder.pic(vcpus.first().map(Vcpu::waker).unwrap_or_default())?;
        let alarm = Alarm::default();
        let timers = builder.clocks(&alarm, rtc)?;
        let triggers = builder.ged(&control)?;
        let generation = generation(plan, &ram, triggers.as_ref())?;
        builder.extras(&control)?;
        builder.fw_cfg(&guest_data, smbios.as_ref(), start.handover())?;
        let waker = Waker::new().context("make an eventfd")?;
        let serial = builder.com1(console, &waker)?;
        let log = builder.debugcon(debugcon, &waker)?;
        let mut virtio = virtio.with_memory(ram.memory());
        let teller = Arc::clone(&control);
        let balloon = virtio.balloon(move |bytes| teller.tell(Event::Balloon(bytes)))?;
        let links = virtio.plugs();
        let hands = virtio.hands();
        let drives = drives(fds, &control);
        virtio.targets(&disks, &drives);
        builder.transports(|device| virtio.device(device, plan, &disks))?;
        let (usb, usb_function) = builder.usb(usb, &disks, hands.clone(), Arc::clone(&drives))?;
        let host_functions = host_functions.with_memory(ram.memory())?;
        let pcie = builder
            .pcie(&disks, |device| virtio.device(device, plan, &disks), usb_function, &host_functions)?
            .filter(|_| start.kernel().is_some());
        pcie.iter().for_each(pcie::Host::assign);
        let board = Arc::new(builder.board);
        let needs_timers = !timers.is_empty();
        let timers = needs_timers.then(|| Timers::start(timers, alarm)).transpose();
        let timers = timers.context("start the timers' thread")?;
        let console = Console::start(serial, log, waker, Arc::clone(&control), escape)
            .context("start the console's thread")?;
        Ok(Self {
            vcpus,
            board,
            control,
            events,
            power_button: triggers.as_ref().map(|triggers| triggers.power_button.clone()),
            sleep_button: triggers.map(|triggers| triggers.sleep_button),
            generation,
            balloon,
            links,
            hands,
            drives,
            disk_sizes: disks.iter().map(|disk| disk.size.clone()).collect(),
            console: Some(console),
            _timers: timers,
            usb,
            vm,
            ram,
            start,
            pcie,
        })
    }

    /// Lets the guest run.
    pub(super) fn start(&mut self, plan: &Plan, timeline: Option<&Arc<Recorder>>) -> anyhow::Result<Vcpus> {
        install_wake_handler().context("install the wake-up signal")?;
        let vcpus = std::mem::take(&mut self.vcpus);
        let started = match timeline {
            None => Vcpus::start(vcpus, &self.board, &self.control),
            Some(recorder) => {
                let serial = plan.com1.map(|com1| com1.ports.start);
                let places = Places::new(&self.board.pio, &self.board.mmio, serial);
                let watched = Watched::new(Arc::clone(&self.board), Arc::clone(recorder), places);
                Vcpus::start(vcpus, &Arc::new(watched), &self.control)
            }
        };
        started.context("start the vCPU threads")
    }

    /// Power-on state of everything but the vCPUs, which are parked meanwhile. RAM keeps its content.
    pub(super) fn reset(&self) -> anyhow::Result<()> {
        self.board.reset();
        self.pcie.iter().for_each(pcie::Host::assign);
        self.vm.reset_irqchip()?;
        self.generation.as_ref().map_or(Ok(()), Generation::restore).context("restore the generation id")?;
        self.start.write(&self.ram, Ram::Used)
    }

    /// Guest memory.
    pub(super) fn memory(&self) -> &GuestMemoryMmap {
        self.ram.memory()
    }

    /// Writes out what the guest sent last.
    pub(super) fn finish(&mut self) {
        if let Some(console) = self.console.take() {
            console.finish();
        }
    }
}

/// What the host tells the guest by the GED.
struct Triggers {
    power_button: Trigger,
    sleep_button: Trigger,
    generation: Trigger,
}

/// Drives that tell everybody of their trays.
fn drives(fds: FdSets, control: &Arc<Control>) -> Arc<Drives> {
    let control = Arc::clone(control);
    Arc::new(Drives::new(fds, move |moved| control.tell(Event::Announced(Notice::TrayMoved(moved)))))
}

fn generation(
    plan: &Plan,
    ram: &GuestRam,
    triggers: Option<&Triggers>,
) -> anyhow::Result<Option<Generation>> {
    let (Some(plan), Some(triggers)) = (&plan.generation, triggers) else { return Ok(None) };
    let generation = Generation::new(plan, ram.memory(), triggers.generation.clone());
    generation.map(Some).context("make a VM generation id")
}

/// Puts devices on the buses, each where the plan says.
pub(super) struct Builder<'a> {
    pub(super) vm: &'a Vm,
    pub(super) plan: &'a Plan,
    pub(super) ram: &'a GuestRam,
    pub(super) board: Board,
    pub(super) routes: Arc<Routes>,
}

impl<'a> Builder<'a> {
    fn new(vm: &'a Vm, plan: &'a Plan, ram: &'a GuestRam) -> anyhow::Result<Self> {
        let board = Board { mmio: Bus::new(), pio: Bus::new(), ioapics: Vec::new(), pic: None };
        let mut builder = Self { vm, plan, ram, board, routes: Arc::new(vm.routes()) };
        builder.ioapics()?;
        Ok(builder)
    }

    /// The IOAPICs that are not in KVM.
    fn ioapics(&mut self) -> anyhow::Result<()> {
        let in_kvm = usize::from(self.plan.irqchip == Irqchip::Kernel);
        let ours = self.plan.ioapics.get(in_kvm..).unwrap_or_default();
        let gsis = ours.iter().flat_map(|ioapic| ioapic.gsi_base..ioapic.gsi_base + ioapic.pins);
        self.routes.connect(gsis).context("connect the interrupt routes")?;
        for plan in ours {
            let ioapic = match self.plan.irqchip {
                Irqchip::Split => IoApic::new(plan.gsi_base, self.routes.clone()),
                Irqchip::Kernel => IoApic::without_ends(plan.gsi_base, self.routes.clone()),
            };
            self.mmio(&format!("ioapic{}", plan.id), plan.mmio, ioapic.device())?;
            self.board.ioapics.push(ioapic);
        }
        Ok(())
    }

    pub(super) fn mmio(
        &mut self,
        name: &str,
        range: Range,
        device: impl Device + 'static,
    ) -> anyhow::Result<()> {
        Ok(self.board.mmio.insert(name, range.start, range.len, Arc::new(Mutex::new(device)))?)
    }

    pub(super) fn pio(
        &mut self,
        name: &str,
        range: Range,
        device: impl Device + 'static,
    ) -> anyhow::Result<()> {
        Ok(self.board.pio.insert(name, range.start, range.len, Arc::new(Mutex::new(device)))?)
    }

    fn ged(&mut self, control: &Arc<Control>) -> anyhow::Result<Option<Triggers>> {
        let Some(plan) = self.plan.ged else { return Ok(None) };
        let ged = Ged::new(self.line(plan.gsi));
        let triggers = Triggers {
            power_button: ged.trigger(ged::Event::PowerButton),
            sleep_button: ged.trigger(ged::Event::SleepButton),
            generation: ged.trigger(ged::Event::GenerationId),
        };
        self.mmio("ged", plan.events, ged)?;
        let control = Arc::clone(control);
        let power = SleepReset::new(move |event| {
            control.ask(match event {
                PowerEvent::PowerOff => Event::PowerOff,
                PowerEvent::Reset => Event::Reset(Cause::Register),
            });
        });
        self.mmio("power", plan.power, power)?;
        Ok(Some(triggers))
    }

    fn fw_cfg(
        &mut self,
        data: &GuestData,
        smbios: Option<&Tables>,
        kernel: Option<&mut Handover>,
    ) -> anyhow::Result<()> {
        let mut contents = tables::fw_cfg(self.plan, kernel)?;
        data.offer(smbios, &mut contents)?;
        self.pio("fw_cfg", self.plan.fw_cfg, FwCfg::new(contents, self.ram.memory().clone()))
    }

    fn com1(&mut self, console: Option<End>, waker: &Waker) -> anyhow::Result<Option<Serial>> {
        let (Some(com1), Some(end)) = (self.plan.com1, console) else { return Ok(None) };
        let waker = waker.clone();
        let (device, uart) = uart::pair(self.line(com1.gsi), move || waker.wake());
        self.pio("com1", com1.ports, device)?;
        Ok(Some(Serial { uart, end }))
    }

    fn debugcon(&mut self, file: Option<File>, waker: &Waker) -> anyhow::Result<Option<Log>> {
        let (Some(port), Some(file)) = (self.plan.debugcon, file) else { return Ok(None) };
        let waker = waker.clone();
        let (device, reader) = debugcon::pair(move || waker.wake());
        self.pio("debugcon", port, device)?;
        Ok(Some(Log { reader, file }))
    }

    /// All transports, those without a device too.
    fn transports(
        &mut self,
        mut device: impl FnMut(Virtio) -> Option<Box<dyn VirtioDevice>>,
    ) -> anyhow::Result<()> {
        let mut each = self.plan.transports.iter();
        each.try_for_each(|transport| self.transport(transport, transport.device.and_then(&mut device)))
    }

    fn transport(
        &mut self,
        plan: &TransportPlan,
        device: Option<Box<dyn VirtioDevice>>,
    ) -> anyhow::Result<()> {
        let name = format!("virtio{}", plan.index);
        let transport = MmioTransport::new(device, self.ram.memory().clone(), self.line(plan.gsi))
            .with_context(|| format!("start {name}"))?;
        for (queue, kick) in transport.kicks() {
            self.vm.ioeventfd(kick, plan.mmio.start + mmio::QUEUE_NOTIFY, queue)?;
        }
        self.mmio(&name, plan.mmio, transport)
    }
}
