// Records: creating, reading, listing, changing and deleting them, and what can be asked of a list.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { bool, created, number, OPEN, select, text, updated } from "./support/fields.mjs";
import { failure, useServer } from "./support/server.mjs";

const server = useServer(async (root) => {
  await root.collections.create({
    name: "articles",
    type: "base",
    ...OPEN,
    fields: [
      text("title", { required: true }),
      text("body"),
      number("views"),
      bool("published"),
      select("tags", ["red", "green", "blue"], { maxSelect: 3 }),
      { name: "meta", type: "json" },
      { name: "site", type: "url" },
      { name: "contact", type: "email" },
      { name: "due", type: "date" },
      { name: "place", type: "geoPoint" },
      { name: "html", type: "editor" },
      created(),
      updated(),
    ],
  });
  await root.collections.create({
    name: "numbers",
    type: "base",
    ...OPEN,
    fields: [number("n"), text("name"), bool("even"), created()],
  });
  const numbers = root.collection("numbers");
  for (let n = 1; n <= 25; n++) {
    await numbers.create({ n, name: `number ${String(n).padStart(2, "0")}`, even: n % 2 === 0 });
  }
});

describe("one record", () => {
  test("create returns the stored record with every kind of field", async () => {
    const sent = {
      title: "First",
      body: "größer <b>&</b> 🙂",
      views: 1.5,
      published: true,
      tags: ["red", "blue"],
      meta: { a: [1, null, { b: "c" }] },
      site: "https://example.com/a?b=c",
      contact: "ann@example.com",
      due: "2026-01-02 03:04:05.678Z",
      place: { lon: 13.4, lat: 52.5 },
      html: "<p>text</p>",
    };
    const articles = server.client().collection("articles");
    const record = await articles.create(sent);
    assert.match(record.id, /^[a-z0-9]{15}$/);
    assert.equal(record.collectionName, "articles");
    assert.match(record.created, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z$/);
    for (const [name, value] of Object.entries(sent)) assert.deepEqual(record[name], value, name);
    assert.deepEqual(await articles.getOne(record.id), record);
  });

  test("absent fields get their zero values", async () => {
    const record = await server.client().collection("articles").create({ title: "Bare" });
    const { body, views, published, tags, meta, due, place } = record;
    const zero = { body: "", views: 0, published: false, tags: [], meta: null, due: "", place: { lon: 0, lat: 0 } };
    assert.deepEqual({ body, views, published, tags, meta, due, place }, zero);
  });

  test("an id may be given, once", async () => {
    const articles = server.client().collection("articles");
    const record = await articles.create({ id: "abcdefghij12345", title: "Mine" });
    assert.equal(record.id, "abcdefghij12345");
    const error = await failure(articles.create({ id: "abcdefghij12345", title: "Again" }));
    assert.equal(error.status, 400);
    assert.equal(error.response.data.id.code, "validation_not_unique");
  });

  test("update changes what is sent and leaves the rest", async () => {
    const articles = server.client().collection("articles");
    const before = await articles.create({ title: "Before", views: 7, tags: ["red"] });
    const after = await articles.update(before.id, { title: "After" });
    assert.equal(after.title, "After");
    assert.equal(after.views, 7);
    assert.deepEqual(after.tags, ["red"]);
    assert.equal(after.created, before.created);
    assert.ok(after.updated >= before.updated);
  });

  test("update modifiers add to and take from the stored value", async () => {
    const articles = server.client().collection("articles");
    const { id } = await articles.create({ title: "Modifiers", views: 5, tags: ["red"] });
    const more = await articles.update(id, { "views+": 3, "tags+": ["green", "blue"] });
    assert.equal(more.views, 8);
    assert.deepEqual(more.tags, ["red", "green", "blue"]);
    const less = await articles.update(id, { "views-": 10, "tags-": "green" });
    assert.equal(less.views, -2);
    assert.deepEqual(less.tags, ["red", "blue"]);
    const front = await articles.update(id, { "+tags": "green" });
    assert.deepEqual(front.tags, ["green", "red", "blue"]);
  });

  test("delete removes the record", async () => {
    const articles = server.client().collection("articles");
    const { id } = await articles.create({ title: "Gone" });
    assert.equal(await articles.delete(id), true);
    assert.equal((await failure(articles.getOne(id))).status, 404);
    assert.equal((await failure(articles.delete(id))).status, 404);
    assert.equal((await failure(articles.update(id, { title: "Back" }))).status, 404);
  });

  test("fields picks and shortens", async () => {
    const articles = server.client().collection("articles");
    const { id } = await articles.create({ title: "Pick", html: "<p>one <b>two</b> three four</p>", meta: { a: 1, b: 2 } });
    assert.deepEqual(await articles.getOne(id, { fields: "id,title" }), { id, title: "Pick" });
    const short = await articles.getOne(id, { fields: "html:excerpt(7,true),meta.b" });
    assert.deepEqual(short, { html: "one two...", meta: { b: 2 } });
  });
});

describe("a list", () => {
  const names = (list) => list.map((record) => record.n);

  test("getList pages and counts", async () => {
    const numbers = server.client().collection("numbers");
    const page = await numbers.getList(2, 10, { sort: "n" });
    assert.deepEqual({ ...page, items: names(page.items) }, {
      page: 2,
      perPage: 10,
      totalItems: 25,
      totalPages: 3,
      items: [11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
    });
    const beyond = await numbers.getList(4, 10, { sort: "n" });
    assert.deepEqual(beyond.items, []);
    assert.equal(beyond.totalItems, 25);
  });

  test("skipTotal leaves the counting out", async () => {
    const page = await server.client().collection("numbers").getList(1, 5, { skipTotal: true, sort: "-n" });
    assert.deepEqual(names(page.items), [25, 24, 23, 22, 21]);
    assert.equal(page.totalItems, -1);
    assert.equal(page.totalPages, -1);
  });

  test("getFullList fetches page after page", async () => {
    const numbers = server.client().collection("numbers");
    const all = await numbers.getFullList({ sort: "n", batch: 4 });
    assert.deepEqual(names(all), Array.from({ length: 25 }, (_, index) => index + 1));
    assert.equal((await numbers.getFullList({ filter: "n > 1000" })).length, 0);
  });

  test("getFirstListItem gives the first match or a 404", async () => {
    const numbers = server.client().collection("numbers");
    const first = await numbers.getFirstListItem("n > 3 && even = true", { sort: "n" });
    assert.equal(first.n, 4);
    assert.equal((await failure(numbers.getFirstListItem("n = 99"))).status, 404);
  });

  test("sort takes several keys and directions", async () => {
    const numbers = server.client().collection("numbers");
    const page = await numbers.getList(1, 4, { sort: "-even,n" });
    assert.deepEqual(names(page.items), [2, 4, 6, 8]);
    const error = await failure(numbers.getList(1, 4, { sort: "nothing" }));
    assert.equal(error.status, 400);
  });

  const cases = [
    ["n = 3", [3]],
    ["n >= 24", [24, 25]],
    ["n < 3 || n > 24", [1, 2, 25]],
    ["(n < 5 && even = true) || n = 25", [2, 4, 25]],
    ["name ~ '1_' || name ~ '%2'", [2, 12, 22]],
    ["name !~ 'number'", []],
    ["name:lower = 'number 07'", [7]],
    ["n != 1 && n <= 2 // a comment", [2]],
    ["created <= @now && n = 1", [1]],
    ["created > @todayEnd", []],
  ];
  for (const [filter, expected] of cases) {
    test(`filter ${filter}`, async () => {
      const found = await server.client().collection("numbers").getFullList({ filter, sort: "n" });
      assert.deepEqual(names(found), expected);
    });
  }

  test("a broken filter is a 400 with nothing of the database in it", async () => {
    const numbers = server.client().collection("numbers");
    for (const filter of ["n =", "n = 1 &&", "unknown = 1", "n = 'a", "(((", "n = 1; DROP TABLE numbers"]) {
      const error = await failure(numbers.getList(1, 1, { filter }));
      assert.equal(error.status, 400, filter);
      assert.doesNotMatch(JSON.stringify(error.response), /select|sqlite|syntax/i);
    }
  });
});

describe("pb.filter", () => {
  test("binds values of every type", async () => {
    const pb = server.client();
    const articles = pb.collection("articles");
    const title = `O'Neil says "a\\b" {:x} %`;
    const { id } = await articles.create({ title, views: 12.25, published: true, due: "2026-05-06 07:08:09.123Z" });
    const filter = pb.filter("title = {:title} && views = {:views} && published = {:yes} && due = {:due} && body = {:none}", {
      title,
      views: 12.25,
      yes: true,
      due: new Date("2026-05-06T07:08:09.123Z"),
      none: "",
    });
    const found = await articles.getFullList({ filter });
    assert.deepEqual(found.map((record) => record.id), [id]);
  });

  test("a value cannot become part of the expression", async () => {
    const pb = server.client();
    const value = "x' || id != ''";
    const found = await pb.collection("articles").getFullList({ filter: pb.filter("title = {:value}", { value }) });
    assert.deepEqual(found, []);
  });
});
