//! SQL of scripts: `db.query` only reads; `$app.db()` stays inside its transaction.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{execute, open_collection, until};
use crate::support::TestApp;

async fn app() -> TestApp {
    let app = TestApp::new().start().await;
    open_collection(&app, "things").await;
    for (name, count) in [("a", 1), ("it's", 2), ("c", 3)] {
        let thing = json!({"name": name, "count": count});
        app.guest().create("things", thing).await;
    }
    app
}

async fn gives(app: &TestApp, code: &str, expected: Value) {
    assert_eq!(execute(app, code).await, expected, "{code}");
}

#[tokio::test]
async fn db_query_gives_the_rows_of_one_statement_as_objects() {
    let app = app().await;
    for (code, expected) in [
        (
            "db.query('SELECT name, count FROM things WHERE count >= ? AND name != ? ORDER BY count', 2, 'c')",
            json!([{"name": "it's", "count": 2}]),
        ),
        (
            "db.query('SELECT count(*) AS n, max(name) AS last FROM things;')",
            json!([{"n": 3, "last": "it's"}]),
        ),
        (
            "db.query(\"SELECT name FROM things WHERE name = ?\", \"it's\")",
            json!([{"name": "it's"}]),
        ),
        (
            "db.query('SELECT name FROM things WHERE name = ?', \"' OR 1=1 --\")",
            json!([]),
        ),
        (
            "db.query('WITH t AS (SELECT 1 AS x) SELECT x, NULL AS y, 1.5 AS z FROM t')",
            json!([{"x": 1, "y": null, "z": 1.5}]),
        ),
        (
            "db.query(\"SELECT '?' AS mark, '{{x}}' IS NOT NULL AS b\").length",
            json!(1),
        ),
        ("db.query('VALUES (1), (2)').length", json!(2)),
        (
            "db.query('SELECT [name] AS n FROM things WHERE count = ?', [1])",
            json!([{"n": "a"}]),
        ),
    ] {
        gives(&app, &format!("return {code}"), expected).await;
    }
}

#[tokio::test]
async fn db_query_does_not_write_whatever_it_is_given() {
    let app = app().await;
    for statement in [
        "DELETE FROM things",
        "DELETE FROM things RETURNING id",
        "UPDATE things SET count = 9",
        "INSERT INTO things (id) VALUES ('x')",
        "WITH gone AS (SELECT id FROM things) DELETE FROM things WHERE id IN (SELECT id FROM gone)",
        "with x as (select 1) update things set count = 9 returning id",
        "/* SELECT */ DELETE FROM things",
        "SELECT 1; DELETE FROM things",
        "SELECT 1; SELECT 2",
        "EXPLAIN SELECT 1; DROP TABLE things",
        "ATTACH DATABASE 'other.db' AS other",
        "PRAGMA query_only = 0",
        "PRAGMA query_only(0)",
        "PRAGMA table_info(things)",
        "VACUUM INTO 'copy.db'",
        "CREATE TABLE more (a)",
        "REPLACE INTO things (id) VALUES ('x')",
        "BEGIN",
        "COMMIT",
        "ROLLBACK TO job",
        "SELECT ' unclosed",
        "SELECT nothing FROM nowhere",
        "",
        ";;",
    ] {
        let text = serde_json::to_string(statement).unwrap();
        let code = format!("return typeof db.query({text}).error");
        gives(&app, &code, json!("string")).await;
        // Inside a transaction the statement runs on the connection that may write.
        let code = format!(
            "return db.transaction(() => {{ const answer = db.query({text}); db.create('things', {{name: 'in'}}); return [typeof answer.error, db.query('SELECT count(*) AS n FROM things')[0].n] }})"
        );
        gives(&app, &code, json!(["string", 4])).await;
        let code = "return db.delete('things', db.findOne('things', 'name = \"in\"').id).success";
        gives(&app, code, json!(true)).await;
    }
    gives(
        &app,
        "return db.query('SELECT sum(count) AS n FROM things')",
        json!([{"n": 6}]),
    )
    .await;
    let codes = [
        "db.query('SELECT ?')",
        "db.query('SELECT 1', 2)",
        "db.query()",
        "db.query({toString() { throw new Error('mine') }})",
    ];
    for code in codes {
        let code = format!("return typeof {code}.error");
        gives(&app, &code, json!("string")).await;
    }
}

#[tokio::test]
async fn statements_of_app_db_stay_inside_their_transaction() {
    let app = app().await;
    let tried = "const tried = (text) => { try { $app.db().newQuery(text).execute(); return 'done' } catch (error) { return 'refused' } };";
    for (statement, outcome) in [
        ("COMMIT", "refused"),
        ("UPDATE things SET count = 7; COMMIT", "refused"),
        ("ROLLBACK", "refused"),
        ("SAVEPOINT mine", "refused"),
        ("ATTACH DATABASE 'other.db' AS other", "refused"),
        ("PRAGMA query_only(1)", "refused"),
        ("PRAGMA writable_schema = 1", "refused"),
        ("UPDATE things SET count = count + 1", "done"),
        ("CREATE TABLE one (a); CREATE TABLE two (b)", "done"),
    ] {
        let text = serde_json::to_string(statement).unwrap();
        gives(
            &app,
            &format!("{tried} return tried({text})"),
            json!(outcome),
        )
        .await;
        let code = format!(
            "{tried} try {{ $app.runInTransaction(() => {{ tried({text}); throw new Error('undo') }}) }} catch {{}} return db.count('things')"
        );
        gives(&app, &code, json!(3)).await;
    }
    let code = "return db.query('SELECT sum(count) AS n FROM things')[0].n";
    gives(&app, code, json!(9)).await;
    let code = "return db.query(\"SELECT name FROM sqlite_schema WHERE name IN ('one', 'two') ORDER BY name\").length";
    gives(&app, code, json!(2)).await;
    app.guest().create("things", json!({"name": "after"})).await;
}

#[tokio::test]
async fn a_statement_that_changes_an_account_ends_its_sessions() {
    let app = app().await;
    let ann = app.user("ann");
    ann.post("/api/collections/users/auth-refresh", json!({}))
        .await
        .expect(200);
    let code = format!(
        "$app.db().newQuery('UPDATE users SET tokenKey = {{:key}} WHERE id = {{:id}}').bind({{key: 'x'.repeat(50), id: '{}'}}).execute()",
        ann.id
    );
    execute(&app, &code).await;
    ann.post("/api/collections/users/auth-refresh", json!({}))
        .await
        .expect(401);
}

/// As many rows as there is time for.
const SLOW: &str =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) AS n FROM c";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_query_ends_with_its_call_and_lets_others_go_on() {
    let limit = Duration::from_secs(3);
    let slow = format!(
        r#"
        let ended = false;
        const slow = () => db.query(`{SLOW}`);
        routerAdd("GET", "/slow", (e) => {{
            storage.set("begun", true);
            const all = [slow(), slow()];
            ended = true;
            return e.json(200, all);
        }});
        routerAdd("GET", "/written", (e) => e.json(200, $app.db().newQuery(`{SLOW}`).all([])));
        routerAdd("GET", "/quick", (e) => e.json(200, {{ ended, begun: storage.get("begun") ?? false }}));
        "#
    );
    let app = TestApp::new()
        .with(move |config| config.hooks.timeout = limit)
        .hook("slow.js", &slow)
        .start()
        .await;
    let guest = app.guest();
    let began = Instant::now();
    let (_, ()) = tokio::join!(guest.get("/slow"), async {
        until("the query", async || {
            guest.get("/quick").await.expect(200)["begun"] == true
        })
        .await;
        let quick = guest.get("/quick").await.expect(200);
        assert_eq!(quick["ended"], false, "it waited for the query");
    });
    // The two of them have had the time of one call, not what a query has.
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    let began = Instant::now();
    let written = guest.get("/written").await;
    assert!(written.status >= 400, "{written:?}");
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    guest.get("/quick").await.expect(200);
}
