//! How vCPUs are arranged in sockets, dies, cores and threads, and the APIC ids that follow (Intel SDM 3A, 10.9.1).
//!
//! An APIC id is four numbers side by side, each in as many bits as its largest value needs:
//!
//! ```text
//!  ┌────────┬─────┬──────┬────────┐
//!  │ socket │ die │ core │ thread │   3 cores take 2 bits, so that the ids of the next die start at 4: ids have gaps
//!  └────────┴─────┴──────┴────────┘
//! ```

use std::fmt;

/// How many of each level the next higher one has. vCPUs are numbered through threads, cores, dies, sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Packages, each with a socket of its own.
    pub sockets: u32,
    /// Dies in each package.
    pub dies: u32,
    /// Cores on each die.
    pub cores: u32,
    /// Threads of each core.
    pub threads: u32,
}

impl Topology {
    /// One package with `cores` cores of one thread.
    #[must_use]
    pub const fn of_cores(cores: u32) -> Self {
        Self { sockets: 1, dies: 1, cores, threads: 1 }
    }

    /// How many vCPUs there are, `u32::MAX` if there are more.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.package().saturating_mul(self.sockets)
    }

    /// vCPUs in a package.
    #[must_use]
    pub const fn package(self) -> u32 {
        self.die().saturating_mul(self.dies)
    }

    /// vCPUs on a die.
    #[must_use]
    pub const fn die(self) -> u32 {
        self.cores.saturating_mul(self.threads)
    }

    /// APIC id bits that number a thread in its core.
    #[must_use]
    pub const fn core_shift(self) -> u32 {
        bits(self.threads)
    }

    /// APIC id bits that number a vCPU on its die.
    #[must_use]
    pub const fn die_shift(self) -> u32 {
        self.core_shift() + bits(self.cores)
    }

    /// APIC id bits that number a vCPU in its package.
    #[must_use]
    pub const fn package_shift(self) -> u32 {
        self.die_shift() + bits(self.dies)
    }

    /// The APIC id of vCPU `index`.
    #[must_use]
    pub const fn apic_id(self, index: u32) -> u32 {
        let thread = index % self.threads;
        let core = index / self.threads % self.cores;
        let die = index / self.die() % self.dies;
        let socket = index / self.package();
        socket << self.package_shift() | die << self.die_shift() | core << self.core_shift() | thread
    }
}

/// Bits that numbers below `count` need.
const fn bits(count: u32) -> u32 {
    u32::BITS - count.saturating_sub(1).leading_zeros()
}

/// As on the command line; a single die goes without saying.
impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sockets, dies, cores, threads } = self;
        let dies = if *dies == 1 { String::new() } else { format!("dies={dies},") };
        write!(f, "sockets={sockets},{dies}cores={cores},threads={threads}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(sockets: u32, dies: u32, cores: u32, threads: u32) -> Vec<u32> {
        let topology = Topology { sockets, dies, cores, threads };
        (0..topology.count()).map(|index| topology.apic_id(index)).collect()
    }

    #[test]
    fn powers_of_two_leave_no_gaps() {
        assert_eq!(ids(1, 1, 6, 1), [0, 1, 2, 3, 4, 5]);
        assert_eq!(ids(2, 2, 2, 2), (0..16).collect::<Vec<_>>());
    }

    #[test]
    fn every_level_starts_at_a_power_of_two() {
        assert_eq!(ids(2, 1, 3, 1), [0, 1, 2, 4, 5, 6]);
        assert_eq!(ids(1, 1, 2, 3), [0, 1, 2, 4, 5, 6]);
        assert_eq!(ids(2, 3, 1, 1), [0, 1, 2, 4, 5, 6]);
        assert_eq!(ids(2, 1, 3, 2), [0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13]);
    }

    #[test]
    fn shifts_are_sums_of_the_fields_below() {
        let topology = Topology { sockets: 2, dies: 3, cores: 5, threads: 2 };
        assert_eq!((topology.core_shift(), topology.die_shift(), topology.package_shift()), (1, 4, 6));
        assert_eq!((topology.die(), topology.package(), topology.count()), (10, 30, 60));
    }

    #[test]
    fn single_levels_take_no_bits() {
        assert_eq!(Topology::of_cores(1).package_shift(), 0);
    }

    #[test]
    fn count_beyond_32_bits_saturates() {
        let most = Topology { sockets: u32::MAX, dies: 2, cores: u32::MAX, threads: 2 };
        assert_eq!(most.count(), u32::MAX);
    }

    #[test]
    fn text_is_that_of_the_command_line() {
        assert_eq!(Topology::of_cores(4).to_string(), "sockets=1,cores=4,threads=1");
        let dies = Topology { sockets: 2, dies: 2, cores: 1, threads: 1 };
        assert_eq!(dies.to_string(), "sockets=2,dies=2,cores=1,threads=1");
    }
}
