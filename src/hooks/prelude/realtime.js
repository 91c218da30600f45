// The clients of `/api/realtime`.
(function (host, api) {
    "use strict";

    const native = host.realtime;

    // What scripts keep about a client, by its id. A client's objects share it; it goes when the client has gone.
    const kept = new Map();
    const KEPT_MIN = 256;
    const NEW_MS = 60_000;
    let sweepAt = KEPT_MIN;
    const sweep = () => {
        if (kept.size < sweepAt) return;
        const before = Date.now() - NEW_MS;
        for (const [id, state] of kept) {
            if (state.made < before && !native.has(id)) kept.delete(id);
        }
        sweepAt = Math.max(KEPT_MIN, kept.size * 2);
    };
    const stateOf = (id) => {
        let state = kept.get(id);
        if (state === undefined) {
            sweep();
            state = { made: Date.now(), values: new Map(), connected: false, discarded: false };
            kept.set(id, state);
        }
        return state;
    };

    class Client {
        #id;
        #state;
        constructor(id) {
            this.#id = id;
            this.#state = stateOf(id);
        }
        id() {
            return this.#id;
        }
        get(key) {
            if (key === "auth") return native.auth(this.#id);
            return this.#state.values.get(String(key)) ?? null;
        }
        set(key, value) {
            if (key === "auth") native.setAuth(this.#id, value);
            else this.#state.values.set(String(key), value);
        }
        unset(key) {
            if (key === "auth") native.setAuth(this.#id, null);
            else this.#state.values.delete(String(key));
        }
        subscriptions(...prefixes) {
            const wanted = prefixes.flat().map(String);
            const all = native.subscriptions(this.#id);
            return Object.fromEntries(wanted.length === 0 ? all : all.filter(([name]) => wanted.some((prefix) => (name + "?").startsWith(prefix))));
        }
        hasSubscription(name) {
            return native.subscriptions(this.#id).some(([known]) => known === String(name));
        }
        subscribe(...names) {
            native.subscribe(this.#id, names.flat().map(String));
        }
        unsubscribe(...names) {
            native.unsubscribe(this.#id, names.flat().map(String));
        }
        send(message) {
            if (message === null || typeof message !== "object") throw new TypeError("a SubscriptionMessage is expected");
            if (this.#state.discarded) return;
            native.send(this.#id, String(message.name ?? ""), api.toString(message.data));
        }
        isDiscarded() {
            const state = this.#state;
            const connected = native.has(this.#id);
            state.connected ||= connected;
            return state.discarded || (state.connected && !connected);
        }
        discard() {
            this.#state.discarded = true;
            native.discard(this.#id);
        }
        channel() {
            throw host.failure.host("client.channel() is not supported: a script cannot read from a channel, use client.send()");
        }
        toJSON() {
            return {};
        }
    }
    host.realtimeClient = (id) => new Client(String(id));

    // Clients that the server has, as one list.
    const connected = () =>
        native.ids().map((id) => {
            stateOf(id).connected = true;
            return new Client(id);
        });

    host.broker = {
        clients: () => Object.fromEntries(connected().map((client) => [client.id(), client])),
        chunkedClients(size) {
            const all = connected();
            const length = size > 0 ? Math.trunc(size) : Math.max(all.length, 1);
            const chunks = [];
            for (let at = 0; at < all.length; at += length) chunks.push(all.slice(at, at + length));
            return chunks;
        },
        totalClients: () => native.ids().length,
        clientById(id) {
            const name = String(id);
            if (!native.has(name)) throw host.failure.host(`no client associated with connection ID ${JSON.stringify(name)}`);
            stateOf(name).connected = true;
            return new Client(name);
        },
        // Connections register themselves; there are no others.
        register(client) {
            if (!(client instanceof Client) || !native.has(client.id())) throw host.failure.host("only connected clients can be registered");
        },
        unregister(id) {
            const name = String(id);
            if (native.has(name)) new Client(name).discard();
        },
    };

    /** A message whose data scripts may set as a text, as bytes, or as anything that has a text. */
    host.realtimeMessage = (message) => {
        let data = message.data;
        Object.defineProperty(message, "data", {
            enumerable: true,
            configurable: true,
            get: () => data,
            set: (value) => {
                data = api.toString(value);
            },
        });
        return message;
    };
})
