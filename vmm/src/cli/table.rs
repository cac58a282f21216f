//! Text in columns.

/// The rows, each cell padded to its column and each line indented.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|n| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0));
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("  {cell:<width$}"));
    format!("{}\n", padded.collect::<String>().trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".into(), "long".into(), "x".into()], ["é€".into(), String::new(), "y".into()]];
        assert_eq!(columns(&rows), "  a   long  x\n  é€        y\n");
    }

    #[test]
    fn line_has_no_trailing_space() {
        assert_eq!(columns(&[["a".into(), String::new()], ["bc".into(), "d".into()]]), "  a\n  bc  d\n");
    }
}
