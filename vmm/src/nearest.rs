//! What somebody who misspelt a name probably meant.

/// Letters to insert, delete or replace on the way from `a` to `b` (Levenshtein).
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (y, cell) in b.bytes().zip(row.iter_mut().skip(1)) {
            let here = (corner + usize::from(x != y)).min(left + 1).min(*cell + 1);
            corner = std::mem::replace(cell, here);
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// The name closest to `text`, if one is close.
pub(crate) fn nearest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// A text longer than this is no misspelt name.
    const LONGEST: usize = 64;
    if text.len() > LONGEST {
        return None;
    }
    let close = names.into_iter().map(|name| (distance(name, text), name));
    close.filter(|(distance, name)| *distance <= 2.min(name.len() / 2)).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        assert_eq!((distance("avx", "avx"), distance("avx", "avx2"), distance("", "abc")), (0, 1, 3));
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn nearest_is_a_near_one_or_none() {
        assert_eq!(nearest("nographics", ["nographic", "nodefaults"]), Some("nographic"));
        assert_eq!(nearest("teleport", ["nographic", "nodefaults"]), None);
        assert_eq!(nearest(&"a".repeat(1 << 20), ["a"]), None);
    }
}
