//! `POST /api/sql`: SQL statements of superusers.

use std::time::Instant;

use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::{body, encode};
use crate::base::code::BODY_INVALID;
use crate::engine::{Engine, Error};
use crate::http::{ApiError, Caller};
use crate::model::{FieldError, FieldErrors};

/// The most bytes of a text.
const QUERY_BYTES_MAX: usize = 5000;

pub(super) fn configure(config: &mut ServiceConfig) {
    config.route("/sql", web::post().to(run_sql));
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(default)]
#[derive(Default)]
pub(super) struct SqlForm {
    /// One or more statements, at most 5000 bytes.
    query: String,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SqlAnswer {
    /// Milliseconds.
    exec_time: u64,
    affected_rows: u64,
    columns: Vec<SqlColumn>,
    /// At most 1000 rows of the last statement; numbers are text.
    rows: Vec<Vec<Option<String>>>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct SqlColumn {
    name: String,
    /// As in the table's definition; empty for expressions.
    #[serde(rename = "type")]
    declared: String,
    nullable: bool,
}

/// Runs SQL statements on the collections' database; those that write, in one transaction.
#[utoipa::path(post, path = "/api/sql", tag = "sql",
    request_body(content = SqlForm),
    responses((status = 200, description = "What the last statement gave", body = SqlAnswer),
        (status = 400, description = "The statement is refused, with the database's words"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only")))]
pub(super) async fn run_sql(
    engine: Data<Engine>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let form: SqlForm = body::form(&request, payload).await?;
    validate(&form.query)
        .into_result()
        .map_err(|errors| ApiError::validation(BODY_INVALID, &errors))?;
    let fields = caller.info.query("fields");
    encode::picker(fields)?;
    let started = Instant::now();
    let answer = engine.run_sql(&form.query).await.map_err(|error| {
        let error = match error {
            Error::BadRequest(words) => {
                Error::BadRequest(format!("Failed to execute query. Raw error:\n{words}"))
            }
            other => other,
        };
        ApiError::from(error)
    })?;
    let answer = SqlAnswer {
        exec_time: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        affected_rows: answer.affected_rows,
        columns: answer
            .columns
            .into_iter()
            .map(|column| SqlColumn {
                name: column.name,
                declared: column.declared,
                // Not known of results; PocketBase's driver says so, too.
                nullable: true,
            })
            .collect(),
        rows: answer.rows,
    };
    encode::picked(&answer, fields)
}

fn validate(query: &str) -> FieldErrors {
    let error = match query.len() {
        0 => FieldError::new("validation_required", "Cannot be blank."),
        1..=QUERY_BYTES_MAX => return FieldErrors::new(),
        _ => FieldError::new(
            "validation_length_too_long",
            format!("The length must be no more than {QUERY_BYTES_MAX}."),
        )
        .with("max", QUERY_BYTES_MAX)
        .with("min", 0),
    };
    FieldErrors::one("query", error)
}
