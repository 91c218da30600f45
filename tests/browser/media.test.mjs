// What is done with media in a room: screens, muting, speakers, layers, slow and lossy networks.

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";

import { eventually } from "./support/eventually.mjs";
import { isColour, usePeople } from "./support/people.mjs";
import { relay } from "./support/relay.mjs";
import { useServer } from "./support/server.mjs";

const server = useServer();
const people = usePeople(server);

afterEach(() => people.home());

const SCREEN = [120, 20, 90];
/** Wide enough that Chromium makes three layers of it: 960, 480 and 240 wide. */
const WIDE = { width: 960, height: 540, fps: 10 };
/** Enough for the three, so that Chromium's own estimate of a busy machine leaves none of them out. */
const WIDE_KBPS = 2500;

/** What is sent of the camera, without layers. */
const camera = async (person) => (await person.do("sent")).find((one) => one.kind === "video" && one.frames > 0);

/** The video of a track at a person, decoded and in motion since the call. */
async function moving(person, fits, what, timeoutMs = 10_000) {
  const before = (await person.do("videos")).find(fits);
  return eventually(
    async () => {
      const now = (await person.do("videos")).find(fits);
      return now && now.colour && now.frames > (before?.frames ?? 0) + 2 && now.hash !== before?.hash && now;
    },
    what,
    timeoutMs,
    async () => ({ videos: await person.do("videos"), connection: await person.do("connection") }),
  );
}

describe("screens", () => {
  test("a shared screen is a second video, and ends alone", async () => {
    const [ann, bob] = await people.persons("ann", "bob");
    const room = await ann.room();
    await ann.join(room);
    await bob.join(room);
    await bob.sees([ann]);
    const how = await ann.do("shareScreen", SCREEN);
    console.log(`    screen by ${how}`);
    const { data } = await bob.message("track_published", (data) => data.source === "screen");
    assert.deepEqual([data.participant_id, data.kind], [ann.id, "video"]);
    const shown = await moving(bob, (video) => video.trackId === data.track_id, "the screen at bob");
    assert.equal(shown.participantId, ann.id);
    const face = (await bob.do("videos")).find((video) => video.participantId === ann.id && video.trackId !== data.track_id);
    assert.ok(isColour(face.colour, ann.colour), "the camera goes on");

    // Who comes now has both at once.
    const carl = await people.person("carl");
    const joined = await carl.join(room);
    const listed = joined.participants.find((one) => one.participant_id === ann.id);
    assert.deepEqual(listed.tracks.map((track) => track.source).sort(), ["camera", "mic", "screen"]);
    await moving(carl, (video) => video.trackId === data.track_id, "the screen at carl");

    await ann.do("publish", "screen", null);
    await bob.message("track_unpublished", (gone) => gone.track_id === data.track_id);
    await eventually(async () => (await bob.do("videos")).every((video) => video.trackId !== data.track_id), "the screen's end at bob");
    await bob.sees([ann]);

    // And can be shared once more.
    await ann.do("publish", "screen", { colour: SCREEN, text: "again", width: 320, height: 240 });
    await eventually(
      async () => (await bob.do("videos")).some((video) => video.participantId === ann.id && video.colour && isColour(video.colour, SCREEN)),
      "the second screen at bob",
    );
  });
});

describe("states", () => {
  test("what people say of themselves reaches the others and the list, by channel and by route", async () => {
    const [ann, bob] = await people.persons("ann", "bob");
    const room = await ann.room();
    await ann.join(room);
    await bob.join(room);
    await ann.do("send", "state", { audio_muted: true, hand_raised: true });
    const told = await bob.message("participant_state", (data) => data.participant_id === ann.id);
    assert.deepEqual([told.data.audio_muted, told.data.hand_raised], [true, true]);
    const listed = async () => (await bob.call("GET", `/api/rooms/${room}/participants`)).participants.find((one) => one.participant_id === ann.id);
    assert.deepEqual([(await listed()).audio_muted, (await listed()).video_off], [true, false]);
    await ann.call("POST", `/api/rooms/${room}/participants/${ann.id}/state`, { audio_muted: false, video_off: true });
    await bob.message("participant_state", (data) => data.video_off === true && data.audio_muted === false);
    assert.deepEqual([(await listed()).audio_muted, (await listed()).video_off], [false, true]);
    const refused = await bob.refusal("POST", `/api/rooms/${room}/participants/${ann.id}/state`, { audio_muted: true });
    assert.ok([403, 404].includes(refused.error), String(refused.error));
  });

  test("the owner mutes a participant: told, and not heard until it unmutes itself", async () => {
    const [ann, bob] = await people.persons("ann", "bob");
    const room = await ann.room();
    await ann.join(room);
    await bob.join(room, { tracks: { mic: "tone" } });
    const energy = async () => (await ann.do("sounds")).find((sound) => sound.participantId === bob.id)?.energy ?? 0;
    await eventually(async () => (await energy()) > 0, "bob to be heard");
    assert.equal((await bob.refusal("POST", `/api/rooms/${room}/participants/${ann.id}/mute`)).error, 403);
    await ann.call("POST", `/api/rooms/${room}/participants/${bob.id}/mute`);
    const told = await bob.message("participant_state", (data) => data.participant_id === bob.id);
    assert.equal(told.data.audio_muted, true);
    const packets = async () => (await ann.do("sounds")).find((sound) => sound.participantId === bob.id).packets;
    let before = -1;
    await eventually(async () => before === (before = await packets()), "bob's sound to end");
    // Until he says himself that he is heard again.
    await bob.do("send", "state", { audio_muted: false });
    await eventually(async () => (await packets()) > before + 10, "bob's sound to go on");
  });

  test("the active speaker is who makes a sound", async () => {
    const [ann, bob] = await people.persons("ann", "bob");
    const room = await ann.room({ room_type: "audio" });
    // A tone: the fake microphone's short beeps are no speech.
    for (const one of [ann, bob]) await one.join(room, { tracks: { mic: "tone" } });
    await bob.do("enable", "mic", false);
    for (const one of [ann, bob]) await one.message("active_speaker", (data) => data.participant_id === ann.id);
    await ann.do("enable", "mic", false);
    await bob.do("enable", "mic", true);
    for (const one of [ann, bob]) {
      await eventually(async () => (await one.messages("active_speaker")).at(-1)?.data.participant_id === bob.id, `${one.name} to be told that bob speaks`);
    }
    const times = (await ann.messages("active_speaker")).map((one) => one.at);
    for (let at = 2; at < times.length; at++) assert.ok(times[at] - times[at - 2] > 900, "more than two in a second");
  });
});

describe("layers", () => {
  test("a subscriber asks for layers, and for none", async () => {
    const [ann, bob] = await people.persons("ann", "bob");
    const room = await ann.room();
    await ann.join(room, { simulcast: true, kbps: WIDE_KBPS, tracks: { camera: ann.picture(WIDE) } });
    await bob.join(room, { tracks: {} });
    const width = async () => (await bob.do("videos")).find((video) => video.participantId === ann.id)?.width;
    const explain = async () => ({ sent: await ann.do("sent"), seen: await bob.do("videos"), errors: await bob.messages("error") });
    const becomes = (wanted) => eventually(async () => (await width()) === wanted, `${wanted} wide`, 20_000, explain);
    const ask = (layer) => bob.do("send", "subscribe", { participant_id: ann.id, kind: "video", layer });
    await becomes(960);
    for (const [layer, wide] of [["q", 240], ["h", 480], ["f", 960], ["q", 240]]) {
      await ask(layer);
      await becomes(wide);
      await bob.sees([ann]);
    }
    await ask("off");
    const frames = async () => (await bob.do("videos"))[0].frames;
    let before = -1;
    await eventually(async () => before === (before = await frames()), "the frames to end");
    await ask("f");
    await becomes(960);
    await bob.sees([ann]);
    assert.deepEqual(await bob.messages("error"), []);
  });

  test("a subscriber with little bandwidth gets a lower layer, and nobody else does", async () => {
    const [ann, bob, carl] = await people.persons("ann", "bob", "carl");
    const room = await ann.room();
    await ann.join(room, { simulcast: true, kbps: WIDE_KBPS, tracks: { camera: ann.picture(WIDE) } });
    const narrow = await relay(server.rtcPort);
    await bob.join(room, { tracks: {}, relay: narrow.port });
    await carl.join(room, { tracks: {} });
    const width = async (one) => (await one.do("videos")).find((video) => video.participantId === ann.id)?.width;
    const explain = async () => ({ sent: await ann.do("sent"), bob: await bob.do("videos"), carl: await carl.do("videos"), relay: narrow.down });
    for (const one of [bob, carl]) await eventually(async () => (await width(one)) === 960, `the full layer at ${one.name}`, 20_000, explain);
    const sent = (await ann.do("sent")).filter((one) => one.kind === "video");
    const full = sent.find((one) => one.rid === "f");
    console.log(`    full layer: ${full.target} bit/s`);
    narrow.limits.bitsDown = 250_000;
    await eventually(async () => (await width(bob)) < 960, "a lower layer at bob", 20_000, explain);
    await bob.sees([ann]);
    assert.equal(await width(carl), 960);
    await carl.sees([ann]);
    narrow.limits.bitsDown = 0;
    await eventually(async () => (await width(bob)) === 960, "the full layer at bob again", 40_000, explain);
  });
});

describe("a network that loses 5 % each way", () => {
  test("frames go on, and retransmissions stay in proportion", async () => {
    const [ann, bob] = await people.persons("ann", "bob");
    const room = await ann.room();
    const [up, down] = [await relay(server.rtcPort, { seed: 3 }), await relay(server.rtcPort, { seed: 4 })];
    await ann.join(room, { relay: up.port, tracks: { mic: "silence", camera: ann.picture({ width: 640, height: 480, fps: 15 }) } });
    await bob.join(room, { relay: down.port });
    await bob.sees([ann]);
    await ann.sees([bob]);
    const lossy = { lossUp: 0.05, lossDown: 0.05 };
    Object.assign(up.limits, lossy);
    Object.assign(down.limits, lossy);
    // Frames of every second of ten: a freeze of a second or more fails.
    const seen = async () => (await bob.do("videos")).find((video) => video.participantId === ann.id);
    const [first, sentFirst] = [await seen(), await camera(ann)];
    let longest = 0;
    let last = { at: Date.now(), frames: first.frames };
    await eventually(async () => {
      const { frames } = await seen();
      longest = Math.max(longest, Date.now() - last.at);
      if (frames > last.frames) last = { at: Date.now(), frames };
      return frames >= first.frames + 120;
    }, "120 frames through the loss", 30_000, async () => ({ seen: await seen(), sent: await ann.do("sent"), up, down }));
    const [end, sentEnd] = [await seen(), await camera(ann)];
    const packets = sentEnd.packets - sentFirst.packets;
    const again = sentEnd.retransmitted - sentFirst.retransmitted;
    const droppedDown = down.down.dropped;
    console.log(`    ${packets} packets up, ${up.up.dropped} lost, ${again} sent again; ${droppedDown} lost down, ${end.nacks - first.nacks} nacks; longest pause ${longest} ms; ${end.freezes - first.freezes} freezes`);
    assert.ok(up.up.dropped > 5 && droppedDown > 5, "the relay lost nothing");
    assert.ok(again > 0, "nothing was repaired");
    assert.ok(again < 3 * up.up.dropped + 50, `${again} retransmissions for ${up.up.dropped} lost packets`);
    assert.ok(end.nacks - first.nacks < 4 * droppedDown + 50, `${end.nacks - first.nacks} nacks for ${droppedDown} lost packets`);
    const keyFrames = end.keyFrames - first.keyFrames;
    assert.ok(keyFrames < 12, `${keyFrames} key frames in ten seconds`);
    await ann.sees([bob]);
  });
});
