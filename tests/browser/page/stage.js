// The page that the tests play with: one person, who signs in, joins a room and is shown what comes.
//
// Tests call the functions of `window.stage`; everything that they take and give is plain data.

import { Account, ApiError, Room, UserRoom } from "./client.js";
import * as sources from "./sources.js";

let account, room, channel;
/** What came on `events`, oldest first. */
let messages = [];
/** What came on the user's room beside answers. */
let pushes = [];
let states = [];
let failures = [];
/** Remote tracks by the id of their receiver: `{participantId, trackId, track, element}`. */
let remote = new Map();
let local = {};
let eventSource, streamed = [];

const title = document.querySelector("#title");
const status = document.querySelector("#status");

/** Signs up and in. */
async function signUp(email, password, name) {
  account = await Account.signUp(location.origin, email, password, name);
  title.textContent = name;
  return account.record;
}

/** Signs in as somebody who exists. */
async function signIn(email, password) {
  account = await Account.signIn(location.origin, email, password);
  title.textContent = account.record.name;
  return account.record;
}

async function call(method, path, body) {
  return outcome(() => account.call(method, path, body));
}

/** `{ok: value}` or `{error: status, body}`: errors do not cross to the tests as they are. */
async function outcome(action) {
  try {
    return { ok: await action() };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { error: error.status, body: error.body };
  }
}

/** Makes tracks as asked for: `{mic: "device" | "tone" | "silence", camera: "device" | {colour, ...}}`. */
async function prepare({ mic, camera } = {}) {
  const fake = mic === "device" || camera === "device" ? await sources.device() : {};
  if (mic === "device") local.mic = fake.mic;
  if (mic === "tone") local.mic = sources.tone();
  if (mic === "silence") local.mic = sources.tone({ volume: 0 });
  if (camera === "device") local.camera = fake.camera;
  else if (camera) local.camera = sources.canvas(camera);
  if (mic !== "device") fake.mic?.stop();
  if (camera !== "device") fake.camera?.stop();
  return { ...local };
}

/**
 * Joins a room; gives the server's answer. `relay` is the port to which media go instead of the server's; `kbps` keeps the
 * browser from sending less, whatever it thinks of the network.
 */
async function join(roomId, { tracks, relay, kbps, ...options } = {}) {
  const published = await prepare(tracks);
  if (relay) options.rewrite = (sdp) => through(sdp, relay);
  if (kbps) options.rewrite = (sdp) => atLeast(sdp, kbps);
  room = new Room(account, roomId, options);
  room.addEventListener("message", ({ detail }) => receive(detail));
  room.addEventListener("state", ({ detail }) => {
    states.push(detail);
    status.textContent = detail;
  });
  room.addEventListener("failure", ({ detail }) => failures.push(detail));
  room.addEventListener("track", ({ detail }) => show(detail));
  return outcome(() => room.join(published));
}

function receive(message) {
  messages.push({ ...message, at: performance.now() });
  if (message.type === "active_speaker") {
    for (const figure of document.querySelectorAll("figure")) {
      figure.classList.toggle("speaking", figure.dataset.participant === message.data.participant_id);
    }
  }
  if (message.type === "participant_left") {
    for (const figure of document.querySelectorAll(`figure[data-participant="${message.data.participant_id}"]`)) figure.remove();
  }
}

/** Leads an offer's candidates to a relay on this machine: the first of each section, the others are left out. */
function through(sdp, port) {
  const sections = sdp.split(/(?=^m=)/m).map((section) => {
    const lines = section.split("\r\n");
    const first = lines.findIndex((line) => /^a=candidate:\S+ 1 udp /i.test(line));
    return lines
      .filter((line, at) => at === first || !line.startsWith("a=candidate:"))
      .map((line) => line.replace(/^(a=candidate:\S+ 1 udp \d+) \S+ \d+/i, `$1 127.0.0.1 ${port}`))
      .join("\r\n");
  });
  return sections.join("");
}

/** Chromium's own parameters of a codec. Only lines of codecs with parameters are touched, and VP8 gets some. */
function atLeast(sdp, kbps) {
  const rates = `x-google-min-bitrate=${kbps};x-google-start-bitrate=${kbps}`;
  return sdp.replace(/^a=rtpmap:(\d+) VP8\/90000\r\n/gm, `$&a=fmtp:$1 ${rates}\r\n`);
}

function show({ participantId, trackId, track, stream }) {
  const element = document.createElement(track.kind === "video" ? "video" : "audio");
  Object.assign(element, { autoplay: true, playsInline: true, srcObject: new MediaStream([track]) });
  remote.get(track.id)?.element.closest("figure")?.remove();
  remote.set(track.id, { participantId, trackId, track, element });
  stream?.addEventListener("removetrack", (event) => event.track === track && hide(track, element));
  if (track.kind === "audio") return;
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  figure.dataset.participant = participantId;
  const person = [...(room.joined?.participants ?? []), ...messages.filter((one) => one.type === "participant_joined").map((one) => one.data)]
    .find((one) => one.participant_id === participantId);
  caption.textContent = person?.name ?? participantId;
  figure.append(element, caption);
  document.querySelector("main").append(figure);
}

function hide(track, element) {
  if (remote.get(track.id)?.element !== element) return;
  remote.delete(track.id);
  element.closest("figure")?.remove();
}

/** What is decoded of each remote video: `[{trackId, participantId, frames, width, hash, colour}]`. */
async function videos() {
  const inbound = await reports("inbound-rtp");
  return [...remote.entries()]
    .filter(([, one]) => one.track.kind === "video")
    .map(([receiverId, one]) => {
      const stats = inbound.find((report) => report.trackIdentifier === receiverId) ?? {};
      return {
        trackId: one.trackId,
        participantId: one.participantId,
        frames: stats.framesDecoded ?? 0,
        width: stats.frameWidth ?? 0,
        freezes: stats.freezeCount ?? 0,
        lost: stats.packetsLost ?? 0,
        nacks: stats.nackCount ?? 0,
        keyFrames: stats.keyFramesDecoded ?? 0,
        ...picture(one.element),
      };
    });
}

/** The colour in the upper left of the picture that a person would see, and a hash of all of it. */
function picture(video) {
  if (!video.videoWidth) return { hash: 0, colour: null };
  const element = document.createElement("canvas");
  Object.assign(element, { width: 64, height: 48 });
  const context = element.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0, element.width, element.height);
  const { data } = context.getImageData(0, 0, element.width, element.height);
  let hash = 0;
  for (const byte of data) hash = (Math.imul(hash, 31) + byte) | 0;
  const at = (4 * element.width + 4) * 4;
  return { hash, colour: [...data.slice(at, at + 3)] };
}

/** What is heard: `[{trackId, participantId, energy, packets}]`. */
async function sounds() {
  const inbound = await reports("inbound-rtp");
  return [...remote.entries()]
    .filter(([, one]) => one.track.kind === "audio")
    .map(([receiverId, one]) => {
      const stats = inbound.find((report) => report.trackIdentifier === receiverId) ?? {};
      return { trackId: one.trackId, participantId: one.participantId, energy: stats.totalAudioEnergy ?? 0, packets: stats.packetsReceived ?? 0 };
    });
}

/** What is sent: one entry per encoding. */
async function sent() {
  const outbound = await reports("outbound-rtp");
  return outbound.map((one) => ({
    kind: one.kind,
    mid: one.mid,
    rid: one.rid,
    isActive: one.active,
    width: one.frameWidth,
    frames: one.framesEncoded ?? 0,
    packets: one.packetsSent ?? 0,
    retransmitted: one.retransmittedPacketsSent ?? 0,
    nacks: one.nackCount ?? 0,
    plis: one.pliCount ?? 0,
    keyFrames: one.keyFramesEncoded ?? 0,
    target: one.targetBitrate ?? 0,
    limitedBy: one.qualityLimitationReason,
  }));
}

async function reports(type) {
  return [...(await (room?.pc ?? channel.pc).getStats()).values()].filter((report) => report.type === type);
}

/** Shows a screen: this tab, or where it cannot be captured, a canvas. Gives which one it was. */
async function shareScreen(colour) {
  let how = "display";
  try {
    local.screen = await sources.screen();
  } catch (error) {
    how = `canvas (${error.name})`;
    local.screen = sources.canvas({ colour, text: "screen", fps: 8 });
  }
  await room.publish("screen", local.screen);
  return how;
}

async function publish(source, made) {
  const track = made && (source === "mic" ? sources.tone(made) : sources.canvas(made));
  await room.publish(source, track);
}

async function connectUserRoom({ relay, ...options } = {}) {
  if (relay) options.rewrite = (sdp) => through(sdp, relay);
  channel = new UserRoom(account, options);
  channel.addEventListener("message", ({ detail }) => pushes.push(detail));
  channel.addEventListener("state", ({ detail }) => states.push(detail));
  channel.addEventListener("closed", () => states.push("channel closed"));
  await channel.connect();
}

/** Sends the same request again and again, one at a time; gives the times in milliseconds and the distinct answers. */
async function measure(count, method, endpoint, more) {
  const times = [];
  const answers = new Set();
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    const { status_code, data, error } = await channel.request(method, endpoint, more);
    times.push(performance.now() - began);
    answers.add(JSON.stringify({ status_code, data, error }));
  }
  return { times, answers: [...answers] };
}

/** The browser's own stream of the user's events. */
function listen() {
  eventSource = new EventSource(`/api/user/sse?token=${account.token}`);
  eventSource.onmessage = ({ data, lastEventId }) => streamed.push({ ...JSON.parse(data), lastEventId });
  return new Promise((done, fail) => {
    eventSource.onopen = () => done();
    eventSource.onerror = () => fail(new Error("no stream"));
  });
}

window.stage = {
  signUp,
  signIn,
  call,
  join,
  videos,
  sounds,
  sent,
  publish,
  shareScreen,
  connectUserRoom,
  measure,
  listen,
  request: (method, endpoint, more) => channel.request(method, endpoint, more),
  requests: (list) => Promise.all(list.map(([method, endpoint, more]) => channel.request(method, endpoint, more))),
  speakInUserRoom: (encoding) => {
    channel.messages.encoding = encoding;
  },
  closeUserRoom: () => channel.close(),
  send: (type, data) => room.send(type, data),
  sendRaw: (data) => room.events.channel.send(data),
  sendFast: (type, data) => room.fast.send({ type, data }),
  speak: (encoding) => {
    room.events.encoding = encoding;
  },
  enable: (source, isOn) => {
    local[source].enabled = isOn;
  },
  leave: () => room.leave(),
  close: () => room.pc.close(),
  messages: () => messages,
  pushes: () => pushes,
  streamed: () => streamed,
  pair: async () => {
    const all = [...(await room.pc.getStats()).values()];
    const pair = all.find((one) => one.type === "candidate-pair" && one.nominated);
    const lost = all.filter((one) => one.type === "remote-inbound-rtp").map((one) => one.fractionLost);
    return { avail: pair?.availableOutgoingBitrate, rtt: pair?.currentRoundTripTime, lost };
  },
  roomPc: () => room.pc,
  connection: () => ({ state: room?.pc.connectionState, channel: room?.events?.channel.readyState, states, failures, offersAnswered: room?.offersAnswered, ownOffers: room?.ownOffers }),
  offer: () => room.pc.remoteDescription.sdp,
  answerSdp: () => room.pc.localDescription.sdp,
  participantId: () => room.participantId,
  token: () => account.token,
};
