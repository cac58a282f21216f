//! Bytes to descriptions: tables read back as an operating system reads them, to show them and to find fault with them.
//!
//! Nothing here is shared with the writers, so that an error there cannot hide here.
//!
//! ```text
//!  files ── link ──► linked tables ─┬─ decode ────────► Part, Field   (every table by its layout)
//!  (script, blobs)                  ├─ Namespace ─────► Object, Value (AML outside methods)
//!                                   ├─ ResourceMap ───► who has which memory, ports and interrupts
//!                                   └─ check ─────────► Finding
//! ```
//!
//! Left out: the inside of methods, which only an interpreter can judge; tables that this crate does not write show
//! their header alone.

mod aml;
mod bytes;
mod check;
mod layout;
mod map;
mod resources;
mod script;

pub use aml::{AmlError, Kind, Namespace, Object, Value};
pub use check::{Finding, check};
pub use layout::{Field, FieldValue, Part, decode, title};
pub use map::{Interrupt, Region, ResourceMap, Use};
pub use resources::{Resource, ResourceError, Trigger, WindowKind, resources};
pub use script::{LinkError, Linked, link};
