// The collections API: making, changing and removing collections without losing rows, and who may do so.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { number, OPEN, relation, select, text } from "./support/fields.mjs";
import { failure, useServer } from "./support/server.mjs";

const server = useServer();

const make = (name, fields, more = {}) =>
  server.superuser.collections.create({ name, type: "base", ...OPEN, fields, ...more });

describe("collections", () => {
  test("create, get by name and by id, list, update, delete", async () => {
    const { collections } = server.superuser;
    const made = await make("first", [text("title", { max: 20 })], { listRule: null });
    assert.match(made.id, /^pbc_\d+$/);
    assert.deepEqual(made.fields.map(({ name, type }) => [name, type]), [["id", "text"], ["title", "text"]]);
    assert.equal(made.listRule, null);
    assert.deepEqual(await collections.getOne("first"), made);
    assert.deepEqual(await collections.getOne(made.id), made);
    const found = await collections.getFullList({ filter: "name = 'first'" });
    assert.deepEqual(found, [made]);
    const changed = await collections.update("first", { name: "renamed", listRule: "" });
    assert.equal(changed.id, made.id);
    assert.equal(changed.listRule, "");
    assert.equal((await failure(collections.getOne("first"))).status, 404);
    assert.equal(await collections.delete("renamed"), true);
    assert.equal((await failure(collections.getOne("renamed"))).status, 404);
  });

  test("are for superusers", async () => {
    const guest = server.client();
    assert.equal((await failure(guest.collections.getList())).status, 401);
    assert.equal((await failure(guest.collections.create({ name: "x", type: "base" }))).status, 401);
    const { id, email } = await server.superuser.collection("users").create({
      email: "ann@example.com",
      password: "12345678",
      passwordConfirm: "12345678",
    });
    assert.ok(id && email);
    await guest.collection("users").authWithPassword("ann@example.com", "12345678");
    assert.equal((await failure(guest.collections.getList())).status, 403);
  });

  test("wrong ones are refused field by field", async () => {
    await make("taken", [text("title")]);
    const codes = async (data) => {
      const error = await failure(server.superuser.collections.create({ type: "base", ...data }));
      assert.equal(error.status, 400);
      return error.response.data;
    };
    assert.equal((await codes({})).name.code, "validation_required");
    assert.ok((await codes({ name: "taken" })).name);
    assert.ok((await codes({ name: "no spaces here" })).name);
    assert.ok((await codes({ name: "bad_rule", listRule: "nothing = 1" })).listRule);
    assert.ok((await codes({ name: "bad_index", indexes: ["DROP TABLE taken"] })).indexes);
    assert.ok((await codes({ name: "bad_field", fields: [text("no spaces here")] })).fields);
  });

  test("system collections stay", async () => {
    assert.equal((await failure(server.superuser.collections.delete("_superusers"))).status, 400);
    assert.equal((await failure(server.superuser.collections.update("_superusers", { name: "x" }))).status, 400);
  });

  test("one that others refer to is not deleted", async () => {
    const target = await make("target", [text("title")]);
    await make("source", [relation("to", target)]);
    assert.equal((await failure(server.superuser.collections.delete("target"))).status, 400);
    await server.superuser.collections.delete("source");
    assert.equal(await server.superuser.collections.delete("target"), true);
  });
});

describe("changing fields keeps the rows", () => {
  test("rename, add and drop", async () => {
    const made = await make("people", [text("name"), number("age"), text("junk")]);
    const people = server.client().collection("people");
    const { id } = await people.create({ name: "Ann", age: 30, junk: "x" });
    const fields = made.fields
      .filter((field) => field.name !== "junk")
      .map((field) => (field.name === "name" ? { ...field, name: "title" } : field));
    await server.superuser.collections.update("people", { fields: [...fields, text("city")] });
    const { title, age, city, junk, name } = await people.getOne(id);
    assert.deepEqual({ title, age, city, junk, name }, { title: "Ann", age: 30, city: "", junk: undefined, name: undefined });
  });

  test("single to multiple and back", async () => {
    const made = await make("shirts", [select("size", ["s", "m", "l"])]);
    const shirts = server.client().collection("shirts");
    const { id } = await shirts.create({ size: "m" });
    const sized = (max) => made.fields.map((field) => (field.name === "size" ? { ...field, maxSelect: max } : field));
    await server.superuser.collections.update("shirts", { fields: sized(3) });
    assert.deepEqual((await shirts.getOne(id)).size, ["m"]);
    await shirts.update(id, { "size+": "l" });
    assert.deepEqual((await shirts.getOne(id)).size, ["m", "l"]);
    await server.superuser.collections.update("shirts", { fields: sized(1) });
    assert.equal((await shirts.getOne(id)).size, "l");
  });

  test("a unique index refuses doubles, and rows that already are", async () => {
    await make("codes", [text("code")]);
    const codes = server.client().collection("codes");
    await codes.create({ code: "a" });
    const double = await codes.create({ code: "a" });
    const indexes = ["CREATE UNIQUE INDEX `idx_codes_code` ON `codes` (`code`)"];
    assert.equal((await failure(server.superuser.collections.update("codes", { indexes }))).status, 400);
    await codes.delete(double.id);
    const changed = await server.superuser.collections.update("codes", { indexes });
    assert.deepEqual(changed.indexes, indexes);
    assert.equal((await failure(codes.create({ code: "a" }))).response.data.code.code, "validation_not_unique");
  });
});

describe("more of the API", () => {
  test("a view collection reads from others and cannot be written", async () => {
    await make("sales", [text("shop"), number("amount")]);
    const sales = server.client().collection("sales");
    for (const [shop, amount] of [["north", 2], ["north", 3], ["south", 4]]) await sales.create({ shop, amount });
    const view = await server.superuser.collections.create({
      name: "totals",
      type: "view",
      listRule: "",
      viewRule: "",
      viewQuery: "SELECT shop AS id, shop, COUNT(*) AS sales, SUM(amount) AS total FROM sales GROUP BY shop",
    });
    assert.deepEqual(view.fields.map((field) => field.name), ["id", "shop", "sales", "total"]);
    const rows = await server.client().collection("totals").getFullList({ sort: "id", filter: "sales > 0" });
    assert.deepEqual(rows.map(({ shop, sales, total }) => [shop, sales, total]), [["north", 2, 5], ["south", 1, 4]]);
    const error = await failure(server.superuser.collection("totals").create({ shop: "east" }));
    assert.equal(error.status, 400);
  });

  test("truncate removes the rows alone", async () => {
    await make("heap", [text("title")]);
    const heap = server.client().collection("heap");
    for (const title of ["a", "b"]) await heap.create({ title });
    assert.equal(await server.superuser.collections.truncate("heap"), true);
    assert.equal((await heap.getList()).totalItems, 0);
    await heap.create({ title: "c" });
  });

  test("import makes and changes collections at once, or none of them", async () => {
    const { collections } = server.superuser;
    const one = { name: "imported_one", type: "base", listRule: "", fields: [text("title")] };
    assert.equal(await collections.import([one, { name: "imported_two", type: "base", fields: [number("n")] }]), true);
    assert.equal((await collections.getOne("imported_one")).listRule, "");
    assert.equal((await server.client().collection("imported_one").getList()).totalItems, 0);
    const half = collections.import([{ name: "imported_three", type: "base" }, { name: "imported_four", type: "nothing" }]);
    assert.equal((await failure(half)).status, 400);
    assert.equal((await failure(collections.getOne("imported_three"))).status, 404);
  });

  test("scaffolds show what an empty collection of each type has", async () => {
    const scaffolds = await server.superuser.collections.getScaffolds();
    assert.deepEqual(Object.keys(scaffolds).sort(), ["auth", "base", "view"]);
    assert.ok(scaffolds.auth.fields.some((field) => field.name === "tokenKey"));
  });
});
