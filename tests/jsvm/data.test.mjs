// The database, records, collections, fields, dates and values as scripts see them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { area, made, marked, matches, rows } from "./support/jsvm.mjs";

const route = (prefix) => (name, what, expected, more) => [name, "GET", `/jsvm/${prefix}/${what}`, undefined, 200, expected, more];

async function fill(call) {
  const { annId } = call.tokens;
  await made(call, "notes", { title: "zero", n: 0, level: "high" });
  const one = await made(call, "notes", { title: "one", n: 1, done: true, level: "low", owner: annId });
  const two = await made(call, "notes", { title: "two", n: 2, tags: ["red"], meta: { k: "v" }, due: "2025-01-01 00:00:00.000Z" });
  const three = await made(call, "notes", { title: "three", n: 3, level: "high", owner: annId, links: [one.id, two.id] });
  for (const text of ["first", "second"]) await made(call, "comments", { text, note: three.id });
}

area("SQL", { hooks: ["26"], prepare: fill }, (call) => {
  const db = route("db");
  rows(call, [
    db("all rows, shaped by a model", "all", { rows: [{ title: "two", n: 2, done: false, tags: ["red"], meta: { k: "v" }, due: null, gone: null }, { title: "three" }], length: 2, first: "two", done: false, tag: "red", meta: "v", isNull: true, map: [2, 3] }),
    db("one row", "one", { row: { total: 4, top: 3.5 }, total: 4, top: 3.5, type: "number" }),
    db("one() of none throws, all() of none is empty", "none", { message: "sql: no rows in result set", list: [] }),
    db("execute", "execute", { rows: 2 }),
    db("a broken statement throws", "row", { row: true }),
    db("$dbx.exp", "exp", ["one", "three"]),
    db("$dbx.hashExp", "hash", ["one"]),
    db("$dbx.hashExp with a list", "hash-list", ["one", "two"]),
    db("$dbx.like", "like", ["one", "two", "zero"]),
    db("$dbx.orLike", "or-like", ["one", "two"]),
    db("$dbx.notLike", "not-like", ["three"]),
    db("$dbx.like(...).match", "like-match", ["three", "two"]),
    db("$dbx.in", "in", ["one", "three"]),
    db("$dbx.notIn", "not-in", ["two", "zero"]),
    db("$dbx.between", "between", ["three", "two"]),
    db("$dbx.notBetween", "not-between", ["one", "zero"]),
    db("$dbx.and and $dbx.or", "and-or", ["three", "two"]),
    db("$dbx.not", "not", ["one", "three", "zero"]),
    db("$dbx.exists", "exists", ["three"]),
    db("$dbx.orNotLike", "or-not-like", ["one", "three", "two", "zero"]),
    db("$dbx.notExists", "not-exists", ["one", "two", "zero"]),
    db("andWhere, orWhere, limit and offset", "chain", ["two", "one"]),
    db("joins and groups", "join", [{ title: "three", total: 2 }]),
    db("distinct", "distinct", ["", "high", "low"]),
    db("recordQuery gives records", "record-query", { titles: ["three", "two"], one: "two", isNew: false }),
  ]);
});

area("finders", { hooks: ["27"], prepare: fill }, (call) => {
  const find = route("find");
  rows(call, [
    find("by id", "by-id", { title: "two", byCollectionId: 2, filtered: "two", missing: "sql: no rows in result set", noCollection: true }),
    find("by ids", "by-ids", { found: 3, none: 0 }),
    find("by filter", "by-filter", { params: ["three", "one"], limit: ["one", "two"], everything: 4, sort: ["one", "three", "two", "zero"], none: [], relation: (titles) => titles.sort().join() === "one,three", back: ["three"], date: ["two"], quoted: [], broken: true }),
    find("the first", "first", { data: "three", filter: "one", missing: "sql: no rows in result set" }),
    find("all, and counted", "all", { all: 4, some: (titles) => titles.sort().join() === "three,two", count: 4, countSome: 1, isArray: true }),
    find("accounts", "auth", { name: "ann", byToken: "ann@example.com", anyType: true, wrongType: true, garbage: true, missing: "sql: no rows in result set" }),
    find("expandRecord", "expand", { before: true, owner: "ann", links: ["one", "two"], back: (texts) => texts.sort().join() === "first,second", failed: ["nope"], expanded: ["comments_via_note", "links", "owner"], json: "ann" }),
    find("expandRecords", "expand-many", { failed: 0, nested: [[], [], (names) => names.sort().join() === "-,ann"] }),
    find("canAccessRecord", "access", { owner: true, other: false, body: true, query: true, header: true, method: false, empty: true, locked: false, mine: true, broken: true }),
  ]);
});

area("the Record class", { hooks: ["28"] }, (call) => {
  const record = route("record");
  rows(call, [
    record("getters convert", "getters", { get: "12.7", string: "5.5", int: [5, (n) => n === 12 || n === 0, 0], float: 12.7, bool: [true, false, false], slice: [["red", "blue"], ["12.7"], []], level: "high", date: "2024-05-06 07:08:09.123Z", noDate: true, place: [1.5, 2.5], missing: true, empty: "", numberType: "number", boolType: "boolean", tagsType: true, created: "" }),
    record("JSON fields", "json-field", { string: /^\{/, parsed: 2, text: "x", a: [1, 2], list: [1] }),
    record("modifiers", "modifiers", { n: 7, tags: ["red", "blue", "green"] }),
    record("states and copies", "states", { wasNew: true, before: "", isNew: false, id: 15, original: "", fresh: "changed", clone: ["clone", "changed", true], found: "state", tags: ["red"], custom: 5, inDatabase: true, collection: ["notes", "jsvmnotes000001", "notes"], created: false }),
    record("export, hide and unhide", "export", { plain: ["export", "s", 2, "notes", true], hidden: [true, true, 2], custom: ["export", "custom"], fields: true, stringified: "custom" }),
    record("fields are no properties, except the id", "properties", { property: true, id: "zyxwvutsrqponml", got: "zyxwvutsrqponml", expando: "props" }),
    record("own expand", "expand", { one: "other", allOfOne: 1, none: 0, keys: ["owner", "third"] }),
    record("date fields", "dates", { dateTime: "2024-02-03 04:05:06.007Z", date: "2024-01-02 00:00:00.000Z", cleared: true, text: "" }),
  ]);
});

area("auth records", { hooks: ["29", "12"] }, (call) => {
  const user = route("user");
  rows(call, [
    user("passwords", "password", { first: [true, false], second: [false, true], keyChanged: true, shown: "", verified: true, email: "script@example.com", random: (length) => length > 10 }),
    user("tokens", "tokens", { auth: "auth", file: "file", verification: "verification", reset: "passwordReset", change: "emailChange", static: false, refreshable: true, notAuth: true }),
    user("visibility", "visibility", { hidden: true, ignored: "ann@example.com", password: true, tokenKey: true, superuser: false, root: true }),
    ["an own sign-in", "POST", "/jsvm/phone-login", { phone: "ann", password: "12345678" }, 200, { token: /^ey/, record: { name: "ann", email: "ann@example.com" }, meta: { via: "phone" } }],
    ["an own sign-in that fails", "POST", "/jsvm/phone-login", { phone: "ann", password: "wrong" }, 400, { message: "Invalid credentials." }],
    ["an own sign-in of nobody", "POST", "/jsvm/phone-login", { phone: "nobody", password: "wrong" }, 404, { status: 404 }],
  ]);
  test("enrichRecord runs enrich hooks and expands", async () => {
    await made(call, "notes", { title: "enriched", owner: call.tokens.annId, secret: "s" });
    const answer = await call("GET", "/jsvm/enriched", undefined, { as: "ann" });
    const seen = { title: "enriched", seenAs: "ann", secret: "s", expand: { owner: { name: "ann" } } };
    matches(answer.json, { one: seen, list: [seen] });
  });
});

area("collections", { hooks: ["30"] }, (call) => {
  const collections = (name, what, expected, status = 200) => [name, "POST", `/jsvm/collections/${what}`, undefined, status, expected];
  rows(call, [
    collections("made", "create", { id: /^pbc_\d+$/, isNew: false, fields: ["id", "title", "owner", "n"], rules: ["", "title != ''", null], record: 3, duplicate: true, exists: true }),
    collections("changed", "alter", { names: ["id", "early", "title", "keeper", "flag"], listRule: null, index: true, indexes: 1, max: 20, kept: "", old: true }),
    collections("emptied and deleted", "delete", { left: 0, exists: false, unique: true }),
    collections("views and auth collections", "view", { view: [true, ["id", "title"]], auth: [true, true, true], kinds: true }),
    collections("invalid ones throw their field errors", "invalid", { data: { name: { code: "validation_match_invalid" } } }, 400),
    collections("asked about", "references", { cached: "jsvmnotes000001", tables: (names) => names.sort().join() === "id,name,value", columns: 3, indexes: (names) => names.includes("idx_counters_name") }),
    collections("imported", "import", { type: "number" }),
    ["a hook refuses a collection", "POST", "/api/collections", { name: "forbidden_name", type: "base" }, 400, { message: /This name is taken by us\.$/ }, { as: "root" }],
    ["a request hook changes one", "POST", "/api/collections", { name: "asked_one", type: "base" }, 200, { listRule: "id = 'set by the hook'" }, { as: "root" }],
    ["list hooks", "GET", "/api/collections", undefined, 200, {}, { as: "root", expectHeaders: { "x-collections": "true" } }],
    ["view hooks", "GET", "/api/collections/notes", undefined, 200, { name: "notes" }, { as: "root", expectHeaders: { "x-collection": "notes" } }],
  ]);
  test("after-success hooks of collections", async () => {
    const names = (await call("GET", "/api/collections/marks/records?perPage=100&sort=seq")).json.items.map((item) => item.data[1]);
    for (const name of ["scripted", "note_titles", "members", "imported", "asked_one"]) assert.ok(names.includes(name), `${name} in ${names}`);
  });
  void marked;
});

area("fields", { hooks: ["31"] }, (call) => {
  const types = ["text", "number", "bool", "email", "url", "editor", "date", "autodate", "select", "json", "file", "relation", "password", "geoPoint"];
  rows(call, [
    ["lists and classes", "GET", "/jsvm/fields", undefined, 200, { before: ["one", "two", "three", "four"], after: ["two", "three", "four"], length: 3, byName: ["number", 1, true], byId: "four", map: ["a", "b"], types, generic: ["email", true], json: "^a", accessors: ["d", true, true] }],
  ]);
});

area("dates", { hooks: ["32"] }, (call) => {
  const text = "2024-02-28 12:30:45.678Z";
  rows(call, [
    ["DateTime", "GET", "/jsvm/dates", undefined, 200, {
      string: text, text, json: text, unix: 1709123445, milli: 1709123445678, parts: [2024, 2, 28, 12, 30, 45, 3, 59], added: "2024-03-01 12:30:45.678Z", addDate: "2024-03-01 12:30:45.678Z", unchanged: text,
      sub: [true, 24], order: [true, false, true, -1], zero: [true, "", false], now: true, short: "2024-02-28 00:00:00.000Z", offset: "2024-02-28 10:30:45.000Z",
      zone: ["2024-06-30 22:00:00.000Z", "2023-12-31 23:00:00.000Z", "2024-01-01 00:00:00.000Z"], timezone: ["America/New_York", "UTC"], format: "2024/02/28 12:30", js: true,
    }],
  ]);
});

area("values", { hooks: ["39"] }, (call) => {
  const values = route("values");
  rows(call, [
    values("toString", "to-string", ["text", "12", "1.5", "true", "", '{"a":1}', '[1,"a"]', "größer", "2024-01-02 03:04:05.678Z"]),
    values("toBytes", "to-bytes", { length: 3, values: [104, 105], same: 1, empty: 0, list: "hi" }),
    values("DynamicModel", "dynamic", { model: { text: "b", int: 7, float: 2.5, flag: true, list: ["y", "z"], map: { k: "v" }, nothing: null }, keys: ["flag", "float", "int", "list", "map", "nothing", "text"], int: 7, list: 2, map: "v", nothing: true, wrong: true }),
    values("null values", "nulls", { before: { s: null, i: null, f: null, b: null, a: null, o: null }, after: { s: "x", i: 1, f: 1.5, b: false, a: [1], o: { k: 1 } }, s: "x", b: false }),
    values("arrayOf", "array-of", { length: 2, sum: 3, list: [{ a: 1 }, { a: 2 }], isArray: true, spread: 2, index: 2 }),
    values("Context", "context", [1, "2", true]),
    values("Cookie", "cookie", { name: "a", text: "a=b; Path=/x; Secure; SameSite=Strict" }),
    values("sleep", "sleep", { slept: true }),
    values("JSON.stringify of host objects", "json", { record: "json", list: 1, date: '"2024-01-02 03:04:05.678Z"', inText: "1" }),
    values("the language", "language", { rest: { b: 2, c: 3 }, list: [1, 2, 3], animal: "cat!", map: "v", generated: [1, 2], optional: "default", flat: [1, 2], regexp: "05.2024", big: "18446744073709551616", entries: { x: 1 }, padded: "007", sum: 6 }),
    values("modules", "modules", { same: true, slug: "hello-world", missing: true }),
    values("globals", "globals", ["function", "object", "function", "object", "string", "function", "hi"]),
    ["console", "GET", "/jsvm/values/console", undefined, 204, ""],
  ]);
});

area("forms", { hooks: ["40"] }, (call) => {
  rows(call, [["RecordUpsertForm", "POST", "/jsvm/forms", undefined, 200, { title: "by a form", n: 4, id: 15 }]]);
});
