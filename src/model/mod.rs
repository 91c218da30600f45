//! Collections, fields, records and their validation. Pure: no I/O, no SQL, no HTTP.
//!
//! Data flow: a collection row becomes a [`Collection`]; request bodies are cast and applied to a [`Record`] by its
//! fields ([`Field::cast`], [`Record::apply`]); [`field`] validates values into [`FieldErrors`]; the store reads and
//! writes [`Value`]s by column.

pub(crate) mod cast;
pub mod collection;
mod errors;
pub mod field;
mod pattern;
#[cfg(test)]
mod properties;
mod record;
#[cfg(test)]
mod recorded;
mod rules;
mod schema;
#[cfg(test)]
mod tests;
mod value;

pub use collection::{
    AuthAlertConfig, AuthOptions, Collection, CollectionKind, CollectionRow, EmailTemplate,
    MfaConfig, OAuth2Config, OAuth2MappedFields, OAuth2Provider, OtpConfig, PasswordAuthConfig,
    SchemaFacts, TokenConfig, TokenKind,
};
pub use errors::{FieldError, FieldErrors};
pub use field::{Field, FieldKind, SettingsContext};
pub use record::{
    Expand, ExpandedRecord, ExpandedValue, ExportView, Modifier, Record, TempFile, Upload,
    UploadMode, UploadSource, WriteExpand,
};
pub use schema::Schema;
pub use value::{GeoPoint, Value};
