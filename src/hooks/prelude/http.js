// Requests to other servers: `$http.send`, `fetch` and the forms they send.
(function (host, api) {
    "use strict";

    const native = host.http;
    const { canonical, parsedCookie } = host;

    class FormData {
        #map = new Map();
        append(name, value) {
            const known = this.#map.get(name);
            if (known) known.push(value);
            else this.#map.set(name, [value]);
        }
        set(name, value) {
            this.#map.set(name, [value]);
        }
        delete(name) {
            this.#map.delete(name);
        }
        get(name) {
            const known = this.#map.get(name);
            return known ? known[0] : null;
        }
        getAll(name) {
            const known = this.#map.get(name);
            return known ? known.slice() : [];
        }
        has(name) {
            return this.#map.has(name);
        }
        keys() {
            return [...this.#map.keys()];
        }
        values() {
            return [...this.#map.values()].flat();
        }
        entries() {
            return this.keys().flatMap((name) => this.#map.get(name).map((value) => [name, value]));
        }
        toJSON() {
            return Object.fromEntries(this.#map);
        }
    }
    api.FormData = FormData;

    /** Content type and bytes of a form. */
    const multipart = (form) =>
        native.multipart(
            form.entries().map(([name, value]) => {
                if (host.isFile(value)) return [name, host.bytes(value.reader.open()), value.originalName, "application/octet-stream"];
                return [name, api.toString(value), null, ""];
            }),
        );

    const bodyOf = (body) => {
        if (body instanceof FormData) return multipart(body);
        return [null, body === undefined || body === null ? "" : host.bytes(body)];
    };

    /** Calls a native, and turns its failure into an error of the host. */
    const asked = (call) => {
        try {
            return call();
        } catch (error) {
            throw host.failure.host(error.message);
        }
    };

    const headersOf = (given, type) => {
        const headers = Object.entries(given || {}).map(([name, value]) => [name, api.toString(value)]);
        if (!type) return headers;
        return headers.filter(([name]) => name.toLowerCase() !== "content-type").concat([["content-type", type]]);
    };

    const json = (text) => {
        try {
            return JSON.parse(text);
        } catch {
            return null;
        }
    };

    api.$http = {
        send(config) {
            const old = config.data && Object.keys(config.data).length > 0;
            const [type, body] = old ? [null, host.response.jsonText(config.data)] : bodyOf(config.body);
            const answer = asked(() =>
                native.send(config.method || "GET", config.url || "", headersOf(config.headers, type), body, config.timeout || 120),
            );
            const headers = {};
            const cookies = {};
            for (const [name, value] of answer.headers) {
                (headers[canonical(name)] ??= []).push(value);
                const cookie = name === "set-cookie" ? parsedCookie(value) : null;
                if (cookie) cookies[cookie.name] = cookie;
            }
            const raw = api.toString(answer.body);
            return { statusCode: answer.status, headers, cookies, raw, body: answer.body, json: raw === "" ? null : json(raw) };
        },
    };

    /** The headers of an answer to `fetch`. */
    class Headers {
        #pairs;
        constructor(pairs) {
            this.#pairs = pairs;
        }
        get(name) {
            const wanted = String(name).toLowerCase();
            const found = this.#pairs.filter(([known]) => known === wanted).map(([, value]) => value);
            return found.length === 0 ? null : found.join(", ");
        }
        has(name) {
            return this.get(name) !== null;
        }
        getSetCookie() {
            return this.#pairs.filter(([known]) => known === "set-cookie").map(([, value]) => value);
        }
        entries() {
            const names = [...new Set(this.#pairs.map(([name]) => name))].sort();
            return names.map((name) => [name, this.get(name)])[Symbol.iterator]();
        }
        keys() {
            return [...this.entries()].map(([name]) => name)[Symbol.iterator]();
        }
        values() {
            return [...this.entries()].map(([, value]) => value)[Symbol.iterator]();
        }
        forEach(callback) {
            for (const [name, value] of this.entries()) callback(value, name, this);
        }
        [Symbol.iterator]() {
            return this.entries();
        }
    }

    class Response {
        #body;
        #used = false;
        constructor(answer, asked) {
            this.#body = answer.body;
            this.status = answer.status;
            this.statusText = host.response.statusText(answer.status);
            this.ok = answer.status >= 200 && answer.status <= 299;
            this.url = answer.url;
            this.redirected = answer.url !== asked;
            this.type = "basic";
            this.headers = new Headers(answer.headers);
        }
        get bodyUsed() {
            return this.#used;
        }
        #take() {
            if (this.#used) throw new TypeError("the body was read already");
            this.#used = true;
            return this.#body;
        }
        async text() {
            return api.toString(this.#take());
        }
        async json() {
            return JSON.parse(api.toString(this.#take()));
        }
        async bytes() {
            return this.#take();
        }
        async arrayBuffer() {
            const bytes = this.#take();
            return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
        }
    }

    const FETCH_TIMEOUT_S = 120;

    api.fetch = async (resource, options) => {
        const given = options || {};
        const url = String(resource);
        const pairs = given.headers && typeof given.headers.entries === "function" ? Object.fromEntries(given.headers.entries()) : given.headers;
        const [type, body] = bodyOf(given.body);
        let answer;
        try {
            answer = await native.fetch(
                given.method || "GET", url, headersOf(pairs, type), body, FETCH_TIMEOUT_S, Boolean(given.redirect) && given.redirect !== "follow",
            );
        } catch (error) {
            throw new TypeError("fetch failed: " + error.message);
        }
        if (given.redirect === "error" && answer.status >= 300 && answer.status <= 399) throw new TypeError("fetch failed: a redirect");
        return new Response(answer, url);
    };
})
