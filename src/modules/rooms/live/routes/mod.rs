//! The routes of live rooms: `media` (joining and signalling), `messages`, `hosts` (what owner and admins can do).

mod hosts;
mod media;
mod messages;

use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi;

use crate::http::{BodyLimit, ModuleRoute};

/// A session description of many tracks, and its frame.
const BODY_BYTES_MAX: u64 = 512 << 10;
/// Room for a file of 20 MB and the fields beside it.
const MESSAGE_BYTES_MAX: u64 = 21 << 20;
const ID_CHARS_MAX: usize = 64;

#[derive(OpenApi)]
#[openapi(paths(
    media::join_room,
    media::list_participants,
    media::answer_offer,
    media::add_candidate,
    media::offer_media,
    media::change_state,
    media::remove_participant,
    media::leave_media,
    messages::list_messages,
    messages::send_message,
    hosts::kick_participant,
    hosts::mute_participant,
    hosts::room_stats,
    hosts::lock_room,
    hosts::unlock_room,
    hosts::mute_all,
    hosts::end_session,
    hosts::list_waiting,
    hosts::admit_waiting,
    hosts::deny_waiting,
))]
pub(super) struct Description;

pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(
        web::resource("/rooms/{room_id}/messages")
            .app_data(ModuleRoute)
            .app_data(BodyLimit(MESSAGE_BYTES_MAX))
            .route(web::get().to(messages::list_messages))
            .route(web::post().to(messages::send_message)),
    );
    for (path, route) in [
        ("/rooms/{room_id}/join", web::post().to(media::join_room)),
        (
            "/rooms/{room_id}/leave-media",
            web::post().to(media::leave_media),
        ),
        (
            "/rooms/{room_id}/participants",
            web::get().to(media::list_participants),
        ),
        (
            "/rooms/{room_id}/participants/{participant_id}",
            web::delete().to(media::remove_participant),
        ),
        (
            "/rooms/{room_id}/participants/{participant_id}/answer",
            web::post().to(media::answer_offer),
        ),
        (
            "/rooms/{room_id}/participants/{participant_id}/candidates",
            web::post().to(media::add_candidate),
        ),
        (
            "/rooms/{room_id}/participants/{participant_id}/offer",
            web::post().to(media::offer_media),
        ),
        (
            "/rooms/{room_id}/participants/{participant_id}/state",
            web::post().to(media::change_state),
        ),
        (
            "/rooms/{room_id}/participants/{participant_id}/kick",
            web::post().to(hosts::kick_participant),
        ),
        (
            "/rooms/{room_id}/participants/{participant_id}/mute",
            web::post().to(hosts::mute_participant),
        ),
        ("/rooms/{room_id}/stats", web::get().to(hosts::room_stats)),
        ("/rooms/{room_id}/lock", web::post().to(hosts::lock_room)),
        (
            "/rooms/{room_id}/unlock",
            web::post().to(hosts::unlock_room),
        ),
        ("/rooms/{room_id}/mute-all", web::post().to(hosts::mute_all)),
        ("/rooms/{room_id}/end", web::post().to(hosts::end_session)),
        (
            "/rooms/{room_id}/waiting",
            web::get().to(hosts::list_waiting),
        ),
        (
            "/rooms/{room_id}/waiting/{participant_id}/admit",
            web::post().to(hosts::admit_waiting),
        ),
        (
            "/rooms/{room_id}/waiting/{participant_id}/deny",
            web::post().to(hosts::deny_waiting),
        ),
    ] {
        let resource = web::resource(path)
            .app_data(ModuleRoute)
            .app_data(BodyLimit(BODY_BYTES_MAX));
        config.service(resource.route(route));
    }
}
