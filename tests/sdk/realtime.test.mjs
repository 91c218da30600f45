// Realtime: subscribing to a collection, to a record and with options, and no longer hearing of anything afterwards.
//
// A PocketBase does not promise the order of events (two in quick succession can swap places), so nothing here relies on
// it. That an event does not come is shown by waiting for a later one that does.

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";

import { number, OPEN, relation, text } from "./support/fields.mjs";
import { eventually, failure, useServer } from "./support/server.mjs";

const PASSWORD = "12345678";

const server = useServer(async (root) => {
  const users = await root.collections.getOne("users");
  await root.collections.create({
    name: "events",
    type: "base",
    ...OPEN,
    fields: [text("title"), number("level"), relation("owner", users), text("hidden", { hidden: true })],
  });
  await root.collections.create({
    name: "private",
    type: "base",
    ...OPEN,
    listRule: "owner = @request.auth.id",
    viewRule: "owner = @request.auth.id",
    fields: [text("title"), relation("owner", users)],
  });
  for (const name of ["ann", "bob"]) {
    await root.collection("users").create({ email: `${name}@example.com`, password: PASSWORD, passwordConfirm: PASSWORD });
  }
});

// An open event stream would keep the test process alive.
const listening = [];
afterEach(async () => {
  for (const pb of listening.splice(0)) await pb.realtime.unsubscribe();
});

async function listener(name) {
  const pb = server.client();
  if (name) await pb.collection("users").authWithPassword(`${name}@example.com`, PASSWORD);
  listening.push(pb);
  return pb;
}

/** Subscribes and gives the list that events will be put into, as [action, title]. */
async function hear(pb, collection, topic, options) {
  const heard = [];
  await pb.collection(collection).subscribe(topic, (event) => heard.push([event.action, event.record.title]), options);
  return heard;
}

/** A copy in an order of its own, to compare what may come in any order. */
const sorted = (list) => [...list].sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));

const count = (heard, length) => eventually(() => heard.length >= length, `${length} events, not ${JSON.stringify(heard)}`);

describe("subscribe", () => {
  test("to a collection: create, update and delete arrive", async () => {
    const pb = await listener();
    const heard = await hear(pb, "events", "*");
    const events = server.client().collection("events");
    const { id } = await events.create({ title: "one" });
    await count(heard, 1);
    await events.update(id, { title: "two" });
    await count(heard, 2);
    await events.delete(id);
    await count(heard, 3);
    assert.deepEqual(heard, [["create", "one"], ["update", "two"], ["delete", "two"]]);
  });

  test("the event holds the record as the subscriber may see it", async () => {
    const pb = await listener();
    const records = [];
    await pb.collection("events").subscribe("*", (event) => records.push(event.record));
    const made = await server.superuser.collection("events").create({ title: "seen", level: 3, hidden: "no" });
    await eventually(() => records.length, "the event");
    const { hidden, ...visible } = made;
    assert.equal(hidden, "no");
    assert.deepEqual(records[0], visible);
  });

  test("to one record: others are not heard of", async () => {
    const events = server.client().collection("events");
    const mine = await events.create({ title: "mine" });
    const other = await events.create({ title: "other" });
    const pb = await listener();
    const heard = await hear(pb, "events", mine.id);
    await events.update(other.id, { title: "not for me" });
    await events.update(mine.id, { title: "for me" });
    await count(heard, 1);
    assert.deepEqual(heard, [["update", "for me"]]);
  });

  test("with a filter, and with expand and fields", async () => {
    const ann = await listener("ann");
    const owner = ann.authStore.record.id;
    const high = await hear(ann, "events", "*", { filter: "level > 5" });
    const records = [];
    await ann.collection("events").subscribe("*", (event) => records.push(event.record), {
      expand: "owner",
      fields: "title,expand.owner.id",
    });
    const events = server.client().collection("events");
    await events.create({ title: "low", level: 1, owner });
    await events.create({ title: "high", level: 9, owner });
    await count(records, 2);
    await count(high, 1);
    assert.deepEqual(high, [["create", "high"]]);
    records.sort((a, b) => a.title.localeCompare(b.title));
    const expand = { owner: { id: owner } };
    assert.deepEqual(records, [{ title: "high", expand }, { title: "low", expand }]);
  });

  test("several clients and several callbacks each get every event once", async () => {
    const clients = await Promise.all([listener(), listener(), listener()]);
    const lists = await Promise.all(clients.map((pb) => hear(pb, "events", "*")));
    const second = await hear(clients[0], "events", "*");
    const events = server.client().collection("events");
    for (let n = 0; n < 10; n++) await events.create({ title: `n${n}` });
    const expected = Array.from({ length: 10 }, (_, n) => ["create", `n${n}`]);
    for (const heard of [...lists, second]) {
      await count(heard, 10);
      assert.deepEqual(sorted(heard), expected);
    }
  });
});

describe("rules", () => {
  test("only those who may list a record hear of it", async () => {
    const [ann, bob, guest] = [await listener("ann"), await listener("bob"), await listener()];
    const heard = [];
    for (const pb of [ann, bob, guest]) {
      const list = await hear(pb, "private", "*");
      await pb.collection("events").subscribe("*", (event) => list.push([event.action, event.record.title]));
      heard.push(list);
    }
    const root = server.superuser;
    await root.collection("private").create({ title: "for ann", owner: ann.authStore.record.id });
    await root.collection("private").create({ title: "for bob", owner: bob.authStore.record.id });
    await root.collection("events").create({ title: "end" });
    const end = ["create", "end"];
    const expected = [[["create", "for ann"], end], [["create", "for bob"], end], [end]];
    for (const [index, list] of heard.entries()) {
      await count(list, expected[index].length);
      assert.deepEqual(sorted(list), sorted(expected[index]));
    }
  });
});

describe("unsubscribe", () => {
  test("from a topic: its events stop, others go on", async () => {
    const pb = await listener();
    const everything = await hear(pb, "events", "*");
    const { id } = await server.client().collection("events").create({ title: "start" });
    const one = await hear(pb, "events", id);
    await pb.collection("events").unsubscribe("*");
    const events = server.client().collection("events");
    await events.create({ title: "unheard" });
    await events.update(id, { title: "heard" });
    await count(one, 1);
    assert.deepEqual(one, [["update", "heard"]]);
    assert.equal(everything.filter(([, title]) => title === "unheard").length, 0);
  });

  test("the function that subscribe returns ends that callback alone", async () => {
    const pb = await listener();
    const kept = await hear(pb, "events", "*");
    const ended = [];
    const end = await pb.collection("events").subscribe("*", (event) => ended.push(event));
    await end();
    await server.client().collection("events").create({ title: "after" });
    await count(kept, 1);
    assert.equal(ended.length, 0);
  });

  test("from everything: the connection closes, and subscribing opens a new one", async () => {
    const pb = await listener();
    await hear(pb, "events", "*");
    const before = pb.realtime.clientId;
    assert.ok(before);
    await pb.realtime.unsubscribe();
    assert.equal(pb.realtime.isConnected, false);
    const heard = await hear(pb, "events", "*");
    assert.notEqual(pb.realtime.clientId, before);
    await server.client().collection("events").create({ title: "again" });
    await count(heard, 1);
  });
});

describe("subscriptions that are refused", () => {
  test("unknown clients", async () => {
    const send = (body) => failure(server.client().send("/api/realtime", { method: "POST", body }));
    assert.equal((await send({ clientId: "unknown", subscriptions: ["events/*"] })).status, 404);
    assert.equal((await send({ subscriptions: [] })).status, 400);
  });

  test("a client id of somebody else", async () => {
    const ann = await listener("ann");
    await hear(ann, "events", "*");
    const bob = await listener("bob");
    const body = { clientId: ann.realtime.clientId, subscriptions: ["private/*"] };
    assert.equal((await failure(bob.send("/api/realtime", { method: "POST", body }))).status, 403);
  });
});
