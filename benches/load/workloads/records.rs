//! Records and files: reading, listing, writing.

use serde_json::json;

use super::{Kind, Workload};
use crate::client::write_request;
use crate::site::{AUTHORS, Site, TASKS, mix};

/// `views >= N && published = true`, percent-encoded up to the number.
const FILTER: &str = "filter=published%20%3D%20true%20%26%26%20views%20%3E%3D%20";

pub(super) fn reads() -> Vec<Workload> {
    vec![
        closed(
            "health",
            "GET /api/health: the HTTP layer alone",
            64,
            health,
        ),
        closed("get", "one of 100,000 records by id", 64, get),
        closed(
            "list",
            "30 of 100,000 with filter and sort, skipTotal",
            64,
            list,
        ),
        closed("list-total", "the same with the total", 64, list_total),
        closed(
            "list-expand",
            "30 with expand=owner.team, sort, skipTotal",
            64,
            list_expand,
        ),
        closed(
            "list-rule",
            "30 of 100,000 behind owner.team.members.id ?= @request.auth.id, skipTotal",
            2,
            list_rule,
        ),
        closed(
            "list-rule-total",
            "the same with the total",
            2,
            list_rule_total,
        ),
        closed(
            "list-via-total",
            "30 of 100,000 behind owner.team.memberships_via_team.account ?= @request.auth.id, with the total",
            2,
            list_via_total,
        ),
        closed(
            "list-each-total",
            "30 of 100,000 behind owner.team.members.verified = true (each member), with the total",
            1,
            list_each_total,
        ),
        closed("file", "download of a 64 KiB file", 16, file),
    ]
}

pub(super) fn writes() -> Vec<Workload> {
    vec![
        closed(
            "update",
            "PATCH of two fields of one of 10,000 records",
            64,
            update,
        ),
        closed("create-1", "record creates, signed in", 1, create),
        closed("create-64", "record creates, signed in", 64, create),
    ]
}

fn closed(
    name: &'static str,
    what: &'static str,
    connections: usize,
    write: super::WriteRequest,
) -> Workload {
    Workload {
        name,
        what,
        kind: Kind::ClosedLoop { connections, write },
    }
}

fn health(_: &Site, _: u64, out: &mut Vec<u8>) {
    write_request(out, "GET", "/api/health", "", None);
}

fn get(site: &Site, n: u64, out: &mut Vec<u8>) {
    let id = mix(n) % site.rows;
    let path = format!("/api/collections/posts/records/post{id:011}");
    write_request(out, "GET", &path, "", None);
}

fn list(_: &Site, n: u64, out: &mut Vec<u8>) {
    let views = mix(n) % 500;
    let path = format!(
        "/api/collections/posts/records?perPage=30&sort=-created&skipTotal=1&{FILTER}{views}"
    );
    write_request(out, "GET", &path, "", None);
}

fn list_total(_: &Site, n: u64, out: &mut Vec<u8>) {
    let views = mix(n) % 500;
    let path = format!("/api/collections/posts/records?perPage=30&sort=-created&{FILTER}{views}");
    write_request(out, "GET", &path, "", None);
}

fn list_expand(_: &Site, n: u64, out: &mut Vec<u8>) {
    let page = 1 + mix(n) % 20;
    let path = format!(
        "/api/collections/posts/records?page={page}&perPage=30&sort=-created&skipTotal=1&expand=owner.team"
    );
    write_request(out, "GET", &path, "", None);
}

fn list_rule(site: &Site, _: u64, out: &mut Vec<u8>) {
    let path = "/api/collections/feed/records?perPage=30&sort=-created&skipTotal=1";
    write_request(out, "GET", path, &site.token, None);
}

fn list_rule_total(site: &Site, _: u64, out: &mut Vec<u8>) {
    let path = "/api/collections/feed/records?perPage=30&sort=-created";
    write_request(out, "GET", path, &site.token, None);
}

fn list_via_total(site: &Site, _: u64, out: &mut Vec<u8>) {
    let path = "/api/collections/feed_via/records?perPage=30&sort=-created";
    write_request(out, "GET", path, &site.token, None);
}

fn list_each_total(site: &Site, _: u64, out: &mut Vec<u8>) {
    let path = "/api/collections/feed_each/records?perPage=30&sort=-created";
    write_request(out, "GET", path, &site.token, None);
}

fn file(site: &Site, _: u64, out: &mut Vec<u8>) {
    write_request(out, "GET", &site.file_path, "", None);
}

fn update(site: &Site, n: u64, out: &mut Vec<u8>) {
    let id = mix(n) % TASKS;
    let path = format!("/api/collections/tasks/records/task{id:011}");
    let body =
        json!({"title": format!("Changed by request {n}"), "views": n % 100_000}).to_string();
    write_request(out, "PATCH", &path, &site.token, Some(&body));
}

fn create(site: &Site, n: u64, out: &mut Vec<u8>) {
    let body = json!({
        "title": format!("Made by request {n}"),
        "body": "Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy eirmod tempor.",
        "views": n % 1000,
        "published": n.is_multiple_of(2),
        "category": "howto",
        "owner": format!("auth{:011}", mix(n) % AUTHORS),
    })
    .to_string();
    let path = "/api/collections/items/records";
    write_request(out, "POST", path, &site.token, Some(&body));
}
