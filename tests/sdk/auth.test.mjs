// Sign-in: passwords, tokens, refreshing, auth methods, and what an account may show and change.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { OPEN, text } from "./support/fields.mjs";
import { failure, SUPERUSER, useServer } from "./support/server.mjs";

const PASSWORD = "correct horse";

const server = useServer(async (root) => {
  await root.collections.create({
    name: "members",
    type: "auth",
    ...OPEN,
    updateRule: "id = @request.auth.id",
    fields: [text("username", { required: true }), text("city")],
    indexes: ["CREATE UNIQUE INDEX `idx_members_username` ON `members` (`username`)"],
    passwordAuth: { enabled: true, identityFields: ["email", "username"] },
    authRule: "city != 'nowhere'",
  });
  for (const username of ["ann", "bob"]) {
    await root.collection("members").create({
      username,
      email: `${username}@example.com`,
      emailVisibility: username === "bob",
      password: PASSWORD,
      passwordConfirm: PASSWORD,
      city: "Berlin",
    });
  }
});

async function signedIn(name) {
  const pb = server.client();
  await pb.collection("members").authWithPassword(name, PASSWORD);
  return pb;
}

describe("authWithPassword", () => {
  test("takes every identity field and fills the auth store", async () => {
    for (const identity of ["ann", "ann@example.com"]) {
      const pb = server.client();
      const { token, record } = await pb.collection("members").authWithPassword(identity, PASSWORD);
      assert.equal(record.username, "ann");
      assert.equal(record.email, "ann@example.com");
      assert.equal(record.password, undefined);
      assert.equal(record.tokenKey, undefined);
      assert.equal(pb.authStore.token, token);
      assert.equal(pb.authStore.isValid, true);
      assert.equal(pb.authStore.isSuperuser, false);
      assert.equal(pb.authStore.record.id, record.id);
      const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
      assert.equal(claims.type, "auth");
      assert.equal(claims.id, record.id);
      assert.equal(claims.collectionId, record.collectionId);
      assert.ok(claims.exp > Date.now() / 1000 + 3600);
    }
  });

  test("says the same for a wrong password and for an unknown account", async () => {
    const members = server.client().collection("members");
    const wrong = await failure(members.authWithPassword("ann", "wrong"));
    const unknown = await failure(members.authWithPassword("nobody", PASSWORD));
    assert.equal(wrong.status, 400);
    assert.deepEqual(wrong.response, unknown.response);
    const empty = await failure(members.authWithPassword("", ""));
    assert.equal(empty.status, 400);
    assert.equal(empty.response.data.identity.code, "validation_required");
    assert.equal(empty.response.data.password.code, "validation_required");
  });

  test("identityField restricts where to look", async () => {
    const signIn = (identityField) =>
      server.client().send("/api/collections/members/auth-with-password", {
        method: "POST",
        body: { identity: "ann", password: PASSWORD, identityField },
      });
    assert.equal((await signIn("username")).record.username, "ann");
    assert.equal((await failure(signIn("email"))).status, 400);
  });

  test("the authRule keeps accounts out", async () => {
    const root = server.superuser.collection("members");
    const data = { username: "cyd", email: "cyd@example.com", password: PASSWORD, passwordConfirm: PASSWORD };
    const { id } = await root.create({ ...data, city: "nowhere" });
    const members = server.client().collection("members");
    assert.equal((await failure(members.authWithPassword("cyd", PASSWORD))).status, 403);
    await root.update(id, { city: "Bonn" });
    assert.equal((await members.authWithPassword("cyd", PASSWORD)).record.id, id);
  });

  test("superusers sign in as records of their collection", async () => {
    const pb = server.client();
    await pb.collection("_superusers").authWithPassword(SUPERUSER.email, SUPERUSER.password);
    assert.equal(pb.authStore.isSuperuser, true);
  });
});

describe("tokens", () => {
  test("authRefresh gives a new token for a good one", async () => {
    const pb = await signedIn("ann");
    const { token, record } = await pb.collection("members").authRefresh();
    assert.equal(record.username, "ann");
    assert.equal(pb.authStore.token, token);
    assert.equal((await pb.collection("members").authRefresh()).record.id, record.id);
  });

  test("authRefresh refuses guests, broken tokens and tokens of another collection", async () => {
    assert.equal((await failure(server.client().collection("members").authRefresh())).status, 401);
    const pb = await signedIn("ann");
    assert.equal((await failure(pb.collection("users").authRefresh())).status, 403);
    pb.authStore.save(`${pb.authStore.token.slice(0, -4)}AAAA`, null);
    assert.equal((await failure(pb.collection("members").authRefresh())).status, 401);
  });

  test("a changed password ends all older tokens", async () => {
    const pb = server.client();
    const data = { username: "dan", email: "dan@example.com", password: PASSWORD, passwordConfirm: PASSWORD };
    const { id } = await pb.collection("members").create(data);
    await pb.collection("members").authWithPassword("dan", PASSWORD);
    const next = "another horse";
    const change = { oldPassword: PASSWORD, password: next, passwordConfirm: next };
    const wrong = await failure(pb.collection("members").update(id, { ...change, oldPassword: "wrong" }));
    assert.equal(wrong.response.data.oldPassword.code, "validation_invalid_old_password");
    await pb.collection("members").update(id, change);
    assert.equal((await failure(pb.collection("members").authRefresh())).status, 401);
    assert.equal((await failure(pb.collection("members").authWithPassword("dan", PASSWORD))).status, 400);
    assert.equal((await pb.collection("members").authWithPassword("dan", next)).record.id, id);
  });
});

describe("listAuthMethods", () => {
  test("tells what the collection offers", async () => {
    const methods = await server.client().collection("members").listAuthMethods();
    assert.equal(methods.password.enabled, true);
    assert.deepEqual(methods.password.identityFields, ["email", "username"]);
    assert.equal(methods.oauth2.enabled, false);
    assert.deepEqual(methods.oauth2.providers, []);
    assert.equal(methods.otp.enabled, false);
    assert.equal(methods.mfa.enabled, false);
  });

  test("is a 404 for what is not an auth collection", async () => {
    const error = await failure(server.client().collection("nothing").listAuthMethods());
    assert.equal(error.status, 404);
  });
});

describe("an account's record", () => {
  test("shows its e-mail to its owner, to all if it says so, and to superusers", async () => {
    const emails = async (pb) => {
      const list = await pb.collection("members").getFullList({ filter: "username = 'ann' || username = 'bob'", sort: "username" });
      return list.map((record) => record.email);
    };
    assert.deepEqual(await emails(server.client()), [undefined, "bob@example.com"]);
    assert.deepEqual(await emails(await signedIn("ann")), ["ann@example.com", "bob@example.com"]);
    assert.deepEqual(await emails(server.superuser), ["ann@example.com", "bob@example.com"]);
  });

  test("checks new passwords and e-mails", async () => {
    const members = server.client().collection("members");
    const errors = async (data) => {
      const error = await failure(members.create({ username: "eve", ...data }));
      assert.equal(error.status, 400);
      return Object.fromEntries(Object.entries(error.response.data).map(([name, { code }]) => [name, code]));
    };
    const email = "eve@example.com";
    assert.deepEqual(await errors({ email, password: "short", passwordConfirm: "short" }), {
      password: "validation_min_text_constraint",
    });
    assert.deepEqual(await errors({ email, password: PASSWORD, passwordConfirm: "other" }), {
      passwordConfirm: "validation_values_mismatch",
    });
    assert.deepEqual(await errors({ email: "not an address", password: PASSWORD, passwordConfirm: PASSWORD }), {
      email: "validation_is_email",
    });
    assert.deepEqual(await errors({ email: "ann@example.com", password: PASSWORD, passwordConfirm: PASSWORD }), {
      email: "validation_not_unique",
    });
  });

  test("cannot make itself verified", async () => {
    const pb = await signedIn("ann");
    const error = await failure(pb.collection("members").update(pb.authStore.record.id, { verified: true }));
    assert.equal(error.status, 400);
    assert.ok(error.response.data.verified);
  });
});
