//! Checks on the list of fields. The first group with an error decides.

use super::validate::Check;
use super::{CollectionKind, Field};
use crate::model::{FieldError, FieldErrors, FieldKind, SettingsContext, rules};

/// Names that the forms of auth records use.
const RESERVED_AUTH_NAMES: [&str; 2] = ["passwordConfirm", "oldPassword"];

pub(super) fn fields(check: &Check<'_>, errors: &mut FieldErrors) {
    let groups: [fn(&Check<'_>, &mut FieldErrors); 6] = [
        duplicates,
        required_fields,
        system_changes,
        type_changes,
        reserved_names,
        settings,
    ];
    for group in groups {
        group(check, errors);
        if errors.contains("fields") {
            return;
        }
    }
}

fn at(index: usize, member: &str, error: FieldError) -> FieldErrors {
    let mut errors = FieldErrors::new();
    errors.nest(&index.to_string(), FieldErrors::one(member, error));
    errors
}

fn duplicates(check: &Check<'_>, errors: &mut FieldErrors) {
    let list = check.new.fields();
    for (index, field) in list.iter().enumerate() {
        let before = || list.iter().take(index);
        if before().any(|other| other.id == field.id) {
            let message = format!("Duplicated or invalid field id {:?}", field.id);
            let error = FieldError::new("validation_duplicated_field_id", message);
            errors.nest("fields", at(index, "id", error));
            return;
        }
        let name = field.name.to_lowercase();
        if before().any(|other| other.name.to_lowercase() == name) {
            let error = FieldError::new(
                "validation_duplicated_field_name",
                format!("Duplicated or invalid field name {}", field.name),
            )
            .with("fieldName", field.name.as_str());
            errors.nest("fields", at(index, "name", error));
            return;
        }
    }
}

fn required_fields(check: &Check<'_>, errors: &mut FieldErrors) {
    let collection = check.new;
    errors.check("fields", rules::required(collection.fields().is_empty()));
    let has_key = collection
        .field("id")
        .is_some_and(|field| matches!(&field.kind, FieldKind::Text(text) if text.primary_key));
    if !has_key {
        errors.add(
            "fields",
            FieldError::new(
                "validation_missing_primary_key",
                "Missing or invalid \"id\" PK field.",
            ),
        );
    }
    if collection.kind != CollectionKind::Auth {
        return;
    }
    for (name, kind, must_hide) in [
        ("password", "password", true),
        ("tokenKey", "text", true),
        ("email", "email", false),
        ("emailVisibility", "bool", false),
        ("verified", "bool", false),
    ] {
        let field = collection
            .field(name)
            .filter(|field| field.kind.type_name() == kind);
        if let Err(error) = auth_field(name, field, must_hide) {
            errors.merge(error);
            return;
        }
    }
}

fn auth_field(name: &str, field: Option<&Field>, must_hide: bool) -> Result<(), FieldErrors> {
    let Some(field) = field else {
        return Err(FieldErrors::one(
            "fields",
            FieldError::new(
                &format!("validation_missing_{name}_field"),
                format!("System \"{name}\" field is required."),
            ),
        ));
    };
    let error = if must_hide && !(field.system && field.hidden) {
        FieldError::new(
            "validation_must_be_system_and_hidden",
            "The field must be marked as \"System\" and \"Hidden\".",
        )
    } else if !field.system {
        FieldError::new(
            "validation_must_be_system",
            "The field must be marked as \"System\".",
        )
    } else {
        return Ok(());
    };
    let mut errors = FieldErrors::new();
    errors.nest("fields", FieldErrors::one(name, error));
    Err(errors)
}

fn system_changes(check: &Check<'_>, errors: &mut FieldErrors) {
    let Some(original) = check.original.filter(|_| !check.new.is_view()) else {
        return;
    };
    let changed = original.fields().iter().any(|before| {
        before.system
            && check
                .new
                .field_by_id(&before.id)
                .is_none_or(|now| now.name != before.name)
    });
    if changed {
        errors.add(
            "fields",
            FieldError::new(
                "validation_system_field_change",
                "System fields cannot be deleted or renamed.",
            ),
        );
    }
}

fn type_changes(check: &Check<'_>, errors: &mut FieldErrors) {
    let Some(original) = check.original.filter(|_| !check.new.is_view()) else {
        return;
    };
    let mut nested = FieldErrors::new();
    for (index, field) in check.new.fields().iter().enumerate() {
        let before = original.field_by_id(&field.id);
        if before.is_some_and(|before| before.kind.type_name() != field.kind.type_name()) {
            nested.add(
                &index.to_string(),
                FieldError::new(
                    "validation_field_type_change",
                    "Field type cannot be changed.",
                ),
            );
        }
    }
    errors.nest("fields", nested);
}

fn reserved_names(check: &Check<'_>, errors: &mut FieldErrors) {
    if !check.new.is_auth() {
        return;
    }
    let mut nested = FieldErrors::new();
    for (index, field) in check.new.fields().iter().enumerate() {
        if RESERVED_AUTH_NAMES.contains(&field.name.as_str()) {
            let error = FieldError::new(
                "validation_reserved_field_name",
                "The field name is reserved and cannot be used.",
            );
            nested.nest(&index.to_string(), FieldErrors::one("name", error));
        }
    }
    errors.nest("fields", nested);
}

fn settings(check: &Check<'_>, errors: &mut FieldErrors) {
    let context = SettingsContext {
        collection: check.new,
        original: check.original,
        schema: check.facts.schema(),
    };
    let mut nested = FieldErrors::new();
    for (index, field) in check.new.fields().iter().enumerate() {
        if let Err(found) = field.validate_settings(&context) {
            nested.nest(&index.to_string(), found);
        }
    }
    errors.nest("fields", nested);
}
