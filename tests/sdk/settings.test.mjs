// Health and settings.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { failure, useServer } from "./support/server.mjs";

const server = useServer();

describe("health", () => {
  test("answers everybody, and tells superusers more", async () => {
    const guest = await server.client().health.check();
    assert.equal(guest.code, 200);
    assert.equal(guest.message, "API is healthy.");
    assert.deepEqual(guest.data, {});
    const { data } = await server.superuser.health.check();
    assert.equal(typeof data.canBackup, "boolean");
    assert.equal(data.realIP, "127.0.0.1");
  });
});

describe("settings", () => {
  test("update changes what is sent and getAll shows it", async () => {
    const { settings } = server.superuser;
    const before = await settings.getAll();
    const changed = await settings.update({ meta: { appName: "Orchard" } });
    assert.equal(changed.meta.appName, "Orchard");
    const after = await settings.getAll();
    assert.deepEqual(after, { ...before, meta: { ...before.meta, appName: "Orchard" } });
  });

  test("secrets go in and never come out", async () => {
    const { settings } = server.superuser;
    const smtp = { enabled: true, host: "mail.example.com", port: 587, username: "ann", password: "hush-hush" };
    await settings.update({ smtp });
    const shown = await settings.getAll();
    assert.equal(shown.smtp.username, "ann");
    assert.doesNotMatch(JSON.stringify(shown), /hush-hush/);
    await settings.update({ smtp: { enabled: false } });
  });

  test("wrong values are refused by name", async () => {
    const wrong = { meta: { appName: "", senderAddress: "nobody" }, smtp: { enabled: true, host: "" } };
    const error = await failure(server.superuser.settings.update(wrong));
    assert.equal(error.status, 400);
    assert.equal(error.response.data.meta.appName.code, "validation_required");
    assert.ok(error.response.data.meta.senderAddress);
    assert.ok(error.response.data.smtp.host);
  });

  test("are for superusers", async () => {
    const guest = server.client();
    assert.equal((await failure(guest.settings.getAll())).status, 401);
    assert.equal((await failure(guest.settings.update({}))).status, 401);
  });
});
