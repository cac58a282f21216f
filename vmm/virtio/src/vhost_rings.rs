//! What every back end of vhost is told, be it the kernel or a process.

use ::vhost::{VhostBackend, VhostUserMemoryRegionInfo, VringConfigData};

use crate::queue::MAX_SIZE;
use crate::{Features, OutsideQueue};

/// Tells `back_end` everything about `queues`, whose rings are in the memory of `regions`, but to begin.
pub(crate) fn set_up(
    back_end: &impl VhostBackend,
    features: Features,
    regions: &[VhostUserMemoryRegionInfo],
    queues: &[OutsideQueue<'_>],
) -> Result<(), ::vhost::Error> {
    back_end.set_features(features.to_bits())?;
    back_end.set_mem_table(regions)?;
    for queue in queues {
        let index = usize::from(queue.index);
        back_end.set_vring_num(index, queue.size)?;
        back_end.set_vring_base(index, 0)?;
        let rings = VringConfigData {
            queue_max_size: MAX_SIZE,
            queue_size: queue.size,
            flags: 0,
            desc_table_addr: queue.descriptors,
            used_ring_addr: queue.device,
            avail_ring_addr: queue.driver,
            log_addr: None,
        };
        back_end.set_vring_addr(index, &rings)?;
        back_end.set_vring_call(index, queue.call)?;
        back_end.set_vring_kick(index, queue.kick)?;
    }
    Ok(())
}
