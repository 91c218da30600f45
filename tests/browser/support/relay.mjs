// Relays on loopback: for UDP one that loses packets or limits the rate, for TCP one that can be cut. They change nothing else.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { after } from "node:test";

/** How long a packet may wait for its turn under a limited rate before it is dropped, as routers do. */
const QUEUE_MAX_MS = 300;
const RECEIVE_BUFFER_BYTES = 4 << 20;

/**
 * Starts a relay to `target` (a port on 127.0.0.1), closed after the tests of the calling file.
 *
 * `lossUp` and `lossDown` are shares of 1, by a seeded sequence; `bitsUp` and `bitsDown` are bits per second, 0 for no
 * limit. All may be changed while it runs. The returned object counts `{packets, bytes, dropped}` in `up` and `down`.
 */
export async function relay(target, limits = {}) {
  const entry = createSocket({ type: "udp4", recvBufferSize: RECEIVE_BUFFER_BYTES });
  const exits = new Map();
  const random = sequence(limits.seed ?? 1);
  const state = {
    port: 0,
    limits: { lossUp: 0, lossDown: 0, bitsUp: 0, bitsDown: 0, ...limits },
    up: counters(),
    down: counters(),
    close,
  };

  function pass(direction, packet, send) {
    const counted = state[direction];
    const [loss, bits] = direction === "up" ? [state.limits.lossUp, state.limits.bitsUp] : [state.limits.lossDown, state.limits.bitsDown];
    counted.packets += 1;
    counted.bytes += packet.length;
    if (loss && random() < loss) {
      counted.dropped += 1;
      return;
    }
    if (!bits) {
      send(packet);
      return;
    }
    const now = performance.now();
    const begin = Math.max(now, counted.freeAt);
    if (begin - now > QUEUE_MAX_MS) {
      counted.dropped += 1;
      return;
    }
    counted.freeAt = begin + (packet.length * 8 * 1000) / bits;
    setTimeout(() => !state.isClosed && send(packet), counted.freeAt - now);
  }

  entry.on("message", (packet, from) => {
    const key = `${from.address}:${from.port}`;
    let exit = exits.get(key);
    if (!exit) {
      exit = createSocket({ type: "udp4", recvBufferSize: RECEIVE_BUFFER_BYTES });
      exit.on("message", (answer) => pass("down", answer, (bytes) => entry.send(bytes, from.port, from.address)));
      exit.on("error", () => {});
      exits.set(key, exit);
    }
    pass("up", packet, (bytes) => exit.send(bytes, target, "127.0.0.1"));
  });
  entry.bind(0, "127.0.0.1");
  await once(entry, "listening");
  state.port = entry.address().port;

  function close() {
    if (state.isClosed) return;
    state.isClosed = true;
    entry.close();
    for (const exit of exits.values()) exit.close();
  }
  after(close);
  return state;
}

/** Starts a relay of connections to `target`; `cut()` breaks those that are open. */
export async function tcpRelay(target) {
  const open = new Set();
  const entry = createServer((from) => {
    const to = connect(target, "127.0.0.1");
    for (const [one, other] of [[from, to], [to, from]]) {
      open.add(one);
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
    }
  });
  entry.listen(0, "127.0.0.1");
  await once(entry, "listening");
  const cut = () => open.forEach((one) => one.destroy());
  after(() => {
    entry.close();
    cut();
  });
  return { port: entry.address().port, cut };
}

function counters() {
  return { packets: 0, bytes: 0, dropped: 0, freeAt: 0 };
}

/** Numbers from 0 to 1, the same in each run (mulberry32). */
function sequence(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
