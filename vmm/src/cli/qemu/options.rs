//! Every option of QEMU's x86 programs: what is done with it here.

use super::QemuError;
use crate::nearest::nearest;

/// An option of QEMU's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Its name without the dash.
    pub(super) name: &'static str,
    /// Whether a value follows.
    pub(super) has_value: bool,
    /// What it leads to.
    pub(super) treatment: Treatment,
}

/// What an option leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// It means something here.
    Meant,
    /// It changes nothing; why, if somebody could wonder.
    Harmless(&'static str),
    /// It asks for what this program does not have; what to do instead.
    Unsupported(&'static str),
}

use Treatment::{Harmless, Meant, Unsupported};

/// Names for the same option. QEMU has them for historical reasons.
const ALIASES: [(&str, &str); 4] =
    [("M", "machine"), ("h", "help"), ("net", "nic"), ("nodefconfig", "no-user-config")];

const NO_DISPLAY: &str = "there is no display, use -nographic and the serial port";
const NO_SOUND: &str = "this machine has no sound, leave it out";
const BY_DRIVE: &str =
    "this machine has no such drive, use -drive if=none,id=ID,file=FILE -device virtio-blk-device,drive=ID";
const NO_STATE: &str = "a machine's state cannot be saved or moved yet, leave it out";
const OTHER_ARCHITECTURE: &str = "it is for other machines, leave it out";
const EMULATION: &str = "it belongs to QEMU's emulation of a processor, and there is KVM alone here";
const LOG: &str = "-v, -vv or the variable TINDERBOX_LOG make tinderbox say more";

const fn meant(name: &'static str, has_value: bool) -> Known {
    Known { name, has_value, treatment: Meant }
}

const fn harmless(name: &'static str, has_value: bool, why: &'static str) -> Known {
    Known { name, has_value, treatment: Harmless(why) }
}

const fn unsupported(name: &'static str, has_value: bool, instead: &'static str) -> Known {
    Known { name, has_value, treatment: Unsupported(instead) }
}

const OPTIONS: &[Known] = &[
    meant("S", false),
    meant("accel", true),
    meant("action", true),
    meant("add-fd", true),
    meant("append", true),
    meant("bios", true),
    meant("blockdev", true),
    meant("boot", true),
    meant("chardev", true),
    meant("cpu", true),
    meant("daemonize", false),
    meant("debugcon", true),
    meant("device", true),
    meant("display", true),
    meant("drive", true),
    meant("dry-run", false),
    meant("echr", true),
    meant("enable-kvm", false),
    meant("fw_cfg", true),
    meant("gdb", true),
    meant("global", true),
    meant("hda", true),
    meant("help", false),
    meant("initrd", true),
    meant("kernel", true),
    meant("m", true),
    meant("machine", true),
    meant("mem-path", true),
    meant("mem-prealloc", false),
    meant("mon", true),
    meant("monitor", true),
    meant("name", true),
    meant("netdev", true),
    meant("nic", true),
    meant("no-acpi", false),
    meant("no-reboot", false),
    meant("no-shutdown", false),
    meant("nodefaults", false),
    meant("nographic", false),
    meant("numa", true),
    meant("object", true),
    meant("overcommit", true),
    meant("parallel", true),
    meant("pidfile", true),
    meant("qmp", true),
    meant("qmp-pretty", true),
    meant("rtc", true),
    meant("run-with", true),
    meant("s", false),
    meant("sandbox", true),
    meant("serial", true),
    meant("smbios", true),
    meant("smp", true),
    meant("snapshot", false),
    meant("usb", false),
    meant("uuid", true),
    meant("version", false),
    meant("vga", true),
    harmless("D", true, LOG),
    harmless("L", true, "firmware is found by -bios, or is the bundle's"),
    harmless("d", true, LOG),
    harmless("dfilter", true, LOG),
    harmless("enable-fips", false, ""),
    harmless("k", true, ""),
    harmless("msg", true, ""),
    harmless("no-fd-bootchk", false, ""),
    harmless("no-hpet", false, ""),
    harmless("no-user-config", false, ""),
    harmless("trace", true, LOG),
    unsupported("acpitable", true, "the machine's own tables are all there are, leave it out"),
    unsupported("alt-grab", false, NO_DISPLAY),
    unsupported("async-teardown", false, "leave it out"),
    unsupported("audio", true, NO_SOUND),
    unsupported("audio-help", false, NO_SOUND),
    unsupported("audiodev", true, NO_SOUND),
    meant("cdrom", true),
    unsupported("chroot", true, "start it in one, as with `chroot` or systemd's RootDirectory="),
    unsupported("compat", true, "leave it out"),
    unsupported("ctrl-grab", false, NO_DISPLAY),
    unsupported("curses", false, NO_DISPLAY),
    unsupported("dtb", true, "kernels for x86 take none, leave it out"),
    unsupported("dump-vmstate", true, NO_STATE),
    unsupported("fda", true, BY_DRIVE),
    unsupported("fdb", true, BY_DRIVE),
    unsupported("fsdev", true, "this machine cannot share folders yet"),
    unsupported("full-screen", false, NO_DISPLAY),
    unsupported("g", true, NO_DISPLAY),
    unsupported("hdb", true, BY_DRIVE),
    unsupported("hdc", true, BY_DRIVE),
    unsupported("hdd", true, BY_DRIVE),
    unsupported("icount", true, EMULATION),
    unsupported("incoming", true, NO_STATE),
    unsupported("iscsi", true, BY_DRIVE),
    unsupported("loadvm", true, NO_STATE),
    unsupported("mtdblock", true, BY_DRIVE),
    unsupported("old-param", false, OTHER_ARCHITECTURE),
    unsupported("only-migratable", false, NO_STATE),
    unsupported("option-rom", true, "there is the one for -kernel, leave it out"),
    unsupported("pflash", true, "this machine has no flash memory, use -bios FILE"),
    unsupported("plugin", true, EMULATION),
    unsupported("preconfig", false, "leave it out"),
    unsupported("prom-env", true, OTHER_ARCHITECTURE),
    unsupported("qtest", true, EMULATION),
    unsupported("readconfig", true, "write the options out"),
    unsupported("runas", true, "start it as that user, as with `setpriv` or systemd's User="),
    unsupported("sd", true, BY_DRIVE),
    unsupported("seed", true, EMULATION),
    unsupported("semihosting", false, OTHER_ARCHITECTURE),
    unsupported("semihosting-config", true, OTHER_ARCHITECTURE),
    unsupported("set", true, "write the property with its device"),
    unsupported("singlestep", false, EMULATION),
    unsupported("spice", true, NO_DISPLAY),
    unsupported("tpmdev", true, "this machine has no TPM, leave it out"),
    unsupported("usbdevice", true, "use -device usb-kbd, usb-mouse, usb-tablet or usb-storage"),
    unsupported("virtfs", true, "this machine cannot share folders yet"),
    unsupported("vnc", true, NO_DISPLAY),
    unsupported("watchdog", true, "this machine has no watchdog, leave it out"),
    unsupported("watchdog-action", true, "this machine has no watchdog, leave it out"),
    unsupported("win2k-hack", false, "leave it out"),
    unsupported("writeconfig", true, "write the options down yourself"),
    unsupported("xen-attach", false, "there is KVM alone here"),
    unsupported("xen-domid", true, "there is KVM alone here"),
];

/// Finds the option that `word` names, with one dash or two.
pub(super) fn find(word: &str) -> Result<&'static Known, QemuError> {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).unwrap_or(word);
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
    OPTIONS.iter().find(|option| option.name == name).ok_or_else(|| unknown(word, name))
}

/// The names of the options that mean something, for help.
pub(super) fn meant_names() -> impl Iterator<Item = &'static Known> {
    OPTIONS.iter().filter(|option| option.treatment == Meant)
}

fn unknown(word: &str, name: &str) -> QemuError {
    let hint = match nearest(name, OPTIONS.iter().map(|option| option.name).filter(|name| name.len() > 1)) {
        Some(meant) => format!("did you mean -{meant}?"),
        None => "see `tinderbox qemu -help`".into(),
    };
    QemuError::Unknown { option: word.into(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_is_found_by_one_dash_and_two_and_by_its_alias() {
        for word in ["-machine", "--machine", "-M"] {
            assert_eq!(find(word).unwrap().name, "machine", "{word}");
        }
    }

    #[test]
    fn names_stand_once() {
        let mut names: Vec<_> = OPTIONS.iter().map(|option| option.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OPTIONS.len());
    }

    #[test]
    fn misspelt_option_comes_with_what_was_meant() {
        let message = |word| find(word).unwrap_err().to_string();
        assert_eq!(message("-nographics"), "unknown option -nographics, did you mean -nographic?");
        assert_eq!(message("--blokdev"), "unknown option --blokdev, did you mean -blockdev?");
        assert_eq!(message("-teleport"), "unknown option -teleport, see `tinderbox qemu -help`");
    }
}
