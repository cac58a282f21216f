//! What the host has room for.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

use crate::machine::plan::MIB;

const CPUINFO: &str = "/proc/cpuinfo";

/// Why the host cannot carry a machine.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// More memory than there is.
    #[error(
        "--memory {}M is more than this host has: {}M of memory and {}M of swap",
        .wanted / MIB, .ram / MIB, .swap / MIB
    )]
    Memory {
        /// What was asked for, in bytes.
        wanted: u64,
        /// The host's memory, in bytes.
        ram: u64,
        /// The host's swap space, in bytes.
        swap: u64,
    },
    /// The file that describes the CPUs cannot be read.
    #[error("read {CPUINFO}")]
    ReadCpuInfo(#[source] io::Error),
    /// There is no width in it.
    #[error("{CPUINFO} does not say how many physical address bits the CPU has")]
    NoAddressSizes,
}

/// Checks that `bytes` of guest memory could ever be backed by this host's memory and swap space.
///
/// # Errors
/// [`HostError::Memory`] if not.
pub fn check_memory(bytes: u64) -> Result<(), HostError> {
    let info = rustix::system::sysinfo();
    let unit = u64::from(info.mem_unit);
    check_against(bytes, info.totalram.saturating_mul(unit), info.totalswap.saturating_mul(unit))
}

fn check_against(wanted: u64, ram: u64, swap: u64) -> Result<(), HostError> {
    if wanted > ram.saturating_add(swap) {
        return Err(HostError::Memory { wanted, ram, swap });
    }
    Ok(())
}

/// Physical address bits of the host's CPU, without KVM and without CPUID: the kernel knows about bits that memory
/// encryption takes away.
///
/// # Errors
/// If `/proc/cpuinfo` cannot be read or has no such line.
pub fn physical_address_bits() -> Result<u32, HostError> {
    let lines = BufReader::new(File::open(CPUINFO).map_err(HostError::ReadCpuInfo)?).lines();
    for line in lines {
        if let Some(bits) = address_bits(&line.map_err(HostError::ReadCpuInfo)?) {
            return Ok(bits);
        }
    }
    Err(HostError::NoAddressSizes)
}

/// As in `address sizes : 46 bits physical, 48 bits virtual`.
fn address_bits(line: &str) -> Option<u32> {
    let sizes = line.strip_prefix("address sizes")?.trim_start().strip_prefix(':')?;
    let (bits, _) = sizes.split_once("bits physical")?;
    bits.trim().parse().ok().filter(|bits| (32..=52).contains(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_may_fill_ram_and_swap_exactly() {
        assert!(check_against(3 * MIB, 2 * MIB, MIB).is_ok());
    }

    #[test]
    fn memory_beyond_ram_and_swap_names_the_option_and_the_host() {
        let error = check_against(4 * MIB, 2 * MIB, MIB).unwrap_err();
        assert_eq!(error.to_string(), "--memory 4M is more than this host has: 2M of memory and 1M of swap");
    }

    #[test]
    fn memory_of_this_host_is_bounded() {
        assert!(check_memory(MIB).is_ok());
        assert!(check_memory(u64::MAX).is_err());
    }

    #[test]
    fn address_bits_are_the_physical_ones() {
        assert_eq!(address_bits("address sizes\t: 46 bits physical, 48 bits virtual"), Some(46));
        assert_eq!(address_bits("cache_alignment\t: 64"), None);
        assert_eq!(address_bits("address sizes\t: 99 bits physical, 48 bits virtual"), None);
        assert_eq!(address_bits("address sizes"), None);
    }
}
