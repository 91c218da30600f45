// The object `e` of handlers.
(function (host, api) {
    "use strict";

    const native = host.event;
    const ask = host.request;
    const tell = host.response;
    const { Reader, Values, canonical, queryPairs } = host;

    /** Objects that belong to one `e`, made once. */
    const once = (event, key, make) => {
        let value = event[key];
        if (value === undefined) {
            value = make();
            Object.defineProperty(event, key, { value, writable: true, configurable: true });
        }
        return value;
    };
    const REQUEST = Symbol("request");
    const RESPONSE = Symbol("response");
    const AUTH = Symbol("auth");
    const INFO = Symbol("info");

    const info = (event) => once(event, INFO, () => ask.info.call(event));

    class Address {
        constructor(raw) {
            const at = raw.indexOf("?");
            const path = at < 0 ? raw : raw.slice(0, at);
            let decoded = path;
            try {
                decoded = decodeURIComponent(path);
            } catch {
                // stays as it was sent
            }
            const parts = { scheme: "", opaque: "", user: null, host: "", path: decoded, fragment: "", rawFragment: "", forceQuery: false };
            Object.assign(this, parts, { rawPath: encodeURI(decoded) === path ? "" : path, rawQuery: at < 0 ? "" : raw.slice(at + 1) });
            this.raw = path;
            Object.defineProperty(this, "raw", { enumerable: false });
        }
        query() {
            return new Values(queryPairs(this.rawQuery));
        }
        escapedPath() {
            return this.raw;
        }
        requestURI() {
            return this.raw + (this.rawQuery === "" ? "" : "?" + this.rawQuery);
        }
        string() {
            return this.requestURI();
        }
        isAbs() {
            return false;
        }
        hostname() {
            return "";
        }
        port() {
            return "";
        }
        toString() {
            return this.requestURI();
        }
    }

    class Request {
        #event;
        #form = null;
        #values;
        constructor(event) {
            this.#event = event;
            const known = info(event);
            this.method = known.method;
            this.url = new Address(known.url);
            this.requestURI = known.url;
            this.header = new Values(known.headers, canonical, (header) => ask.setHeaders.call(event, header.pairs()));
            this.host = this.header.get("host");
            this.remoteAddr = known.remoteIP.includes(":") ? `[${known.remoteIP}]:0` : known.remoteIP + ":0";
            this.pattern = known.pattern;
            this.contentLength = known.length;
            this.proto = "HTTP/1.1";
            this.protoMajor = 1;
            this.protoMinor = 1;
            this.tls = null;
            this.body = new Reader(() => ask.body.call(event), true);
            this.#values = new Map(known.pathValues);
        }
        pathValue(name) {
            return this.#values.get(String(name)) ?? "";
        }
        setPathValue(name, value) {
            this.#values.set(String(name), String(value));
            ask.setPathValue.call(this.#event, name, value);
        }
        #parts() {
            this.#form ??= ask.form.call(this.#event);
            return this.#form;
        }
        get form() {
            return new Values(this.#parts()[0].concat(queryPairs(this.url.rawQuery)));
        }
        get postForm() {
            return new Values(this.#parts()[0]);
        }
        parseForm() {
            this.#parts();
        }
        parseMultipartForm() {
            this.#parts();
        }
        formValue(name) {
            return this.form.get(name);
        }
        postFormValue(name) {
            return this.postForm.get(name);
        }
        files(name) {
            return this.#parts()[1].filter(([known]) => known === name).map(([, file]) => file);
        }
        formFile(name) {
            const [file] = this.files(name);
            if (!file) throw host.failure.host("http: no such file");
            return [file.reader.open(), file];
        }
        cookies() {
            const pairs = this.header.values("cookie").join("; ").split(/;\s*/);
            return pairs
                .filter((pair) => pair.includes("="))
                .map((pair) => {
                    const at = pair.indexOf("=");
                    return new api.Cookie({ name: pair.slice(0, at).trim(), value: pair.slice(at + 1).replace(/^"(.*)"$/, "$1") });
                });
        }
        cookiesNamed(name) {
            return this.cookies().filter((cookie) => cookie.name === name);
        }
        cookie(name) {
            const [cookie] = this.cookiesNamed(name);
            if (!cookie) throw host.failure.host("http: named cookie not present");
            return cookie;
        }
        userAgent() {
            return this.header.get("user-agent");
        }
        referer() {
            return this.header.get("referer");
        }
        basicAuth() {
            const [kind, value] = this.header.get("authorization").split(" ");
            if (!value || kind.toLowerCase() !== "basic") return ["", "", false];
            let text;
            try {
                text = atob(value);
            } catch {
                return ["", "", false];
            }
            const at = text.indexOf(":");
            return at < 0 ? ["", "", false] : [text.slice(0, at), text.slice(at + 1), true];
        }
        protoAtLeast(major, minor) {
            return major < 1 || (major === 1 && minor <= 1);
        }
    }

    class ResponseHeader {
        #event;
        constructor(event) {
            this.#event = event;
        }
        #named(name) {
            const wanted = String(name).toLowerCase();
            return tell.headers.call(this.#event).filter(([known]) => known.toLowerCase() === wanted);
        }
        get(name) {
            const [first] = this.#named(name);
            return first ? first[1] : "";
        }
        values(name) {
            return this.#named(name).map(([, value]) => value);
        }
        has(name) {
            return this.#named(name).length > 0;
        }
        set(name, value) {
            tell.setHeader.call(this.#event, canonical(name), value);
        }
        add(name, value) {
            tell.addHeader.call(this.#event, canonical(name), value);
        }
        del(name) {
            tell.deleteHeader.call(this.#event, name);
        }
        clone() {
            return new Values(tell.headers.call(this.#event), canonical);
        }
        toJSON() {
            return this.clone().toJSON();
        }
    }

    class Response {
        #event;
        #header;
        constructor(event) {
            this.#event = event;
            this.#header = new ResponseHeader(event);
        }
        header() {
            return this.#header;
        }
        writeHeader(status) {
            tell.begin.call(this.#event, status);
        }
        write(body) {
            return tell.write.call(this.#event, host.bytes(body));
        }
        written() {
            return tell.written.call(this.#event);
        }
        status() {
            return tell.status.call(this.#event);
        }
        flush() {}
    }

    class RequestInfo {
        constructor(data) {
            Object.assign(this, { query: {}, headers: {}, body: {}, auth: null, method: "", context: "default" }, data || {});
        }
        hasSuperuserAuth() {
            return this.auth !== null && this.auth !== undefined && this.auth.isSuperuser();
        }
        clone() {
            return new RequestInfo({
                ...this,
                query: { ...this.query },
                headers: { ...this.headers },
                body: { ...this.body },
                auth: this.auth && this.auth.fresh ? this.auth.fresh() : this.auth,
            });
        }
    }
    api.RequestInfo = RequestInfo;

    /** `X-Token` as `x_token`. */
    const snake = (name) => name.toLowerCase().replace(/[^a-z0-9]+/g, "_");

    const requestInfo = (event) => {
        const kept = ask.kept.call(event);
        if (!kept.info) {
            const known = info(event);
            const headers = {};
            for (const [name, value] of known.headers) headers[snake(name)] ??= value;
            kept.info = new RequestInfo({
                query: known.query,
                headers,
                body: ask.fields.call(event),
                method: known.method,
                context: known.context,
            });
        }
        kept.info.auth = event.auth;
        const context = kept.store && kept.store.infoContext;
        if (context) kept.info.context = context;
        return kept.info;
    };

    const store = (event) => {
        const kept = ask.kept.call(event);
        kept.store ??= Object.create(null);
        return kept.store;
    };

    const XML_TYPES = (value) => {
        switch (typeof value) {
            case "string": return "string";
            case "boolean": return "bool";
            case "number": return Number.isInteger(value) ? "int64" : "float64";
            default: return null;
        }
    };
    const XML_ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;" };
    const xml = (value) => {
        if (value === null || value === undefined) return "";
        if (Array.isArray(value)) return value.map(xml).join("");
        const type = XML_TYPES(value);
        if (type === null) throw host.failure.host("xml: unsupported type: map[string]interface {}");
        return `<${type}>${String(value).replace(/[&<>"'\t\n\r]/g, (c) => XML_ENTITIES[c])}</${type}>`;
    };

    const KINDS = /^(?:Record|Collection|Model)(Validate|Create|Update|Delete|AfterCreate|AfterUpdate|AfterDelete)/;

    class Event {
        next() {
            native.next.call(this);
            if (this[AUTH] !== undefined) this[AUTH] = undefined;
            return null;
        }
        get app() {
            return host.app.object;
        }
        /** What happens: create, update, delete or validate. */
        get type() {
            const found = KINDS.exec(native.kind.call(this));
            return found ? found[1].replace("After", "").toLowerCase() : undefined;
        }
        get model() {
            return native.get.call(this, "record") ?? native.get.call(this, "collection");
        }
        tags() {
            return native.tags.call(this);
        }

        get request() {
            return once(this, REQUEST, () => (native.hasRequest.call(this) ? new Request(this) : undefined));
        }
        get response() {
            return once(this, RESPONSE, () => (native.hasRequest.call(this) ? new Response(this) : undefined));
        }
        get requestEvent() {
            return native.hasRequest.call(this) ? this : undefined;
        }
        get requestInfo() {
            if (native.kind.call(this) === "RecordEnrich") return requestInfo(this);
            return () => requestInfo(this);
        }
        get auth() {
            return once(this, AUTH, () => (native.hasRequest.call(this) ? ask.auth.call(this) : null));
        }
        set auth(record) {
            ask.setAuth.call(this, record);
            Object.defineProperty(this, AUTH, { value: record ?? null, writable: true, configurable: true });
        }
        hasSuperuserAuth() {
            return ask.isSuperuser.call(this);
        }
        realIP() {
            return info(this).realIP;
        }
        remoteIP() {
            return info(this).remoteIP;
        }
        isTLS() {
            return false;
        }
        bindBody(target) {
            if (info(this).length === 0) return;
            host.bind(target, this.request, () => ask.fields.call(this), () => ask.form.call(this)[0]);
        }
        findUploadedFiles(name) {
            const files = this.request.files(name);
            if (files.length === 0) throw host.failure.host("http: no such file");
            return files;
        }

        get(name) {
            return store(this)[name] ?? null;
        }
        set(name, value) {
            store(this)[name] = value;
        }
        getAll() {
            return { ...store(this) };
        }
        setAll(values) {
            Object.assign(store(this), values);
        }
        remove(name) {
            delete store(this)[name];
        }

        written() {
            return tell.written.call(this);
        }
        status() {
            return tell.status.call(this);
        }
        flush() {}
        setCookie(cookie) {
            const text = (cookie instanceof api.Cookie ? cookie : new api.Cookie(cookie)).string();
            if (text !== "") tell.addHeader.call(this, "Set-Cookie", text);
        }

        json(status, value) {
            tell.json.call(this, status, value);
            return null;
        }
        string(status, text) {
            tell.send.call(this, status, "text/plain; charset=utf-8", String(text ?? ""));
            return null;
        }
        html(status, text) {
            tell.send.call(this, status, "text/html; charset=utf-8", String(text ?? ""));
            return null;
        }
        xml(status, value) {
            tell.send.call(this, status, "application/xml; charset=utf-8", '<?xml version="1.0" encoding="UTF-8"?>\n' + xml(value));
            return null;
        }
        blob(status, type, body) {
            tell.send.call(this, status, type, host.bytes(body));
            return null;
        }
        stream(status, type, reader) {
            tell.setHeader.call(this, "Content-Type", type);
            tell.send.call(this, status, type, host.bytes(reader));
            return null;
        }
        noContent(status) {
            tell.begin.call(this, status);
            return null;
        }
        redirect(status, url) {
            if (!(status >= 300 && status <= 399)) throw new api.InternalServerError("Invalid redirect status code");
            tell.setHeader.call(this, "Location", url);
            tell.begin.call(this, status);
            return null;
        }
        fileFS(folder, name) {
            host.serveFile(this, folder, name, false);
            return null;
        }

        error(status, message, data) {
            return new api.ApiError(status, message, data);
        }
        badRequestError(message, data) {
            return new api.BadRequestError(message, data);
        }
        notFoundError(message, data) {
            return new api.NotFoundError(message, data);
        }
        forbiddenError(message, data) {
            return new api.ForbiddenError(message, data);
        }
        unauthorizedError(message, data) {
            return new api.UnauthorizedError(message, data);
        }
        tooManyRequestsError(message, data) {
            return new api.TooManyRequestsError(message, data);
        }
        internalServerError(message, data) {
            return new api.InternalServerError(message, data);
        }
    }

    Object.defineProperty(Event.prototype, "fileField", {
        configurable: true,
        get() {
            const field = native.get.call(this, "field");
            return typeof field === "string" && this.collection ? this.collection.fields.getByName(field) : field;
        },
    });

    const MESSAGE = Symbol("message");
    // What events carry: the property, and the slot where that has another name.
    const SLOTS = {
        record: "", records: "", result: "", collection: "", collections: "", settings: "", meta: "", token: "", identity: "",
        password: "", otp: "", subscriptions: "", batch: "", exclude: "", message: "mail", name: "filename",
        oldSettings: "old_settings", newSettings: "new_settings", authMethod: "auth_method", identityField: "identity_field",
        newEmail: "new_email", idleTimeout: "idle_timeout_s", servedPath: "served_path", servedName: "served_name",
        collectionsData: "collections_data", deleteMissing: "delete_missing", isRestart: "is_restart",
    };
    for (const [property, other] of Object.entries(SLOTS)) {
        const [get, set] = native.slot(property, other);
        // A mail as it is, a message to a client with methods.
        const message = function () {
            const mail = native.get.call(this, other);
            const own = mail === undefined ? get.call(this) : mail;
            return mail !== undefined || own === undefined ? own : once(own, MESSAGE, () => host.realtimeMessage(own));
        };
        Object.defineProperty(Event.prototype, property, { configurable: true, get: property === "message" ? message : get, set });
    }

    const CLIENT = Symbol("client");
    Object.defineProperty(Event.prototype, "client", {
        configurable: true,
        get() {
            const id = native.get.call(this, "client");
            return id === undefined ? undefined : once(this, CLIENT, () => host.realtimeClient(id));
        },
    });

    host.eventPrototype = Event.prototype;
})
