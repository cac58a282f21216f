//! `--timeline`: the phases of real boots. Any KVM will do.

use anyhow::{Context as _, Result, ensure};
use machine_tests::{BootSector, VmBuilder, blank_disk, patience};
use serde_json::Value;

/// The timeline of a machine with `args` and a boot sector that does `actions`, up to its end.
fn timeline(name: &str, actions: &str, args: &[&str]) -> Result<Value> {
    let builder = VmBuilder::new(name)?;
    let path = builder.dir().join("boot.json");
    let option = format!("{},mark=boot: write ok", path.display());
    let disk = BootSector::create(builder.dir(), "boot.raw", actions)?;
    let vm = builder.disk(disk.path(), "").args(["--timeline", &option]).args(args).start()?;
    ensure!(vm.wait(patience(40))?.code() == Some(0));
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).context("the timeline is no JSON")
}

fn phases(timeline: &Value) -> &[Value] {
    timeline["phases"].as_array().map_or(&[], Vec::as_slice)
}

fn names(timeline: &Value) -> Vec<&str> {
    phases(timeline).iter().filter_map(|phase| phase["name"].as_str()).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// Exits of `phase` for `device`.
fn exits(phase: &Value, device: &str) -> u64 {
    let all = phase["exits"].as_array().into_iter().flatten();
    all.filter(|exit| exit["device"] == device).map(|exit| number(&exit["count"])).sum()
}

#[test]
fn each_boot_has_its_phases_and_each_phase_its_exits() -> Result<()> {
    let timeline = timeline("timeline", "RP", &[])?;
    let boot = ["SeaBIOS", "disk", "boot sector", "boot: write ok"];
    let expected = [&["tinderbox", "reset vector"], &boot[..], &["reset"], &boot[..]].concat();
    ensure!(names(&timeline) == expected, "{timeline:#}");
    let phases = phases(&timeline);
    let mut ends = phases.iter().map(|phase| number(&phase["end_us"]));
    ensure!(
        ends.clone().is_sorted() && ends.next_back() == Some(number(&timeline["end_us"])),
        "{timeline:#}"
    );
    ensure!(
        phases[2]["text"].as_str().is_some_and(|text| text.starts_with("SeaBIOS (version")),
        "{timeline:#}"
    );
    // The firmware reads its directory, and prints; the boot sector prints alone.
    ensure!(exits(&phases[2], "fw_cfg") > 10 && exits(&phases[2], "debugcon") > 500, "{timeline:#}");
    ensure!(exits(&phases[4], "fw_cfg") == 0 && exits(&phases[4], "com1") > 20, "{timeline:#}");
    let counted: u64 = phases
        .iter()
        .flat_map(|phase| phase["exits"].as_array())
        .flatten()
        .map(|exit| number(&exit["count"]))
        .sum();
    let slices = timeline["exits_over_time"]["counts"].as_array().into_iter().flatten();
    let in_time: u64 = slices.flat_map(|slice| slice.as_array()).flatten().map(number).sum();
    ensure!(counted == in_time && counted > 1000, "{counted} and {in_time}");
    ensure!(timeline["ending"] == "the guest powered off", "{timeline:#}");
    Ok(())
}

#[test]
fn boot_device_that_fails_is_a_phase() -> Result<()> {
    let builder = VmBuilder::new("timeline_fails")?;
    let path = builder.dir().join("boot.html");
    let disk = blank_disk(builder.dir(), "blank.raw", 1 << 20, "")?;
    let option = path.display().to_string();
    let mut vm = builder.disk(&disk, "").args(["--timeline", &option]).start()?;
    vm.expect("No bootable device", patience(20))?;
    // Two of a kind at once would be one.
    vm.signal(rustix::process::Signal::TERM)?;
    vm.signal(rustix::process::Signal::INT)?;
    ensure!(vm.wait(patience(10))?.code() == Some(1));
    let page = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    for name in [r#""name":"boot failed""#, r#""name":"no boot device""#, "<svg id=\"chart\""] {
        ensure!(page.contains(name), "no {name} in the page");
    }
    Ok(())
}
