// JavaScript migrations that run at the start.

import { area, rows } from "./support/jsvm.mjs";
import { test } from "node:test";
import { matches } from "./support/jsvm.mjs";

area("migrations", { migrations: true, bare: true }, (call, server) => {
  const root = { as: "root" };
  rows(call, [
    ["records of the first one, changed by the SQL of the second", "GET", "/api/collections/migrated/records?sort=n", undefined, 200, { items: [{ title: "record 1", n: 1, slug: "", flag: false }, { title: "record 2", slug: "slug-2" }, { title: "record 3", slug: "slug-3" }] }],
    ["fields and indexes", "GET", "/api/collections/migrated", undefined, 200, { indexes: [/idx_migrated_slug/], listRule: "", createRule: null, fields: [{ name: "id" }, { name: "title", max: 30, required: true }, { name: "n" }, { name: "created", type: "autodate" }, { name: "slug" }, { name: "flag", type: "bool" }] }, root],
    ["settings", "GET", "/api/settings", undefined, 200, { meta: { appName: "Migrated", appURL: "https://example.com" }, batch: { enabled: true } }, root],
    ["an account that can sign in", "POST", "/api/collections/users/auth-with-password", { identity: "migrated@example.com", password: "12345678" }, 200, { record: { name: "migrated" } }],
    ["what was made and deleted is gone", "GET", "/api/collections/short_lived", undefined, 404, {}, root],
    ["a relation to what an earlier one made", "GET", "/api/collections/migrated_items/records?expand=parent", undefined, 200, { items: [{ parent: /^[a-z0-9]{15}$/ }] }],
    ["an imported list", "GET", "/api/collections/snapshot", undefined, 200, { id: "pbc_snapshot00001", fields: [{ name: "id" }, { name: "label", id: "text_snapshot" }] }, root],
  ]);
  test("run once only", async () => {
    await server.restart();
    matches((await call("GET", "/api/collections/migrated/records")).json, { totalItems: 3 });
  });
});
