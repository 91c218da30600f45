// The data channels of a room, and what cuts a live connection.

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";

import { eventually } from "./support/eventually.mjs";
import { usePeople } from "./support/people.mjs";
import { useServer } from "./support/server.mjs";

const server = useServer();
const people = usePeople(server);

afterEach(() => people.home());

const MESSAGE_BYTES_MAX = 256 * 1024;

/** People in a data room: no media, the same channel. */
async function inDataRoom(...names) {
  const all = await people.persons(...names);
  const room = await all[0].room({ room_type: "data" });
  for (const one of all) await one.join(room, { tracks: {} });
  return [room, ...all];
}

const isCut = (person) => async () => {
  const { state, channel } = await person.do("connection");
  return channel === "closed" || ["closed", "disconnected", "failed"].includes(state);
};

describe("the events channel", () => {
  test("chat goes to all in the encoding that each speaks, and is kept", async () => {
    const [room, ann, bob, carl] = await inDataRoom("ann", "bob", "carl");
    await bob.do("speak", "json");
    await ann.do("send", "chat", { message: "Grüße 👋" });
    const heard = await Promise.all([ann, bob, carl].map((one) => one.message("chat")));
    const { id, ...data } = heard[0].data;
    assert.deepEqual(data, { from: ann.record.id, participant_id: ann.id, name: "ann", message: "Grüße 👋" });
    assert.ok(id);
    for (const one of heard) {
      assert.deepEqual(one.data, heard[0].data);
      assert.equal(one.room_id, room);
      assert.ok(Math.abs(one.timestamp - Date.now() / 1000) < 60, String(one.timestamp));
      assert.equal(one.encoding, "msgpack", "nobody has sent text yet");
    }
    await bob.do("send", "chat", { message: "in text" });
    const answers = await Promise.all([ann, bob, carl].map((one) => one.message("chat", (data) => data.message === "in text")));
    assert.deepEqual(answers.map((one) => one.encoding), ["msgpack", "json", "msgpack"]);
    await bob.do("speak", "msgpack");
    await bob.do("send", "chat", { message: "binary again" });
    assert.equal((await bob.message("chat", (data) => data.message === "binary again")).encoding, "msgpack");

    const late = await people.person("dora");
    await late.join(room, { tracks: {} });
    const { messages, has_more } = await late.call("GET", `/api/rooms/${room}/messages?limit=2`);
    assert.deepEqual(messages.map((one) => one.text).sort(), ["binary again", "in text"]);
    assert.equal(has_more, true);
    const before = await late.call("GET", `/api/rooms/${room}/messages?limit=2&before=${messages.at(-1).id}`);
    const all = [...messages, ...before.messages].map((one) => one.text);
    assert.ok(all.includes("Grüße 👋"), JSON.stringify({ messages, before }));
  });

  test("custom messages and reactions are stamped by the server, and reach whom they name", async () => {
    const [, ann, bob, carl] = await inDataRoom("ann", "bob", "carl");
    await ann.do("send", "custom", { from: "somebody else", participant_id: "nobody", n: 1, to: bob.id });
    await ann.do("send", "custom", { n: 2 });
    const private_ = await bob.message("custom", (data) => data.n === 1);
    assert.deepEqual([private_.data.from, private_.data.participant_id], [ann.record.id, ann.id]);
    await carl.message("custom", (data) => data.n === 2);
    assert.ok(!(await carl.messages("custom")).some((one) => one.data.n === 1), "carl was sent what was for bob");
    await carl.do("send", "reaction", { type: "fire" });
    const reaction = await ann.message("reaction");
    assert.deepEqual([reaction.data.from, reaction.data.type], [carl.record.id, "fire"]);
  });

  test("the fast channel relays custom messages", async () => {
    const [, ann, bob] = await inDataRoom("ann", "bob");
    await eventually(async () => {
      await ann.do("sendFast", "custom", { x: 1, y: 2 });
      return (await bob.messages("custom")).length;
    }, "a fast message");
    const [message] = await bob.messages("custom");
    assert.deepEqual([message.label, message.data.x, message.data.from], ["fast", 1, ann.record.id]);
  });

  test("malformed messages are answered with an error, and do not end the channel", async () => {
    const [, ann] = await inDataRoom("ann");
    for (const text of ["{", "[]", "12", '{"type":7}', '{"type":"no such type","data":{}}']) await ann.do("sendRaw", text);
    await eventually(async () => (await ann.messages("error")).length >= 4, "errors", 10_000, () => ann.do("messages"));
    for (const { data } of await ann.messages("error")) assert.ok(data.code && data.message, JSON.stringify(data));
    await ann.do("send", "chat", { message: "still here" });
    await ann.message("chat", (data) => data.message === "still here");
  });

  test("a message of 250,000 bytes passes; more than 256 KiB the browser does not send", async () => {
    const [, ann, bob] = await inDataRoom("ann", "bob");
    const text = "x".repeat(250_000);
    await ann.do("send", "custom", { text });
    assert.equal((await bob.message("custom")).data.text.length, text.length);
    assert.match(await ann.do("offer"), new RegExp(`^a=max-message-size:${MESSAGE_BYTES_MAX}\\r?$`, "m"));
    await assert.rejects(ann.do("sendRaw", "x".repeat(MESSAGE_BYTES_MAX + 1)));
  });

  test("who sends too much is told so", async () => {
    const [, ann] = await inDataRoom("ann");
    for (let i = 0; i < 120; i++) await ann.do("send", "custom", { i });
    await ann.message("error", (data) => data.code === "rate_limited");
    await eventually(async () => {
      await ann.do("send", "custom", { later: true });
      return (await ann.messages("custom")).some((one) => one.data.later);
    }, "to be heard again");
  });
});

describe("other ways to be a client", () => {
  test("who opens the events channel and adds tracks before the offer is applied takes part like others", async () => {
    const [ann, bob] = await people.persons("ann", "bob");
    const room = await ann.room();
    await ann.join(room);
    await bob.join(room, { ownChannel: true, tracksFirst: true, trickle: false, encoding: "json" });
    await Promise.all([ann.sees([bob]), bob.sees([ann])]);
    for (let n = 0; n < 10; n++) await ann.do("send", "custom", { n });
    await bob.message("custom", (data) => data.n === 9);
    const numbers = (await bob.messages("custom")).map((one) => one.data.n);
    assert.deepEqual(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "each message once, in order");
    await bob.do("send", "chat", { message: "hello" });
    assert.equal((await bob.message("chat")).encoding, "json");
    // Offers of the server reach it on its own channel, and its own offers are answered.
    const carl = await people.person("carl");
    await carl.join(room);
    await Promise.all([bob.sees([ann, carl]), carl.sees([ann, bob])]);
    await bob.do("publish", "screen", { colour: [120, 20, 90], width: 160, height: 120 });
    const { data } = await ann.message("track_published", (data) => data.source === "screen");
    assert.equal(data.participant_id, bob.id);
    assert.ok((await bob.do("connection")).ownOffers > 0);
  });

  test("offers of both sides at once end well", async () => {
    const all = await people.persons("ann", "bob", "carl");
    const [ann, bob, carl] = all;
    const room = await ann.room();
    // Their unused sections are inactive, so each camera and screen costs an offer of theirs, while the server offers theirs to the others.
    for (const one of all) await one.join(room, { tracksFirst: true, tracks: {} });
    await Promise.all(all.map((one) => one.do("publish", "camera", one.picture())));
    await Promise.all([ann.sees([bob, carl]), bob.sees([ann, carl]), carl.sees([ann, bob])]);
    await Promise.all(all.map((one) => one.do("publish", "screen", one.picture())));
    const videos = async () => Promise.all(all.map(async (one) => (await one.do("videos")).filter((video) => video.frames > 0).length));
    await eventually(async () => (await videos()).every((count) => count === 4), "two videos of both others at each", 15_000, async () => ({
      videos: await videos(),
      connections: await Promise.all(all.map((one) => one.do("connection"))),
    }));
  });

  test("who answers no later offer keeps what it has, and blocks nobody", async () => {
    const [ann, bob, carl] = await people.persons("ann", "bob", "carl");
    const room = await ann.room();
    await ann.join(room);
    await ann.message("track_published", (data) => data.kind === "video");
    await bob.join(room, { deaf: true });
    await carl.join(room);
    await Promise.all([ann.sees([bob, carl]), carl.sees([ann, bob]), bob.sees([ann])]);
    assert.equal((await bob.do("connection")).offersAnswered, 0);
    await carl.do("leave");
    await ann.message("participant_left", (data) => data.participant_id === carl.id);
    await bob.sees([ann]);
  });
});

describe("cutting", () => {
  test("who is kicked is out at once, and may come back", async () => {
    const [ann, bob] = await people.persons("ann", "bob");
    const room = await ann.room();
    await ann.join(room);
    await bob.join(room);
    await ann.sees([bob]);
    assert.equal((await bob.refusal("POST", `/api/rooms/${room}/participants/${ann.id}/kick`)).error, 403);
    await ann.call("POST", `/api/rooms/${room}/participants/${bob.id}/kick`);
    await eventually(isCut(bob), "bob's connection to end", 2000, () => bob.do("connection"));
    await ann.message("participant_left", (data) => data.participant_id === bob.id, 2000);
    const again = await people.person("carl");
    await again.join(room);
    await again.sees([ann]);
  });

  test("who is banned is out at once, and stays out", async () => {
    const [ann, bob] = await people.persons("ann", "bob");
    const room = await ann.room();
    await ann.join(room);
    await bob.join(room);
    await ann.sees([bob]);
    const { members } = await ann.call("GET", `/api/rooms/${room}/members?status=active`);
    const member = members.find((one) => one.user === bob.record.id);
    await ann.call("POST", `/api/room-members/${member.id}/ban`);
    await eventually(isCut(bob), "bob's connection to end", 2000, () => bob.do("connection"));
    await ann.message("participant_left", (data) => data.participant_id === bob.id, 2000);
    assert.equal((await bob.refusal("POST", `/api/rooms/${room}/join`, {})).error, 403);
  });

  test("when the owner deletes the room, all are told and out", async () => {
    const [room, ann, bob] = await inDataRoom("ann", "bob");
    await ann.call("DELETE", `/api/rooms/${room}`);
    await bob.message("room_closed", undefined, 2000);
    await eventually(isCut(bob), "bob's connection to end", 2000, () => bob.do("connection"));
  });
});
