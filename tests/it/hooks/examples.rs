//! The scripts in the repository.
