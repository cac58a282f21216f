//! What programs change of a running machine beyond its state.

use std::sync::Arc;

use crate::machine::drives::Drives;
use crate::machine::links::Links;
use crate::machine::usb_plugs::Plugs;

/// The parts of a machine that have hands on them.
#[derive(Clone)]
pub struct Parts {
    /// Drives whose medium comes and goes, and the images and descriptors for them.
    pub drives: Arc<Drives>,
    /// The plugs of network interfaces.
    pub links: Links,
    /// The USB ports, if there is a controller.
    pub plugs: Option<Arc<Plugs>>,
}
