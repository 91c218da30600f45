//! Whatever clients send, the model neither panics nor writes broken JSON.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value as Json};

use super::*;
use crate::base::DateTime;

const KINDS: [&str; 14] = [
    "text", "editor", "number", "bool", "email", "url", "date", "autodate", "select", "file",
    "relation", "json", "password", "geoPoint",
];

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,12}".prop_map(Json::from),
        r#"[-\[{"0-9a-z:,\]} .]{0,10}"#.prop_map(Json::from),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.Z+]{0,16}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("lon|lat|[a-z<&é]{0,3}", inner, 0..4)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

/// A field object with right and wrong options.
fn any_field_json() -> impl Strategy<Value = Map<String, Json>> {
    let names = "name|id|min|max|pattern|values|maxSelect|required|hidden|onlyDomains|thumbs|cost";
    let options = prop::collection::btree_map(names, any_json(), 0..5);
    (prop::sample::select(&KINDS[..]), options).prop_map(|(kind, options)| {
        let mut object: Map<String, Json> = options.into_iter().collect();
        object.insert("type".to_owned(), kind.into());
        object
    })
}

/// A valid field of that kind, holding one value or several.
fn field(kind: &str, several: bool) -> Field {
    let object = serde_json::json!({
        "id": format!("{kind}{several}"),
        "name": format!("{kind}{}", u8::from(several)),
        "type": kind,
    });
    let mut object = object.as_object().unwrap().clone();
    if several && matches!(kind, "select" | "file" | "relation") {
        object.insert("maxSelect".to_owned(), 3.into());
    }
    if kind == "autodate" {
        object.insert("onUpdate".to_owned(), true.into());
    }
    Field::from_json(&object).unwrap()
}

fn everything(kind: CollectionKind) -> Arc<Collection> {
    let mut collection = Collection::new(kind, "everything");
    let mut fields = collection.fields().to_vec();
    for kind in KINDS {
        fields.push(field(kind, false));
        fields.push(field(kind, true));
    }
    collection.set_fields(fields);
    Arc::new(collection)
}

proptest! {
    #[test]
    fn fields_read_what_they_print(object in any_field_json()) {
        if let Ok(field) = Field::from_json(&object) {
            let printed = field.to_json();
            prop_assert!(printed.keys().is_sorted());
            prop_assert_eq!(&Field::from_json(&printed).unwrap().to_json(), &printed);
        }
    }

    #[test]
    fn settings_of_any_field_can_be_judged(object in any_field_json()) {
        if let Ok(field) = Field::from_json(&object) {
            let collection = everything(CollectionKind::Base);
            let context = SettingsContext {
                collection: &collection,
                original: Some(&collection),
                schema: &Schema::default(),
            };
            let _ = field.validate_settings(&context);
        }
    }

    #[test]
    fn values_of_any_input_have_their_fields_type(input in any_json()) {
        for field in everything(CollectionKind::Auth).fields() {
            let value = field.cast(&input);
            prop_assert_eq!(
                std::mem::discriminant(&value),
                std::mem::discriminant(&field.zero_value()),
                "{} {:?}", field.kind.type_name(), value
            );
            if let Value::Json(text) = &value {
                prop_assert!(serde_json::from_str::<Json>(text).is_ok(), "{}", text);
            }
        }
    }

    #[test]
    fn a_value_survives_being_stored_as_text(input in any_json()) {
        for field in everything(CollectionKind::Base).fields() {
            let value = field.cast(&input);
            let text = match &value {
                Value::Text(text) | Value::Json(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => u8::from(*flag).to_string(),
                other => {
                    let mut out = Vec::new();
                    other.write_json(&mut out);
                    String::from_utf8(out).unwrap()
                }
            };
            // A single choice may itself look like a list; such texts read as one.
            let looks_like_list = matches!(value, Value::Text(_)) && text.contains('[');
            let is_nan = matches!(value, Value::Number(number) if number.is_nan());
            if !looks_like_list && !is_nan {
                prop_assert_eq!(field.read_stored(Some(&text)), value);
            }
        }
    }

    #[test]
    fn any_body_can_be_applied_and_exported(
        bodies in prop::collection::vec(
            prop::collection::btree_map(
                "[+]?(text|number|bool|date|select|file|relation|json|password|geoPoint|autodate)[01]([+-]|:autogenerate)?|id|.{0,4}",
                any_json(),
                0..8,
            ),
            1..4,
        ),
        with_hidden in any::<bool>(),
    ) {
        let mut record = Record::new(everything(CollectionKind::Auth));
        for body in bodies {
            let resolved = record.apply(&body.into_iter().collect());
            prop_assert!(resolved.keys().all(|key| !key.ends_with(":autogenerate")
                || record.collection().field_of_key(key).is_none()));
            record.on_create(DateTime::now());
            let _ = record.validate();
            let view = ExportView { with_hidden, show_email: with_hidden, expand: None };
            let mut out = Vec::new();
            record.write_json(&mut out, &view);
            let written: Map<String, Json> = serde_json::from_slice(&out).unwrap();
            prop_assert!(written.keys().is_sorted());
            prop_assert!(!written.contains_key("tokenKey") && !written.contains_key("password"));
            record.mark_saved();
            record.on_update(DateTime::now());
        }
    }

    #[test]
    fn any_collection_body_is_read_or_refused(
        body in prop::collection::btree_map(
            "id|name|type|fields|indexes|listRule|viewQuery|oauth2|mfa|otp|authToken|passwordAuth|created",
            any_json(),
            0..8,
        ),
        fields in prop::collection::vec(any_field_json(), 0..4),
    ) {
        let mut body: Map<String, Json> = body.into_iter().collect();
        body.insert("fields".to_owned(), fields.into_iter().map(Json::Object).collect());
        body.insert("type".to_owned(), "auth".into());
        if let Ok(mut collection) = Collection::from_body(&body) {
            collection.prepare_save(true, DateTime::now(), |_| false);
            let again = Collection::from_row(collection.to_row()).unwrap();
            prop_assert_eq!(again.to_json(), collection.to_json());
            prop_assert_eq!(again.options_json(), collection.options_json());
        }
    }
}
