//! The requests of a batch as they are sent: reading them, checking them, and what each is about.

use serde_json::{Map, Value as Json, json};

use crate::engine::batch::BatchAction;
use crate::engine::events::{Event, Slot, Slots};
use crate::http::ApiError;
use crate::http::body::{BodyData, UploadedFile};
use crate::model::{FieldError, FieldErrors};

/// The most bytes of a request's URL.
const URL_BYTES_MAX: usize = 2000;
/// Methods that are read; of them GET leads nowhere.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// One request as sent.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Map<String, Json>,
    /// Files by the field's key.
    pub(super) files: Vec<(String, UploadedFile)>,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route<'a> {
    pub(super) action: BatchAction,
    /// Name or id.
    pub(super) collection: &'a str,
    /// Without its `?`.
    pub(super) query: &'a str,
}

/// The requests of a body, each with its files.
///
/// # Errors
/// 400 for members of another type than expected.
pub(super) fn entries(mut body: BodyData) -> Result<Vec<Entry>, ApiError> {
    let requests = match body.fields.remove("requests") {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Array(requests)) => requests,
        Some(_) => return Err(unexpected("requests")),
    };
    let mut entries = requests
        .into_iter()
        .map(entry)
        .collect::<Result<Vec<_>, _>>()?;
    for (name, file) in body.files {
        let Some((index, key)) = file_place(&name) else {
            continue;
        };
        if let Some(entry) = entries.get_mut(index) {
            // Files take the place of what the body says under the same key.
            entry.body.remove(key);
            entry.files.push((key.to_owned(), file));
        }
    }
    Ok(entries)
}

/// The slot `batch`. Files are not in it: they stay with the request at their place.
impl Slots for Vec<Entry> {
    fn put(&mut self, event: &mut Event) {
        let batch = self.iter().map(|entry| {
            let headers = entry.headers.iter();
            let headers = headers.map(|(name, value)| (name.clone(), Json::from(value.as_str())));
            json!({
                "method": entry.method,
                "url": entry.url,
                "headers": headers.collect::<Map<_, _>>(),
                "body": entry.body,
            })
        });
        event.set("batch", Slot::Json(batch.collect()));
    }

    fn take(&mut self, event: &mut Event) {
        let Some(Slot::Json(Json::Array(batch))) = event.take("batch") else {
            return;
        };
        let files = std::mem::take(self).into_iter();
        let files = files
            .map(|entry| entry.files)
            .chain(std::iter::repeat_with(Vec::new));
        let changed = batch.into_iter().zip(files).filter_map(|(sent, files)| {
            let entry = entry(sent).ok()?;
            Some(Entry { files, ..entry })
        });
        *self = changed.collect();
    }
}

fn entry(sent: Json) -> Result<Entry, ApiError> {
    let mut members = object(sent, "request")?;
    let mut member = |name: &str| members.remove(name).unwrap_or_default();
    let headers = object(member("headers"), "headers")?;
    Ok(Entry {
        method: text(member("method"), "method")?,
        url: text(member("url"), "url")?,
        headers: headers
            .into_iter()
            .map(|(name, value)| Ok((name, text(value, "headers")?)))
            .collect::<Result<_, ApiError>>()?,
        body: object(member("body"), "body")?,
        files: Vec::new(),
    })
}

fn object(value: Json, what: &'static str) -> Result<Map<String, Json>, ApiError> {
    match value {
        Json::Null => Ok(Map::new()),
        Json::Object(members) => Ok(members),
        _ => Err(unexpected(what)),
    }
}

fn text(value: Json, what: &'static str) -> Result<String, ApiError> {
    match value {
        Json::Null => Ok(String::new()),
        Json::String(text) => Ok(text),
        _ => Err(unexpected(what)),
    }
}

fn unexpected(what: &'static str) -> ApiError {
    ApiError::bad_request("").with_cause(format!("{what} of a batch has an unexpected type"))
}

/// The index and field key of `requests.N.key` and `requests[N].key`.
fn file_place(name: &str) -> Option<(usize, &str)> {
    let rest = name.strip_prefix("requests")?;
    let (index, key) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once("].")?,
        None => rest.strip_prefix('.')?.split_once('.')?,
    };
    let number: usize = index.parse().ok()?;
    // `+1` and `01` are other names.
    (number.to_string() == index).then_some((number, key))
}

/// The errors of the form as a whole or, if there is none, those of its requests.
pub(super) fn validate(entries: &[Entry], max: usize) -> FieldErrors {
    if entries.is_empty() {
        return FieldErrors::one("requests", blank());
    }
    if entries.len() > max {
        return FieldErrors::one("requests", too_long(max));
    }
    let mut all = FieldErrors::new();
    for (index, entry) in entries.iter().enumerate() {
        let mut errors = FieldErrors::new();
        if entry.method.is_empty() {
            errors.add("method", blank());
        } else if !METHODS.contains(&entry.method.as_str()) {
            errors.add(
                "method",
                FieldError::new("validation_in_invalid", "Must be a valid value."),
            );
        }
        if entry.url.is_empty() {
            errors.add("url", blank());
        } else if entry.url.len() > URL_BYTES_MAX {
            errors.add("url", too_long(URL_BYTES_MAX));
        }
        all.nest(&index.to_string(), errors);
    }
    let mut errors = FieldErrors::new();
    errors.nest("requests", all);
    errors
}

fn blank() -> FieldError {
    FieldError::new("validation_required", "Cannot be blank.")
}

fn too_long(max: usize) -> FieldError {
    FieldError::new(
        "validation_length_too_long",
        format!("The length must be no more than {max}."),
    )
    .with("max", max)
    .with("min", 0)
}

impl Entry {
    /// The URL without its query.
    pub(super) fn path(&self) -> &str {
        self.url.split_once('?').map_or(&self.url, |(path, _)| path)
    }

    /// What the request asks for; `None` when batches do not know it. Names in the path are taken as they stand: ids and
    /// collection names need no escapes.
    pub(super) fn route(&self) -> Option<Route<'_>> {
        let (path, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        if query.contains('\n') {
            return None;
        }
        let rest = path.strip_prefix("/api/collections/")?;
        let mut parts = rest.split('/');
        let (collection, id) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(collection), Some("records"), id, None) => (collection, id),
            _ => return None,
        };
        if collection.is_empty() || id == Some("") {
            return None;
        }
        let action = match (self.method.as_str(), id) {
            ("POST", None) => BatchAction::Create,
            ("PUT", None) => BatchAction::Upsert(self.body.get("id").and_then(id_text)),
            ("PATCH", Some(id)) => BatchAction::Update(id.to_owned()),
            ("DELETE", Some(id)) => BatchAction::Delete(id.to_owned()),
            _ => return None,
        };
        Some(Route {
            action,
            collection,
            query: query.split_once('#').map_or(query, |(query, _)| query),
        })
    }
}

/// A scalar id as text.
fn id_text(id: &Json) -> Option<String> {
    match id {
        Json::String(text) if !text.is_empty() => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::model::UploadSource;

    fn read(fields: Json, files: &[&str]) -> Result<Vec<Entry>, ApiError> {
        let file = UploadedFile {
            name: "a.txt".to_owned(),
            content_type: None,
            size_bytes: 1,
            source: UploadSource::Memory(Bytes::from_static(b"a")),
        };
        entries(BodyData {
            fields: fields.as_object().unwrap().clone(),
            files: files
                .iter()
                .map(|name| ((*name).to_owned(), file.clone()))
                .collect(),
        })
    }

    fn keys(entry: &Entry) -> Vec<&str> {
        entry.files.iter().map(|(key, _)| key.as_str()).collect()
    }

    #[test]
    fn members_of_other_types_are_refused() {
        for requests in [
            json!({"requests": {"0": {}}}),
            json!({"requests": ["x"]}),
            json!({"requests": [{"method": 1}]}),
            json!({"requests": [{"headers": {"a": 1}}]}),
            json!({"requests": [{"body": [1]}]}),
        ] {
            assert!(read(requests.clone(), &[]).is_err(), "{requests}");
        }
        let empty = json!({"requests": [null, {"body": null, "headers": null, "url": null}]});
        assert_eq!(read(empty, &[]).unwrap().len(), 2);
    }

    #[test]
    fn files_go_to_their_request_and_replace_what_its_body_says() {
        let requests = json!({"requests": [{"body": {"files": ["old"], "title": "t"}}, {}]});
        let files = [
            "requests.0.files",
            "requests[0].files",
            "requests[1].+files",
            "requests.2.files",
            "requests.01.files",
            "requests.+1.files",
            "requests[1]files",
            "files",
        ];
        let entries = read(requests, &files).unwrap();
        assert_eq!(keys(&entries[0]), ["files", "files"]);
        assert_eq!(Json::Object(entries[0].body.clone()), json!({"title": "t"}));
        assert_eq!(keys(&entries[1]), ["+files"]);
    }

    #[test]
    fn errors_are_keyed_by_request() {
        let errors = |fields: Json| {
            let entries = read(fields, &[]).unwrap();
            Json::Object(validate(&entries, 2).to_json())
        };
        let blank = json!({"code": "validation_required", "message": "Cannot be blank."});
        assert_eq!(errors(json!({})), json!({"requests": blank}));
        assert_eq!(
            errors(json!({"requests": [{}, {}, {}]})),
            json!({"requests": {"code": "validation_length_too_long",
                "message": "The length must be no more than 2.", "params": {"max": 2, "min": 0}}})
        );
        let requests =
            json!({"requests": [{"method": "GET", "url": "/x"}, {"method": "post", "url": ""}]});
        assert_eq!(
            errors(requests),
            json!({"requests": {"1": {
                "method": {"code": "validation_in_invalid", "message": "Must be a valid value."},
                "url": blank}}})
        );
    }

    fn route(method: &str, url: &str) -> Option<(BatchAction, String, String)> {
        let entry = Entry {
            method: method.to_owned(),
            url: url.to_owned(),
            body: json!({"id": "abc"}).as_object().unwrap().clone(),
            ..Entry::default()
        };
        let found = entry.route()?;
        Some((
            found.action,
            found.collection.to_owned(),
            found.query.to_owned(),
        ))
    }

    #[test]
    fn four_kinds_of_requests_are_known() {
        let found = |action, query: &str| Some((action, "posts".to_owned(), query.to_owned()));
        let many = "/api/collections/posts/records";
        let one = "/api/collections/posts/records/abc?fields=id#part";
        assert_eq!(route("POST", many), found(BatchAction::Create, ""));
        assert_eq!(
            route("PUT", &format!("{many}?a=/b")),
            found(BatchAction::Upsert(Some("abc".into())), "a=/b")
        );
        assert_eq!(
            route("PATCH", one),
            found(BatchAction::Update("abc".into()), "fields=id")
        );
        assert_eq!(
            route("DELETE", one),
            found(BatchAction::Delete("abc".into()), "fields=id")
        );
        for (method, url) in [
            ("GET", many),
            ("DELETE", many),
            ("POST", one),
            ("PUT", one),
            ("POST", "/api/collections/posts/records/"),
            ("POST", "/api/collections//records"),
            ("PATCH", "/api/collections/posts/records/abc/"),
            ("POST", "http://x/api/collections/posts/records"),
            ("POST", "/api/collections/posts/records#part"),
            ("POST", "/api/collections/posts/truncate"),
        ] {
            assert_eq!(route(method, url), None, "{method} {url}");
        }
    }

    proptest! {
        #[test]
        fn routing_never_panics(method in "[A-Z]{0,6}", url in "(/api/collections/)?[a-z/?#.\\[\\]é]{0,40}") {
            let _ = route(&method, &url);
            let _ = file_place(&url);
        }
    }
}
