//! Whether a collection may be stored as it is.

use super::index::{Index, find_unique};
use super::{Collection, CollectionKind, validate_auth, validate_fields};
use crate::model::{FieldError, FieldErrors, Schema, rules};

/// What validation needs to know and only the store or the filter compiler can tell.
pub trait SchemaFacts {
    /// All collections that are stored now.
    fn schema(&self) -> &Schema;

    /// Whether the database has a table or view of that name, without regard to case.
    fn has_table(&self, name: &str) -> bool;

    /// The table of the index with that name, without regard to case.
    fn index_table(&self, index: &str) -> Option<String>;

    /// Compiles a rule against the collection.
    ///
    /// # Errors
    /// The reason for people.
    fn check_rule(&self, collection: &Collection, rule: &str) -> Result<(), String>;

    /// Tries the query of a view.
    ///
    /// # Errors
    /// The reason for people.
    fn check_view_query(&self, query: &str) -> Result<(), String>;

    /// Whether there is an OAuth2 provider of that name.
    fn has_provider(&self, name: &str) -> bool;
}

/// A collection under validation, with what it was before.
pub(super) struct Check<'a> {
    pub(super) new: &'a Collection,
    pub(super) original: Option<&'a Collection>,
    pub(super) facts: &'a dyn SchemaFacts,
}

impl Collection {
    /// Checks everything about the collection; `original` is what is stored of it, nothing for a new one. Call it after
    /// [`Collection::prepare_save`]; the fields of a view must be those of its query.
    ///
    /// # Errors
    /// By member, with PocketBase's codes and messages.
    pub fn validate(
        &self,
        original: Option<&Self>,
        facts: &dyn SchemaFacts,
    ) -> Result<(), FieldErrors> {
        let check = Check {
            new: self,
            original,
            facts,
        };
        let mut errors = FieldErrors::new();
        errors.check("id", check.id());
        errors.check("system", check.system_flag());
        errors.check("type", check.kind());
        errors.check("name", check.name());
        validate_fields::fields(&check, &mut errors);
        check.rules(&mut errors);
        check.indexes(&mut errors);
        match self.kind {
            CollectionKind::Auth => validate_auth::options(&check, &mut errors),
            CollectionKind::View => errors.check("viewQuery", check.view_query()),
            CollectionKind::Base => {}
        }
        errors.into_result()
    }
}

impl Check<'_> {
    fn id(&self) -> Option<FieldError> {
        let id = &self.new.id;
        if id.is_empty() {
            return rules::required(true);
        }
        if let Some(original) = self.original {
            return rules::equal(*id == original.id);
        }
        rules::length(id, 1, 100)
            .or_else(|| rules::matches(rules::is_word(id)))
            .or_else(|| {
                self.facts.schema().by_id(id).map(|_| {
                    FieldError::new(
                        "validation_invalid_or_existing_id",
                        "The model id is invalid or already exists.",
                    )
                })
            })
    }

    fn system_flag(&self) -> Option<FieldError> {
        self.original
            .filter(|original| original.system != self.new.system)
            .map(|_| {
                FieldError::new(
                    "validation_collection_system_flag_change",
                    "System collection state cannot be changed.",
                )
            })
    }

    fn kind(&self) -> Option<FieldError> {
        if self.new.unknown_kind.is_some() {
            return Some(rules::invalid_value());
        }
        self.original
            .filter(|original| original.kind != self.new.kind)
            .map(|_| {
                FieldError::new(
                    "validation_collection_type_change",
                    "Collection type cannot be changed.",
                )
            })
    }

    fn name(&self) -> Option<FieldError> {
        let name = &self.new.name;
        rules::required(name.is_empty())
            .or_else(|| rules::length(name, 1, 255))
            .or_else(|| rules::no_via(name))
            .or_else(|| rules::matches(rules::is_word(name)))
            .or_else(|| self.system_name())
            .or_else(|| self.unique_name())
    }

    fn system_name(&self) -> Option<FieldError> {
        self.original
            .filter(|original| original.system && original.name != self.new.name)
            .map(|_| {
                FieldError::new(
                    "validation_collection_system_name_change",
                    "System collection name cannot be changed.",
                )
            })
    }

    fn unique_name(&self) -> Option<FieldError> {
        let name = &self.new.name;
        let schema = self.facts.schema();
        let own = self.original.map(|original| original.id.as_str());
        let same_name = schema
            .iter()
            .find(|other| other.name.eq_ignore_ascii_case(name));
        if same_name.is_some_and(|other| Some(other.id.as_str()) != own) {
            return Some(FieldError::new(
                "validation_collection_name_exists",
                "Collection name must be unique (case insensitive).",
            ));
        }
        if schema.by_id(name).is_some() {
            return Some(FieldError::new(
                "validation_collection_name_id_duplicate",
                "The name must not match an existing collection id.",
            ));
        }
        let renamed = self.original.is_none_or(|original| original.name != *name);
        (renamed && same_name.is_none() && self.facts.has_table(name)).then(|| {
            FieldError::new(
                "validation_collection_name_invalid",
                "The name shouldn't match with an existing internal table.",
            )
        })
    }

    fn rules(&self, errors: &mut FieldErrors) {
        let (new, old) = (self.new, self.original);
        let of_old = |pick: fn(&Collection) -> &Option<String>| old.map(pick);
        for (name, rule, before, writes) in [
            ("listRule", &new.list_rule, of_old(|c| &c.list_rule), false),
            ("viewRule", &new.view_rule, of_old(|c| &c.view_rule), false),
            (
                "createRule",
                &new.create_rule,
                of_old(|c| &c.create_rule),
                true,
            ),
            (
                "updateRule",
                &new.update_rule,
                of_old(|c| &c.update_rule),
                true,
            ),
            (
                "deleteRule",
                &new.delete_rule,
                of_old(|c| &c.delete_rule),
                true,
            ),
        ] {
            if writes && new.is_view() {
                errors.check(name, rules::must_be_nil(rule.is_none()));
            }
            errors.check(name, self.rule(rule.as_deref()));
            errors.check(
                name,
                self.system_rule(rule.as_deref(), before.and_then(Option::as_deref)),
            );
        }
    }

    /// Whether a rule compiles.
    pub(super) fn rule(&self, rule: Option<&str>) -> Option<FieldError> {
        let rule = rule.filter(|rule| !rule.is_empty())?;
        let reason = self.facts.check_rule(self.new, rule).err()?;
        Some(FieldError::new(
            "validation_invalid_rule",
            format!("Invalid rule. Raw error: {reason}"),
        ))
    }

    /// The rules of system collections stay.
    pub(super) fn system_rule(&self, new: Option<&str>, old: Option<&str>) -> Option<FieldError> {
        self.original
            .filter(|original| original.system && new != old)
            .map(|_| {
                FieldError::new(
                    "validation_collection_system_rule_change",
                    "System collection API rule cannot be changed.",
                )
            })
    }

    fn view_query(&self) -> Option<FieldError> {
        const REASON_BYTES_MAX: usize = 500;
        let query = &self.new.view_query;
        if query.is_empty() {
            return rules::required(true);
        }
        let mut reason = self.facts.check_view_query(query).err()?;
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        Some(FieldError::new(
            "validation_invalid_view_query",
            format!("Invalid query - {reason}"),
        ))
    }

    fn indexes(&self, errors: &mut FieldErrors) {
        if self.new.is_view() && !self.new.indexes.is_empty() {
            errors.add(
                "indexes",
                FieldError::new(
                    "validation_indexes_not_supported",
                    "View collections don't support indexes.",
                ),
            );
            return;
        }
        let mut names: Vec<String> = Vec::new();
        let mut definitions: Vec<Option<String>> = Vec::new();
        for (position, text) in self.new.indexes.iter().enumerate() {
            let index = Index::parse(text);
            if let Some(error) = self.index(index, &mut names, &mut definitions) {
                errors.nest("indexes", FieldErrors::one(&position.to_string(), error));
                return;
            }
        }
        errors.check("indexes", self.system_indexes());
        if self.new.is_auth() {
            for field in ["tokenKey", "email"] {
                if find_unique(&self.new.indexes, field).is_none() {
                    errors.add(
                        "indexes",
                        FieldError::new(
                            "validation_missing_required_unique_index",
                            format!("Missing required unique index for field \"{field}\"."),
                        )
                        .with("fieldName", field),
                    );
                }
            }
        }
    }

    /// One index against those before it and those of other tables.
    fn index(
        &self,
        mut index: Index,
        names: &mut Vec<String>,
        definitions: &mut Vec<Option<String>>,
    ) -> Option<FieldError> {
        // Any table will do: it is set when the collection is stored.
        "validator".clone_into(&mut index.table);
        if !index.is_valid() {
            return Some(FieldError::new(
                "validation_invalid_index_expression",
                "Invalid CREATE INDEX expression.",
            ));
        }
        let name = index.name.to_lowercase();
        if names.contains(&name) {
            return Some(FieldError::new(
                "validation_duplicated_index_name",
                "The index name already exists.",
            ));
        }
        let is_own = |table: &str| {
            table.eq_ignore_ascii_case(&self.new.name)
                || self
                    .original
                    .is_some_and(|original| table.eq_ignore_ascii_case(&original.name))
        };
        if let Some(table) = self
            .facts
            .index_table(&index.name)
            .filter(|table| !is_own(table))
        {
            return Some(
                FieldError::new(
                    "validation_existing_index_name",
                    format!("The index name is already used in {table} collection."),
                )
                .with("usedTableName", table),
            );
        }
        names.push(name);
        "validator".clone_into(&mut index.schema);
        "validator".clone_into(&mut index.name);
        let definition = index.build();
        if definitions.contains(&definition) {
            return Some(FieldError::new(
                "validation_duplicated_index_definition",
                "The index definition already exists.",
            ));
        }
        definitions.push(definition);
        None
    }

    /// Unique indexes that touch a system field stay, whatever their name, order and condition.
    fn system_indexes(&self) -> Option<FieldError> {
        let original = self.original?;
        let shape = |text: &String| {
            let mut index = Index::parse(text);
            for column in &mut index.columns {
                column.collate.clear();
                column.sort.clear();
            }
            index
        };
        let present: Vec<Index> = self.new.indexes.iter().map(shape).collect();
        for before in original
            .indexes
            .iter()
            .map(shape)
            .filter(|index| index.unique)
        {
            let system = before.columns.iter().find_map(|column| {
                original
                    .fields()
                    .iter()
                    .find(|field| field.system && field.name.eq_ignore_ascii_case(&column.name))
            });
            let Some(field) = system else {
                continue;
            };
            let kept = present.iter().any(|index| {
                index.unique == before.unique
                    && index.optional == before.optional
                    && index.columns == before.columns
            });
            if !kept {
                return Some(
                    FieldError::new(
                        "validation_invalid_unique_system_field_index",
                        format!(
                            "Unique index definition on system fields ({}) is invalid or missing.",
                            field.name
                        ),
                    )
                    .with("fieldName", field.name.as_str()),
                );
            }
        }
        None
    }
}
