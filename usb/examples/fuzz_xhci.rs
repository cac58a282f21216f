//! Runs random programs against the xHCI controller: `fuzz_xhci RUNS [SEED]`. A failure prints its program, for the corpus.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use usb::xhci::fuzz::Harness;

/// The longest program.
const LONGEST: u64 = 400;

/// The generator `splitmix64`: every seed gives a different, good sequence.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn program(&mut self) -> Vec<u8> {
        let len = self.next() % LONGEST;
        // A driver's start: a device with its address, two bulk endpoints. Then anything.
        let device = [self.next() as u8, 9, 0, 7, 0, 0, 10, 0, 1, 0, 14, 0, 1, 1, 0, 0, 10, 2, 1, 0];
        let endpoints = [8, 0x40, 0, 1, 3, 1, 0, 8, 0x40, 0, 1, 4, 1, 0];
        let start = [device.as_slice(), &endpoints].concat();
        let take = if self.next().is_multiple_of(4) { 1 } else { start.len() };
        start.into_iter().take(take).chain((0..len).map(|_| self.next() as u8)).collect()
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>());
    let (Some(Ok(runs)), seed) = (args.next(), args.next().unwrap_or(Ok(1))) else {
        eprintln!("usage: fuzz_xhci RUNS [SEED]");
        return ExitCode::from(2);
    };
    let (Ok(seed), Ok(harness)) = (seed, Harness::new()) else {
        eprintln!("no seed, or no memory");
        return ExitCode::from(2);
    };
    let start = Instant::now();
    let mut questions = 0;
    for run in 0..runs {
        let program = Random(seed << 32 ^ run).program();
        if let Ok(asked) = catch_unwind(AssertUnwindSafe(|| harness.run(&program))) {
            questions += asked;
        } else {
            let hex: String = program.iter().map(|byte| format!("{byte:02x}")).collect();
            eprintln!("run {run} of seed {seed} failed: {hex}");
            return ExitCode::FAILURE;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{runs} programs in {seconds:.1} s, devices were asked {questions} times, no finding");
    ExitCode::SUCCESS
}
