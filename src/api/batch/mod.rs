//! `POST /api/batch`: several record writes in one transaction (PocketBase documentation, "Batch/transactional
//! create/update/upsert/delete of multiple records").

mod form;

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value as Json, json as value};

use super::encode;
use super::records::input;
use super::tap::{self, Tap};
use crate::base::json;
use crate::engine::batch::{BatchAction, BatchAnswer, BatchError, BatchItem};
use crate::engine::events::{EventKind, Outcome, RequestParts};
use crate::engine::{Engine, RequestInfo, context};
use crate::filter::fields::FieldPicker;
use crate::http::body::{self, BodyData};
use crate::http::json as response;
use crate::http::rate::{RateLimits, Subject};
use crate::http::{ApiError, BodyLimit, Caller, Query};
use form::{Entry, Route};

/// Seconds inside the transaction when the settings name none.
const TIMEOUT_S_DEFAULT: u64 = 3;
/// Bytes of the body when the settings name none: 128 MiB.
const BODY_BYTES_DEFAULT: u64 = 128 << 20;

const REFUSED: &str = "Batch transaction failed.";

pub(super) fn configure(config: &mut ServiceConfig) {
    config.route("/batch", web::post().to(write_batch));
}

/// Runs several creates, updates, upserts and deletes of records; all of them count, or none.
#[utoipa::path(post, path = "/api/batch", tag = "records",
    request_body(description = "`{\"requests\":[{\"method\",\"url\",\"headers\",\"body\"}]}`; files as `requests.N.field` of a multipart form, whose `@jsonPayload` has the rest"),
    responses((status = 200, description = "Status and body of each request"),
        (status = 400, description = "A request was refused; `data.requests.N.response` says why"),
        (status = 403, description = "Batches are not allowed"), (status = 413, description = "The body is too long")))]
pub(super) async fn write_batch(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let settings = engine.settings();
    let requests_max = usize::try_from(settings.batch.max_requests).unwrap_or(0);
    if !settings.batch.enabled || requests_max == 0 {
        return Err(ApiError::forbidden("Batch requests are not allowed."));
    }
    let body_max = positive(settings.batch.max_body_size).unwrap_or(BODY_BYTES_DEFAULT);
    let body = body::read(&request, &mut payload.into_inner(), BodyLimit(body_max))
        .await
        .map_err(unreadable)?;
    let mut entries = form::entries(body).map_err(unreadable)?;
    form::validate(&entries, requests_max)
        .into_result()
        .map_err(|errors| ApiError::validation("Invalid batch request data.", &errors))?;
    let whole = encode::picker(caller.info.query("fields"))?;
    let kind = EventKind::BatchRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, None);
    let parts = engine
        .interceptors()
        .is_set()
        .then(|| tap::parts(&request, &caller));
    let batch = Batch {
        engine: &engine,
        limits: &limits,
        caller: &caller,
        parts,
    };
    tap.run(&mut entries, async |entries: &mut Vec<Entry>| {
        let (written, pickers) = batch.write(std::mem::take(entries)).await?;
        answer(&written, &pickers, whole.as_ref())
    })
    .await
}

/// A batch on its way.
struct Batch<'a> {
    engine: &'a Engine,
    limits: &'a RateLimits,
    caller: &'a Caller,
    /// What those see who take part in its requests, if anybody may.
    parts: Option<RequestParts>,
}

type Written = (Vec<BatchAnswer>, Vec<Option<FieldPicker>>);

impl Batch<'_> {
    async fn write(&self, entries: Vec<Entry>) -> Result<Written, ApiError> {
        // What can be refused without the transaction is refused before it.
        let mut items = Vec::with_capacity(entries.len());
        let mut pickers = Vec::with_capacity(entries.len());
        for (index, entry) in entries.into_iter().enumerate() {
            let (item, picker) = self
                .prepare(entry)
                .await
                .map_err(|error| refused(index, &error))?;
            items.push(item);
            pickers.push(picker);
        }
        let timeout = positive(self.engine.settings().batch.timeout).unwrap_or(TIMEOUT_S_DEFAULT);
        let written = self
            .engine
            .write_batch(items, Duration::from_secs(timeout))
            .await
            .map_err(failed)?;
        Ok((written, pickers))
    }
}

/// A setting, unless it stands for the default.
fn positive(setting: i64) -> Option<u64> {
    u64::try_from(setting).ok().filter(|number| *number > 0)
}

/// Only bodies that are too long keep their own error.
fn unreadable(error: ApiError) -> ApiError {
    if error.code().status() != 400 {
        return error;
    }
    ApiError::bad_request("Failed to read the submitted batch data.")
        .with_cause(error.cause_chain())
}

impl Batch<'_> {
    async fn prepare(&self, entry: Entry) -> Result<(BatchItem, Option<FieldPicker>), ApiError> {
        let Batch {
            engine,
            limits,
            caller,
            parts,
        } = self;
        let Some(Route {
            action,
            collection,
            query,
        }) = entry.route()
        else {
            return Err(ApiError::bad_request("").with_cause("unknown batch request action"));
        };
        let collection = engine.collection(collection)?;
        let query = Query::parse(query);
        if query.is_malformed() {
            return Err(ApiError::bad_request("").with_cause("malformed query of a batch request"));
        }
        let picker = encode::picker(query.text("fields"))?;
        let request = RequestInfo {
            context: context::BATCH,
            method: entry.method.as_str().into(),
            query: Arc::new(query_map(&query)),
            headers: headers(&caller.info, &entry.headers),
            ..caller.info.clone()
        };
        let settings = engine.settings();
        if settings.rate_limits.enabled && !collection.is_view() {
            let tag = match &action {
                BatchAction::Create | BatchAction::Upsert(None) => "create",
                BatchAction::Update(_) => "update",
                BatchAction::Delete(_) => "delete",
                BatchAction::Upsert(Some(id)) => match engine.find_record(&collection, id).await? {
                    Some(_) => "update",
                    None => "create",
                },
            };
            let subject = Subject {
                collection: Some(&collection),
                tags: &[tag],
                method: &entry.method,
                path: entry.path(),
            };
            limits.check(&settings, caller, &subject, engine.now().unix())?;
        }
        let entry_url = entry.url;
        let submitted = BodyData {
            fields: entry.body,
            files: entry.files,
        };
        let input = input(submitted, &collection).await?;
        let parts = parts.as_ref().map(|whole| RequestParts {
            url: entry_url,
            ..whole.clone()
        });
        let item = BatchItem {
            action,
            collection,
            request,
            input,
            parts,
        };
        Ok((item, picker))
    }
}

fn query_map(query: &Query<'_>) -> Map<String, Json> {
    let pairs = query.first_values();
    pairs
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}

/// The headers of the whole request, with those of one batch request over them. Whose request it is stays the same.
fn headers(whole: &RequestInfo, own: &[(String, String)]) -> Arc<Map<String, Json>> {
    if own.is_empty() {
        return Arc::clone(&whole.headers);
    }
    let mut headers = Map::clone(&whole.headers);
    for (name, value) in own {
        let name = name.to_ascii_lowercase().replace('-', "_");
        if name != "authorization" {
            headers.insert(name, value.as_str().into());
        }
    }
    Arc::new(headers)
}

/// `data.requests.{index}` with the answer that the request would have got alone.
fn refused(index: usize, error: &ApiError) -> ApiError {
    if error.code().is_server_fault() {
        tracing::error!(batch.index = index, error = %error.cause_chain(), "a batch request failed");
    }
    let own = value!({
        "code": "batch_request_failed",
        "message": "Batch request failed.",
        "response": serde_json::from_slice::<Json>(&error.to_body()).unwrap_or_default(),
    });
    let requests = Map::from_iter([(index.to_string(), own)]);
    let data = Map::from_iter([("requests".to_owned(), Json::Object(requests))]);
    ApiError::bad_request(REFUSED).with_data(data)
}

fn failed(error: BatchError) -> ApiError {
    match error {
        BatchError::Item { index, error } => refused(index, &error.into()),
        BatchError::TimedOut => ApiError::bad_request(REFUSED).with_cause(error),
        BatchError::Transaction(error) => error.into(),
    }
}

/// `[{"body":{..},"status":200},{"body":null,"status":204}]`.
fn answer(
    written: &[BatchAnswer],
    pickers: &[Option<FieldPicker>],
    whole: Option<&FieldPicker>,
) -> Result<HttpResponse, ApiError> {
    let mut out = Vec::with_capacity(2 + 512 * written.len());
    out.push(b'[');
    for (index, (item, picker)) in written.iter().zip(pickers).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"body\":");
        let status = match &item.outcome {
            Outcome::Done(Some(record)) => {
                encode::record(&mut out, record, picker.as_ref());
                200
            }
            Outcome::Done(None) => {
                out.extend_from_slice(b"null");
                204
            }
            Outcome::Answered(answer) => {
                match serde_json::from_slice::<Json>(&answer.body) {
                    Ok(body) => json::write_value(&mut out, &body),
                    Err(_) => out.extend_from_slice(b"null"),
                }
                u64::from(answer.status)
            }
            Outcome::Silent => {
                out.extend_from_slice(b"null");
                200
            }
        };
        out.extend_from_slice(b",\"status\":");
        json::write_u64(&mut out, status);
        out.push(b'}');
    }
    out.push(b']');
    let Some(picker) = whole else {
        return Ok(response::ok(out));
    };
    let all: Json = serde_json::from_slice(&out).map_err(ApiError::internal)?;
    Ok(response::ok_value(&picker.pick(all)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn info() -> RequestInfo {
        let sent = value!({"authorization": "token", "x_test": "whole"});
        RequestInfo {
            headers: Arc::new(sent.as_object().unwrap().clone()),
            ..RequestInfo::default()
        }
    }

    #[test]
    fn headers_of_a_batch_request_go_over_those_of_the_whole_but_not_its_token() {
        let own = [
            ("X-Test".to_owned(), "own".to_owned()),
            ("Authorization".to_owned(), "other".to_owned()),
        ];
        let merged = headers(&info(), &own);
        assert_eq!(
            Json::Object((*merged).clone()),
            value!({"authorization": "token", "x_test": "own"})
        );
        let shared = info();
        assert!(Arc::ptr_eq(&headers(&shared, &[]), &shared.headers));
    }

    #[test]
    fn a_refusal_shows_the_answer_that_the_request_would_have_got() {
        let error = refused(2, &ApiError::forbidden("only superusers"));
        assert_eq!(
            String::from_utf8(error.to_body()).unwrap(),
            r#"{"data":{"requests":{"2":{"code":"batch_request_failed","message":"Batch request failed.","response":{"data":{},"message":"Only superusers.","status":403}}}},"message":"Batch transaction failed.","status":400}"#
        );
    }
}
