//! (in the making)
#![forbid(unsafe_code)]

pub mod boot_order;
pub mod e820;
pub mod fw_cfg;
