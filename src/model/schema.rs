//! All collections at one moment.

use std::collections::HashMap;
use std::sync::Arc;

use super::Collection;

/// An immutable snapshot of all collections. A request works on one snapshot from start to end.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// Grows with each change; part of the key of everything compiled from a schema.
    pub version: u64,
    /// Whether a rule reads `@request.headers`; else nobody needs them gathered.
    pub reads_headers: bool,
    by_id: HashMap<String, Arc<Collection>>,
    /// Keyed by lower-case name: PocketBase looks names up without regard to case.
    by_name: HashMap<String, Arc<Collection>>,
}

impl Schema {
    #[must_use]
    pub fn new(version: u64, collections: impl IntoIterator<Item = Arc<Collection>>) -> Self {
        let mut schema = Self {
            version,
            ..Self::default()
        };
        for collection in collections {
            schema.reads_headers |= collection
                .rules()
                .any(|rule| rule.contains("@request.headers"));
            schema
                .by_name
                .insert(collection.name.to_lowercase(), Arc::clone(&collection));
            schema.by_id.insert(collection.id.clone(), collection);
        }
        schema
    }

    /// Looks up by id, then by name without regard to case.
    #[must_use]
    pub fn find(&self, id_or_name: &str) -> Option<&Arc<Collection>> {
        self.by_id
            .get(id_or_name)
            .or_else(|| self.by_name.get(id_or_name))
            .or_else(|| self.by_name.get(&id_or_name.to_lowercase()))
    }

    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&Arc<Collection>> {
        self.by_id.get(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Collection>> {
        self.by_id.values()
    }
}
