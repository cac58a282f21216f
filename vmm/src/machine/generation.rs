//! The VM generation id: a number in the guest's memory that changes when the guest is no longer the one that it was, as after
//! a copy of its disk. A guest that sees another number makes new keys and seeds.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::{Mutex, PoisonError};

use chipset::ged::Trigger;
use firmware::smbios::Uuid;
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};

use super::plan::GenerationPlan;
use crate::config::GenerationId;

/// The number and where the guest reads it.
pub(super) struct Generation {
    memory: GuestMemoryMmap,
    at: GuestAddress,
    id: Mutex<Uuid>,
    changed: Trigger,
}

impl Generation {
    /// Puts the first number in place. `changed` tells the guest of later ones.
    pub(super) fn new(plan: &GenerationPlan, memory: &GuestMemoryMmap, changed: Trigger) -> io::Result<Self> {
        let id = match plan.id {
            GenerationId::Fixed(id) => id,
            GenerationId::Random => random()?,
        };
        let generation =
            Self { memory: memory.clone(), at: GuestAddress(plan.page.start), id: Mutex::new(id), changed };
        generation.restore()?;
        Ok(generation)
    }

    /// Puts the present number in place again, as at power-on: the guest could write there.
    pub(super) fn restore(&self) -> io::Result<()> {
        let id = *self.id.lock().unwrap_or_else(PoisonError::into_inner);
        // The page is always there; `wire` is the order of bytes that guests expect.
        self.memory.write_slice(&id.wire(), self.at).map_err(io::Error::other)
    }

    /// Makes the guest another one, and tells it.
    pub(super) fn renew(&self) -> io::Result<Uuid> {
        let id = random()?;
        *self.id.lock().unwrap_or_else(PoisonError::into_inner) = id;
        self.restore()?;
        self.changed.pull();
        Ok(id)
    }
}

/// A UUID by the host's generator. RFC 4122, 4.4.
fn random() -> io::Result<Uuid> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(Uuid::from_random(bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use bus::IrqLine;
    use chipset::ged::{Event, Ged};

    use super::*;
    use crate::machine::plan::Range;

    const ID: &str = "00112233-4455-6677-8899-aabbccddeeff";
    const WIRE: [u8; 16] =
        [0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];

    /// A generation id, its memory, and how often its interrupt rose.
    fn generation(id: GenerationId) -> (Generation, GuestMemoryMmap, Arc<AtomicU32>) {
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0xfeff_b000), 0x1000)]).unwrap();
        let rises = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&rises);
        let line = IrqLine::new(move |level| {
            counter.fetch_add(level.into(), Ordering::Relaxed);
        });
        let plan = GenerationPlan { page: Range::new(0xfeff_b000, 0x1000), id };
        let trigger = Ged::new(line).trigger(Event::GenerationId);
        (Generation::new(&plan, &memory, trigger).unwrap(), memory, rises)
    }

    fn read(memory: &GuestMemoryMmap) -> [u8; 16] {
        memory.read_obj(GuestAddress(0xfeff_b000)).unwrap()
    }

    #[test]
    fn fixed_id_is_there_and_comes_back() {
        let (generation, memory, rises) = generation(GenerationId::Fixed(ID.parse().unwrap()));
        assert_eq!(read(&memory), WIRE);
        memory.write_obj(0u64, GuestAddress(0xfeff_b000)).unwrap();
        generation.restore().unwrap();
        assert_eq!((read(&memory), rises.load(Ordering::Relaxed)), (WIRE, 0));
    }

    #[test]
    fn new_id_is_another_and_is_told() {
        let (generation, memory, rises) = generation(GenerationId::Random);
        let first = read(&memory);
        let second = generation.renew().unwrap();
        assert_eq!(read(&memory), second.wire());
        assert_ne!(first, second.wire());
        assert_eq!(rises.load(Ordering::Relaxed), 1);
    }
}
