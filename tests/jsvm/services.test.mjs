// Services around the database: jobs, requests and mails that scripts send, templates, files, settings, realtime.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { eventually } from "../sdk/support/server.mjs";
import { area, made, marked, marks, matches, rows } from "./support/jsvm.mjs";
import { httpSink, smtpSink } from "./support/sinks.mjs";
import { listen } from "./support/stream.mjs";

area("jobs", { hooks: ["21"] }, (call) => {
  const run = (id) => call("POST", `/api/crons/${id}`, undefined, { as: "root" });
  test("are listed with their expressions; the removed one is not", async () => {
    const jobs = (await call("GET", "/api/crons", undefined, { as: "root" })).json.filter((job) => job.id.startsWith("jsvm-"));
    jobs.sort((a, b) => (a.id < b.id ? -1 : 1));
    matches(jobs, [{ id: "jsvm-hello", expression: "0 0 1 1 *" }, { id: "jsvm-once" }, { id: "jsvm-replaced", expression: "*/5 * * * *" }, { id: "jsvm-throws" }]);
  });
  test("run when asked to", async () => {
    assert.equal((await run("jsvm-hello")).status, 204);
    await marked(call, "cron", ["hello"]);
  });
  test("the later of one id counts", async () => {
    assert.equal((await run("jsvm-replaced")).status, 204);
    await marked(call, "cron", ["hello", "new"]);
  });
  test("one that throws harms nobody", async () => {
    assert.equal((await run("jsvm-throws")).status, 204);
    assert.equal((await call("GET", "/api/health")).status, 200);
  });
  test("one removes itself", async () => {
    assert.equal((await run("jsvm-once")).status, 204);
    await marked(call, "cron", ["hello", "new", "once"]);
    await eventually(async () => (await run("jsvm-once")).status === 404, "the job to be gone");
  });
  test("scripts list them", async () => {
    const jobs = (await call("GET", "/jsvm/crons")).json;
    assert.ok(jobs.some(([id, expression]) => id === "jsvm-hello" && expression === "0 0 1 1 *"));
  });
});

describe("requests that scripts send", async () => {
  const sink = await httpSink();
  const base = `http://127.0.0.1:${sink.port}`;
  area("$http.send", { hooks: ["22"] }, (call) => {
    const send = (name, what, expected) => [name, "GET", `/jsvm/http/${what}?sink=${encodeURIComponent(base)}`, undefined, 200, expected];
    rows(call, [
      send("GET with headers, answer with headers and cookies", "get", { status: 200, method: "GET", path: "/get?a=1", token: "t1", contentType: ["application/json"], lower: true, cookie: "abc", httpOnly: true, cookies: ["session", "theme"], bytes: true }),
      send("POST with a JSON text", "post", { method: "POST", body: '{"a":1}', type: "application/json" }),
      send("the older data option; a method in lower case", "data", { method: "PATCH", body: '{"b":[1,2]}' }),
      send("a form with a file", "form", { type: /^multipart\/form-data; boundary=/, body: (body) => body.includes('name="title"\r\n\r\na title') && body.includes('filename="notes.txt"') && body.includes("content of the file"), first: "1", all: ["1", 2], has: [true, false], missing: null, keys: ["file", "many", "title"] }),
      send("an answer that is no JSON", "text", { status: 201, json: null, raw: "plain text", body: "plain text" }),
      send("an answer that is a list", "list", { status: 200, json: [1, "two", { three: 3 }] }),
      send("a redirect is followed", "moved", { status: 200, json: [1, "two", { three: 3 }] }),
      send("an error status does not throw", "missing", { status: 404 }),
      send("DELETE", "delete", { method: "DELETE" }),
      send("a timeout throws", "timeout", { timedOut: true }),
      send("a refused connection throws", "refused", { failed: true, isError: true }),
      ["not caught, it is a 400", "GET", "/jsvm/http/uncaught", undefined, 400, { status: 400, data: {} }],
    ]);
    test("a record hook sends the record", async () => {
      await made(call, "notes", { title: "sent", body: base, n: 7 });
      const sent = sink.calls.filter((one) => one.path === "/hook").map((one) => JSON.parse(one.body));
      matches(sent.slice(-1), [{ title: "sent", n: 7, collectionName: "notes" }]);
    });
  });
  area("files from elsewhere", { hooks: ["35"] }, (call) => {
    rows(call, [["fileFromURL", "POST", `/jsvm/files/from-url?sink=${encodeURIComponent(base)}`, undefined, 200, { name: "text", size: 10, content: "plain text" }]]);
  });
});

describe("mails", async () => {
  const sink = await smtpSink();
  const useSink = async (call) => {
    const smtp = { enabled: true, host: "127.0.0.1", port: sink.port, username: "", password: "", tls: false };
    const meta = { appName: "JSVM", appURL: "http://localhost", senderName: "Sender", senderAddress: "sender@example.com" };
    assert.equal((await call("PATCH", "/api/settings", { smtp, meta }, { as: "root" })).status, 200);
  };
  const arrived = async (mark) => {
    await eventually(() => sink.mails.some((mail) => mail.text.includes(mark)), `a mail with ${mark}`);
    const at = sink.mails.findIndex((mail) => mail.text.includes(mark));
    return sink.mails.splice(at, 1)[0];
  };
  area("of scripts and of the server", { hooks: ["24"], prepare: useSink }, (call) => {
    test("a message with everything", async () => {
      matches((await call("POST", "/jsvm/mail")).json, { to: ["one@example.com", "two@example.com"], subject: "Greetings from a script" });
      const mail = await arrived("Greetings from a script");
      assert.equal(mail.from, "sender@example.com");
      assert.deepEqual(mail.to.sort(), ["blind@example.com", "copy@example.com", "one@example.com", "two@example.com"]);
      assert.match(mail.text, /^From: "?Sender"? <sender@example\.com>/m);
      assert.match(mail.text, /^X-Script: 24/m);
      assert.match(mail.text, /^X-Seen: yes/m);
      assert.match(mail.text, /Hello <b>there<\/b>/);
      assert.match(mail.text, /filename="?note\.txt"?/);
      assert.doesNotMatch(mail.text, /blind@example\.com/);
    });
    test("a hook that does not go on drops the message", async () => {
      assert.equal((await call("POST", "/jsvm/mail/dropped")).status, 204);
      assert.equal((await call("POST", "/jsvm/mail")).status, 200);
      await arrived("Greetings from a script");
      assert.ok(!sink.mails.some((mail) => mail.text.includes("Drop me")));
    });
    test("$mails.sendRecordVerification, changed by its hook", async () => {
      assert.equal((await call("POST", "/jsvm/mail/verification")).status, 204);
      const mail = await arrived("Verify, bob");
      assert.match(mail.text, /token of 3 parts/);
    });
    test("password reset", async () => {
      await call("POST", "/api/collections/users/request-password-reset", { email: "ann@example.com" });
      assert.deepEqual((await arrived("Reset for ann@example.com")).to, ["ann@example.com"]);
    });
    test("change of the e-mail address", async () => {
      await call("POST", "/api/collections/users/request-email-change", { newEmail: "new@example.com" }, { as: "ann" });
      assert.deepEqual((await arrived("Change to new@example.com")).to, ["new@example.com"]);
    });
    test("one-time password", async () => {
      assert.equal((await call("PATCH", "/api/collections/users", { otp: { enabled: true } }, { as: "root" })).status, 200);
      await call("POST", "/api/collections/users/request-otp", { email: "bob@example.com" });
      assert.match((await arrived("Subject: Code ")).text, /Subject: Code \d+/);
    });
  });
  area("in the other sign-in flows", { hooks: ["42"], prepare: useSink }, (call) => {
    const users = "/api/collections/users";
    rows(call, [
      ["a reset is refused", "POST", `${users}/request-password-reset`, { email: "bob@example.com" }, 400, { message: "Bob remembers." }],
      ["a reset goes on", "POST", `${users}/request-password-reset`, { email: "ann@example.com" }, 204, "", { expectHeaders: { "x-flow": "reset users" } }],
      ["a change of address is refused", "POST", `${users}/request-email-change`, { newEmail: "a@bad.example.com" }, 400, { message: "Bad domain." }, { as: "ann" }],
    ]);
    test("a reset is confirmed", async () => {
      const token = (await call("GET", "/jsvm/flow-token/reset")).text;
      const answer = await call("POST", `${users}/confirm-password-reset`, { token, password: "87654321", passwordConfirm: "87654321" });
      assert.equal(answer.status, 204, answer.text);
      await marked(call, "flows", ["confirmed ann"]);
    });
    test("verification is confirmed", async () => {
      const made = await call("PATCH", `${users}/records/${call.tokens.annId}`, { verified: false }, { as: "root" });
      assert.equal(made.status, 200, made.text);
      const asked = await call("POST", `${users}/request-verification`, { email: "ann@example.com" });
      assert.equal(asked.headers.get("x-flow"), "verification ann");
      const token = (await call("GET", "/jsvm/flow-token/verification")).text;
      assert.equal((await call("POST", `${users}/confirm-verification`, { token })).status, 204);
      await marked(call, "flows", ["confirmed ann", "verified true"]);
    });
    test("one-time passwords", async () => {
      await call("PATCH", users, { otp: { enabled: true } }, { as: "root" });
      const asked = await call("POST", `${users}/request-otp`, { email: "bob@example.com" });
      assert.equal(asked.headers.get("x-flow"), "otp true true");
      const unknown = await call("POST", `${users}/request-otp`, { email: "nobody@example.com" });
      assert.equal(unknown.headers.get("x-flow"), "otp false true");
    });
  });
});

area("security", { hooks: ["23"] }, (call) => {
  const security = (name, what, expected) => [name, "GET", `/jsvm/security/${what}`, undefined, 200, expected];
  rows(call, [
    security("digests", "digests", { md5: "1cb251ec0d568de6a929b520c4aed8d1", sha256: "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1", sha512: "eaf2c12742cb8c16", hs256: /^[0-9a-f]{64}$/, hs512: /^[0-9a-f]{16}$/, equal: [true, false] }),
    security("random texts", "random", { plain: /^[A-Za-z0-9]{20}$/, alphabet: /^[xy]{10}$/, regex: /^[a-c]{3}\d\d$/, pseudo: /^[A-Za-z0-9]{12}$/, pseudoAlphabet: "zzzzz", differ: true }),
    security("tokens", "jwt", { parts: 3, id: "abc", count: 3, nested: true, lives: (seconds) => seconds > 50 && seconds <= 60, unverified: "abc", wrongKey: true, expired: true, garbage: true }),
    security("encryption", "encryption", { hidden: true, back: "a secret text", wrongKey: true, shortKey: true }),
  ]);
});

area("templates", { hooks: ["25"] }, (call) => {
  const template = (name, what, expected) => [name, "GET", `/jsvm/template/${what}`, undefined, 200, expected];
  rows(call, [
    template("values", "text", "Hello Ann, 3 of 1.5"),
    template("escaping by place", "escape", `&lt;b&gt;&amp;&#34;&#39; <b>&"' <a href="/?q=a%20b%26c" title="&lt;b&gt;&amp;&#34;&#39;">x</a>`),
    template("conditions", "if", "yes two both"),
    template("loops", "range", "0:a, 1:bnothing"),
    template("with, variables and functions", "with", 'u d 1 2 q 03.14|str &#34;str&#34;'),
    template("missing values", "missing", "[] []"),
    template("trimming and comments", "trim", "a1b raw text"),
    template("files with a layout", "files", "<html><title>A &amp; B</title><body><ul><li>&lt;x&gt;</li><li>2</li></ul></body></html>\n"),
    template("definitions", "define", "<td>1</td><td>2</td>"),
    template("a record", "record", "T&lt; abc"),
    template("errors throw", "errors", { parse: true, file: true }),
  ]);
});

area("files", { hooks: ["35"] }, (call) => {
  test("attached by a script, served with a hook", async () => {
    const { json } = await call("POST", "/jsvm/files/attach");
    matches(json, { file: { name: /^my_file_\w{10}\.txt$/, original: "my file.txt", size: 12 }, unsaved: ["my file.txt", "greet.txt"], after: 0, names: [/^greet_\w+\.txt$/, /^third_\w+\.txt$/], path: (path) => path.endsWith(json.id) });
    const served = await call("GET", `/api/files/notes/${json.id}/${json.names[0]}`);
    assert.equal(served.text, "hi");
    assert.equal(served.headers.get("x-served"), "notes,with files,pics,true,true");
  });
  rows(call, [
    ["the filesystem", "POST", "/jsvm/files/filesystem", undefined, 200, { text: "uploaded", size: 8, listed: ["jsvm/copy.txt", "jsvm/one.txt", "jsvm/two.txt"], exists: [true, false], left: 0 }],
    ["file tokens", "POST", "/api/files/token", undefined, 200, { token: /^ey/ }, { as: "ann", expectHeaders: { "x-token-parts": "3" } }],
  ]);
  test("a download is refused", async () => {
    const form = new FormData();
    form.append("title", "refused");
    form.append("pics", new Blob(["x"]), "secret.txt");
    const note = await made(call, "notes", form);
    matches((await call("GET", `/api/files/notes/${note.id}/${note.pics[0]}`)).json, { status: 403, message: "Not this file." });
  });
});

area("settings", { hooks: ["33"] }, (call) => {
  rows(call, [
    ["read and changed by a script", "POST", "/jsvm/settings", undefined, 200, { before: /./, after: "Named by a script", batch: true, invalid: true }],
    ["the change is there; the list hook runs", "GET", "/api/settings", undefined, 200, { meta: { appName: "Named by a script" } }, { as: "root", expectHeaders: { "x-app": "Named by a script" } }],
    ["an update is refused", "PATCH", "/api/settings", { meta: { appName: "refused" } }, 400, { message: "Named by a script stays." }, { as: "root" }],
    ["the reload hook has run", "GET", "/jsvm/settings-reloads", undefined, 200, { any: true }],
  ]);
});

area("outside the application", { hooks: ["36"] }, (call) => {
  const os = (name, what, expected) => [name, "GET", `/jsvm/os/${what}`, undefined, 200, expected];
  rows(call, [
    os("variables", "env", { greeting: "hello from outside", missing: "", process: "hello from outside" }),
    os("files", "files", { text: "written", size: 7, name: "b.txt", names: (names) => names.sort().join() === "b.txt,deep/", gone: true }),
    os("a missing file throws", "missing", { message: /no such file/ }),
    os("commands", "command", { output: "from a command\n", args: true, cwd: true }),
    ["paths", "GET", "/jsvm/paths", undefined, 200, { join: "b/c", base: "b.txt", dir: "/a", ext: ".gz", clean: "a/b", abs: [true, false], split: ["/a/", "b.txt"], rel: "b/c", match: true, hooks: true, slash: ["a/b", "a/b"], list: ["/a", "/b"] }],
  ]);
});

area("the application's events", { hooks: ["37"] }, (call, server) => {
  rows(call, [
    ["onBootstrap, the store and the logger", "GET", "/jsvm/app", undefined, 200, { bootstrap: [false, true], dataDir: true, isDev: false, same: true, list: "b", has: [true, false], missing: true, getOrSet: "made once", again: "made once" }],
  ]);
  test("onTerminate runs before the end and may still write", async () => {
    matches(await marks(call, "terminate"), []);
    await server.restart();
    matches(await marks(call, "terminate"), [{ restart: false }]);
  });
});

area("batch requests", { hooks: ["38"], prepare: (call) => call("PATCH", "/api/settings", { batch: { enabled: true } }, { as: "root" }) }, (call) => {
  const create = (title) => ({ method: "POST", url: "/api/collections/notes/records", body: { title } });
  rows(call, [
    ["the hook sees all parts, the parts their context", "POST", "/api/batch", { requests: [create("b1"), create("b2")] }, 200, [{ status: 200, body: { title: "b1", body: "batch" } }, { status: 200, body: { title: "b2" } }], { expectHeaders: { "x-batch": "POST,POST" } }],
    ["too many are refused", "POST", "/api/batch", { requests: ["1", "2", "3", "4"].map(create) }, 400, { message: "At most 3 here." }],
    ["one that fails takes all back", "POST", "/api/batch", { requests: [create("b3"), create("fail late")] }, 400, { status: 400, data: { requests: { 1: { response: { message: "Late." } } } } }],
    ["nothing of it is left", "GET", "/api/collections/notes/records?filter=title='b3'", undefined, 200, { totalItems: 0 }],
  ]);
});

area("realtime", { hooks: ["34"] }, (call, server) => {
  test("own messages reach subscribers, changed by the hook", async () => {
    const stream = await listen(server);
    try {
      const connect = await stream.next("PB_CONNECT");
      const subscribe = (subscriptions) => call("POST", "/api/realtime", { clientId: connect.clientId, subscriptions });
      assert.equal((await subscribe(["own_topic"])).status, 204);
      matches((await call("GET", "/jsvm/realtime/clients")).json, [{ id: 40, topics: ["added_by_hook", "own_topic"], auth: null }]);
      matches((await call("POST", "/jsvm/realtime/send?topic=own_topic")).json, { sent: 1, total: true });
      matches(await stream.next("own_topic"), { text: "from a script", seen: "set at connect" });
      matches((await call("POST", "/jsvm/realtime/send?topic=added_by_hook")).json, { sent: 1 });
      matches(await stream.next("added_by_hook"), { text: "from a script", seen: undefined });
      matches((await call("POST", "/jsvm/realtime/send?topic=nobody")).json, { sent: 0 });
      matches((await subscribe(["forbidden"])).json, { status: 403, message: "Not this topic." });
    } finally {
      stream.close();
    }
  });
});
