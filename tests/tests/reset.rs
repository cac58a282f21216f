//! A reset of a vCPU, seen through KVM: any `/dev/kvm` will do.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, ensure};
use vmm::config::Config;
use vmm::kvm::{Exit, GuestRam, Kvm, Vcpu, Vm};
use vmm::machine::{ExitHandler, Plan};

/// The port that the guest reads at last.
const PORT: u16 = 0x1234;
/// 64 KiB, the least that firmware can have.
const IMAGE: usize = 0x1_0000;

/// Real mode code: registers, segments and an MSR change, then a port is read.
const GUEST: &[u8] = &[
    0x66, 0xb8, 0x78, 0x56, 0x34, 0x12, // mov eax, 0x12345678
    0x66, 0xb9, 0x74, 0x01, 0x00, 0x00, // mov ecx, IA32_SYSENTER_CS
    0x66, 0x31, 0xd2, // xor edx, edx
    0x0f, 0x30, // wrmsr
    0xbb, 0x34, 0x12, // mov bx, 0x1234
    0x8e, 0xdb, // mov ds, bx
    0x89, 0xdc, // mov sp, bx
    0xba, 0x34, 0x12, // mov dx, PORT
    0xed, // in ax, dx
    0x42, // inc dx
    0xed, // in ax, dx: nobody comes here, if a reset starts at the start
];

/// Remembers the port that was read last; 0 is none.
#[derive(Default)]
struct Ports(AtomicU32);

impl ExitHandler for Ports {
    fn mmio_read(&self, _: u64, _: &mut [u8]) {}
    fn mmio_write(&self, _: u64, _: &[u8]) {}
    fn pio_read(&self, port: u16, data: &mut [u8]) {
        self.0.store(port.into(), Ordering::Relaxed);
        data.fill(0x5a);
    }
    fn pio_write(&self, _: u16, _: &[u8]) {}
    fn end_of_interrupt(&self, _: u8) {}
    fn has_external_interrupt(&self) -> bool {
        false
    }
    fn acknowledge_external_interrupt(&self) -> u8 {
        0
    }
}

/// The guest's code at the reset vector: a jump to the start of its segment, and the code there.
fn image() -> Vec<u8> {
    let mut image = vec![0xf4; IMAGE];
    image[..GUEST.len()].copy_from_slice(GUEST);
    image[0xfff0..0xfff3].copy_from_slice(&[0xe9, 0x0d, 0x00]); // jmp 0
    image
}

fn machine() -> Result<(Vcpu, Vm, GuestRam)> {
    let plan = Plan::new(&Config::default(), IMAGE as u64, 40)?;
    let ram = GuestRam::allocate(&plan, &[])?;
    ram.restore_firmware(&image())?;
    let vm = Kvm::open(Path::new("/dev/kvm"))?.create_vm(&plan)?;
    vm.set_memory(&ram)?;
    Ok((vm.create_vcpu(0, &plan, None)?, vm, ram))
}

/// Runs until the guest reads its port; the read is not finished then.
fn run_to_port(vcpu: &mut Vcpu, ports: &Ports) -> Result<()> {
    ports.0.store(0, Ordering::Relaxed);
    while ports.0.load(Ordering::Relaxed) == 0 {
        ensure!(vcpu.run(ports)? == Exit::Handled);
    }
    ensure!(ports.0.load(Ordering::Relaxed) == u32::from(PORT), "the guest went on where it was");
    Ok(())
}

#[test]
fn reset_gives_back_the_power_on_state_in_the_middle_of_an_access() -> Result<()> {
    let (mut vcpu, _vm, _ram) = machine()?;
    let ports = Ports::default();
    ensure!(vcpu.differences()?.is_empty(), "at power-on: {:?}", vcpu.differences()?);
    for _ in 0..3 {
        run_to_port(&mut vcpu, &ports)?;
        let changed = vcpu.differences()?;
        for part in ["registers", "system registers", "MSRs"] {
            ensure!(changed.contains(&part), "{part} are as at power-on: {changed:?}");
        }
        vcpu.reset()?;
        ensure!(vcpu.differences()?.is_empty(), "after a reset: {:?}", vcpu.differences()?);
    }
    Ok(())
}
