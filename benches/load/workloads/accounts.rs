//! Signing in and staying signed in.

use serde_json::json;

use super::{Kind, Workload};
use crate::client::write_request;
use crate::site::{Site, USER_EMAIL, USER_PASSWORD};

pub(super) fn all() -> Vec<Workload> {
    vec![
        Workload {
            name: "auth-refresh",
            what: "a new token for a signed-in user",
            kind: Kind::ClosedLoop {
                connections: 64,
                write: refresh,
            },
        },
        Workload {
            name: "sign-in",
            what: "password sign-in; each server verifies the hash it makes (ours argon2id, PocketBase bcrypt cost 10)",
            kind: Kind::ClosedLoop {
                connections: 8,
                write: sign_in,
            },
        },
    ]
}

fn refresh(site: &Site, _: u64, out: &mut Vec<u8>) {
    let path = "/api/collections/accounts/auth-refresh";
    write_request(out, "POST", path, &site.token, Some("{}"));
}

fn sign_in(_: &Site, _: u64, out: &mut Vec<u8>) {
    let body = json!({"identity": USER_EMAIL, "password": USER_PASSWORD}).to_string();
    let path = "/api/collections/accounts/auth-with-password";
    write_request(out, "POST", path, "", Some(&body));
}
