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
    let resource = |path: &str| {
        web::resource(format!("/rooms/{{room_id}}{path}"))
            .app_data(ModuleRoute)
            .app_data(BodyLimit(BODY_BYTES_MAX))
    };
    let of_participant = |path: &str| resource(&format!("/participants/{{participant_id}}{path}"));
    config
        .service(resource("/join").route(web::post().to(media::join_room)))
        .service(resource("/participants").route(web::get().to(media::list_participants)))
        .service(of_participant("").route(web::delete().to(media::remove_participant)))
        .service(of_participant("/answer").route(web::post().to(media::answer_offer)))
        .service(of_participant("/candidates").route(web::post().to(media::add_candidate)))
        .service(of_participant("/offer").route(web::post().to(media::offer_media)))
        .service(of_participant("/state").route(web::post().to(media::change_state)))
        .service(of_participant("/kick").route(web::post().to(hosts::kick_participant)))
        .service(of_participant("/mute").route(web::post().to(hosts::mute_participant)))
        .service(resource("/leave-media").route(web::post().to(media::leave_media)))
        .service(
            web::resource("/rooms/{room_id}/messages")
                .app_data(ModuleRoute)
                .app_data(BodyLimit(MESSAGE_BYTES_MAX))
                .route(web::get().to(messages::list_messages))
                .route(web::post().to(messages::send_message)),
        )
        .service(resource("/stats").route(web::get().to(hosts::room_stats)))
        .service(resource("/lock").route(web::post().to(hosts::lock_room)))
        .service(resource("/unlock").route(web::post().to(hosts::unlock_room)))
        .service(resource("/mute-all").route(web::post().to(hosts::mute_all)))
        .service(resource("/end").route(web::post().to(hosts::end_session)))
        .service(resource("/waiting").route(web::get().to(hosts::list_waiting)))
        .service(
            resource("/waiting/{participant_id}/admit").route(web::post().to(hosts::admit_waiting)),
        )
        .service(
            resource("/waiting/{participant_id}/deny").route(web::post().to(hosts::deny_waiting)),
        );
}
