//! What a kernel finds, format by format, and what is refused.

mod formats;
mod refusals;
