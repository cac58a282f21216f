//! The program `tinderbox`.
fn main() {}
