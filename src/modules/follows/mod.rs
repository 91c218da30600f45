//! Following people: free, by approval, or paid.
//!
//! | file | holds |
//! | --- | --- |
//! | `state` | what a row of `follows` says |
//! | `settings` | on which terms people can be followed |
//! | `hooks` | what happens inside writes of follows: asking, paying, notifications |
//! | `service` | leaving, deciding, lists |
//! | `audience` | what followers hear: new posts, presence |
//! | `till` | charges |
//! | `routes` | the handlers |
//!
//! A row exists once per pair. Whoever writes a new one asks, and a row that was rejected or has expired begins anew. A
//! banned row stays, so that it cannot be asked for again.

mod audience;
mod error;
mod hooks;
mod routes;
mod service;
mod settings;
mod state;
mod till;

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig};
use serde_json::Value as Json;
use utoipa::OpenApi;

pub use self::error::Error;
pub use self::service::{Actor, Decision, Following, Side};
pub use self::settings::{FollowType, Terms};
pub use self::state::{Role, Status};
use super::expiry::{Ending, Expiry};
use super::{Ground, Module};
use crate::model::{Collection, Record};
use crate::store::{Conn, Tx, records};

/// The collections.
pub const FOLLOWS: &str = "follows";
const SETTINGS: &str = "followSettings";
const USERS: &str = "users";

#[derive(OpenApi)]
#[openapi(paths(
    routes::follow_settings,
    routes::change_follow_settings,
    routes::follow_user,
    routes::unfollow_user,
    routes::list_followers,
    routes::list_following,
    routes::remove_follow,
    routes::approve_follow,
    routes::reject_follow,
    routes::promote_follow,
    routes::demote_follow,
    routes::ban_follow,
    routes::unban_follow,
))]
struct Description;

pub(super) fn description() -> Json {
    serde_json::to_value(Description::openapi()).unwrap_or_default()
}

pub(super) fn start(ground: &Ground) -> Arc<dyn Module> {
    let engine = &ground.engine;
    let till = till::Till::of(ground);
    engine.register_hook(Arc::new(settings::Settings {
        has_market: till.is_open(),
    }));
    engine.register_hook(Arc::new(hooks::Follows {
        live: ground.live.clone(),
        till: till.clone(),
        expiry: Expiry::start(engine, ground.live.stop(), ending()),
    }));
    if ground.has("social") {
        let posts = audience::NewPosts::start(engine.clone(), ground.live.clone());
        engine.register_hook(Arc::new(posts));
    }
    let presence = ground.live.presence();
    presence.set_visibility(Box::new(audience::Followers));
    Arc::new(Following::new(engine.clone(), till))
}

/// The end of paid periods.
fn ending() -> Ending {
    Ending {
        job: "followsExpiry",
        collection: FOLLOWS,
        statuses: &["active"],
        note: Arc::new(|engine, tx, mut row| {
            Box::pin(async move {
                state::set_status(&mut row, Status::Expired);
                engine.save(tx, row).await.map(drop)
            })
        }),
    }
}

impl Module for Following {
    fn configure(&self, config: &mut ServiceConfig) {
        config.app_data(Data::new(self.clone()));
        routes::configure(config);
    }
}

/// The row of a pair, if there is one.
async fn find_pair(tx: &mut Tx, follower: &str, following: &str) -> Result<Option<Record>, Error> {
    let Some(follows) = tx.schema().find(FOLLOWS).cloned() else {
        return Ok(None);
    };
    pair_in(tx, &follows, follower, following).await
}

async fn pair_in(
    conn: &mut Conn,
    follows: &Arc<Collection>,
    follower: &str,
    following: &str,
) -> Result<Option<Record>, Error> {
    let pair = [
        (state::FOLLOWER, follower.into()),
        (state::FOLLOWING, following.into()),
    ];
    let found = records::find_all_by_fields(conn, follows, &pair).await?;
    Ok(found.into_iter().next())
}
