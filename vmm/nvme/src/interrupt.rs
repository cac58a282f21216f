//! How completions reach the driver.

/// The interrupt vectors of a controller, as whatever it sits on provides them; called from its worker threads.
pub trait Interrupts: Send + Sync {
    /// New entries are in a completion queue that was created with `vector`, which is below [`VECTORS`].
    fn raise(&self, vector: u16);
}

/// How many vectors a controller uses: one for each I/O queue, and one for the admin queue.
pub const VECTORS: u16 = crate::spec::registers::IO_QUEUES + 1;
