//! What authors of larder plugins depend on.
