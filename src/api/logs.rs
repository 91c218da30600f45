//! `/api/logs`: reading the log; for superusers.

use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value as Json, json};

use super::encode;
use super::records::list_params;
use crate::engine::Engine;
use crate::http::{ApiError, Caller};
use crate::model::{Record, Value};

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/logs")
                .route(web::get().to(list_logs))
                .route(web::head().to(list_logs)),
        )
        .service(
            web::resource("/logs/stats")
                .route(web::get().to(log_stats))
                .route(web::head().to(log_stats)),
        )
        .service(
            web::resource("/logs/{id}")
                .route(web::get().to(view_log))
                .route(web::head().to(view_log)),
        );
}

/// A page of log entries.
#[utoipa::path(get, path = "/api/logs", tag = "logs",
    params(("page" = Option<u64>, Query, description = "From 1"),
        ("perPage" = Option<u64>, Query, description = "1 to 1000, default 30"),
        ("sort" = Option<String>, Query, description = "Such as -created, comma separated"),
        ("filter" = Option<String>, Query, description = "A filter over id, created, level, message, data and data.*"),
        ("fields" = Option<String>, Query, description = "Fields to return"),
        ("skipTotal" = Option<bool>, Query, description = "Leave totals out (-1)")),
    responses((status = 200, description = "A page"), (status = 400, description = "Invalid filter or sort"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only")))]
pub(super) async fn list_logs(
    engine: Data<Engine>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let page = engine.list_logs(&list_params(&request, &caller)?).await?;
    let items = page.items.iter().map(entry).collect();
    let totals = (page.total_items, page.total_pages);
    encode::listed(
        items,
        (page.page, page.per_page),
        totals,
        caller.info.query("fields"),
    )
}

/// One log entry.
#[utoipa::path(get, path = "/api/logs/{id}", tag = "logs",
    params(("id" = String, Path, description = "Entry id"),
        ("fields" = Option<String>, Query, description = "Fields to return")),
    responses((status = 200, description = "The entry"), (status = 401, description = "Not signed in"),
        (status = 403, description = "For superusers only"), (status = 404, description = "No such entry")))]
pub(super) async fn view_log(
    engine: Data<Engine>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let log = engine.view_log(&id).await?;
    encode::picked(&entry(&log), caller.info.query("fields"))
}

/// The number of entries by hour.
#[utoipa::path(get, path = "/api/logs/stats", tag = "logs",
    params(("filter" = Option<String>, Query, description = "As for the list"),
        ("fields" = Option<String>, Query, description = "Members to return")),
    responses((status = 200, description = "Hours with their totals"), (status = 400, description = "Invalid filter"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only")))]
pub(super) async fn log_stats(
    engine: Data<Engine>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let stats = engine.log_stats(caller.info.query("filter")).await?;
    let items: Vec<Json> = stats
        .into_iter()
        .map(|(date, total)| json!({"date": date, "total": total}))
        .collect();
    encode::picked(&items, caller.info.query("fields"))
}

/// An entry with its members in PocketBase's order.
fn entry(log: &Record) -> Json {
    let members = ["id", "created", "data", "message", "level"];
    let member = |name: &str| {
        let mut value = log.get(name).map(Value::to_json).unwrap_or_default();
        value.sort_all_objects();
        (name.to_owned(), value)
    };
    Json::Object(Map::from_iter(members.map(member)))
}
