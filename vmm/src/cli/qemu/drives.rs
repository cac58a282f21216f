//! `-drive`, `-blockdev` and the devices that show them to the guest.

use block::{Aio, Format};

use super::opts::Opts;
use super::{Reason, Wrong};
use crate::cli::image::{ImageKeys, no_ring};
use crate::config::{DiskBus, DiskConfig, FdConfig, ImageConfig, Media};

/// Options of a drive that change how the host reads and writes, and not what the guest finds.
const HOST_KEYS: [&str; 8] = [
    "cache.no-flush",
    "cache.writeback",
    "discard",
    "detect-zeroes",
    "werror",
    "rerror",
    "locking",
    "file.locking",
];
/// Limits as QEMU calls them, and as they are called here.
const LIMITS: [(&str, &str); 8] = [
    ("throttling.bps-total", "bps"),
    ("throttling.bps-total-max", "bps-burst"),
    ("throttling.iops-total", "iops"),
    ("throttling.iops-total-max", "iops-burst"),
    ("bps", "bps"),
    ("bps_max", "bps-burst"),
    ("iops", "iops"),
    ("iops_max", "iops-burst"),
];
/// Properties of virtio-blk that this device decides by itself.
const DEVICE_KEYS: [&str; 7] =
    ["queue-size", "write-cache", "config-wce", "iothread", "discard", "write-zeroes", "seg-max-adjust"];

/// Drives, nodes, and devices.
#[derive(Default)]
pub(super) struct Drives {
    drives: Vec<Drive>,
    devices: Vec<Device>,
    /// Descriptors of sets.
    fds: Vec<FdConfig>,
    /// Nothing that the guest writes is kept.
    snapshot: bool,
}

/// What a device shows.
struct Drive {
    id: Option<String>,
    /// The file, or the id of the node below.
    file: File,
    readonly: bool,
    /// How the file is opened and used.
    image: ImageConfig,
    /// A disc, or a disk.
    media: Media,
    /// Whether the guest gets it without a device of its own.
    place: Place,
}

#[derive(Clone, PartialEq, Eq)]
enum File {
    Path(String),
    Node(String),
    /// An empty drive.
    None,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A disk, unless a device shows it.
    Disk,
    /// For a device alone.
    Device,
}

/// `-device virtio-blk-device`.
struct Device {
    text: String,
    id: Option<String>,
    /// None in an empty drive for discs.
    drive: Option<String>,
    bootindex: Option<u32>,
    serial: Option<String>,
    bus: DiskBus,
    media: Media,
    queues: Option<u16>,
}

impl Drives {
    /// Takes `-drive`, `-hda`, `-blockdev`, `-add-fd` or `-snapshot`.
    pub(super) fn option(&mut self, name: &str, text: &str) -> Result<(), Reason> {
        match name {
            "drive" => self.drive(text),
            "blockdev" => self.blockdev(text),
            "add-fd" => self.add_fd(text),
            "cdrom" => self.drive(&format!("media=cdrom,file={}", text.replace(',', ",,"))),
            "snapshot" => {
                self.snapshot = true;
                Ok(())
            }
            _ => {
                let (file, image) = (File::Path(text.into()), ImageConfig::default());
                let media = Media::Disk;
                self.drives.push(Drive { id: None, file, readonly: false, image, media, place: Place::Disk });
                Ok(())
            }
        }
    }

    /// `-drive file=FILE[,if=none|virtio][,id=ID][,format=raw][,readonly=on|off]`.
    fn drive(&mut self, text: &str) -> Result<(), Reason> {
        let mut opts = Opts::parse(text, None);
        let id = opts.take("id");
        let place = match opts.take("if").as_deref() {
            None | Some("virtio") => Place::Disk,
            Some("none") => Place::Device,
            Some("pflash") => return Err("this machine has no flash memory, use -bios FILE".into()),
            Some(other) => return Err(format!("if={other}: use if=none with -device, or if=virtio").into()),
        };
        let file = opts.take("file.filename").or(opts.take("file"));
        let (mut keys, aio) = (keys(&mut opts)?, aio(&mut opts)?);
        if let Some(format) = opts.take("format").or(opts.take("driver")) {
            set_format(&mut keys, &format)?;
        }
        opts.only("file.driver", &["file", "host_device"], "use file")?;
        let media = match opts.take("media").as_deref() {
            None | Some("disk") => Media::Disk,
            Some("cdrom") => Media::CdRom,
            Some(other) => return Err(format!("media={other}: use media=disk or media=cdrom").into()),
        };
        if opts.switch("snapshot")? == Some(true) {
            keys.set("snapshot", "on")?;
        }
        let readonly = opts.switch("readonly")?.or(opts.switch("read-only")?).unwrap_or(false);
        opts.ignore(&HOST_KEYS);
        opts.ignore(&["index", "bus", "unit", "auto-read-only", "copy-on-read"]);
        opts.finish()?;
        let file = match (file, media) {
            (Some(file), _) => File::Path(plain_path(&file)?),
            (None, Media::CdRom) => File::None,
            (None, Media::Disk) => return Err("file= is missing, write file=FILE".into()),
        };
        let image = ImageConfig { aio, ..keys.finish()? };
        self.drives.push(Drive { id, file, readonly, image, media, place });
        Ok(())
    }

    /// `-blockdev driver=raw,node-name=ID,file.driver=file,file.filename=FILE`, in parts or as JSON.
    fn blockdev(&mut self, text: &str) -> Result<(), Reason> {
        let mut opts = Opts::parse_or_json(text, "driver")?;
        let driver = opts.need("driver")?;
        let (mut keys, aio) = (keys(&mut opts)?, aio(&mut opts)?);
        if driver != "file" {
            set_format(&mut keys, &driver)?;
        }
        let id = opts.need("node-name")?;
        opts.only("file.driver", &["file", "host_device"], "use file")?;
        let file = match (opts.take("filename"), opts.take("file.filename"), opts.take("file")) {
            (Some(path), None, None) | (None, Some(path), None) => File::Path(plain_path(&path)?),
            (None, None, Some(node)) => File::Node(node),
            _ => return Err("write filename=FILE, or file=NODE for the node below".into()),
        };
        let readonly = opts.switch("read-only")?.or(opts.switch("file.read-only")?).unwrap_or(false);
        opts.ignore(&HOST_KEYS);
        opts.ignore(&["auto-read-only", "file.auto-read-only", "file.cache.direct", "file.discard"]);
        opts.ignore(&["file.cache.no-flush", "file.node-name"]);
        opts.finish()?;
        let image = ImageConfig { aio, ..keys.finish()? };
        let (id, media) = (Some(id), Media::Disk);
        self.drives.push(Drive { id, file, readonly, image, media, place: Place::Device });
        Ok(())
    }

    /// `-add-fd fd=N,set=N`: the descriptor is `/dev/fdset/N` from then on.
    fn add_fd(&mut self, text: &str) -> Result<(), Reason> {
        let mut opts = Opts::parse(text, None);
        let number =
            |value: Option<u32>, key| value.ok_or_else(|| format!("{key}= is missing, write fd=N,set=N"));
        let fd = number(opts.number("fd")?, "fd")?;
        let set = number(opts.number("set")?, "set")?;
        let opaque = opts.take("opaque");
        opts.finish()?;
        let fd = i32::try_from(fd).map_err(|_| format!("fd={fd} is no descriptor"))?;
        if (0..3).contains(&fd) {
            return Err(format!("fd={fd} is standard input or output, use one from 3").into());
        }
        self.fds.push(FdConfig { fd, set, opaque });
        Ok(())
    }

    /// `-device scsi-hd|scsi-cd,drive=ID[,bus=…][,scsi-id=N]…`: a target of the one adapter, in the order of the devices.
    pub(super) fn target(&mut self, text: &str, mut opts: Opts, media: Media) -> Result<(), Reason> {
        let next = self.devices.iter().filter(|device| device.bus == DiskBus::Scsi).count();
        if let Some(id) = opts.number::<usize>("scsi-id")?.filter(|&id| id != next) {
            return Err(
                format!("scsi-id={id}: targets are numbered in their order, use scsi-id={next}").into()
            );
        }
        opts.only("channel", &["0"], "there is one channel, use channel=0")?;
        opts.only("lun", &["0"], "every target is one unit, use lun=0")?;
        opts.ignore(&["bus", "device_id", "product", "vendor", "ver", "rotation_rate", "scsi_version"]);
        self.device(text, opts, DiskBus::Scsi)?;
        let Some(device) = self.devices.last_mut() else { return Ok(()) };
        device.media = media;
        if media == Media::Disk && device.drive.is_none() {
            return Err("drive= is missing, write drive=ID".into());
        }
        Ok(())
    }

    /// `-device virtio-blk-device|nvme,drive=ID[,bootindex=N][,serial=TEXT]`, on `bus`.
    pub(super) fn device(&mut self, text: &str, mut opts: Opts, bus: DiskBus) -> Result<(), Reason> {
        let drive = match bus {
            DiskBus::Scsi => opts.take("drive"), // empty drives are there alone
            _ => Some(opts.need("drive")?),
        };
        let id = opts.take("id");
        let bootindex = opts.number("bootindex")?;
        let serial = opts.take("serial");
        let queues = opts.number("num-queues")?;
        opts.only("logical_block_size", &["512"], "blocks have 512 bytes, leave it out")?;
        opts.only("physical_block_size", &["512"], "blocks have 512 bytes, leave it out")?;
        opts.ignore(&DEVICE_KEYS);
        opts.finish()?;
        let (text, media) = (text.into(), Media::Disk);
        self.devices.push(Device { text, id, drive, bootindex, serial, bus, media, queues });
        Ok(())
    }

    /// The disks: those without a device first, as QEMU makes them, then by device.
    pub(super) fn finish(&self, notes: &mut Vec<String>) -> Result<Vec<DiskConfig>, Wrong> {
        let mut disks = Vec::new();
        for drive in self.drives.iter().filter(|drive| !self.has_device(drive)) {
            match (&drive.file, drive.place) {
                (File::Path(_) | File::None, Place::Disk) => {
                    let path = if let File::Path(path) = &drive.file { path } else { "" };
                    let disk = self.disk(path, drive.readonly, &drive.image);
                    let disk = DiskConfig { name: drive.id.clone(), ..disk };
                    disks.push(shown_as(disk, DiskBus::default(), drive.media));
                }
                _ => self.note_unused(drive, notes),
            }
        }
        for device in &self.devices {
            let wrong = |reason| ("-device", device.text.clone(), reason);
            disks.push(self.shown_by(device).map_err(wrong)?);
        }
        disks.iter_mut().for_each(relax);
        Ok(disks)
    }

    fn has_device(&self, drive: &Drive) -> bool {
        self.devices.iter().any(|device| drive.id.is_some() && drive.id == device.drive)
    }

    /// A node may be there for the node above it.
    fn note_unused(&self, drive: &Drive, notes: &mut Vec<String>) {
        let Some(id) = &drive.id else { return };
        if !self.drives.iter().any(|above| above.file == File::Node(id.clone())) {
            notes.push(format!("drive {id} is shown by no device, add -device virtio-blk-device,drive={id}"));
        }
    }

    fn shown_by(&self, device: &Device) -> Result<DiskConfig, Reason> {
        let (path, readonly, image) = match &device.drive {
            Some(drive) => self.resolve(drive)?,
            None => (String::new(), true, ImageConfig::default()),
        };
        let media = match device.bus {
            DiskBus::Usb => self.media(device.drive.as_deref()),
            _ => device.media,
        };
        let mut disk = shown_as(self.disk(&path, readonly, &image), device.bus, media);
        if disk.is_empty() && disk.media == Media::Disk {
            return Err("an empty drive is for discs, use scsi-cd".into());
        }
        (disk.name, disk.id) = (device.drive.clone(), device.id.clone());
        disk.image.queues = device.queues.or(disk.image.queues);
        disk.bootindex = device.bootindex;
        if let Some(serial) = &device.serial {
            let wrong = |_| format!("serial={serial} is no serial, use up to 20 printable ASCII characters");
            disk.serial = serial.parse().map_err(wrong)?;
        }
        Ok(disk)
    }

    /// What `-drive` says that a drive is.
    fn media(&self, id: Option<&str>) -> Media {
        let drive = self.drives.iter().find(|drive| drive.id.is_some() && drive.id.as_deref() == id);
        drive.map_or(Media::default(), |drive| drive.media)
    }

    /// The file at the bottom of `top`, whether any node on the way is read-only, and what the top one says of its use.
    fn resolve(&self, top: &str) -> Result<(String, bool, ImageConfig), Reason> {
        let (mut id, mut readonly, mut image) = (top, false, None);
        for _ in 0..=self.drives.len() {
            let drive = self.drives.iter().find(|drive| drive.id.as_deref() == Some(id));
            let drive = drive
                .ok_or_else(|| format!("there is no drive `{id}`, add -drive if=none,id={id},file=FILE"))?;
            readonly |= drive.readonly;
            let image = image.get_or_insert_with(|| drive.image.clone());
            if image.aio == Aio::Auto {
                image.aio = drive.image.aio; // it is the file's at the bottom
            }
            match &drive.file {
                File::Path(path) => return Ok((path.clone(), readonly, image.clone())),
                File::Node(below) => id = below,
                File::None => return Ok((String::new(), true, image.clone())),
            }
        }
        Err(format!("drive `{top}` lies above itself").into())
    }

    /// The descriptors of `/dev/fdset/N`.
    pub(super) fn fds(&self) -> Vec<FdConfig> {
        self.fds.clone()
    }

    fn disk(&self, path: &str, readonly: bool, image: &ImageConfig) -> DiskConfig {
        let mut image = image.clone();
        image.snapshot |= self.snapshot;
        DiskConfig { readonly, image, ..DiskConfig::new(path) }
    }
}

/// A disk on `bus`, or a disc, which is in a drive on SCSI.
fn shown_as(disk: DiskConfig, bus: DiskBus, media: Media) -> DiskConfig {
    match media {
        Media::Disk => DiskConfig { bus, ..disk },
        Media::CdRom if bus == DiskBus::Usb => DiskConfig { bus, media, readonly: true, ..disk },
        Media::CdRom => DiskConfig { bus: DiskBus::Scsi, media, readonly: true, ..disk },
    }
}

/// QEMU has a ring below every format and bus: whoever asks for it shall get what there is here.
fn relax(disk: &mut DiskConfig) {
    let one_at_a_time = matches!(disk.bus, DiskBus::Scsi | DiskBus::Usb);
    let raw = disk.image.format == Some(Format::Raw) && no_ring(&disk.image).is_none();
    if one_at_a_time || disk.image.aio == Aio::IoUring && !raw {
        disk.image.aio = Aio::Auto;
    }
}

/// What a drive or a node says of its use.
fn keys(opts: &mut Opts) -> Result<ImageKeys, Reason> {
    let mut keys = ImageKeys::default();
    let direct = opts.switch("cache.direct")?.or(opts.switch("file.cache.direct")?);
    match opts.take("cache").as_deref() {
        Some(cache @ ("none" | "writeback" | "writethrough")) => drop(keys.set("cache", cache)?),
        Some("unsafe") | None if direct == Some(true) => drop(keys.set("cache", "none")?),
        Some("unsafe") | None => {}
        Some(other) => {
            return Err(format!("cache={other}: use cache=writeback, writethrough, none or unsafe").into());
        }
    }
    for (qemu, ours) in LIMITS {
        if let Some(rate) = opts.take(qemu) {
            keys.set(ours, &rate)?;
        }
    }
    Ok(keys)
}

/// Linux's older way, `native`, is not here: the best that there is takes its place.
fn aio(opts: &mut Opts) -> Result<Aio, Reason> {
    match opts.take("aio").or(opts.take("file.aio")).as_deref() {
        None | Some("native") => Ok(Aio::Auto),
        Some("threads") => Ok(Aio::Threads),
        Some("io_uring") => Ok(Aio::IoUring),
        Some(other) => Err(format!("aio={other}: use aio=threads, native or io_uring").into()),
    }
}

/// QEMU calls a block device a format of its own.
fn set_format(keys: &mut ImageKeys, format: &str) -> Result<(), Reason> {
    keys.set("format", if format == "host_device" { "raw" } else { format })?;
    Ok(())
}

/// Without the `file:` that QEMU allows in front.
fn plain_path(text: &str) -> Result<String, Reason> {
    const PROTOCOLS: [&str; 8] = ["nbd", "http", "https", "ftp", "ssh", "iscsi", "rbd", "json"];
    match text.split_once(':') {
        Some(("file", path)) => Ok(path.into()),
        Some((protocol, _)) if PROTOCOLS.contains(&protocol) => {
            Err(format!("images are files or block devices, not {protocol}:").into())
        }
        _ if text.is_empty() => Err("no path, write file=FILE".into()),
        _ => Ok(text.into()),
    }
}
