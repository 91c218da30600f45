//! Ids, dates, error codes, passwords, tokens, encryption and JSON text: what every other part uses. No I/O.

pub mod cipher;
pub mod clock;
pub mod code;
pub mod date;
pub mod digest;
pub mod geo;
pub mod id;
pub mod json;
pub mod meter;
pub mod metric;
pub mod money;
pub mod password;
pub mod text;
pub mod token;
pub mod within;

pub use clock::Clock;
pub use code::Code;
pub use date::DateTime;
pub use geo::GeoPoint;
pub use money::Cents;
pub use password::PasswordQueue;
