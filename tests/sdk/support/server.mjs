// A server under test: started on a fresh data directory and a free loopback port, ended with the test file.
//
// ROTUNDA_SERVER names the binary; a PocketBase binary does as well, and every test here must pass against one.

import { spawn, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { join, resolve } from "node:path";
import { after, before } from "node:test";

import { EventSource } from "eventsource";
import PocketBase from "pocketbase";

// Node has no EventSource of its own (without a flag); the SDK looks for the global one.
globalThis.EventSource = EventSource;

export const SUPERUSER = { email: "root@example.com", password: "root-1234567" };

const HERE = fileURLToPath(new URL("..", import.meta.url));
const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 10_000;

/**
 * Starts a server before the tests of the calling file and stops it after them.
 *
 * `prepare(superuser client)` makes the collections that the file needs. `options` may name another `binary`, give
 * further variables in `env`, and `layOut(folder)`, which may put files into the server's folder before it starts and
 * returns further arguments of `serve`. The returned object has `url`, `log` (what the process wrote), `client()` (a
 * fresh guest), `superuser` (a signed-in client), `restart()` (ends the process and starts it on the same data)
 * and `run(...words)` (another command on the same data).
 */
export function useServer(prepare, options = {}) {
  const server = { url: "", log: [], superuser: null, client, restart, run };
  // A plain server, unless a file is about modules.
  const env = { ...process.env, ROTUNDA_MODULES: "none", ROTUNDA_RTC_PORT: "0", ...options.env };
  let process_ = null;
  let root = "";
  let binary = "";
  let args = [];

  async function start() {
    process_ = spawn(binary, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    process_.stdout.on("data", (text) => server.log.push(String(text)));
    process_.stderr.on("data", (text) => server.log.push(String(text)));
    await healthy(server.url, process_, server.log);
  }

  async function restart() {
    const ending = process_;
    process_ = null;
    await stop(ending);
    await start();
  }

  /** Runs another command on the same data; gives what it printed. */
  function run(...words) {
    const options = args.slice(3);
    return execFileSync(binary, [...options, ...words], { cwd: root, env, stdio: "pipe" }).toString();
  }

  function client() {
    const pb = new PocketBase(server.url);
    // Equal requests in parallel are the tests' business, not a slip to be cancelled.
    pb.autoCancellation(false);
    return pb;
  }

  before(async () => {
    binary = resolve(HERE, options.binary || process.env.ROTUNDA_SERVER || "../../target/debug/server");
    // PocketBase keeps further folders beside its data directory, so that gets a parent of its own.
    root = mkdtempSync(join(tmpdir(), "rotunda-sdk-"));
    const dir = join(root, "pb_data");
    mkdirSync(dir);
    execFileSync(binary, ["superuser", "upsert", SUPERUSER.email, SUPERUSER.password, "--dir", dir], { cwd: root, stdio: "pipe" });
    const port = await freePort();
    server.url = `http://127.0.0.1:${port}`;
    args = ["serve", "--http", `127.0.0.1:${port}`, "--dir", dir, ...(options.layOut?.(root) ?? [])];
    await start();
    server.superuser = client();
    await server.superuser.collection("_superusers").authWithPassword(SUPERUSER.email, SUPERUSER.password);
    await prepare?.(server.superuser);
  });

  after(async () => {
    try {
      if (process_) await stop(process_);
    } finally {
      if (root) rmSync(root, { recursive: true, force: true });
    }
  });

  return server;
}

/** Polls until `check` gives something truthy and returns that; fails after `timeoutMs`. */
export async function eventually(check, what, timeoutMs = 10_000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((wake) => setTimeout(wake, 10));
  }
}

/** The error that the promise ends with; fails if it does not. */
export async function failure(promise) {
  const value = await promise.then(
    () => null,
    (error) => error,
  );
  if (!value) throw new Error("expected the call to fail");
  return value;
}

function freePort() {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.on("error", fail);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}

async function healthy(url, process_, log) {
  const answers = async () => {
    if (process_.exitCode !== null) throw new Error(`the server ended with ${process_.exitCode}:\n${log.join("")}`);
    return fetch(`${url}/api/health`).then(
      (answer) => answer.ok,
      () => false,
    );
  };
  await eventually(answers, "the server to answer /api/health", START_TIMEOUT_MS);
}

function stop(process_) {
  return new Promise((done, fail) => {
    if (process_.exitCode !== null || process_.signalCode !== null) {
      fail(new Error(`the server ended by itself: ${process_.exitCode ?? process_.signalCode}`));
      return;
    }
    const timer = setTimeout(() => {
      process_.kill("SIGKILL");
      fail(new Error("the server did not end after SIGTERM"));
    }, STOP_TIMEOUT_MS);
    process_.once("exit", () => {
      clearTimeout(timer);
      done();
    });
    process_.kill("SIGTERM");
  });
}
