//! Records, collections, queries and values as scripts see them.

use serde_json::json;

use super::{House, run};

/// A few notes, as `fill()` makes them.
const FILL: &str = r#"
    const notes = $app.findCollectionByNameOrId("notes")
    const users = $app.findCollectionByNameOrId("users")
    const ann = new Record(users, { email: "ann@example.com", name: "ann", verified: true })
    ann.setPassword("12345678")
    $app.save(ann)
    const add = (data) => { const note = new Record(notes, data); $app.save(note); return note }
    add({ title: "zero", n: 0, level: "high" })
    const one = add({ title: "one", n: 1, done: true, level: "low", owner: ann.id })
    const two = add({ title: "two", n: 2, tags: ["red"], meta: { k: "v" }, due: "2025-01-01 00:00:00.000Z" })
    const three = add({ title: "three", n: 3, level: "high", owner: ann.id, links: [one.id, two.id] })
    for (const text of ["first", "second"]) $app.save(new Record($app.findCollectionByNameOrId("comments"), { text, note: three.id }))
    const thrown = (call) => { try { call() } catch (error) { return String(error.message || error) } return "" }
    const titles = (records) => records.map((record) => record.get("title"))
"#;

async fn filled(code: &str) -> serde_json::Value {
    run(&format!("{FILL}\n{code}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn getters_convert() {
    let got = run(r#"
        const note = new Record($app.findCollectionByNameOrId("notes"), { title: "12.7", n: "5.5", done: "true", tags: ["red", "blue"], level: ["low", "high"], meta: { a: { b: [1] } }, due: "2024-05-06 07:08:09.123Z", place: { lon: 1.5, lat: 2.5 } })
        return {
            get: note.get("title"), string: note.getString("n"), int: [note.getInt("n"), note.getInt("body")], float: note.getFloat("title"),
            bool: [note.getBool("done"), note.getBool("title"), note.getBool("body")], slice: [note.getStringSlice("tags"), note.getStringSlice("title"), note.getStringSlice("body")],
            level: note.get("level"), date: note.getDateTime("due").string(), noDate: note.getDateTime("body").isZero(),
            place: [note.get("place").lon, note.getGeoPoint("place").lat], missing: note.get("missing") === null, n: typeof note.get("n"), tags: Array.isArray(note.get("tags")),
            json: [note.getString("meta"), String(note.get("meta")), JSON.parse(note.getString("meta")).a.b[0]], property: note.title === undefined,
        }
    "#).await;
    assert_eq!(
        got,
        json!({
            "get": "12.7", "string": "5.5", "int": [5, 0], "float": 12.7, "bool": [true, false, false], "slice": [["red", "blue"], ["12.7"], []],
            "level": "high", "date": "2024-05-06 07:08:09.123Z", "noDate": true, "place": [1.5, 2.5], "missing": true, "n": "number", "tags": true,
            "json": ["{\"a\":{\"b\":[1]}}", "{\"a\":{\"b\":[1]}}", 1], "property": true,
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn modifiers_and_states() {
    let got = run(r#"
        const notes = $app.findCollectionByNameOrId("notes")
        const mod = new Record(notes, { title: "mod", n: 5, tags: ["red"] })
        mod.set("n+", 3)
        mod.set("n-", 1)
        mod.set("tags+", ["blue", "green"])
        mod.set("tags-", "red")
        mod.set("+tags", "red")
        mod.set("slug:autogenerate", "x")
        const note = new Record(notes)
        note.load({ title: "state", n: 1, tags: "red", unknown: 5 })
        const wasNew = note.isNew()
        $app.save(note)
        note.set("title", "changed")
        const found = $app.findRecordById("notes", note.id)
        const clone = note.clone()
        clone.set("title", "clone")
        found.set("title", "again")
        return {
            n: mod.get("n"), tags: mod.get("tags"), slug: mod.get("slug").length, wasNew, isNew: note.isNew(), id: note.id.length, original: note.original().get("title"),
            loaded: found.original().get("title"), fresh: note.fresh().get("title"), clone: [clone.get("title"), note.get("title"), clone.id === note.id],
            custom: [note.customData().unknown, note.fresh().get("unknown"), clone.get("unknown")], collection: [note.collection().name, note.tableName()], created: note.getDateTime("created").isZero(),
        }
    "#).await;
    assert_eq!(
        got,
        json!({
            "n": 7, "tags": ["red", "blue", "green"], "slug": 6, "wasNew": true, "isNew": false, "id": 15, "original": "", "loaded": "state",
            "fresh": "changed", "clone": ["clone", "changed", true], "custom": [5, null, 5], "collection": ["notes", "notes"], "created": false,
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_hide_and_show() {
    let got = run(r#"
        const note = new Record($app.findCollectionByNameOrId("notes"), { id: "abcdefghijklmno", title: "export", secret: "s", n: 2, extra: "custom", meta: [1] })
        const plain = note.publicExport()
        note.hide("title").unhide("secret").withCustomData(true)
        const other = new Record($app.findCollectionByNameOrId("notes"), { title: "other" })
        note.setExpand({ owner: other, links: [other] })
        note.mergeExpand({ third: other })
        const shown = JSON.parse(JSON.stringify([note]))[0]
        note.id = "zyxwvutsrqponml"
        return [plain.title, plain.secret ?? null, plain.collectionName, plain.meta, shown.title ?? null, shown.secret, shown.extra, shown.expand.owner.title,
            note.expandedOne("owner").get("title"), note.expandedAll("links").length, note.expandedAll("none"), note.expandedOne("none"), Object.keys(note.expand()).sort(), note.get("id")]
    "#).await;
    assert_eq!(
        got,
        json!([
            "export",
            null,
            "notes",
            [1],
            null,
            "s",
            "custom",
            "other",
            "other",
            1,
            [],
            null,
            ["links", "owner", "third"],
            "zyxwvutsrqponml"
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn finders_find() {
    let got = filled(r#"
        const find = (...args) => titles($app.findRecordsByFilter("notes", ...args))
        return {
            params: find("n >= {:min} && title != {:not}", "-n", 10, 0, { min: 1, not: "two" }), limit: find("n >= 0", "n", 2, 1), all: find("").length, none: find("n > 100"),
            relation: find("owner.name = {:name}", "n", 0, 0, { name: "ann" }), back: find("comments_via_note.text ?= 'first'"),
            date: find("due > {:date}", "", 0, 0, { date: new DateTime("2024-01-01 00:00:00.000Z") }), quoted: find("title = {:t}", "", 0, 0, { t: `" || 1=1 || "` }),
            broken: thrown(() => find("nope = 1")).startsWith("invalid filter expression"),
            byId: $app.findRecordById(notes.id, two.id).get("n"), filtered: $app.findRecordById("notes", two.id, (query) => { query.andWhere($dbx.hashExp({ n: 2 })) }).get("title"),
            missing: thrown(() => $app.findRecordById("notes", "none")), noCollection: thrown(() => $app.findRecordById("none", "none")) !== "",
            byIds: $app.findRecordsByIds("notes", [one.id, "missing00000000", two.id]).length,
            data: $app.findFirstRecordByData("notes", "n", 3).get("title"), first: $app.findFirstRecordByFilter("notes", "done = true && level = {:l}", { l: "low" }).get("title"),
            some: titles($app.findAllRecords("notes", $dbx.exp("n > {:n}", { n: 1 }), $dbx.hashExp({ done: false }))), count: [$app.countRecords("notes"), $app.countRecords(notes, $dbx.hashExp({ done: true }))],
            email: $app.findAuthRecordByEmail("users", "ann@example.com").get("name"), noEmail: thrown(() => $app.findAuthRecordByEmail("users", "x@example.com")),
            token: $app.findAuthRecordByToken(ann.newAuthToken(), "auth").email(), wrong: thrown(() => $app.findAuthRecordByToken(ann.newAuthToken(), "verification")) !== "",
        }
    "#).await;
    assert_eq!(
        got,
        json!({
            "params": ["three", "one"], "limit": ["one", "two"], "all": 4, "none": [], "relation": ["one", "three"], "back": ["three"], "date": ["two"], "quoted": [],
            "broken": true, "byId": 2, "filtered": "two", "missing": "sql: no rows in result set", "noCollection": true, "byIds": 2, "data": "three", "first": "one",
            "some": ["two", "three"], "count": [4, 1], "email": "ann", "noEmail": "sql: no rows in result set", "token": "ann@example.com", "wrong": true,
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn relations_expand_and_rules_are_asked() {
    let got = filled(r#"
        const note = $app.findRecordById("notes", three.id)
        const failed = $app.expandRecord(note, ["owner", "links.owner", "comments_via_note", "nope"])
        const may = (rule, info) => $app.canAccessRecord(note, { auth: ann, body: { n: 123 }, query: {}, headers: { x_token: "secret" }, method: "POST", ...info }, rule)
        return {
            owner: note.expandedOne("owner").get("name"), links: titles(note.expandedAll("links")).sort(), nested: note.expandedAll("links").map((link) => link.expandedOne("owner")?.get("name") ?? "-"),
            back: note.expandedAll("comments_via_note").map((comment) => comment.get("text")), failed: Object.keys(failed),
            may: [may("owner = @request.auth.id"), may("owner != @request.auth.id"), may("@request.body.n = 123"), may("@request.headers.x_token = 'secret'"), may("@request.method = 'GET'"), may(""), may(null)],
            broken: thrown(() => may("nope = 1")) !== "",
        }
    "#).await;
    assert_eq!(
        got,
        json!({
            "owner": "ann", "links": ["one", "two"], "nested": ["ann", "-"], "back": ["first", "second"], "failed": ["nope"],
            "may": [true, false, true, true, false, true, false], "broken": true,
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_query_builder_builds() {
    let got = filled(r#"
        const rows = (query) => { const list = arrayOf(new DynamicModel({ title: "" })); query.all(list); return list.map((row) => row.title) }
        const of = (where) => rows($app.db().select("title").from("notes").where(where).orderBy("title ASC"))
        const joined = arrayOf(new DynamicModel({ title: "", total: 0 }))
        $app.db().select("notes.title", "count(c.id) as total").from("notes").leftJoin("comments c", $dbx.exp("c.note = notes.id")).groupBy("notes.id").having($dbx.exp("total > 0")).orderBy("title").all(joined)
        const records = arrayOf(new Record())
        $app.recordQuery("notes").andWhere($dbx.exp("n > 0")).orderBy("n DESC").limit(2).all(records)
        const found = new Record()
        $app.recordQuery("notes").andWhere($dbx.hashExp({ title: "two" })).limit(1).one(found)
        return {
            exp: of($dbx.exp("n = {:n} OR n = 3", { n: 1 })), hash: of($dbx.hashExp({ done: true, level: "low" })), list: of($dbx.hashExp({ title: ["one", "two"] })), like: of($dbx.like("title", "o")),
            orLike: of($dbx.orLike("title", "ne", "wo")), notLike: of($dbx.notLike("title", "o")), match: of($dbx.like("title", "t").match(false, true)), in: of($dbx.in("n", 1, 3)), notIn: of($dbx.notIn("n", 1, 3)),
            between: of($dbx.between("n", 2, 3)), notBetween: of($dbx.notBetween("n", 2, 3)), or: of($dbx.and($dbx.exp("n > 1"), $dbx.or($dbx.hashExp({ title: "two" }), $dbx.hashExp({ title: "three" })))),
            not: of($dbx.not($dbx.hashExp({ title: "two" }))), exists: of($dbx.exists($dbx.exp("SELECT 1 FROM comments WHERE comments.note = notes.id"))), escaped: of($dbx.like("title", "%")),
            chain: rows($app.db().select("title").from("notes").where($dbx.exp("n >= 1")).andWhere($dbx.exp("n < 4")).orWhere($dbx.hashExp({ title: "zero" })).orderBy("n DESC").limit(2).offset(1)),
            joined, records: titles(records), one: [found.get("title"), found.isNew(), found.collection().name],
        }
    "#).await;
    assert_eq!(
        got,
        json!({
            "exp": ["one", "three"], "hash": ["one"], "list": ["one", "two"], "like": ["one", "two", "zero"], "orLike": ["one", "two"], "notLike": ["three"],
            "match": ["three", "two"], "in": ["one", "three"], "notIn": ["two", "zero"], "between": ["three", "two"], "notBetween": ["one", "zero"], "or": ["three", "two"],
            "not": ["one", "three", "zero"], "exists": ["three"], "escaped": [], "chain": ["two", "one"], "joined": [{"title": "three", "total": 2}],
            "records": ["three", "two"], "one": ["two", false, "notes"],
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_run() {
    let got = filled(r#"
        const list = arrayOf(new DynamicModel({ title: "", n: -0, done: false, tags: [], meta: {}, due: nullString(), gone: nullFloat() }))
        $app.db().newQuery("SELECT id, title, n, done, tags, meta, NULL AS due, NULL AS gone FROM notes WHERE n > {:min} ORDER BY n").bind({ min: 1 }).all(list)
        const row = new DynamicModel({ total: 0, top: -0 })
        $app.db().newQuery("SELECT COUNT(*) AS total, MAX(n) + 0.5 AS top FROM notes").one(row)
        const db = $app.db()
        db.createTable("extra", { id: "INTEGER PRIMARY KEY", x: "" }).execute()
        const inserted = db.insert("extra", { x: "a" }).execute()
        db.upsert("extra", { id: 1, x: "b" }, "id").execute()
        db.update("extra", { x: $dbx.exp("x || {:n}", { n: 5 }) }, $dbx.hashExp({ id: 1 })).execute()
        const x = db.newQuery("SELECT x FROM extra").rows()
        const deleted = db.delete("extra", $dbx.hashExp({ id: 1 })).execute().rowsAffected()
        return {
            rows: list, meta: list[0].meta.get("k"), row, executed: db.newQuery("UPDATE notes SET body = {:body} WHERE n >= {:n}").bind({ body: "by SQL", n: 2 }).execute().rowsAffected(),
            none: thrown(() => db.newQuery("SELECT id FROM notes WHERE id = 'x'").one(new DynamicModel({ id: "" }))), broken: thrown(() => db.newQuery("SELECT broken FROM nowhere").execute()).includes("nowhere"),
            inserted: [inserted.rowsAffected(), inserted.lastInsertId()], x, deleted, tables: [$app.hasTable("EXTRA"), $app.hasTable("none")], columns: $app.tableColumns("comments"), info: $app.tableInfo("comments").length,
            logs: $app.auxDB().newQuery("SELECT count(*) AS total FROM _logs").rows()[0].total, nul: thrown(() => db.newQuery("SELECT NULL AS a").one(new DynamicModel({ a: "" }))),
        }
    "#).await;
    assert_eq!(
        got["rows"][0],
        json!({"done": false, "due": null, "gone": null, "meta": {"k": "v"}, "n": 2, "tags": ["red"], "title": "two"})
    );
    assert_eq!(got["row"], json!({"top": 3.5, "total": 4}));
    let rest = [
        "meta", "executed", "none", "broken", "inserted", "x", "deleted", "tables", "columns",
        "info", "logs",
    ]
    .map(|name| got[name].clone());
    assert_eq!(
        json!(rest),
        json!(["v", 2, "sql: no rows in result set", true, [1, 1], [{"x": "b5"}], 1, [true, false], ["id", "note", "text"], 3, 0])
    );
    assert_eq!(got["nul"], "converting NULL to string is unsupported");
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_hold_together() {
    let got = filled(r#"
        const before = $app.countRecords("notes")
        let inside
        const message = thrown(() => $app.runInTransaction((tx) => {
            tx.save(new Record(notes, { title: "tx 1" }))
            $app.save(new Record(notes, { title: "tx 2" }))
            const missed = thrown(() => tx.save(new Record(notes, { title: "" })))
            tx.runInTransaction((inner) => { inner.db().insert("comments", { id: "abcdefghijklmno", text: "raw" }).execute() })
            inside = [tx.countRecords("notes") - before, tx.isTransactional(), tx.findFirstRecordByData("notes", "title", "tx 2").get("title"), missed, tx.countRecords("comments"), tx.findRecordsByFilter("notes", "title ~ 'tx'").length]
            throw new Error("out")
        }))
        $app.runInTransaction((tx) => { tx.save(new Record(notes, { title: "kept" })) })
        return { message, inside, after: $app.countRecords("notes") - before, comments: $app.countRecords("comments"), transactional: $app.isTransactional() }
    "#).await;
    assert_eq!(
        got,
        json!({
            "message": "out", "inside": [2, true, "tx 2", "title: Cannot be blank.", 3, 2], "after": 1, "comments": 2, "transactional": false,
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_saves_are_errors_of_the_host() {
    let got = run(r#"
        const note = new Record($app.findCollectionByNameOrId("notes"), { title: "this title is much longer than allowed", level: "middle" })
        try { $app.save(note) } catch (error) {
            return [error instanceof Error, error.name, error.message.includes("title: ") && error.message.includes("level: "), error.value.title === undefined, Object.keys(JSON.parse(JSON.stringify(error.value))).sort(), String(error).startsWith("GoError: "), note.id.length, note.isNew(), Object.keys(error)]
        }
    "#).await;
    assert_eq!(
        got,
        json!([
            true,
            "GoError",
            true,
            true,
            ["level", "title"],
            true,
            15,
            true,
            ["value"]
        ])
    );
    let saved = run(r#"
        const note = new Record($app.findCollectionByNameOrId("notes"), { level: "middle" })
        $app.saveNoValidate(note)
        const found = $app.findRecordById("notes", note.id)
        $app.delete(found)
        let message = ""
        try { $app.validate(note) } catch (error) { message = error.message }
        return [note.get("level"), note.isNew(), message !== "", $app.countRecords("notes")]
    "#)
    .await;
    assert_eq!(saved, json!(["middle", false, true, 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_records_have_passwords_and_tokens() {
    let got = run(r#"
        const user = new Record($app.findCollectionByNameOrId("users"))
        user.setEmail("script@example.com")
        user.setPassword("first-12345")
        user.setVerified(true)
        $app.save(user)
        const key = user.tokenKey()
        const first = [user.validatePassword("first-12345"), user.validatePassword("nope")]
        user.set("password", "second-12345")
        $app.save(user)
        const type = (token) => $app.findAuthRecordByToken(token).id === user.id
        let notAuth = false
        try { new Record($app.findCollectionByNameOrId("notes")).newAuthToken() } catch { notAuth = true }
        const hidden = user.publicExport().email === undefined
        user.ignoreEmailVisibility(true)
        return [first, user.validatePassword("second-12345"), key !== user.tokenKey(), user.get("password"), user.verified(), user.email(), user.setRandomPassword().length,
            type($app.findAuthRecordByEmail("users", "script@example.com").newAuthToken()), notAuth, hidden, user.publicExport().email, user.publicExport().tokenKey === undefined, user.isSuperuser()]
    "#).await;
    assert_eq!(
        got,
        json!([
            [true, false],
            true,
            true,
            "",
            true,
            "script@example.com",
            30,
            true,
            true,
            true,
            "script@example.com",
            true,
            false
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn collections_are_made_changed_and_removed() {
    let house = House::open().await;
    let made = house.run(r#"
        const collection = new Collection({
            type: "base", name: "scripted", listRule: "", viewRule: "title != ''", createRule: null,
            fields: [{ name: "title", type: "text", required: true, max: 10 }, { name: "owner", type: "relation", collectionId: $app.findCollectionByNameOrId("users").id, maxSelect: 1 }, { name: "n", type: "number", onlyInt: true }],
            indexes: ["CREATE UNIQUE INDEX idx_scripted_title ON scripted (title)"],
        })
        const before = collection.isNew()
        $app.save(collection)
        const record = new Record($app.findCollectionByNameOrId("scripted"), { title: "one", n: 3 })
        $app.save(record)
        let duplicate = false
        try { $app.save(new Record(collection, { title: "one" })) } catch { duplicate = true }
        return [before, collection.id.startsWith("pbc_"), collection.isNew(), collection.fields.fieldNames(), collection.listRule, collection.viewRule, collection.createRule, record.get("n"), duplicate, $app.hasTable("scripted")]
    "#).await;
    assert_eq!(
        made,
        json!([
            true,
            true,
            false,
            ["id", "title", "owner", "n"],
            "",
            "title != ''",
            null,
            3,
            true,
            true
        ])
    );
    let altered = house.run(r#"
        const collection = $app.findCollectionByNameOrId("scripted")
        collection.name = "scripted_more"
        collection.listRule = null
        collection.fields.add(new BoolField({ name: "flag" }))
        collection.fields.addAt(1, new TextField({ name: "early" }))
        collection.fields.getByName("title").max = 20
        collection.fields.removeByName("n")
        collection.fields.getByName("owner").name = "keeper"
        collection.addIndex("idx_scripted_flag", false, "flag", "flag = true")
        $app.save(collection)
        const again = $app.findCollectionByNameOrId("scripted_more")
        const index = again.getIndex("idx_scripted_flag")
        again.removeIndex("idx_scripted_title")
        $app.save(again)
        let old = false
        try { $app.findCollectionByNameOrId("scripted") } catch { old = true }
        return [again.fields.fieldNames(), again.listRule, /WHERE flag = true/i.test(index), again.indexes.length, again.fields.getByName("title").max, $app.findFirstRecordByData("scripted_more", "title", "one").get("early"), old]
    "#).await;
    assert_eq!(
        altered,
        json!([
            ["id", "early", "title", "keeper", "flag"],
            null,
            true,
            1,
            20,
            "",
            true
        ])
    );
    let rest = house.run(r#"
        $app.truncateCollection($app.findCollectionByNameOrId("scripted_more"))
        const left = $app.countRecords("scripted_more")
        $app.delete($app.findCollectionByNameOrId("scripted_more"))
        $app.save(new Collection({ type: "view", name: "note_titles", listRule: "", viewQuery: "SELECT id, title FROM notes" }))
        $app.save(new Collection({ type: "auth", name: "members", passwordAuth: { enabled: true, identityFields: ["email"] } }))
        const view = $app.findCollectionByNameOrId("note_titles")
        const members = $app.findCollectionByNameOrId("members")
        $app.importCollections([{ name: "imported", type: "base", fields: [{ name: "x", type: "number" }] }], false)
        const shown = JSON.parse(JSON.stringify(members))
        return [left, $app.hasTable("scripted_more"), view.isView(), view.fields.fieldNames(), members.isAuth(), members.fields.getByName("email") !== null, members.authToken.duration > 0, members.authToken.secret.length > 10,
            shown.authToken, $app.findAllCollections("auth").map((one) => one.name).includes("members"), $app.findCollectionByNameOrId("imported").fields.getByName("x").type(), $app.isCollectionNameUnique("Imported"), $app.isCollectionNameUnique("free")]
    "#).await;
    let mut rest = rest.as_array().cloned().unwrap();
    assert!(rest.remove(8).get("secret").is_none(), "{rest:?}");
    assert_eq!(
        json!(rest),
        json!([
            0,
            false,
            true,
            ["id", "title"],
            true,
            true,
            true,
            true,
            true,
            "number",
            false,
            true
        ])
    );
    let error = house.attempt(r#"$app.save(new Collection({ type: "base", name: "bad name!", fields: [{ name: "x", type: "text" }] }))"#).await.unwrap_err();
    assert!(error.to_string().contains("name: "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_have_classes_and_lists() {
    let got = run(r#"
        const list = new FieldsList([{ name: "one", type: "text" }])
        list.add(new NumberField({ name: "two", min: 1, max: 5 }))
        list.add(new SelectField({ name: "three", values: ["a", "b"], maxSelect: 2 }), new BoolField({ name: "four" }))
        const before = list.fieldNames()
        list.removeByName("one")
        return [before, list.fieldNames(), list.length, list.getByName("two").type(), list.getByName("two").min, list.getByName("none"), list.getById(list.getByName("four").id).name, list.asMap().three.values,
            [new TextField(), new URLField(), new JSONField(), new GeoPointField(), new AutodateField()].map((field) => field.type()), new Field({ name: "g", type: "email", required: true }).type(),
            new Field({ name: "g", type: "email", required: true }) instanceof EmailField, JSON.parse(JSON.stringify(new TextField({ name: "t", max: 3, pattern: "^a" }))).pattern, new DateField({ name: "d", system: true }).getName(), new TextField({}).max]
    "#).await;
    assert_eq!(
        got,
        json!([
            ["one", "two", "three", "four"],
            ["two", "three", "four"],
            3,
            "number",
            1,
            null,
            "four",
            ["a", "b"],
            ["text", "url", "json", "geoPoint", "autodate"],
            "email",
            true,
            "^a",
            "d",
            0
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dates_count() {
    let got = run(r#"
        const date = new DateTime("2024-02-28 12:30:45.678Z")
        const day = 24 * 60 * 60 * 1000000000
        const time = date.time()
        return [date.string(), String(date), JSON.stringify(date), date.unix(), time.unixMilli(), [time.year(), time.month(), time.day(), time.hour(), time.minute(), time.second(), time.weekday(), time.yearDay()],
            date.add(2 * day).string(), date.addDate(0, 0, 2).string(), date.string(), date.sub(new DateTime("2024-02-27 12:30:45.678Z")) == day, date.sub(new DateTime("2024-02-27 12:30:45.678Z")).hours(),
            date.before(new DateTime()), date.after(new DateTime()), date.equal(new DateTime("2024-02-28 12:30:45.678Z")), date.compare(new DateTime("2030-01-01")), new DateTime("garbage").isZero(), new DateTime("garbage").string(),
            new DateTime("2024-02-28").string(), new DateTime("2024-02-28T12:30:45+02:00").string(), new DateTime("2024-01-01 00:00:00", "No/Where").string(), new Timezone("bad/zone").string(), time.format("2006/01/02 15:04"), time.format("Mon Jan _2 3:04PM MST")]
    "#).await;
    let text = "2024-02-28 12:30:45.678Z";
    assert_eq!(
        got,
        json!([
            text,
            text,
            format!("\"{text}\""),
            1709123445,
            1709123445678_i64,
            [2024, 2, 28, 12, 30, 45, 3, 59],
            "2024-03-01 12:30:45.678Z",
            "2024-03-01 12:30:45.678Z",
            text,
            true,
            24,
            true,
            false,
            true,
            -1,
            true,
            "",
            "2024-02-28 00:00:00.000Z",
            "2024-02-28 10:30:45.000Z",
            "2024-01-01 00:00:00.000Z",
            "UTC",
            "2024/02/28 12:30",
            "Wed Feb 28 12:30PM UTC"
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn models_keep_their_shape() {
    let got = run(r#"
        const thrown = (call) => { try { call() } catch (error) { return String(error.message || error) } return "" }
        const model = new DynamicModel({ text: "a", int: 1, float: -0, flag: true, list: ["x"], map: { k: "v" }, nothing: nullString() })
        model.text = "b"
        model.int = "7"
        model.float = 2.5
        model.list = ["y", "z"]
        const wrong = thrown(() => { model.unknown = 1 })
        const nulls = new DynamicModel({ s: nullString(), i: nullInt(), a: nullArray(), o: nullObject() })
        const before = JSON.stringify(nulls)
        unmarshal({ s: "x", i: 1, a: [1], o: { k: 1 } }, nulls)
        const list = arrayOf(new DynamicModel({ a: 0 }))
        unmarshal([{ a: 1 }, { a: 2, b: 3 }], list)
        const context = new Context(new Context(null, "one", 1), "two", "2")
        $app.store().set("k", { a: 1 })
        return [model, Object.keys(model), model.map.get("k"), model.map.k === undefined, wrong !== "", before, nulls, list.length, list.reduce((sum, item) => sum + item.a, 0), list, Array.isArray(list), [...list].length, list.map((item) => item.a),
            [context.value("one"), context.value("two"), context.value("three")], $app.store().get("k"), $app.store().get("none"), $app.store().length(), thrown(() => new DynamicModel()) !== ""]
    "#).await;
    assert_eq!(
        got,
        json!([
            {"flag": true, "float": 2.5, "int": 7, "list": ["y", "z"], "map": {"k": "v"}, "nothing": null, "text": "b"},
            ["flag", "float", "int", "list", "map", "nothing", "text"], "v", true, true, "{\"a\":null,\"i\":null,\"o\":null,\"s\":null}", {"a": [1], "i": 1, "o": {"k": 1}, "s": "x"}, 2, 3, [{"a": 1}, {"a": 2}], true, 2, [1, 2],
            [1, "2", null], {"a": 1}, null, 1, true
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_change_when_saved() {
    let got = run(r#"
        const settings = $app.settings()
        settings.meta.appName = "Named by a script"
        settings.batch.enabled = true
        $app.save(settings)
        let invalid = false
        try { const copy = $app.settings().clone(); copy.meta.appName = ""; $app.save(copy) } catch { invalid = true }
        return [$app.settings().meta.appName, $app.settings().batch.enabled, invalid, typeof settings.smtp.port, settings.logs.maxDays]
    "#).await;
    assert_eq!(got, json!(["Named by a script", true, true, "number", 5]));
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_see_collections_and_change_them() {
    let house = House::open().await;
    house
        .script(
            "hooks.pb.js",
            r#"
            onCollectionCreate((e) => {
                if (e.collection.name === "refused") throw new BadRequestError("taken")
                $app.store().set("was", [e.collection.name, e.collection.isNew()])
                e.collection.fields.add(new TextField({ name: "added" }))
                e.next()
            })
            onRecordCreate((e) => {
                e.record.set("body", `in ${e.record.collection().name}`)
                e.next()
            }, "notes")
            "#,
        )
        .await;
    let got = house.run(r#"
        const made = new Collection({ name: "hooked", type: "base" })
        $app.save(made)
        let message = ""
        try { $app.save(new Collection({ name: "refused", type: "base" })) } catch (error) { message = error.message }
        const note = new Record($app.findCollectionByNameOrId("notes"), { title: "x" })
        $app.save(note)
        return [$app.store().get("was"), made.fields.fieldNames(), $app.findCollectionByNameOrId("hooked").fields.fieldNames(), message, note.get("body")]
    "#).await;
    assert_eq!(
        got,
        json!([
            ["hooked", true],
            ["id", "added"],
            ["id", "added"],
            "Taken.",
            "in notes"
        ])
    );
}
