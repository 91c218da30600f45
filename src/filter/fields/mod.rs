//! The grammar of `fields=`.
