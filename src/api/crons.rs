//! `/api/crons`: the scheduled jobs; for superusers.

use actix_web::web::{Data, Path, ServiceConfig};
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::encode;
use crate::engine::Engine;
use crate::http::json as response;
use crate::http::{ApiError, Caller};

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/crons")
                .route(web::get().to(list_crons))
                .route(web::head().to(list_crons)),
        )
        .route("/crons/{id}", web::post().to(run_cron));
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CronItem {
    id: String,
    /// A cron expression in UTC.
    expression: String,
}

/// The scheduled jobs, the application's own first.
#[utoipa::path(get, path = "/api/crons", tag = "crons",
    params(("fields" = Option<String>, Query, description = "Members to return")),
    responses((status = 200, description = "The jobs", body = [CronItem]), (status = 401, description = "Not signed in"),
        (status = 403, description = "For superusers only")))]
pub(super) async fn list_crons(
    engine: Data<Engine>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let jobs = engine.crons().list().into_iter();
    let items: Vec<CronItem> = jobs
        .map(|job| CronItem {
            id: job.id,
            expression: job.expression,
        })
        .collect();
    encode::picked(&items, caller.info.query("fields"))
}

/// Starts a job now; the answer does not wait for its end.
#[utoipa::path(post, path = "/api/crons/{id}", tag = "crons",
    params(("id" = String, Path, description = "Job id")),
    responses((status = 204, description = "Started"), (status = 401, description = "Not signed in"),
        (status = 403, description = "For superusers only"), (status = 404, description = "No such job")))]
pub(super) async fn run_cron(
    engine: Data<Engine>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    engine.crons().start(&engine, &id)?;
    Ok(response::no_content())
}
