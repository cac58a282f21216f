//! PCI Express: where configuration space, windows and interrupts are.

use super::functions::{self, FunctionPlan};
use super::{GIB, Gsi, HIGH_RAM, LOW_RAM_LIMIT, PlanError, Range};
use crate::config::{Config, MachineOptions};

const ECAM: Range = Range::new(0xe000_0000, 0x1000_0000);
/// From the end of low RAM to the configuration space.
const WINDOW_32: Range = Range::new(LOW_RAM_LIMIT, 0x2000_0000);
/// What edk2 addresses with four levels of page tables; it refuses a host bridge with a window beyond.
const EDK2_BITS: u32 = 46;
/// The same on a CPU without pages of 1 GiB.
const EDK2_BITS_SMALL_PAGES: u32 = 40;

/// The PCI Express host bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciePlan {
    /// Configuration space of 256 buses.
    pub ecam: Range,
    /// Memory for BARs below 4 GiB.
    pub window32: Range,
    /// Memory for BARs above.
    pub window64: Range,
    /// The interrupts of INTA to INTD of slot 0, level-triggered.
    pub intx: [Gsi; 4],
    /// The first number that names a message instead of an IOAPIC's pin.
    pub first_message: Gsi,
    /// What is plugged in, root ports first.
    pub functions: Vec<FunctionPlan>,
}

/// Plans the host bridge, if it or something on it is asked for, for a CPU with `phys_bits` physical address bits.
pub(super) fn pcie(config: &Config, phys_bits: u32) -> Result<Option<PciePlan>, PlanError> {
    let options = &config.options;
    functions::check(config)?;
    let functions = functions::functions(config)?;
    if !options.pcie.or(!functions.is_empty()) {
        return Ok(None);
    }
    if !options.has_acpi() {
        return Err(PlanError::Contradiction {
            option: "pcie=on",
            other: "acpi=off",
            reason: "nothing but ACPI tells of the host bridge",
        });
    }
    Ok(Some(PciePlan {
        ecam: ECAM,
        window32: WINDOW_32,
        window64: window64(config, phys_bits)?,
        intx: intx(options),
        first_message: if options.has_ioapic2() { 48 } else { 24 },
        functions,
    }))
}

/// The upper quarter of what the CPU addresses.
fn window64(config: &Config, phys_bits: u32) -> Result<Range, PlanError> {
    let small_pages = config.cpu.switches.get("pdpe1gb") == Some(&false);
    let bits = phys_bits.min(if small_pages { EDK2_BITS_SMALL_PAGES } else { EDK2_BITS });
    let len = 1 << (bits - 2);
    let window = Range::new(3 * len, len);
    let ram_end = config.memory.saturating_add(HIGH_RAM - LOW_RAM_LIMIT);
    if window.start < 4 * GIB {
        return Err(PlanError::PcieAddresses(phys_bits));
    }
    match config.memory > LOW_RAM_LIMIT && ram_end > window.start {
        true => Err(PlanError::PcieMemory { memory: config.memory, window }),
        false => Ok(window),
    }
}

/// Four pins that nobody else has: without the second IOAPIC, those of ISA interrupts that this machine does not use.
fn intx(options: &MachineOptions) -> [Gsi; 4] {
    match options.has_ioapic2() {
        true => [16, 17, 18, 19],
        false => [12, 13, 14, 15],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Switch;
    use crate::cpu::CpuModel;
    use crate::machine::plan::{MIB, Plan};

    fn with_pcie(config: Config) -> Config {
        let options = MachineOptions { pcie: Switch::On, ..config.options };
        Config { options, ..config }
    }

    fn window(config: Config, bits: u32) -> Range {
        let plan = Plan::new(&with_pcie(config), 128 << 10, bits).unwrap();
        plan.pcie.unwrap().window64
    }

    #[test]
    fn upper_window_is_a_quarter_at_the_top_of_what_edk2_addresses() {
        let table = [
            (36, 0xc_0000_0000, 0x4_0000_0000),
            (39, 0x60_0000_0000, 0x20_0000_0000),
            (40, 0xc0_0000_0000, 0x40_0000_0000),
            (46, 0x3000_0000_0000, 0x1000_0000_0000),
            (52, 0x3000_0000_0000, 0x1000_0000_0000),
        ];
        for (bits, start, len) in table {
            assert_eq!(window(Config::default(), bits), Range::new(start, len), "{bits} bits");
        }
    }

    #[test]
    fn upper_window_is_lower_without_large_pages() {
        let cpu = CpuModel { switches: [("pdpe1gb", false)].into(), ..CpuModel::default() };
        assert_eq!(window(Config { cpu, ..Config::default() }, 48).start, 0xc0_0000_0000);
    }

    #[test]
    fn memory_that_reaches_the_upper_window_is_refused() {
        let most = 0xc_0000_0000 - GIB;
        let config = |memory| with_pcie(Config { memory, ..Config::default() });
        assert!(Plan::new(&config(most), 128 << 10, 36).is_ok());
        let error = Plan::new(&config(most + MIB), 128 << 10, 36).unwrap_err().to_string();
        let expected = "--memory 48129M is too large with --machine pcie=on: it leaves no room for the PCI window at 0xc00000000, use 48128M or less";
        assert_eq!(error, expected);
        assert!(Plan::new(&with_pcie(Config::default()), 128 << 10, 32).is_err());
    }

    #[test]
    fn pins_avoid_those_of_transports() {
        let plan = |ioapic2| {
            let options = MachineOptions { ioapic2, ..MachineOptions::default() };
            Plan::new(&with_pcie(Config { options, ..Config::default() }), 128 << 10, 46).unwrap()
        };
        for (ioapic2, first, messages) in [(Switch::On, 16, 48), (Switch::Off, 12, 24)] {
            let plan = plan(ioapic2);
            let pcie = plan.pcie.unwrap();
            assert_eq!((pcie.intx[0], pcie.first_message), (first, messages));
            assert!(plan.transports.iter().all(|transport| !pcie.intx.contains(&transport.gsi)));
        }
    }

    #[test]
    fn windows_overlap_nothing_else() {
        let config = with_pcie(Config { memory: 64 * GIB, ..Config::default() });
        let plan = Plan::new(&config, 16 * MIB, 40).unwrap();
        let pcie = plan.pcie.unwrap();
        let others = [plan.low_ram, plan.high_ram.unwrap(), plan.firmware.unwrap().image, plan.lapic];
        for range in [pcie.ecam, pcie.window32, pcie.window64] {
            assert!(others.iter().all(|other| !other.overlaps(range)), "{range}");
        }
        assert_eq!(pcie.window32.end(), pcie.ecam.start);
    }

    #[test]
    fn host_bridge_needs_acpi() {
        let options = MachineOptions { acpi: Switch::Off, ..MachineOptions::default() };
        let config = with_pcie(Config { options, ..Config::default() });
        let error = Plan::new(&config, 128 << 10, 46).unwrap_err().to_string();
        assert!(error.contains("pcie=on") && error.contains("acpi=off"), "{error}");
    }
}
