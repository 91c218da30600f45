// A client of rooms and of the user's room, by the documented protocol alone (docs/protocols/): REST, an offer by the
// server, data channels. It depends on nothing but the MessagePack codec, and on browsers' own WebRTC.

import { decode, encode } from "@msgpack/msgpack";

/** How often an own offer is tried again after the server's has won. */
const OFFER_TRIES_MAX = 20;
const OFFER_RETRY_MS = 100;

/** An answer of the server other than 2xx. */
export class ApiError extends Error {
  constructor(status, body) {
    super(`${status}: ${body?.message ?? body?.error ?? "no message"}`);
    this.status = status;
    this.body = body;
  }
}

/** A signed-in user. */
export class Account {
  constructor(base, token, record) {
    Object.assign(this, { base, token, record });
  }

  static async signUp(base, email, password, name) {
    const account = new Account(base, "", null);
    await account.call("POST", "/api/collections/users/records", { email, password, passwordConfirm: password, name });
    return Account.signIn(base, email, password);
  }

  static async signIn(base, identity, password) {
    const guest = new Account(base, "", null);
    const { token, record } = await guest.call("POST", "/api/collections/users/auth-with-password", { identity, password });
    return new Account(base, token, record);
  }

  /** Calls a route; gives its body. Throws an `ApiError`. */
  async call(method, path, body) {
    const headers = {};
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const answer = await fetch(this.base + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const value = await answer.json().catch(() => null);
    if (!answer.ok) throw new ApiError(answer.status, value);
    return value;
  }
}

/** A channel's messages, read and written in either encoding. */
class Messages {
  constructor(channel, encoding, received) {
    this.channel = channel;
    this.encoding = encoding;
    channel.binaryType = "arraybuffer";
    channel.addEventListener("message", ({ data }) => {
      const isText = typeof data === "string";
      received(isText ? JSON.parse(data) : decode(new Uint8Array(data)), isText ? "json" : "msgpack");
    });
  }

  send(message) {
    this.channel.send(this.encoding === "json" ? JSON.stringify(message) : encode(message, { ignoreUndefined: true }));
  }
}

/**
 * A room that one takes part in.
 *
 * Events (each with its message or track in `detail`): `message` for everything that comes on the channel, `track`
 * `{participantId, trackId, track, stream}`, `open` when the `events` channel can be used, `state` with the connection's state.
 *
 * Options: `encoding` (`msgpack` or `json`), `simulcast` (three layers of the camera), `ownChannel` (the client opens
 * `events` itself), `tracksFirst` (tracks are added before the offer is applied, as clients do that think of no
 * sections), `trickle` (false: no candidates are sent), `deaf` (later offers
 * are not answered), `rewrite(sdp)` for offers that come.
 */
export class Room extends EventTarget {
  constructor(account, id, options = {}) {
    super();
    this.account = account;
    this.id = id;
    this.options = { encoding: "msgpack", trickle: true, rewrite: (sdp) => sdp, ...options };
    this.senders = {};
    this.offersAnswered = 0;
    this.ownOffers = 0;
    // Descriptions are applied one after the other.
    this.queue = Promise.resolve();
  }

  /** Joins with tracks by source: `{mic, camera, screen}`, each optional. */
  async join(tracks = {}) {
    const joined = await this.account.call("POST", `/api/rooms/${this.id}/join`, this.options.simulcast ? { simulcast: true } : {});
    this.joined = joined;
    this.participantId = joined.participant_id;
    this.path = `/api/rooms/${this.id}/participants/${this.participantId}`;
    const pc = new RTCPeerConnection({ iceServers: joined.ice_servers });
    this.pc = pc;
    this.listen(pc);
    if (this.options.ownChannel) this.use(pc.createDataChannel("events"));
    if (this.options.tracksFirst) {
      const stream = new MediaStream();
      for (const source of ["mic", "camera", "screen"]) {
        if (tracks[source]) this.senders[source] = pc.addTrack(tracks[source], stream);
      }
    }
    await this.enqueue(() => this.answerJoin(joined.sdp.sdp, tracks));
    return joined;
  }

  listen(pc) {
    pc.addEventListener("track", ({ track, streams: [stream], transceiver }) => {
      // The description names the track; `track.id` is older where a section serves its second track.
      const [, participantId, trackId] = /^a=msid:(\S+) (\S+)/m.exec(sectionOf(pc.remoteDescription.sdp, transceiver.mid)) ?? [];
      this.emit("track", { participantId, trackId, track, stream });
    });
    pc.addEventListener("connectionstatechange", () => this.emit("state", pc.connectionState));
    pc.addEventListener("datachannel", ({ channel }) => {
      if (channel.label === "events" && !this.events) this.use(channel);
      else if (channel.label === "events") this.hear(channel);
      if (channel.label === "fast") this.fast = this.hear(channel);
    });
    pc.addEventListener("icecandidate", ({ candidate }) => {
      if (!candidate || !this.options.trickle) return;
      const body = { candidate: candidate.candidate, sdpMid: candidate.sdpMid, sdpMLineIndex: candidate.sdpMLineIndex };
      this.account.call("POST", `${this.path}/candidates`, body).catch((error) => this.emit("failure", String(error)));
    });
  }

  async answerJoin(sdp, tracks) {
    const { pc } = this;
    await pc.setRemoteDescription({ type: "offer", sdp: this.options.rewrite(sdp) });
    if (!this.options.tracksFirst) await this.fill(tracks);
    await pc.setLocalDescription(await pc.createAnswer());
    if (this.options.simulcast) await this.scale();
    await this.account.call("POST", `${this.path}/answer`, { type: "answer", sdp: pc.localDescription.sdp });
  }

  /** The server's receiving sections are microphone, camera and screen, in this order; they are what is sent on. */
  async fill(tracks) {
    const kinds = { mic: "audio", camera: "video", screen: "video" };
    const sections = receivingSections(this.pc);
    for (const [source, kind] of Object.entries(kinds)) {
      const at = sections.findIndex((one) => one.receiver.track.kind === kind);
      if (at < 0) continue;
      const [section] = sections.splice(at, 1);
      // Without a track as well: then one can be put in later without asking anybody.
      section.direction = "sendonly";
      this.senders[source] = section.sender;
      if (tracks[source]) await section.sender.replaceTrack(tracks[source]);
    }
  }

  /** Layers are `q`, `h`, `f`: a quarter, a half and the full size. */
  async scale() {
    const parameters = this.senders.camera.getParameters();
    for (const encoding of parameters.encodings) encoding.scaleResolutionDownBy = { q: 4, h: 2, f: 1 }[encoding.rid] ?? 1;
    await this.senders.camera.setParameters(parameters);
  }

  /** Uses this channel from now on. */
  use(channel) {
    this.events = this.hear(channel);
    if (channel.readyState === "open") this.emit("open");
    else channel.addEventListener("open", () => this.emit("open"));
  }

  hear(channel) {
    const messages = new Messages(channel, this.options.encoding, (message, encoding) => {
      this.emit("message", { ...message, encoding, label: channel.label });
      if (message.type === "offer" && !this.options.deaf) this.enqueue(() => this.answer(message.data));
    });
    return messages;
  }

  /** Sends a message on `events`. */
  send(type, data = {}) {
    this.events.send({ type, room_id: this.id, data, timestamp: Math.floor(Date.now() / 1000) });
  }

  /** A later offer of the server. An own one that is under way is rolled back by it. */
  async answer({ sdp, seq }) {
    const { pc } = this;
    await pc.setRemoteDescription({ type: "offer", sdp: this.options.rewrite(sdp) });
    await pc.setLocalDescription(await pc.createAnswer());
    this.send("answer", { sdp: pc.localDescription.sdp, seq });
    this.offersAnswered += 1;
  }

  /** Publishes a track, or ends what is published (null). An own offer is made where the section's direction changes. */
  async publish(source, track) {
    let sender = this.senders[source];
    if (sender) {
      const section = this.pc.getTransceivers().find((one) => one.sender === sender);
      await sender.replaceTrack(track);
      const wanted = track ? "sendonly" : "inactive";
      if (section.currentDirection === wanted) return;
      section.direction = wanted;
    } else {
      sender = this.free(source, track);
      this.senders[source] = sender;
    }
    await this.negotiate();
  }

  /** A sender for a source that has had none: the server's unused section for it. */
  free(source, track) {
    const kind = source === "mic" ? "audio" : "video";
    const used = new Set(Object.values(this.senders));
    const sections = this.pc.getTransceivers().filter((one) => one.receiver.track.kind === kind && one.currentDirection === "inactive" && !used.has(one.sender));
    const section = sections[0];
    if (!section) throw new Error(`no section for ${source}`);
    section.sender.replaceTrack(track);
    section.direction = "sendonly";
    return section.sender;
  }

  /** An own offer. Where the server's is under way, that one is answered first. */
  async negotiate() {
    for (let tries = 0; tries < OFFER_TRIES_MAX; tries++) {
      if (await this.enqueue(() => this.offer())) return;
      await new Promise((wake) => setTimeout(wake, OFFER_RETRY_MS));
    }
    throw new Error("the server took no offer");
  }

  async offer() {
    const { pc } = this;
    await pc.setLocalDescription(await pc.createOffer());
    try {
      const answer = await this.account.call("POST", `${this.path}/offer`, { sdp: pc.localDescription.sdp });
      await pc.setRemoteDescription({ type: "answer", sdp: this.options.rewrite(answer.sdp) });
      this.ownOffers += 1;
      return true;
    } catch (error) {
      await pc.setLocalDescription({ type: "rollback" });
      if (error.status === 409) return false;
      throw error;
    }
  }

  async leave() {
    await this.account.call("DELETE", this.path);
    this.pc.close();
  }

  enqueue(task) {
    const done = this.queue.then(task);
    this.queue = done.catch((error) => this.emit("failure", String(error)));
    return done;
  }

  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Requests and pushes over one data channel. Pushes come as `message` events. */
export class UserRoom extends EventTarget {
  constructor(account, options = {}) {
    super();
    this.account = account;
    this.options = { encoding: "msgpack", rewrite: (sdp) => sdp, ...options };
    this.waiting = new Map();
    this.last = 0;
  }

  async connect() {
    const { user_id, sdp, ice_servers } = await this.account.call("POST", "/api/user/room/connect");
    this.userId = user_id;
    const pc = new RTCPeerConnection({ iceServers: ice_servers });
    this.pc = pc;
    const open = new Promise((done, fail) => {
      pc.addEventListener("datachannel", ({ channel }) => {
        if (channel.label !== "api" || this.options.ownChannel) return;
        done(this.use(channel));
      });
      if (this.options.ownChannel) done(this.use(pc.createDataChannel("api")));
      pc.addEventListener("connectionstatechange", () => {
        if (pc.connectionState === "failed") fail(new Error("no connection"));
      });
    });
    pc.addEventListener("connectionstatechange", () => this.emit("state", pc.connectionState));
    await pc.setRemoteDescription({ type: "offer", sdp: this.options.rewrite(sdp.sdp) });
    await pc.setLocalDescription(await pc.createAnswer());
    await this.account.call("POST", "/api/user/room/answer", { type: "answer", sdp: pc.localDescription.sdp });
    await open;
  }

  /** Gives a promise that is kept when the channel is open. */
  use(channel) {
    this.messages = new Messages(channel, this.options.encoding, (message, encoding) => this.receive(message, encoding));
    channel.addEventListener("close", () => this.emit("closed"));
    if (channel.readyState === "open") return Promise.resolve();
    return new Promise((done) => channel.addEventListener("open", () => done()));
  }

  receive(message, encoding) {
    const waiting = this.waiting.get(message.request_id);
    if (!waiting) {
      this.emit("message", { ...message, encoding });
      return;
    }
    if (message.chunk) {
      waiting.parts.push(message);
      if (waiting.parts.length < message.parts) return;
      message = assemble(waiting.parts);
    }
    this.waiting.delete(message.request_id);
    waiting.done({ ...message, encoding });
  }

  /** Asks any REST route; gives the whole answer: `{status_code, data, error, ...}`. */
  request(method, endpoint, more = {}) {
    const request_id = `r${++this.last}`;
    const answer = new Promise((done) => this.waiting.set(request_id, { done, parts: [] }));
    this.messages.send({ request_id, method, endpoint, ...more });
    return answer;
  }

  close() {
    this.pc.close();
  }

  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** The sections that the server receives on, in its order. */
function receivingSections(pc) {
  return pc.getTransceivers().filter((one) => /^a=recvonly\r?$/m.test(sectionOf(pc.remoteDescription.sdp, one.mid)));
}

function sectionOf(sdp, mid) {
  return sdp.split(/(?=^m=)/m).find((section) => section.split(/\r?\n/).includes(`a=mid:${mid}`)) ?? "";
}

/** An answer that came in parts: bytes in MessagePack, text in JSON. */
function assemble(parts) {
  const chunks = parts.sort((one, other) => one.part - other.part).map((part) => part.chunk);
  if (typeof chunks[0] === "string") return JSON.parse(chunks.join(""));
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return decode(bytes);
}
