//! How completions reach the driver.

/// The interrupt vectors of a controller, as whatever it sits on provides them; called from its worker threads.
pub trait Interrupts: Send + Sync {
    /// New entries are in a completion queue that was created with `vector`: 0 for the admin queue, and up to the number of I/O
    /// queues for theirs.
    fn raise(&self, vector: u16);
}
