// A server under test: fresh data, free loopback ports, the test's page at its root; ended with the test file.

import { execFileSync, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";

import { eventually } from "./eventually.mjs";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 10_000;

/**
 * Starts a server before the tests of the calling file and stops it after them.
 *
 * ROTUNDA_SERVER names the binary. The returned object has `url`, `rtcPort` (where media go) and `log` (what the process
 * wrote, in pieces).
 */
export function useServer(options = {}) {
  const server = { url: "", rtcPort: 0, log: [] };
  let child = null;
  let root = "";

  before(async () => {
    const binary = resolve(HERE, process.env.ROTUNDA_SERVER || "../../target/debug/server");
    root = mkdtempSync(join(tmpdir(), "rotunda-browser-"));
    const dir = join(root, "pb_data");
    mkdirSync(dir);
    layOutPage(join(root, "pb_public"));
    execFileSync(binary, ["superuser", "upsert", "root@example.com", "root-1234567", "--dir", dir], { cwd: root, stdio: "pipe" });
    const port = await freeTcpPort();
    server.rtcPort = await freeUdpPort();
    server.url = `http://127.0.0.1:${port}`;
    const args = ["serve", "--http", `127.0.0.1:${port}`, "--rtc-port", String(server.rtcPort), "--dir", dir, ...(options.args ?? [])];
    const env = { ...process.env, ROTUNDA_MODULES: "rooms,social,market", ...options.env };
    child = spawn(binary, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.on("data", (text) => server.log.push(String(text)));
    child.stderr.on("data", (text) => server.log.push(String(text)));
    await eventually(() => answers(server.url, child, server.log), "the server to answer /api/health", START_TIMEOUT_MS);
  });

  after(async () => {
    try {
      if (child) await stop(child, server.log);
      if (process.env.ROTUNDA_LOG_SHOWN) console.log(server.log.join(""));
    } finally {
      if (root) rmSync(root, { recursive: true, force: true });
    }
  });

  return server;
}

/** The page and what it imports, as the server's public folder. */
function layOutPage(folder) {
  cpSync(join(HERE, "page"), folder, { recursive: true });
  cpSync(join(HERE, "node_modules/@msgpack/msgpack/dist.esm"), join(folder, "msgpack"), { recursive: true });
}

async function answers(url, child, log) {
  if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}:\n${log.join("")}`);
  return fetch(`${url}/api/health`).then(
    (answer) => answer.ok,
    () => false,
  );
}

function stop(child, log) {
  return new Promise((done, fail) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      fail(new Error(`the server ended by itself: ${child.exitCode ?? child.signalCode}\n${log.join("")}`));
      return;
    }
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      fail(new Error("the server did not end after SIGTERM"));
    }, STOP_TIMEOUT_MS);
    child.once("exit", () => {
      clearTimeout(timer);
      done();
    });
    child.kill("SIGTERM");
  });
}

function freeTcpPort() {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.on("error", fail);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}

function freeUdpPort() {
  return new Promise((done, fail) => {
    const probe = createSocket("udp4");
    probe.on("error", fail);
    probe.bind(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}
