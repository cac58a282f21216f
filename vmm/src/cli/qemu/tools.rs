//! The command lines of tools that drive QEMU, in the order in which they write them.

use super::*;
use crate::config::{
    Console, Endpoint, ExtraDevice, Monitor, OnReset, PortConfig, PortEnd, Side, Switch, UsbKind, VirtioBus,
    Wire,
};
use ::virtio::console::Kind;

fn machine(words: &[&str]) -> Config {
    let words: Vec<_> = words.iter().map(OsString::from).collect();
    match parse(&words, Aliases::Refused).unwrap() {
        Request::Machine(parsed) => parsed.config,
        Request::Help(help) => panic!("{help:?}"),
    }
}

fn port(name: &str, end: PortEnd) -> PortConfig {
    PortConfig { kind: Kind::Named(name.into()), end }
}

/// What microvm.nix's runner for QEMU starts for a machine with a tap interface, a balloon and two disks, on which nothing
/// asks for PCI.
#[test]
fn line_of_microvm_nix_makes_its_machine() {
    let config = machine(&[
        "-name",
        "my-microvm",
        "-M",
        "microvm,accel=kvm:tcg,mem-merge=on,acpi=on,pit=off,pic=off,pcie=off,usb=off",
        "-m",
        "768",
        "-smp",
        "1",
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        "-kernel",
        "/nix/store/k/bzImage",
        "-initrd",
        "/nix/store/i/initrd",
        "-chardev",
        "stdio,id=stdio,signal=off",
        "-device",
        "virtio-rng-device",
        "-serial",
        "chardev:stdio",
        "-enable-kvm",
        "-cpu",
        "host,+x2apic,-sgx",
        "-device",
        "i8042",
        "-append",
        "earlyprintk=ttyS0 console=ttyS0 reboot=t panic=-1 root=fstab loglevel=4",
        "-drive",
        "id=store,format=raw,read-only=on,file=/nix/store/s/store.erofs,if=none,aio=io_uring",
        "-device",
        "virtio-blk-device,drive=store",
        "-nographic",
        "-sandbox",
        "on",
        "-qmp",
        "unix:my-microvm.sock,server,nowait",
        "-device",
        "virtio-balloon",
        "-drive",
        "id=vda,format=raw,file=var.img,if=none,aio=io_uring,discard=unmap",
        "-device",
        "virtio-blk-device,drive=vda",
        "-netdev",
        "tap,id=vm-a,ifname=vm-a,script=no,downscript=no",
        "-device",
        "virtio-net-device,netdev=vm-a,mac=02:00:00:00:00:01",
    ]);
    assert_eq!((config.memory, config.cpus.count()), (768 << 20, 1));
    let options = &config.options;
    assert_eq!(
        [options.acpi, options.pit, options.pic, options.pcie, options.usb],
        [Switch::On, Switch::Off, Switch::Off, Switch::Off, Switch::Off]
    );
    let disks: Vec<_> =
        config.disks.iter().map(|disk| (disk.path.to_str().unwrap(), disk.readonly)).collect();
    assert_eq!(disks, [("/nix/store/s/store.erofs", true), ("var.img", false)]);
    assert_eq!((config.console, config.on_reset), (Console::Stdio, OnReset::End));
    assert_eq!(config.extras, [ExtraDevice::KeyboardReset]);
    assert_eq!((config.virtio.rng, config.virtio.balloon), (true, Some(0)));
    assert_eq!(config.virtio.nets[0].wire, Wire::Tap { name: "vm-a".into(), vhost: Switch::Auto, queues: 1 });
    let socket = Endpoint::Unix("my-microvm.sock".into());
    assert_eq!(config.control.qmp, [Monitor { endpoint: socket, side: Side::Server }]);
    assert!(config.kernel.unwrap().cmdline.ends_with("root=fstab loglevel=4"));
}

/// What virtme-ng 1.42 adds for a command to run, on microvm; the folder of the root is another process's.
#[test]
fn line_of_virtme_ng_makes_its_ports() {
    let config = machine(&[
        "-name",
        "virtme-ng",
        "-m",
        "1G",
        "-M",
        "microvm,accel=kvm,pcie=on,rtc=on",
        "-cpu",
        "host,topoext=on",
        "-parallel",
        "none",
        "-net",
        "none",
        "-smp",
        "2",
        "-vga",
        "none",
        "-display",
        "none",
        "-serial",
        "chardev:console",
        "-chardev",
        "file,id=console,path=/proc/self/fd/2",
        "-chardev",
        "stdio,id=stdin,signal=on,mux=off",
        "-device",
        "virtio-serial-device",
        "-device",
        "virtserialport,name=virtme.stdin,chardev=stdin",
        "-chardev",
        "file,id=stdout,path=/proc/self/fd/1",
        "-device",
        "virtio-serial-device",
        "-device",
        "virtserialport,name=virtme.stdout,chardev=stdout",
        "-chardev",
        "file,id=ret,path=/tmp/virtme_ret",
        "-device",
        "virtio-serial-device",
        "-device",
        "virtserialport,name=virtme.ret,chardev=ret",
        "-no-reboot",
        "-kernel",
        "vmlinuz",
        "-append",
        "virtme_console=ttyS0 console=ttyS0 init=/usr/bin/virtme-ng-init",
    ]);
    let expected = [
        port("virtme.stdin", PortEnd::Stdio),
        port("virtme.stdout", PortEnd::File("/proc/self/fd/1".into())),
        port("virtme.ret", PortEnd::File("/tmp/virtme_ret".into())),
    ];
    assert_eq!(config.virtio.ports, expected);
    assert_eq!((config.virtio.bus, config.options.pcie), (VirtioBus::Mmio, Switch::On));
    assert_eq!(config.console, Console::File("/proc/self/fd/2".into()));
}

/// And for a shell.
#[test]
fn line_of_virtme_ng_for_a_shell_has_a_console_for_the_kernels_errors() {
    let config = machine(&[
        "-M",
        "microvm,accel=kvm,pcie=on,rtc=on",
        "-echr",
        "1",
        "-chardev",
        "file,path=/proc/self/fd/2,id=dmesg",
        "-device",
        "virtio-serial-device",
        "-device",
        "virtconsole,chardev=dmesg",
        "-chardev",
        "stdio,id=console,signal=off,mux=on",
        "-serial",
        "chardev:console",
        "-mon",
        "chardev=console",
        "-display",
        "none",
    ]);
    let end = PortEnd::File("/proc/self/fd/2".into());
    assert_eq!(config.virtio.ports, [PortConfig { kind: Kind::Console, end }]);
    assert_eq!(config.console, Console::Stdio);
}

fn message(line: &str) -> String {
    let words: Vec<_> = line.split_whitespace().map(OsString::from).collect();
    parse(&words, Aliases::Refused).unwrap_err().to_string()
}

#[test]
fn ports_have_a_device_to_be_plugged_into_and_an_end() {
    let wrong = "-device virtconsole,chardev=c: there is nothing to plug it into, add -device virtio-serial-device before it";
    assert_eq!(message("-chardev pty,id=c -device virtconsole,chardev=c"), wrong);
    let device = "-device virtio-serial-pci -device virtserialport,chardev=c,name";
    assert!(message(&format!("{device}=a")).ends_with("there is no -chardev of the id `c`, add it"));
    assert!(message(&format!("-chardev pty,id=c {device}=a/b")).contains("a port needs a name of up to 60"));
    assert!(message("-device virtserialport,chardev=c").ends_with("name= is missing, write name=VALUE"));
    assert_eq!(machine(&["-echr", "0x14"]).escape.to_string(), "Ctrl-t");
    assert!(message("-echr 200").starts_with("-echr 200: it is no ASCII code"));
    assert!(message("-chardev null,id=m -mon m").contains("there is no monitor for people"));
}

#[test]
fn usb_has_a_drive_and_what_a_person_works_with() {
    let config = machine(&[
        "-nographic",
        "-usb",
        "-drive",
        "if=none,id=d,file=a",
        "-device",
        "usb-kbd",
        "-device",
        "usb-storage,drive=d",
        "-device",
        "usb-tablet,id=t,bus=usb.0",
    ]);
    let kinds: Vec<_> = config.usb.devices.iter().map(|device| device.kind.name()).collect();
    assert_eq!(kinds, ["storage", "kbd", "tablet"]);
    assert!(matches!(config.usb.devices[0].kind, UsbKind::Storage(storage) if storage.disk == 0));
    assert_eq!((config.options.usb, config.has_usb()), (Switch::On, true));
    let twice = message("-device qemu-xhci -device nec-usb-xhci");
    assert!(twice.ends_with("there is one USB controller, leave this one out"));
    let without = machine(&["-nographic", "-device", "nec-usb-xhci,msi=on,msix=off"]);
    assert_eq!(without.pci_usb(), Some(pcie::Messages::Msi));
    assert_eq!(machine(&["-nographic", "-device", "qemu-xhci"]).pci_usb(), Some(pcie::Messages::Either));
    assert!(message("-device qemu-xhci,msi=off").ends_with("msi=off: the controller has MSI, leave it out"));
    assert!(message("-device qemu-xhci,msix=0").ends_with("msix takes on, off or auto"));
}
