//! Notifications: stored for a user, pushed to the user's channel, and told to the topic `notifications`.

use std::sync::Arc;

use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value as Json, json};

use super::channel::{Envelope, NOTIFICATION_KEY};
use super::collections::{NOTIFICATIONS, is_ours};
use super::publication;
use super::{Error, Live, Publication};
use crate::base::json as text;
use crate::bus::Message;
use crate::engine::hooks::{Committed, Op, RecordHook};
use crate::engine::records::ListParams;
use crate::engine::{self, Engine, RequestInfo};
use crate::http::rate::RateLimits;
use crate::http::{
    ApiError, BodyLimit, Caller, ModuleRoute, Paging, Query, body, json as response,
};
use crate::model::{Collection, FieldError, FieldErrors, Record, Value};
use crate::store::Tx;
use crate::store::records;
use crate::store::search::Condition;

/// Most ids of one request, and most records that are marked in one transaction.
const IDS_MAX: usize = 1_000;
const OWN: &str = "user = @request.auth.id";
const OWN_UNREAD: &str = "user = @request.auth.id && readAt = ''";
const BODY_BYTES_MAX: u64 = 64 << 10;
/// What a notification's `data` may hold beside its record's own bound.
const DATA_BYTES_MAX: usize = 64 << 10;

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/user/notifications")
                .app_data(ModuleRoute)
                .route(web::get().to(list_notifications)),
        )
        .service(
            web::resource("/user/notifications/read")
                .app_data(ModuleRoute)
                .app_data(BodyLimit(BODY_BYTES_MAX))
                .route(web::post().to(read_notifications)),
        );
}

/// What a user is told.
#[derive(Clone, Copy, Debug)]
pub struct Notification<'a> {
    /// The id of a record of `users`.
    pub user: &'a str,
    /// Its type, such as `post_liked`.
    pub kind: &'a str,
    /// For people; may be empty.
    pub title: &'a str,
    /// For people; may be empty.
    pub message: &'a str,
    /// For programs: an object with the ids of what it is about. 64 KiB at most.
    pub data: &'a Json,
}

impl Live {
    /// Stores a notification with the transaction, and pushes it once that is committed: to the user's channels as
    /// `{"type":kind,"id":..,"data":data,..}` and to the topic `notifications`. Gives the record's id; where there is no
    /// collection for it, it is pushed alone.
    ///
    /// # Errors
    /// Those of saving the record: an unknown user, data that is too long.
    pub async fn notify(
        &self,
        tx: &mut Tx,
        notification: Notification<'_>,
    ) -> Result<Option<String>, Error> {
        let Notification {
            user,
            kind,
            title,
            message,
            data,
        } = notification;
        let encoded = data.to_string();
        if encoded.len() > DATA_BYTES_MAX {
            return Err(Error::PayloadTooLong {
                max: DATA_BYTES_MAX,
            });
        }
        let collection = tx.schema().find(NOTIFICATIONS).cloned();
        if let Some(collection) = collection.filter(|collection| is_ours(collection)) {
            let mut record = Record::new(collection);
            for (field, value) in [
                ("user", user),
                ("type", kind),
                ("title", title),
                ("message", message),
            ] {
                record.set(field, value.into());
            }
            record.set("data", Value::Json(encoded));
            // The hook pushes it, as those that others store.
            let saved = self.engine().save(tx, record).await?;
            return Ok(Some(saved.id().to_owned()));
        }
        let live = self.clone();
        let [user, kind, title, message] = [user, kind, title, message].map(str::to_owned);
        tx.on_commit(Box::new(move || {
            live.push_notification(&Pushed {
                id: None,
                user: &user,
                kind: &kind,
                title: &title,
                message: &message,
                data: &encoded,
            });
        }));
        Ok(None)
    }

    /// Tells the user's channels and the topic of a notification.
    fn push_notification(&self, pushed: &Pushed<'_>) {
        let envelope = Envelope {
            kind: pushed.kind,
            id: pushed.id,
            data: pushed.data.as_bytes(),
            timestamp: self.engine().now().unix(),
            ..Envelope::default()
        };
        let message = Message::new(envelope.to_json()).keyed(NOTIFICATION_KEY);
        self.push_message(pushed.user, message);
        let mut payload = Vec::with_capacity(pushed.data.len() + 160);
        payload.extend_from_slice(b"{\"id\":");
        match pushed.id {
            Some(id) => text::write_str(&mut payload, id),
            None => payload.extend_from_slice(b"null"),
        }
        for (name, value) in [
            ("user_id", pushed.user),
            ("type", pushed.kind),
            ("title", pushed.title),
            ("message", pushed.message),
        ] {
            payload.push(b',');
            text::write_str(&mut payload, name);
            payload.push(b':');
            text::write_str(&mut payload, value);
        }
        payload.extend_from_slice(b",\"data\":");
        payload.extend_from_slice(pushed.data.as_bytes());
        payload.push(b'}');
        let sent = publication::topic(NOTIFICATIONS)
            .and_then(|topic| Publication::encoded(topic, payload.into()))
            .and_then(|publication| self.send(publication));
        if let Err(error) = sent {
            tracing::warn!(%error, "a notification is not told to its topic");
        }
    }
}

/// A notification on its way to those who are there.
struct Pushed<'a> {
    id: Option<&'a str>,
    user: &'a str,
    kind: &'a str,
    title: &'a str,
    message: &'a str,
    /// JSON text.
    data: &'a str,
}

/// Pushes what is stored, whoever stores it. Clients may change `readAt` alone.
pub(super) struct StoredNotifications(pub(super) Live);

impl RecordHook for StoredNotifications {
    fn wants(&self, collection: &Collection) -> bool {
        collection.name == NOTIFICATIONS && is_ours(collection)
    }

    fn is_settable(&self, _collection: &Collection, field: &str) -> bool {
        field == "readAt"
    }

    fn committed(&self, _engine: &Engine, event: &Committed) {
        if event.op != Op::Create {
            return;
        }
        let record = &event.record;
        let data = match record.get("data") {
            Some(Value::Json(data)) if !data.is_empty() => data,
            _ => "null",
        };
        self.0.push_notification(&Pushed {
            id: Some(record.id()),
            user: record.text("user"),
            kind: record.text("type"),
            title: record.text("title"),
            message: record.text("message"),
            data,
        });
    }
}

/// The caller's notifications, newest first.
#[utoipa::path(get, path = "/api/user/notifications", tag = "user",
    params(("unread" = Option<bool>, Query, description = "Those that are not read alone"),
        ("page" = Option<u64>, Query, description = "From 1"), ("perPage" = Option<u64>, Query, description = "1 to 1000, default 30")),
    responses((status = 200, description = "notifications, count, unread, page, perPage, totalItems"), (status = 401, description = "Signing in is needed")))]
pub(super) async fn list_notifications(
    live: Data<Live>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(live.engine(), &caller, &request)?;
    caller.require_auth()?;
    let query = Query::of(&request);
    let paging = Paging::of(&query)?;
    let unread_alone = match query.text("unread") {
        "" | "false" | "0" => false,
        "true" | "1" => true,
        _ => return Err(refused("unread", "Must be true or false.")),
    };
    let engine = live.engine();
    let (found, total, unread) = match collection(engine) {
        None => (Vec::new(), 0, 0),
        Some(collection) => {
            let params = ListParams {
                page: u64::from(paging.page),
                per_page: u64::from(paging.per_page),
                filter: if unread_alone { OWN_UNREAD } else { OWN }.to_owned(),
                sort: "-created,-id".to_owned(),
                ..ListParams::default()
            };
            let (found, total) = engine
                .list_unruled(&collection, &params, Some(&caller.info))
                .await?;
            let unread = unread_count(engine, &collection, &caller.info).await?;
            (found, total, unread)
        }
    };
    let mut out = b"{\"notifications\":[".to_vec();
    for (index, record) in found.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        record.write_json(&mut out, &crate::model::ExportView::default());
    }
    out.push(b']');
    for (name, number) in [
        ("count", found.len() as u64),
        ("unread", unread),
        ("page", u64::from(paging.page)),
        ("perPage", u64::from(paging.per_page)),
        ("totalItems", total),
    ] {
        out.push(b',');
        text::write_str(&mut out, name);
        out.push(b':');
        text::write_u64(&mut out, number);
    }
    out.push(b'}');
    Ok(response::ok(out))
}

/// Marks notifications of the caller as read.
#[utoipa::path(post, path = "/api/user/notifications/read", tag = "user",
    request_body(content = serde_json::Value, description = "`{\"ids\":[..]}` or `{\"all\":true}`"),
    responses((status = 200, description = "success, and how many are unread"), (status = 400, description = "Neither ids nor all"),
        (status = 401, description = "Signing in is needed")))]
pub(super) async fn read_notifications(
    live: Data<Live>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(live.engine(), &caller, &request)?;
    caller.require_auth()?;
    let limit = BodyLimit::of(&request);
    let body = body::read(&request, &mut payload.into_inner(), limit).await?;
    let wanted = wanted(&body.fields)?;
    let engine = live.engine();
    let unread = match collection(engine) {
        None => 0,
        Some(collection) => {
            mark_read(engine, &collection, &caller.info, wanted).await?;
            unread_count(engine, &collection, &caller.info).await?
        }
    };
    Ok(response::ok_value(
        &json!({"success": true, "unread": unread}),
    ))
}

/// The ids to mark; `None` is all.
fn wanted(body: &Map<String, Json>) -> Result<Option<Vec<String>>, ApiError> {
    match body.get("all") {
        None | Some(Json::Null | Json::Bool(false)) => {}
        Some(Json::Bool(true)) => return Ok(None),
        Some(_) => return Err(refused("all", "Must be true or false.")),
    }
    let ids = match body.get("ids") {
        None | Some(Json::Null) => return Err(refused("ids", "Cannot be blank.")),
        Some(Json::Array(ids)) => ids,
        Some(_) => return Err(refused("ids", "Must be a list of ids.")),
    };
    if ids.len() > IDS_MAX {
        return Err(refused("ids", "Must be no more than 1000 ids."));
    }
    let texts = ids.iter().map(|id| id.as_str().map(str::to_owned));
    let texts: Option<Vec<String>> = texts.collect();
    texts
        .map(Some)
        .ok_or_else(|| refused("ids", "Must be a list of ids."))
}

fn refused(field: &str, message: &str) -> ApiError {
    let error = FieldError::new("validation_invalid_value", message);
    ApiError::validation(
        crate::base::code::BODY_INVALID,
        &FieldErrors::one(field, error),
    )
}

fn collection(engine: &Engine) -> Option<Arc<Collection>> {
    let schema = engine.schema();
    let found = schema.find(NOTIFICATIONS).filter(|found| is_ours(found));
    found.cloned()
}

fn own_unread(
    engine: &Engine,
    collection: &Arc<Collection>,
    request: &RequestInfo,
) -> Result<Condition, engine::Error> {
    let schema = engine.schema();
    engine.condition(&schema, collection, OWN_UNREAD, Some(request), true)
}

async fn unread_count(
    engine: &Engine,
    collection: &Arc<Collection>,
    request: &RequestInfo,
) -> Result<u64, engine::Error> {
    let condition = own_unread(engine, collection, request)?;
    let mut conn = engine.read().await?;
    Ok(records::count(&mut conn, collection, &condition).await?)
}

/// Sets `readAt` of the user's own records among `ids`, or of all that are unread. What is read already stays.
async fn mark_read(
    engine: &Engine,
    collection: &Arc<Collection>,
    request: &RequestInfo,
    ids: Option<Vec<String>>,
) -> Result<(), engine::Error> {
    let unread = own_unread(engine, collection, request)?;
    if let Some(ids) = ids {
        mark_batch(engine, collection, ids, unread).await?;
        return Ok(());
    }
    loop {
        let params = ListParams {
            page: 1,
            per_page: IDS_MAX as u64,
            filter: OWN_UNREAD.to_owned(),
            ..ListParams::default()
        };
        let (found, _) = engine
            .list_unruled(collection, &params, Some(request))
            .await?;
        let ids: Vec<String> = found.iter().map(|record| record.id().to_owned()).collect();
        if ids.is_empty() || mark_batch(engine, collection, ids, unread.clone()).await? == 0 {
            return Ok(());
        }
    }
}

async fn mark_batch(
    engine: &Engine,
    collection: &Arc<Collection>,
    ids: Vec<String>,
    unread: Condition,
) -> Result<usize, engine::Error> {
    let (writer, collection) = (engine.clone(), Arc::clone(collection));
    engine
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                let found = records::find_many(tx, &collection, &ids, &unread).await?;
                let count = found.len();
                let now = Value::Text(writer.now().to_string());
                for mut record in found {
                    record.set("readAt", now.clone());
                    writer.save(tx, record).await?;
                }
                Ok(count)
            })
        })
        .await
}
