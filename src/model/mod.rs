//! Collections, fields, records and their validation. Pure: no I/O.
