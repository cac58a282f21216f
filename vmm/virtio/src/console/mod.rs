//! virtio-console: consoles and named ports. virtio 1.2, 5.3.
//!
//! ```text
//!  queue  0, 1   port 0, to and from the driver ──► dyn Chardev
//!         2, 3   control: which ports there are, what they are called, who is there
//!         4, 5   port 1 ──► dyn Chardev, and so on
//! ```
//!
//! A driver without VIRTIO_CONSOLE_F_MULTIPORT has port 0 alone. A port's data waits on its own side until the other has room.
//! Left out: the size of a console, and the emergency write.

mod control;
mod port;
mod spec;

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use chardev::Chardev;
use rustix::event::epoll;
use zerocopy::IntoBytes as _;

use crate::{Broken, Features, Requests, VirtioDevice};

use control::Control;
use port::Port;
use spec::Config;

/// What a port is to the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A console, `/dev/hvcN`.
    Console,
    /// A port by name, `/dev/virtio-ports/NAME`.
    Named(String),
}

/// Most ports of a device, as in QEMU.
pub const MAX_PORTS: usize = 31;

/// A virtio console device.
pub struct Console {
    // Fixed.
    config: Config,
    // Glue.
    ports: Vec<Port>,
    /// The events of all ports.
    events: OwnedFd,
    // Volatile.
    control: Control,
    multiport: bool,
}

impl Console {
    /// A device with these ports, from 1 to [`MAX_PORTS`], the first of which must be a console: drivers without the control
    /// queues know no other.
    ///
    /// # Errors
    /// The host has no more descriptors.
    pub fn new(ports: Vec<(Kind, Box<dyn Chardev>)>) -> io::Result<Self> {
        let ports: Vec<_> =
            ports.into_iter().take(MAX_PORTS).map(|(kind, end)| Port::new(kind, end)).collect();
        let config = Config { max_nr_ports: (ports.len() as u32).into(), ..Config::default() };
        let events = watch(&ports)?;
        Ok(Self { config, ports, events, control: Control::default(), multiport: false })
    }

    /// Carries out what the driver says on the control queue.
    fn hear(&mut self, requests: &mut Requests<'_>) -> Result<(), Broken> {
        while let Some(request) = requests.next()? {
            let mut bytes = [0; spec::MESSAGE_LEN];
            if request.chain.readable.copy_to(&mut bytes) == bytes.len() {
                let port = self.control.hear(bytes, &mut self.ports);
                // Whoever opens a port finds what has come in until then.
                port.into_iter().for_each(|port| requests.also(spec::receive_queue(port)));
            }
            requests.complete(&request, 0)?;
        }
        requests.also(spec::CONTROL_RECEIVE);
        Ok(())
    }

    /// Moves the data of a port.
    fn move_data(&mut self, queue: u16, requests: &mut Requests<'_>) -> Result<(), Broken> {
        let id = spec::port(queue);
        let Some(port) = self.ports.get_mut(id) else { return Ok(()) };
        if queue.is_multiple_of(2) { port.receive(requests) } else { port.transmit(requests) }?;
        if port.has_news() && self.multiport {
            self.control.tell_open(id as u32, port);
            requests.also(spec::CONTROL_RECEIVE);
        }
        Ok(())
    }
}

fn watch(ports: &[Port]) -> io::Result<OwnedFd> {
    let all = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let interest = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
    for events in ports.iter().filter_map(Port::events) {
        epoll::add(&all, events, epoll::EventData::new_u64(0), interest)?;
    }
    Ok(all)
}

impl VirtioDevice for Console {
    fn id(&self) -> u32 {
        spec::ID
    }

    fn queues(&self) -> u16 {
        // Two for the control, and two for each port.
        2 * (self.ports.len() as u16 + 1)
    }

    fn features(&self) -> Features {
        spec::MULTIPORT
    }

    fn config(&self) -> &[u8] {
        self.config.as_bytes()
    }

    fn host_events(&self) -> Option<BorrowedFd<'_>> {
        Some(self.events.as_fd())
    }

    fn host_event(&mut self) {
        for (port, id) in self.ports.iter_mut().zip(0..) {
            port.look();
            if port.has_news() && self.multiport {
                self.control.tell_open(id, port);
            }
        }
    }

    fn begin(&mut self, features: Features) {
        self.multiport = features.contains(spec::MULTIPORT);
        self.control = Control::default();
        let multiport = self.multiport;
        self.ports.iter_mut().zip(0..).for_each(|(port, id)| port.begin(!multiport && id == 0));
    }

    fn serve(&mut self, queue: u16, requests: &mut Requests<'_>) -> Result<(), Broken> {
        match queue {
            spec::CONTROL_RECEIVE => self.control.speak(requests),
            spec::CONTROL_TRANSMIT => self.hear(requests),
            _ => self.move_data(queue, requests),
        }
    }
}
