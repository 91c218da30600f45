// Hooks on writes: validation, order, errors, generic models, and work that belongs to a write.

import assert from "node:assert/strict";
import { test } from "node:test";

import { area, made, marked, marks, matches, rows } from "./support/jsvm.mjs";

const NOTES = "/api/collections/notes/records";

area("validation", { hooks: ["06"] }, (call) => {
  rows(call, [
    ["several fields at once, with parameters in the text left as they are", "POST", NOTES, { title: "v", n: -1, slug: "a b" }, 400, { message: "The note is not valid.", data: { n: { code: "notes_negative" }, slug: { code: "notes_slug", message: "Has a blank." } } }],
    ["valid records pass", "POST", NOTES, { title: "v", n: 1, slug: "ab" }, 200, { n: 1 }],
    ["the fields' own checks come after e.next()", "POST", NOTES, { title: "" }, 400, { data: { title: { code: "validation_required" } } }],
    ["a plain error says nothing to the client", "POST", NOTES, { title: "plain" }, 400, { data: {}, message: "Failed to create record." }],
    ["nested field errors and a status of our own", "POST", "/api/collections/comments/records", { text: "several" }, 422, { status: 422, message: "Several fields are wrong.", data: { text: { code: "first", message: "First message." }, nested: { inner: { code: "second", message: "Second message." } }, other: { code: "validation_invalid_value", message: "Invalid value." } } }],
    ["a failing save is an Error with all fields in its text", "GET", "/jsvm/save-failure", undefined, 200, { isError: true, name: "GoError", named: true, id: 15, isNew: true, validates: true }],
    ["a failing save, not caught, becomes field errors", "POST", "/jsvm/save-uncaught", undefined, 400, { status: 400, data: { title: { code: "validation_required", message: "Cannot be blank." }, level: { code: "validation_invalid_value" } } }],
    ["saveNoValidate writes what is invalid", "POST", "/jsvm/save-no-validate", undefined, 200, { level: "middle", isNew: false }],
  ]);
});

area("the order of hooks", { hooks: ["07"] }, (call) => {
  test("a create runs request, model, record, validate, execute and after hooks", async () => {
    await made(call, "notes", { title: "order" });
    const [order] = await marks(call, "order");
    matches(order.filter((name) => name !== "model" && name !== "/model"), ["request", "create", "validate", "execute:true:15", "/execute", "/create", "after:false:create", "/request"]);
    for (const name of ["model", "/model"]) assert.ok(order.includes(name));
  });
  test("updates see the old record until the write is done", async () => {
    const note = await made(call, "notes", { title: "u", n: 1 });
    matches((await call("PATCH", `${NOTES}/${note.id}`, { n: 2 })).json, { slug: "1->2" });
    await marked(call, "updates", [["execute", "1->2", 1], ["after", "1->2", (n) => n === 1 || n === 2, "update"]]);
  });
  test("deletes", async () => {
    const note = await made(call, "notes", { title: "d" });
    assert.equal((await call("DELETE", `${NOTES}/${note.id}`)).status, 204);
    await marked(call, "deletes", ["delete d", "execute d", "after d delete"]);
  });
});

area("hooks after errors", { hooks: ["08"] }, (call) => {
  test("a create refused before the write", async () => {
    matches((await call("POST", NOTES, { title: "fail before" })).json, { status: 400, message: "Refused before." });
    await marked(call, "errors", [["fail before", true, true, "create"]]);
  });
  test("a create refused in execute leaves no record", async () => {
    matches((await call("POST", NOTES, { title: "fail execute" })).json, { status: 400, message: "Refused in execute." });
    await marked(call, "errors", [["fail before", true, true, "create"], ["fail execute", true, true, "create"]]);
    matches((await call("GET", NOTES)).json, { totalItems: 0 });
  });
  test("a field's own check counts as an error too", async () => {
    await call("POST", NOTES, { title: "a title that is far too long" });
    assert.equal((await marks(call, "errors")).length, 3);
  });
  test("updates and deletes", async () => {
    const note = await made(call, "notes", { title: "fine" });
    matches((await call("PATCH", `${NOTES}/${note.id}`, { title: "fail update" })).json, { status: 403, message: "Refused update." });
    matches((await call("DELETE", `${NOTES}/${note.id}`)).json, { status: 400, message: "Refused delete." });
    matches((await call("GET", `${NOTES}/${note.id}`)).json, { title: "fine" });
    matches((await marks(call, "errors")).slice(3), [["update", "fine"], ["delete", "fine"]]);
  });
});

area("generic model hooks", { hooks: ["09"] }, (call) => {
  test("see records", async () => {
    const note = await made(call, "notes", { title: "m" });
    assert.equal(note.body, "set by the model hook of notes");
    await made(call, "comments", { text: "c" });
    await call("PATCH", `${NOTES}/${note.id}`, { title: "m2" });
    await call("DELETE", `${NOTES}/${note.id}`);
    await marked(call, "models", [["created", "notes", "create"], ["created", "comments", "create"], ["updated", "m2"], ["deleted", "m2"]]);
    matches((await call("POST", NOTES, { title: "no model" })).json, { message: "The model hook says no." });
  });
  test("see collections", async () => {
    await call("POST", "/api/collections", { name: "from_model_hook", type: "base", fields: [] }, { as: "root" });
    matches((await call("GET", "/jsvm/collection-made")).json, ["from_model_hook", "_collections"]);
  });
});

area("counters", { hooks: ["10"] }, (call) => {
  test("move with the writes that they count", async () => {
    const first = await made(call, "notes", { title: "1" });
    await made(call, "notes", { title: "2" });
    await call("POST", NOTES, { title: "" });
    await call("DELETE", `${NOTES}/${first.id}`);
    const third = await made(call, "notes", { title: "3" });
    await call("PATCH", `${NOTES}/${third.id}`, { done: true });
    await call("PATCH", `${NOTES}/${third.id}`, { done: true });
    const counters = (await call("GET", "/api/collections/counters/records?sort=name")).json.items;
    matches(counters, [{ name: "done", value: 1 }, { name: "notes", value: 2 }]);
  });
});

area("work on other records", { hooks: ["11"] }, (call) => {
  test("is made, changed and deleted with the first one", async () => {
    const note = await made(call, "notes", { title: "parent" });
    const comments = async () => (await call("GET", "/api/collections/comments/records?sort=text")).json.items.map((item) => item.text);
    matches(await comments(), ["comment 1 on parent", "comment 2 on parent", "comment 3 on parent"]);
    await call("PATCH", `${NOTES}/${note.id}`, { title: "renamed" });
    matches(await comments(), ["renamed", "renamed", "renamed"]);
    await call("DELETE", `${NOTES}/${note.id}`);
    matches(await comments(), []);
    await marked(call, "cascade", [{ before: 3, after: 0 }]);
    matches((await call("GET", "/api/collections/counters/records")).json.items, [{ name: "comments deleted", value: 3 }]);
  });
});

area("several handlers", { hooks: ["41"] }, (call) => {
  test("nest in the order of registration", async () => {
    const note = await made(call, "notes", { title: "x" });
    await marked(call, "trail", [["one in", "two in", "all collections: notes", "two out", "one out"]]);
    matches(note, { slug: "held", level: "low" });
  });
  test("registered in a loop", async () => {
    await made(call, "comments", { text: "x" });
    await made(call, "counters", { name: "x" });
    await marked(call, "loop", ["comments", "counters"]);
  });
});

area("enriching", { hooks: ["12"] }, (call) => {
  test("hides, shows and adds by who looks", async () => {
    const note = await made(call, "notes", { title: "e", secret: "s", owner: call.tokens.annId });
    await made(call, "comments", { text: "c", note: note.id });
    const seen = async (as) => (await call("GET", `${NOTES}/${note.id}`, undefined, { as })).json;
    matches(await seen("ann"), { secret: "s", commentCount: 1, seenAs: "ann" });
    matches(await seen("bob"), { secret: undefined, commentCount: 1, seenAs: "bob" });
    matches(await seen(), { secret: undefined, seenAs: "guest" });
    matches((await call("GET", NOTES, undefined, { as: "ann" })).json.items, [{ secret: "s", seenAs: "ann" }]);
  });
  test("runs for expanded records too", async () => {
    const [note] = (await call("GET", NOTES)).json.items;
    const answer = await call("GET", `${NOTES}/${note.id}?expand=comments_via_note`);
    matches(answer.json.expand.comments_via_note, [{ text: (text) => text === "c" || text === "(shortened)" }]);
  });
});

area("errors", { hooks: ["13"] }, (call) => {
  const error = (name, kind, status, message, data = {}) => [name, "GET", `/jsvm/errors/${kind}`, undefined, status, { status, message, data }];
  const FAILED = "Something went wrong while processing your request.";
  rows(call, [
    error("BadRequestError has a default text", "bad-request", 400, FAILED),
    error("texts become sentences", "bad-request-text", 400, "The text."),
    error("ForbiddenError", "forbidden", 403, "You are not allowed to perform this request."),
    error("a text with a full stop stays", "forbidden-text", 403, "Not you."),
    error("NotFoundError", "not-found", 404, "The requested resource wasn't found."),
    error("a text with an exclamation mark stays", "not-found-text", 404, "No such thing!"),
    error("UnauthorizedError", "unauthorized", 401, "Missing or invalid authentication."),
    error("TooManyRequestsError", "too-many", 429, "Too Many Requests."),
    error("InternalServerError", "internal", 500, FAILED),
    error("ApiError with data", "api", 418, "Short and stout.", { spout: { code: "spout_missing", message: "There is no spout." } }),
    error("ApiError with a status only", "api-status", 409, "Conflict."),
    error("a plain Error keeps its text to itself", "plain", 400, FAILED),
    error("a thrown text", "text", 400, FAILED),
    error("a thrown object", "object", 400, FAILED),
    error("a TypeError", "type", 400, FAILED),
    error("a ReferenceError", "reference", 400, FAILED),
    error("a returned error counts as thrown", "returned", 403, "Returned, not thrown."),
    error("an error made by the event", "method", 404, "By the event.", { id: { code: "gone", message: "Is gone." } }),
    error("e.error with a status", "event-error", 410, "Gone for good."),
    error("e.forbiddenError, returned", "event-forbidden", 403, "You are not allowed to perform this request."),
    error("a missing row, not caught, is a 404", "no-rows", 404, "The requested resource wasn't found."),
    error("data that are no validation errors", "plain-data", 400, "Plain data.", { a: { code: "validation_invalid_value", message: "Invalid value." }, b: { code: "validation_invalid_value" } }),
    error("a caught error as data of another", "rethrown", 400, /^Failed to load: /),
    ["nothing thrown", "GET", "/jsvm/errors/none", undefined, 200, { kind: "none" }],
    ["error objects can be read", "GET", "/jsvm/error-objects", undefined, 200, { status: 400, message: "First word.", data: { field: { code: "code", message: "Message." } }, text: "First word.", json: { status: 400, message: "First word." }, code: "some_code", validationMessage: "some message", validationText: "some message" }],
  ]);
});

area("transactions", { hooks: ["14"] }, (call) => {
  rows(call, [
    ["a commit keeps everything", "POST", "/jsvm/tx/commit", undefined, 200, { inside: { count: 2, transactional: true, found: "commit 1" }, after: 2, transactional: false }],
    ["after-success hooks have run", "GET", "/jsvm/tx-hook", undefined, 200, { last: "success commit 2" }],
    ["a throw rolls back and is thrown on", "POST", "/jsvm/tx/rollback", undefined, 400, { message: "Rolled back.", data: { what: { code: "rolled_back", message: "On purpose." } } }],
    ["after-error hooks have run", "GET", "/jsvm/tx-hook", undefined, 200, { last: /^error rollback/ }],
    ["nothing is left", "GET", "/api/collections/notes/records?filter=title~'rollback'", undefined, 200, { totalItems: 0 }],
    ["a failing save rolls back", "POST", "/jsvm/tx/invalid", undefined, 400, { data: { title: { code: "validation_required" } } }],
    ["and leaves nothing either", "GET", "/api/collections/notes/records?filter=title~'invalid'", undefined, 200, { totalItems: 0 }],
    ["the caller may catch it", "POST", "/jsvm/tx-caught", undefined, 200, { message: "out", left: 0 }],
    ["an inner transaction goes with the outer one", "POST", "/jsvm/tx-nested", undefined, 200, { left: 0 }],
  ]);
});

area("hooks of collections", { hooks: ["44"] }, (call) => {
  const root = { as: "root" };
  const field = (name) => ({ name, type: "text" });
  rows(call, [
    ["validation refuses", "POST", "/api/collections", { name: "bad_fields", type: "base" }, 400, { message: /Fields refused\.$/ }, root],
    ["one is made", "POST", "/api/collections", { name: "walked", type: "base" }, 200, {}, root],
    ["and changed", "PATCH", "/api/collections/walked", { fields: [field("x")] }, 200, {}, root],
    ["and deleted", "DELETE", "/api/collections/walked", undefined, 204, "", root],
    ["one to keep", "POST", "/api/collections", { name: "kept", type: "base" }, 200, {}, root],
    ["is kept", "DELETE", "/api/collections/kept", undefined, 403, { message: "This one stays." }, root],
    ["an import is refused", "PUT", "/api/collections/import", { collections: [{ name: "kept", type: "base" }], deleteMissing: true }, 400, { message: /Nothing may be deleted/ }, root],
    ["an import is seen", "PUT", "/api/collections/import", { collections: [{ name: "by_import", type: "base", fields: [field("x")] }] }, 204, "", root],
    ["what was seen", "GET", "/jsvm/collection-steps", undefined, 200, { failed: ["bad_fields", "create", true], imported: ["by_import"], steps: (steps) => steps[0] === "create by_import true" }],
  ]);
  test("the order", async () => {
    await call("POST", "/api/collections", { name: "ordered", type: "base" }, root);
    await call("PATCH", "/api/collections/ordered", { fields: [field("x")] }, root);
    await call("DELETE", "/api/collections/ordered", undefined, root);
    matches((await call("GET", "/jsvm/collection-steps")).json.steps, ["create ordered true", "update request", "update execute", "updated", "delete", "delete execute", "deleted"]);
  });
});

area("model hooks around the statement", { hooks: ["45"] }, (call) => {
  const state = async () => (await call("GET", "/jsvm/model-state")).json;
  test("a refused create", async () => {
    matches((await call("POST", NOTES, { title: "fail" })).json, { status: 400, message: "Refused by the model hook." });
    matches(await state(), { error: ["create", "fail", true, "create"] });
  });
  test("updates", async () => {
    const note = await made(call, "notes", { title: "fine" });
    matches((await call("PATCH", `${NOTES}/${note.id}`, { n: 1 })).json, { slug: "model execute" });
    await call("PATCH", `${NOTES}/${note.id}`, { title: "" });
    matches(await state(), { error: ["update", ""], updated: "model execute" });
  });
  test("a refused delete", async () => {
    const note = await made(call, "notes", { title: "stays" });
    matches((await call("DELETE", `${NOTES}/${note.id}`)).json, { status: 400, message: "Never deleted." });
    matches(await state(), { error: ["delete", "stays"] });
  });
  rows(call, [
    ["e.unauthorizedError", "GET", "/jsvm/event-errors/unauthorized", undefined, 401, { message: "Missing or invalid authentication." }],
    ["e.tooManyRequestsError", "GET", "/jsvm/event-errors/too-many", undefined, 429, { message: "Slow down." }],
    ["e.internalServerError", "GET", "/jsvm/event-errors/internal", undefined, 500, { message: "Broken." }],
    ["e.setAll and e.getAll", "GET", "/jsvm/event-errors/none", undefined, 200, { one: 1, two: 2 }],
  ]);
});

area("errors after the commit", { hooks: ["55"] }, (call) => {
  rows(call, [
    ["one of the API's", "POST", NOTES, { title: "late" }, 403, { status: 403, message: "Too late." }],
    ["a plain one", "POST", NOTES, { title: "plain" }, 400, { status: 400, message: "Failed to create record." }],
    ["no error", "POST", NOTES, { title: "fine" }, 200, { title: "fine" }],
    ["a script that saves hears of it", "POST", "/jsvm/late", undefined, 200, { message: /too late/i, stored: 1 }],
    ["the records stay", "GET", `${NOTES}?sort=title`, undefined, 200, { totalItems: 4 }],
  ]);
  test("after an update", async () => {
    const note = await made(call, "notes", { title: "updated" });
    matches((await call("PATCH", `${NOTES}/${note.id}`, { n: 5 })).json, { status: 400, message: "After the update." });
    matches((await call("GET", `${NOTES}/${note.id}`)).json, { n: 5 });
  });
});
