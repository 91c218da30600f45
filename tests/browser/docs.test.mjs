// The client in docs/protocols/rooms.md, as it stands there.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { eventually } from "./support/eventually.mjs";
import { usePeople } from "./support/people.mjs";
import { useServer } from "./support/server.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const server = useServer();
const people = usePeople(server);

/** The codec's address on the net, served from the installed package. */
const CODEC = "https://cdn.jsdelivr.net/npm/@msgpack/msgpack@3.1.3/";

function example() {
  const text = readFileSync(`${HERE}../../docs/protocols/rooms.md`, "utf8");
  return /```html\n([\s\S]*?)```/.exec(text)[1];
}

async function open(person, room) {
  const page = await person.page.context().newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.route(`${CODEC}**`, (route) => {
    const path = `${HERE}node_modules/@msgpack/msgpack/${route.request().url().slice(CODEC.length)}`;
    return route.fulfill({ path, contentType: "text/javascript", headers: { "Access-Control-Allow-Origin": "*" } });
  });
  await page.route("**/room.html*", (route) => route.fulfill({ contentType: "text/html", body: example() }));
  const token = await person.do("token");
  await page.goto(`${server.url}/room.html?room=${room}&token=${token}`);
  return { page, errors };
}

const frames = (page) => page.evaluate(() => [...document.querySelectorAll("video")].map((video) => video.getVideoPlaybackQuality().totalVideoFrames));

describe("the client of the documentation", () => {
  test("shows the others, and passes chat on", async () => {
    const [ann, bob, carl] = await people.persons("ann", "bob", "carl");
    const room = await ann.room();
    const pages = [];
    for (const person of [ann, bob, carl]) pages.push(await open(person, room));
    const explain = async () => ({ errors: pages.map((one) => one.errors), frames: await Promise.all(pages.map((one) => frames(one.page).catch(() => null))) });
    for (const { page } of pages) {
      await eventually(async () => (await frames(page)).filter((count) => count > 5).length === 2, "two videos", 15_000, explain);
    }
    await pages[2].page.fill("input", "Hello");
    await pages[2].page.press("input", "Enter");
    for (const { page } of pages) {
      await eventually(async () => (await page.textContent("pre")).includes("carl: Hello"), "the chat", 5000, explain);
    }
    await pages[2].page.goto("about:blank");
    await eventually(async () => (await frames(pages[0].page)).length === 1, "the video of who left to go", 5000, explain);
    assert.deepEqual(pages.map((one) => one.errors), [[], [], []]);
  });
});
