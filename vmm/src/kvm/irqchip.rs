//! The interrupt controllers outside the vCPUs: with us, or some of them in KVM.

use std::sync::Arc;

use bus::IrqLine;
use kvm_bindings::{
    KVM_CAP_SPLIT_IRQCHIP, KVM_CAP_X2APIC_API, KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQCHIP_IOAPIC,
    KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK,
    KVM_X2APIC_API_USE_32BIT_IDS, kvm_enable_cap, kvm_irq_routing_entry, kvm_irqchip, kvm_pit_config,
    kvm_pit_state2,
};
use kvm_ioctls::{Cap, VmFd};

use super::{Context as _, KvmError};
use crate::config::Irqchip;
use crate::machine::Plan;

/// Pins of KVM's own IOAPIC.
const IOAPIC_PINS: u32 = 24;
/// Pins of KVM's pair of PICs, and of one.
const PIC_PINS: [u32; 2] = [16, 8];
/// IRQ 0 is pin 2 of a PC's IOAPIC, because pin 0 has the PIC, and the PIC's pin 2 its second half.
const CASCADE: u32 = 2;

/// Makes the plan's interrupt controllers, as far as they are KVM's.
pub(super) fn create(vm: &VmFd, plan: &Plan) -> Result<Option<KernelIrqchip>, KvmError> {
    match plan.irqchip {
        Irqchip::Split => split(vm, plan.gsi_count()).map(|()| None),
        Irqchip::Kernel => KernelIrqchip::create(vm, plan.pit.is_some()).map(Some),
    }
}

fn split(vm: &VmFd, gsis: u32) -> Result<(), KvmError> {
    let mut split = kvm_enable_cap { cap: KVM_CAP_SPLIT_IRQCHIP, ..Default::default() };
    split.args[0] = gsis.into();
    vm.enable_cap(&split).context("split the interrupt controllers")
}

/// Lets messages name APIC ids of 32 bits.
pub(super) fn widen_apic_ids(kvm: &kvm_ioctls::Kvm, vm: &VmFd) -> Result<(), KvmError> {
    let flags = KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;
    if kvm.check_extension_int(Cap::X2ApicApi) & flags as i32 != flags as i32 {
        return Err(KvmError::Missing("KVM_CAP_X2APIC_API, without which it has no APIC ids above 254"));
    }
    let mut wide = kvm_enable_cap { cap: KVM_CAP_X2APIC_API, ..Default::default() };
    wide.args[0] = flags.into();
    vm.enable_cap(&wide).context("allow APIC ids above 254")
}

/// KVM's PIC, IOAPIC and PIT at power-on, to be given back at each reset.
pub(super) struct KernelIrqchip {
    chips: Vec<kvm_irqchip>,
    pit: Option<kvm_pit_state2>,
}

impl KernelIrqchip {
    fn create(vm: &VmFd, pit: bool) -> Result<Self, KvmError> {
        vm.create_irq_chip().context("make KVM's interrupt controllers")?;
        if pit {
            // No flag: the machine has no port 0x61.
            vm.create_pit2(kvm_pit_config::default()).context("make KVM's PIT")?;
        }
        let chip = |chip_id| {
            let mut chip = kvm_irqchip { chip_id, ..Default::default() };
            vm.get_irqchip(&mut chip).context("read KVM's interrupt controllers")?;
            Ok(chip)
        };
        Ok(Self {
            chips: [KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVM_IRQCHIP_IOAPIC]
                .into_iter()
                .map(chip)
                .collect::<Result<_, KvmError>>()?,
            pit: pit.then(|| vm.get_pit2().context("read KVM's PIT")).transpose()?,
        })
    }

    /// Power-on state.
    pub(super) fn reset(&self, vm: &VmFd) -> Result<(), KvmError> {
        self.chips
            .iter()
            .try_for_each(|chip| vm.set_irqchip(chip))
            .context("reset KVM's interrupt controllers")?;
        self.pit.iter().try_for_each(|pit| vm.set_pit2(pit)).context("reset KVM's PIT")
    }
}

/// The wire to input `gsi` of KVM's own controllers, if they have it.
pub(super) fn line(vm: &Arc<VmFd>, gsi: u32) -> Option<IrqLine> {
    let vm = Arc::clone(vm);
    (gsi < IOAPIC_PINS).then(|| {
        IrqLine::new(move |level| {
            if let Err(error) = vm.set_irq_line(gsi, level) {
                tracing::warn!(gsi, %error, "KVM refused an interrupt");
            }
        })
    })
}

/// How KVM's own controllers are wired, as on a PC.
pub(super) fn wiring() -> Vec<kvm_irq_routing_entry> {
    let pic = (0..PIC_PINS[0]).filter(|&irq| irq != CASCADE).map(|irq| match irq.checked_sub(PIC_PINS[1]) {
        None => wire(irq, KVM_IRQCHIP_PIC_MASTER, irq),
        Some(pin) => wire(irq, KVM_IRQCHIP_PIC_SLAVE, pin),
    });
    let ioapic = (0..IOAPIC_PINS).filter(|&gsi| gsi != CASCADE).map(|gsi| {
        let pin = if gsi == 0 { CASCADE } else { gsi };
        wire(gsi, KVM_IRQCHIP_IOAPIC, pin)
    });
    pic.chain(ioapic).collect()
}

fn wire(gsi: u32, irqchip: u32, pin: u32) -> kvm_irq_routing_entry {
    let mut entry = kvm_irq_routing_entry { gsi, type_: KVM_IRQ_ROUTING_IRQCHIP, ..Default::default() };
    entry.u.irqchip.irqchip = irqchip;
    entry.u.irqchip.pin = pin;
    entry
}
