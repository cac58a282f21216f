//! Debian in the lab.
