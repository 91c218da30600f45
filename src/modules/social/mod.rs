//! Posts, likes and comments.
//!
//! | file | holds |
//! | --- | --- |
//! | `hooks` | what happens inside writes: owners, counters, topic events, notifications |
//! | `service` | liking, commenting, statistics, trending |
//! | `routes` | the handlers |
//! | `script` | the global `social` of scripts |
//!
//! The counters of a post are kept by the writes of likes and comments, inside their transaction, whoever asks for them.
//! Nothing of a private post is told to a topic.

mod error;
mod hooks;
mod routes;
mod script;
mod service;

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig};
use serde_json::Value as Json;
use utoipa::OpenApi;

pub use self::error::Error;
pub use self::service::{Reaction, Social};
use super::{Ground, Module};
use crate::engine::ScriptApi;

/// The collections.
pub const POSTS: &str = "posts";
pub(super) const LIKES: &str = "likes";
pub(super) const COMMENTS: &str = "comments";
/// The topic of public posts.
const TOPIC: &str = "post_events";

#[derive(OpenApi)]
#[openapi(paths(
    routes::create_post,
    routes::list_posts,
    routes::like_post,
    routes::unlike_post,
    routes::comment_post,
    routes::trending_posts,
    routes::post_stats,
))]
struct Description;

pub(super) fn description() -> Json {
    serde_json::to_value(Description::openapi()).unwrap_or_default()
}

pub(super) fn start(ground: &Ground) -> Arc<dyn Module> {
    let engine = &ground.engine;
    engine.register_hook(Arc::new(hooks::Posts::new(ground.live.clone())));
    engine.register_hook(Arc::new(hooks::Likes::new(ground.live.clone())));
    engine.register_hook(Arc::new(hooks::Comments::new(ground.live.clone())));
    Arc::new(Social::new(engine.clone()))
}

impl Module for Social {
    fn configure(&self, config: &mut ServiceConfig) {
        config.app_data(Data::new(self.clone()));
        routes::configure(config);
    }

    fn script_apis(&self) -> Vec<Arc<dyn ScriptApi>> {
        vec![Arc::new(script::Api::new(self.clone()))]
    }
}
