//! What a VMM keeps in memory beside the RAM of its guest, from `/proc/PID/smaps`.

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

/// Resident memory without guest RAM, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Overhead {
    /// All pages, those of shared libraries too.
    pub(super) resident_kib: u64,
    /// Pages that no other process shares: what one more of these VMMs costs.
    pub(super) private_kib: u64,
}

/// Reads it for the process `pid`, whose guest has `ram_kib` of RAM in one range.
///
/// # Errors
///
/// When the process has gone, or has no mapping that could be the guest's RAM.
pub(super) fn overhead(pid: u32, ram_kib: u64) -> anyhow::Result<Overhead> {
    let path = format!("/proc/{pid}/smaps");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    beside_ram(&parse(&text), ram_kib)
}

/// One mapping.
#[derive(Debug, Default, PartialEq, Eq)]
struct Mapping {
    start: u64,
    end: u64,
    resident_kib: u64,
    private_kib: u64,
}

impl Mapping {
    const fn size(&self) -> u64 {
        self.end - self.start
    }
}

fn parse(smaps: &str) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in smaps.lines() {
        if let Some((start, end)) = range(line) {
            mappings.push(Mapping { start, end, ..Mapping::default() });
        } else if let (Some(mapping), Some((name, kib))) = (mappings.last_mut(), field(line)) {
            match name {
                "Rss" => mapping.resident_kib = kib,
                "Private_Clean" | "Private_Dirty" => mapping.private_kib += kib,
                _ => {}
            }
        }
    }
    mappings
}

/// The addresses of a mapping's first line: `7f00-7f10 rw-p ...`.
fn range(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    let address = |digits| u64::from_str_radix(digits, 16).ok();
    Some((address(start)?, address(end)?))
}

/// A line like `Rss:   12 kB`.
fn field(line: &str) -> Option<(&str, u64)> {
    let (name, value) = line.split_once(':')?;
    Some((name, value.trim().strip_suffix(" kB")?.parse().ok()?))
}

/// Sums all but guest RAM: the largest mapping, and those right below it that complete RAM to its size (what lies below
/// 1 MiB is mapped apart where the firmware shows there).
fn beside_ram(mappings: &[Mapping], ram_kib: u64) -> anyhow::Result<Overhead> {
    let ram = ram_kib << 10;
    let largest = mappings.iter().max_by_key(|mapping| mapping.size()).context("no mappings")?;
    ensure!(largest.size() >= ram / 2, "no mapping is as large as guest RAM");
    let bottom = largest.start.min(largest.end.saturating_sub(ram));
    let is_ram = |mapping: &&Mapping| mapping.start >= bottom && mapping.end <= largest.end;
    let beside = mappings.iter().filter(|mapping| !is_ram(mapping));
    Ok(beside.fold(Overhead { resident_kib: 0, private_kib: 0 }, |sum, mapping| Overhead {
        resident_kib: sum.resident_kib + mapping.resident_kib,
        private_kib: sum.private_kib + mapping.private_kib,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
555000-556000 r-xp 00000000 fe:00 12 /usr/bin/vmm
Size:                  4 kB
Rss:                   4 kB
Private_Clean:         1 kB
Private_Dirty:         2 kB
VmFlags: rd ex mr mw me
7f0000000000-7f0000010000 rw-p 00000000 00:00 0
Rss:                  64 kB
";

    fn mapping(start_mib: u64, end_mib: u64, resident_kib: u64) -> Mapping {
        Mapping { start: start_mib << 20, end: end_mib << 20, resident_kib, private_kib: resident_kib }
    }

    #[test]
    fn parse_reads_addresses_and_what_is_resident() {
        let mappings = parse(SMAPS);

        assert_eq!(
            mappings[0],
            Mapping { start: 0x55_5000, end: 0x55_6000, resident_kib: 4, private_kib: 3 }
        );
        assert_eq!((mappings[1].size(), mappings[1].resident_kib, mappings.len()), (0x1_0000, 64, 2));
    }

    #[test]
    fn beside_ram_leaves_out_the_range_of_ram_alone() {
        let mappings = [mapping(1, 2, 10), mapping(100, 612, 400_000), mapping(612, 613, 30)];

        assert_eq!(beside_ram(&mappings, 512 << 10).unwrap().resident_kib, 40);
    }

    #[test]
    fn beside_ram_counts_what_is_split_off_below_1_mib_as_ram() {
        // The mapping at 99 lies right below guest RAM; the one at 100 is its first MiB.
        let mappings = [mapping(99, 100, 7), mapping(100, 101, 900), mapping(101, 612, 400_000)];

        assert_eq!(beside_ram(&mappings, 512 << 10).unwrap().private_kib, 7);
    }

    #[test]
    fn beside_ram_without_ram_is_an_error() {
        assert!(beside_ram(&[mapping(1, 2, 10)], 512 << 10).is_err());
    }
}
