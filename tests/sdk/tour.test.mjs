// The tour of the social modules, as an app with the JavaScript SDK makes it: sell an article in a post, buy and pay it,
// follow by approval, follow for money until it expires.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { failure, useServer } from "./support/server.mjs";

const PASSWORD = "12345678";

/** The people of the story, each with a client: ann sells and is followed, bob buys and follows, carl looks on. */
const people = {};

const server = useServer(
  async (root) => {
    for (const name of ["ann", "bob", "carl"]) {
      const email = `${name}@example.com`;
      await root.collection("users").create({ name, email, password: PASSWORD, passwordConfirm: PASSWORD });
      const pb = server.client();
      await pb.collection("users").authWithPassword(email, PASSWORD);
      people[name] = Object.assign(pb, { id: pb.authStore.record.id });
    }
  },
  { env: { ROTUNDA_MODULES: "social,market,follows" } },
);

const get = (pb, path, query) => pb.send(path, { query });
const post = (pb, path, body, headers) => pb.send(path, { method: "POST", body, headers });
const wallet = (pb) => get(pb, "/api/user/wallet");
const kinds = async (pb) => (await get(pb, "/api/user/notifications")).notifications.map((one) => one.type);

describe("the tour", () => {
  let article, note, sale, follow;

  test("ann sells three lamps, and shows them in a post", async () => {
    const { ann } = people;
    article = await ann.collection("articles").create({ title: "A lamp", prix: 19.99, quantite: 3 });
    assert.equal(article.user, ann.id);
    const made = await post(ann, "/api/posts", {
      type: "html",
      content: "My lamps",
      is_public: true,
      categories: "tech,other",
      article: article.id,
      action: "buy",
      action_text: "Buy one",
    });
    assert.equal(made.success, true);
    note = made.post;
    assert.deepEqual(note.categories, ["tech", "other"]);
  });

  test("bob finds the post in his feed, with its author and the article, and reacts", async () => {
    const { bob } = people;
    const feed = await bob.collection("posts").getList(1, 20, { expand: "user,article", sort: "-created" });
    assert.equal(feed.items[0].expand.user.name, "ann");
    assert.equal(feed.items[0].expand.article.title, "A lamp");
    await post(bob, `/api/posts/${note.id}/like?reaction=fire`);
    await post(bob, `/api/posts/${note.id}/comment`, { content: "Do they come in green?" });
    const stats = await get(bob, `/api/posts/${note.id}/stats`);
    assert.deepEqual([stats.likesCount, stats.commentsCount, stats.reactions.fire], [1, 1, 1]);
    assert.deepEqual((await kinds(people.ann)).sort(), ["post_commented", "post_liked"]);
  });

  test("bob buys two; they are his when he has paid", async () => {
    const { ann, bob } = people;
    const key = { "Idempotency-Key": "one click" };
    const bought = await post(bob, `/api/articles/${article.id}/buy`, { from_post: note.id, quantity: 2 }, key);
    assert.deepEqual([bought.success, bought.amount], [true, 39.98]);
    // A second click is the first one again.
    const again = await post(bob, `/api/articles/${article.id}/buy`, { from_post: note.id, quantity: 2 }, key);
    assert.equal(again.vente_id, bought.vente_id);
    assert.equal((await bob.collection("articles").getOne(article.id)).quantite, 1);
    sale = bought.vente_id;

    const short = await failure(post(bob, `/api/ventes/${sale}/pay`));
    assert.equal(short.status, 402);
    await server.superuser
      .collection("operations")
      .create({ user: bob.id, operation: "cashin", montant: 100, status: "paye", desc: "Welcome" });
    assert.deepEqual(await wallet(bob), { balance: 100, pending: -39.98 });
    await post(bob, `/api/ventes/${sale}/pay`);
    assert.deepEqual(await wallet(bob), { balance: 60.02, pending: 0 });
    assert.deepEqual(await wallet(ann), { balance: 39.98, pending: 0 });
    const [purchase] = (await get(bob, "/api/user/purchases")).purchases;
    assert.deepEqual([purchase.status, purchase.expand.article.title], ["paye", "A lamp"]);
    assert.equal((await get(ann, "/api/user/sales")).totalItems, 1);
    assert.equal((await failure(post(bob, `/api/ventes/${sale}/cancel`))).status, 409);
  });

  test("carl takes no part in the sale", async () => {
    const { carl } = people;
    assert.equal((await failure(post(carl, `/api/ventes/${sale}/pay`))).status, 404);
    assert.equal((await failure(carl.collection("ventesArticle").getOne(sale))).status, 404);
    assert.deepEqual(await wallet(carl), { balance: 0, pending: 0 });
  });

  test("bob follows ann once she has approved", async () => {
    const { ann, bob, carl } = people;
    await ann.send("/api/user/follow-settings", { method: "PUT", body: { follow_type: "require_approval" } });
    const asked = await post(bob, `/api/users/${ann.id}/follow`);
    assert.equal(asked.status, "pending");
    follow = asked.follow_id;
    assert.equal((await get(carl, `/api/users/${ann.id}/followers`)).totalItems, 0);
    assert.equal((await failure(post(carl, `/api/follows/${follow}/approve`))).status, 404);
    await post(ann, `/api/follows/${follow}/approve`);
    const { followers } = await get(carl, `/api/users/${ann.id}/followers`);
    assert.deepEqual([followers.length, followers[0].follower], [1, bob.id]);
    assert.ok((await kinds(ann)).includes("follow_request"));
    assert.ok((await kinds(bob)).includes("follow_approved"));
  });

  test("ann follows bob for a month, and then no longer", async () => {
    const { ann, bob } = people;
    const terms = { follow_type: "paid_period", price: 9.98, period_days: 30 };
    await bob.send("/api/user/follow-settings", { method: "PUT", body: terms });
    const paid = await post(ann, `/api/users/${bob.id}/follow`);
    assert.equal(paid.status, "active");
    assert.equal((await wallet(ann)).balance, 30);
    assert.equal((await wallet(bob)).balance, 70);
    const row = await ann.collection("follows").getOne(paid.follow_id);
    assert.equal(row.paidAmount, 9.98);
    const days = (new Date(row.expiresAt) - Date.now()) / 86_400_000;
    assert.ok(Math.abs(days - 30) < 0.1, row.expiresAt);

    const past = "2020-01-01 00:00:00.000Z";
    await server.superuser.collection("follows").update(paid.follow_id, { expiresAt: past });
    assert.equal((await get(ann, `/api/users/${bob.id}/followers`)).totalItems, 0);
    // To be asked for anew, and paid again.
    const renewed = await post(ann, `/api/users/${bob.id}/follow`);
    assert.deepEqual([renewed.follow_id, renewed.status], [paid.follow_id, "active"]);
    assert.equal((await wallet(ann)).balance, 20.02);
  });

  test("a private post stays ann's own", async () => {
    const { ann, bob } = people;
    const secret = (await post(ann, "/api/posts", { type: "html", content: "secret", is_public: false })).post_id;
    assert.equal((await failure(bob.collection("posts").getOne(secret))).status, 404);
    assert.equal((await failure(post(bob, `/api/posts/${secret}/like`))).status, 404);
    assert.equal((await get(bob, "/api/posts/trending")).posts.length, 1);
    assert.equal((await get(ann, "/api/posts")).totalItems, 2);
  });
});
