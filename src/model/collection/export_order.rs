//! In which order a record's members are written.

use super::{Collection, Field};
use crate::base::json;

/// One member of an exported record.
#[derive(Clone, Debug)]
pub(crate) enum ExportSlot {
    CollectionId,
    CollectionName,
    Expand,
    Field {
        /// Position in the collection's fields.
        index: usize,
        /// The member's name as JSON with the colon behind it.
        key: Box<[u8]>,
    },
}

impl ExportSlot {
    pub(crate) fn key_json(&self) -> &[u8] {
        match self {
            Self::CollectionId => b"\"collectionId\":",
            Self::CollectionName => b"\"collectionName\":",
            Self::Expand => b"\"expand\":",
            Self::Field { key, .. } => key,
        }
    }

    pub(crate) fn name<'a>(&self, collection: &'a Collection) -> &'a str {
        match self {
            Self::CollectionId => "collectionId",
            Self::CollectionName => "collectionName",
            Self::Expand => "expand",
            Self::Field { index, .. } => collection
                .fields()
                .get(*index)
                .map_or("", |field| field.name.as_str()),
        }
    }
}

/// All members in alphabetical order. Members of the server's own win over fields of the same name, which only views
/// can have.
pub(super) fn slots(fields: &[Field]) -> Vec<ExportSlot> {
    let mut named = vec![
        ("collectionId", ExportSlot::CollectionId),
        ("collectionName", ExportSlot::CollectionName),
        ("expand", ExportSlot::Expand),
    ];
    for (index, field) in fields.iter().enumerate() {
        let mut key = Vec::with_capacity(field.name.len() + 3);
        json::write_str(&mut key, &field.name);
        key.push(b':');
        let key = key.into_boxed_slice();
        named.push((&field.name, ExportSlot::Field { index, key }));
    }
    named.sort_by_key(|(name, _)| *name);
    named.dedup_by(|(later, _), (earlier, _)| later == earlier);
    named.into_iter().map(|(_, slot)| slot).collect()
}
