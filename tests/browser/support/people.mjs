// People in headless Chromium: each has a browser context of their own, with the page of `page/`.

import { after, before } from "node:test";

import { chromium } from "playwright-core";

import { eventually } from "./eventually.mjs";

const CHROMIUM = process.env.CHROMIUM || "/usr/bin/chromium";
const ARGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  "--auto-accept-this-tab-capture",
  "--autoplay-policy=no-user-gesture-required",
  "--allow-loopback-in-peer-connection",
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
];

/** Well apart, also after a lossy codec. */
const COLOURS = [
  [190, 40, 40],
  [40, 150, 40],
  [40, 60, 200],
  [190, 170, 30],
  [170, 40, 170],
  [30, 160, 170],
  [200, 110, 30],
  [110, 110, 110],
];
const COLOUR_TOLERANCE = 45;

let names = 0;

/** A browser for the tests of the calling file. `person(name)` in it signs somebody up. */
export function usePeople(server) {
  const people = { browser: null, person, persons };
  let everybody = [];

  before(async () => {
    people.browser = await launch();
  });

  after(async () => {
    await people.browser?.close();
  });

  async function person(name, { browser = people.browser } = {}) {
    const context = await browser.newContext({ viewport: { width: 720, height: 620 } });
    const page = await context.newPage();
    const one = new Person(name, page, COLOURS[everybody.length % COLOURS.length]);
    everybody.push(one);
    page.on("pageerror", (error) => one.errors.push(String(error)));
    page.on("console", (message) => message.type() === "error" && one.errors.push(message.text()));
    await page.goto(`${server.url}/index.html`);
    await page.waitForFunction(() => window.stage);
    one.record = await one.do("signUp", `${name}${++names}@example.com`, "password-1234", name);
    return one;
  }

  function persons(...names) {
    return Promise.all(names.map((name) => person(name)));
  }

  /** Everybody of a test goes home, so that the next one has the processor for itself. */
  people.home = async () => {
    await Promise.all(everybody.map((one) => one.page.context().close().catch(() => {})));
    everybody = [];
  };

  return people;
}

/** A browser of its own, and its process. */
export async function launch() {
  return chromium.launch({ executablePath: CHROMIUM, args: ARGS });
}

/** A browser whose process can be killed. */
export async function launchApart() {
  const server = await chromium.launchServer({ executablePath: CHROMIUM, args: ARGS });
  const browser = await chromium.connect(server.wsEndpoint());
  return { browser, kill: () => process.kill(server.process().pid, "SIGKILL") };
}

class Person {
  constructor(name, page, colour) {
    Object.assign(this, { name, page, colour, errors: [] });
  }

  /** Calls a function of the page's `stage`. */
  do(action, ...values) {
    return this.page.evaluate(([action, values]) => window.stage[action](...values), [action, values]);
  }

  /** A call of a route; fails unless it is answered with 2xx. */
  async call(method, path, body) {
    const answer = await this.do("call", method, path, body);
    if (answer.error) throw new Error(`${this.name}: ${method} ${path}: ${answer.error} ${JSON.stringify(answer.body)}`);
    return answer.ok;
  }

  /** The status with which a call is refused, and its body. */
  async refusal(method, path, body) {
    const answer = await this.do("call", method, path, body);
    if (!answer.error) throw new Error(`${this.name}: ${method} ${path} was not refused: ${JSON.stringify(answer.ok)}`);
    return answer;
  }

  async room(more = {}) {
    const { room_id } = await this.call("POST", "/api/rooms", { room_type: "video", name: `${this.name}'s room`, is_public: true, ...more });
    return room_id;
  }

  /** A small picture in the person's colour, and silence: the cheapest that can be told apart. */
  picture(more = {}) {
    return { colour: this.colour, text: this.name, width: 160, height: 120, fps: 8, ...more };
  }

  /** Joins, and waits for the `events` channel. */
  async join(roomId, options = {}) {
    const wanted = { tracks: { mic: "silence", camera: this.picture() }, ...options };
    this.isColoured = wanted.tracks.camera !== "device";
    const joined = await this.do("join", roomId, wanted);
    if (joined.error) throw new Error(`${this.name} cannot join: ${joined.error} ${JSON.stringify(joined.body)}`);
    this.id = joined.ok.participant_id;
    await eventually(async () => (await this.do("connection")).channel === "open", `${this.name}'s channel`, 15_000, () => this.do("connection"));
    return joined.ok;
  }

  /** Waits until everybody of `others` is seen: frames decoded, and the picture changing in that person's colour. */
  async sees(others, timeoutMs = 15_000) {
    const before = new Map((await this.do("videos")).map((video) => [video.trackId, video]));
    await eventually(
      async () => {
        const videos = await this.do("videos");
        return others.every((other) => videos.some((video) => isPictureOf(other, video, before.get(video.trackId))));
      },
      `${this.name} to see ${others.map((one) => one.name).join(", ")}`,
      timeoutMs,
      async () => ({ videos: await this.do("videos"), connection: await this.do("connection"), errors: this.errors }),
    );
  }

  /** Waits for a message on `events`; gives it. */
  async message(type, fits = () => true, timeoutMs = 10_000) {
    return eventually(
      async () => (await this.do("messages")).find((one) => one.type === type && fits(one.data, one)),
      `${type} at ${this.name}`,
      timeoutMs,
      async () => (await this.do("messages")).filter((one) => one.type !== "offer"),
    );
  }

  async messages(type) {
    return (await this.do("messages")).filter((one) => one.type === type);
  }
}

function isPictureOf(person, video, before) {
  if (video.participantId !== person.id || !video.colour) return false;
  const isMoving = video.frames > (before?.frames ?? 0) + 2 && video.hash !== (before?.hash ?? 0);
  return isMoving && (!person.isColoured || isColour(video.colour, person.colour));
}

export function isColour(seen, wanted) {
  return seen.every((part, at) => Math.abs(part - wanted[at]) < COLOUR_TOLERANCE);
}
