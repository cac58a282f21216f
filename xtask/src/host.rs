//! What the host must have: packages.
