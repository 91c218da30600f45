//! Every operation of the API description is open on purpose, or refuses a guest.

use serde_json::{Value, json};

use crate::support::fields::{closed, open, text};
use crate::support::{TestApp, is_peer};

/// What guests may call. `{collection}` and its like stand as in the description.
const OPEN: &[(&str, &str)] = &[
    ("get", "/api/health"),
    ("get", "/api/openapi"),
    // Rules decide about records; the collections here are closed.
    ("get", "/api/collections/{collection}/auth-methods"),
    ("get", "/api/realtime"),
    // Their list rules leave guests nothing to see, as in PocketBase.
    ("get", "/api/collections/_authOrigins/records"),
    ("get", "/api/collections/_externalAuths/records"),
    ("get", "/api/collections/_mfas/records"),
    ("get", "/api/collections/_otps/records"),
];

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

async fn operations(app: &TestApp) -> Vec<(String, String)> {
    let description = app.superuser().get("/api/openapi").await.expect(200);
    assert!(
        description["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in METHODS {
            if item.get(method).is_some() {
                operations.push((method.to_owned(), path.clone()));
            }
        }
    }
    operations
}

#[tokio::test]
async fn each_operation_is_open_on_purpose_or_refuses_a_guest() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    app.collection(closed("secrets", [text("title")])).await;
    let (guest, root) = (app.guest(), app.superuser());
    for rule in [
        "listRule",
        "viewRule",
        "createRule",
        "updateRule",
        "deleteRule",
    ] {
        root.patch("/api/collections/users", json!({rule: null}))
            .await
            .expect(200);
    }
    let id = root.create_id("secrets", json!({"title": "a"})).await;
    let operations = operations(&app).await;
    assert!(operations.len() > 15, "{operations:?}");
    let mut wrong = Vec::new();
    for (method, path) in &operations {
        let open = OPEN.contains(&(method, path));
        let real = path
            .replace("{collection}", if open { "users" } else { "secrets" })
            .replace("{id}", &id);
        let real = real.replace("{record}", &id).replace(['{', '}'], "");
        let answer = match method.as_str() {
            // The stream never ends; connecting tells enough, and that it is open.
            "get" if path == "/api/realtime" => {
                guest.sse().await;
                continue;
            }
            "get" => guest.get(&real).await,
            "post" => guest.post(&real, json!({})).await,
            "put" => guest.put(&real, json!({})).await,
            "patch" => guest.patch(&real, json!({})).await,
            _ => guest.delete(&real).await,
        };
        if answer.status == 200 && path.ends_with("/records") {
            assert_eq!(answer.json()["items"], json!([]), "{method} {path}");
        }
        let refused = matches!(answer.status, 400 | 401 | 403 | 404);
        if refused == open {
            wrong.push(format!(
                "{method} {path} ({}): {answer:?}",
                if open { "open" } else { "not open" }
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (method, path) in OPEN {
        let known = operations
            .iter()
            .any(|(m, p)| (m.as_str(), p.as_str()) == (*method, *path));
        assert!(
            known,
            "{method} {path} is listed as open and not in the description"
        );
    }
    assert_eq!(root.count("secrets").await, 1);
}

#[tokio::test]
async fn the_description_names_what_its_reader_may_reach() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    app.collection(open(
        "posts",
        [
            text("title"),
            json!({"type": "text", "name": "inner", "hidden": true}),
        ],
    ))
    .await;
    app.collection(closed("secrets", [text("title")])).await;
    let described = |description: &Value, name: &str| {
        let path = format!("/api/collections/{name}/records");
        let schema = &description["components"]["schemas"][name]["properties"];
        (description["paths"].get(&path).is_some(), schema.clone())
    };
    let for_guest = app.guest().get("/api/openapi").await.expect(200);
    let for_root = app.superuser().get("/api/openapi").await.expect(200);
    let (there, schema) = described(&for_guest, "posts");
    assert!(there && schema.get("title").is_some() && schema.get("inner").is_none());
    assert!(!described(&for_guest, "secrets").0 && !described(&for_guest, "_superusers").0);
    let (there, schema) = described(&for_root, "posts");
    assert!(there && schema.get("inner").is_some());
    assert!(described(&for_root, "secrets").0 && described(&for_root, "_superusers").0);
}

#[tokio::test]
async fn every_route_is_described() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().modules("all").start().await;
    let described: Vec<_> = operations(&app)
        .await
        .into_iter()
        .map(|(method, path)| (method, unnamed(&path)))
        .collect();
    let routes = routes();
    assert!(routes.len() > 60, "{routes:?}");
    let missing = routes.iter().filter(|(method, path)| {
        // Some are below the scope of one collection.
        let places = [
            format!("/api{path}"),
            format!("/api/collections/{{collection}}{path}"),
        ];
        let mut places = places.iter().map(|path| (method.clone(), unnamed(path)));
        !places.any(|route| described.contains(&route))
    });
    let missing: Vec<_> = missing
        .map(|(method, path)| format!("{method} {path}"))
        .collect();
    assert!(missing.is_empty(), "not in the description: {missing:#?}");
}

/// A path without the names of its parts: `/posts/{}`.
fn unnamed(path: &str) -> String {
    let names = regex::Regex::new(r"\{[^}]*\}").unwrap();
    names.replace_all(path, "{}").into_owned()
}

/// Methods and paths as the files of `src/api`, `src/live` and `src/modules` mount them: each path is followed by its
/// methods.
fn routes() -> Vec<(String, String)> {
    const METHOD: &str = r"web::(get|post|put|patch|delete)\(\)";
    let mounted = r#"(?:resource|route)\(\s*"([^"]*)""#;
    // A pair of path and method, one of several that are mounted alike.
    let pair = format!(r#"\(\s*"(/[^"]+)",\s*{METHOD}"#);
    let parts = regex::Regex::new(&format!("{mounted}|{pair}|{METHOD}")).unwrap();
    let mut routes = Vec::new();
    let rooms = ["api", "live", "modules"];
    for source in rooms.into_iter().flat_map(crate::layers::sources_of) {
        let mut path = String::new();
        for part in parts.captures_iter(&source) {
            let text = |index: usize| part.get(index).map(|found| found.as_str().to_owned());
            if let Some(name) = text(1).or_else(|| text(2)) {
                path = name;
            }
            match text(3).or_else(|| text(4)) {
                // Imports share their pattern with the collections.
                Some(method) if method == "put" && path.is_empty() => {
                    routes.push((method, "/collections/import".to_owned()));
                }
                Some(method) => routes.push((method, path.clone())),
                None => {}
            }
        }
    }
    routes
}
