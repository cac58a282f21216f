//! Where persistent memory is.

use super::{GIB, HIGH_RAM, MIB, PlanError, Range, ram};
use crate::config::Config;

/// What a size is a multiple of: Linux adds memory in pieces of this size.
const PIECE: u64 = 2 * MIB;

/// A range for each, in their order, behind RAM, each from a whole GiB on so that the largest pages fit. They end below
/// `limit`.
pub(super) fn ranges(config: &Config, limit: u64) -> Result<Vec<Range>, PlanError> {
    let (_, high_ram) = ram(config.memory);
    let mut next = high_ram.map_or(HIGH_RAM, Range::end);
    let mut ranges = Vec::new();
    for pmem in &config.virtio.pmems {
        let path = || pmem.path.clone();
        if pmem.size == 0 || !pmem.size.is_multiple_of(PIECE) {
            return Err(PlanError::PmemSize { path: path(), size: pmem.size });
        }
        let start = next.checked_next_multiple_of(GIB);
        let end = start.and_then(|start| start.checked_add(pmem.size)).filter(|end| *end <= limit);
        let (Some(start), Some(end)) = (start, end) else {
            return Err(PlanError::PmemRoom { path: path(), limit });
        };
        ranges.push(Range::new(start, pmem.size));
        next = end;
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MachineOptions, PmemConfig, Switch, VirtioConfig};
    use crate::machine::plan::{Plan, Virtio};

    fn config(memory: u64, sizes: &[u64]) -> Config {
        let pmem = |&size: &u64| PmemConfig { path: "p".into(), size };
        let virtio = VirtioConfig { pmems: sizes.iter().map(pmem).collect(), ..VirtioConfig::default() };
        Config { memory, virtio, ..Config::default() }
    }

    fn plan(config: &Config) -> Result<Plan, PlanError> {
        Plan::new(config, 128 << 10, 40)
    }

    #[test]
    fn memory_lies_behind_ram_at_whole_gibs() {
        let ranges = |memory, sizes: &[u64]| plan(&config(memory, sizes)).unwrap().pmems;
        assert_eq!(ranges(GIB, &[2 * MIB, GIB]), [Range::new(4 * GIB, 2 * MIB), Range::new(5 * GIB, GIB)]);
        assert_eq!(ranges(6 * GIB + MIB, &[GIB]), [Range::new(8 * GIB, GIB)]);
        let plan = plan(&config(GIB, &[GIB])).unwrap();
        assert_eq!(plan.populated().map(|(_, device)| device).collect::<Vec<_>>(), [Virtio::Pmem(0)]);
        assert!(plan.e820.iter().all(|entry| !entry.range.overlaps(plan.pmems[0])), "it is no RAM");
    }

    #[test]
    fn memory_that_fits_nowhere_is_refused() {
        let message = |config: &Config| {
            let error = Plan::check(config, 40).unwrap_err().to_string();
            assert_eq!(plan(config).unwrap_err().to_string(), error);
            error
        };
        assert_eq!(
            message(&config(GIB, &[MIB])),
            "--pmem p: size must be a multiple of 2M, not 1048576 bytes"
        );
        assert!(message(&config(GIB, &[0])).contains("multiple of 2M"));
        let end = "--pmem p is too large: memory ends at 0x10000000000 on this machine, use a smaller size";
        assert_eq!(message(&config(GIB, &[1 << 40])), end);
        assert_eq!(message(&config(GIB, &[!(2 * MIB - 1)])), end);
        let options = MachineOptions { pcie: Switch::On, ..MachineOptions::default() };
        let with_pcie = Config { options, ..config(GIB, &[900 * GIB]) };
        assert!(plan(&config(GIB, &[900 * GIB])).is_ok());
        assert!(message(&with_pcie).contains("ends at 0xc000000000 "), "the window of PCI is there");
    }
}
