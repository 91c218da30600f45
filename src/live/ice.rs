//! The STUN and TURN servers that clients are told of.

use serde_json::{Value as Json, json};

use crate::base::digest;
use crate::engine::Engine;
use crate::engine::settings::own::Rtc;

/// The `iceServers` of a browser's `RTCPeerConnection`, for a user or guest: `[{"urls":[..]},{"urls":[..],"username",
/// "credential"}]`. TURN servers come with credentials that expire, as the TURN REST API has them (draft-uberti-behave-turn-rest-00);
/// without a shared secret they are left out, since browsers refuse TURN URLs without credentials.
#[must_use]
pub fn ice_servers(engine: &Engine, user_id: &str) -> Json {
    list(&engine.own_settings().rtc, user_id, engine.now().unix())
}

fn list(settings: &Rtc, user_id: &str, now_s: i64) -> Json {
    let is_turn = |url: &&String| url.starts_with("turn:") || url.starts_with("turns:");
    let (turn, stun): (Vec<_>, Vec<_>) = settings.ice_servers.iter().partition(is_turn);
    let mut servers = Vec::new();
    if !stun.is_empty() {
        servers.push(json!({"urls": stun}));
    }
    if let (false, Some(secret)) = (turn.is_empty(), &settings.turn_secret) {
        let expires_s = now_s.saturating_add(settings.turn_minutes.saturating_mul(60));
        let username = format!("{expires_s}:{user_id}");
        let credential = digest::hs1_base64(&username, secret);
        servers.push(json!({"urls": turn, "username": username, "credential": credential}));
    }
    servers.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(urls: &[&str], secret: Option<&str>) -> Rtc {
        Rtc {
            ice_servers: urls.iter().map(|url| (*url).to_owned()).collect(),
            turn_secret: secret.map(str::to_owned),
            turn_minutes: 10,
        }
    }

    #[test]
    fn turn_servers_come_with_credentials_that_expire() {
        let urls = ["turn:b?transport=tcp", "stun:a:3478"];
        let servers = list(&settings(&urls, Some("north by northwest")), "ann", 1_000);
        let expected = json!([
            {"urls": ["stun:a:3478"]},
            {"urls": ["turn:b?transport=tcp"], "username": "1600:ann",
                "credential": digest::hs1_base64("1600:ann", "north by northwest")},
        ]);
        assert_eq!(servers, expected);
    }

    #[test]
    fn turn_servers_without_a_secret_are_left_out() {
        assert_eq!(list(&settings(&["turns:b"], None), "ann", 0), json!([]));
        assert_eq!(
            list(&settings(&[], Some("long enough")), "ann", 0),
            json!([])
        );
    }
}
