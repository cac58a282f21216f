//! The machines of the matrix for the machine tests, which have Debian's kernel look at the tables of each.

use std::fmt::Write as _;

use super::matrix::{self, Cell};

/// More memory than this is a matter of the tables alone: the lab has 8 GiB.
const MOST_MIB: u64 = 6 << 10;

/// The machines whose tables are golden text, as [`list`] writes them.
pub(crate) fn golden() -> String {
    list(&matrix::golden()).0
}

/// A line for each machine, its name and its arguments, with tabs between them; and the names of those that are too large.
pub(super) fn list(cells: &[Cell]) -> (String, Vec<&str>) {
    let (mut lines, mut too_large) = (String::new(), Vec::new());
    for cell in cells {
        if memory_mib(&cell.args).is_some_and(|mib| mib <= MOST_MIB) {
            let _ = writeln!(lines, "{}\t{}", cell.name, cell.args.join("\t"));
        } else {
            too_large.push(cell.name.as_str());
        }
    }
    (lines, too_large)
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
    fn list_leaves_out_nothing_but_what_is_too_large() {
        let cells = matrix::cells();
        let (lines, too_large) = list(&cells);
        assert_eq!(lines.lines().count() + too_large.len(), cells.len());
        assert_eq!(too_large, ["64G", "32T"]);
        assert!(lines.contains("\tdefault\t") || lines.starts_with("default\t--disk\t0.raw\n"));
    }
}
