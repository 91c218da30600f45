//! `/api/scripts`: what the scripts do, and running them from outside.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_web::web::{Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use utoipa::OpenApi;

use super::Scripts;
use super::control::Refusal;
use super::registry::Script;
use crate::base::code::{BODY_INVALID, Code};
use crate::http::{ApiError, BodyLimit, Caller, ModuleRoute, body, json as response};
use crate::model::{FieldError, FieldErrors};

/// Most bytes of code or arguments.
const BODY_BYTES_MAX: u64 = 1 << 20;

/// Mounts the routes below `/api`. They ask for `Data<Scripts>`.
pub fn configure(config: &mut ServiceConfig) {
    let resource = |path| {
        web::resource(path)
            .app_data(ModuleRoute)
            .app_data(BodyLimit(BODY_BYTES_MAX))
    };
    config
        .service(resource("/scripts/status").route(web::get().to(script_status)))
        .service(resource("/scripts/execute").route(web::post().to(execute_code)))
        .service(resource("/scripts/function").route(web::post().to(call_function)))
        .service(resource("/scripts/{scriptId}/reload").route(web::post().to(reload_script)))
        .service(resource("/scripts/{scriptId}/run").route(web::post().to(run_script)));
}

#[derive(OpenApi)]
#[openapi(paths(script_status, reload_script, run_script, execute_code, call_function))]
struct Description;

/// The routes of this room as an OpenAPI document, to be merged into the whole.
#[must_use]
pub fn description() -> Json {
    serde_json::to_value(Description::openapi()).unwrap_or_default()
}

/// A script as its status shows it.
#[derive(Serialize, utoipa::ToSchema)]
struct ScriptStatus {
    id: String,
    /// The file's path below the hooks folder.
    name: String,
    /// The file; null for all but superusers.
    path: Option<String>,
    /// A version of it runs. That may be the one before the last, see `last_error`.
    is_running: bool,
    /// When the version that runs was loaded.
    loaded_at: Option<String>,
    /// What failed last, with file, line and column; null for all but superusers.
    last_error: Option<String>,
    subscriptions: usize,
    crons: usize,
    routes: usize,
    handlers: usize,
    /// Calls of its functions since the server started.
    calls: u64,
    /// Failed loads and calls since the server started.
    errors: u64,
}

impl ScriptStatus {
    fn of(script: &Script, superuser: bool) -> Self {
        let state = script.state(|state| state.clone());
        Self {
            id: script.id.clone(),
            name: script.name.clone(),
            path: superuser.then(|| script.path.display().to_string()),
            is_running: state.running,
            loaded_at: state.loaded_at.map(|moment| moment.to_string()),
            last_error: state.last_error.filter(|_| superuser),
            subscriptions: state.subscriptions,
            crons: state.crons,
            routes: state.routes,
            handlers: state.handlers,
            calls: script.calls.load(Ordering::Relaxed),
            errors: script.errors.load(Ordering::Relaxed),
        }
    }
}

#[derive(Serialize, utoipa::ToSchema)]
struct StatusAnswer {
    scripts: Vec<ScriptStatus>,
    count: usize,
    /// The modules that scripts have required, by path. One with a `last_error` did not load; the version before it runs on
    /// if there was one.
    modules: Vec<ScriptStatus>,
}

/// What the scripts do.
#[utoipa::path(get, path = "/api/scripts/status", tag = "scripts",
    responses((status = 200, description = "All scripts, by name", body = StatusAnswer), (status = 401, description = "Not signed in")))]
async fn script_status(scripts: Data<Scripts>, caller: Caller) -> Result<HttpResponse, ApiError> {
    caller.require_auth()?;
    let superuser = caller.is_superuser();
    let of = |script: &Arc<Script>| ScriptStatus::of(script, superuser);
    let modules = scripts.modules().iter().map(of).collect();
    let scripts: Vec<ScriptStatus> = scripts.list().iter().map(of).collect();
    let answer = StatusAnswer {
        count: scripts.len(),
        scripts,
        modules,
    };
    let json = serde_json::to_value(&answer).map_err(ApiError::internal)?;
    Ok(response::ok_value(&json))
}

/// Loads a script anew, whether its file has changed or not. When it cannot be loaded, the version before goes on.
#[utoipa::path(post, path = "/api/scripts/{scriptId}/reload", tag = "scripts",
    params(("scriptId" = String, Path, description = "Id of the script")),
    responses((status = 200, description = "Loaded: `{\"status\":\"reloaded\"}`"), (status = 400, description = "It does not parse, or throws: the error with its position"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only"), (status = 404, description = "No such script")))]
async fn reload_script(
    scripts: Data<Scripts>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    scripts.reload(&id).await.map_err(refused)?;
    Ok(response::ok_value(&json!({"status": "reloaded"})))
}

/// Calls a script's function `main`.
#[utoipa::path(post, path = "/api/scripts/{scriptId}/run", tag = "scripts",
    params(("scriptId" = String, Path, description = "Id of the script")),
    responses((status = 200, description = "What it gave: `{\"result\":..}`"), (status = 400, description = "It has no such function, or that throws"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only"), (status = 404, description = "No such script")))]
async fn run_script(
    scripts: Data<Scripts>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let result = scripts.call(&id, "main", Vec::new()).await;
    Ok(answer(result.map_err(refused)?))
}

/// Runs code in a scope of its own, with everything that scripts can use. It may `return` and `await`.
#[utoipa::path(post, path = "/api/scripts/execute", tag = "scripts",
    request_body(content = serde_json::Value, description = "`{\"code\":\"..; return x\"}`"),
    responses((status = 200, description = "What it returns: `{\"result\":..}`"), (status = 400, description = "It does not parse, or throws: the error with its position"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only")))]
async fn execute_code(
    scripts: Data<Scripts>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let body = fields(&request, payload).await?;
    let code = text(&body, "code")?;
    let result = scripts.execute(code).await;
    Ok(answer(result.map_err(refused)?))
}

/// Calls a function of a script's global scope.
#[utoipa::path(post, path = "/api/scripts/function", tag = "scripts",
    request_body(content = serde_json::Value, description = "`{\"script_id\":\"..\",\"function\":\"..\",\"args\":[]}`"),
    responses((status = 200, description = "What it gave: `{\"result\":..}`"), (status = 400, description = "It has no such function, or that throws"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only"), (status = 404, description = "No such script")))]
async fn call_function(
    scripts: Data<Scripts>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let body = fields(&request, payload).await?;
    let id = match body.get("scriptId") {
        Some(_) => text(&body, "scriptId")?,
        None => text(&body, "script_id")?,
    };
    let function = text(&body, "function")?;
    let arguments = match body.get("args") {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Array(arguments)) => arguments.clone(),
        Some(_) => return Err(invalid("args", "Must be a list.")),
    };
    let result = scripts.call(&id, &function, arguments).await;
    Ok(answer(result.map_err(refused)?))
}

fn answer(result: Json) -> HttpResponse {
    response::ok_value(&json!({"result": result}))
}

async fn fields(request: &HttpRequest, payload: Payload) -> Result<Map<String, Json>, ApiError> {
    let mut payload = payload.into_inner();
    let limit = BodyLimit(BODY_BYTES_MAX);
    Ok(body::read(request, &mut payload, limit).await?.fields)
}

fn text(body: &Map<String, Json>, name: &str) -> Result<String, ApiError> {
    match body.get(name) {
        Some(Json::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(Json::String(_)) | None | Some(Json::Null) => {
            Err(field_error(name, "validation_required", "Cannot be blank."))
        }
        Some(_) => Err(invalid(name, "Must be a text.")),
    }
}

fn invalid(field: &str, message: &str) -> ApiError {
    field_error(field, "validation_invalid_value", message)
}

fn field_error(field: &str, code: &'static str, message: &str) -> ApiError {
    let error = FieldError::new(code, message.to_owned());
    ApiError::validation(BODY_INVALID, &FieldErrors::one(field, error))
}

/// Superusers get the error's text and its position, which are those of the script.
fn refused(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::NoScript => ApiError::not_found(refusal.to_string()),
        Refusal::Busy => ApiError::new(Code::Unavailable, refusal.to_string()),
        Refusal::Failed(error) => {
            let place = json!({
                "code": "script_error",
                "message": error.message,
                "file": error.file,
                "line": error.line,
                "column": error.column,
            });
            let data = Map::from_iter([("script".to_owned(), place)]);
            ApiError::bad_request(error.to_string()).with_data(data)
        }
    }
}
