//! What was flushed is there, even if the process that flushed it is killed in the middle of the next write.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use rstest::rstest;

use crate::files::{Folder, MIB, WRITABLE, read, start, write};

/// Where the writing process finds its image.
const IMAGE: &str = "TINDERBOX_CRASH_IMAGE";
/// Bytes of a record, and how many there are on the disk.
const RECORD: usize = 8192;
const RECORDS: usize = 16 * MIB / RECORD;

fn record(round: usize, n: usize) -> Vec<u8> {
    (round * RECORDS + n).to_le_bytes().repeat(RECORD / 8)
}

/// Not a test: the process that is killed. It writes records in a scattered order, flushes, and says how far it is.
#[test]
#[ignore = "runs in the tests below"]
fn writer() {
    let disk = block::open(std::env::var_os(IMAGE).unwrap().as_ref(), &WRITABLE).unwrap();
    for round in 0.. {
        for n in 0..RECORDS {
            write(&*disk, place(n), &record(round, n));
            if n % 7 == 6 {
                disk.flush().unwrap();
                println!("\nflushed {round} {n}");
            }
        }
    }
}

/// The place of the `n`th record.
fn place(n: usize) -> usize {
    n * 797 % RECORDS * RECORD
}

/// Runs the writer on the image `name` for a while and kills it; returns the last record that it said was flushed.
fn crash(folder: &Folder, name: &str, after: usize) -> (usize, usize) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["crash::writer", "--exact", "--ignored", "--nocapture"]).env(IMAGE, folder.path(name));
    let mut writer = start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    let mut said = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut flushes = said.by_ref().filter_map(|line| {
        let (round, n) = line.strip_prefix("flushed ")?.split_once(' ')?;
        Some((round.parse().unwrap(), n.parse().unwrap()))
    });
    let mut last = flushes.nth(after).unwrap();
    std::thread::sleep(Duration::from_micros(137 * after as u64));
    writer.kill().unwrap(); // SIGKILL
    writer.wait().unwrap();
    last = flushes.last().unwrap_or(last);
    last
}

#[rstest]
#[case::raw("create -q -f raw a.raw 16M", "a.raw")]
#[case::qcow2("create -q -f qcow2 a.qcow2 16M", "a.qcow2")]
#[case::overlay("create -q -f qcow2 -o cluster_size=4k -b base.raw -F raw b.qcow2", "b.qcow2")]
fn flushed_records_survive_a_kill(#[case] create: &str, #[case] name: &str) {
    let folder = Folder::new();
    folder.write("base.raw", &vec![0x5a; 16 * MIB]);
    folder.qemu_img(create);
    for after in [3, 40, 200] {
        let (round, last) = crash(&folder, name, after);
        let disk = folder.open(name);
        for n in 0..=last {
            let found = read(&*disk, place(n), RECORD);
            // The next round may have come that far already.
            assert!(found == record(round, n) || found == record(round + 1, n), "{n} of {last}, {round}");
        }
        drop(disk);
        if name.ends_with("qcow2") {
            // Clusters that a killed process had taken and not used yet are leaks, which cost nothing but room.
            folder.qemu_img(&format!("check -q -r leaks -f qcow2 {name}"));
            let report = folder.qemu_img(&format!("check -f qcow2 {name}"));
            assert!(report.contains("No errors were found"), "{report}");
        }
    }
}
