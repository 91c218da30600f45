//! The collection engine: every read and write of records and collections passes here.
