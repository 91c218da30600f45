// Access rules: what guests, users, owners and superusers get from the same collection.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { bool, OPEN, relation, select, text } from "./support/fields.mjs";
import { failure, useServer } from "./support/server.mjs";

const PASSWORD = "12345678";

// A guest's id is empty, and so is the owner of a note without one: a rule must say that it means users.
const READ =
  "public = true || (@request.auth.id != '' && (owner = @request.auth.id || team.members.id ?= @request.auth.id))";

let ann, bob, guest, ids;

const server = useServer(async (root) => {
  const users = await root.collections.getOne("users");
  const teams = await root.collections.create({
    name: "teams",
    type: "base",
    ...OPEN,
    fields: [text("name"), relation("members", users, { maxSelect: 10 })],
  });
  await root.collections.create({
    name: "notes",
    type: "base",
    fields: [
      text("title", { required: true }),
      text("secret", { hidden: true }),
      bool("public"),
      select("state", ["open", "closed"]),
      relation("owner", users),
      relation("team", teams),
    ],
    listRule: READ,
    viewRule: READ,
    createRule: "@request.auth.id != '' && @request.body.owner = @request.auth.id",
    updateRule: "owner = @request.auth.id && @request.body.owner:changed = false && state != 'closed'",
    deleteRule: "owner = @request.auth.id",
  });
  await root.collections.create({ name: "vault", type: "base", fields: [text("title")] });
  await people(root);
});

/** Accounts and notes to look at. */
async function people(root) {
  const account = async (name) => {
    const email = `${name}@example.com`;
    const pb = server.client();
    await root.collection("users").create({ email, password: PASSWORD, passwordConfirm: PASSWORD, name });
    await pb.collection("users").authWithPassword(email, PASSWORD);
    return pb;
  };
  guest = server.client();
  ann = await account("ann");
  bob = await account("bob");
  const me = (pb) => pb.authStore.record.id;
  const team = await root.collection("teams").create({ name: "both", members: [me(ann), me(bob)] });
  const note = async (data) => (await root.collection("notes").create(data)).id;
  ids = {
    ann: me(ann),
    bob: me(bob),
    open: await note({ title: "public", public: true }),
    anns: await note({ title: "ann's", owner: me(ann), secret: "s" }),
    bobs: await note({ title: "bob's", owner: me(bob) }),
    team: await note({ title: "team's", team: team.id }),
    nobody: await note({ title: "nobody's" }),
  };
}

const titles = async (pb) => (await pb.collection("notes").getFullList({ sort: "title" })).map((note) => note.title);

describe("reading", () => {
  test("a list holds what the rule allows each caller", async () => {
    assert.deepEqual(await titles(guest), ["public"]);
    assert.deepEqual(await titles(ann), ["ann's", "public", "team's"]);
    assert.deepEqual(await titles(bob), ["bob's", "public", "team's"]);
    assert.deepEqual(await titles(server.superuser), ["ann's", "bob's", "nobody's", "public", "team's"]);
  });

  test("the total counts only that", async () => {
    assert.equal((await guest.collection("notes").getList(1, 1)).totalItems, 1);
    assert.equal((await ann.collection("notes").getList(1, 1)).totalItems, 3);
  });

  test("what may not be seen is not there", async () => {
    assert.equal((await failure(guest.collection("notes").getOne(ids.anns))).status, 404);
    assert.equal((await failure(bob.collection("notes").getOne(ids.anns))).status, 404);
    assert.equal((await ann.collection("notes").getOne(ids.anns)).title, "ann's");
  });

  test("hidden fields are for superusers, in answers and in filters", async () => {
    assert.equal((await ann.collection("notes").getOne(ids.anns)).secret, undefined);
    assert.equal((await server.superuser.collection("notes").getOne(ids.anns)).secret, "s");
    assert.equal((await failure(ann.collection("notes").getList(1, 1, { filter: "secret = 's'" }))).status, 400);
  });

  test("expand follows the rules of the other collection", async () => {
    // `users` shows everybody only themselves.
    const mine = await ann.collection("notes").getOne(ids.anns, { expand: "owner" });
    assert.equal(mine.expand.owner.name, "ann");
    const shared = await bob.collection("notes").getOne(ids.team, { expand: "team.members" });
    assert.deepEqual(shared.expand.team.expand.members.map((user) => user.name), ["bob"]);
  });
});

describe("writing", () => {
  test("create needs a user who owns the note", async () => {
    assert.equal((await failure(guest.collection("notes").create({ title: "x", owner: ids.ann }))).status, 400);
    assert.equal((await failure(ann.collection("notes").create({ title: "x", owner: ids.bob }))).status, 400);
    const note = await ann.collection("notes").create({ title: "new", owner: ids.ann });
    assert.equal(note.owner, ids.ann);
    await ann.collection("notes").delete(note.id);
  });

  test("update and delete are a 404 for others", async () => {
    for (const pb of [guest, bob]) {
      assert.equal((await failure(pb.collection("notes").update(ids.anns, { title: "taken" }))).status, 404);
      assert.equal((await failure(pb.collection("notes").delete(ids.anns))).status, 404);
    }
    assert.equal((await ann.collection("notes").getOne(ids.anns)).title, "ann's");
  });

  test("the rule sees the stored record and the sent body", async () => {
    const notes = ann.collection("notes");
    const { id } = await notes.create({ title: "mine", owner: ids.ann, state: "open" });
    assert.equal((await failure(notes.update(id, { owner: ids.bob }))).status, 404);
    assert.equal((await notes.update(id, { title: "still mine", owner: ids.ann })).title, "still mine");
    await notes.update(id, { state: "closed" });
    assert.equal((await failure(notes.update(id, { title: "late" }))).status, 404);
    assert.equal(await notes.delete(id), true);
  });
});

describe("without rules", () => {
  test("a collection is for superusers alone", async () => {
    for (const pb of [guest, ann]) {
      const vault = pb.collection("vault");
      assert.equal((await failure(vault.getList())).status, 403);
      assert.equal((await failure(vault.getOne("abcdefghijklmno"))).status, 403);
      assert.equal((await failure(vault.create({ title: "x" }))).status, 403);
    }
    const vault = server.superuser.collection("vault");
    const { id } = await vault.create({ title: "x" });
    assert.equal((await failure(ann.collection("vault").update(id, { title: "y" }))).status, 403);
    assert.equal((await failure(ann.collection("vault").delete(id))).status, 403);
    assert.equal((await vault.getOne(id)).title, "x");
  });
});
