//! edk2 under gdb with the symbols of its modules: needs a KVM that runs 64-bit guests, or the lab.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use machine_tests::{VmBuilder, patience, symbols};

/// What gdb says to `commands`, after it connected to `socket`. It halts the machine when it comes, and lets it run when it
/// leaves.
fn gdb(socket: &Path, commands: &[String]) -> Result<String> {
    let connect = format!("target remote {}", socket.display());
    let set_up = ["set pagination off", "set confirm off", "set style enabled off", &connect];
    let commands = set_up.into_iter().chain(commands.iter().map(String::as_str));
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch"]).args(commands.flat_map(|command| ["-ex", command]));
    let output = gdb.stdin(Stdio::null()).output().context("start gdb")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

/// Where the log says that modules were loaded: `Loading driver at 0x0000ED2B000 EntryPoint=0x0000ED2F5B1 PcRtc.efi`; the core of
/// DXE has no name there.
fn modules(log: &str) -> impl Iterator<Item = (&str, &str)> {
    log.lines().filter_map(|line| {
        if let Some((_, rest)) = line.split_once("Loading DXE CORE at ") {
            return Some((rest.split_whitespace().next()?, "DxeCore"));
        }
        let (_, rest) = line.split_once("Loading driver at ")?;
        let mut words = rest.split_whitespace();
        Some((words.next()?, words.nth(1)?.strip_suffix(".efi")?))
    })
}

#[test]
fn edk2_waits_in_its_shell_in_functions_with_names() -> Result<()> {
    let builder = VmBuilder::new("symbols")?;
    let dir = builder.dir().to_owned();
    // A lab's folders hold no sockets.
    let sockets = tempfile::tempdir()?;
    let socket = sockets.path().join("gdb");
    let debugger = format!("unix:{},arch=x86-64", socket.display());
    let args = ["--firmware", "edk2-debug", "--memory", "256M", "--gdb", &debugger];
    let mut vm = builder.args(args).start()?;
    let end = Instant::now() + patience(10);
    while !socket.exists() {
        ensure!(Instant::now() < end, "there is no socket");
        std::thread::sleep(Duration::from_millis(50));
    }
    let reset = gdb(&socket, &["info registers rip".into(), "detach".into()])?;
    ensure!(reset.contains("0xfffffff0"), "{reset}");
    vm.expect("Shell> ", patience(60))?;
    let log = vm.firmware_log()?;
    let folder = symbols()?;
    let load = |(base, name): (&str, &str)| {
        let file = folder.join(name).with_extension("debug");
        file.exists().then(|| format!("add-symbol-file {} -o {base}", file.display()))
    };
    let mut commands: Vec<_> = modules(&log).filter_map(load).collect();
    ensure!(commands.len() > 30, "{} modules have symbols", commands.len());
    let questions =
        ["info symbol $pc", "backtrace", "stepi", "info symbol $pc", "info line CoreWaitForEvent", "detach"];
    commands.extend(questions.map(String::from));
    let text = gdb(&socket, &commands)?;
    fs::write(dir.join("gdb.txt"), &text)?;
    ensure!(text.contains(" in CoreWaitForEvent ("), "the shell waits for no event: {text}");
    ensure!(text.matches(" in section .text of ").count() == 2, "{text}");
    ensure!(text.contains("MdeModulePkg/Core/Dxe/Event/Event.c"), "{text}");
    Ok(())
}
