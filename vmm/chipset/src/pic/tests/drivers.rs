//! What firmware and systems do to the controllers, in the order in which they do it.

use super::Half::{First, Second};
use super::{COMMAND, DATA, Rig};

/// Linux' vectors of legacy interrupts.
const LINUX: u8 = 0x30;

impl Rig {
    /// Linux, init_8259A: everything is masked, both are initialized, the masks come back.
    fn booted_by_linux(icw4: u8) -> Self {
        let mut rig = Self::new();
        for half in [First, Second] {
            rig.mask(half, 0xff);
        }
        rig.initialize(First, [0x11, LINUX, 0x04, icw4]);
        rig.initialize(Second, [0x11, LINUX + 8, 0x02, 0x01]);
        rig.mask(First, 0xfb);
        rig.mask(Second, 0xff);
        rig
    }

    /// Linux, mask_and_ack_8259A, then the handler, then unmask_8259A.
    fn handle_as_linux(&mut self, irq: u8) {
        let half = if irq < 8 { First } else { Second };
        let mask = self.read(half, DATA);
        self.mask(half, mask | (1 << (irq % 8)));
        self.command(half, 0x60 | (irq % 8));
        if half == Second {
            self.command(First, 0x62);
        }
        self.mask(half, mask);
    }
}

/// Linux, probe_8259A: a mask that can be read back means that there is a controller, initialized or not.
#[test]
fn linux_finds_the_controllers() {
    let mut rig = Rig::new();
    rig.mask(Second, 0xff);
    rig.mask(First, 0xfb);
    assert_eq!(rig.read(First, DATA), 0xfb);
}

#[test]
fn linux_handles_interrupts_of_both_controllers() {
    let mut rig = Rig::booted_by_linux(0x01);
    rig.mask(First, 0xea);
    rig.mask(Second, 0xfe);
    [8, 4, 0].into_iter().for_each(|irq| rig.pulse(irq));
    for irq in [0, 8, 4] {
        assert_eq!(rig.pic.acknowledge(), LINUX + irq);
        rig.handle_as_linux(irq);
    }
    assert!(!rig.pic.is_pending());
}

#[test]
fn linux_masks_what_it_has_no_handler_for() {
    let rig = Rig::booted_by_linux(0x01);
    (0..16).filter(|&irq| irq != 2).for_each(|irq| rig.pulse(irq));
    assert!(!rig.pic.is_pending());
}

/// Linux, i8259A_irq_real: a spurious interrupt is one that is not in service.
#[test]
fn linux_recognizes_spurious_interrupts() {
    let mut rig = Rig::booted_by_linux(0x01);
    rig.mask(First, 0x00);
    rig.set_elcr(0, 0x80);
    rig.set(7, true);
    rig.set(7, false);
    assert_eq!(rig.pic.acknowledge(), LINUX + 7);
    rig.command(First, 0x0b);
    let in_service = rig.read(First, COMMAND);
    rig.command(First, 0x0a);
    assert_eq!(in_service & 0x80, 0);
}

/// Linux, io_apic's unlock_ExtINT_logic and check_timer use the controller as a wire, with automatic ends.
#[test]
fn linux_uses_the_first_controller_as_a_wire() {
    let mut rig = Rig::booted_by_linux(0x03);
    rig.mask(First, 0xfe);
    for _ in 0..3 {
        rig.pulse(0);
        assert_eq!(rig.vectors(), [LINUX]);
    }
    assert_eq!(rig.in_service(First), 0);
}

/// SeaBIOS, pic_setup and enable_hwirq: BIOS vectors, all masked but the cascade; handlers end both, not specifically.
#[test]
fn seabios_gets_the_clock_s_interrupt() {
    let mut rig = Rig::new();
    for (half, words) in [(First, [0x11, 0x08, 0x04, 0x01]), (Second, [0x11, 0x70, 0x02, 0x01])] {
        rig.initialize(half, words);
    }
    rig.mask(First, 0xfb);
    rig.mask(Second, 0xff);
    let mask = rig.read(Second, DATA);
    rig.mask(Second, mask & !0x01);
    rig.pulse(8);
    assert_eq!(rig.vectors(), [0x70]);
    rig.command(Second, 0x20);
    rig.command(First, 0x20);
    assert_eq!((rig.in_service(First), rig.in_service(Second)), (0, 0));
}

/// edk2's first act, also where there is no controller: everything masked.
#[test]
fn edk2_masks_everything_before_initialization() {
    let mut rig = Rig::new();
    for half in [First, Second] {
        rig.mask(half, 0xff);
        assert_eq!(rig.read(half, DATA), 0xff);
    }
    assert!(!rig.pic.is_pending());
}
