//! Programs control a machine by QMP: one from PyPI that nobody here wrote, and some that behave badly. Any KVM will do.
#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use machine_tests::{patience, program, python};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

/// A machine that waits for `cont`, by QEMU's command line.
struct Session {
    dir: TempDir,
    tinderbox: Child,
}

impl Session {
    fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let qmp = format!("unix:{},server=on,wait=off", dir.path().join("qmp").display());
        fs::write(dir.path().join("disc.iso"), [0; 4096]).unwrap();
        // A shell gives the machine a descriptor, as a manager would.
        let mut command = Command::new("sh");
        command
            .current_dir(&dir)
            .args(["-c", "exec 7<disc.iso && exec \"$@\"", "sh"])
            .arg(program().unwrap());
        command.args([
            "qemu",
            "-M",
            "microvm",
            "-nodefaults",
            "-smp",
            "2",
            "-m",
            "64",
            "-S",
            "-name",
            "session",
            "-device",
            "virtio-balloon-device",
            "-device",
            "scsi-cd,id=cd",
            "-add-fd",
            "fd=7,set=2,opaque=given",
        ]);
        let tinderbox = command.args(["-qmp", &qmp]).stdin(Stdio::null()).spawn().unwrap();
        let session = Self { dir, tinderbox };
        session.wait_for("the socket", || session.socket().exists().then_some(()));
        session
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("qmp")
    }

    #[track_caller]
    fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + patience(30);
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < end, "{what} did not come");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A client that has read its greeting.
    fn client(&self) -> Client {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(patience(30))).unwrap();
        let mut client = Client(BufReader::new(stream));
        assert!(client.line().starts_with("{\"QMP\":"));
        client
    }

    /// Memory of the process without the guest's, in KiB.
    fn private_kib(&self) -> u64 {
        let mut text = String::new();
        let path = format!("/proc/{}/status", self.tinderbox.id());
        File::open(path).unwrap().read_to_string(&mut text).unwrap();
        let line = text.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn end(mut self) -> ExitStatus {
        let status = self.tinderbox.wait().unwrap();
        assert!(!self.socket().exists(), "the socket is still there");
        status
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.tinderbox.kill();
        let _ = self.tinderbox.wait();
    }
}

struct Client(BufReader<UnixStream>);

impl Client {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    fn say(&mut self, text: &str) -> String {
        self.0.get_ref().write_all(text.as_bytes()).unwrap();
        self.line()
    }
}

const NEGOTIATE: &str = "{\"execute\":\"qmp_capabilities\"}\n";
const STATUS: &str = "{\"execute\":\"query-status\"}\n";

#[test]
fn client_from_pypi_controls_a_machine_from_its_start_to_its_end() {
    let session = Session::start();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/qmp/session.py");
    let output = Command::new(python().unwrap())
        .arg(script)
        .arg(session.socket())
        .arg(session.dir.path().join("disc.iso"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("the session is over"), "{text}");
    assert_eq!(session.end().code(), Some(0));
}

#[test]
fn clients_that_misbehave_cost_no_memory_and_disturb_nobody() {
    let session = Session::start();
    let mut good = session.client();
    assert_eq!(good.say(NEGOTIATE), "{\"return\":{}}\r\n");
    let before = session.private_kib();

    let endless = session.client();
    for _ in 0..1024 {
        // A client that is not read any more blocks; this one is read, for it is answered little.
        endless.0.get_ref().write_all(&[b'['; 4096]).unwrap();
    }
    let mut half_closed = session.client();
    half_closed.0.get_ref().write_all(NEGOTIATE.as_bytes()).unwrap();
    half_closed.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(half_closed.line(), "{\"return\":{}}\r\n");
    assert_eq!(half_closed.line(), "", "the machine did not hang up");
    let deaf = session.client();
    deaf.0.get_ref().set_nonblocking(true).unwrap();
    while deaf.0.get_ref().write(b"{\"execute\":\"qmp_capabilities\"}").is_ok() {}

    assert!(good.say(STATUS).contains("\"prelaunch\""));
    let grown = session.private_kib().saturating_sub(before);
    assert!(grown < 4096, "{grown} KiB more");
}

/// They are served 64 at a time, and the others have their turn when those leave.
#[test]
fn thousand_clients_at_once_are_served_in_turn() {
    const CLIENTS: usize = 1000;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let session = Session::start();
    let mut good = session.client();
    assert_eq!(good.say(NEGOTIATE), "{\"return\":{}}\r\n");
    let before = session.private_kib();
    let connect = || {
        let mut stream = UnixStream::connect(session.socket()).unwrap();
        stream.set_read_timeout(Some(patience(30))).unwrap();
        stream.write_all(NEGOTIATE.as_bytes()).unwrap();
        stream.write_all(&[b' '; 4096]).unwrap();
        Client(BufReader::new(stream))
    };
    let clients: Vec<_> = (0..CLIENTS).map(|_| connect()).collect();
    assert!(good.say(STATUS).contains("\"prelaunch\""), "one who was there before is served meanwhile");
    let grown = session.private_kib().saturating_sub(before);
    assert!(grown < 4096, "{grown} KiB more for {CLIENTS} clients");
    for mut client in clients {
        assert!(client.line().starts_with("{\"QMP\":"));
        assert_eq!(client.line(), "{\"return\":{}}\r\n");
    }
    let mut last = session.client();
    assert_eq!(last.say(NEGOTIATE), "{\"return\":{}}\r\n");
    assert!(last.say("hello\n").contains("Invalid JSON syntax"));
    assert!(last.say(STATUS).contains("\"prelaunch\""));
    let grown = session.private_kib().saturating_sub(before);
    assert!(grown < 4096, "{grown} KiB more");
}
