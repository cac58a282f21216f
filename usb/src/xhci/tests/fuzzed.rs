//! What the fuzzer ran once runs again with every test: programs that found something, and a sample of what it generates.

use crate::xhci::fuzz::Harness;
use proptest::prelude::*;

/// Programs of the past: a start that ends in transfers, or what broke a promise before it was mended.
const CORPUS: &str = include_str!("corpus/xhci.hex");

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

#[test]
fn corpus_keeps_all_promises_and_reaches_devices() {
    let harness = Harness::new().unwrap();
    for line in CORPUS.lines() {
        let asked = harness.run(&bytes(line));
        assert!(asked > 0, "no device was asked by {line}");
    }
}

proptest! {
    #[test]
    fn any_program_keeps_all_promises(program in proptest::collection::vec(any::<u8>(), 0..600)) {
        Harness::new().unwrap().run(&program);
    }
}
