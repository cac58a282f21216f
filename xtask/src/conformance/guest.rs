//! The machines of the matrix for the machine tests, which have Debian's kernel look at the tables of each.

use std::fmt::Write as _;

use super::matrix::{self, Cell};

/// More memory than this is a matter of the tables alone: the lab has 8 GiB.
const MOST_MIB: u64 = 6 << 10;
/// Less than this is, too: Debian's kernel, unpacked, does not fit.
const LEAST_MIB: u64 = 128;

/// The machines whose tables are golden text, as [`list`] writes them.
pub(crate) fn golden() -> String {
    list(&matrix::golden()).0
}

/// A line for each machine, its name and its arguments, with tabs between them; and the names of those whose memory
/// is too large or too small.
pub(super) fn list(cells: &[Cell]) -> (String, Vec<&str>) {
    let (mut lines, mut left_out) = (String::new(), Vec::new());
    for cell in cells {
        if memory_mib(&cell.args).is_some_and(|mib| (LEAST_MIB..=MOST_MIB).contains(&mib)) {
            let _ = writeln!(lines, "{}\t{}", cell.name, cell.args.join("\t"));
        } else {
            left_out.push(cell.name.as_str());
        }
    }
    (lines, left_out)
}

/// Memory of the machine that `args` describe.
fn memory_mib(args: &[String]) -> Option<u64> {
    let mut values = args.iter().skip_while(|arg| !arg.starts_with("--memory"));
    let Some(option) = values.next() else { return Some(512) };
    let value = option.strip_prefix("--memory=").or(values.next().map(String::as_str))?;
    let (count, unit) = value.split_at(value.len().checked_sub(1)?);
    let count: u64 = count.parse().ok()?;
    match unit {
        "M" => Some(count),
        "G" => Some(count << 10),
        "T" => Some(count << 20),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_found_in_both_spellings() {
        let memory = |args: &[&str]| memory_mib(&args.iter().map(|arg| (*arg).into()).collect::<Vec<_>>());
        assert_eq!(memory(&["--cpus", "2"]), Some(512));
        assert_eq!(memory(&["--memory", "16M", "--cpus=2"]), Some(16));
        assert_eq!(memory(&["--cpus=2", "--memory=3G"]), Some(3072));
        assert_eq!(memory(&["--memory", "32T"]), Some(32 << 20));
        assert_eq!(memory(&["--memory", "16"]), None);
    }

    #[test]
    fn list_leaves_out_nothing_but_for_its_memory() {
        let cells = matrix::cells();
        let (lines, left_out) = list(&cells);
        assert_eq!(lines.lines().count() + left_out.len(), cells.len());
        assert_eq!(left_out, ["16M", "64G", "32T"]);
        assert!(lines.contains("\tdefault\t") || lines.starts_with("default\t--disk\t0.raw\n"));
    }
}
