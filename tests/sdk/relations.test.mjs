// Relations: expand forwards, backwards and nested, filters through them, and what deleting does.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { number, OPEN, relation, text } from "./support/fields.mjs";
import { failure, useServer } from "./support/server.mjs";

let ids;

const server = useServer(async (root) => {
  const make = (name, fields) => root.collections.create({ name, type: "base", ...OPEN, fields });
  const countries = await make("countries", [text("name")]);
  const authors = await make("authors", [text("name"), relation("country", countries)]);
  const tags = await make("tags", [text("name")]);
  const posts = await make("posts", [
    text("title"),
    relation("author", authors, { required: true, cascadeDelete: true }),
    relation("tags", tags, { maxSelect: 5 }),
  ]);
  await make("comments", [text("text"), number("stars"), relation("post", posts, { cascadeDelete: true })]);

  const add = async (collection, data) => (await root.collection(collection).create(data)).id;
  const france = await add("countries", { name: "France" });
  const ann = await add("authors", { name: "Ann", country: france });
  const bob = await add("authors", { name: "Bob" });
  const red = await add("tags", { name: "red" });
  const blue = await add("tags", { name: "blue" });
  const first = await add("posts", { title: "First", author: ann, tags: [blue, red] });
  const second = await add("posts", { title: "Second", author: bob, tags: [red] });
  const good = await add("comments", { text: "good", stars: 5, post: first });
  const bad = await add("comments", { text: "bad", stars: 1, post: first });
  ids = { france, ann, bob, red, blue, first, second, good, bad };
});

describe("expand", () => {
  test("a single relation becomes a record, a multiple one a list in its order", async () => {
    const post = await server.client().collection("posts").getOne(ids.first, { expand: "author,tags" });
    assert.equal(post.expand.author.name, "Ann");
    assert.deepEqual(post.expand.tags.map((tag) => tag.name), ["blue", "red"]);
    assert.deepEqual(post.tags, [ids.blue, ids.red]);
  });

  test("nested, over several levels", async () => {
    const expand = "post.author.country,post.tags";
    const comment = await server.client().collection("comments").getOne(ids.good, { expand });
    assert.equal(comment.expand.post.expand.author.expand.country.name, "France");
    assert.equal(comment.expand.post.expand.tags.length, 2);
  });

  test("back-relations, by _via_", async () => {
    const authors = server.client().collection("authors");
    const ann = await authors.getOne(ids.ann, { expand: "posts_via_author.comments_via_post" });
    const posts = ann.expand.posts_via_author;
    assert.deepEqual(posts.map((post) => post.title), ["First"]);
    const comments = posts[0].expand.comments_via_post.map((comment) => comment.text);
    assert.deepEqual(comments.sort(), ["bad", "good"]);
  });

  test("in lists, on create and on update", async () => {
    const posts = server.client().collection("posts");
    const list = await posts.getList(1, 10, { sort: "title", expand: "author" });
    assert.deepEqual(list.items.map((post) => post.expand.author.name), ["Ann", "Bob"]);
    const made = await posts.create({ title: "Third", author: ids.bob }, { expand: "author" });
    assert.equal(made.expand.author.name, "Bob");
    const changed = await posts.update(made.id, { author: ids.ann }, { expand: "author" });
    assert.equal(changed.expand.author.name, "Ann");
    await posts.delete(made.id);
  });

  test("what is not there is left out", async () => {
    const bob = await server.client().collection("authors").getOne(ids.bob, { expand: "country,nothing" });
    assert.equal(bob.expand?.country, undefined);
    assert.equal(bob.country, "");
  });

  test("fields reaches into expanded records", async () => {
    const fields = "title,expand.author.name";
    const post = await server.client().collection("posts").getOne(ids.first, { expand: "author", fields });
    assert.deepEqual(post, { title: "First", expand: { author: { name: "Ann" } } });
  });
});

describe("filters through relations", () => {
  const cases = [
    ["author.name = 'Ann'", ["First"]],
    ["author.country.name = 'France'", ["First"]],
    ["tags.name ?= 'red'", ["First", "Second"]],
    ["tags.name = 'red'", ["Second"]],
    ["tags:length = 2", ["First"]],
    ["tags:each != 'x'", ["First", "Second"]],
    ["comments_via_post.stars ?> 4", ["First"]],
    ["comments_via_post.stars > 4", []],
  ];
  for (const [filter, expected] of cases) {
    test(filter, async () => {
      const found = await server.client().collection("posts").getFullList({ filter, sort: "title" });
      assert.deepEqual(found.map((post) => post.title), expected);
    });
  }

  test("@collection is for superusers, and for rules", async () => {
    const filter = "@collection.comments.post ?= id && @collection.comments.stars ?= 5";
    const found = await server.superuser.collection("posts").getFullList({ filter });
    assert.deepEqual(found.map((post) => post.title), ["First"]);
    assert.equal((await failure(server.client().collection("posts").getFullList({ filter }))).status, 403);
  });

  test("sort by a related field", async () => {
    const found = await server.client().collection("posts").getFullList({ sort: "-author.name" });
    assert.deepEqual(found.map((post) => post.title), ["Second", "First"]);
  });
});

describe("writing relations", () => {
  test("a missing record is refused", async () => {
    const posts = server.client().collection("posts");
    const error = await failure(posts.create({ title: "Lost", author: "missing00000000" }));
    assert.equal(error.status, 400);
    assert.equal(error.response.data.author.code, "validation_missing_rel_records");
  });

  test("deleting cascades, or empties the reference", async () => {
    const pb = server.client();
    const tag = await pb.collection("tags").create({ name: "passing" });
    const author = await pb.collection("authors").create({ name: "Cyd" });
    const post = await pb.collection("posts").create({ title: "Short", author: author.id, tags: [ids.red, tag.id] });
    const comment = await pb.collection("comments").create({ text: "hm", post: post.id });
    await pb.collection("tags").delete(tag.id);
    assert.deepEqual((await pb.collection("posts").getOne(post.id)).tags, [ids.red]);
    await pb.collection("authors").delete(author.id);
    assert.equal((await failure(pb.collection("posts").getOne(post.id))).status, 404);
    assert.equal((await failure(pb.collection("comments").getOne(comment.id))).status, 404);
  });
});
