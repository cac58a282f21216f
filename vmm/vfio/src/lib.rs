//! A PCI function of the host, handed to the guest by VFIO. This crate knows no KVM and maps no memory.
//!
//! ```text
//!  guest ──► pcie::Host ──► PassThrough ── registers of BARs ───────────────► HostFunction ──► the host's function
//!                             │            (an exit and a system call each)      │
//!                             └─ ConfigSpace of our own: BARs, MSI-X, resets     └─ an event for each MSI-X vector
//!                                   ▲                                                     │
//!                                   └──────────── Interrupts::fire ◄── Worker ◄───────────┘
//! ```
//!
//! * [`HostAddress`] names the function; [`find`] says whether the host can hand it out, and if not, what to do.
//! * [`PassThrough`] is the function that the guest sees. Its configuration space is made from the host's (identity, memory BARs,
//!   MSI-X), and never the host's own: the guest moves our BARs and programs our MSI-X table.
//! * The function reads and writes guest memory by itself, at the guest's addresses; the machine tells the IOMMU of them.
//!
//! Left out: functions without MSI-X, I/O BARs, option ROMs, vendor-specific capabilities, BARs mapped into the guest, IOMMU groups
//! of more than one function in one guest, hot-plug.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

mod address;
mod events;
mod function;
mod host;
mod layout;

pub use address::{BadAddress, HostAddress};
pub use function::{NewError, PassThrough};
pub use host::{FindError, HostFunction, Located, find};
pub use layout::LayoutError;
