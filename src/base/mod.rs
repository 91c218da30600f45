//! Ids, dates, error codes, passwords, tokens, encryption and JSON text: what every other part uses. No I/O.
