//! `relation` fields: ids of records of another collection.

use super::select::too_many;
use super::{Field, RelationOptions, SettingsContext};
use crate::model::{FieldError, FieldErrors, Value, rules};

impl RelationOptions {
    /// Everything but whether the records exist, which only the store knows.
    pub(super) fn validate(&self, value: &Value) -> Option<FieldError> {
        let count = value.items().count();
        if count == 0 {
            return rules::required(self.required);
        }
        if i64::try_from(count).unwrap_or(i64::MAX) < self.min_select {
            return Some(
                FieldError::new(
                    "validation_not_enough_values",
                    format!("Select at least {}", self.min_select),
                )
                .with("minSelect", self.min_select),
            );
        }
        too_many(count, self.max_select)
    }

    pub(super) fn settings(
        &self,
        field: &Field,
        context: &SettingsContext<'_>,
        errors: &mut FieldErrors,
    ) {
        errors.check(
            "collectionId",
            rules::required(self.collection_id.is_empty())
                .or_else(|| self.check_collection(field, context)),
        );
        errors.check("minSelect", rules::at_least(self.min_select, 0));
        errors.check(
            "maxSelect",
            rules::required(self.min_select > 0 && self.max_select == 0)
                .or_else(|| rules::at_least(self.max_select, self.min_select)),
        );
    }

    fn check_collection(&self, field: &Field, context: &SettingsContext<'_>) -> Option<FieldError> {
        let before = context
            .original
            .and_then(|original| original.field_by_id(&field.id))
            .and_then(Field::as_relation);
        if before.is_some_and(|before| before.collection_id != self.collection_id) {
            return Some(FieldError::new(
                "validation_field_relation_change",
                "The relation collection cannot be changed.",
            ));
        }
        // A new collection may relate to itself only by way of an update: it has no row yet.
        let Some(target) = context.schema.by_id(&self.collection_id) else {
            return Some(FieldError::new(
                "validation_field_relation_missing_collection",
                "The relation collection doesn't exist.",
            ));
        };
        (!context.collection.is_view() && target.is_view()).then(|| {
            FieldError::new(
                "validation_relation_field_non_view_base_collection",
                "Only view collections are allowed to have relations to other views.",
            )
        })
    }
}
