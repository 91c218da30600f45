//! The description of this room's routes.

use serde_json::Value as Json;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(paths(
    super::topics::subscribe_topic,
    super::topics::subscribe_topics,
    super::topics::publish,
    super::channel::open_channel,
    super::notifications::list_notifications,
    super::notifications::read_notifications,
    super::presence::presence_stats,
    super::presence::update_presence,
    super::room::routes::connect_room,
    super::room::routes::answer_room,
    super::room::routes::add_room_candidate,
    super::room::routes::disconnect_room,
))]
struct Description;

/// The routes of this room as an OpenAPI document, to be merged into the whole.
#[must_use]
pub fn description() -> Json {
    serde_json::to_value(Description::openapi()).unwrap_or_default()
}
