// Who is in a video room sees everybody else in it: in a browser, decoded, in motion, and as the right person.

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";

import { eventually } from "./support/eventually.mjs";
import { launchApart, usePeople } from "./support/people.mjs";
import { useServer } from "./support/server.mjs";

const server = useServer();
const people = usePeople(server);

afterEach(() => people.home());

/** Everybody of `all` sees everybody else. */
const allSee = (all, timeoutMs) => Promise.all(all.map((one) => one.sees(all.filter((other) => other !== one), timeoutMs)));

/** Nobody of `all` has a picture of a participant. */
const nobodyHas = (all, id) => async () => {
  const lists = await Promise.all(all.map((one) => one.do("videos")));
  return lists.every((videos) => videos.every((video) => video.participantId !== id));
};

describe("a video room", () => {
  test("two people see and hear each other by camera and microphone", async () => {
    const [ann, bob] = await people.persons("ann", "bob");
    const room = await ann.room();
    const tracks = { mic: "device", camera: "device" };
    await ann.join(room, { tracks });
    const joined = await bob.join(room, { tracks });
    assert.deepEqual(joined.participants.map((one) => one.name).filter((name) => name !== "bob"), ["ann"]);
    await allSee([ann, bob]);
    // The fake microphone beeps, so energy comes in.
    for (const one of [ann, bob]) {
      await eventually(async () => (await one.do("sounds")).some((sound) => sound.energy > 0), `${one.name} to hear a beep`);
    }
    const told = await ann.message("participant_joined");
    assert.deepEqual(told.data, { participant_id: bob.id, user_id: bob.record.id, name: "bob" });
  });

  test("four people see each other, each as the right person", async () => {
    const all = await people.persons("ann", "bob", "carl", "dora");
    const room = await all[0].room();
    for (const one of all) await one.join(room, { tracks: { mic: "silence", camera: one.picture({ width: 320, height: 240 }) } });
    await allSee(all);
    if (process.env.SCREENSHOT) await all[0].page.screenshot({ path: process.env.SCREENSHOT });
  });

  test("eight people who come at once see each other", async () => {
    const all = await people.persons("ann", "bob", "carl", "dora", "emil", "fay", "gus", "hana");
    const room = await all[0].room();
    // 56 videos on one machine: small, slow and not shown, which is nothing to the server.
    const options = (one) => ({ isHidden: true, tracks: { camera: one.picture({ fps: 4 }) } });
    await Promise.all(all.map((one) => one.join(room, options(one))));
    await allSee(all, 40_000);
    const { participants, count } = await all[0].call("GET", `/api/rooms/${room}/participants`);
    assert.equal(count, 8);
    assert.deepEqual(participants.map((one) => one.participant_id).sort(), all.map((one) => one.id).sort());
  });

  test("who comes late sees those who are there within two seconds", async () => {
    const [ann, bob, carl] = await people.persons("ann", "bob", "carl");
    const room = await ann.room();
    await ann.join(room);
    await bob.join(room);
    await allSee([ann, bob]);
    const began = Date.now();
    await carl.join(room);
    await carl.sees([ann, bob], 2000 - (Date.now() - began));
    await allSee([ann, bob, carl]);
  });

  test("who leaves is gone at once for the others", async () => {
    const [ann, bob] = await people.persons("ann", "bob");
    const room = await ann.room();
    await ann.join(room);
    await bob.join(room);
    await allSee([ann, bob]);
    await bob.do("leave");
    const told = await ann.message("participant_left", undefined, 2000);
    assert.deepEqual([told.data.participant_id, told.data.user_id], [bob.id, bob.record.id]);
    await eventually(nobodyHas([ann], bob.id), "bob's video to end");
    assert.equal((await ann.call("GET", `/api/rooms/${room}/participants`)).count, 1);
  });

  test("who closes the page is gone within two seconds", async () => {
    const [ann, bob] = await people.persons("ann", "bob");
    const room = await ann.room();
    await ann.join(room);
    await bob.join(room);
    await allSee([ann, bob]);
    await bob.page.goto("about:blank");
    await ann.message("participant_left", (data) => data.participant_id === bob.id, 2000);
  });

  test("whose browser is killed is gone within ten seconds", async () => {
    const apart = await launchApart();
    const [ann, bob] = [await people.person("ann"), await people.person("bob", apart)];
    const room = await ann.room();
    await ann.join(room);
    await bob.join(room);
    await allSee([ann, bob]);
    apart.kill();
    await ann.message("participant_left", (data) => data.participant_id === bob.id, 10_000);
    assert.equal((await ann.call("GET", `/api/rooms/${room}/participants`)).count, 1);
    // And can come back.
    const again = await people.person("carl");
    await again.join(room);
    await allSee([ann, again]);
  });
});
