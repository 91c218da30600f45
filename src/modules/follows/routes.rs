//! The routes of follows.

use actix_web::web::{self, Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value as Json, json};

use super::Error;
use super::service::{Actor, Decision, Following, Side};
use super::settings::{
    ACCEPTING, DESCRIPTION, DESCRIPTION_CHARS_MAX, FOLLOW_TYPE, FollowType, PERIOD_DAYS,
    PERIOD_DAYS_MAX, PRICE, Terms,
};
use super::state::{
    APPROVED_AT, APPROVED_BY, EXPIRES_AT, FOLLOWER, FOLLOWING, PAID_AMOUNT, PAID_AT, ROLE, STATUS,
    Status,
};
use crate::engine::{self, Link};
use crate::http::rate::RateLimits;
use crate::http::{ApiError, BodyLimit, Caller, ModuleRoute, Paging, Query, json as response};
use crate::model::{Record, Value};
use crate::modules::input::{Fields, refused};
use crate::modules::owner_of;
use crate::modules::page::Page;

const BODY_BYTES_MAX: u64 = 64 << 10;
/// What only the two sides of a follow see.
const OF_THE_SIDES: [&str; 6] = [
    EXPIRES_AT,
    PAID_AMOUNT,
    PAID_AT,
    APPROVED_AT,
    APPROVED_BY,
    "updated",
];

pub(super) fn configure(config: &mut ServiceConfig) {
    let resource = |path: &str| {
        web::resource(path)
            .app_data(ModuleRoute)
            .app_data(BodyLimit(BODY_BYTES_MAX))
    };
    config
        .service(resource("/users/{user_id}/follow-settings").route(web::get().to(follow_settings)))
        .service(resource("/user/follow-settings").route(web::put().to(change_follow_settings)))
        .service(
            resource("/users/{user_id}/follow")
                .route(web::post().to(follow_user))
                .route(web::delete().to(unfollow_user)),
        )
        .service(resource("/users/{user_id}/followers").route(web::get().to(list_followers)))
        .service(resource("/users/{user_id}/following").route(web::get().to(list_following)))
        .service(resource("/follows/{follow_id}").route(web::delete().to(remove_follow)))
        .service(resource("/follows/{follow_id}/approve").route(web::post().to(approve_follow)))
        .service(resource("/follows/{follow_id}/reject").route(web::post().to(reject_follow)))
        .service(resource("/follows/{follow_id}/promote").route(web::post().to(promote_follow)))
        .service(resource("/follows/{follow_id}/demote").route(web::post().to(demote_follow)))
        .service(resource("/follows/{follow_id}/ban").route(web::post().to(ban_follow)))
        .service(resource("/follows/{follow_id}/unban").route(web::post().to(unban_follow)));
}

/// On which terms a user can be followed.
#[utoipa::path(get, path = "/api/users/{userId}/follow-settings", tag = "follows",
    params(("userId" = String, Path, description = "Id of the user")),
    responses((status = 200, description = "user, follow_type, is_accepting_followers, and price, period_days and description where they are set"),
        (status = 404, description = "No such user")))]
pub(super) async fn follow_settings(
    following: Data<Following>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(following.engine(), &caller, &request)?;
    let user = path.into_inner();
    let stored = following.settings(&user).await?;
    Ok(response::ok_value(&settings_json(&user, stored.as_ref())))
}

fn settings_json(user: &str, stored: Option<&Record>) -> Json {
    let terms = stored.map(Terms::of).unwrap_or_default();
    let mut out = json!({"user": user, "follow_type": terms.kind.as_str(),
        "is_accepting_followers": terms.is_accepting});
    if let Some(stored) = stored {
        for (name, field) in [
            ("price", PRICE),
            ("period_days", PERIOD_DAYS),
            ("description", DESCRIPTION),
        ] {
            out[name] = stored.get(field).map_or(Json::Null, Value::to_json);
        }
    }
    out
}

/// Changes on which terms the caller can be followed. Absent keys keep their value.
#[utoipa::path(put, path = "/api/user/follow-settings", tag = "follows",
    request_body(content = serde_json::Value, description = "`follow_type` (free, require_approval, paid_period, paid_lifetime), `price`, `period_days`, `description`, `is_accepting_followers`"),
    responses((status = 200, description = "success, and the settings"), (status = 400, description = "A field is refused"),
        (status = 401, description = "Signing in is needed")))]
pub(super) async fn change_follow_settings(
    following: Data<Following>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(following.engine(), &caller, &request)?;
    let user = user_of(&caller)?;
    let fields = Fields::read(&request, payload).await?;
    let changes = settings_changes(&fields)?;
    let owner = user.clone();
    let row = following
        .within(move |following, tx| {
            Box::pin(async move { following.change_settings(tx, &owner, changes).await })
        })
        .await
        .map_err(as_sent)?;
    let mut out = settings_json(&user, Some(&row));
    out["success"] = true.into();
    Ok(response::ok_value(&out))
}

fn settings_changes(fields: &Fields) -> Result<Vec<(&'static str, Value)>, ApiError> {
    let mut changes = Vec::new();
    if let Some(name) = fields.text("follow_type", 50)? {
        let Some(kind) = FollowType::parse(name) else {
            return Err(refused("follow_type", "Must be a known follow type."));
        };
        changes.push((FOLLOW_TYPE, kind.as_str().into()));
    }
    match fields.get("price") {
        None | Some(Json::Null) => {}
        Some(Json::Number(price)) => {
            let price = price.as_f64().filter(|price| *price >= 0.0);
            let price = price.ok_or_else(|| refused("price", "Must be 0 or more."))?;
            changes.push((PRICE, Value::Number(price)));
        }
        Some(_) => return Err(refused("price", "Must be a number.")),
    }
    if let Some(days) = fields.whole("period_days", 0, PERIOD_DAYS_MAX)? {
        changes.push((PERIOD_DAYS, Value::Number(days as f64)));
    }
    if let Some(Json::String(_)) = fields.get("description") {
        let text = fields.text("description", DESCRIPTION_CHARS_MAX)?;
        changes.push((DESCRIPTION, text.unwrap_or_default().into()));
    } else {
        fields.text("description", DESCRIPTION_CHARS_MAX)?;
    }
    if let Some(flag) = fields.flag("is_accepting_followers")? {
        changes.push((ACCEPTING, Value::Bool(flag)));
    }
    Ok(changes)
}

/// Names refused fields as clients of the route send them.
fn as_sent(error: engine::Error) -> engine::Error {
    let engine::Error::Validation { message, fields } = error else {
        return error;
    };
    let mut sent = crate::model::FieldErrors::new();
    for (name, field) in fields.leaves() {
        let name = match name {
            FOLLOW_TYPE => "follow_type",
            PERIOD_DAYS => "period_days",
            ACCEPTING => "is_accepting_followers",
            other => other,
        };
        sent.add(name, field.clone());
    }
    engine::Error::validation(message, sent)
}

/// Follows a user, or asks for it.
#[utoipa::path(post, path = "/api/users/{userId}/follow", tag = "follows",
    params(("userId" = String, Path, description = "Id of the user")),
    responses((status = 200, description = "success, follow_id, status: active, or pending where an answer or a payment is waited for"),
        (status = 400, description = "Oneself, followed already, or paid follows are not available"),
        (status = 401, description = "Signing in is needed"), (status = 402, description = "The caller's balance is too small"),
        (status = 403, description = "The user accepts no followers, or has banned the caller"), (status = 404, description = "No such user")))]
pub(super) async fn follow_user(
    following: Data<Following>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(following.engine(), &caller, &request)?;
    user_of(&caller)?;
    Fields::read(&request, payload).await?;
    let row = following.follow(&caller.info, &path).await?;
    Ok(response::ok_value(
        &json!({"success": true, "follow_id": row.id(), "status": row.text(STATUS)}),
    ))
}

/// Ends the caller's follow of a user, or takes the request back. Nothing is paid back.
#[utoipa::path(delete, path = "/api/users/{userId}/follow", tag = "follows",
    params(("userId" = String, Path, description = "Id of the user")),
    responses((status = 200, description = "success"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "The user has banned the caller"), (status = 404, description = "The caller does not follow the user")))]
pub(super) async fn unfollow_user(
    following: Data<Following>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(following.engine(), &caller, &request)?;
    let (follower, user) = (user_of(&caller)?, path.into_inner());
    following
        .within(move |following, tx| {
            Box::pin(async move { following.unfollow(tx, &follower, &user).await })
        })
        .await?;
    Ok(response::ok_value(&json!({"success": true})))
}

/// Those who follow a user.
#[utoipa::path(get, path = "/api/users/{userId}/followers", tag = "follows",
    params(("userId" = String, Path, description = "Id of the user"),
        ("status" = Option<String>, Query, description = "active (default); pending, rejected, expired and banned for the user and their admins"),
        ("page" = Option<u64>, Query, description = "From 1"), ("perPage" = Option<u64>, Query, description = "1 to 1000, default 30")),
    responses((status = 200, description = "followers, count, page, perPage, totalItems; amounts and dates of payment in the caller's own rows alone"),
        (status = 400, description = "No such status"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "Not for the caller to see"), (status = 404, description = "No such user")))]
pub(super) async fn list_followers(
    following: Data<Following>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(following.engine(), &caller, &request)?;
    list(&following, &caller, &path, Side::Followers, &request).await
}

/// Those whom a user follows.
#[utoipa::path(get, path = "/api/users/{userId}/following", tag = "follows",
    params(("userId" = String, Path, description = "Id of the user"),
        ("status" = Option<String>, Query, description = "active (default); pending, rejected, expired and banned for the user"),
        ("page" = Option<u64>, Query, description = "From 1"), ("perPage" = Option<u64>, Query, description = "1 to 1000, default 30")),
    responses((status = 200, description = "following, count, page, perPage, totalItems; amounts and dates of payment in the caller's own rows alone"),
        (status = 400, description = "No such status"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "Not for the caller to see"), (status = 404, description = "No such user")))]
pub(super) async fn list_following(
    following: Data<Following>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(following.engine(), &caller, &request)?;
    list(&following, &caller, &path, Side::Following, &request).await
}

async fn list(
    following: &Following,
    caller: &Caller,
    user: &str,
    side: Side,
    request: &HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require_auth()?;
    let query = Query::of(request);
    let paging = Paging::of(&query)?;
    let status = match query.text("status") {
        "" => Status::Active,
        name => Status::parse(name).ok_or_else(|| refused("status", "Must be a known status."))?,
    };
    let engine = following.engine();
    let viewer = owner_of(&caller.info);
    {
        let mut conn = engine.read().await?;
        following.check_user(&mut conn, user).await?;
        let is_own = caller.is_superuser() || viewer == Some(user);
        if status != Status::Active && !is_own {
            let is_admin = match (side, viewer) {
                (Side::Followers, Some(viewer)) => {
                    following.is_admin(&mut conn, user, viewer).await?
                }
                _ => false,
            };
            if !is_admin {
                return Err(Error::NotAllowed.into());
            }
        }
    }
    let pages = (u64::from(paging.page), u64::from(paging.per_page));
    let (mut rows, total_items) = following.list(user, side, status, pages).await?;
    for row in &mut rows {
        let is_side = [FOLLOWER, FOLLOWING].map(|field| Some(row.text(field)) == viewer);
        if !caller.is_superuser() && !is_side.contains(&true) {
            row.hide(OF_THE_SIDES);
        }
    }
    let (name, expand) = match side {
        Side::Followers => ("followers", FOLLOWER),
        Side::Following => ("following", FOLLOWING),
    };
    let schema = engine.schema();
    let mut link = Link::Pool(engine);
    let items = engine.enrich(&mut link, &schema, rows, &caller.info, expand);
    Ok(Page {
        name,
        items: &items.await?,
        page: pages.0,
        per_page: pages.1,
        total_items,
    }
    .respond())
}

/// Removes a follower, who may follow again.
#[utoipa::path(delete, path = "/api/follows/{followId}", tag = "follows",
    params(("followId" = String, Path, description = "Id of the follow")),
    responses((status = 200, description = "success"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "An admin, removed by an admin; or banned"), (status = 404, description = "No such follow, or none of the caller's business")))]
pub(super) async fn remove_follow(
    following: Data<Following>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(following.engine(), &caller, &request)?;
    caller.require_auth()?;
    let (actor, id) = (Actor::of(&caller.info)?, path.into_inner());
    following
        .within(move |following, tx| {
            Box::pin(async move { following.remove(tx, &actor, &id).await })
        })
        .await?;
    Ok(response::ok_value(&json!({"success": true})))
}

async fn decide(
    following: &Following,
    caller: &Caller,
    id: String,
    decision: Decision,
    (request, payload): (&HttpRequest, Payload),
) -> Result<HttpResponse, ApiError> {
    caller.require_auth()?;
    let actor = Actor::of(&caller.info)?;
    Fields::read(request, payload).await?;
    let row = following
        .within(move |following, tx| {
            Box::pin(async move { following.decide(tx, &actor, &id, decision).await })
        })
        .await?;
    Ok(response::ok_value(
        &json!({"success": true, "follow_id": row.id(),
        "status": row.text(STATUS), "role": row.text(ROLE)}),
    ))
}

fn user_of(caller: &Caller) -> Result<String, ApiError> {
    caller.require_auth()?;
    Ok(owner_of(&caller.info).ok_or(Error::NotAUser)?.to_owned())
}

/// Lets somebody follow who has asked.
#[utoipa::path(post, path = "/api/follows/{followId}/approve", tag = "follows",
    params(("followId" = String, Path, description = "Id of the follow")),
    responses((status = 200, description = "success, follow_id, status, role"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "The follower itself"), (status = 404, description = "No such follow, or none of the caller's business"),
        (status = 409, description = "It is not pending, or waits for its payment")))]
pub(super) async fn approve_follow(
    following: Data<Following>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(following.engine(), &caller, &request)?;
    let body = (&request, payload);
    decide(
        &following,
        &caller,
        path.into_inner(),
        Decision::Approve,
        body,
    )
    .await
}

/// Refuses somebody who has asked, and may ask again.
#[utoipa::path(post, path = "/api/follows/{followId}/reject", tag = "follows",
    params(("followId" = String, Path, description = "Id of the follow")),
    responses((status = 200, description = "success, follow_id, status, role"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "The follower itself"), (status = 404, description = "No such follow, or none of the caller's business"),
        (status = 409, description = "It is not pending, or waits for its payment")))]
pub(super) async fn reject_follow(
    following: Data<Following>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(following.engine(), &caller, &request)?;
    let body = (&request, payload);
    decide(
        &following,
        &caller,
        path.into_inner(),
        Decision::Reject,
        body,
    )
    .await
}

/// Makes a follower an admin.
#[utoipa::path(post, path = "/api/follows/{followId}/promote", tag = "follows",
    params(("followId" = String, Path, description = "Id of the follow")),
    responses((status = 200, description = "success, follow_id, status, role"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "Anybody but the followed user"), (status = 404, description = "No such follow, or none of the caller's business"),
        (status = 409, description = "It is not active, or an admin already")))]
pub(super) async fn promote_follow(
    following: Data<Following>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(following.engine(), &caller, &request)?;
    let body = (&request, payload);
    decide(
        &following,
        &caller,
        path.into_inner(),
        Decision::Promote,
        body,
    )
    .await
}

/// Makes an admin a follower.
#[utoipa::path(post, path = "/api/follows/{followId}/demote", tag = "follows",
    params(("followId" = String, Path, description = "Id of the follow")),
    responses((status = 200, description = "success, follow_id, status, role"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "Anybody but the followed user"), (status = 404, description = "No such follow, or none of the caller's business"),
        (status = 409, description = "It is no admin")))]
pub(super) async fn demote_follow(
    following: Data<Following>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(following.engine(), &caller, &request)?;
    let body = (&request, payload);
    decide(
        &following,
        &caller,
        path.into_inner(),
        Decision::Demote,
        body,
    )
    .await
}

/// Bans a follower, who cannot ask again.
#[utoipa::path(post, path = "/api/follows/{followId}/ban", tag = "follows",
    params(("followId" = String, Path, description = "Id of the follow")),
    responses((status = 200, description = "success, follow_id, status, role"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "The follower itself, or an admin who bans an admin"), (status = 404, description = "No such follow, or none of the caller's business"),
        (status = 409, description = "It is banned already")))]
pub(super) async fn ban_follow(
    following: Data<Following>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(following.engine(), &caller, &request)?;
    let body = (&request, payload);
    decide(&following, &caller, path.into_inner(), Decision::Ban, body).await
}

/// Ends a ban: who was active is so again, others may ask again.
#[utoipa::path(post, path = "/api/follows/{followId}/unban", tag = "follows",
    params(("followId" = String, Path, description = "Id of the follow")),
    responses((status = 200, description = "success, follow_id, status, role"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "The follower itself"), (status = 404, description = "No such follow, or none of the caller's business"),
        (status = 409, description = "It is not banned")))]
pub(super) async fn unban_follow(
    following: Data<Following>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(following.engine(), &caller, &request)?;
    let body = (&request, payload);
    decide(
        &following,
        &caller,
        path.into_inner(),
        Decision::Unban,
        body,
    )
    .await
}
