//! A layer that keeps the last versions of each key.
