//! A lifecycle policy of rules by prefix, tags and size.
