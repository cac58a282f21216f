//! Tinderbox: configuration, the machine plan, KVM, vCPUs and control.

pub mod config;
pub mod machine;
