//! Hook scripts, which both servers run unchanged: `scripts/`.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{Kind, Workload, WriteRequest};
use crate::client::write_request;
use crate::site::Site;

pub(super) fn all() -> Vec<Workload> {
    let closed = |name, what, connections, write: WriteRequest| Workload {
        name,
        what,
        kind: Kind::ClosedLoop { connections, write },
    };
    vec![
        closed(
            "route-empty",
            "a script's route that does nothing",
            16,
            empty,
        ),
        closed(
            "route-json",
            "a script's route that parses, transforms and writes 8 kB of JSON",
            16,
            orders,
        ),
        closed(
            "hook-none-1",
            "creates in a collection without hooks",
            1,
            |site, n, out| create(site, "hook_none", n, out),
        ),
        closed(
            "hook-set-1",
            "creates with a hook that sets a field",
            1,
            |site, n, out| create(site, "hook_set", n, out),
        ),
        closed(
            "hook-none-64",
            "creates in a collection without hooks",
            64,
            |site, n, out| create(site, "hook_none", n, out),
        ),
        closed(
            "hook-set-64",
            "creates with a hook that sets a field",
            64,
            |site, n, out| create(site, "hook_set", n, out),
        ),
        closed(
            "hook-set-100",
            "creates with a hook that sets a field",
            100,
            |site, n, out| create(site, "hook_set", n, out),
        ),
        closed(
            "hook-loop-100",
            "the same, while each 2,000th request makes another script loop for half a second",
            100,
            disturbed,
        ),
        closed(
            "hook-save-64",
            "creates with a hook that reads and saves another record",
            64,
            |site, n, out| create(site, "hook_save", n, out),
        ),
    ]
}

fn empty(_: &Site, _: u64, out: &mut Vec<u8>) {
    write_request(out, "POST", "/load/empty", "", Some("{}"));
}

fn orders(_: &Site, _: u64, out: &mut Vec<u8>) {
    static BODY: LazyLock<String> =
        LazyLock::new(|| json!({ "orders": (0..60).map(order).collect::<Vec<_>>() }).to_string());
    write_request(out, "POST", "/load/json", "", Some(&BODY));
}

fn disturbed(site: &Site, n: u64, out: &mut Vec<u8>) {
    if n % 2_000 == 1_000 {
        write_request(out, "POST", "/load/loop", "", Some("{}"));
    } else {
        create(site, "hook_set", n, out);
    }
}

/// About 140 bytes.
fn order(id: u64) -> Value {
    let items: Vec<Value> = (0..id % 4)
        .map(|n| json!({"name": format!("article {id}-{n}"), "price": (id * 7 + n) as f64 / 4.0, "amount": n + 1}))
        .collect();
    json!({"id": id, "customer": format!("customer {}", id % 7), "items": items, "note": "deliver after noon"})
}

fn create(site: &Site, collection: &str, n: u64, out: &mut Vec<u8>) {
    let body =
        json!({"title": format!("Made by request {n}"), "body": "Lorem ipsum dolor sit amet."})
            .to_string();
    let path = format!("/api/collections/{collection}/records");
    write_request(out, "POST", &path, &site.token, Some(&body));
}
