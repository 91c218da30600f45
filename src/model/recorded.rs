//! Replays what a PocketBase 0.40 answered: records and collections that were sent to it, with what it stored or refused.
//! Dates, ids and generated texts are left out of the comparison; so are the texts of errors that repeat an engine's words.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::collection::index::Index;
use super::*;
use crate::base::{DateTime, json};

fn object(value: &Json) -> &Map<String, Json> {
    value.as_object().unwrap()
}

/// Fails with all cases that differ, so that one run shows the extent.
fn compare(case: &Json, expected: &Json, actual: &Json, differing: &mut Vec<String>) {
    if expected != actual {
        differing.push(format!(
            "{}\n  recorded {expected}\n  got      {actual}",
            case["body"]
        ));
    }
}

fn is_zero(value: &Json) -> bool {
    match value {
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::Null | Json::Bool(false) => true,
        Json::Bool(true) => false,
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(members) => members.contains_key("lon") && members.values().all(is_zero),
    }
}

fn record_before(collection: &Arc<Collection>, case: &Json) -> Record {
    let Some(before) = case.get("before") else {
        return Record::new(Arc::clone(collection));
    };
    let values = collection.fields().iter().map(|field| match field.kind {
        FieldKind::Password(_) => Value::from("hash"),
        _ => field.cast(&before[&field.name]),
    });
    Record::loaded(Arc::clone(collection), values.collect())
}

#[test]
fn records_are_stored_or_refused_as_recorded() {
    let recorded: Json = serde_json::from_str(include_str!("recorded/records.json")).unwrap();
    let mut differing = Vec::new();
    for case in recorded["cases"].as_array().unwrap() {
        let body = &recorded["collections"][case["in"].as_str().unwrap()];
        let collection = Arc::new(Collection::from_body(object(body)).unwrap());
        let mut record = record_before(&collection, case);
        record.apply(object(&case["body"]));
        if record.is_new() {
            record.on_create(DateTime::now());
        } else {
            record.on_update(DateTime::now());
        }
        if let Err(errors) = record.validate() {
            let expected = case.get("errors").unwrap_or(&Json::Null);
            compare(case, expected, &errors.to_json().into(), &mut differing);
            continue;
        }
        let view = ExportView {
            with_hidden: true,
            show_email: true,
            expand: None,
        };
        let mut text = Vec::new();
        record.write_json(&mut text, &view);
        let mut answer: Map<String, Json> = serde_json::from_slice(&text).unwrap();
        let tree = Json::Object(record.to_json(&view));
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, json::to_text(&tree), "both exports agree");
        for name in ["collectionId", "collectionName", "id", "auto", "made"] {
            answer.remove(name);
        }
        answer.retain(|_, value| !is_zero(value));
        let expected = case.get("ok").unwrap_or(&Json::Null);
        compare(case, expected, &answer.into(), &mut differing);
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

struct Facts(Schema);

impl SchemaFacts for Facts {
    fn schema(&self) -> &Schema {
        &self.0
    }

    fn has_table(&self, name: &str) -> bool {
        name == "_params"
    }

    fn index_table(&self, name: &str) -> Option<String> {
        let has = |text: &String| Index::parse(text).name.eq_ignore_ascii_case(name);
        self.0
            .iter()
            .find(|collection| collection.indexes.iter().any(has))
            .map(|collection| collection.name.clone())
    }

    fn check_rule(&self, _: &Collection, rule: &str) -> Result<(), String> {
        let unknown = ["missing = 1", "x=1"].contains(&rule);
        if unknown {
            Err("unknown field".into())
        } else {
            Ok(())
        }
    }

    fn check_view_query(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn has_provider(&self, name: &str) -> bool {
        name == "google"
    }
}

/// Keeps only the code of errors that repeat an engine's words.
fn without_engine_words(errors: &mut Json) {
    const CODES: [&str; 4] = [
        "validation_invalid_rule",
        "validation_invalid_regex",
        "validation_invalid_autogenerate_pattern",
        "validation_invalid_autogenerate_pattern_value",
    ];
    let Json::Object(members) = errors else {
        return;
    };
    if members
        .get("code")
        .is_some_and(|code| CODES.contains(&code.as_str().unwrap()))
    {
        members.remove("message");
    }
    members.values_mut().for_each(without_engine_words);
}

fn outcome(case: &Json, original: Option<&Collection>, facts: &Facts) -> (&'static str, Json) {
    let body = object(&case["body"]);
    let read = match original {
        None => Collection::from_body(body),
        Some(original) => {
            let mut changed = original.clone();
            changed.apply_json(body).map(|()| changed)
        }
    };
    let Ok(mut collection) = read else {
        return ("malformed", true.into());
    };
    let is_taken = |id: &str| facts.0.by_id(id).is_some();
    collection.prepare_save(original.is_none(), DateTime::now(), is_taken);
    match collection.validate(original, facts) {
        Err(errors) => {
            let mut errors = Json::Object(errors.to_json());
            without_engine_words(&mut errors);
            ("errors", errors)
        }
        Ok(()) => {
            let mut answer = collection.to_json();
            answer.retain(|name, _| !name.ends_with("Template"));
            for name in ["created", "updated"] {
                answer.remove(name);
            }
            for name in ["authAlert", "otp"] {
                if let Some(options) = answer.get_mut(name) {
                    options.as_object_mut().unwrap().remove("emailTemplate");
                }
            }
            ("ok", answer.into())
        }
    }
}

#[test]
fn collections_are_stored_or_refused_as_recorded() {
    let recorded: Json = serde_json::from_str(include_str!("recorded/collections.json")).unwrap();
    let read = |body: &Json| Arc::new(Collection::from_body(object(body)).unwrap());
    let stored: Vec<_> = recorded["schema"]
        .as_array()
        .unwrap()
        .iter()
        .map(read)
        .collect();
    let mut differing = Vec::new();
    for case in recorded["cases"].as_array().unwrap() {
        let original = case
            .get("before")
            .map(|name| read(&recorded["before"][name.as_str().unwrap()]));
        let all = stored.iter().chain(&original).cloned();
        let facts = Facts(Schema::new(1, all));
        let (kind, actual) = outcome(case, original.as_deref(), &facts);
        let expected = case.get(kind).unwrap_or(&Json::Null);
        compare(case, expected, &actual, &mut differing);
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
