//! What the devices of an 8-bit bus have in common.

use bus::{Access, Refused, Width};

/// The offset of an access of one byte; others are refused.
pub(crate) fn byte_wide(at: Access) -> Result<u64, Refused> {
    if at.width == Width::Byte { Ok(at.offset) } else { Err(Refused) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_and_others_do_not() {
        let access = |width| byte_wide(Access { offset: 3, width });
        assert_eq!(Width::ALL.map(access), [Ok(3), Err(Refused), Err(Refused), Err(Refused)]);
    }
}
