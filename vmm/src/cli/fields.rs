//! `VALUE[,key=value…]`, the shape that QEMU gives its options: a comma in a value is written twice.

/// A first value and the keys after it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    /// What stands before the first comma.
    pub(crate) first: String,
    /// Key and value in the order written, each key once.
    pub(crate) pairs: Vec<(String, String)>,
}

/// What is wrong with the shape.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FieldsError {
    /// A field without `=`.
    #[error("`{0}` has no value, write key=value; a comma in a value is written twice")]
    NoValue(String),
    /// A key for the second time.
    #[error("{0} is given twice, give it once")]
    Twice(String),
}

impl Fields {
    /// Takes `text` apart.
    pub(crate) fn parse(text: &str) -> Result<Self, FieldsError> {
        let mut fields = split(text).into_iter();
        let first = fields.next().unwrap_or_default();
        let mut pairs = Vec::new();
        for field in fields {
            push_pair(&mut pairs, field)?;
        }
        Ok(Self { first, pairs })
    }

    /// Takes `text` apart where keys stand from the first field on.
    pub(crate) fn pairs(text: &str) -> Result<Vec<(String, String)>, FieldsError> {
        let mut pairs = Vec::new();
        split(text).into_iter().try_for_each(|field| push_pair(&mut pairs, field))?;
        Ok(pairs)
    }
}

impl Fields {
    /// Takes `text` apart where there is no first value, and keys may be written more than once.
    pub(crate) fn repeatable(text: &str) -> Result<Vec<(String, String)>, FieldsError> {
        split(text).into_iter().map(pair).collect()
    }
}

fn push_pair(pairs: &mut Vec<(String, String)>, field: String) -> Result<(), FieldsError> {
    let (key, value) = pair(field)?;
    if pairs.iter().any(|(known, _)| *known == key) {
        return Err(FieldsError::Twice(key));
    }
    pairs.push((key, value));
    Ok(())
}

fn pair(field: String) -> Result<(String, String), FieldsError> {
    match field.split_once('=') {
        Some((key, value)) => Ok((key.into(), value.into())),
        None => Err(FieldsError::NoValue(field)),
    }
}

/// Splits at single commas; of two in a row, one stays.
fn split(text: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == ',' && chars.next_if_eq(&',').is_none() {
            fields.push(std::mem::take(&mut field));
        } else {
            field.push(c);
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_comma_is_one_comma_of_the_value() {
        assert_eq!(split("a,,b,c"), ["a,b", "c"]);
        assert_eq!(split("a,,,b"), ["a,", "b"]);
        assert_eq!(split(",,,,"), [",,"]);
    }

    #[test]
    fn empty_text_is_one_empty_field() {
        assert_eq!(split(""), [""]);
        assert_eq!(split("a,"), ["a", ""]);
    }

    #[test]
    fn value_keeps_its_equals_signs() {
        let fields = Fields::parse("a=b.raw,id=x=y").unwrap();
        assert_eq!(fields, Fields { first: "a=b.raw".into(), pairs: vec![("id".into(), "x=y".into())] });
    }

    #[test]
    fn malformed_fields_are_refused() {
        assert_eq!(Fields::parse("a,bus"), Err(FieldsError::NoValue("bus".into())));
        assert_eq!(Fields::parse("a,"), Err(FieldsError::NoValue(String::new())));
        assert_eq!(Fields::parse("a,k=1,k=2"), Err(FieldsError::Twice("k".into())));
    }
}
