//! `/api/scripts`.

use serde_json::{Value, json};

use super::{call, script};
use crate::support::TestApp;

const SCRIPT: &str = r#"
    onRecordCreate((e) => e.next(), "things");
    pubsub.subscribe("a", () => {});
    pubsub.subscribe("b", () => {});
    cronAdd("nightly", "0 3 * * *", () => {});
    cron.schedule(3600, () => {});
    cron.schedule("*/5 * * * *", () => {});
    routerAdd("GET", "/x", (e) => e.json(200, 1));
    const later = async (a, b) => { await null; return a + b };
    function fails() { throw new BadRequestError("as asked", {"a": 1}) }
    function main() { return {"at": "main"} }
"#;

#[tokio::test]
async fn the_status_counts_what_scripts_registered() {
    let app = TestApp::new()
        .hook("a.js", SCRIPT)
        .hook("b.js", "function broken( 1")
        .start()
        .await;
    app.guest().get("/api/scripts/status").await.expect(401);
    let status = app.superuser().get("/api/scripts/status").await.expect(200);
    assert_eq!(status["count"], 2);
    let a = &status["scripts"][0];
    let numbers = ["subscriptions", "crons", "routes", "handlers", "errors"];
    let numbers = numbers.map(|name| a[name].clone());
    assert_eq!(numbers, [2, 3, 1, 1, 0].map(Value::from));
    assert_eq!(
        (&a["id"], &a["name"], &a["is_running"]),
        (&json!("a"), &json!("a.js"), &json!(true))
    );
    assert!(a["path"].as_str().unwrap().ends_with("pb_hooks/a.js"));
    assert!(a["loaded_at"].as_str().unwrap().ends_with('Z'));
    let b = &status["scripts"][1];
    assert_eq!((&b["is_running"], &b["errors"]), (&json!(false), &json!(1)));
    let error = b["last_error"].as_str().unwrap();
    assert!(error.contains("b.js:1:"), "{error}");

    let seen = app.user("ann").get("/api/scripts/status").await.expect(200);
    for script in seen["scripts"].as_array().unwrap() {
        assert_eq!(
            (&script["path"], &script["last_error"]),
            (&Value::Null, &Value::Null)
        );
        assert!(script["id"].is_string());
    }
}

#[tokio::test]
async fn functions_are_called_with_arguments_and_awaited() {
    let app = TestApp::new().hook("a.js", SCRIPT).start().await;
    let superuser = app.superuser();
    let function = async |body: Value| superuser.post("/api/scripts/function", body).await;
    let body = json!({"script_id": "a", "function": "later", "args": [1, 2]});
    assert_eq!(function(body).await.expect(200)["result"], 3);
    let run = superuser.post("/api/scripts/a/run", json!({})).await;
    assert_eq!(run.expect(200)["result"], json!({"at": "main"}));
    let error = call(&app, "a", "fails").await.expect(400);
    assert!(
        error["message"].as_str().unwrap().contains("As asked"),
        "{error}"
    );
    assert_eq!(
        (&error["error"], &error["success"]),
        (&error["message"], &json!(false))
    );
    for (body, status) in [
        (json!({"script_id": "a", "function": "none"}), 400),
        (json!({"script_id": "a", "function": "a;b"}), 400),
        (
            json!({"script_id": "a", "function": "later", "args": 1}),
            400,
        ),
        (json!({"script_id": "a"}), 400),
        (json!({"script_id": 1, "function": "later"}), 400),
        (json!({"script_id": "none", "function": "later"}), 404),
    ] {
        function(body.clone()).await.expect(status);
        let user = app
            .user("ann")
            .post("/api/scripts/function", body.clone())
            .await;
        user.expect(403);
        app.guest()
            .post("/api/scripts/function", body)
            .await
            .expect(401);
    }
    superuser
        .post("/api/scripts/none/run", json!({}))
        .await
        .expect(404);
    superuser
        .post("/api/scripts/none/reload", json!({}))
        .await
        .expect(404);
    assert_eq!(
        script(&app, "a").await["calls"],
        0,
        "only calls of registered functions count"
    );
}

#[tokio::test]
async fn code_runs_in_a_scope_of_its_own() {
    let app = TestApp::new()
        .module("counter.js", "let n = 0; exports.inc = () => ++n")
        .hook("a.js", "var inside = 1; require('counter').inc()")
        .start()
        .await;
    let superuser = app.superuser();
    let execute = async |code: &str| {
        let body = json!({"code": code});
        superuser.post("/api/scripts/execute", body).await
    };
    for (code, expected) in [
        ("return 1 + 1", json!(2)),
        ("return typeof inside", json!("undefined")),
        ("return require('counter').inc()", json!(2)),
        (
            "const x = await Promise.resolve(4); return {x}",
            json!({"x": 4}),
        ),
        (
            "await new Promise((done) => setTimeout(done, 20)); return 'late'",
            json!("late"),
        ),
        ("1", Value::Null),
        (
            "return [typeof db, typeof $app, typeof __hooks, self === globalThis, global === self]",
            json!(["object", "object", "string", true, true]),
        ),
        (
            "return (await import_me()) ; function import_me() { return 5 } // the end",
            json!(5),
        ),
    ] {
        let answer = execute(code).await;
        assert_eq!(answer.expect(200)["result"], expected, "{code}");
    }
    for (code, line, error) in [
        ("let a = 1;\nlet = ;", 2, "SyntaxError"),
        ("\n\nthrow new TypeError('mine')", 3, "TypeError: mine"),
        ("onRecordCreate(() => {})", 1, "only scripts"),
    ] {
        let answer = execute(code).await.expect(400);
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains(error), "{message}");
        assert_eq!(answer["data"]["script"]["line"], line, "{answer}");
    }
    let body = json!({"code": ""});
    superuser
        .post("/api/scripts/execute", body)
        .await
        .expect(400);
}
