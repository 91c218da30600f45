//! `/api/backups`: making, listing, loading, deleting and restoring backups; for superusers.

use actix_web::HttpMessage as _;
use actix_web::web::{Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::{body as fields, encode};
use crate::base::code::BODY_INVALID;
use crate::base::date::DateTime;
use crate::engine::{Engine, Error};
use crate::http::json as response;
use crate::http::limit::LimitedBody;
use crate::http::{ApiError, BodyLimit, Caller, body, download};
use crate::model::TokenKind;

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/backups")
                .route(web::get().to(list_backups))
                .route(web::head().to(list_backups))
                .route(web::post().to(create_backup)),
        )
        .route("/backups/upload", web::post().to(upload_backup))
        .service(
            web::resource("/backups/{key}")
                .route(web::get().to(download_backup))
                .route(web::head().to(download_backup))
                .route(web::delete().to(delete_backup)),
        )
        .route("/backups/{key}/restore", web::post().to(restore_backup));
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct BackupItem {
    #[schema(value_type = String)]
    modified: DateTime,
    /// The file's name.
    key: String,
    /// Bytes.
    size: u64,
}

/// The backups by name.
#[utoipa::path(get, path = "/api/backups", tag = "backups",
    params(("fields" = Option<String>, Query, description = "Members to return")),
    responses((status = 200, description = "The backups", body = [BackupItem]), (status = 401, description = "Not signed in"),
        (status = 403, description = "For superusers only")))]
pub(super) async fn list_backups(
    engine: Data<Engine>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let entries = engine.list_backups().await?.into_iter();
    let items: Vec<BackupItem> = entries
        .map(|entry| BackupItem {
            modified: DateTime::from_system(entry.modified),
            key: entry.key,
            size: entry.size,
        })
        .collect();
    encode::picked(&items, caller.info.query("fields"))
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(super) struct BackupForm {
    /// `[a-z0-9_-]+.zip`; made from application and time when empty.
    name: String,
}

/// Makes a backup; the answer comes when it is made.
#[utoipa::path(post, path = "/api/backups", tag = "backups",
    request_body(content = BackupForm),
    responses((status = 204, description = "Made"), (status = 400, description = "An invalid name, or another backup or restore is running"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only")))]
pub(super) async fn create_backup(
    engine: Data<Engine>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let form: BackupForm = fields::form(&request, payload).await?;
    let made = engine.create_backup(&form.name).await;
    answer(made, "Failed to create backup.")
}

/// Takes a backup that was made elsewhere.
#[utoipa::path(post, path = "/api/backups/upload", tag = "backups",
    request_body(description = "A multipart form with the archive as `file`"),
    responses((status = 204, description = "Stored"), (status = 400, description = "No archive, or its name is taken"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only")))]
pub(super) async fn upload_backup(
    engine: Data<Engine>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    /// Backups may be large.
    const UNLIMITED: BodyLimit = BodyLimit(0);
    caller.require_superuser()?;
    let mut payload = payload.into_inner();
    let is_form = request
        .content_type()
        .eq_ignore_ascii_case("multipart/form-data");
    let sent = if is_form {
        body::read(&request, &mut payload, UNLIMITED).await?.files
    } else {
        // A client that is still sending would not see the answer.
        let mut body = LimitedBody::new(&mut payload, UNLIMITED);
        while body.next().await?.is_some() {}
        Vec::new()
    };
    let file = sent.into_iter().find(|(name, _)| name == "file");
    let file = match file {
        Some((name, file)) => Some(file.into_upload(name).await?),
        None => None,
    };
    let stored = engine.upload_backup(file).await;
    answer(stored, "Failed to upload backup.")
}

/// A backup's archive, for a superuser's file token.
#[utoipa::path(get, path = "/api/backups/{key}", tag = "backups",
    params(("key" = String, Path, description = "File name"), ("token" = String, Query, description = "A superuser's file token")),
    responses((status = 200, description = "The archive"), (status = 206, description = "The range"),
        (status = 403, description = "No valid token"), (status = 404, description = "No such backup")))]
pub(super) async fn download_backup(
    engine: Data<Engine>,
    caller: Caller,
    key: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let refused = || ApiError::forbidden("Insufficient permissions to access the resource.");
    let holder = {
        let mut conn = engine.read().await?;
        let token = caller.info.query("token");
        engine
            .record_of_token(&mut conn, token, &[TokenKind::File])
            .await?
    };
    let is_superuser = holder.is_some_and(|(record, _)| record.collection().is_superusers());
    if !is_superuser || !engine.settings().superuser_ip_allowed(&caller.ip) {
        return Err(refused());
    }
    let name = key.rsplit('/').next().unwrap_or_default();
    download::serve(&request, engine.backup_files(), &key, name).await
}

/// Deletes a backup.
#[utoipa::path(delete, path = "/api/backups/{key}", tag = "backups",
    params(("key" = String, Path, description = "File name")),
    responses((status = 204, description = "Deleted"), (status = 400, description = "No such backup, or it is in use"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only")))]
pub(super) async fn delete_backup(
    engine: Data<Engine>,
    caller: Caller,
    key: Path<String>,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    engine.delete_backup(&key).await?;
    Ok(response::no_content())
}

/// Begins to restore a backup; the server then starts anew with its data.
#[utoipa::path(post, path = "/api/backups/{key}/restore", tag = "backups",
    params(("key" = String, Path, description = "File name")),
    responses((status = 204, description = "Begun"), (status = 400, description = "No such backup, or another backup or restore is running"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only")))]
pub(super) async fn restore_backup(
    engine: Data<Engine>,
    caller: Caller,
    key: Path<String>,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    engine.restore_backup(&key).await?;
    Ok(response::no_content())
}

/// 204, or 400 in PocketBase's words; what broke goes to the log.
fn answer(done: Result<(), Error>, failure: &'static str) -> Result<HttpResponse, ApiError> {
    match done {
        Ok(()) => Ok(response::no_content()),
        Err(error @ (Error::BadRequest(_) | Error::Validation { .. })) => {
            Err(error.or_message(BODY_INVALID).into())
        }
        Err(error) => {
            let failed = ApiError::from(error);
            tracing::error!(error = %failed.cause_chain(), "{failure}");
            Err(ApiError::bad_request(failure))
        }
    }
}
