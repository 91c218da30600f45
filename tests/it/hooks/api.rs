//! The globals of scripts.

use serde_json::{Value, json};

use super::{call, execute, open_collection, script, until};
use crate::support::TestApp;

/// Runs code; what it returns must be this.
async fn gives(app: &TestApp, code: &str, expected: Value) {
    assert_eq!(execute(app, code).await, expected, "{code}");
}

#[tokio::test]
async fn db_gives_plain_objects_and_errors_as_values() {
    let app = TestApp::new()
        .hook("a.js", "onRecordCreate((e) => { if (e.record.get('name') === 'bad') throw new BadRequestError('Not that one.'); e.next() }, 'things')")
        .start()
        .await;
    open_collection(&app, "things").await;
    let mut events = app.guest().listen(&["things/*"]).await;
    gives(
        &app,
        "const made = db.create('things', {name: 'a', count: 1}); return [made.name, made.count, made.collectionName, made.id.length]",
        json!(["a", 1, "things", 15]),
    )
    .await;
    assert_eq!(events.next().await.says("name").1, "a");
    gives(&app, "for (let i = 2; i <= 5; i++) db.create('things', {name: 'n' + i, count: i}); return db.count('things')", json!(5)).await;
    for (code, expected) in [
        (
            "db.findAll('things', 'count > 2', 'count').map((one) => one.count)",
            json!([3, 4, 5]),
        ),
        (
            "db.findAll('things', '', '-count', 2, 1).map((one) => one.count)",
            json!([4, 3]),
        ),
        (
            "db.findAll('things', 'name = {:name}', 'count', 10, 0, {name: 'n2'}).length",
            json!(1),
        ),
        ("db.findOne('things', 'count = 3').name", json!("n3")),
        (
            "db.findOne('things', 'name = {:n}', {n: \"x' || 1=1\"}).error",
            json!("The requested resource wasn't found."),
        ),
        ("db.count('things', 'count >= {:min}', {min: 4})", json!(2)),
        (
            "db.findById('things', db.findOne('things', 'count = 1').id).name",
            json!("a"),
        ),
        (
            "db.update('things', db.findOne('things', 'count = 1').id, {'count+': 10}).count",
            json!(11),
        ),
        (
            "Object.keys(db.delete('things', db.findOne('things', 'count = 11').id))",
            json!(["success", "id"]),
        ),
        ("db.count('things')", json!(4)),
        (
            "db.findById('things', 'none').error",
            json!("The requested resource wasn't found."),
        ),
        (
            "db.findById('nowhere', 'none').error",
            json!("There is no collection nowhere."),
        ),
        (
            "db.create('things', {name: 'bad'}).error",
            json!("Not that one."),
        ),
        (
            "db.delete('things', 'none').error",
            json!("The requested resource wasn't found."),
        ),
        (
            "typeof db.findAll('things', 'no such (').error",
            json!("string"),
        ),
        (
            "db.findAll('things') instanceof Array && db.findAll('things')[0] instanceof Object",
            json!(true),
        ),
        (
            "db.findById({toString() { throw new TypeError('mine') }}).error !== undefined",
            json!(true),
        ),
        (
            "db.create('users', {email: 'x'}).data.password.code",
            json!("validation_required"),
        ),
    ] {
        gives(&app, &format!("return {code}"), expected).await;
    }
}

#[tokio::test]
async fn db_transactions_commit_or_undo_everything() {
    let app = TestApp::new().start().await;
    open_collection(&app, "things").await;
    gives(&app, "return db.transaction((tx) => { tx.create('things', {name: 'a'}); return db.count('things') })", json!(1)).await;
    gives(&app, "return db.transaction(() => { db.create('things', {name: 'b'}); throw new Error('undo') }).error", json!("undo")).await;
    gives(&app, "return db.transaction(() => { db.create('things', {name: 'b'}); return db.findById('things', 'none') }).error", json!("The requested resource wasn't found.")).await;
    gives(
        &app,
        "return db.transaction(async () => { }).error !== undefined",
        json!(true),
    )
    .await;
    // What fails inside is undone alone, and the transaction goes on.
    gives(&app, "return db.transaction(() => { const no = db.create('things', {id: 'bad id'}); db.create('things', {name: 'c'}); return no.error !== undefined })", json!(true)).await;
    gives(&app, "return db.count('things')", json!(2)).await;
}

#[tokio::test]
async fn db_and_pubsub_belong_to_the_transaction_of_a_hook() {
    let app = TestApp::new()
        .hook(
            "a.js",
            r#"
            onRecordCreate((e) => {
                db.create("notes", {name: e.record.get("name")});
                pubsub.publish("made", {name: e.record.get("name")});
                sleep(5);
                e.next();
                if (e.record.get("name") === "undo") throw new BadRequestError("no");
            }, "things");
            pubsub.subscribe("made", (made) => {
                storage.set("made", (storage.get("made") || []).concat(utils.jsonDecode(made).name));
            });
            "#,
        )
        .start()
        .await;
    open_collection(&app, "things").await;
    open_collection(&app, "notes").await;
    let guest = app.guest();
    for (name, status) in [("a", 200), ("undo", 400), ("b", 200)] {
        guest
            .try_create("things", json!({"name": name}))
            .await
            .expect(status);
    }
    until("both events", async || {
        execute(&app, "return storage.get('made')").await == json!(["a", "b"])
    })
    .await;
    assert_eq!(guest.count("notes").await, 2);
}

#[tokio::test]
async fn topics_are_left_by_the_function_that_subscribing_gives() {
    let app = TestApp::new()
        .module(
            "bus.js",
            "exports.on = (topic, work) => pubsub.subscribe(topic, work)",
        )
        .hook(
            "a.js",
            r#"
            let heard = [];
            const leave = require("bus").on("one", (payload) => heard.push(payload));
            pubsub.subscribe("two", (payload) => heard.push(payload));
            function seen() { return heard }
            function stop() { leave(); return true }
            "#,
        )
        .start()
        .await;
    let seen = async |expected: Value| {
        until("the payloads", async || {
            call(&app, "a", "seen").await.expect(200)["result"] == expected
        })
        .await;
    };
    execute(
        &app,
        "pubsub.publish('one', 1); pubsub.publish('two', {a: 'b'})",
    )
    .await;
    seen(json!([1, {"a": "b"}])).await;
    call(&app, "a", "stop").await.expect(200);
    execute(
        &app,
        "pubsub.publish('one', 2); pubsub.publish('two', null)",
    )
    .await;
    seen(json!([1, {"a": "b"}, null])).await;
    for bad in ["@users/x", ""] {
        let code =
            format!("try {{ pubsub.publish('{bad}', 1) }} catch (e) {{ return e.message !== '' }}");
        gives(&app, &code, json!(true)).await;
    }
}

#[tokio::test]
async fn small_helpers_do_what_they_say() {
    let app = TestApp::new().start().await;
    for (code, expected) in [
        (
            "utils.jsonDecode(utils.jsonEncode({a: [1, 'x', null]}))",
            json!({"a": [1, "x", null]}),
        ),
        ("utils.jsonDecode({a: 1}).a", json!(1)),
        ("utils.jsonDecode('[1]') instanceof Array", json!(true)),
        (
            "utils.msgpackDecode(utils.msgpackEncode({a: [1, -2.5, 'é', true, null]}))",
            json!({"a": [1, -2.5, "é", true, null]}),
        ),
        (
            "[utils.msgpackEncode([1]) instanceof Uint8Array, utils.msgpackDecode([145, 1])]",
            json!([true, [1]]),
        ),
        ("/^[a-z0-9]{15}$/.test(utils.generateId())", json!(true)),
        (
            "/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(utils.uuid())",
            json!(true),
        ),
        (
            "Array.from({length: 200}, () => utils.random(1, 3)).every((n) => [1, 2, 3].includes(n))",
            json!(true),
        ),
        (
            "new Set(Array.from({length: 200}, () => utils.random(1, 3))).size",
            json!(3),
        ),
        (
            "utils.hashPassword('secret-1').startsWith('$argon2id$')",
            json!(true),
        ),
        ("Math.abs(timestamp() - Date.now() / 1000) < 2", json!(true)),
        (
            "Math.round(location.distance(48.8566, 2.3522, 51.5074, -0.1278) / 1000)",
            json!(344),
        ),
        (
            "location.distance(100, 0, 0, 0).error !== undefined",
            json!(true),
        ),
        (
            "social.likePost('a', 'b', 'c').error",
            json!("social.likePost is not available: the module social is off."),
        ),
        (
            "[webrtc, social, marketplace, location].map((api) => Object.keys(api).length)",
            json!([4, 4, 3, 5]),
        ),
        (
            "[storage.set('k', {a: 1}), storage.get('k'), storage.get('none'), storage.keys('k'), storage.delete('k'), storage.delete('k')]",
            json!([true, {"a": 1}, null, ["k"], true, false]),
        ),
        (
            "storage.set('short', 1, 0.02); const there = storage.get('short'); sleep(40); return [there, storage.get('short')]",
            json!([1, null]),
        ),
        (
            "auth.verifyToken('nonsense')",
            json!({"valid": false, "userId": ""}),
        ),
        ("auth.getUser('none')", Value::Null),
        (
            "[log('a', {b: 1}), console.log(1), console.table([1]), console.time('x'), console.timeEnd('x'), console.assert(true), console.count()].length",
            json!(7),
        ),
        (
            "(() => { try { utils.jsonDecode('{') } catch (e) { return e.name } })()",
            json!("SyntaxError"),
        ),
    ] {
        let code = if code.contains("return") && !code.starts_with('(') {
            code.to_owned()
        } else {
            format!("return {code}")
        };
        gives(&app, &code, expected).await;
    }
    let ann = app.user("ann");
    let code = format!(
        "return [auth.verifyToken('Bearer {}'), auth.getUser('{}').name]",
        ann.token(),
        ann.id
    );
    let expected = json!([{"valid": true, "userId": ann.id, "collection": "users"}, "ann"]);
    gives(&app, &code, expected).await;
}

#[tokio::test]
async fn schedules_run_until_they_are_ended() {
    let app = TestApp::new()
        .hook(
            "a.js",
            r#"
            let beats = 0, late = 0;
            const end = cron.schedule(0.05, async () => { beats++; });
            cron.schedule("0 0 1 1 *", () => {});
            cron.setTimeout(10, () => late++);
            function seen() { return [beats, late] }
            function stop() { end(); return beats }
            "#,
        )
        .start()
        .await;
    let seen = async || call(&app, "a", "seen").await.expect(200)["result"].clone();
    until("three beats", async || {
        seen().await[0].as_i64() >= Some(3) && seen().await[1] == 1
    })
    .await;
    assert_eq!(script(&app, "a").await["crons"], 2);
    let beats = call(&app, "a", "stop").await.expect(200)["result"].clone();
    execute(&app, "sleep(200)").await;
    // One that had begun may have come through.
    assert!(seen().await[0].as_i64() <= beats.as_i64().map(|beats| beats + 1));
    assert_eq!(script(&app, "a").await["crons"], 1);
}

#[tokio::test]
async fn what_scripts_share_cannot_be_changed_for_others() {
    let app = TestApp::new()
        .hook(
            "a.js",
            r#"
            function spoil() {
                const failed = [];
                for (const change of [
                    () => { "use strict"; db.create = null },
                    () => { "use strict"; utils.uuid.call = 1 },
                    () => { "use strict"; Object.getPrototypeOf(db).polluted = 1 },
                    () => { "use strict"; Object.getPrototypeOf(db.create).call = null },
                    () => { "use strict"; BadRequestError.prototype.x = 1 },
                    () => { "use strict"; delete storage.get },
                ]) {
                    try { change(); failed.push(String(change)) } catch (e) {}
                }
                // What is the script's own may change.
                db = "mine"; utils = undefined;
                Object.prototype.polluted = "a";
                return failed;
            }
            const log = 1, console = { own: true };
            "#,
        )
        .start()
        .await;
    assert_eq!(
        call(&app, "a", "spoil").await.expect(200)["result"],
        json!([])
    );
    gives(
        &app,
        "return [typeof db.create, typeof utils.uuid, ({}).polluted === undefined, Object.getPrototypeOf(db).polluted === undefined, typeof log]",
        json!(["function", "function", true, true, "function"]),
    )
    .await;
}

/// What scripts share cannot be changed by one of them, its iterators included.
#[tokio::test]
async fn a_script_cannot_change_what_others_use() {
    let app = TestApp::new().start().await;
    open_collection(&app, "things").await;
    let code = r#"
        const open = [];
        const look = (name, value) => {
            for (let object = value; object; object = Object.getPrototypeOf(object)) {
                if (object !== value && !Object.isFrozen(object)) open.push(name + " " + Object.prototype.toString.call(object));
            }
        };
        const form = new FormData();
        form.append("a", "b");
        look("form", form);
        look("entries", form.entries());
        look("iterator", form.entries()[Symbol.iterator]());
        look("collection", $app.findCollectionByNameOrId("things"));
        look("records", $app.findRecordsByFilter("things", "1=1")[Symbol.iterator]());
        for (const name of ["$app", "db", "http", "utils", "storage", "Record", "$security", "$os", "fetch"]) {
            const value = globalThis[name];
            if (value && !Object.isFrozen(value)) open.push(name);
            look(name, value);
        }
        let thrown = "";
        try {
            "use strict";
            const next = Object.getPrototypeOf(form.entries()[Symbol.iterator]());
            next.next = () => { throw new Error("broken by another script") };
        } catch (error) { thrown = String(error) }
        return open;
    "#;
    gives(&app, code, json!([])).await;
    let code = "return $app.findRecordsByFilter('things', '1=1').length";
    gives(&app, code, json!(0)).await;
}
