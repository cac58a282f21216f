//! Whatever a driver puts into the queues of any device: its worker lives, and a reset brings the device back.

use std::os::unix::net::{UnixListener, UnixStream};

use ::net::Stream;
use ::scsi::{Kind, Loading, Target, Unit};
use chardev::{Chardev, Keep, Socket};
use proptest::prelude::*;
use tempfile::TempDir;
use virtio::VirtioDevice;
use virtio::balloon::{Balloon, Control};
use virtio::console::{self, Console};
use virtio::input::{self, Hand, Input};
use virtio::net::{Mac, Net, Options};
use virtio::rng::Rng;
use virtio::scsi::Scsi;
use virtio::vsock::Vsock;
use vm_memory::VolatileSlice;

use crate::properties::descriptor;
use crate::rig::ring::Descriptor;
use crate::rig::{Rig, Ring, feature, numbered_disk, reg};

/// A device, and what it needs of the host while it lives.
struct Subject {
    rig: Rig,
    _wire: Option<UnixStream>,
    mouse: Option<Hand>,
    balloon: Option<Control>,
    _folder: TempDir,
}

fn subject(kind: usize) -> Subject {
    let folder = TempDir::new().unwrap();
    let (mut wire, mut mouse) = (None, None);
    let device: Box<dyn VirtioDevice> = match kind {
        0 => {
            let (ours, theirs) = UnixStream::pair().unwrap();
            wire = Some(theirs);
            let options = Options { mac: Mac([2, 0, 0, 0, 0, 1]), mtu: None };
            Box::new(Net::new(Box::new(Stream::new(ours).unwrap()), options))
        }
        1 => {
            let end = |name: &str, keep| Box::new(Socket::listen(&folder.path().join(name), keep).unwrap());
            let ports: Vec<(console::Kind, Box<dyn Chardev>)> = vec![
                (console::Kind::Console, end("c", Keep::Last)),
                (console::Kind::Named("p".into()), end("p", Keep::Nothing)),
            ];
            Box::new(Console::new(ports).unwrap())
        }
        2 => {
            let path = folder.path().join("v");
            Box::new(Vsock::new(3, UnixListener::bind(&path).unwrap(), &path).unwrap())
        }
        3 => Box::new(Rng::new().unwrap()),
        4 => {
            let unit = Unit::new(Kind::Disk, Loading::Fixed, "s".parse().unwrap()).with(numbered_disk());
            Box::new(Scsi::new(vec![Target::new(vec![unit])]))
        }
        5 => {
            let (hand, device) = Input::new(input::Kind::Mouse).unwrap();
            mouse = Some(hand);
            Box::new(device)
        }
        _ => {
            let control = Control::new(1 << 20, |_| {}).unwrap();
            let rig = Rig::with_balloon(|memory| Balloon::new(control.clone(), memory, zero));
            return Subject { rig, _wire: None, mouse, balloon: Some(control), _folder: folder };
        }
    };
    Subject { rig: Rig::new(Some(device)), _wire: wire, mouse, balloon: None, _folder: folder }
}

/// Gives back.
fn zero(slice: &VolatileSlice<'_>) {
    slice.copy_from(&vec![0_u8; slice.len()]);
}

fn ring(queue: u32) -> Ring {
    Ring::new(16, 0x8_0000 + 0x8000 * u64::from(queue))
}

/// What a driver offers in a queue: descriptors, and where chains begin.
type Offer = (u32, Vec<Descriptor>, Vec<u16>);

fn offer() -> impl Strategy<Value = Offer> {
    let heads = prop::collection::vec(prop_oneof![30 => 0..16_u16, 1 => any::<u16>()], 0..16);
    (0..6_u32, prop::collection::vec(descriptor(), 16), heads)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn anything_in_any_queue_leaves_a_device_that_can_be_reset(
        kind in 0..7_usize,
        offers in prop::collection::vec(offer(), 1..6),
        small in prop::collection::vec(0..8_u8, 0x100),
        large in prop::collection::vec(any::<u8>(), 0x100),
        features in prop_oneof![Just(feature::ALL), Just(feature::VERSION_1)],
    ) {
        let subject = subject(kind);
        let rig = &subject.rig;
        for page in (0..0x4000).step_by(0x200) {
            rig.store(0x3_0000 + page, &small);
            rig.store(0x3_0100 + page, &large);
        }
        rig.start(features, &ring(0));
        (1..6).for_each(|queue| rig.start_queue(queue, &ring(queue)));
        for (queue, table, heads) in offers {
            let mut ring = ring(queue);
            ring.store_table(&rig.memory, 0, &table);
            heads.iter().for_each(|&head| ring.add_head(&rig.memory, head));
            rig.write(reg::QUEUE_NOTIFY, queue);
            subject.mouse.iter().for_each(|mouse| mouse.shift(1, 1));
            let _is_able = subject.balloon.as_ref().map(Control::hint);
        }
        rig.settle();
        rig.bus.reset();
        rig.store(0x8_0000, &vec![0; 0x3_0000]);
        rig.start(features, &ring(0));
        rig.settle();
        prop_assert!(!rig.needs_reset(), "its worker is there");
    }
}
