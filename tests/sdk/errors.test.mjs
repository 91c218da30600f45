// Error objects: what an application sees when something is refused.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { ClientResponseError } from "pocketbase";

import { number, OPEN, select, text } from "./support/fields.mjs";
import { failure, useServer } from "./support/server.mjs";

const server = useServer(async (root) => {
  await root.collections.create({
    name: "strict",
    type: "base",
    ...OPEN,
    fields: [
      text("title", { required: true, min: 3, max: 10, pattern: "^[a-z ]+$" }),
      number("count", { min: 1, max: 5, onlyInt: true }),
      select("kind", ["a", "b"], { maxSelect: 1 }),
      { name: "site", type: "url", onlyDomains: ["example.com"] },
      { name: "meta", type: "json", maxSize: 20 },
      { name: "code", type: "text" },
    ],
    indexes: ["CREATE UNIQUE INDEX `idx_strict_code` ON `strict` (`code`) WHERE `code` != ''"],
  });
});

describe("ClientResponseError", () => {
  test("carries status, url and the server's answer", async () => {
    const error = await failure(server.client().collection("strict").create({}));
    assert.ok(error instanceof ClientResponseError);
    assert.equal(error.status, 400);
    assert.equal(error.url, `${server.url}/api/collections/strict/records`);
    assert.equal(error.isAbort, false);
    assert.equal(error.message, "Failed to create record.");
    assert.deepEqual(error.response, {
      data: { title: { code: "validation_required", message: "Cannot be blank." } },
      message: "Failed to create record.",
      status: 400,
    });
  });

  test("names every wrong field", async () => {
    const wrong = { title: "ab", count: 9, kind: "c", site: "https://other.org", meta: { a: "x".repeat(30) } };
    const error = await failure(server.client().collection("strict").create(wrong));
    const codes = Object.fromEntries(Object.entries(error.response.data).map(([name, { code }]) => [name, code]));
    assert.deepEqual(codes, {
      title: "validation_min_text_constraint",
      count: "validation_max_number_constraint",
      kind: "validation_invalid_value",
      site: "validation_url_domain_not_allowed",
      meta: "validation_json_size_limit",
    });
  });

  const cases = [
    [{ title: "far too long a title" }, "title", "validation_max_text_constraint"],
    [{ title: "Capitals" }, "title", "validation_invalid_format"],
    [{ title: "fine", count: 1.5 }, "count", "validation_only_int_constraint"],
    [{ title: "fine", count: -1 }, "count", "validation_min_number_constraint"],
    [{ title: "fine", site: "nonsense" }, "site", "validation_invalid_url"],
    [{ title: "fine", id: "SHORT" }, "id", "validation_min_text_constraint"],
  ];
  for (const [data, field, code] of cases) {
    test(`${JSON.stringify(data)} is ${code}`, async () => {
      const error = await failure(server.client().collection("strict").create(data));
      assert.equal(error.status, 400);
      assert.deepEqual(Object.keys(error.response.data), [field]);
      assert.equal(error.response.data[field].code, code);
      assert.equal(typeof error.response.data[field].message, "string");
    });
  }

  test("a unique index names its field", async () => {
    const strict = server.client().collection("strict");
    await strict.create({ title: "first", code: "x1" });
    const error = await failure(strict.create({ title: "second", code: "x1" }));
    assert.equal(error.status, 400);
    assert.equal(error.response.data.code.code, "validation_not_unique");
  });

  test("unknown records, collections and routes are a 404", async () => {
    const pb = server.client();
    const missing = await failure(pb.collection("strict").getOne("abcdefghijklmno"));
    assert.equal(missing.status, 404);
    assert.deepEqual(missing.response, { data: {}, message: "The requested resource wasn't found.", status: 404 });
    assert.equal((await failure(pb.collection("nothing").getList())).status, 404);
    assert.equal((await failure(pb.send("/api/nothing", {}))).status, 404);
  });

  test("bodies that are not what they say are a 400", async () => {
    const pb = server.client();
    const path = "/api/collections/strict/records";
    const json = { "Content-Type": "application/json" };
    for (const body of ["{", "[1,2", '{"title":"\\ud800', "nonsense"]) {
      const error = await failure(pb.send(path, { method: "POST", body, headers: json }));
      assert.equal(error.status, 400, body);
    }
    const error = await failure(pb.send(path, { method: "POST", body: "a=b", headers: { "Content-Type": "text/csv" } }));
    assert.equal(error.status, 400);
  });

  test("a cancelled request is an abort, not an answer", async () => {
    const pb = server.client();
    pb.autoCancellation(true);
    const strict = pb.collection("strict");
    const [first, second] = await Promise.allSettled([strict.getList(), strict.getList()]);
    assert.equal(first.status, "rejected");
    assert.equal(first.reason.isAbort, true);
    assert.equal(first.reason.status, 0);
    assert.equal(second.status, "fulfilled");
  });
});
