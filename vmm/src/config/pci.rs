//! What is plugged into the PCI Express host bridge besides the functions themselves.

/// A root port: a slot with a link of its own, for one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootPort {
    /// By what functions name it.
    pub id: String,
}
