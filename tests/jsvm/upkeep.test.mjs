// What $app does beside records, the scheduler, realtime clients and Buffer.

import assert from "node:assert/strict";
import { test } from "node:test";

import { eventually } from "../sdk/support/server.mjs";
import { area, made, marked, marks, matches, rows } from "./support/jsvm.mjs";
import { listen } from "./support/stream.mjs";

async function fill(call) {
  for (const n of [3, 1, 2]) await made(call, "notes", { title: `note ${n}`, n });
}

area("upkeep", { hooks: ["46"], prepare: fill }, (call) => {
  const upkeep = (name, what, expected, status = 200) => [name, "POST", `/jsvm/upkeep/${what}`, undefined, status, expected];
  rows(call, [
    upkeep("dryRunView", "dry-run", { names: ["id", "title", "n"], sample: ["note 1", "note 2"], wrong: true }),
    upkeep("expired sign-ins are deleted", "expired", { mfas: 0, otps: [true] }),
    upkeep("records of accounts", "accounts", { mfa: [true, 1, 1], otp: [true, true, true], origin: [true, true, true, true], external: [1, 1, true], missing: "sql: no rows in result set", left: [0, 0, 0, 0] }),
    upkeep("the log", "logs", { message: "by a script jsvmlog00000001", stats: (stats) => stats.length === 2 && stats.some(([date, total]) => date === "2020-01-01 10:00:00.000Z" && total === 2), left: ["jsvmlog00000003"], none: 0 }),
    upkeep("auxiliary.db and its transactions", "auxiliary", { inside: 2, kept: 2, message: /^Out of here\.?$/i, after: 2, tables: [true, false, false], main: true }),
    upkeep("collections and settings are validated, not saved", "validate", { good: "", bad: true, saved: true, settings: true }),
    upkeep("tables follow collections", "table", { before: true, after: [false, true, true], left: false }),
    upkeep("views", "views", { has: true, fields: ["id", "title", "total"], left: false }),
    upkeep("unsafeWithoutHooks", "without-hooks", { refused: true, n: 5, left: 0 }),
    upkeep("backups", "backups", { listed: true, size: true, left: false }),
    upkeep("migrations that have run stay", "migrations", { still: true, env: "" }),
    upkeep("references", "references", { tables: true, query: true }),
  ]);
});

area("the scheduler", { hooks: ["47"] }, (call) => {
  rows(call, [
    ["stops, starts, adds and removes", "POST", "/jsvm/scheduler", undefined, 200, { before: [(started) => typeof started === "boolean", true], stopped: false, started: (started) => typeof started === "boolean", added: [true, true, true], removed: false, total: 0, jobs: [] }],
  ]);
  test("a script restarts the server", async () => {
    await call("POST", "/jsvm/restart").catch(() => undefined);
    const restarted = async () => {
      try {
        return (await marks(call, "restarts")).length === 1;
      } catch {
        return false;
      }
    };
    await eventually(restarted, "the server to begin anew", 10_000);
    matches(await marks(call, "restarts"), [true]);
    const jobs = (await call("GET", "/api/crons", undefined, { as: "root" })).json;
    assert.ok(jobs.some((job) => job.id === "jsvm-kept"), "scripts have been loaded again");
  });
});

area("realtime clients", { hooks: ["48"] }, (call, server) => {
  test("are known, subscribed, written to and discarded", async () => {
    const stream = await listen(server);
    try {
      const { clientId } = await stream.next("PB_CONNECT");
      const client = (what) => call("GET", `/jsvm/clients/${clientId}/${what}`);
      const options = encodeURIComponent(JSON.stringify({ query: { filter: "n > 1" }, headers: { "X-Token": "t" } }));
      const subscriptions = ["plain", "bytes", "dropped", `notes?options=${options}`];
      await call("POST", "/api/realtime", { clientId, subscriptions }, { as: "ann" });
      const state = (await client("state")).json;
      matches(state, { subscribed: [40, [...subscriptions].sort(), "the hook", null], same: true, prefix: [subscriptions[3]], has: [true, false], discarded: false, name: "ann", total: 1, missing: 'no client associated with connection ID "missing"', empty: true });
      matches(state.options[subscriptions[3]], { query: { filter: "n > 1" }, headers: { x_token: "t" } });
      matches((await client("subscribe")).json, { both: [true, true], one: false });
      assert.equal((await client("send")).status, 204);
      matches(await stream.next("bytes"), { by: "bytes" });
      matches((await client("clear")).json, []);
      matches((await client("discard")).json, { discarded: true, left: true });
      await assert.rejects(stream.next("anything"), /ended/);
    } finally {
      stream.close();
    }
  });
});

area("Buffer", { hooks: ["49"] }, (call) => {
  rows(call, [
    ["encodings and numbers", "GET", "/jsvm/buffer", undefined, 200, {
      text: "größer", length: 8, hex: "6772c3b6c39f6572", base64: "Z3LDtsOfZXI=", back: ["hi", "hi", "hi"], part: "bc", equals: [true, false], filled: "xxx",
      numbers: [4660, -5, 1.5, 18], hash: "0cc175b9c0f1b6a831c399e269772661", asText: "bytes",
    }],
  ]);
});

area("commands and the end", { hooks: ["53"] }, (call, server) => {
  test("a command of a script runs with its arguments", async () => {
    server.run("jsvm-greet", "a", "b c");
    matches(await marks(call, "command"), [[["a", "b c"], "jsvm-greet"]]);
  });
  test("an unknown command fails", () => {
    assert.throws(() => server.run("jsvm-unknown"));
  });
  test("onBootstrapClear runs at the end", async () => {
    await server.restart();
    const clears = await marks(call, "clears");
    assert.ok(clears.length >= 1, "it has run");
  });
});

area("the other sign-in mails and hooks", {
  hooks: ["54"],
  prepare: async (call) => {
    const meta = { appName: "JSVM", appURL: "http://localhost", senderName: "Sender", senderAddress: "sender@example.com" };
    assert.equal((await call("PATCH", "/api/settings", { meta }, { as: "root" })).status, 200);
    await call("PATCH", "/api/collections/users", { authAlert: { enabled: true } }, { as: "root" });
  },
}, (call) => {
  test("mails of records pass their hooks", async () => {
    assert.equal((await call("POST", "/jsvm/record-mails")).status, 204);
    const seen = (await call("GET", "/jsvm/seen")).json;
    matches(seen.map(([kind]) => kind).sort(), ["alert", "change", "otp", "reset"]);
    matches(seen.find(([kind]) => kind === "otp"), ["otp", "ann@example.com", "otp-id", "otp-pass"]);
    matches(seen.find(([kind]) => kind === "change"), ["change", "ann@example.com", "new@example.com", true]);
  });
  test("a changed address is confirmed", async () => {
    const { token } = (await call("GET", "/jsvm/change-token")).json;
    const confirmed = await call("POST", "/api/collections/users/confirm-email-change", { token, password: "12345678" });
    assert.equal(confirmed.status, 204, confirmed.text);
    await marked(call, "confirmed", [["ann@example.com", "changed@example.com"]]);
  });
  test("failed changes of collections are told", async () => {
    const root = { as: "root" };
    const fields = [{ name: "x", type: "text" }];
    assert.equal((await call("POST", "/api/collections", { name: "stubborn", type: "base", fields }, root)).status, 200);
    assert.equal((await call("PATCH", "/api/collections/stubborn", { name: "bad name" }, root)).status, 400);
    assert.equal((await call("DELETE", "/api/collections/stubborn", undefined, root)).status, 400);
    matches(await marks(call, "collections"), [["update", true], ["delete", true]]);
  });
  test("backups", async () => {
    const root = { as: "root" };
    assert.equal((await call("POST", "/api/backups", { name: "refused.zip" }, root)).status, 400);
    assert.equal((await call("POST", "/api/backups", { name: "made.zip" }, root)).status, 204);
    await marked(call, "backups", ["refused.zip", "made.zip"]);
  });
  test("a restored backup brings back what was there", async () => {
    // Made after the backup, hence gone with it.
    await made(call, "notes", { title: "later" });
    await call("POST", "/jsvm/restore").catch(() => undefined);
    const restored = async () => {
      try {
        return (await call("GET", "/api/collections/notes/records")).json.totalItems === 0;
      } catch {
        return false;
      }
    };
    await eventually(restored, "the backup to be restored", 15_000);
    assert.equal((await call("GET", "/jsvm/restored")).text, "made.zip");
  });
});
