// Hooks on requests for records, and on sign-in.

import assert from "node:assert/strict";
import { test } from "node:test";

import { area, made, marked, matches, rows } from "./support/jsvm.mjs";

const NOTES = "/api/collections/notes/records";

area("create requests", { hooks: ["01"] }, (call) => {
  rows(call, [
    ["fields are set before the write", "POST", NOTES, { title: "Hello, World!" }, 200, { slug: "hello-world", body: "(empty)", owner: "" }],
    ["the caller is e.auth", "POST", NOTES, { title: "mine" }, 200, { owner: () => true, slug: "mine" }, { as: "ann" }],
    ["a ForbiddenError ends the request", "POST", NOTES, { title: "x", secret: "s" }, 403, { status: 403, message: "Only superusers set secrets.", data: {} }],
    ["superusers are recognised", "POST", NOTES, { title: "x", secret: "s" }, 200, { secret: "s" }, { as: "root" }],
    ["a handler of another collection is not called, its own is", "POST", "/api/collections/counters/records", { name: "a" }, 400, { message: "Never." }],
    ["without e.next() the handler's answer stands", "POST", "/api/collections/comments/records", { text: "swallow" }, 202, { swallowed: { text: "swallow" } }],
    ["with return e.next() the API answers", "POST", "/api/collections/comments/records", { text: "kept" }, 200, { text: "kept" }],
    ["what was swallowed is not there", "GET", "/api/collections/comments/records", undefined, 200, { totalItems: 1 }],
  ]);
  test("the owner is the caller's id", async () => {
    assert.equal((await made(call, "notes", { title: "owned" }, { as: "ann" })).owner, call.tokens.annId);
  });
  test("after e.next() the record is stored", async () => {
    const note = await made(call, "notes", { title: "marked" });
    await marked(call, "created", [{}, {}, {}, {}, { id: note.id, isNew: false, collection: "notes" }]);
  });
});

area("update and delete requests", { hooks: ["02", "03"] }, (call) => {
  test("original() is the record as stored", async () => {
    const note = await made(call, "notes", { title: "old" });
    matches((await call("PATCH", `${NOTES}/${note.id}`, { title: "new" })).json, { title: "new", body: "old -> new" });
  });
  test("query values reach the hook", async () => {
    const note = await made(call, "notes", { title: "n", n: 1 });
    matches((await call("PATCH", `${NOTES}/${note.id}?touch=1`, { done: false })).json, { n: 11 });
  });
  test("an update is refused, but not to superusers", async () => {
    const note = await made(call, "notes", { title: "n", done: true });
    const refused = await call("PATCH", `${NOTES}/${note.id}`, { title: "x" });
    matches(refused.json, { status: 400, message: "Done notes stay as they are.", data: {} });
    assert.equal((await call("PATCH", `${NOTES}/${note.id}`, { title: "x" }, { as: "root" })).status, 200);
  });
  test("a delete is refused with the default text", async () => {
    const note = await made(call, "notes", { title: "n", level: "high" });
    matches((await call("DELETE", `${NOTES}/${note.id}`)).json, { status: 403, message: "You are not allowed to perform this request." });
    assert.equal((await call("GET", `${NOTES}/${note.id}`)).status, 200);
  });
  test("work after e.next() of a delete", async () => {
    const note = await made(call, "notes", { title: "bye" });
    assert.equal((await call("DELETE", `${NOTES}/${note.id}`)).status, 204);
    await marked(call, "deleted", ["bye"]);
  });
});

area("list and view requests", { hooks: ["04"] }, (call) => {
  test("a list hook changes what is sent and adds headers", async () => {
    await made(call, "notes", { title: "one", done: true });
    await made(call, "notes", { title: "two" });
    const answer = await call("GET", `${NOTES}?sort=title&perPage=5`);
    matches(answer.json.items.map((item) => item.title), ["[done] one", "two"]);
    matches(["x-count", "x-total", "x-page"].map((name) => answer.headers.get(name)), ["2", "2", "1/1/5"]);
  });
  test("a view hook changes, replaces and hides the record", async () => {
    const note = await made(call, "notes", { title: "view", body: "quiet" });
    matches((await call("GET", `${NOTES}/${note.id}`)).json, { body: "QUIET" });
    assert.equal((await call("GET", `${NOTES}/${note.id}?raw=1`)).text, "view");
    const hidden = await made(call, "notes", { title: "hidden", level: "high" });
    matches((await call("GET", `${NOTES}/${hidden.id}`)).json, { status: 404, message: "Nothing here." });
  });
});

const SIGN_IN = "/api/collections/users/auth-with-password";

area("sign-in requests", { hooks: ["05"] }, (call) => {
  rows(call, [
    ["meta is added to the answer", "POST", SIGN_IN, { identity: "ann@example.com", password: "12345678" }, 200, { meta: { method: "password", name: "ann", tokenParts: 3 }, record: { name: "ann" } }],
    ["an identity is refused", "POST", SIGN_IN, { identity: "blocked@example.com", password: "12345678" }, 403, { message: "This account is blocked." }],
    ["a wrong password fails as usual", "POST", SIGN_IN, { identity: "ann@example.com", password: "wrong" }, 400, { message: "Failed to authenticate." }],
    ["a refresh goes through its own hook", "POST", "/api/collections/users/auth-refresh", undefined, 200, { meta: { method: "" }, record: { name: "bob" } }, { as: "bob", expectHeaders: { "x-refreshed": "bob@example.com" } }],
  ]);
});
