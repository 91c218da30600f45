//! Records and collections at work.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value as Json, json};

use super::*;
use crate::base::DateTime;

fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(object) => object,
        other => unreachable!("{other} is no object"),
    }
}

fn collection(kind: &str, fields: Json) -> Arc<Collection> {
    let body = json!({"name": "things", "type": kind, "fields": fields});
    let mut collection = Collection::from_body(&object(body)).unwrap();
    collection.prepare_save(true, DateTime::now(), |_| false);
    Arc::new(collection)
}

fn stored(collection: &Arc<Collection>, values: Json) -> Record {
    let mut record = Record::new(Arc::clone(collection));
    record.apply(&object(values));
    record.on_create(DateTime::from_unix(0).unwrap());
    record.mark_saved();
    record
}

fn upload(field: &str, name: &str, content_type: &str) -> Upload {
    Upload {
        field: field.to_owned(),
        name: name.to_owned(),
        original_name: name.to_owned(),
        size: 4,
        content_type: content_type.to_owned(),
        source: UploadSource::Memory(Bytes::from_static(b"test")),
    }
}

fn export(record: &Record, view: &ExportView<'_>) -> String {
    let mut out = Vec::new();
    record.write_json(&mut out, view);
    String::from_utf8(out).unwrap()
}

#[test]
fn modifiers_follow_plain_keys_and_resolve_in_the_body() {
    let collection = collection(
        "base",
        json!([
            {"name": "n", "type": "number"},
            {"name": "tags", "type": "select", "values": ["a", "b", "c"], "maxSelect": 3},
            {"name": "code", "type": "text", "autogeneratePattern": "[a-z]{3}"},
        ]),
    );
    let mut record = stored(&collection, json!({"n": 1, "tags": ["a"]}));
    let body = json!({
        "n+": "2", "n": 5, "n-": 1, "+tags": "b", "tags-": "a", "code:autogenerate": "x-", "other+": 7,
    });
    let resolved = record.apply(&object(body));
    assert_eq!(record.get("n"), Some(&Value::Number(6.0)));
    assert_eq!(record.get("tags"), Some(&Value::List(vec!["b".to_owned()])));
    assert!(record.text("code").starts_with("x-") && record.text("code").len() == 5);
    assert_eq!(resolved["n"], 6);
    assert_eq!(resolved["tags"], json!(["b"]));
    assert_eq!(resolved["other+"], 7);
    assert_eq!(resolved.len(), 4);
    assert_eq!(record.original("n"), Some(&Value::Number(1.0)));
}

#[test]
fn uploads_belong_to_the_field_that_names_them() {
    let collection = collection(
        "base",
        json!([
            {"name": "one", "type": "file", "mimeTypes": ["image/png"]},
            {"name": "many", "type": "file", "maxSelect": 2, "maxSize": 4},
        ]),
    );
    let mut record = Record::new(Arc::clone(&collection));
    record.add_upload(
        "many",
        upload("", "a.txt", "text/plain"),
        UploadMode::Append,
    );
    record.add_upload(
        "many",
        upload("", "b.txt", "text/plain"),
        UploadMode::Prepend,
    );
    record.add_upload("one", upload("", "c.png", "image/png"), UploadMode::Replace);
    record.add_upload("id", upload("", "d.png", "image/png"), UploadMode::Replace);
    record.on_create(DateTime::now());
    assert_eq!(record.uploads.len(), 3);
    record.validate().unwrap();
    record.mark_saved();

    record.apply(&object(json!({"many-": "a.txt", "one": ""})));
    assert_eq!(record.dropped_files(), ["c.png", "a.txt"]);
    record.add_upload("one", upload("", "e.gif", "image/gif"), UploadMode::Replace);
    record.apply(&object(json!({"many+": "invented.txt"})));
    let errors = record.validate().unwrap_err();
    assert_eq!(
        errors.get("one").unwrap().code,
        "validation_invalid_mime_type"
    );
    let invented = errors.get("many").unwrap();
    assert_eq!(invented.message, "Invalid new files: [invented.txt].");
    record.apply(&object(json!({"one": ""})));
    assert!(
        record.uploads.is_empty(),
        "an upload that is replaced is not stored"
    );
}

#[test]
fn passwords_stay_plain_until_they_are_hashed() {
    let collection = collection("auth", json!([]));
    let mut record = Record::new(Arc::clone(&collection));
    record.apply(&object(json!({"email": "a@b.co", "password": "12345678"})));
    record.on_create(DateTime::now());
    record.validate().unwrap();
    assert_eq!(
        record.plain_passwords().collect::<Vec<_>>(),
        [("password", "12345678")]
    );
    record.set_password_hash("password", "outdated", "no".to_owned());
    assert_eq!(record.text("password"), "");
    record.set_password_hash("password", "12345678", "hash".to_owned());
    record.mark_saved();
    assert_eq!(record.text("password"), "hash");
    assert_eq!(record.plain_passwords().count(), 0);

    record.apply(&object(json!({"password": "short"})));
    let errors = record.validate().unwrap_err();
    assert_eq!(
        errors.get("password").unwrap().message,
        "Must be at least 8 character(s)."
    );
    record.apply(&object(json!({"password": ""})));
    let errors = record.validate().unwrap_err();
    assert_eq!(errors.get("password").unwrap().code, "validation_required");
}

#[test]
fn the_server_sets_ids_keys_and_dates() {
    let collection = collection(
        "auth",
        json!([
            {"name": "made", "type": "autodate", "onCreate": true},
            {"name": "changed", "type": "autodate", "onCreate": true, "onUpdate": true},
        ]),
    );
    let mut record = stored(&collection, json!({"made": "2020-01-01 00:00:00.000Z"}));
    assert_eq!(record.id().len(), 15);
    assert_eq!(record.text("tokenKey").len(), 50);
    assert_eq!(record.text("made"), "1970-01-01 00:00:00.000Z");
    record.on_update(DateTime::from_unix(60).unwrap());
    assert_eq!(record.text("made"), "1970-01-01 00:00:00.000Z");
    assert_eq!(record.text("changed"), "1970-01-01 00:01:00.000Z");
    let key = record.text("tokenKey").to_owned();
    record.refresh_token_key();
    assert!(record.text("tokenKey") != key && record.text("tokenKey").len() == 50);
}

#[test]
fn what_a_record_was_is_kept_beside_what_is_stored() {
    let collection = collection("base", json!([{"name": "n", "type": "number"}]));
    let mut record = stored(&collection, json!({"id": "a", "n": 1}));
    record.set("n", Value::Number(2.0));
    let before = record.stored_values();
    record.mark_saved();
    record.remember(before);
    assert_eq!(record.to_former().get("n"), Some(&Value::Number(1.0)));
    assert!(
        !record.has_changed("n"),
        "it says nothing about what is stored"
    );
    record.forget_former();
    assert_eq!(record.to_former().get("n"), Some(&Value::Number(2.0)));

    let mut made = Record::new(Arc::clone(&collection));
    made.set("id", "b".into());
    let before = made.stored_values();
    made.mark_saved();
    made.remember(before);
    assert!(
        made.to_former().is_new(),
        "a created record was none before"
    );
}

#[test]
fn exports_show_what_the_reader_may_see() {
    let collection = collection(
        "auth",
        json!([
            {"name": "hidden", "type": "text", "hidden": true},
            {"name": "pin", "type": "password"},
            {"name": "data", "type": "json"},
        ]),
    );
    let mut record = stored(
        &collection,
        json!({"id": "abcdefghijklmno", "email": "a@b.co", "hidden": "h", "data": "{ \"b\": [1, 2],\n\"a\": 1 }"}),
    );
    record.set("pin", "secret hash".into());
    assert_eq!(
        export(&record, &ExportView::default()),
        format!(
            r#"{{"collectionId":"{}","collectionName":"things","data":{{"b":[1,2],"a":1}},"emailVisibility":false,"id":"abcdefghijklmno","pin":"","verified":false}}"#,
            collection.id
        )
    );
    let full = ExportView {
        with_hidden: true,
        show_email: true,
        expand: None,
    };
    let text = export(&record, &full);
    assert!(text.contains(r#""email":"a@b.co","#) && text.contains(r#""hidden":"h","#));
    assert!(!text.contains("tokenKey") && !text.contains("password") && !text.contains("hash"));

    record.hide(["data", "collectionId"]);
    record.unhide(["hidden", "tokenKey"]);
    record.set_custom("extra", json!(1));
    record.export_custom(true);
    let shown: Map<String, Json> =
        serde_json::from_str(&export(&record, &ExportView::default())).unwrap();
    let names: Vec<&str> = shown.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "collectionName",
            "emailVisibility",
            "extra",
            "hidden",
            "id",
            "pin",
            "verified"
        ]
    );
}

#[test]
fn expanded_records_nest() {
    let collection = collection("base", json!([{"name": "rel", "type": "relation"}]));
    let leaf = |id: &str| ExpandedRecord {
        record: Arc::new(stored(&collection, json!({"id": id}))),
        with_hidden: false,
        show_email: false,
        expand: None,
    };
    let mut one = leaf("one");
    one.expand = Some(Expand::from([(
        "back_via_rel".to_owned(),
        ExpandedValue::Many(vec![leaf("a"), leaf("b")]),
    )]));
    let expand = Expand::from([("rel".to_owned(), ExpandedValue::One(Box::new(one)))]);
    let root = stored(&collection, json!({"id": "root", "rel": "one"}));
    let view = ExportView {
        expand: Some(&expand),
        ..ExportView::default()
    };
    let written: Json = serde_json::from_str(&export(&root, &view)).unwrap();
    assert_eq!(
        written["expand"]["rel"]["expand"]["back_via_rel"][1]["id"],
        "b"
    );
    assert_eq!(written, Json::Object(root.to_json(&view)));
    let none = Expand::new();
    let view = ExportView {
        expand: Some(&none),
        ..ExportView::default()
    };
    // An expand that found nothing shows that it was asked for, as in PocketBase.
    assert!(export(&root, &view).contains(r#""expand":{}"#));
}

#[test]
fn changed_relations_are_named_for_the_store_to_check() {
    let collection = collection(
        "base",
        json!([
            {"name": "one", "type": "relation", "collectionId": "x"},
            {"name": "two", "type": "relation", "collectionId": "y", "maxSelect": 2},
        ]),
    );
    let mut record = stored(&collection, json!({"one": "a", "two": ["b"]}));
    assert_eq!(record.relation_ids_to_check().count(), 0);
    record.apply(&object(json!({"two+": "c"})));
    let found: Vec<_> = record.relation_ids_to_check().collect();
    assert_eq!(found, [("two", "y", vec!["b", "c"])]);
}

#[test]
fn secrets_never_show_and_survive_partial_updates() {
    let body = json!({"name": "people", "type": "auth", "oauth2": {"enabled": true, "providers": [
        {"name": "google", "clientId": "g", "clientSecret": "hush"},
        {"name": "gitlab", "clientId": "l", "clientSecret": "quiet"},
    ]}});
    let mut people = Collection::from_body(&object(body)).unwrap();
    let secret = people.auth.as_ref().unwrap().auth_token.secret.clone();
    let text = serde_json::to_string(&people.to_json()).unwrap();
    assert!(!text.contains("hush") && !text.contains(&secret) && secret.len() == 50);

    let body = json!({
        "authToken": {"duration": 99},
        "oauth2": {"providers": [{"name": "gitlab", "clientId": "new"}, {"name": "other"}]},
    });
    people.apply_json(&object(body)).unwrap();
    let auth = people.auth.as_ref().unwrap();
    assert_eq!(
        (auth.auth_token.secret.as_str(), auth.auth_token.duration),
        (secret.as_str(), 99)
    );
    assert_eq!(auth.oauth2.providers[0].client_secret, "quiet");
    assert_eq!(auth.oauth2.providers[0].client_id, "new");
    assert_eq!(auth.oauth2.providers[1].client_secret, "");
    assert!(auth.oauth2.enabled);

    let row = people.to_row();
    assert!(row.options.contains("quiet") && row.options.contains(&secret));
    assert_eq!(
        Collection::from_row(row).unwrap().options_json(),
        people.options_json()
    );
}

#[test]
fn made_ids_follow_the_name_and_avoid_taken_ones() {
    let mut people = Collection::new(CollectionKind::Auth, "people");
    let first = people.id.clone();
    people.prepare_save(true, DateTime::now(), |id| id == first);
    assert_eq!(people.id, format!("{first}2"));
    assert!(people.indexes[0].contains(&format!("idx_tokenKey_{first}2")));
    let mut chosen = Collection::with_id(CollectionKind::Base, "people", "mine");
    chosen.prepare_save(true, DateTime::now(), |_| true);
    assert_eq!(chosen.id, "mine");
}

#[test]
fn superusers_always_sign_in_with_a_password() {
    let mut superusers = Collection::new(CollectionKind::Auth, "_superusers");
    superusers
        .apply_json(&object(json!({
            "passwordAuth": {"enabled": false}, "otp": {"enabled": true},
            "oauth2": {"enabled": true, "providers": [{"name": "google"}]},
        })))
        .unwrap();
    superusers.enforce_superuser_options();
    let auth = superusers.auth.as_ref().unwrap();
    assert!(auth.password_auth.enabled && auth.mfa.enabled && !auth.oauth2.enabled);
    assert!(auth.oauth2.providers.is_empty());
}

#[test]
fn fields_and_indexes_are_added_in_place() {
    let mut things = Collection::new(CollectionKind::Base, "things");
    let field = |id: &str, name: &str| {
        Field::from_json(&object(json!({"id": id, "name": name, "type": "text"}))).unwrap()
    };
    things.add_field(field("", "a"));
    things.add_field(field("own", "b"));
    things.add_field(field("own", "c"));
    things.add_field(field("", "c"));
    let ids: Vec<_> = things
        .fields()
        .iter()
        .map(|field| field.id.as_str())
        .collect();
    assert_eq!(ids, ["text3208210256", "text3904355907", "own"]);
    things.remove_field("a");
    assert_eq!(things.field_index("c"), Some(1));

    things.add_index("idx", false, "`c`", "");
    things.add_index("IDX", true, "`c`, `id` DESC", "c != ''");
    assert_eq!(
        things.indexes,
        ["CREATE UNIQUE INDEX `IDX` ON `things` (`c`, `id` DESC) WHERE c != ''"]
    );
    assert!(things.index_named("idx").is_some());
    things.remove_index("idx");
    assert!(things.indexes.is_empty() && !things.has_custom_ids());
}
