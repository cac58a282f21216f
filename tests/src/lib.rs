//! Machine tests: the product seen from outside.
