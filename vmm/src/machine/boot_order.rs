//! Which disk firmware tries first.

use super::plan::PlanError;
use crate::config::DiskConfig;

/// The indices of `disks` in boot order: by boot index, then those without one in the order of the command line.
///
/// # Errors
/// When two disks have one boot index.
pub(super) fn boot_order(disks: &[DiskConfig]) -> Result<Vec<usize>, PlanError> {
    let mut placed: Vec<_> = disks.iter().filter_map(|disk| Some((disk.bootindex?, &disk.path))).collect();
    placed.sort_by_key(|(index, _)| *index);
    for pair in placed.windows(2) {
        if let [(index, first), (next, second)] = *pair
            && index == next
        {
            return Err(PlanError::BootIndex { index, first: first.clone(), second: second.clone() });
        }
    }
    let mut order: Vec<_> = (0..disks.len()).collect();
    let place = |disk: &usize| disks.get(*disk).and_then(|disk| disk.bootindex);
    order.sort_by_key(|disk| (place(disk).is_none(), place(disk)));
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disks(indices: &[Option<u32>]) -> Vec<DiskConfig> {
        let disk = |(n, &bootindex): (usize, &Option<u32>)| DiskConfig {
            bootindex,
            ..DiskConfig::new(format!("{n}.raw"))
        };
        indices.iter().enumerate().map(disk).collect()
    }

    #[test]
    fn disks_without_boot_index_keep_their_order() {
        assert_eq!(boot_order(&disks(&[None, None, None])), Ok(vec![0, 1, 2]));
        assert_eq!(boot_order(&[]), Ok(vec![]));
    }

    #[test]
    fn disks_with_boot_index_come_first_by_number() {
        assert_eq!(boot_order(&disks(&[None, Some(7), None, Some(0)])), Ok(vec![3, 1, 0, 2]));
        assert_eq!(boot_order(&disks(&[None, Some(u32::MAX)])), Ok(vec![1, 0]));
    }

    #[test]
    fn boot_index_of_two_disks_is_refused() {
        let error = boot_order(&disks(&[Some(1), None, Some(0), Some(1)])).unwrap_err();
        let expected = "bootindex=1 is given to two disks, 0.raw and 3.raw: give each its own";
        assert_eq!(error.to_string(), expected);
    }
}
