//! Scripts that misbehave harm nobody else.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{call, execute, open_collection, script, until};
use crate::support::{TestApp, all, records};

const LIMIT: Duration = Duration::from_millis(700);

/// A server with a script of bad functions, and one that works on `things`.
async fn app(bad: &str) -> TestApp {
    let good = r#"
        const counter = require("counter");
        onRecordCreate((e) => {
            e.record.set("count", counter.inc());
            e.next();
        }, "things");
    "#;
    let app = TestApp::new()
        .with(|config| config.hooks.timeout = LIMIT)
        .module("counter.js", "let n = 0; exports.inc = () => ++n")
        .hook("bad.js", bad)
        .hook("good.js", good)
        .start()
        .await;
    open_collection(&app, "things").await;
    app
}

/// Whether the other script still works.
async fn works(app: &TestApp) {
    let thing = app.guest().create("things", json!({"name": "a"})).await;
    assert!(thing["count"].as_i64() > Some(0), "{thing}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_other_hooks_succeed_beside_an_endless_loop() {
    let app = app("pubsub.subscribe('hang', () => { for (;;) {} })").await;
    execute(&app, "pubsub.publish('hang', 1)").await;
    let guest = app.guest();
    let made =
        all((0..100).map(|n| guest.try_create("things", json!({"name": n.to_string()})))).await;
    let mut counts: Vec<i64> = made
        .iter()
        .map(|answer| answer.expect(200)["count"].as_i64().unwrap())
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=100).collect::<Vec<_>>());
    until("the error", async || {
        let last = script(&app, "bad").await["last_error"].clone();
        last.as_str().unwrap_or("").contains("time limit")
    })
    .await;
}

#[tokio::test]
async fn what_ends_at_a_limit_says_so_and_the_rest_goes_on() {
    let app = app(r#"
        function loop() { for (;;) {} }
        function caught() { for (;;) { try { for (;;) {} } catch (e) {} finally { continue } } }
        function deep() { return 1 + deep() }
        function nested() { const f = (n) => [1].map(() => f(n + 1)); return f(0) }
        function memory() { const all = []; for (;;) { all.push(new Array(100000).fill(all.length)) } }
        function text() { let s = "x"; for (;;) { s += s } }
        function getter() { return { get a() { throw new Error("mine") } } }
        function shown() { console.log({ get a() { throw new Error("mine") }, toString() { throw 1 } }); return 1 }
        function proxy() { return new Proxy({}, { ownKeys() { throw new Error("mine") } }) }
        function circle() { const a = {}; a.a = a; return a }
        function nothing() { throw undefined }
        function later() { return Promise.reject(new Error("rejected")) }
    "#)
    .await;
    for (function, error) in [
        ("loop", "time limit"),
        ("caught", "time limit"),
        ("deep", "RangeError"),
        ("nested", "RangeError"),
        ("memory", "limit"),
        ("text", ""),
        ("getter", "mine"),
        ("proxy", "mine"),
        ("circle", ""),
        ("nothing", ""),
        ("later", "rejected"),
    ] {
        let began = Instant::now();
        let answer = call(&app, "bad", function).await;
        let message = answer.expect(400)["message"].as_str().unwrap().to_owned();
        assert!(message.contains(error), "{function}: {message}");
        // Calls from outside have 30 s.
        assert!(began.elapsed() < Duration::from_secs(40), "{function}");
        works(&app).await;
    }
    assert_eq!(call(&app, "bad", "shown").await.expect(200)["result"], 1);
}

#[tokio::test]
async fn promises_without_end_are_stopped() {
    let app = app(r#"
        function chain() { const go = () => Promise.resolve().then(go); go(); return 1 }
        function storm() { const go = () => { Promise.resolve().then(go); Promise.resolve().then(go) }; go(); return 1 }
    "#)
    .await;
    for function in ["chain", "storm"] {
        let answer = call(&app, "bad", function).await;
        assert_eq!(answer.expect(200)["result"], 1);
        works(&app).await;
        let last = script(&app, "bad").await["last_error"].clone();
        assert!(last.as_str().unwrap_or("").contains("promises"), "{last}");
    }
}

/// Where the script is stopped in what a promise has put off, its promise stays pending: the call must end all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_stopped_after_an_await_ends_at_once() {
    let app = app(r#"
        async function awaited() { await null; for (;;) {} }
        async function slept() { await new Promise((go) => setTimeout(go, 5)); for (;;) {} }
        async function timer() { await new Promise(() => setTimeout(() => { for (;;) {} }, 5)) }
        async function inner() { await (async () => { await null; for (;;) {} })() }
        async function chain() { const go = () => Promise.resolve().then(go); await go() }
        async function caught() { try { await null; for (;;) {} } catch { return 1 } finally { for (;;) {} } }
        async function alone() { (async () => { await null; for (;;) {} })(); return 1 }
        onRecordCreate(async (e) => { if (e.record.get("name") === "stop") { await null; for (;;) {} } e.next() }, "things");
    "#)
    .await;
    for function in ["awaited", "slept", "timer", "inner", "chain", "caught"] {
        let began = Instant::now();
        let answer = call(&app, "bad", function).await;
        let message = answer.expect(400)["message"].as_str().unwrap().to_owned();
        assert!(message.contains("time limit"), "{function}: {message}");
        assert!(began.elapsed() < 20 * LIMIT, "{function}");
    }
    let refused = app
        .guest()
        .try_create("things", json!({"name": "stop"}))
        .await;
    refused.expect(400);
    assert_eq!(app.guest().count("things").await, 0);
    works(&app).await;
    // Nobody waits for this one; the error is noted nevertheless.
    let errors = script(&app, "bad").await["errors"].as_i64().unwrap();
    assert_eq!(call(&app, "bad", "alone").await.expect(200)["result"], 1);
    until("the error", async || {
        let bad = script(&app, "bad").await;
        bad["errors"].as_i64() > Some(errors)
            && bad["last_error"]
                .as_str()
                .unwrap_or("")
                .contains("time limit")
    })
    .await;
}

#[tokio::test]
async fn a_handler_that_never_goes_on_writes_nothing() {
    let app = app("onRecordCreate((e) => { if (e.record.get('name') === 'stop') return; e.next() }, 'things')").await;
    let refused = app
        .guest()
        .post(&records("things"), json!({"name": "stop"}))
        .await;
    assert!(refused.status < 500, "{refused:?}");
    assert_eq!(app.guest().count("things").await, 0);
    works(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_native_loop_costs_the_thread_and_nothing_else() {
    let app = app(r#"
        function hang() { return /^(a+)+$/.test("a".repeat(60) + "b") }
        pubsub.subscribe("after", () => storage.set("heard", (storage.get("heard") || 0) + 1));
    "#)
    .await;
    works(&app).await;
    let (hung, made) = tokio::join!(call(&app, "bad", "hang"), async {
        // Queued behind the one that hangs: the new thread does them.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let guest = app.guest();
        all((0..20).map(|n| guest.try_create("things", json!({"name": n.to_string()})))).await
    });
    hung.expect(400);
    for answer in made {
        let count = answer.expect(200)["count"].as_i64();
        // The module began anew with the thread.
        assert!(count >= Some(1) && count <= Some(20), "{answer:?}");
    }
    execute(&app, "pubsub.publish('after', 1)").await;
    until("the event", async || {
        execute(&app, "return storage.get('heard')").await == 1
    })
    .await;
    for id in ["bad", "good"] {
        assert_eq!(script(&app, id).await["is_running"], true);
    }
    app.write("pb_hooks/bad.js", "function version() { return 2 }");
    until("the new version", async || {
        call(&app, "bad", "version").await.status == 200
    })
    .await;
}

/// The writer belongs to the transaction of a script whose thread is left behind; it must come free with that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_native_loop_inside_a_transaction_gives_the_writer_back() {
    let app = app(r#"
        function hang() {
            $app.runInTransaction(() => { /^(a+)+$/.test("a".repeat(60) + "b") });
        }
    "#)
    .await;
    let deadline = Duration::from_secs(60);
    let hung = tokio::time::timeout(deadline, async {
        let hung = call(&app, "bad", "hang").await;
        app.guest().create("things", json!({"name": "after"})).await;
        hung
    });
    hung.await.expect("the writer is free again").expect(400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_hangs_while_it_is_loaded_is_left_out() {
    let app = app("function version() { return 1 }").await;
    app.write("pb_hooks/bad.js", "/^(a+)+$/.test('a'.repeat(60) + 'b')");
    until("the error", async || {
        let last = script(&app, "bad").await["last_error"].clone();
        last.as_str().unwrap_or("").contains("did not end")
    })
    .await;
    works(&app).await;
    // The version before runs again, and the file is not tried again before it changes.
    until("the version before", async || {
        call(&app, "bad", "version").await.status == 200
    })
    .await;
    app.write("pb_hooks/bad.js", "function version() { return 3 }");
    until("the mended version", async || {
        let answer = call(&app, "bad", "version").await;
        answer.status == 200 && answer.json()["result"] == 3
    })
    .await;
}

/// A value of a few objects may be a hundred million once it is written out, and a list may say that it is that long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_are_too_large_do_not_reach_the_host() {
    let app = app(r#"
        const wide = () => { let a = [1]; for (let i = 0; i < 60; i++) a = [a, a]; return a };
        const keys = () => { let a = {}; for (let i = 0; i < 60; i++) a = {a, b: a}; return a };
        const long = () => new Array(4e9);
        const huge = () => { const text = "x".repeat(8 << 20); return [text, text, text, text, text] };
        const views = () => new Float64Array(4 << 20);
        const makers = { wide, keys, long, huge, views };
        const uses = {
            given: (value) => value,
            stored: (value) => storage.set("k", value),
            published: (value) => pubsub.publish("t", value),
            packed: (value) => utils.msgpackEncode(value),
            created: (value) => db.create("things", {name: "a", count: value}),
            record: (value) => new Record($app.findCollectionByNameOrId("things"), {name: value}),
            set: (value) => new Record($app.findCollectionByNameOrId("things")).set("name", value),
            error: (value) => { throw new BadRequestError("no", value) },
            queried: (value) => db.query("SELECT ?", value),
            posted: (value) => http.post("http://127.0.0.1:1/", value),
        };
        let times = 0;
        function seen() { return ++times }
        function large(maker, use) {
            try {
                const answer = uses[use](makers[maker]());
                return answer && answer.error ? "refused" : "taken";
            } catch (error) { return String(error) }
        }
        for (const maker of Object.keys(makers)) {
            routerAdd("GET", "/large/" + maker, (e) => e.json(200, makers[maker]()));
        }
    "#)
    .await;
    let began = Instant::now();
    let mut lost = Vec::new();
    let mut seen = 0;
    for maker in ["wide", "keys", "long", "huge", "views"] {
        for use_of in [
            "given",
            "stored",
            "published",
            "packed",
            "created",
            "record",
            "set",
            "error",
            "queried",
            "posted",
            "answered",
        ] {
            let asked = Instant::now();
            let answer = if use_of == "answered" {
                app.guest().get(&format!("/large/{maker}")).await
            } else {
                let args = [maker, use_of];
                let body = json!({"script_id": "bad", "function": "large", "args": args});
                app.superuser().post("/api/scripts/function", body).await
            };
            let took = asked.elapsed();
            assert!(answer.status < 500, "{maker} {use_of}: {answer:?}");
            seen += 1;
            let now = call(&app, "bad", "seen").await.expect(200)["result"].as_i64();
            if now != Some(seen) {
                lost.push(format!("{maker} {use_of}: {took:?}"));
                seen = now.unwrap_or_default();
            }
        }
        works(&app).await;
    }
    assert!(began.elapsed() < Duration::from_secs(120));
    assert_eq!(lost, [""; 0], "threads were lost over these");
    let thing = app.guest().create("things", json!({"name": "a"})).await;
    assert_eq!(thing["count"], 6, "the module has kept its state");
}

/// However often a script gets stuck, the others go on, and so do its own hooks: they may guard something.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_gets_stuck_again_and_again_still_guards() {
    let app = app(r#"
        function hang() { return /^(a+)+$/.test("a".repeat(60) + "b") }
        onRecordCreate((e) => {
            if (e.record.get("name") === "spam") throw new BadRequestError("no spam");
            e.next();
        }, "things");
        routerAdd("GET", "/bad", (e) => e.json(200, {}));
    "#)
    .await;
    let guest = app.guest();
    for round in 1..=4 {
        call(&app, "bad", "hang").await.expect(400);
        let spam = guest.try_create("things", json!({"name": "spam"})).await;
        spam.expect(400);
        works(&app).await;
        guest.get("/bad").await.expect(200);
        assert_eq!(guest.count("things").await, round);
    }
    let bad = script(&app, "bad").await;
    assert_eq!(bad["is_running"], true, "{bad}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sleeping_script_lets_others_go_on() {
    let app = app("function nap() { sleep(1500); return 'rested' }").await;
    let began = Instant::now();
    let (nap, ()) = tokio::join!(call(&app, "bad", "nap"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        works(&app).await;
        assert!(began.elapsed() < Duration::from_millis(1400), "it waited");
    });
    assert_eq!(nap.expect(200)["result"], "rested");
}
