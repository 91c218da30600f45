//! `/api/files`: tokens for protected files, and downloads with thumbs and ranges.

use actix_web::web::{Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value as Json;

use super::records::limit;
use super::tap::{Carried, Tap};
use crate::base::json;
use crate::blob::{ThumbSize, Thumbs, is_thumbable};
use crate::engine::events::EventKind;
use crate::engine::{Engine, context};
use crate::http::json as response;
use crate::http::rate::RateLimits;
use crate::http::{ApiError, Caller, download};
use crate::model::field::FileOptions;
use crate::model::{Field, Record, TokenKind, Value};

/// The size that every image offers, as in PocketBase.
const DEFAULT_THUMB: &str = "100x100";

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .route("/files/token", web::post().to(file_token))
        .service(
            web::resource("/files/{collection}/{record}/{name}")
                .route(web::get().to(download_file))
                .route(web::head().to(download_file)),
        );
}

/// A short-lived token that opens protected files.
#[utoipa::path(post, path = "/api/files/token", tag = "files",
    responses((status = 200, description = "The token"), (status = 401, description = "Not signed in")))]
pub(super) async fn file_token(
    engine: Data<Engine>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let record = caller.require_auth()?;
    let token = engine.sign_file_token(record)?;
    let kind = EventKind::FileTokenRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(record.collection()));
    let mut state = Carried::default().with("token", token);
    if tap.is_on() {
        state.record = Some(Record::clone(record));
    }
    tap.run(&mut state, async |state: &mut Carried| {
        let mut out = b"{\"token\":".to_vec();
        json::write_str(&mut out, &state.text("token"));
        out.push(b'}');
        Ok(response::ok(out))
    })
    .await
}

/// A record's file, or a thumb of it.
#[utoipa::path(get, path = "/api/files/{collection}/{record}/{name}", tag = "files",
    params(("collection" = String, Path, description = "Name or id"), ("record" = String, Path, description = "Record id"),
        ("name" = String, Path, description = "File name as in the record"),
        ("thumb" = Option<String>, Query, description = "One of the field's sizes, or 100x100"),
        ("token" = Option<String>, Query, description = "A file token, for protected files"),
        ("download" = Option<bool>, Query, description = "Answer as an attachment")),
    responses((status = 200, description = "The file"), (status = 206, description = "The range"), (status = 404, description = "No such file, or hidden")))]
pub(super) async fn download_file(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    thumbs: Data<Thumbs>,
    caller: Caller,
    path: Path<(String, String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let (collection, id, name) = path.into_inner();
    let hidden = || ApiError::not_found("");
    let collection = engine.collection(&collection).map_err(|_| hidden())?;
    limit(&engine, &limits, &caller, &request, &collection, &["file"])?;
    let record = engine
        .find_record(&collection, &id)
        .await?
        .ok_or_else(hidden)?;
    let field = file_field(&record, &name).ok_or_else(hidden)?;
    let options = field.as_file().ok_or_else(hidden)?;
    let is_protected = options.protected || engine.protects_files(&record);
    if is_protected && !may_open(&engine, &caller, &record).await? {
        return Err(hidden());
    }
    let folder = if collection.is_view() {
        engine
            .view_file_folder(&collection, &field.name, &name)
            .await?
            .ok_or_else(hidden)?
    } else {
        format!("{}/{id}", collection.id)
    };
    let original = format!("{folder}/{name}");
    let (key, served_name) =
        match thumb_of(&engine, &thumbs, options, &caller, &folder, &name).await {
            Some(thumb) => thumb,
            None => (original, name),
        };
    let kind = EventKind::FileDownloadRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(&collection));
    if !tap.is_on() {
        return download::serve(&request, engine.files(), &key, &served_name).await;
    }
    let mut state = Carried::new(Some(record.clone()))
        .with("field", Json::Object(field.to_json()))
        .with("served_path", key)
        .with("served_name", served_name);
    tap.run(&mut state, async |state: &mut Carried| {
        let (key, name) = (state.text("served_path"), state.text("served_name"));
        download::serve(&request, engine.files(), &key, &name).await
    })
    .await
}

fn file_field<'a>(record: &'a Record, name: &str) -> Option<&'a Field> {
    record.collection().fields().iter().find(|field| {
        field.as_file().is_some()
            && record
                .get(&field.name)
                .into_iter()
                .flat_map(Value::items)
                .any(|item| item == name)
    })
}

/// A protected file opens to whom the view rule shows the record, by file token.
async fn may_open(engine: &Engine, caller: &Caller, record: &Record) -> Result<bool, ApiError> {
    let mut conn = engine.read().await?;
    let auth = engine
        .record_of_token(&mut conn, caller.info.query("token"), &[TokenKind::File])
        .await?
        .map(|(record, _)| record)
        .filter(|auth| {
            !auth.collection().is_superusers() || engine.settings().superuser_ip_allowed(&caller.ip)
        });
    let mut info = caller.info.in_context(context::PROTECTED_FILE);
    info.auth = auth.map(std::sync::Arc::new);
    let schema = engine.schema();
    let rule = record.collection().view_rule.as_deref();
    Ok(engine
        .can_access(&mut conn, &schema, record, rule, &info)
        .await
        .unwrap_or(false))
}

/// Key and name of the wanted thumb, made if it is not there yet; `None` falls back to the original.
async fn thumb_of(
    engine: &Engine,
    thumbs: &Thumbs,
    options: &FileOptions,
    caller: &Caller,
    folder: &str,
    name: &str,
) -> Option<(String, String)> {
    let wanted = caller.info.query("thumb");
    let offered = wanted == DEFAULT_THUMB
        || options
            .thumbs
            .as_ref()
            .is_some_and(|sizes| sizes.iter().any(|size| size == wanted));
    if wanted.is_empty() || !offered {
        return None;
    }
    let size = wanted.parse::<ThumbSize>().ok()?;
    let served = format!("{wanted}_{name}");
    let key = format!("{folder}/thumbs_{name}/{served}");
    let original = format!("{folder}/{name}");
    let meta = engine.files().metadata(&original).await.ok()?;
    if !is_thumbable(&meta.content_type) {
        return None;
    }
    match thumbs.ensure(&original, &key, size).await {
        Ok(()) => Some((key, served)),
        Err(error) => {
            tracing::debug!(%error, file.key = %original, "no thumb, the original is served");
            None
        }
    }
}
