//! Collections, fields, records and their validation. Pure: no I/O, no SQL, no HTTP.
//!
//! Data flow: a collection row becomes a [`Collection`]; request bodies are cast and applied to a [`Record`] by its
//! fields ([`Field::cast`], [`Record::apply`]); [`field`] validates values into [`FieldErrors`]; the store reads and
//! writes [`Value`]s by column.

mod collection;
mod errors;
pub mod field;
mod record;
mod schema;
mod value;

pub use collection::{
    AuthAlertConfig, AuthOptions, Collection, CollectionKind, EmailTemplate, MfaConfig,
    OAuth2Config, OAuth2MappedFields, OAuth2Provider, OtpConfig, PasswordAuthConfig, TokenConfig,
    TokenKind,
};
pub use errors::{FieldError, FieldErrors};
pub use field::{Field, FieldKind};
pub use record::{Record, TempFile, Upload, UploadSource};
pub use schema::Schema;
pub use value::{GeoPoint, Value};
