//! The terminal that tinderbox runs on is as it was, however the run ends. Any KVM will do.
#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use machine_tests::patience;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Termios, tcgetattr};
use tempfile::TempDir;

/// A running tinderbox, seen from its terminal.
struct Session {
    screen: File,
    terminal: OwnedFd,
    as_found: Termios,
    tinderbox: Child,
    _dir: TempDir,
}

impl Session {
    /// Starts a guest that halts at once and for good, and waits until it has the terminal.
    fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let firmware = dir.path().join("halt.bin");
        fs::write(&firmware, halting_firmware()).unwrap();
        let (screen, terminal) = open_terminal();
        let as_found = tcgetattr(&terminal).unwrap();
        let end = || terminal.try_clone().unwrap();
        let mut command = Command::new(machine_tests::program().unwrap());
        command.arg("run").arg("--firmware").arg(&firmware).arg("-v");
        let tinderbox = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let session = Self { screen, terminal, as_found, tinderbox, _dir: dir };
        session.wait_for("raw mode", || session.is_raw().then_some(()));
        session
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.terminal).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    fn type_keys(&mut self, keys: &[u8]) {
        self.screen.write_all(keys).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.tinderbox), signal).unwrap();
    }

    /// Reads the screen until it shows `text`.
    fn expect(&mut self, text: &str) {
        let (mut seen, mut bytes) = (String::new(), [0; 256]);
        while !seen.contains(text) {
            let count = self.screen.read(&mut bytes).unwrap();
            seen += &String::from_utf8_lossy(&bytes[..count]);
        }
    }

    /// Waits for the end of the run, and checks the terminal.
    #[track_caller]
    fn ends(mut self) -> ExitStatus {
        let start = Instant::now();
        let status = loop {
            match self.tinderbox.try_wait().unwrap() {
                Some(status) => break status,
                None if start.elapsed() > patience(20) => self.tinderbox.kill().unwrap(),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        let now = tcgetattr(&self.terminal).unwrap();
        assert_eq!(now.local_modes, self.as_found.local_modes);
        assert_eq!(
            (now.input_modes, now.output_modes),
            (self.as_found.input_modes, self.as_found.output_modes)
        );
        status
    }

    fn wait_for<T>(&self, what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(value) = ready() {
                return value;
            }
            assert!(start.elapsed() < patience(20), "no {what} in time");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Both ends of a new terminal: what a person has, and what a program has.
fn open_terminal() -> (File, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let screen = openpt(flags).unwrap();
    unlockpt(&screen).unwrap();
    let terminal = ioctl_tiocgptpeer(&screen, flags).unwrap();
    (screen.into(), terminal)
}

/// 64 KiB with `cli; hlt; jmp` back to the `hlt` at the reset vector.
fn halting_firmware() -> Vec<u8> {
    let mut image = vec![0; 64 << 10];
    image[0xfff0..0xfff4].copy_from_slice(&[0xfa, 0xf4, 0xeb, 0xfd]);
    image
}

#[test]
fn terminal_is_restored_after_the_quit_key() {
    let mut session = Session::start();
    session.type_keys(b"\x01x");
    assert_eq!(session.ends().code(), Some(0));
}

#[test]
fn terminal_is_restored_after_two_signals() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP] {
        let mut session = Session::start();
        session.expect("the guest runs");
        session.signal(signal);
        session.expect("the power button is pressed");
        session.signal(signal);
        assert_eq!(session.ends().code(), Some(1), "{signal:?}");
    }
}

#[test]
fn help_key_prints_the_keys_and_the_guest_goes_on() {
    let mut session = Session::start();
    session.type_keys(b"\x01h");
    session.expect("Ctrl-a x       quit: the guest stops at once\r\n");
    assert!(session.is_raw());
    session.type_keys(b"\x01x");
    assert_eq!(session.ends().code(), Some(0));
}

#[test]
fn reset_key_resets_a_halted_guest() {
    let mut session = Session::start();
    session.type_keys(b"\x01r");
    session.expect("the machine resets");
    session.type_keys(b"\x01x");
    assert_eq!(session.ends().code(), Some(0));
}
