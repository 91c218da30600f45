// An area of the script interpreter under test: a fresh server with some of the hook files, and rows of requests with
// what they must answer. The rows run against every server named by ROTUNDA_SERVER and POCKETBASE.

import assert from "node:assert/strict";
import { copyFileSync, cpSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { eventually, useServer } from "../../sdk/support/server.mjs";
import { COLLECTIONS } from "./collections.mjs";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const PASSWORD = "12345678";

/**
 * What Rotunda refuses to scripts by default and the tests need, and no collections of its own; a PocketBase does not know
 * these.
 */
const ALLOWED = {
  ROTUNDA_MODULES: "none",
  ROTUNDA_HTTP_ALLOW_PRIVATE: "*",
  ROTUNDA_HOOKS_ALLOW_OS: "true",
  JSVM_GREETING: "hello from outside",
};

export const HOOK_FILES = readdirSync(join(HERE, "hooks")).filter((name) => /^\d.*\.pb\.(js|ts)$/.test(name));

/** The servers that the tests run against, as [name, binary]. */
export function servers() {
  const found = [];
  if (process.env.ROTUNDA_SERVER || !process.env.POCKETBASE) found.push(["rotunda", process.env.ROTUNDA_SERVER]);
  if (process.env.POCKETBASE) found.push(["pocketbase", process.env.POCKETBASE]);
  return found;
}

/**
 * Describes one area for each server. `options`: `hooks` (beginnings of file names in `hooks/`), `migrations` (whether
 * `migrations/` runs), `bare` (no collections and users of ours), `prepare(call)` (after those exist). `define(call,
 * server)` declares the tests.
 */
export function area(title, options, define) {
  for (const [name, binary] of servers()) {
    describe(`${title} (${name})`, () => {
      const tokens = {};
      const server = useServer(
        async (root) => {
          tokens.root = root.authStore.token;
          if (!options.bare) await prepareCollections(root, tokens, call);
          await options.prepare?.(call, server);
        },
        { binary, env: { ...ALLOWED, ...options.env }, layOut: (folder) => layOut(folder, options) },
      );
      const call = (method, path, body, more = {}) => request(server, tokens, method, path, body, more);
      call.tokens = tokens;
      define(call, server);
    });
  }
}

/** One test per row: `[name, method, path, body or undefined, status, expected body, {as, headers, more}]`. */
export function rows(call, table) {
  for (const [name, method, path, body, status, expected, more = {}] of table) {
    test(name, async () => {
      const answer = await call(method, path, body, more);
      assert.equal(answer.status, status, `status; the body was ${answer.text}`);
      if (expected !== undefined) matches(answer.json ?? answer.text, expected);
      for (const [header, value] of Object.entries(more.expectHeaders ?? {})) {
        matches(answer.headers.get(header), value, `header ${header}`);
      }
    });
  }
}

/**
 * Compares by the expectation's shape: objects may have further members, arrays may not; a RegExp is matched, a function
 * is called and must give true, `undefined` demands that a member is absent.
 */
export function matches(actual, expected, path = "body") {
  if (expected instanceof RegExp) return assert.match(String(actual), expected, path);
  if (typeof expected === "function") return assert.ok(expected(actual), `${path}: ${JSON.stringify(actual)} fails ${expected}`);
  if (Array.isArray(expected)) {
    assert.ok(Array.isArray(actual), `${path}: no array but ${JSON.stringify(actual)}`);
    assert.equal(actual.length, expected.length, `${path}: length of ${JSON.stringify(actual)}`);
    return expected.forEach((item, index) => matches(actual[index], item, `${path}[${index}]`));
  }
  if (expected !== null && typeof expected === "object") {
    assert.ok(actual !== null && typeof actual === "object", `${path}: no object but ${JSON.stringify(actual)}`);
    for (const [key, item] of Object.entries(expected)) matches(actual[key], item, `${path}.${key}`);
    return undefined;
  }
  return assert.deepEqual(actual, expected, path);
}

/** What hooks have marked under a name (see `mark` in hooks/utils.js), oldest first. */
export async function marks(call, name) {
  const filter = encodeURIComponent(`name = "${name}"`);
  const answer = await call("GET", `/api/collections/marks/records?sort=seq&perPage=500&filter=${filter}`);
  return answer.json.items.map((item) => item.data);
}

/** Waits until the marks under a name are as expected. */
export async function marked(call, name, expected) {
  await eventually(async () => (await marks(call, name)).length >= expected.length, `marks of ${name}`, 3_000);
  matches(await marks(call, name), expected);
}

/** Makes a record and returns it; fails unless the server answers 200. */
export async function made(call, collection, data, more) {
  const answer = await call("POST", `/api/collections/${collection}/records`, data, more);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}

async function request(server, tokens, method, path, body, { as, headers = {}, ...more }) {
  const sent = { ...headers };
  if (as) sent.authorization ??= tokens[as];
  let payload = body;
  if (body !== undefined && !(body instanceof FormData || typeof body === "string" || body instanceof Uint8Array)) {
    payload = JSON.stringify(body);
    sent["content-type"] ??= "application/json";
  }
  const answer = await fetch(server.url + path, { method, headers: sent, body: payload, redirect: "manual", ...more.init });
  const bytes = Buffer.from(await answer.arrayBuffer());
  const text = bytes.toString();
  let json = null;
  try {
    json = JSON.parse(text);
  } catch {
    // not JSON: the test looks at the text
  }
  return { status: answer.status, headers: answer.headers, text, json, bytes };
}

async function prepareCollections(root, tokens, call) {
  await root.collections.import(COLLECTIONS);
  for (const name of ["ann", "bob"]) {
    const email = `${name}@example.com`;
    const user = await root.collection("users").create({ email, name, password: PASSWORD, passwordConfirm: PASSWORD, verified: true });
    const answer = await call("POST", "/api/collections/users/auth-with-password", { identity: email, password: PASSWORD });
    tokens[name] = answer.json?.token;
    tokens[`${name}Id`] = user.id;
  }
}

function layOut(folder, options) {
  const hooks = join(folder, "hooks");
  const migrations = join(folder, "migrations");
  mkdirSync(hooks);
  mkdirSync(migrations);
  for (const name of HOOK_FILES) {
    if (options.hooks?.some((start) => name.startsWith(start))) copyFileSync(join(HERE, "hooks", name), join(hooks, name));
  }
  copyFileSync(join(HERE, "hooks/utils.js"), join(hooks, "utils.js"));
  cpSync(join(HERE, "hooks/views"), join(hooks, "views"), { recursive: true });
  if (options.migrations) cpSync(join(HERE, "migrations"), migrations, { recursive: true });
  return ["--hooksDir", hooks, "--migrationsDir", migrations, "--hooksWatch=false"];
}
