//! Where characters go: the serial port, the firmware's log, `-chardev`; and what the clock shows.

use chipset::time::{Moment, SECOND};

use super::*;
use crate::config::{OutputFile, RtcBase, RtcClock};

#[test]
fn serial_port_goes_where_it_is_told() {
    let console = |line| config(line).console;
    assert_eq!(console("-nographic"), Console::Stdio);
    assert_eq!(console("-nographic -nodefaults"), Console::None);
    assert_eq!(console("-display none -serial mon:stdio"), Console::Stdio);
    assert_eq!(console("-serial file:a.log"), Console::File("a.log".into()));
    assert_eq!(console("-serial none"), Console::None);
    assert_eq!(console("-serial null"), Console::File("/dev/null".into()));
    assert_eq!(console("-serial chardev:c -chardev stdio,id=c,signal=off"), Console::Stdio);
    assert_eq!(
        console("-nodefaults -chardev file,id=c,path=x -device isa-serial,chardev=c"),
        Console::File("x".into())
    );
    assert_eq!(console("-serial pty"), Console::Stream(PortEnd::Pty));
    let socket = Console::Stream(PortEnd::Socket("/run/s".into()));
    assert_eq!(console("-serial unix:/run/s,server=on,wait=off"), socket);
    assert_eq!(console("-chardev socket,id=c,path=/run/s,server=on,wait=off -serial chardev:c"), socket);
    assert!(message("-serial unix:/run/s,server=on").ends_with("use server=on,wait=off"));
    assert!(message("-serial msmouse").starts_with("-serial msmouse: unknown backend, use stdio"));
    let twice = "-serial stdio -nodefaults -chardev null,id=c -device isa-serial,chardev=c";
    assert!(message(twice).ends_with("-device isa-serial has the one serial port, leave this out"));
    assert_eq!(console(&twice.replace("stdio", "none")), Console::File("/dev/null".into()));
    assert_eq!(message("-serial chardev:c"), "-serial chardev:c: there is no -chardev of the id `c`, add it");
}

#[test]
fn only_the_first_serial_port_is_there() {
    let of = |line: &str| {
        let parsed = parsed(&args(line));
        (parsed.config.console, parsed.notes)
    };
    let note = "-serial file:b.log changes nothing: there is one serial port, and the first -serial has it";
    assert_eq!(of("-serial stdio -serial file:b.log -serial none"), (Console::Stdio, vec![note.into()]));
    assert_eq!(of("-serial none -serial file:b.log"), (Console::None, vec![note.into()]));
    assert!(message("-serial null -serial msmouse").starts_with("-serial msmouse: unknown backend"));
    assert!(message("-serial null -serial chardev:c").ends_with("no -chardev of the id `c`, add it"));
}

#[test]
fn file_begins_empty_unless_it_is_to_be_continued() {
    let file = |append| OutputFile { path: "a.log".into(), append };
    let console =
        |line: &str| config(&format!("-serial chardev:c -chardev file,id=c,path=a.log{line}")).console;
    assert_eq!(console(""), Console::File(file(false)));
    assert_eq!(console(",append=off"), Console::File(file(false)));
    assert_eq!(console(",append=on"), Console::File(file(true)));
    let others = "-chardev file,id=d,path=a.log,append=on -device isa-debugcon,iobase=0x402,chardev=d \
        -chardev file,id=p,path=a.log,append=on -device virtio-serial-device -device virtserialport,chardev=p,name=a";
    let config = config(others);
    assert_eq!(
        (config.debugcon, &config.virtio.ports[0].end),
        (Some(file(true)), &PortEnd::File(file(true)))
    );
    assert!(message("-chardev file,id=c,path=a.log,append=1").ends_with("use append=on or append=off"));
}

#[test]
fn character_device_has_one_user() {
    let line = "-chardev stdio,mux=on,id=c -serial chardev:c -mon chardev=c,mode=readline";
    assert_eq!(config(line).console, Console::Stdio, "there is no monitor to share the terminal with");
    let expected = "-device virtconsole,chardev=c: -chardev c is connected already, even with mux=on give each device its own";
    assert_eq!(message(&format!("{line} -device virtio-serial -device virtconsole,chardev=c")), expected);
    assert!(
        message("-chardev stdio,id=c -serial chardev:c -mon c,mode=control").contains("is connected already")
    );
}

#[test]
fn firmware_log_is_at_its_port() {
    let log = |line| config(line).debugcon;
    let device = "-chardev file,id=d,path=fw.log -device isa-debugcon,iobase=0x402,chardev=d";
    assert_eq!(log(device), Some("fw.log".into()));
    assert_eq!(log("-global isa-debugcon.iobase=0x402 -debugcon file:fw.log"), Some("fw.log".into()));
    assert!(message("-debugcon file:fw.log").ends_with("add -global isa-debugcon.iobase=0x402"));
}

#[test]
fn clock_shows_what_it_is_told() {
    let of = |line: &str| {
        let parsed = parsed(&args(&format!("-nographic {line}")));
        (parsed.config.rtc.base, parsed.config.rtc.clock, parsed.notes.len())
    };
    let date = RtcBase::At(Moment(1_785_801_600 * SECOND));
    assert_eq!(of("-M microvm,rtc=on -rtc base=2026-08-04"), (date, RtcClock::Host, 0));
    assert_eq!(
        of("-M microvm,rtc=on -rtc base=localtime -rtc clock=rt"),
        (RtcBase::LocalTime, RtcClock::Steady, 0)
    );
    assert_eq!(of("-rtc base=utc,clock=host,driftfix=none"), (RtcBase::Utc, RtcClock::Host, 0));
    let lasting = parsed(&args("-nographic -M microvm,rtc=on -rtc clock=vm,driftfix=slew"));
    assert_eq!((lasting.config.rtc.clock, lasting.notes.len()), (RtcClock::Steady, 2), "{:?}", lasting.notes);
    let none = "-rtc changes nothing: the machine has no such clock, add -M microvm,rtc=on";
    assert_eq!(parsed(&args("-nographic -rtc base=localtime,driftfix=slew")).notes, [none]);
    assert!(
        message("-rtc base=noon")
            .contains("base=noon is no time from 1970 to 2553, use base=utc, base=localtime")
    );
    assert!(message("-rtc clock=sun").ends_with("use clock=host or clock=rt"));
    assert!(message("-rtc driftfix=fast").ends_with("use driftfix=none or driftfix=slew"));
}
