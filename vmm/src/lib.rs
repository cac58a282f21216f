//! Tinderbox: configuration, the machine plan, KVM, vCPUs and control.

pub mod bundle;
pub mod cli;
pub mod config;
pub mod host;
pub mod kvm;
pub mod machine;
pub mod terminal;
