//! QEMU's command lines as people and tools write them, and what is said of wrong ones.

mod characters;

use ::virtio::input;
use block::Aio;
use proptest::prelude::*;

use super::*;
use crate::backing::{HugePage, Pages};
use crate::config::{
    Cache, Console, DiskBus, DiskConfig, Endpoint, ExtraDevice, FdConfig, FirmwareChoice, FsServer,
    ImageConfig, Irqchip, Media, Monitor, OnPowerOff, OnReset, PortEnd, Side, Source, StartState, Switch,
    UsbDevice, UsbKind, VhostUserConfig, VirtioBus, Wire,
};
use crate::topology::Topology;

fn args(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn parsed(args: &[OsString]) -> Parsed {
    match parse(args, Aliases::Refused).unwrap() {
        Request::Machine(parsed) => *parsed,
        Request::Help(help) => panic!("{help:?}"),
    }
}

fn config(line: &str) -> Config {
    parsed(&args(line)).config
}

fn message(line: &str) -> String {
    parse(&args(line), Aliases::Refused).unwrap_err().to_string()
}

fn help(line: &str) -> String {
    match parse(&args(line), Aliases::Refused).unwrap() {
        Request::Help(help) => help.text(),
        Request::Machine(parsed) => panic!("{parsed:?}"),
    }
}

#[test]
fn usual_line_makes_the_machine_that_run_would_make() {
    let line = "-M microvm,pit=off,pic=off,rtc=on -enable-kvm -cpu host -smp 2 -m 1G -nodefaults -no-user-config \
        -nographic -no-reboot -serial stdio -drive id=root,file=debian.raw,format=raw,if=none \
        -device virtio-blk-device,drive=root,bootindex=0";
    let config = config(line);
    assert_eq!((config.memory, config.cpus), (1 << 30, Topology::of_cores(2)));
    let options = &config.options;
    assert_eq!((options.pit, options.pic, options.rtc), (Switch::Off, Switch::Off, Switch::On));
    let image = ImageConfig { format: "raw".parse().ok(), ..ImageConfig::default() };
    assert_eq!(
        config.disks,
        [DiskConfig {
            name: Some("root".into()),
            bootindex: Some(0),
            image,
            ..DiskConfig::new("debian.raw")
        }]
    );
    assert_eq!((config.console, config.on_reset), (Console::Stdio, OnReset::End));
    assert_eq!(config.firmware, FirmwareChoice::Named("seabios".into()));
}

#[test]
fn devices_that_other_processes_serve_have_their_sockets() {
    let line = "-nographic -m 1G -object memory-backend-memfd,id=mem,size=1G,share=on -numa node,memdev=mem \
        -chardev socket,id=fs,path=/run/fs -device vhost-user-fs-pci,chardev=fs,tag=root,queue-size=1024 \
        -chardev socket,id=blk,path=/run/blk -device vhost-user-blk-pci,chardev=blk,num-queues=2";
    let config = config(line);
    let fs = VhostUserConfig::Fs { tag: "root".into(), server: FsServer::Socket("/run/fs".into()) };
    let blk = VhostUserConfig::Blk { socket: "/run/blk".into(), queues: 2 };
    assert_eq!(config.virtio.vhost_user, [fs, blk]);
    assert_eq!((config.virtio.bus, config.backing.shared), (VirtioBus::Pci, true));
    let fs = "-device vhost-user-fs-device,chardev=fs";
    assert!(message(&format!("{fs},tag={}", "x".repeat(37))).ends_with("a name has 1 to 36 bytes"));
    assert!(message(&format!("{fs},tag=a")).ends_with("there is no -chardev of the id `fs`, add it"));
    let server = "-chardev socket,id=fs,path=/run/fs,server=on";
    assert!(message(&format!("{server} {fs},tag=a")).ends_with("use -chardev socket,path=PATH,server=off"));
}

#[test]
fn empty_line_has_qemus_memory_and_a_note_on_the_missing_window() {
    let parsed = parsed(&[]);
    assert_eq!((parsed.config.memory, parsed.config.console), (128 << 20, Console::File("/dev/null".into())));
    assert!(parsed.notes[0].contains("use -nographic"), "{:?}", parsed.notes);
}

#[test]
fn kernel_without_bios_starts_at_once() {
    let parsed = parsed(
        &[
            "-nographic",
            "-kernel",
            "vmlinuz",
            "-initrd",
            "initrd.img",
            "-append",
            "console=ttyS0 root=/dev/vda",
        ]
        .map(OsString::from),
    );
    let kernel = parsed.config.kernel.unwrap();
    assert_eq!(kernel.cmdline, "console=ttyS0 root=/dev/vda");
    assert_eq!((kernel.initrd, parsed.config.firmware), (Some("initrd.img".into()), FirmwareChoice::None));
    assert_eq!(message("-append quiet"), "-append quiet: it is for a kernel, add -kernel FILE");
}

#[test]
fn bios_is_a_file_or_one_of_qemus_names() {
    let bios = |text| config(&format!("-bios {text}")).firmware;
    assert_eq!(bios("MICROVM.fd"), FirmwareChoice::File("MICROVM.fd".into()));
    assert_eq!(bios("bios-microvm.bin"), FirmwareChoice::Named("seabios".into()));
    assert_eq!(bios("qboot.rom"), FirmwareChoice::Named("qboot".into()));
}

#[test]
fn machine_options_merge_and_the_last_wins() {
    let config =
        config("-M microvm,acpi=off,rtc=on -machine rtc=off,x-option-roms=no --machine isa-serial=yes");
    let options = config.options;
    assert_eq!((options.acpi, options.rtc), (Switch::Off, Switch::Off));
    assert_eq!((options.option_roms, options.isa_serial), (Switch::Off, Switch::On));
}

#[test]
fn accelerator_is_kvm_or_nothing() {
    assert_eq!(config("-accel kvm -M microvm,accel=kvm:tcg").options.irqchip, Irqchip::Split);
    assert_eq!(config("-M microvm,kernel-irqchip=on").options.irqchip, Irqchip::Kernel);
    assert_eq!(message("-accel tcg"), "-accel tcg: there is no other accelerator than kvm here, use kvm");
    assert!(message("-M microvm,kernel-irqchip=off").contains("use kernel-irqchip=split"));
}

#[test]
fn other_machines_are_refused_unless_the_user_opts_in() {
    let expected = "-M q35: this machine is not a q35, use microvm; TINDERBOX_QEMU_ALIAS=microvm in the environment \
                    takes the one for the other";
    assert_eq!(message("-M q35"), expected);
    assert!(parse(&args("-M q35"), Aliases::Taken).is_ok());
    assert_eq!(message("-M virt"), "-M virt: unknown machine type `virt`, use microvm");
    assert!(parse(&args("-M virt"), Aliases::Taken).is_err());
    assert!(message("-M microvm,pitt=off").starts_with("-M microvm,pitt=off: unknown key `pitt`"));
}

#[test]
fn vcpus_are_arranged_as_qemu_does() {
    let cpus = |text| config(&format!("-smp {text}")).cpus;
    assert_eq!(cpus("4"), Topology::of_cores(4));
    assert_eq!(cpus("4,maxcpus=4,sockets=2"), Topology { sockets: 2, dies: 1, cores: 2, threads: 1 });
    assert_eq!(cpus("sockets=2,cores=3,threads=2"), Topology { sockets: 2, dies: 1, cores: 3, threads: 2 });
    assert_eq!(cpus("cpus=8 -smp threads=2"), Topology { sockets: 1, dies: 1, cores: 4, threads: 2 });
    assert_eq!(
        message("-smp 2,maxcpus=4"),
        "-smp 2,maxcpus=4: vCPUs cannot be added later, use maxcpus=2 or leave it out"
    );
}

#[test]
fn processor_has_qemus_properties() {
    assert_eq!(config("-cpu max,migratable=no,+avx2,pku=no").cpu.to_string(), "host,+avx2,-pku");
    assert!(
        message("-cpu Skylake-Client")
            .starts_with("-cpu Skylake-Client: unknown model `Skylake-Client`, use host")
    );
}

#[test]
fn memory_is_a_size_or_an_object() {
    assert_eq!(config("-m 1.5G").memory, 3 << 29);
    assert_eq!(config("-m size=512").memory, 512 << 20);
    let config =
        config("-object memory-backend-memfd,id=mem,size=1G,share=on -machine memory-backend=mem -m 1G");
    assert_eq!((config.memory, config.backing.shared), (1 << 30, true));
    assert!(message("-m 1G,slots=2,maxmem=2G").contains("memory cannot be added later"));
}

#[test]
fn memory_objects_have_huge_pages() {
    let pages =
        |object: &str| config(&format!("-object {object},id=m,size=1G -numa node,memdev=m")).backing.pages;
    assert_eq!(pages("memory-backend-memfd,hugetlb=on,hugetlbsize=1G"), Pages::Huge(HugePage::Gib1));
    assert_eq!(pages("memory-backend-file,mem-path=/dev/hugepages,prealloc=on"), Pages::Huge(HugePage::Mib2));
    assert_eq!(pages("memory-backend-file,mem-path=/dev/shm,share=on"), Pages::Transparent);
    let missing = "-machine memory-backend mem: there is no -object of this id, add it";
    assert_eq!(message("-machine memory-backend=mem"), missing);
}

#[test]
fn nodes_have_their_vcpus_and_memory() {
    let objects = "-object memory-backend-ram,id=a,size=1G -object memory-backend-ram,id=b,size=2G";
    let nodes = "-numa node,nodeid=0,cpus=0-1,cpus=3,memdev=a -numa node,cpus=2,memdev=b -numa dist,src=0,dst=1,val=21";
    let config = config(&format!("-m 3G -smp 4 {objects} {nodes}"));
    let numa = &config.numa;
    assert_eq!((config.memory, numa.nodes[1].memory), (3 << 30, 2 << 30));
    assert_eq!((numa.nodes[0].cpus.as_slice(), numa.distances[0].value), (&[0..=1, 3..=3][..], 21));
    assert!(message(&format!("-m 4G {objects} {nodes}")).ends_with("is not that of -m, make them equal"));
    assert!(
        message("-numa node,mem=1G -numa node,nodeid=2,mem=1G").ends_with("in their order, use nodeid=1")
    );
    assert!(message("-numa node,mem=1G -numa node").ends_with("it has no memory, add memdev=ID or mem=SIZE"));
    assert!(message("-numa node,cpus=3-1").ends_with("cpus=3-1: write cpus=0 or cpus=0-3"));
    assert!(message("-numa hmat-lb,initiator=0").contains("use node and dist"));
}

#[test]
fn drives_reach_the_guest_by_device_or_by_themselves() {
    let paths = |line| config(line).disks.into_iter().map(|disk| disk.path).collect::<Vec<_>>();
    let line = "-drive if=none,id=b,file=b.raw -drive file=a,,1.raw,if=virtio -device virtio-blk-device,drive=b c.raw";
    assert_eq!(paths(line), ["a,1.raw", "c.raw", "b.raw"].map(std::path::PathBuf::from));
    let unused = parsed(&args("-drive if=none,id=b,file=b.raw -nographic"));
    assert_eq!(unused.notes, ["drive b is shown by no device, add -device virtio-blk-device,drive=b"]);
    let missing =
        "-device virtio-blk-device,drive=x: there is no drive `x`, add -drive if=none,id=x,file=FILE";
    assert_eq!(message("-device virtio-blk-device,drive=x"), missing);
}

#[test]
fn nodes_lead_to_their_file() {
    let line = r#"-blockdev driver=file,node-name=f,filename=a.raw,read-only=on -blockdev {"driver":"raw","node-name":"r","file":"f"}
        -device {"driver":"virtio-blk-device","drive":"r","serial":"s"}
        -blockdev driver=raw,node-name=n,file.driver=host_device,file.filename=/dev/vdb -device virtio-blk-device,drive=n"#;
    let disks = config(line).disks;
    assert_eq!((disks[0].path.to_str(), disks[0].readonly), (Some("a.raw"), true));
    assert_eq!(disks[0].serial, "s".parse().unwrap());
    assert_eq!((disks[1].path.to_str(), disks[1].readonly), (Some("/dev/vdb"), false));
    let cycle =
        "-blockdev raw,node-name=a,file=b -blockdev raw,node-name=b,file=a -device virtio-blk,drive=a";
    assert!(message(cycle).ends_with("drive `a` lies above itself"), "{}", message(cycle));
}

#[test]
fn drives_that_cannot_be_say_what_can() {
    let drive = |text: &str| message(&format!("-drive {text}"));
    assert!(drive("file=a,format=qed").contains("format=qed is no format, use format=raw, qcow2"));
    assert!(drive("file=a,if=ide").ends_with("if=ide: use if=none with -device, or if=virtio"));
    assert!(drive("if=pflash,file=a").ends_with("this machine has no flash memory, use -bios FILE"));
    assert!(drive("fil=a,if=none").ends_with("unknown key `fil`, did you mean file?"));
    assert!(drive("file=a,raedonly=on").ends_with("unknown key `raedonly`, did you mean readonly?"));
    assert!(drive("file=nbd:localhost:10809").contains("images are files or block devices"));
}

#[test]
fn images_are_used_as_the_drive_says() {
    let line = "-snapshot -drive id=a,if=none,file=a.qcow2,format=qcow2,cache=none,throttling.iops-total=500 \
        -device nvme,drive=a,serial=s -drive file=b.raw,if=virtio,cache=unsafe";
    let disks = config(line).disks;
    assert_eq!((disks[0].image.snapshot, disks[0].image.cache), (true, Cache::WriteBack));
    let image = &disks[1].image;
    assert_eq!((disks[1].bus, image.cache, image.snapshot), (DiskBus::Nvme, Cache::None, true));
    assert_eq!(image.limits.operations.unwrap().rate, 500);
    let node = "-blockdev file,node-name=f,filename=a.qcow2 -blockdev qcow2,node-name=q,file=f -device virtio-blk,drive=q";
    assert_eq!(config(node).disks[0].image.format, "qcow2".parse().ok());
    assert!(config("-drive file=a,snapshot=on").disks[0].image.snapshot);
}

#[test]
fn engine_is_the_one_that_the_file_is_given_if_there_can_be_one() {
    let aio = |line: &str| config(line).disks[0].image.aio;
    assert_eq!(aio("-drive file=a,format=raw,if=virtio,aio=io_uring"), Aio::IoUring);
    assert_eq!(aio("-drive file=a,format=raw,if=virtio,aio=native"), Aio::Auto);
    assert_eq!(aio("-drive file=a,if=virtio,aio=threads"), Aio::Threads);
    assert_eq!(aio("-drive file=a,format=qcow2,if=virtio,aio=io_uring"), Aio::Auto);
    let scsi =
        "-drive id=a,if=none,file=a,format=raw,aio=threads -device virtio-scsi -device scsi-hd,drive=a";
    assert_eq!(aio(scsi), Aio::Auto);
    let node = "-blockdev file,node-name=f,filename=a,aio=io_uring -blockdev raw,node-name=r,file=f -device nvme,drive=r,serial=s";
    assert_eq!(aio(node), Aio::IoUring);
    assert!(message("-drive file=a,aio=fast").ends_with("aio=fast: use aio=threads, native or io_uring"));
}

#[test]
fn networks_end_in_what_this_program_has() {
    let nets = |line: &str| config(&format!("-nographic {line}")).virtio.nets;
    let tap = nets(
        "-netdev tap,id=n,ifname=t0,script=no,downscript=no -device virtio-net-device,netdev=n,mac=52:54:00:00:00:01,host_mtu=1400",
    );
    assert_eq!(
        (&tap[0].wire, tap[0].mtu),
        (&Wire::Tap { name: "t0".into(), vhost: Switch::Auto, queues: 1 }, Some(1400))
    );
    let ports = |tcp: Option<&str>| Wire::Passt { tcp: tcp.map(Into::into), udp: None };
    assert_eq!(
        nets("-nic user,hostfwd=tcp::2222-:22,hostfwd=tcp:127.0.0.1:80-:8080")[0].wire,
        ports(Some("2222:22,127.0.0.1/80:8080"))
    );
    let tap = nets("-nic tap,ifname=t0,vhost=on,queues=4");
    assert_eq!(tap[0].wire, Wire::Tap { name: "t0".into(), vhost: Switch::On, queues: 4 });
    let vsock = config("-nographic -device vhost-vsock-device,guest-cid=7").virtio.vsock.unwrap();
    assert_eq!((vsock.cid, vsock.socket), (7, None));
    assert!(message("-device vhost-vsock-pci,guest-cid=2").contains("no address of a guest"));
    assert_eq!(nets("-nic user,model=virtio-net-device")[0].wire, ports(None));
    let stream =
        "-netdev stream,id=n,server=off,addr.type=unix,addr.path=/run/p -device virtio-net-device,netdev=n";
    assert_eq!(nets(stream)[0].wire, Wire::Socket("/run/p".into()));
    assert_eq!(nets("-net none"), []);
    assert!(
        message("-device virtio-net-device,netdev=n").ends_with("there is no -netdev of the id `n`, add it")
    );
    assert!(
        message("-netdev bridge,id=n").ends_with("unknown network `bridge`, use tap, user, passt or stream")
    );
}

#[test]
fn random_bytes_come_from_the_host() {
    let line = "-object rng-random,id=r,filename=/dev/urandom -device virtio-rng-device,rng=r";
    assert!(config(line).virtio.rng);
    let balloon = config("-device virtio-balloon-device,id=b").virtio;
    assert_eq!((balloon.balloon, balloon.balloon_id.as_deref()), (Some(0), Some("b")));
    assert_eq!(config("-device virtio-rng-pci").virtio.bus, VirtioBus::Pci);
    let hands =
        config("-device virtio-keyboard-pci -device virtio-tablet-pci,id=t -device virtio-mouse-pci").virtio;
    let kinds = [input::Kind::Keyboard, input::Kind::Tablet, input::Kind::Mouse];
    assert_eq!((hands.bus, hands.inputs.as_slice()), (VirtioBus::Pci, kinds.as_slice()));
}

/// What `debvm-run -s 2222` of Debian 12 starts, in its order. Its machine is q35, so the user has to opt in.
#[test]
fn line_of_debvm_makes_its_machine() {
    let words = [
        "-append",
        "root=LABEL=debvm rw console=ttyS0",
        "-netdev",
        "user,id=net0,hostfwd=tcp:127.0.0.1:2222-:22",
        "-device",
        "virtio-net-pci,netdev=net0",
        "-nographic",
        "-device",
        "virtio-rng-pci,rng=rng0",
        "-smp",
        "2",
        "-cpu",
        "host",
        "-machine",
        "type=q35,accel=kvm:tcg",
        "-no-user-config",
        "-name",
        "debvm-run rootfs.ext4",
        "-m",
        "1G",
        "-kernel",
        "/tmp/kernel",
        "-initrd",
        "/tmp/initrd",
        "-drive",
        "media=disk,format=raw,discard=unmap,file=rootfs.ext4,if=virtio,cache=unsafe",
        "-object",
        "rng-random,filename=/dev/urandom,id=rng0",
    ]
    .map(OsString::from);
    let Request::Machine(parsed) = parse(&words, Aliases::Taken).unwrap() else { panic!("no machine") };
    let config = parsed.config;
    assert_eq!((config.memory, config.cpus), (1 << 30, Topology::of_cores(2)));
    assert_eq!(config.disks.iter().map(|disk| disk.path.to_str()).collect::<Vec<_>>(), [Some("rootfs.ext4")]);
    let kernel = config.kernel.unwrap();
    assert_eq!(
        (kernel.cmdline.as_str(), kernel.initrd.is_some()),
        ("root=LABEL=debvm rw console=ttyS0", true)
    );
    let tcp = Some("127.0.0.1/2222:22".to_owned());
    assert_eq!(config.virtio.nets[0].wire, Wire::Passt { tcp, udp: None });
    assert_eq!((config.virtio.rng, config.options.pcie, config.console), (true, Switch::On, Console::Stdio));
    assert!(parse(&words, Aliases::Refused).is_err(), "it is no q35");
}

#[test]
fn disks_are_functions_of_pci_or_on_usb_if_their_device_is() {
    let bus =
        |device: &str| config(&format!("-drive id=d,if=none,file=a -device {device},drive=d")).disks[0].bus;
    assert_eq!((bus("virtio-blk-pci"), bus("usb-storage")), (DiskBus::VirtioPci, DiskBus::Usb));
}

#[test]
fn targets_are_on_the_adapter_in_the_order_of_their_devices() {
    let line = "-device virtio-scsi-device,id=s -drive id=d,if=none,file=a -device scsi-hd,drive=d,bus=s.0,scsi-id=0 \
                -drive id=c,if=none,file=c.iso,media=cdrom -device scsi-cd,drive=c,bootindex=0 -cdrom b,c.iso";
    let disks = config(line).disks;
    let found: Vec<_> =
        disks.iter().map(|disk| (disk.path.to_str().unwrap(), disk.bus, disk.media, disk.readonly)).collect();
    let expected = [
        ("b,c.iso", DiskBus::Scsi, Media::CdRom, true),
        ("a", DiskBus::Scsi, Media::Disk, false),
        ("c.iso", DiskBus::Scsi, Media::CdRom, true),
    ];
    assert_eq!(found, expected);
    assert_eq!(disks[2].bootindex, Some(0));
    let pci = config("-device virtio-scsi-pci -drive id=d,if=none,file=a -device scsi-hd,drive=d");
    assert_eq!(pci.virtio.bus, VirtioBus::Pci);
    let wrong = message("-drive id=d,if=none,file=a -device scsi-hd,drive=d,scsi-id=3");
    assert!(wrong.ends_with("scsi-id=3: targets are numbered in their order, use scsi-id=0"), "{wrong}");
    assert!(message("-drive id=d,if=none,file=a -device scsi-hd,drive=d,lun=1").ends_with("use lun=0"));
}

#[test]
fn descriptors_are_files() {
    let line = "-add-fd fd=7,set=2,opaque=o -drive file=/dev/fdset/2,if=virtio -drive file=/proc/self/fd/9,if=virtio";
    let config = config(line);
    let paths: Vec<_> = config.disks.into_iter().map(|disk| disk.path).collect();
    assert_eq!(paths, ["/dev/fdset/2", "/proc/self/fd/9"].map(std::path::PathBuf::from));
    assert_eq!(config.control.fds, [FdConfig { fd: 7, set: 2, opaque: Some("o".into()) }]);
    assert_eq!(
        message("-add-fd fd=1,set=2"),
        "-add-fd fd=1,set=2: fd=1 is standard input or output, use one from 3"
    );
}

#[test]
fn drives_are_known_by_their_ids_and_those_for_discs_may_be_empty() {
    let line = "-drive if=none,id=d,file=a -device virtio-blk-device,drive=d,id=first -drive if=none,id=c,media=cdrom \
                -device scsi-cd,drive=c,id=second -device scsi-cd,id=third -drive if=none,id=u,media=cdrom -device usb-storage,drive=u";
    let config = config(line);
    let named: Vec<_> =
        config.disks.iter().map(|disk| (disk.name.as_deref(), disk.id.as_deref(), disk.is_empty())).collect();
    let expected = [
        (Some("d"), Some("first"), false),
        (Some("c"), Some("second"), true),
        (None, Some("third"), true),
        (Some("u"), None, true),
    ];
    assert_eq!(named, expected);
    assert!(matches!(&config.usb.devices[0].kind, UsbKind::Storage(storage) if storage.cdrom));
    assert!(message("-drive if=none,id=d").ends_with("file= is missing, write file=FILE"));
    assert!(message("-device scsi-hd").ends_with("drive= is missing, write drive=ID"));
    let empty = "-drive if=none,id=c,media=cdrom -device virtio-blk-device,drive=c";
    assert!(message(empty).ends_with("an empty drive is for discs, use scsi-cd"));
    assert!(config.virtio.nets.is_empty());
}

#[test]
fn interfaces_are_known_by_device_and_network() {
    let names = |line| config(line).virtio.nets[0].names.clone();
    assert_eq!(names("-netdev user,id=n -device virtio-net-device,netdev=n,id=d"), ["d", "n"]);
    assert_eq!(names("-nic user,id=n"), ["n"]);
}

#[test]
fn drive_on_usb_may_have_a_removable_medium() {
    let line = "-device qemu-xhci,id=x -drive if=none,id=a,file=a.raw -drive if=none,id=b,file=b.raw c.raw \
        -device usb-storage,bus=x.0,port=1,drive=a -device usb-storage,drive=b,removable=on";
    let usb = config(line).usb;
    let removable = |device: &UsbDevice| matches!(&device.kind, UsbKind::Storage(drive) if drive.removable);
    assert_eq!(usb.devices.iter().map(removable).collect::<Vec<_>>(), [false, true]);
    assert!(
        message("-device usb-storage,drive=a,removable=1").ends_with("use removable=on or removable=off")
    );
}

#[test]
fn test_devices_have_qemus_names() {
    let extras =
        config("-device isa-debug-exit,iobase=0xf4,iosize=0x04 -device pvpanic -device isa-debug-exit")
            .extras;
    let expected =
        [ExtraDevice::DebugExit { port: 0xf4 }, ExtraDevice::PvPanic, ExtraDevice::DebugExit { port: 0x501 }];
    assert_eq!(extras, expected);
    assert_eq!(
        message("-device virtio-blk-devise"),
        "-device virtio-blk-devise: unknown device `virtio-blk-devise`, did you mean virtio-blk-device?"
    );
    assert!(message("-device e1000").ends_with("`-device help` lists what there is"));
}

#[test]
fn every_device_of_the_list_is_known() {
    for name in help::device_names() {
        if let Err(error) = parse(&args(&format!("-device {name}")), Aliases::Refused) {
            assert!(!error.to_string().contains("unknown device"), "{error}");
        }
    }
}

#[test]
fn guest_is_told_what_qemu_would_tell_it() {
    let line = "-uuid 00112233-4455-6677-8899-aabbccddeeff -smbios type=1,serial=7 -fw_cfg name=opt/a,string=b -name vm,debug-threads=on";
    let info = config(line).guest_info;
    assert!(info.uuid.is_some() && info.smbios.is_some());
    assert_eq!(info.files[0].content, Source::Text("b".into()));
    assert_eq!(
        message("-fw_cfg opt/a,string=x -fw_cfg opt/a,string=y"),
        "-fw_cfg opt/a: it is given twice, give it once"
    );
    assert_eq!(
        message("-uuid 7"),
        "-uuid 7: not a UUID, write for example 6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    );
}

#[test]
fn reset_ends_the_run_in_either_way_of_saying() {
    assert_eq!(config("-no-reboot").on_reset, OnReset::End);
    assert_eq!(config("-action reboot=shutdown").on_reset, OnReset::End);
    assert_eq!(
        config("-action reboot=shutdown,panic=exit-failure -action reboot=reset").on_reset,
        OnReset::Reboot
    );
    assert!(message("-action panic=pause").contains("use panic=exit-failure"));
}

#[test]
fn monitors_are_sockets_on_either_side() {
    let qmp = |line| config(&format!("-nographic {line}")).control.qmp;
    let unix = || Endpoint::Unix("/run/q".into());
    let server = [Monitor { endpoint: unix(), side: Side::Server }];
    assert_eq!(qmp("-qmp unix:/run/q,server=on,wait=off"), server);
    assert_eq!(qmp("-qmp unix:/run/q,server,nowait"), server);
    assert_eq!(
        qmp("-chardev socket,id=m,path=/run/q,server=on,wait=off -mon chardev=m,mode=control"),
        server
    );
    assert_eq!(qmp("-qmp unix:/run/q,server=on")[0].side, Side::WaitingServer);
    assert_eq!(qmp("-qmp unix:/run/q")[0].side, Side::Client);
    assert_eq!(
        qmp("-qmp tcp::4444,server=on,wait=off")[0].endpoint,
        Endpoint::Tcp(([127, 0, 0, 1], 4444).into())
    );
    assert!(message("-mon chardev=m,mode=readline").contains("use mode=control"));
    assert_eq!(message("-mon m,mode=control"), "-mon chardev m: there is no -chardev of the id `m`, add it");
}

#[test]
fn debugger_has_qemus_port() {
    let gdb = |line| config(&format!("-nographic {line}")).control.gdb.unwrap().endpoint;
    assert_eq!(gdb("-s"), Endpoint::Tcp(([127, 0, 0, 1], 1234).into()));
    assert_eq!(gdb("-gdb tcp::9000"), Endpoint::Tcp(([127, 0, 0, 1], 9000).into()));
    assert_eq!(config("-s -nographic").control.start, StartState::Running);
}

#[test]
fn start_and_power_off_wait_for_a_program() {
    let control = config("-S -no-shutdown -name guest=vm,debug-threads=on").control;
    assert_eq!((control.start, control.on_power_off), (StartState::Paused, OnPowerOff::Stay));
    assert_eq!(control.name.as_deref(), Some("vm"));
    assert_eq!(config("-pidfile /run/vm.pid").control.pid_file, Some("/run/vm.pid".into()));
    assert_eq!(config("-action shutdown=pause -name vm").control.on_power_off, OnPowerOff::Stay);
}

#[test]
fn what_changes_nothing_is_taken_with_a_note() {
    let parsed = parsed(&args(
        "-nographic -sandbox on -L /usr/share/qemu -boot order=c -rtc base=utc -nic none -msg timestamp=on",
    ));
    let notes = parsed.notes.join("\n");
    for option in ["-sandbox changes nothing", "-L changes nothing", "-boot changes nothing"] {
        assert!(notes.contains(option), "{notes}");
    }
    assert_eq!(parsed.notes.len(), 3, "{notes}");
    assert_eq!(config("-global virtio-mmio.force-legacy=false -display none -serial none").disks, []);
}

#[test]
fn what_is_not_there_is_named_with_a_remedy() {
    assert_eq!(
        message("-vnc :0"),
        "-vnc is not supported: there is no display, use -nographic and the serial port"
    );
    assert_eq!(message("-m"), "-m needs a value, see `tinderbox qemu -help`");
    assert!(
        message("-run-with chroot=/srv").starts_with("-run-with chroot=/srv: chroot=/srv: start it in one")
    );
    assert_eq!(message("-display gtk"), "-display gtk: there is no display, use none");
    assert_eq!(
        message("-global e1000.mac=1"),
        "-global e1000.mac=1: no device of this machine has the property e1000.mac"
    );
}

#[test]
fn texts_for_tools_have_the_form_they_read() {
    assert!(help("-version").starts_with("QEMU emulator version 7.2.0 (tinderbox "));
    assert!(help("--help").contains("\n-machine VALUE\n"));
    assert!(help("-machine help").starts_with("Supported machines are:\nmicrovm "));
    assert!(help("-device help").contains("name \"virtio-blk-device\", bus virtio-bus\n"));
    assert!(help("-device help").contains("name \"virtio-blk-pci\", bus PCI\n"));
    assert!(
        help("-device virtio-net-pci,help").starts_with("virtio-net-pci options:\n  host_mtu=<uint16>\n")
    );
    assert!(help("-netdev help").contains("\ntap\n"));
    assert!(help("-device virtio-blk-device,help").contains("  drive=<str>\n"));
    assert_eq!(help("-accel help"), "Accelerators supported in QEMU binary:\nkvm\n");
}

/// Options with texts of the shapes that they have, and then some.
fn words() -> impl Strategy<Value = Vec<OsString>> {
    let option = prop_oneof![
        prop::sample::select(
            options::meant_names().map(|option| format!("-{}", option.name)).collect::<Vec<_>>()
        ),
        "-{0,2}[a-z_-]{0,8}",
    ];
    let value = prop_oneof![
        "([a-z-]{1,9}=)?[a-z0-9]{0,4}(,[a-z-]{1,9}=[a-z0-9./]{0,9}){0,4}",
        "[a-z]{1,6}:.{0,9}",
        "\\PC{0,40}",
        Just("{\"driver\":{\"a\":[1]}}".to_owned()),
    ];
    prop::collection::vec(prop_oneof![option, value], 0..12)
        .prop_map(|words| words.into_iter().map(OsString::from).collect())
}

proptest! {
    #[test]
    fn any_command_line_is_a_machine_or_one_clear_line(words in words()) {
        match parse(&words, Aliases::Refused) {
            Ok(Request::Machine(parsed)) => prop_assert!(parsed.notes.len() <= words.len() + 1),
            Ok(Request::Help(_)) => {}
            Err(error) => prop_assert!(error.to_string().len() > 10),
        }
    }

    #[test]
    fn any_path_comes_back(path in "[^:\u{0}]{1,40}") {
        let file = format!("if=virtio,file={}", path.replace(',', ",,"));
        let words = ["-nographic", "-drive", &file].map(OsString::from);
        prop_assert_eq!(&parsed(&words).config.disks, &[DiskConfig::new(path)]);
    }
}
