//! Scripts that come, change and go while the server runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{call, execute, open_collection, script, until};
use crate::support::TestApp;

/// A script whose version can be read and which counts what it handles.
fn version(number: u32) -> String {
    format!(
        r#"
        function version() {{ return {number}; }}
        pubsub.subscribe("ticks", (tick) => {{
            storage.set("tick-" + tick.n, (storage.get("tick-" + tick.n) || 0) + 1);
        }});
        onRecordCreate((e) => {{
            e.record.set("name", e.record.get("name") + "!");
            e.next();
        }}, "things");
        "#
    )
}

async fn version_is(app: &TestApp, id: &str, expected: u32) {
    until("the version", async || {
        let answer = call(app, id, "version").await;
        answer.status == 200 && answer.json()["result"] == json!(expected)
    })
    .await;
}

#[tokio::test]
async fn scripts_share_modules_and_nothing_else() {
    let script = |name: &str| {
        format!(
            r#"
            const counter = require("counter");
            var own = (globalThis.own || 0) + 1;
            Array.prototype.mine = "{name}";
            function inc() {{ return [counter.inc(), ++own, [].mine]; }}
            "#
        )
    };
    let app = TestApp::new()
        .module(
            "counter.js",
            "let n = 0; exports.inc = () => ++n; exports.mine = () => [].mine;",
        )
        .hook("a.js", &script("a"))
        .hook("b.js", &script("b"))
        .start()
        .await;
    let inc = async |id: &str| call(&app, id, "inc").await.expect(200)["result"].clone();
    assert_eq!(inc("a").await, json!([1, 2, "a"]));
    assert_eq!(inc("b").await, json!([2, 2, "b"]));
    assert_eq!(inc("a").await, json!([3, 3, "a"]));
}

#[tokio::test]
async fn files_that_come_change_and_go_count_at_once() {
    let app = TestApp::new().hook("a.js", &version(1)).start().await;
    version_is(&app, "a", 1).await;
    app.write("pb_hooks/a.js", &version(2));
    version_is(&app, "a", 2).await;
    app.write(
        "pb_hooks/deep/down/b.ts",
        "function version(): number { return 7 }",
    );
    version_is(&app, "b", 7).await;
    app.remove("pb_hooks/a.js");
    until("the end of a", async || {
        call(&app, "a", "version").await.status == 404
    })
    .await;
    let status = app.superuser().get("/api/scripts/status").await.expect(200);
    assert_eq!(status["count"], 1);
    assert_eq!(status["scripts"][0]["name"], "deep/down/b.ts");
}

#[tokio::test]
async fn folders_that_appear_later_are_watched() {
    let app = TestApp::new().start().await;
    app.write("pb_modules/seven.js", "module.exports = 7");
    app.write(
        "pb_hooks/a.js",
        "function version() { return require('seven') }",
    );
    version_is(&app, "a", 7).await;
    app.write("pb_modules/seven.js", "module.exports = 8");
    version_is(&app, "a", 8).await;
    // Gone with all that is in it, and back.
    let hooks = app.dir().parent().unwrap().join("pb_hooks");
    std::fs::remove_dir_all(&hooks).unwrap();
    until("the end of a", async || {
        call(&app, "a", "version").await.status == 404
    })
    .await;
    app.write("pb_hooks/a.js", "function version() { return 9 }");
    version_is(&app, "a", 9).await;
}

#[tokio::test]
async fn nothing_is_watched_if_it_is_off() {
    let app = TestApp::new()
        .with(|config| config.hooks.watch = false)
        .hook("a.js", &version(1))
        .start()
        .await;
    app.write("pb_hooks/a.js", &version(2));
    app.write("pb_hooks/b.js", &version(1));
    // Loading one anew looks at all files.
    version_is(&app, "a", 1).await;
    let path = "/api/scripts/a/reload";
    app.superuser().post(path, json!({})).await.expect(200);
    version_is(&app, "a", 2).await;
}

#[tokio::test]
async fn a_broken_file_leaves_the_version_before_running() {
    let app = TestApp::new().hook("a.js", &version(1)).start().await;
    let broken = [
        ("function version() {\n  return 2 2 }", 2, "SyntaxError"),
        (
            "var x = 1;\n  throw new TypeError('at load')",
            2,
            "TypeError: at load",
        ),
    ];
    for (text, line, error) in broken {
        app.write("pb_hooks/a.js", text);
        until("the error", async || {
            let status = script(&app, "a").await;
            let last = status["last_error"].as_str().unwrap_or("");
            last.contains(error) && last.contains(&format!("(a.js:{line}:"))
        })
        .await;
        assert_eq!(script(&app, "a").await["is_running"], true);
        version_is(&app, "a", 1).await;
        let answer = app
            .superuser()
            .post("/api/scripts/a/reload", json!({}))
            .await;
        let answer = answer.expect(400);
        assert!(
            answer["message"].as_str().unwrap().contains(error),
            "{answer}"
        );
        assert_eq!(answer["data"]["script"]["file"], "a.js");
        assert_eq!(answer["data"]["script"]["line"], line);
    }
    // A text that is being written in place: emptied first, then half of it.
    let path = app.dir().parent().unwrap().join("pb_hooks/a.js");
    let mended = version(3);
    std::fs::write(&path, "").unwrap();
    version_is(&app, "a", 1).await;
    std::fs::write(&path, &mended[..mended.len() / 2]).unwrap();
    version_is(&app, "a", 1).await;
    std::fs::write(&path, &mended).unwrap();
    version_is(&app, "a", 3).await;
    assert_eq!(script(&app, "a").await["last_error"], Value::Null);
}

#[tokio::test]
async fn main_is_called_once_whoever_calls_it() {
    let counting = "storage.set(script, (storage.get(script) || 0) + 1)";
    let app = TestApp::new()
        .hook("plain.js", &format!("function main() {{ const script = 'plain'; {counting} }}"))
        .hook("own.js", &format!("if (true) {{\n  main();\n}}\nfunction main() {{ const script = 'own'; {counting} }}"))
        .hook("arrow.js", &format!("const main = async () => {{ const script = 'arrow'; {counting} }};\n(async () => {{ await main() }})();"))
        .hook("typed.ts", &format!("const main = (): void => {{ const script: string = 'typed'; {counting} }}; // main()"))
        .hook("later.js", &format!("function main() {{ const script = 'later'; {counting} }}\nsetTimeout(() => main(), 1e6);"))
        .start()
        .await;
    for id in ["plain", "own", "arrow", "typed", "later"] {
        let code = json!({"code": format!("return storage.get('{id}')")});
        let answer = app.superuser().post("/api/scripts/execute", code).await;
        assert_eq!(answer.expect(200)["result"], 1, "{id}");
    }
    let answer = app
        .superuser()
        .post("/api/scripts/own/run", json!({}))
        .await;
    answer.expect(200);
}

#[tokio::test]
async fn a_change_of_a_module_reaches_all_that_require_it() {
    let app = TestApp::new()
        .module("base.js", "exports.n = 1; exports.loads = (storage.get('loads') || 0) + 1; storage.set('loads', exports.loads)")
        .module("middle.js", "const base = require('base'); exports.n = () => base.n * 1000;")
        .module("apart.js", "let n = 0; exports.inc = () => ++n;")
        .hook("a.js", "const middle = require('middle'); const apart = require('apart'); function version() { return middle.n() + apart.inc() }")
        .hook("b.js", "let n = 0; function version() { return ++n }")
        .start()
        .await;
    let version = async |id: &str| call(&app, id, "version").await.expect(200)["result"].clone();
    assert_eq!(version("a").await, 1001);
    assert_eq!(version("b").await, 1);
    assert_eq!(version("b").await, 2);
    app.write("pb_modules/base.js", "exports.n = 2");
    until("the module", async || {
        version("a").await.as_i64() > Some(2000)
    })
    .await;
    // The module that has nothing to do with it kept its state, every script began anew.
    let before = version("a").await.as_i64().unwrap();
    assert!(before > 2002, "{before}");
    assert_eq!(version("b").await, 1);

    // A module that cannot be loaded leaves its working instance in place.
    app.write("pb_modules/base.js", "exports.n = 1 1");
    until("the error", async || {
        let status = script(&app, "a").await;
        status["last_error"]
            .as_str()
            .unwrap_or("")
            .contains("base.js:1:")
    })
    .await;
    assert!(version("a").await.as_i64().unwrap() > before);
    assert_eq!(version("b").await, 2);
    app.write("pb_modules/base.js", "exports.n = 3");
    until("the mended module", async || {
        version("a").await.as_i64() > Some(3000)
    })
    .await;
    assert_eq!(script(&app, "a").await["last_error"], Value::Null);
}

/// A module's entry in the status.
async fn module(app: &TestApp, id: &str) -> Value {
    let status = app.superuser().get("/api/scripts/status").await.expect(200);
    let modules = status["modules"].as_array().unwrap();
    let found = modules.iter().find(|module| module["id"] == id);
    found.cloned().unwrap_or_default()
}

#[tokio::test]
async fn the_status_shows_modules_and_why_they_do_not_load() {
    let app = TestApp::new()
        .module("good.js", "let n = 0; exports.inc = () => ++n; pubsub.subscribe('x', () => { throw new Error('later') });")
        .module("broken.js", "exports.a = 1;\nexports.b = = 2;")
        .module("thrown.js", "\n\n  throw new TypeError('not today');")
        .module("unasked.js", "exports.n = 1 1")
        .hook("a.js", r#"
            const good = require("good");
            function broken() { require("broken") }
            function thrown() { require("thrown") }
        "#)
        .start()
        .await;
    let good = module(&app, "good").await;
    assert_eq!(
        (
            &good["is_running"],
            &good["subscriptions"],
            &good["last_error"]
        ),
        (&json!(true), &json!(1), &Value::Null),
        "{good}"
    );
    assert_eq!(module(&app, "unasked").await, Value::Null);
    for (name, place) in [("broken", "broken.js:2:"), ("thrown", "thrown.js:3:")] {
        call(&app, "a", name).await.expect(400);
        let failed = module(&app, name).await;
        let error = failed["last_error"].as_str().unwrap_or("");
        assert!(error.contains(place), "{failed}");
        assert_eq!(failed["is_running"], false);
        app.write(&format!("pb_modules/{name}.js"), "exports.n = 1");
        until("the mended module", async || {
            call(&app, "a", name).await.status == 200
        })
        .await;
        let mended = module(&app, name).await;
        assert_eq!(
            (&mended["is_running"], &mended["last_error"]),
            (&json!(true), &Value::Null)
        );
    }
    // One that worked before runs on.
    app.write("pb_modules/good.js", "exports.inc = (");
    until("the error", async || {
        module(&app, "good").await["last_error"].is_string()
    })
    .await;
    assert_eq!(module(&app, "good").await["is_running"], true);
    let guest = app.user("ann");
    let status = guest.get("/api/scripts/status").await.expect(200);
    for module in status["modules"].as_array().unwrap() {
        assert_eq!(
            (&module["path"], &module["last_error"]),
            (&Value::Null, &Value::Null)
        );
    }
}

#[tokio::test]
async fn modules_in_a_circle_see_what_is_exported_so_far() {
    let app = TestApp::new()
        .module("a.js", "exports.early = 1; const b = require('b'); exports.late = b.seen;")
        .module("b.js", "const a = require('./a'); exports.seen = [a.early, a.late === undefined]; exports.now = () => a.late;")
        .module("bad.js", "storage.set('tries', (storage.get('tries') || 0) + 1); throw new RangeError('not today')")
        .hook("x.js", r#"
            function circle() { return [require("a").late, require("b").now()]; }
            function bad() { try { require("bad") } catch (e) { return String(e) } }
        "#)
        .start()
        .await;
    let circle = call(&app, "x", "circle").await.expect(200);
    assert_eq!(circle["result"], json!([[1, true], [1, true]]));
    for _ in 0..2 {
        let bad = call(&app, "x", "bad").await.expect(200);
        assert_eq!(bad["result"], "RangeError: not today");
    }
    assert_eq!(script(&app, "x").await["errors"], 0);
}

#[tokio::test]
async fn positions_of_errors_are_those_of_the_file() {
    let app = TestApp::new()
        .hook("js.js", "function go() {\n  const o = {};\n  o.missing.deep;\n}")
        .hook("thrown.js", "function go() {\n\n    throw new Error('here');\n}")
        .hook(
            "ts.ts",
            "interface A { b: string }\n\nfunction go(a?: A): void {\n\n    throw new Error('typed');\n}",
        )
        .start()
        .await;
    for (id, file, line, column) in [
        ("js", "js.js", 3, None),
        ("thrown", "thrown.js", 3, Some(11)),
        ("ts", "ts.ts", 5, Some(11)),
    ] {
        let error = call(&app, id, "go").await.expect(400)["data"]["script"].clone();
        assert_eq!(
            (&error["file"], &error["line"]),
            (&json!(file), &json!(line)),
            "{error}"
        );
        if let Some(column) = column {
            assert_eq!(error["column"], column, "{error}");
        }
    }
}

/// The load of the next test, in requests per second, and for how long.
const RATE: u64 = 200;
const LOAD: Duration = Duration::from_secs(6);

/// Sends requests at their times whether those before were answered or not: creates and events in turn. Gives the numbers
/// of the events once all are answered.
async fn send_at_rate(app: Arc<TestApp>) -> Vec<u64> {
    let (guest, superuser) = (Arc::new(app.guest()), Arc::new(app.superuser()));
    let mut clock = tokio::time::interval(Duration::from_secs(1) / RATE as u32);
    // A tick that comes late is made up for.
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let mut requests = tokio::task::JoinSet::new();
    let began = Instant::now();
    for n in 0..RATE * LOAD.as_secs() {
        clock.tick().await;
        let (guest, superuser) = (Arc::clone(&guest), Arc::clone(&superuser));
        requests.spawn(async move {
            if n % 2 == 0 {
                let thing = guest.try_create("things", json!({"name": "x"})).await;
                let thing = thing.expect(200);
                assert_eq!(thing["name"], "x!", "handled once, by one version");
                return None;
            }
            let tick = superuser.post("/api/events/ticks", json!({"n": n})).await;
            assert!(tick.status < 300, "{tick:?}");
            Some(n)
        });
    }
    let took = began.elapsed();
    assert!(took < 2 * LOAD, "{RATE} requests per second took {took:?}");
    requests.join_all().await.into_iter().flatten().collect()
}

/// Files are edited, added, deleted, broken and mended while requests come at a fixed rate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_lose_and_double_nothing() {
    let text = |number| {
        let counts = "storage.set('loads', (storage.get('loads') || 0) + 1);";
        format!(
            "const shared = require('shared'); {counts} {}",
            version(number)
        )
    };
    let app = TestApp::new()
        .module("shared.js", "exports.n = 1")
        .hook("a.js", &text(1))
        .start()
        .await;
    let app = Arc::new(app);
    open_collection(&app, "things").await;
    let load = tokio::spawn(send_at_rate(Arc::clone(&app)));
    let mut number = 1;
    while !load.is_finished() {
        number += 1;
        match number % 6 {
            0 => app.write("pb_hooks/b.js", "throw new Error('never runs')"),
            1 => app.write("pb_hooks/a.js", "function broken( {"),
            2 => app.write("pb_hooks/c.js", "pubsub.subscribe('others', () => {})"),
            3 => app.write("pb_modules/shared.js", &format!("exports.n = {number}")),
            4 => app.remove("pb_hooks/c.js"),
            _ => app.write("pb_hooks/a.js", &text(number)),
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    app.write("pb_hooks/a.js", &text(1000));
    version_is(&app, "a", 1000).await;
    let mut expected = load.await.unwrap();
    let total = expected.len();
    assert_eq!(total as u64, RATE * LOAD.as_secs() / 2);
    let heard = async || {
        let code =
            "return storage.keys('tick-').map((key) => [Number(key.slice(5)), storage.get(key)])";
        execute(&app, code).await.as_array().unwrap().clone()
    };
    until("all events", async || heard().await.len() >= total).await;
    let mut seen: Vec<u64> = heard()
        .await
        .iter()
        .map(|pair| {
            assert_eq!(pair[1], 1, "heard once: {pair}");
            pair[0].as_u64().unwrap()
        })
        .collect();
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
    assert_eq!(app.guest().count("things").await, total as u64);
    let loads = execute(&app, "return storage.get('loads')").await;
    assert!(loads.as_u64() > Some(8), "{loads} loads are no test");
}

#[tokio::test]
async fn a_call_that_waits_is_ended_by_the_version_that_began_it() {
    let script = |number: u32| {
        format!(
            r#"
            pubsub.subscribe("work", async (work) => {{
                await new Promise((done) => setTimeout(done, 600));
                storage.set("done", (storage.get("done") || []).concat({number}));
            }});
            setInterval(() => storage.set("beat-{number}", timestamp()), 5);
            function version() {{ return {number}; }}
            "#
        )
    };
    let app = TestApp::new().hook("a.js", &script(1)).start().await;
    let publish = json!({"code": "pubsub.publish('work', {}); return 1"});
    let execute = async |code: Value| {
        let answer = app.superuser().post("/api/scripts/execute", code).await;
        answer.expect(200)["result"].clone()
    };
    execute(publish.clone()).await;
    app.write("pb_hooks/a.js", &script(2));
    version_is(&app, "a", 2).await;
    execute(publish).await;
    let done = json!({"code": "return storage.get('done')"});
    until("both", async || {
        execute(done.clone()).await == json!([1, 2])
    })
    .await;
    // The interval of the version before is gone.
    let beats = json!({"code": "storage.delete('beat-1'); storage.delete('beat-2'); sleep(100); return storage.keys('beat-')"});
    assert_eq!(execute(beats).await, json!(["beat-2"]));
}

/// Memory stays where it was. `ROTUNDA_RELOADS` sets how many reloads are made (300).
#[tokio::test]
async fn reloads_leave_no_memory_behind() {
    let reloads: u32 = std::env::var("ROTUNDA_RELOADS")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(300);
    let text = |number: u32| {
        format!(
            r#"
            const shared = require("shared");
            const ballast = new Array(2000).fill("{number}");
            onRecordCreate((e) => {{ ballast.push(1); e.next(); }}, "things");
            pubsub.subscribe("a", () => ballast.length);
            cron.schedule(60, () => ballast.length);
            setInterval(() => ballast.length, 60000);
            routerAdd("GET", "/r{number}", (e) => e.json(200, ballast));
            function version() {{ return {number}; }}
            "#
        )
    };
    let app = TestApp::new()
        .with(|config| config.hooks.watch = false)
        .module("shared.js", "exports.n = 1")
        .hook("a.js", &text(0))
        .start()
        .await;
    let superuser = app.superuser();
    let reload = async |number: u32| {
        app.write("pb_hooks/a.js", &text(number));
        let path = "/api/scripts/a/reload";
        superuser.post(path, json!({})).await.expect(200);
    };
    let warm = reloads / 3;
    let (mut before, began) = (0, Instant::now());
    for number in 1..=reloads {
        reload(number).await;
        if number == warm {
            before = resident_kib();
        }
    }
    let grown = resident_kib().saturating_sub(before);
    let per = grown as f64 / f64::from(reloads - warm);
    println!(
        "{reloads} reloads in {:.1} s: {grown} KiB more resident after the first {warm}, {per:.1} KiB each",
        began.elapsed().as_secs_f64()
    );
    version_is(&app, "a", reloads).await;
    let status = script(&app, "a").await;
    assert_eq!(
        (
            &status["handlers"],
            &status["subscriptions"],
            &status["crons"]
        ),
        (&json!(1), &json!(1), &json!(1))
    );
    // Far below what one version of the script takes.
    assert!(per < 40.0, "{per} KiB per reload");
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.unwrap_or_default()
}
