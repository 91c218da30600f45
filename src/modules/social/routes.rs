//! The routes of posts.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value as Json, json};

use super::service::{NewComment, TRENDING_DEFAULT, TRENDING_MAX};
use super::{Error, POSTS, Reaction, Social};
use crate::engine::Link;
use crate::engine::records::{Input, ListParams};
use crate::http::rate::RateLimits;
use crate::http::{ApiError, BodyLimit, Caller, ModuleRoute, Paging, Query, json as response};
use crate::modules::input::{Fields, camel_case, is_form, read_body, refused};
use crate::modules::owner_of;
use crate::modules::page::{Page, write_records};

/// Room for a post with its files: three images, a video, and the fields.
const POST_BYTES_MAX: u64 = (3 * 5 + 50 + 4) << 20;
const BODY_BYTES_MAX: u64 = 256 << 10;
const CONTENT_CHARS_MAX: usize = 10_000;
/// The fields of a post that a body sets, by type.
const TEXTS: [&str; 5] = ["type", "content", "article", "action", "action_text"];

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/posts")
                .app_data(ModuleRoute)
                .app_data(BodyLimit(POST_BYTES_MAX))
                .route(web::get().to(list_posts))
                .route(web::post().to(create_post)),
        )
        .service(
            web::resource("/posts/trending")
                .app_data(ModuleRoute)
                .route(web::get().to(trending_posts)),
        )
        .service(
            web::resource("/posts/{post_id}/like")
                .app_data(ModuleRoute)
                .app_data(BodyLimit(BODY_BYTES_MAX))
                .route(web::post().to(like_post))
                .route(web::delete().to(unlike_post)),
        )
        .service(
            web::resource("/posts/{post_id}/comment")
                .app_data(ModuleRoute)
                .app_data(BodyLimit(BODY_BYTES_MAX))
                .route(web::post().to(comment_post)),
        )
        .service(
            web::resource("/posts/{post_id}/stats")
                .app_data(ModuleRoute)
                .route(web::get().to(post_stats)),
        );
}

/// The id of the user who calls.
fn user_of(caller: &Caller) -> Result<String, ApiError> {
    caller.require_auth()?;
    Ok(owner_of(&caller.info).ok_or(Error::NoUser)?.to_owned())
}

/// Creates a post of the caller's.
#[utoipa::path(post, path = "/api/posts", tag = "social",
    request_body(content = serde_json::Value, description = "The fields of `posts`, as JSON or a form with files; `categories` may be one comma-separated text"),
    responses((status = 201, description = "success, post_id, post"), (status = 400, description = "A field is refused"),
        (status = 401, description = "Signing in is needed")))]
pub(super) async fn create_post(
    social: Data<Social>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let engine = social.engine();
    limits.check_path(engine, &caller, &request)?;
    user_of(&caller)?;
    let is_form = is_form(&request);
    let body = read_body(&request, payload).await?;
    let posts = engine.collection(POSTS)?;
    let mut uploads = Vec::new();
    for (key, file) in body.files {
        if let Some(field) = posts
            .field_of_key(&key)
            .filter(|field| field.as_file().is_some())
        {
            uploads.push((key.clone(), file.into_upload(field.name.clone()).await?));
        }
    }
    let input = Input {
        body: post_fields(&Fields::of(body.fields, is_form), is_form)?,
        uploads,
    };
    let post = engine.create_record(&caller.info, &posts, input).await?;
    let id = post.id().to_owned();
    let shown = engine
        .show(post, &caller.info, caller.info.query("expand"))
        .await?;
    let mut out = br#"{"success":true,"post_id":"#.to_vec();
    crate::base::json::write_str(&mut out, &id);
    out.extend_from_slice(br#","post":"#);
    shown.write_json(&mut out);
    out.push(b'}');
    Ok(response::response(StatusCode::CREATED, out))
}

/// The fields of a post as the engine takes them. Forms have no types: their texts are cast.
fn post_fields(fields: &Fields, is_form: bool) -> Result<Map<String, Json>, ApiError> {
    // Whatever else the collection has got is passed on.
    let mut body = fields.clone().into_map();
    for name in TEXTS.into_iter().chain(["is_public", "data_action"]) {
        if name.contains('_') {
            body.remove(name);
        }
    }
    for name in TEXTS {
        let is_text = matches!(fields.get(name), None | Some(Json::Null | Json::String(_)));
        if !is_form && !is_text {
            return Err(refused(&camel_case(name), "Must be a text."));
        }
        if let Some(value) = fields.get(name) {
            body.insert(camel_case(name), value.clone());
        }
    }
    if !is_form {
        fields.flag("is_public")?;
    }
    if let Some(flag) = fields.get("is_public") {
        body.insert("isPublic".to_owned(), flag.clone());
    }
    if let Some(data) = fields.get("data_action") {
        body.insert("dataAction".to_owned(), data.clone());
    }
    match fields.get("categories") {
        None | Some(Json::Null) => {}
        Some(Json::String(list)) => {
            let names = list
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty());
            body.insert("categories".to_owned(), names.collect());
        }
        Some(Json::Array(names)) if names.iter().all(Json::is_string) => {
            body.insert("categories".to_owned(), names.clone().into());
        }
        Some(_) => return Err(refused("categories", "Must be a list of texts.")),
    }
    Ok(body)
}

/// The posts that the caller may see, newest first.
#[utoipa::path(get, path = "/api/posts", tag = "social",
    params(("filter" = Option<String>, Query, description = "As in the records API"), ("sort" = Option<String>, Query, description = "Default -created"),
        ("expand" = Option<String>, Query, description = "Such as user,article"),
        ("page" = Option<u64>, Query, description = "From 1"), ("perPage" = Option<u64>, Query, description = "1 to 1000, default 30")),
    responses((status = 200, description = "posts, count, page, perPage, totalItems"), (status = 400, description = "The filter does not compile"),
        (status = 401, description = "Signing in is needed")))]
pub(super) async fn list_posts(
    social: Data<Social>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let engine = social.engine();
    limits.check_path(engine, &caller, &request)?;
    caller.require_auth()?;
    let query = Query::of(&request);
    let paging = Paging::of(&query)?;
    let sort = match query.text("sort") {
        "" => "-created,-id",
        sort => sort,
    };
    let params = ListParams {
        page: u64::from(paging.page),
        per_page: u64::from(paging.per_page),
        filter: query.text("filter").to_owned(),
        sort: sort.to_owned(),
        ..ListParams::default()
    };
    let posts = engine.collection(POSTS)?;
    let mut found = engine.find_page(&caller.info, &posts, &params).await?;
    engine
        .enrich_page(&mut found, &caller.info, query.text("expand"))
        .await?;
    Ok(Page {
        name: "posts",
        items: &found.items,
        page: found.page,
        per_page: found.per_page,
        total_items: u64::try_from(found.total_items).unwrap_or_default(),
    }
    .respond())
}

/// The public posts that get the most attention now.
#[utoipa::path(get, path = "/api/posts/trending", tag = "social",
    params(("limit" = Option<u64>, Query, description = "1 to 100, default 20"), ("expand" = Option<String>, Query, description = "Such as user,article")),
    responses((status = 200, description = "posts, count"), (status = 400, description = "limit is no number"),
        (status = 401, description = "Signing in is needed")))]
pub(super) async fn trending_posts(
    social: Data<Social>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let engine = social.engine();
    limits.check_path(engine, &caller, &request)?;
    caller.require_auth()?;
    let query = Query::of(&request);
    let limit = match query.text("limit") {
        "" => TRENDING_DEFAULT,
        text => text
            .parse::<u64>()
            .map_err(|_| refused("limit", "Must be a whole number."))?
            .clamp(1, TRENDING_MAX),
    };
    let found = {
        let mut conn = engine.read().await?;
        social.trending(&mut conn, limit).await?
    };
    let schema = engine.schema();
    let shown = engine
        .enrich(
            &mut Link::Pool(engine),
            &schema,
            found,
            &caller.info,
            query.text("expand"),
        )
        .await?;
    let mut out = br#"{"posts":"#.to_vec();
    write_records(&mut out, &shown);
    out.extend_from_slice(format!(",\"count\":{}}}", shown.len()).as_bytes());
    Ok(response::ok(out))
}

/// Likes a post, or changes the reaction.
#[utoipa::path(post, path = "/api/posts/{postId}/like", tag = "social",
    params(("postId" = String, Path, description = "Id of the post"), ("reaction" = Option<String>, Query, description = "like (default), love, fire, wow, sad or angry")),
    responses((status = 200, description = "success, like_id"), (status = 400, description = "No such reaction"),
        (status = 401, description = "Signing in is needed"), (status = 404, description = "No such post, or hidden from the caller")))]
pub(super) async fn like_post(
    social: Data<Social>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(social.engine(), &caller, &request)?;
    let user = user_of(&caller)?;
    let fields = Fields::read(&request, payload).await?;
    let query = Query::of(&request);
    let reaction = match query.text("reaction") {
        "" => fields.text("reaction", 20)?.unwrap_or_default(),
        named => named,
    };
    let reaction = Reaction::parse(reaction)?;
    let (post, info) = (path.into_inner(), caller.info.clone());
    let id = social
        .within(None, move |social, tx| {
            Box::pin(async move {
                social.find_post(tx, &post, Some(&info)).await?;
                social.like(tx, &post, &user, reaction).await
            })
        })
        .await?;
    Ok(response::ok_value(&json!({"success": true, "like_id": id})))
}

/// Takes the caller's like back.
#[utoipa::path(delete, path = "/api/posts/{postId}/like", tag = "social",
    params(("postId" = String, Path, description = "Id of the post")),
    responses((status = 200, description = "success"), (status = 401, description = "Signing in is needed"),
        (status = 404, description = "No such post, hidden from the caller, or not liked")))]
pub(super) async fn unlike_post(
    social: Data<Social>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(social.engine(), &caller, &request)?;
    let user = user_of(&caller)?;
    let (post, info) = (path.into_inner(), caller.info.clone());
    social
        .within(None, move |social, tx| {
            Box::pin(async move {
                social.find_post(tx, &post, Some(&info)).await?;
                social.unlike(tx, &post, &user).await
            })
        })
        .await?;
    Ok(response::ok_value(&json!({"success": true})))
}

/// Comments on a post, or answers a comment.
#[utoipa::path(post, path = "/api/posts/{postId}/comment", tag = "social",
    params(("postId" = String, Path, description = "Id of the post")),
    request_body(content = serde_json::Value, description = "`content`, and `parent_comment` for a reply"),
    responses((status = 200, description = "success, comment_id"), (status = 400, description = "No content, or a parent of another post"),
        (status = 401, description = "Signing in is needed"), (status = 404, description = "No such post, or hidden from the caller")))]
pub(super) async fn comment_post(
    social: Data<Social>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(social.engine(), &caller, &request)?;
    let user = user_of(&caller)?;
    let fields = Fields::read(&request, payload).await?;
    let new = NewComment {
        post: path.into_inner(),
        user,
        content: fields
            .required_text("content", CONTENT_CHARS_MAX)?
            .to_owned(),
        parent: fields.text("parent_comment", 50)?.map(str::to_owned),
    };
    let info = caller.info.clone();
    let id = social
        .within(None, move |social, tx| {
            Box::pin(async move {
                social.find_post(tx, &new.post, Some(&info)).await?;
                social.comment(tx, new).await
            })
        })
        .await?;
    Ok(response::ok_value(
        &json!({"success": true, "comment_id": id}),
    ))
}

/// The counters of a post, and its likes by reaction.
#[utoipa::path(get, path = "/api/posts/{postId}/stats", tag = "social",
    params(("postId" = String, Path, description = "Id of the post")),
    responses((status = 200, description = "likesCount, commentsCount, reactions"), (status = 401, description = "Signing in is needed"),
        (status = 404, description = "No such post, or hidden from the caller")))]
pub(super) async fn post_stats(
    social: Data<Social>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let engine = social.engine();
    limits.check_path(engine, &caller, &request)?;
    caller.require_auth()?;
    let post = {
        let mut conn = engine.read().await?;
        social
            .find_post(&mut conn, &path, Some(&caller.info))
            .await?
    };
    let stats = social.stats(&mut Link::Pool(engine), &post).await?;
    Ok(response::ok_value(&json!({"likesCount": stats.likes,
        "commentsCount": stats.comments, "reactions": stats.reactions})))
}
