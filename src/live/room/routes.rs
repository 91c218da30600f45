//! `/api/user/room`: connecting and disconnecting.

use std::sync::Arc;

use actix_web::http::header::{HOST, HeaderValue, USER_AGENT};
use actix_web::web::{Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value as Json, json};
use tokio::sync::mpsc;

use super::LABEL;
use super::conversation::{Conversation, Origin, PeerWire};
use super::rooms::{End, Open};
use crate::base::code::{AUTH_REQUIRED, Code};
use crate::base::id::random_id;
use crate::http::rate::RateLimits;
use crate::http::{ApiError, BodyLimit, Caller, ModuleRoute, body, json as response};
use crate::live::channel::topic_of;
use crate::live::topics::{book, lifetime};
use crate::live::{Live, ice_servers};
use crate::sfu::{self, Candidate, Channel, Join, Media, PeerId, Publishing};

/// Most bytes of a description with what is around it.
const BODY_BYTES_MAX: u64 = 64 << 10;

pub(in crate::live) fn configure(config: &mut ServiceConfig) {
    for (path, route) in [
        ("/user/room/connect", web::post().to(connect_room)),
        ("/user/room/answer", web::post().to(answer_room)),
        ("/user/room/candidates", web::post().to(add_room_candidate)),
        ("/user/room/disconnect", web::post().to(disconnect_room)),
    ] {
        config.service(
            web::resource(path)
                .app_data(ModuleRoute)
                .app_data(BodyLimit(BODY_BYTES_MAX))
                .route(route),
        );
    }
}

/// Opens the caller's room: gives the server's offer, with one data channel, `api`, and all candidates. Another room of the
/// caller ends.
#[utoipa::path(post, path = "/api/user/room/connect", tag = "user",
    responses((status = 200, description = "user_id, peer_id, sdp (type and sdp of the offer), ice_servers"),
        (status = 401, description = "Signing in is needed"), (status = 429, description = "Too many connections"),
        (status = 503, description = "No room for another connection")))]
pub(in crate::live) async fn connect_room(
    live: Data<Live>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(live.engine(), &caller, &request)?;
    let user = Arc::clone(caller.require_auth()?);
    let token = caller.token.as_deref().unwrap_or_default();
    let authorization = HeaderValue::from_str(token)
        .ok()
        .filter(|token| !token.is_empty())
        .ok_or_else(|| ApiError::unauthorized(AUTH_REQUIRED))?;
    let closed = || ApiError::new(Code::Unavailable, "Rooms are closed.");
    let sfu = live.sfu().ok_or_else(closed)?;
    let dispatch = live.parts().dispatch.get().ok_or_else(closed)?;
    let lane = dispatch.lane().ok_or_else(closed)?;
    let topic = topic_of(user.id())?;
    let (subscriber, guard) = book(&live, &caller, vec![topic.clone()]).await?;
    let (session, events) = sfu.open();
    let peer = PeerId::new(&random_id());
    let join = Join {
        peer: peer.clone(),
        media: Media::None,
        is_simulcast: false,
        channels: vec![Channel {
            label: LABEL,
            is_reliable: true,
        }],
        publishing: Publishing::default(),
    };
    let offer = session.join(join).await.map_err(refused)?;
    let (end, ends) = mpsc::unbounded_channel();
    let answer = json!({
        "user_id": user.id(),
        "peer_id": peer.as_str(),
        "sdp": {"type": "offer", "sdp": offer},
        "ice_servers": ice_servers(live.engine(), user.id()),
    });
    let header = |name| request.headers().get(name).cloned();
    let conversation = Conversation {
        live: Live::clone(&live),
        lane: lane.clone(),
        wire: PeerWire::new(session.clone(), peer.clone()),
        origin: Arc::new(Origin {
            user: Arc::clone(&user),
            authorization,
            ip: caller.ip.parse().ok(),
            host: header(HOST),
            user_agent: header(USER_AGENT),
        }),
        events,
        ends,
        subscriber,
        topic,
        lifetime: lifetime(&live, &caller),
    };
    let rooms = live.parts().rooms.clone();
    let open = Open {
        session,
        peer: peer.clone(),
        end,
    };
    rooms.enter(&user, open);
    lane.spawn(async move {
        // The booking lasts as long as the room.
        let _guard = guard;
        conversation.run().await;
        rooms.leave(&user, &peer);
    });
    Ok(response::ok_value(&answer))
}

/// The client's answer to the offer.
#[utoipa::path(post, path = "/api/user/room/answer", tag = "user",
    request_body(content = serde_json::Value, description = "`{\"type\":\"answer\",\"sdp\":\"..\"}`, and the `peer_id` that came with the offer, where several tabs connect"),
    responses((status = 200, description = "status: connected"), (status = 400, description = "The description is not usable"),
        (status = 401, description = "Signing in is needed"), (status = 404, description = "The caller has no room"),
        (status = 409, description = "Another connection has taken its place, or there is no offer to answer")))]
pub(in crate::live) async fn answer_room(
    live: Data<Live>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(live.engine(), &caller, &request)?;
    let (open, fields) = opened(&live, &caller, &request, payload).await?;
    let description = match fields.get("sdp") {
        Some(Json::Object(nested)) => nested,
        _ => &fields,
    };
    let sdp = description.get("sdp").and_then(Json::as_str);
    let sdp = sdp.ok_or_else(|| ApiError::bad_request("sdp must be a text."))?;
    let sent = open.session.answer(&open.peer, sdp.to_owned(), None);
    sent.await.map_err(refused)?;
    Ok(response::ok_value(&json!({"status": "connected"})))
}

/// A candidate of the client. None is needed: the server learns where the client is from its packets.
#[utoipa::path(post, path = "/api/user/room/candidates", tag = "user",
    request_body(content = serde_json::Value, description = "`{\"candidate\",\"sdpMid\",\"sdpMLineIndex\"}`"),
    responses((status = 200, description = "status: ok"), (status = 400, description = "No candidate"),
        (status = 401, description = "Signing in is needed"), (status = 404, description = "The caller has no room")))]
pub(in crate::live) async fn add_room_candidate(
    live: Data<Live>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(live.engine(), &caller, &request)?;
    let (open, fields) = opened(&live, &caller, &request, payload).await?;
    let candidate = match fields.get("candidate") {
        Some(Json::Object(nested)) => nested,
        _ => &fields,
    };
    let text = match candidate.get("candidate") {
        None | Some(Json::Null) => "",
        Some(Json::String(text)) => text,
        Some(_) => return Err(ApiError::bad_request("candidate must be a text.")),
    };
    let line = candidate.get("sdpMLineIndex").and_then(Json::as_u64);
    let candidate = Candidate {
        candidate: text.to_owned(),
        mid: candidate
            .get("sdpMid")
            .and_then(Json::as_str)
            .map(str::to_owned),
        line: line.and_then(|line| line.try_into().ok()),
    };
    let added = open.session.candidate(&open.peer, candidate);
    added.await.map_err(refused)?;
    Ok(response::ok_value(&json!({"status": "ok"})))
}

/// Ends the caller's room in an orderly way: if it was the user's last connection, the user is offline at once. Without a
/// room it does nothing.
#[utoipa::path(post, path = "/api/user/room/disconnect", tag = "user",
    responses((status = 200, description = "success"), (status = 401, description = "Signing in is needed")))]
pub(in crate::live) async fn disconnect_room(
    live: Data<Live>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(live.engine(), &caller, &request)?;
    let user = caller.require_auth()?;
    if let Some(open) = live.parts().rooms.of(user) {
        let _ = open.end.send(End::Disconnected);
    }
    Ok(response::ok_value(&json!({"success": true})))
}

/// The caller's room, and the body. A body that names another connection than the newest is late.
async fn opened(
    live: &Live,
    caller: &Caller,
    request: &HttpRequest,
    payload: Payload,
) -> Result<(Open, Map<String, Json>), ApiError> {
    let user = caller.require_auth()?;
    let limit = BodyLimit::of(request);
    let fields = body::read(request, &mut payload.into_inner(), limit)
        .await?
        .fields;
    let open = live.parts().rooms.of(user).ok_or_else(no_room)?;
    match fields.get("peer_id") {
        None | Some(Json::Null) => {}
        Some(Json::String(peer)) if *peer == *open.peer.as_str() => {}
        Some(_) => {
            let text = "Another connection has taken the place of this one.";
            return Err(ApiError::new(Code::Conflict, text));
        }
    }
    Ok((open, fields))
}

fn no_room() -> ApiError {
    ApiError::not_found("You have no open room: connect first.")
}

fn refused(error: sfu::Error) -> ApiError {
    match error {
        sfu::Error::Closed | sfu::Error::UnknownPeer => no_room(),
        sfu::Error::WrongState | sfu::Error::Glare | sfu::Error::PeerExists => {
            ApiError::new(Code::Conflict, error.to_string())
        }
        sfu::Error::Full => ApiError::new(Code::Unavailable, error.to_string()),
        sfu::Error::BadDescription(_) | sfu::Error::BadCandidate => {
            ApiError::bad_request(error.to_string())
        }
        sfu::Error::Internal(source) => ApiError::internal(source),
    }
}
