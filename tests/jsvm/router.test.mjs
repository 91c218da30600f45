// Routes, bodies, answers and middlewares.

import assert from "node:assert/strict";
import { test } from "node:test";

import { area, matches, rows } from "./support/jsvm.mjs";

area("routes", { hooks: ["15"] }, (call) => {
  const guest = { guest: true, isNull: true, superuser: false, ip: "127.0.0.1", remote: "127.0.0.1", tls: false };
  rows(call, [
    ["a path parameter, decoded", "GET", "/jsvm/hello/J%C3%B6rg%20X", undefined, 200, "Hello Jörg X"],
    ["POST", "POST", "/jsvm/method", {}, 200, { method: "POST" }],
    ["PUT", "PUT", "/jsvm/method", {}, 200, { method: "PUT" }],
    ["PATCH", "PATCH", "/jsvm/method", {}, 200, { method: "PATCH" }],
    ["DELETE", "DELETE", "/jsvm/method", undefined, 200, { method: "DELETE" }],
    ["a method in lower case", "GET", "/jsvm/method", undefined, 200, { method: "lower case GET" }],
    ["several parameters, and one that is not there", "GET", "/jsvm/pair/a/and/b", undefined, 200, ["a", "b", ""]],
    ["a wildcard takes the rest", "GET", "/jsvm/rest/a/b/c.txt", undefined, 200, { path: "a/b/c.txt" }],
    ["a fixed path beats a wildcard", "GET", "/jsvm/rest/fixed", undefined, 200, { path: "the fixed one wins" }],
    ["an exact end", "GET", "/jsvm/exact/", undefined, 200, { exact: true }],
    ["nothing after an exact end", "GET", "/jsvm/exact/more", undefined, 404, { status: 404 }],
    ["an unknown path", "GET", "/jsvm/unknown", undefined, 404, undefined],
    ["query values", "GET", "/jsvm/query?one=1%202&many=a&many=b", undefined, 200, { one: "1 2", missing: "", has: [true, false], info: { one: "1 2", many: "a" }, raw: "one=1%202&many=a&many=b", path: "/jsvm/query" }],
    ["headers", "GET", "/jsvm/headers", undefined, 200, { get: "t", values: ["t"], missing: "", info: "t", host: true, method: "GET", context: "default" }, { headers: { "x-token": "t" } }],
    ["a guest", "GET", "/jsvm/who", undefined, 200, guest],
    ["a user", "GET", "/jsvm/who", undefined, 200, { guest: false, email: "ann@example.com", collection: "users", superuser: false }, { as: "ann" }],
    ["a superuser", "GET", "/jsvm/who", undefined, 200, { guest: false, collection: "_superusers", superuser: true }, { as: "root" }],
    ["a garbled token is a guest's", "GET", "/jsvm/who", undefined, 200, guest, { headers: { authorization: "garbage" } }],
    ["a handler that does nothing", "GET", "/jsvm/nothing", undefined, 200, ""],
  ]);
});

const form = (fields, files = []) => {
  const data = new FormData();
  for (const [key, value] of fields) data.append(key, value);
  for (const [key, name, content] of files) data.append(key, new Blob([content]), name);
  return data;
};
const urlEncoded = { headers: { "content-type": "application/x-www-form-urlencoded" } };
const plain = { headers: { "content-type": "text/plain" } };

area("bodies", { hooks: ["16"] }, (call) => {
  rows(call, [
    ["JSON through requestInfo", "POST", "/jsvm/body/info", { title: "t", count: 2, deep: { a: [1] } }, 200, { body: { title: "t", count: 2, deep: { a: [1] } }, title: "t", missing: true, type: "number", keys: ["count", "deep", "title"] }],
    ["no body", "POST", "/jsvm/body/info", undefined, 200, { body: {}, keys: [] }],
    ["a form through requestInfo: numbers and booleans are recognised", "POST", "/jsvm/body/info", "title=a+b&count=2&ok=true", 200, { body: { title: "a b", count: 2, ok: true } }, urlEncoded],
    ["repeated form values are a list", "POST", "/jsvm/body/info", "count=1&x=a&x=b", 200, { body: { x: ["a", "b"] } }, urlEncoded],
    ["multipart through requestInfo", "POST", "/jsvm/body/info", form([["title", "t"], ["count", "5"]]), 200, { body: { title: "t", count: 5 } }],
    ["broken JSON is refused", "POST", "/jsvm/body/info", "{broken", 400, { status: 400 }, { headers: { "content-type": "application/json" } }],
    ["an unknown content type is refused", "POST", "/jsvm/body/info", "x", 400, { message: "Unsupported Content-Type." }, plain],
    ["bindBody keeps defaults and converts by shape", "POST", "/jsvm/body/bind", { title: "t", count: 3, price: 1.5, tags: ["x", "y"], meta: { a: 1 } }, 200, { data: { title: "t", count: 3, price: 1.5, ok: false, tags: ["x", "y"], meta: { a: 1 }, note: null }, title: "t", first: "x", deep: 1, isNull: true }],
    ["bindBody of a form", "POST", "/jsvm/body/bind", "title=t&count=3&ok=true", 200, { data: { title: "t", count: 3, ok: true } }, urlEncoded],
    ["bindBody refuses what does not fit", "POST", "/jsvm/body/bind", { count: "many" }, 400, { status: 400 }],
    ["a body is bound twice", "POST", "/jsvm/body/twice", { title: "again" }, 200, ["again", "again", "again"]],
    ["a raw body as text", "POST", "/jsvm/body/text", "some text", 200, { text: "some text", length: 9, type: "text/plain", bytes: 9 }, plain],
    ["readerToString with a limit", "POST", "/jsvm/body/reader", "0123456789", 200, (text) => text === "01234" || text === 1234, plain],
    ["form values", "POST", "/jsvm/body/form", "title=form", 200, { value: "form", post: "form", missing: "" }, urlEncoded],
    ["uploaded files", "POST", "/jsvm/body/files", form([["title", "files"]], [["docs", "One File.txt", "12345"], ["docs", "two.txt", "1"]]), 200, { names: ["One File.txt", "two.txt"], sizes: [5, 1], stored: [true, true], kept: 2 }],
    ["no uploaded files", "POST", "/jsvm/body/no-files", form([["title", "x"]]), 200, { message: "http: no such file" }],
    ["a body below the limit", "POST", "/jsvm/body/limited", "12345", 200, { length: 5 }, plain],
    ["a body over the limit", "POST", "/jsvm/body/limited", "12345678901", 413, { status: 413 }, plain],
  ]);
});

area("answers", { hooks: ["17"] }, (call) => {
  const header = (name, value) => ({ expectHeaders: { [name]: value } });
  rows(call, [
    ["JSON", "GET", "/jsvm/answer/json", undefined, 201, { text: "<a&b>", list: [1, 2.5, true, null], nested: { deep: ["x"] } }, header("content-type", "application/json")],
    ["text", "GET", "/jsvm/answer/string", undefined, 202, "größer", header("content-type", "text/plain; charset=utf-8")],
    ["HTML", "GET", "/jsvm/answer/html", undefined, 200, "<h1>Title</h1>", header("content-type", "text/html; charset=utf-8")],
    ["XML", "GET", "/jsvm/answer/xml", undefined, 200, /^<\?xml version="1.0" encoding="UTF-8"\?>\n<string>text<\/string>/, header("content-type", "application/xml; charset=utf-8")],
    ["bytes of a text", "GET", "/jsvm/answer/blob", undefined, 200, "bytes é", header("content-type", "application/x-bytes")],
    ["nothing", "GET", "/jsvm/answer/none", undefined, 204, ""],
    ["a redirect", "GET", "/jsvm/answer/redirect", undefined, 307, "", header("location", "/jsvm/answer/string?to=1")],
    ["a redirect with a wrong status", "GET", "/jsvm/answer/bad-redirect", undefined, 500, { status: 500 }],
    ["a stream", "GET", "/jsvm/answer/stream", undefined, 200, "streamed text", header("content-type", "text/x-streamed")],
    ["headers, one twice; a content type set before stays", "GET", "/jsvm/answer/header", undefined, 200, {}, { expectHeaders: { "x-one": "1", "x-two": "a, b", "content-type": "application/vnd.own+json" } }],
    ["a cookie", "GET", "/jsvm/answer/cookie", undefined, 204, "", header("set-cookie", "flavour=vanilla; Path=/; Max-Age=60; HttpOnly; Secure")],
    ["reading a cookie", "GET", "/jsvm/answer/read-cookie", undefined, 200, { name: "flavour", value: "mint" }, { headers: { cookie: "a=b; flavour=mint" } }],
    ["a missing cookie throws", "GET", "/jsvm/answer/read-cookie", undefined, 400, { status: 400 }],
    ["records as JSON, custom fields left out", "GET", "/jsvm/answer/record", undefined, 200, { one: { title: "as JSON", n: 3, meta: { a: [1] }, collectionName: "notes", unknown: undefined, tags: [], due: "" }, list: [{ n: 3 }], title: "as JSON" }],
    ["only one answer", "GET", "/jsvm/answer/twice", undefined, 200, "first"],
    ["written() and status() before and after", "GET", "/jsvm/answer/status", undefined, 207, { written: false, status: 0 }],
    ["as kept by the handler", "GET", "/jsvm/answer/answered", undefined, 200, [true, 207]],
    ["an error after the answer changes nothing", "GET", "/jsvm/answer/throw-late", undefined, 200, "already sent"],
    ["?fields= picks", "GET", "/jsvm/answer/fields?fields=a,b.c,list.x", undefined, 200, { a: 1, b: { c: 2, d: undefined }, list: [{ x: 1, y: undefined }] }],
    ["values of all kinds", "GET", "/jsvm/answer/values", undefined, 200, { undef: null, nul: null, date: "1970-01-01T00:00:00Z", int: 1, big: 12345678901234, small: 0.1, nested: [null, [null]], dt: "2024-01-02 03:04:05.678Z" }],
  ]);
  test("bytes of a list of numbers", async () => {
    assert.deepEqual([...(await call("GET", "/jsvm/answer/numbers")).bytes], [1, 2, 255]);
  });
});

area("static files", { hooks: ["18"] }, (call) => {
  rows(call, [
    ["a file of a folder", "GET", "/jsvm/static/page.html", undefined, 200, /define "title"/, { expectHeaders: { "content-type": /^text\/html/ } }],
    ["a missing file", "GET", "/jsvm/static/none.html", undefined, 404, { status: 404 }],
    ["no way out of the folder", "GET", "/jsvm/static/..%2futils.js", undefined, 404, undefined],
    ["a folder as a file system", "GET", "/jsvm/static-fs/page.html", undefined, 200, /define "title"/],
    ["one file", "GET", "/jsvm/one-file", undefined, 200, /define "title"/, { expectHeaders: { "content-type": /^text\/html/ } }],
  ]);
});

area("middlewares", { hooks: ["19"] }, (call, server) => {
  rows(call, [
    ["requireAuth refuses guests", "GET", "/jsvm/need/auth", undefined, 401, { status: 401, message: "The request requires valid record authorization token." }],
    ["requireAuth lets users through", "GET", "/jsvm/need/auth", undefined, 200, {}, { as: "ann" }],
    ["requireAuth of a collection", "GET", "/jsvm/need/users", undefined, 200, {}, { as: "ann" }],
    ["requireAuth of another collection", "GET", "/jsvm/need/others", undefined, 403, { status: 403 }, { as: "ann" }],
    ["requireSuperuserAuth refuses guests", "GET", "/jsvm/need/superuser", undefined, 401, { status: 401 }],
    ["requireSuperuserAuth refuses users", "GET", "/jsvm/need/superuser", undefined, 403, { status: 403 }, { as: "ann" }],
    ["requireSuperuserAuth lets superusers through", "GET", "/jsvm/need/superuser", undefined, 200, { ok: true }, { as: "root" }],
    ["requireGuestOnly lets guests through", "GET", "/jsvm/need/guest", undefined, 200, { ok: true }],
    ["requireGuestOnly refuses users", "GET", "/jsvm/need/guest", undefined, 400, { status: 400, message: "The request can be accessed only by guests." }, { as: "ann" }],
    ["requireSuperuserOrOwnerAuth refuses guests", "GET", "/jsvm/need/owner/x", undefined, 401, { status: 401 }],
    ["requireSuperuserOrOwnerAuth refuses others", "GET", "/jsvm/need/owner/x", undefined, 403, { status: 403 }, { as: "ann" }],
    ["requireSuperuserOrOwnerAuth lets superusers through", "GET", "/jsvm/need/owner/x", undefined, 200, { ok: true }, { as: "root" }],
    ["gzip", "GET", "/jsvm/gzip", undefined, 200, /^long long/, { headers: { "accept-encoding": "gzip" }, expectHeaders: { "content-encoding": "gzip" } }],
    ["skipSuccessActivityLog", "GET", "/jsvm/quiet", undefined, 200, { ok: true }],
    ["own functions, in order", "GET", "/jsvm/own", undefined, 200, { trail: ["first", "second"], missing: null }, { expectHeaders: { "x-second": "yes" } }],
    ["one that answers ends the chain", "GET", "/jsvm/stopped", undefined, 203, { stopped: true }],
    ["one that throws ends the chain", "GET", "/jsvm/refused", undefined, 401, { message: "The middleware says no." }],
    ["priorities", "GET", "/jsvm/priority", undefined, 200, ["early", "plain", "late"]],
    ["around a success", "GET", "/jsvm/wrapped/fine", undefined, 200, { ok: true }],
    ["which it saw", "GET", "/jsvm/wrapped-outcome", undefined, 200, { last: "status 200" }],
    ["around a failure", "GET", "/jsvm/wrapped/fail", undefined, 404, { message: "Outer." }],
    ["which it caught", "GET", "/jsvm/wrapped-outcome", undefined, 200, { last: /Inner\./ }],
  ]);
  test("requireSuperuserOrOwnerAuth lets the owner through", async () => {
    assert.equal((await call("GET", `/jsvm/need/owner/${call.tokens.annId}`, undefined, { as: "ann" })).status, 200);
  });
  void server;
});

area("middlewares of all routes", { hooks: ["20"] }, (call) => {
  rows(call, [
    ["run for the API", "GET", "/api/health", undefined, 200, {}, { expectHeaders: { "x-powered-by-script": "yes", "x-early-auth": "false" } }],
    ["run for own routes and know the caller", "GET", "/jsvm/global", undefined, 200, { global: "seen ann", auth: "ann" }, { as: "ann", expectHeaders: { "x-powered-by-script": "yes" } }],
    ["can refuse an API request", "GET", "/api/collections/notes/records", undefined, 403, { message: "Blocked by the script." }, { headers: { "x-block": "1" } }],
    ["leave other routes alone", "GET", "/jsvm/global", undefined, 200, { global: "seen nobody" }, { headers: { "x-block": "1" } }],
  ]);
  test("an early one can set the token", async () => {
    const answer = await call("GET", `/jsvm/global?token_in_query=${call.tokens.bob}`);
    matches(answer.json, { auth: "bob" });
  });
});
