//! Who controls the machine from outside, and what it waits for.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Control from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlConfig {
    /// What programs outside know the machine by.
    pub name: Option<String>,
    /// Where the number of its process is written.
    pub pid_file: Option<PathBuf>,
    /// Where programs speak QMP to it.
    pub qmp: Vec<Monitor>,
    /// Where a debugger reaches it, and what it takes the vCPUs for.
    pub gdb: Option<Debugger>,
    /// Whether it waits to be told to start.
    pub start: StartState,
    /// What the guest's power-off does.
    pub on_power_off: OnPowerOff,
    /// Whether it goes to the background once it is there.
    pub daemonize: bool,
    /// Descriptors that this process was given, for images.
    pub fds: Vec<FdConfig>,
}

/// A descriptor that this process was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FdConfig {
    /// Its number.
    pub fd: i32,
    /// The set that it joins: `/dev/fdset/N` is a path to it.
    pub set: u32,
    /// What programs find with it.
    pub opaque: Option<String>,
}

/// A place where one program after the other speaks QMP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitor {
    /// Where.
    pub endpoint: Endpoint,
    /// Who is there first.
    pub side: Side,
}

/// A place where one GDB after the other debugs the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debugger {
    /// Where.
    pub endpoint: Endpoint,
    /// What GDB takes the vCPUs for.
    pub arch: DebugArch,
}

/// What GDB takes a vCPU for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DebugArch {
    /// x86-64 if the first vCPU is in long mode when GDB connects, else i386.
    #[default]
    Auto,
    /// i386: for real mode and protected mode.
    I386,
    /// x86-64.
    X86_64,
}

/// `ADDRESS[,arch=auto|i386|x86-64]`.
impl std::str::FromStr for Debugger {
    type Err = DebuggerError;

    fn from_str(text: &str) -> Result<Self, DebuggerError> {
        let (address, arch) = match text.rsplit_once(",arch=") {
            Some((address, "auto")) => (address, DebugArch::Auto),
            Some((address, "i386")) => (address, DebugArch::I386),
            Some((address, "x86-64")) => (address, DebugArch::X86_64),
            Some((_, arch)) => return Err(DebuggerError::Arch(arch.into())),
            None => (text, DebugArch::default()),
        };
        match address.parse()? {
            Endpoint::Stdio => Err(EndpointError::Kind.into()),
            endpoint => Ok(Self { endpoint, arch }),
        }
    }
}

/// Why a text is no place for a debugger.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DebuggerError {
    /// No processor that GDB could take a vCPU for.
    #[error("arch={0} is no choice, use arch=auto, arch=i386 or arch=x86-64")]
    Arch(String),
    /// Not an address.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

/// An address for programs of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port.
    Tcp(SocketAddr),
    /// Standard input and output.
    Stdio,
}

/// Which side of a socket this program is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// It listens, and programs come and go.
    #[default]
    Server,
    /// It listens, and the machine starts when the first program is there.
    WaitingServer,
    /// It connects to a program that listens.
    Client,
}

/// How the machine starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartState {
    /// The guest runs.
    #[default]
    Running,
    /// The vCPUs stand at their first instruction until a program lets them run.
    Paused,
}

/// What the guest's power-off does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPowerOff {
    /// The run ends.
    #[default]
    End,
    /// The machine stays, and starts again when a program resets it.
    Stay,
}

/// Why a text is no address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EndpointError {
    /// Of another kind.
    #[error("unknown address, use unix:PATH, tcp:[HOST:]PORT or stdio")]
    Kind,
    /// `unix:` and nothing after.
    #[error("no path after unix:, write unix:PATH")]
    NoPath,
    /// A host by name, or no port.
    #[error("`{0}` is no TCP address, write tcp:PORT for this host alone, or for example tcp:127.0.0.1:4444")]
    Tcp(String),
}

/// `unix:PATH`, `tcp:PORT`, `tcp:HOST:PORT` or `stdio`. Without a host it is the loopback interface.
impl std::str::FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        match text.split_once(':') {
            None if text == "stdio" => Ok(Self::Stdio),
            Some(("unix", "")) => Err(EndpointError::NoPath),
            Some(("unix", path)) => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) => tcp(address).map(Self::Tcp),
            _ => Err(EndpointError::Kind),
        }
    }
}

fn tcp(text: &str) -> Result<SocketAddr, EndpointError> {
    let local = text.strip_prefix(':').or_else(|| text.strip_prefix("localhost:")).unwrap_or(text);
    let address = local.parse().map(|port: u16| (Ipv4Addr::LOCALHOST, port).into()).or_else(|_| text.parse());
    address.map_err(|_| EndpointError::Tcp(text.into()))
}

/// As on the command line.
impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Stdio => f.write_str("stdio"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_is_loopback_unless_a_host_is_named() {
        for text in ["tcp:4444", "tcp::4444", "tcp:localhost:4444", "tcp:127.0.0.1:4444"] {
            assert_eq!(text.parse(), Ok(Endpoint::Tcp(([127, 0, 0, 1], 4444).into())), "{text}");
        }
        assert_eq!("tcp:0.0.0.0:1".parse(), Ok(Endpoint::Tcp(([0, 0, 0, 0], 1).into())));
        assert!(matches!("tcp:[::1]:7".parse(), Ok(Endpoint::Tcp(address)) if address.is_ipv6()));
    }

    #[test]
    fn debugger_takes_the_vcpus_for_what_it_is_told() {
        let debugger = |text: &str| text.parse::<Debugger>();
        assert_eq!(debugger("tcp:1234").unwrap().arch, DebugArch::Auto);
        assert_eq!(debugger("unix:/run/g,arch=i386").unwrap().arch, DebugArch::I386);
        assert_eq!(debugger("tcp:1,arch=arm"), Err(DebuggerError::Arch("arm".into())));
        assert_eq!(debugger("stdio"), Err(EndpointError::Kind.into()));
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        for text in ["tcp:", "tcp:x", "tcp:70000", "tcp:host:1"] {
            assert!(matches!(text.parse::<Endpoint>(), Err(EndpointError::Tcp(_))), "{text}");
        }
        assert_eq!("unix:".parse::<Endpoint>(), Err(EndpointError::NoPath));
        for text in ["", "pty", "udp:1", "stdio:"] {
            assert_eq!(text.parse::<Endpoint>(), Err(EndpointError::Kind), "{text}");
        }
    }
}
