//! tinderbox
