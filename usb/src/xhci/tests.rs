//! A scripted driver against the whole controller.

mod commands;
mod control;
mod fuzzed;
mod hostile;
mod makes;
mod plugging;
mod ports;
mod rig;
mod transfers;
