//! `-chardev`, and the options that connect one to something: `-serial`, `-debugcon`, `-nographic`.

use std::path::PathBuf;

use super::monitors;
use super::opts::{self, Opts};
use super::{Reason, Wrong};
use crate::config::{Console, Endpoint, Monitor, OutputFile, PortEnd, Side};

/// The port of the firmware's log.
const DEBUGCON_PORT: u64 = 0x402;
/// Where QEMU puts a debug console unless told otherwise.
const QEMU_DEBUGCON_PORT: u64 = 0xe9;

/// Character devices and what they are connected to.
#[derive(Default)]
pub(super) struct Chardevs {
    devices: Vec<Device>,
    serials: Vec<String>,
    /// `-device isa-serial`.
    com1: Option<String>,
    debugcon: Option<(String, Option<u64>)>,
    /// `-global isa-debugcon.iobase=`.
    debugcon_port: Option<u64>,
    no_defaults: bool,
    no_graphic: bool,
}

/// `-chardev`.
struct Device {
    id: String,
    backend: Backend,
    /// It is connected to something.
    is_taken: bool,
}

/// Where characters go.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Backend {
    Stdio,
    File(OutputFile),
    Null,
    Absent,
    Socket(Monitor),
    Pty,
    Pipe(PathBuf),
}

impl Chardevs {
    /// Takes one of the options about characters and displays.
    pub(super) fn option(&mut self, name: &str, text: &str) -> Result<(), Reason> {
        match name {
            "chardev" => return self.chardev(text),
            "serial" => self.serials.push(text.into()),
            "debugcon" => self.debugcon = Some((text.into(), None)),
            "nodefaults" => self.no_defaults = true,
            "nographic" => self.no_graphic = true,
            "display" if text.split(',').next() == Some("none") => {}
            "vga" | "parallel" | "monitor" if ["none", "null"].contains(&text) => {}
            "display" | "vga" => return Err("there is no display, use none".into()),
            "parallel" => return Err("this machine has no parallel port, use none".into()),
            _ => {
                return Err(
                    "there is no monitor, use -monitor none; Ctrl-a h lists the keys of the console".into()
                );
            }
        }
        Ok(())
    }

    /// `-chardev stdio|file|null|socket|pty|pipe,id=ID…`.
    fn chardev(&mut self, text: &str) -> Result<(), Reason> {
        let mut opts = Opts::parse_or_json(text, "backend")?;
        let kind = opts.need("backend")?;
        let id = opts.need("id")?;
        let backend = match kind.as_str() {
            "stdio" => {
                opts.ignore(&["signal"]);
                Backend::Stdio
            }
            "file" => {
                let (path, append) = (opts.need("path")?.into(), opts.switch("append")?.unwrap_or(false));
                Backend::File(OutputFile { path, append })
            }
            "null" => Backend::Null,
            "pty" => Backend::Pty,
            "pipe" => Backend::Pipe(opts.need("path")?.into()),
            "socket" => Backend::Socket(monitors::socket(&mut opts)?),
            _ => {
                return Err(
                    format!("unknown backend `{kind}`, use stdio, file, null, socket, pty or pipe").into()
                );
            }
        };
        // What it could be shared with is the monitor, and whoever else takes it is refused.
        opts.ignore(&["mux", "logfile", "logappend"]);
        opts.finish()?;
        self.devices.push(Device { id, backend, is_taken: false });
        Ok(())
    }

    /// `-device isa-debugcon[,iobase=PORT],chardev=ID`.
    pub(super) fn debugcon(&mut self, mut opts: Opts) -> Result<(), Reason> {
        let port = opts.number("iobase")?;
        let chardev = opts.need("chardev")?;
        opts.ignore(&["id", "readback"]);
        opts.finish()?;
        self.debugcon = Some((format!("chardev:{chardev}"), port));
        Ok(())
    }

    /// `-global isa-debugcon.iobase=PORT`.
    pub(super) fn debugcon_port(&mut self, text: &str) -> Result<(), Reason> {
        let port = opts::number(text).ok_or("iobase is no number")?;
        self.debugcon_port = Some(port);
        Ok(())
    }

    /// `-device isa-serial,chardev=ID`: COM1.
    pub(super) fn serial_device(&mut self, mut opts: Opts) -> Result<(), Reason> {
        let chardev = opts.need("chardev")?;
        opts.only("iobase", &["0x3f8", "1016"], "there is COM1 alone")?;
        opts.only("irq", &["4"], "there is COM1 alone")?;
        opts.only("index", &["0"], "there is COM1 alone")?;
        opts.ignore(&["id"]);
        opts.finish()?;
        match self.com1.replace(format!("chardev:{chardev}")) {
            Some(_) => Err("there is one serial port, leave this one out".into()),
            None => Ok(()),
        }
    }

    /// What COM1 and the firmware's log are connected to.
    pub(super) fn finish(&mut self, notes: &mut Vec<String>) -> Result<(Console, Option<OutputFile>), Wrong> {
        let console = self.console(notes)?;
        let debugcon = self.log().map_err(|(text, reason)| ("-debugcon", text, reason))?;
        Ok((console, debugcon))
    }

    fn console(&mut self, notes: &mut Vec<String>) -> Result<Console, Wrong> {
        let text = self.com1(notes)?;
        let wrong = |text: &str, reason| ("-serial", text.to_owned(), reason);
        let backend = match &text {
            Some(text) => self.take(text).map_err(|reason| wrong(text, reason))?,
            None if self.no_defaults => Backend::Absent,
            None if self.no_graphic => Backend::Stdio,
            None => {
                notes.push(
                    "there is no window for the serial port, so its text is lost: use -nographic".into(),
                );
                Backend::Null
            }
        };
        Ok(match backend {
            Backend::Stdio => Console::Stdio,
            Backend::File(file) => Console::File(file),
            Backend::Null => Console::File("/dev/null".into()),
            Backend::Absent => Console::None,
            Backend::Socket(_) | Backend::Pty | Backend::Pipe(_) => {
                Console::Stream(port_end(backend).map_err(|reason| wrong(&text.unwrap_or_default(), reason))?)
            }
        })
    }

    /// What COM1 is told to be connected to. As on QEMU's microvm, what the other serial ports of a PC would be connected to
    /// is looked at, and nothing comes there.
    fn com1(&self, notes: &mut Vec<String>) -> Result<Option<String>, Wrong> {
        let (first, others) = self.serials.split_first().unzip();
        for text in others.unwrap_or_default().iter().filter(|text| *text != "none") {
            self.backend(text).map_err(|reason| ("-serial", text.clone(), reason))?;
            notes.push(format!(
                "-serial {text} changes nothing: there is one serial port, and the first -serial has it"
            ));
        }
        match (first, &self.com1) {
            (Some(text), Some(_)) if text != "none" => Err((
                "-serial",
                text.clone(),
                "-device isa-serial has the one serial port, leave this out".into(),
            )),
            (_, Some(device)) => Ok(Some(device.clone())),
            (first, None) => Ok(first.cloned()),
        }
    }

    fn log(&mut self) -> Result<Option<OutputFile>, (String, Reason)> {
        let Some((text, port)) = self.debugcon.take() else { return Ok(None) };
        let wrong = |reason| (text.clone(), reason);
        let port = port.or(self.debugcon_port).unwrap_or(QEMU_DEBUGCON_PORT);
        match self.take(&text).map_err(wrong)? {
            Backend::Null | Backend::Absent => Ok(None),
            _ if port != DEBUGCON_PORT => {
                Err(wrong("the debug console is at port 0x402, add -global isa-debugcon.iobase=0x402".into()))
            }
            Backend::File(file) => Ok(Some(file)),
            Backend::Stdio | Backend::Socket(_) | Backend::Pty | Backend::Pipe(_) => {
                Err(wrong("the firmware's log goes to a file, use file:PATH".into()))
            }
        }
    }

    /// The character device `id` as a place where QMP is spoken.
    pub(super) fn monitor(&mut self, id: &str) -> Result<Monitor, Reason> {
        match self.take(&format!("chardev:{id}"))? {
            Backend::Socket(monitor) => Ok(monitor),
            Backend::Stdio => Ok(Monitor { endpoint: Endpoint::Stdio, side: Side::Server }),
            _ => Err("QMP needs an answer, use a socket".into()),
        }
    }

    /// The Unix socket to which the character device `id` connects.
    pub(super) fn client(&mut self, id: &str) -> Result<PathBuf, Reason> {
        match self.take(&format!("chardev:{id}"))? {
            Backend::Socket(Monitor { endpoint: Endpoint::Unix(path), side: Side::Client }) => Ok(path),
            _ => {
                Err("its back end listens at a Unix socket, use -chardev socket,path=PATH,server=off".into())
            }
        }
    }

    /// Whether `id` is the terminal, where QEMU's monitor for people would be behind Ctrl-a c.
    pub(super) fn is_terminal(&self, id: &str) -> bool {
        self.devices.iter().any(|device| device.id == id && device.backend == Backend::Stdio)
    }

    /// The character device `id` as the end of a port on virtio.
    pub(super) fn port(&mut self, id: &str) -> Result<PortEnd, Reason> {
        port_end(self.take(&format!("chardev:{id}"))?)
    }

    /// What `text` names, for one device alone.
    fn take(&mut self, text: &str) -> Result<Backend, Reason> {
        let backend = self.backend(text)?;
        let id = text.strip_prefix("chardev:");
        if let Some(device) = self.devices.iter_mut().find(|device| Some(device.id.as_str()) == id)
            && std::mem::replace(&mut device.is_taken, true)
        {
            let id = &device.id;
            return Err(format!(
                "-chardev {id} is connected already, even with mux=on give each device its own"
            )
            .into());
        }
        Ok(backend)
    }

    /// QEMU's short form of a character device.
    fn backend(&self, text: &str) -> Result<Backend, Reason> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match (kind, rest) {
            ("stdio", "") | ("mon", "stdio") => Ok(Backend::Stdio),
            ("none", "") => Ok(Backend::Absent),
            ("null", "") => Ok(Backend::Null),
            ("pty", "") => Ok(Backend::Pty),
            ("pipe", path) if !path.is_empty() => Ok(Backend::Pipe(path.into())),
            ("unix" | "tcp", _) => Ok(Backend::Socket(monitors::monitor(text)?)),
            ("file", "") => Err("no path after file:, write file:PATH".into()),
            ("file", path) => Ok(Backend::File(path.into())),
            ("chardev", id) => {
                let device = self.devices.iter().find(|device| device.id == id);
                let missing = || format!("there is no -chardev of the id `{id}`, add it");
                Ok(device.ok_or_else(missing)?.backend.clone())
            }
            _ => Err("unknown backend, use stdio, mon:stdio, file:PATH, pty, pipe:PATH, unix:PATH,server=on,wait=off, null, none or chardev:ID".into()),
        }
    }
}

/// What a serial port or one on virtio ends in.
fn port_end(backend: Backend) -> Result<PortEnd, Reason> {
    Ok(match backend {
        Backend::Stdio => PortEnd::Stdio,
        Backend::File(file) => PortEnd::File(file),
        Backend::Null | Backend::Absent => PortEnd::File("/dev/null".into()),
        Backend::Pty => PortEnd::Pty,
        Backend::Pipe(path) => PortEnd::Pipe(path),
        Backend::Socket(Monitor { endpoint: Endpoint::Unix(path), side: Side::Server }) => {
            PortEnd::Socket(path)
        }
        Backend::Socket(_) => {
            return Err("a port waits for nobody at a Unix socket, use server=on,wait=off".into());
        }
    })
}
