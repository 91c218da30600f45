//! `/api/collections/{collection}/records`: list, view, create, update, delete.

use std::sync::Arc;

use actix_web::web::{Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};

use super::encode;
use super::tap::Tap;
use crate::engine::events::EventKind;
use crate::engine::records::{Found, Input, ListParams, Viewing, Writing};
use crate::engine::{Engine, Link, RequestInfo};
use crate::filter::fields::FieldPicker;
use crate::http::body::{self, BodyData};
use crate::http::rate::{RateLimits, Subject};
use crate::http::{ApiError, BodyLimit, Caller, Paging, Query};
use crate::model::{Collection, FieldKind, Record};

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/records")
                .route(web::get().to(list_records))
                .route(web::head().to(list_records))
                .route(web::post().to(create_record)),
        )
        .service(
            web::resource("/records/{id}")
                .route(web::get().to(view_record))
                .route(web::head().to(view_record))
                .route(web::patch().to(update_record))
                .route(web::delete().to(delete_record)),
        );
}

/// Counts the request against the rate limits of a collection's action.
pub(super) fn limit(
    engine: &Engine,
    limits: &RateLimits,
    caller: &Caller,
    request: &HttpRequest,
    collection: &Collection,
    tags: &[&str],
) -> Result<(), ApiError> {
    let settings = engine.settings();
    if !settings.rate_limits.enabled {
        return Ok(());
    }
    limits.check(
        &settings,
        caller,
        &Subject {
            collection: Some(collection),
            tags,
            method: request.method().as_str(),
            path: request.path(),
        },
        engine.now().unix(),
    )
}

/// A page of records that the list rule lets the caller see.
#[utoipa::path(get, path = "/api/collections/{collection}/records", tag = "records",
    params(("collection" = String, Path, description = "Name or id"),
        ("page" = Option<u64>, Query, description = "From 1"),
        ("perPage" = Option<u64>, Query, description = "1 to 1000, default 30"),
        ("sort" = Option<String>, Query, description = "Field names, `-` for descending, comma separated; also @random and @rowid"),
        ("filter" = Option<String>, Query, description = "A filter expression"),
        ("expand" = Option<String>, Query, description = "Relations to expand"),
        ("fields" = Option<String>, Query, description = "Fields to return"),
        ("skipTotal" = Option<bool>, Query, description = "Leave totals out (-1)")),
    responses((status = 200, description = "A page"), (status = 400, description = "Invalid filter or sort"),
        (status = 403, description = "For superusers only"), (status = 404, description = "No such collection")))]
pub(super) async fn list_records(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let collection = engine.collection(&path)?;
    limit(&engine, &limits, &caller, &request, &collection, &["list"])?;
    let params = list_params(&request, &caller)?;
    let kind = EventKind::RecordsListRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(&collection));
    let mut found = engine.find_page(&caller.info, &collection, &params).await?;
    tap.run(&mut found, async |found: &mut Found| {
        engine
            .enrich_page(found, &caller.info, &params.expand)
            .await?;
        encode::page(found, caller.info.query("fields"))
    })
    .await
}

pub(super) fn list_params(request: &HttpRequest, caller: &Caller) -> Result<ListParams, ApiError> {
    let paging = Paging::of(&Query::of(request))?;
    Ok(ListParams {
        page: u64::from(paging.page),
        per_page: u64::from(paging.per_page),
        skip_total: paging.skip_total,
        filter: caller.info.query("filter").to_owned(),
        sort: caller.info.query("sort").to_owned(),
        expand: caller.info.query("expand").to_owned(),
    })
}

/// One record that the view rule lets the caller see.
#[utoipa::path(get, path = "/api/collections/{collection}/records/{id}", tag = "records",
    params(("collection" = String, Path, description = "Name or id"), ("id" = String, Path, description = "Record id"),
        ("expand" = Option<String>, Query, description = "Relations to expand"),
        ("fields" = Option<String>, Query, description = "Fields to return")),
    responses((status = 200, description = "The record"), (status = 403, description = "For superusers only"),
        (status = 404, description = "No such record, or hidden by the view rule")))]
pub(super) async fn view_record(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let (collection, id) = path.into_inner();
    let collection = engine.collection(&collection)?;
    limit(&engine, &limits, &caller, &request, &collection, &["view"])?;
    let kind = EventKind::RecordViewRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(&collection));
    let record = engine.find_viewable(&caller.info, &collection, &id).await?;
    tap.run(&mut Viewing::from(record), async |viewing: &mut Viewing| {
        let record = viewing.record.take().ok_or_else(lost)?;
        let (response, shown) = answer(&engine, &caller.info, record).await?;
        viewing.shown = Some(shown);
        Ok(response)
    })
    .await
}

/// Creates a record under the create rule.
#[utoipa::path(post, path = "/api/collections/{collection}/records", tag = "records",
    params(("collection" = String, Path, description = "Name or id")),
    responses((status = 200, description = "The new record"), (status = 400, description = "Invalid fields, or the create rule is not met"),
        (status = 403, description = "For superusers only"), (status = 404, description = "No such collection")))]
pub(super) async fn create_record(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let collection = engine.collection(&path)?;
    if !collection.is_view() {
        limit(
            &engine,
            &limits,
            &caller,
            &request,
            &collection,
            &["create"],
        )?;
    }
    let input = read_input(&request, payload, &collection).await?;
    check_fields(&caller)?;
    let kind = EventKind::RecordCreateRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(&collection));
    let mut link = Link::Pool(&engine);
    let draft = engine
        .draft_create(&mut link, &caller.info, &collection, input)
        .await?;
    let info = draft.request.clone();
    tap.run(&mut Writing::from(draft), async |writing: &mut Writing| {
        let draft = writing.draft.take().ok_or_else(lost)?;
        let record = engine.save_draft(draft).await?;
        let (response, saved) = answer(&engine, &info, record).await?;
        writing.saved = Some(saved);
        Ok(response)
    })
    .await
}

/// Updates a record under the update rule.
#[utoipa::path(patch, path = "/api/collections/{collection}/records/{id}", tag = "records",
    params(("collection" = String, Path, description = "Name or id"), ("id" = String, Path, description = "Record id")),
    responses((status = 200, description = "The record after the update"), (status = 400, description = "Invalid fields"),
        (status = 403, description = "For superusers only"), (status = 404, description = "No such record, or the update rule is not met")))]
pub(super) async fn update_record(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let (collection, id) = path.into_inner();
    let collection = engine.collection(&collection)?;
    if !collection.is_view() {
        limit(
            &engine,
            &limits,
            &caller,
            &request,
            &collection,
            &["update"],
        )?;
    }
    let input = read_input(&request, payload, &collection).await?;
    check_fields(&caller)?;
    let kind = EventKind::RecordUpdateRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(&collection));
    let mut writing = Writing::default();
    let mut info = caller.info.clone();
    let mut input = Some(input);
    if tap.is_on() {
        let mut link = Link::Pool(&engine);
        let input = input.take().unwrap_or_default();
        let draft = engine
            .draft_update(&mut link, &caller.info, &collection, &id, input)
            .await?;
        info = draft.request.clone();
        writing.draft = Some(draft);
    }
    tap.run(&mut writing, async |writing: &mut Writing| {
        let record = match (writing.draft.take(), input) {
            (Some(draft), _) => engine.save_draft(draft).await?,
            // Nobody sees the record before it is saved: the update can happen inside the transaction as a whole.
            (None, Some(input)) => {
                engine
                    .update_record(&caller.info, &collection, &id, input)
                    .await?
            }
            (None, None) => return Err(lost()),
        };
        let (response, saved) = answer(&engine, &info, record).await?;
        writing.saved = Some(saved);
        Ok(response)
    })
    .await
}

/// Deletes a record under the delete rule.
#[utoipa::path(delete, path = "/api/collections/{collection}/records/{id}", tag = "records",
    params(("collection" = String, Path, description = "Name or id"), ("id" = String, Path, description = "Record id")),
    responses((status = 204, description = "Deleted"), (status = 400, description = "A required reference holds it"),
        (status = 403, description = "For superusers only"), (status = 404, description = "No such record, or the delete rule is not met")))]
pub(super) async fn delete_record(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let (collection, id) = path.into_inner();
    let collection = engine.collection(&collection)?;
    if !collection.is_view() {
        limit(
            &engine,
            &limits,
            &caller,
            &request,
            &collection,
            &["delete"],
        )?;
    }
    let kind = EventKind::RecordDeleteRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(&collection));
    let mut deleting = Viewing::default();
    if tap.is_on() {
        let mut link = Link::Pool(&engine);
        let found = engine
            .find_deletable(&mut link, &caller.info, &collection, &id)
            .await?;
        deleting.record = Some(found);
    }
    tap.run(&mut deleting, async |deleting: &mut Viewing| {
        match deleting.record.clone() {
            Some(record) => engine.delete_found(record, caller.info.clone()).await?,
            None => engine.delete_record(&caller.info, &collection, &id).await?,
        }
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

fn lost() -> ApiError {
    ApiError::internal("an event lost its record")
}

/// A malformed `fields` must be refused before anything is written.
fn check_fields(caller: &Caller) -> Result<Option<FieldPicker>, ApiError> {
    encode::picker(caller.info.query("fields"))
}

/// The record as its reader sees it, with the record itself.
async fn answer(
    engine: &Engine,
    info: &RequestInfo,
    record: Record,
) -> Result<(HttpResponse, Arc<Record>), ApiError> {
    let shown = engine.show(record, info, info.query("expand")).await?;
    let response = encode::one(&shown, info.query("fields"))?;
    Ok((response, shown.record))
}

/// Room for a body beside its files, as in PocketBase.
const BODY_BYTES_MAX: u64 = 32 << 20;
/// What a file, rich text or JSON field takes when it sets no limit of its own.
const FILE_BYTES_DEFAULT: u64 = 5 << 20;
const JSON_BYTES_DEFAULT: u64 = 1 << 20;

/// The most bytes a create or update of this collection may send.
pub(super) fn body_bytes_max(collection: &Collection) -> u64 {
    let own = |limit: i64, default: u64| {
        u64::try_from(limit)
            .ok()
            .filter(|n| *n > 0)
            .unwrap_or(default)
    };
    let fields = collection.fields().iter().map(|field| match &field.kind {
        FieldKind::File(options) => {
            own(options.max_size, FILE_BYTES_DEFAULT) * own(options.max_select, 1)
        }
        FieldKind::Editor(options) => own(options.max_size, FILE_BYTES_DEFAULT),
        FieldKind::Json(options) => own(options.max_size, JSON_BYTES_DEFAULT),
        _ => 0,
    });
    fields.fold(BODY_BYTES_MAX, u64::saturating_add)
}

async fn read_input(
    request: &HttpRequest,
    payload: Payload,
    collection: &Collection,
) -> Result<Input, ApiError> {
    let body = body::read(
        request,
        &mut payload.into_inner(),
        BodyLimit(body_bytes_max(collection)),
    )
    .await?;
    input(body, collection).await
}

/// Keeps the files that belong to file fields; others are dropped with their temporary files.
pub(super) async fn input(body: BodyData, collection: &Collection) -> Result<Input, ApiError> {
    let mut uploads = Vec::new();
    for (key, file) in body.files {
        let field = collection
            .field_of_key(&key)
            .filter(|field| field.as_file().is_some() && !key.ends_with('-'));
        if let Some(field) = field {
            let upload = file.into_upload(field.name.clone()).await?;
            uploads.push((key, upload));
        }
    }
    Ok(Input {
        body: body.fields,
        uploads,
    })
}
