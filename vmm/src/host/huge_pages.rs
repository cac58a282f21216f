//! The host's pool of huge pages (Linux, Documentation/admin-guide/mm/hugetlbpage.rst).

use std::fs;
use std::path::{Path, PathBuf};

use super::HostError;
use crate::backing::HugePage;

const POOLS: &str = "/sys/kernel/mm/hugepages";

/// Checks that the pool of `size` has `bytes` to give.
///
/// # Errors
/// [`HostError::HugePages`] or [`HostError::NoHugePages`] if not.
pub(super) fn check(bytes: u64, size: HugePage) -> Result<(), HostError> {
    check_pool(Path::new(POOLS), bytes, size)
}

fn check_pool(pools: &Path, bytes: u64, size: HugePage) -> Result<(), HostError> {
    let pool = pools.join(format!("hugepages-{}kB", size.bytes() >> 10));
    let count = |name: &str| fs::read_to_string(pool.join(name)).ok()?.trim().parse::<u64>().ok();
    let Some(unused) = count("free_hugepages") else { return Err(HostError::NoHugePages { size }) };
    // Free pages that another process has a claim on, and those that the kernel may still add.
    let reserved = count("resv_hugepages").unwrap_or(0);
    let extra =
        count("nr_overcommit_hugepages").unwrap_or(0).saturating_sub(count("surplus_hugepages").unwrap_or(0));
    let free = unused.saturating_sub(reserved).saturating_add(extra);
    let wanted = bytes.div_ceil(size.bytes());
    if wanted <= free {
        return Ok(());
    }
    let total = count("nr_hugepages").unwrap_or(0).saturating_add(wanted - free);
    Err(HostError::HugePages { wanted, free, size, total, file: pool_size(&pool) })
}

fn pool_size(pool: &Path) -> PathBuf {
    pool.join("nr_hugepages")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::plan::GIB;
    use tempfile::TempDir;

    /// A host with 10 pages of 2 MiB, 4 of them free and one of those promised.
    fn pools() -> TempDir {
        let pools = TempDir::new().unwrap();
        let pool = pools.path().join("hugepages-2048kB");
        fs::create_dir(&pool).unwrap();
        for (name, count) in [("nr_hugepages", "10\n"), ("free_hugepages", "4\n"), ("resv_hugepages", "1\n")]
        {
            fs::write(pool.join(name), count).unwrap();
        }
        pools
    }

    #[test]
    fn free_pages_that_nobody_claims_are_given() {
        assert!(check_pool(pools().path(), 6 << 20, HugePage::Mib2).is_ok());
    }

    #[test]
    fn short_pool_is_refused_with_the_way_to_fill_it() {
        let pools = pools();
        let error = check_pool(pools.path(), 8 << 20, HugePage::Mib2).unwrap_err();
        let file = pool_size(&pools.path().join("hugepages-2048kB"));
        let expected = format!(
            "--memory needs 4 huge pages of 2M, and 3 are free: reserve more as root with `echo 11 > {}`",
            file.display()
        );
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn size_that_the_host_lacks_is_refused() {
        let error = check_pool(pools().path(), GIB, HugePage::Gib1).unwrap_err();
        assert_eq!(error.to_string(), "--memory hugepages=1G: this host has no huge pages of that size");
    }
}
