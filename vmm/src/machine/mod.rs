//! The machine: first as a [`Plan`], then with its devices.

pub mod plan;

pub use plan::Plan;
