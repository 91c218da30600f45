//! Serving stored files: content type and disposition, ranges, conditions.
