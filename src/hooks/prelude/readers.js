// Readers, headers, query values and cookies, as PocketBase's scripts know them from Go.
(function (host, api) {
    "use strict";

    /** An error of the host, as scripts catch it. */
    class GoError extends Error {
        get name() {
            return "GoError";
        }
        get value() {
            return this;
        }
        error() {
            return this.message;
        }
    }
    Object.defineProperty(GoError.prototype, "isHostError", { value: true });
    api.GoError = GoError;

    /** Bytes to be read from front to back. `load` gives them when they are first asked for. */
    class Reader {
        #load;
        #bytes = null;
        #at = 0;
        #again;
        constructor(load, again) {
            this.#load = load;
            this.#again = again === true;
        }
        #left() {
            if (this.#bytes === null) this.#bytes = this.#load();
            return this.#bytes.length - this.#at;
        }
        /** The next bytes, at most `max`; all that is left without a limit. */
        take(max) {
            const length = max > 0 ? Math.min(max, this.#left()) : this.#left();
            const part = this.#bytes.subarray(this.#at, this.#at + length);
            this.#at += length;
            if (this.#again && this.#at >= this.#bytes.length) this.#at = 0;
            return part;
        }
        /** Fills a byte list; gives how many bytes came, and throws at the end. */
        read(into) {
            if (this.#left() === 0) throw host.failure.host("EOF");
            const part = this.take(into.length);
            for (let i = 0; i < part.length; i++) into[i] = part[i];
            return part.length;
        }
        close() {}
    }

    /** Texts by name, several of one name in their order. */
    class Values {
        #map = new Map();
        #key;
        #changed;
        constructor(pairs, key, changed) {
            this.#key = key || ((name) => String(name));
            for (const [name, value] of pairs) this.#append(this.#key(name), value);
            this.#changed = changed || (() => undefined);
        }
        #append(name, value) {
            const known = this.#map.get(name);
            if (known) known.push(value);
            else this.#map.set(name, [value]);
        }
        get(name) {
            const known = this.#map.get(this.#key(name));
            return known ? known[0] : "";
        }
        has(name) {
            return this.#map.has(this.#key(name));
        }
        set(name, value) {
            this.#map.set(this.#key(name), [String(value)]);
            this.#changed(this);
        }
        add(name, value) {
            this.#append(this.#key(name), String(value));
            this.#changed(this);
        }
        del(name) {
            this.#map.delete(this.#key(name));
            this.#changed(this);
        }
        values(name) {
            const known = this.#map.get(this.#key(name));
            return known ? known.slice() : [];
        }
        pairs() {
            const pairs = [];
            for (const [name, list] of this.#map) for (const value of list) pairs.push([name, value]);
            return pairs;
        }
        clone() {
            return new Values(this.pairs(), this.#key);
        }
        encode() {
            const pairs = this.pairs().sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
            return pairs.map(([name, value]) => escaped(name) + "=" + escaped(value)).join("&");
        }
        toJSON() {
            return Object.fromEntries(this.#map);
        }
    }

    const escaped = (text) =>
        encodeURIComponent(text)
            .replace(/[!'()*]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase())
            .replace(/%20/g, "+");

    const unescaped = (text) => {
        const plain = text.replace(/\+/g, " ");
        try {
            return decodeURIComponent(plain);
        } catch {
            return plain;
        }
    };

    /** `x-token` as `X-Token`. */
    const canonical = (name) =>
        String(name)
            .split("-")
            .map((part) => part.charAt(0).toUpperCase() + part.slice(1).toLowerCase())
            .join("-");

    const queryPairs = (raw) =>
        raw
            .split("&")
            .filter((part) => part !== "" && !part.includes(";"))
            .map((part) => {
                const at = part.indexOf("=");
                return at < 0 ? [unescaped(part), ""] : [unescaped(part.slice(0, at)), unescaped(part.slice(at + 1))];
            });

    const SAME_SITE = { 1: "", 2: "; SameSite=Lax", 3: "; SameSite=Strict", 4: "; SameSite=None" };

    class Cookie {
        constructor(data) {
            Object.assign(
                this,
                {
                    name: "", value: "", quoted: false, path: "", domain: "", expires: null, rawExpires: "", maxAge: 0,
                    secure: false, httpOnly: false, sameSite: 0, partitioned: false, raw: "", unparsed: [],
                },
                data || {},
            );
        }
        string() {
            if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(this.name)) return "";
            const value = String(this.value).replace(/[^\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e ,]/g, "");
            let text = this.name + "=" + (/[ ,]/.test(value) || this.quoted ? '"' + value + '"' : value);
            const clean = (part) => String(part).replace(/[;\x00-\x1f\x7f]/g, "");
            if (this.path) text += "; Path=" + clean(this.path);
            if (this.domain) text += "; Domain=" + clean(this.domain).replace(/^\./, "");
            const expires = this.expires && new Date(this.expires.string ? this.expires.string() : this.expires);
            if (expires && !Number.isNaN(expires.getTime())) text += "; Expires=" + expires.toUTCString();
            if (this.maxAge > 0) text += "; Max-Age=" + this.maxAge;
            else if (this.maxAge < 0) text += "; Max-Age=0";
            if (this.httpOnly) text += "; HttpOnly";
            if (this.secure) text += "; Secure";
            text += SAME_SITE[this.sameSite] || "";
            if (this.partitioned) text += "; Partitioned";
            return text;
        }
        valid() {
            return this.string() === "" ? new GoError("http: invalid Cookie.Name") : null;
        }
    }
    api.Cookie = Cookie;

    /** A cookie as a server sends it. */
    const parsedCookie = (text) => {
        const [first, ...rest] = text.split(";");
        const at = first.indexOf("=");
        if (at < 1) return null;
        const cookie = new Cookie({ name: first.slice(0, at).trim(), value: first.slice(at + 1).trim().replace(/^"(.*)"$/, "$1"), raw: text });
        for (const part of rest) {
            const [key, value = ""] = part.trim().split("=");
            switch (key.toLowerCase()) {
                case "path": cookie.path = value; break;
                case "domain": cookie.domain = value; break;
                case "expires": cookie.rawExpires = value; cookie.expires = new Date(value); break;
                case "max-age": cookie.maxAge = Number(value) > 0 ? Number(value) : -1; break;
                case "secure": cookie.secure = true; break;
                case "httponly": cookie.httpOnly = true; break;
                case "partitioned": cookie.partitioned = true; break;
                case "samesite": cookie.sameSite = { lax: 2, strict: 3, none: 4 }[value.toLowerCase()] || 1; break;
                default: cookie.unparsed.push(part.trim());
            }
        }
        return cookie;
    };

    Object.assign(host, { GoError, Reader, Values, canonical, queryPairs, parsedCookie });
})
