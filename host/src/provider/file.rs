//! The built-in file provider.
