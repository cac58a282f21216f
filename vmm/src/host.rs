//! What the host has room for.

mod huge_pages;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::backing::{Backing, HugePage, Pages};
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
    /// More memory at once than is free.
    #[error("--memory {}M,prefault=on is more than this host has free: {}M", .wanted / MIB, .available / MIB)]
    Prefault {
        /// What was asked for, in bytes.
        wanted: u64,
        /// What the host can give without swapping, in bytes.
        available: u64,
    },
    /// The pool of huge pages is too small.
    #[error(
        "--memory needs {wanted} huge pages of {size}, and {free} are free: reserve more as root with `echo {total} > {}`",
        .file.display()
    )]
    HugePages {
        /// Pages asked for.
        wanted: u64,
        /// Pages that are free.
        free: u64,
        /// Of what size.
        size: HugePage,
        /// Pages that the pool must have for this machine and its other users.
        total: u64,
        /// Where that number is set.
        file: PathBuf,
    },
    /// There is no such pool.
    #[error("--memory hugepages={size}: this host has no huge pages of that size")]
    NoHugePages {
        /// The size asked for.
        size: HugePage,
    },
    /// The file that describes the CPUs cannot be read.
    #[error("read {CPUINFO}")]
    ReadCpuInfo(#[source] io::Error),
    /// There is no width in it.
    #[error("{CPUINFO} does not say how many physical address bits the CPU has")]
    NoAddressSizes,
}

/// Checks that this host can give `bytes` of guest memory: its memory and swap space could ever back them, and what must be
/// there at once is free.
///
/// # Errors
/// When it cannot.
pub fn check_memory(bytes: u64, backing: &Backing) -> Result<(), HostError> {
    match backing.pages {
        Pages::Huge(size) => huge_pages::check(bytes, size),
        Pages::Transparent | Pages::Small if backing.prefault => {
            check_size(bytes).and_then(|()| check_free(bytes))
        }
        Pages::Transparent | Pages::Small => check_size(bytes),
    }
}

/// A host that does not say what is free is taken at its word.
fn check_free(wanted: u64) -> Result<(), HostError> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    match meminfo.lines().find_map(available) {
        Some(available) if wanted > available => Err(HostError::Prefault { wanted, available }),
        _ => Ok(()),
    }
}

/// As in `MemAvailable:   12345 kB`, in bytes.
fn available(line: &str) -> Option<u64> {
    let kib: u64 = line.strip_prefix("MemAvailable:")?.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1 << 10)
}

fn check_size(bytes: u64) -> Result<(), HostError> {
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

/// Lets this process have as many descriptors as it may: the usual 1024 are fewer than a guest's streams.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Whoever has too few afterwards is told by what fails for it.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
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
        for backing in [Backing::default(), Backing { prefault: true, ..Backing::default() }] {
            assert!(check_memory(MIB, &backing).is_ok());
            assert!(check_memory(u64::MAX, &backing).is_err());
        }
    }

    #[test]
    fn available_memory_is_in_bytes() {
        assert_eq!(available("MemAvailable:   12345 kB"), Some(12345 << 10));
        assert_eq!(available("MemFree:   12345 kB"), None);
    }

    #[test]
    fn address_bits_are_the_physical_ones() {
        assert_eq!(address_bits("address sizes\t: 46 bits physical, 48 bits virtual"), Some(46));
        assert_eq!(address_bits("cache_alignment\t: 64"), None);
        assert_eq!(address_bits("address sizes\t: 99 bits physical, 48 bits virtual"), None);
        assert_eq!(address_bits("address sizes"), None);
    }
}
