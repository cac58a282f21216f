//! What lies at the reset vector where no firmware does. Linux reboots a PC by a jump there, in real mode.

use super::layout;
use super::piece::Piece;

/// Jumps to the code below whatever CS is, and that gets lost on purpose: without an interrupt table a breakpoint is a
/// triple fault, which resets the machine. The empty table's register image stands at the end.
const CODE: [u8; 32] = [
    0x2e, 0x0f, 0x01, 0x1e, 0xf8, 0xff, // lidt %cs:0xfff8
    0xcc, // int3
    0xf4, // hlt
    0, 0, 0, 0, 0, 0, 0, 0, // up to the reset vector, f000:fff0
    0xea, 0xe0, 0xff, 0x00, 0xf0, // ljmp $0xf000, $0xffe0
    0, 0, 0, // up to f000:fff8
    0, 0, 0, 0, 0, 0, 0, 0,
];

/// Code that resets the machine.
pub(super) fn piece() -> Piece {
    Piece::bytes("reset vector", layout::RESET_VECTOR.start, CODE.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jump_is_at_the_reset_vector_and_the_empty_table_where_the_code_says() {
        let at = |address: u64| (address - layout::RESET_VECTOR.start) as usize;
        assert_eq!(CODE[at(0xf_fff0)], 0xea);
        assert_eq!(CODE[at(0xf_fff8)..][..6], [0; 6]);
        assert_eq!(piece().range(), layout::RESET_VECTOR);
    }
}
