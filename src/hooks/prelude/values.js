// Texts and bytes of values, and bodies that are read into a script's objects.
(function (host, api) {
    "use strict";

    const { Reader } = host;

    const isBytes = (value) => value instanceof Uint8Array || Object.prototype.toString.call(value) === "[object Uint8Array]";

    /** What the natives take for bytes. */
    host.bytes = (value, max) => {
        if (value === null || value === undefined) return new Uint8Array(0);
        if (value instanceof Reader) return value.take(max || 0);
        if (typeof value === "string" || isBytes(value) || Array.isArray(value)) return value;
        if (value instanceof ArrayBuffer) return new Uint8Array(value);
        return api.toString(value);
    };

    const utf8 = (bytes) => host.response.text(bytes);

    api.toString = (value, max) => {
        if (value === null || value === undefined) return "";
        if (value instanceof Reader) return utf8(value.take(max || 0));
        if (isBytes(value)) return utf8(value);
        switch (typeof value) {
            case "string": return value;
            case "number":
            case "boolean":
            case "bigint": return String(value);
        }
        if (!Array.isArray(value) && typeof value.string === "function") return value.string();
        if (value instanceof Error) return value.message;
        return host.response.jsonText(value);
    };

    api.toBytes = (value, max) => {
        const bytes = host.bytes(value, max);
        return isBytes(bytes) ? bytes : host.response.toBytes(bytes);
    };

    api.readerToString = (reader, max) => api.toString(reader, max);

    /** Reads a request's body into an object of the script. */
    host.bind = (target, request, fields, texts) => {
        const type = request.header.get("content-type").toLowerCase();
        if (type.startsWith("application/json") || typeof target.load === "function") {
            const values = fields();
            if (typeof target.load === "function") target.load(values);
            else if (api.unmarshal) api.unmarshal(values, target);
            else Object.assign(target, values);
            return;
        }
        if (!type.startsWith("multipart/form-data") && !type.startsWith("application/x-www-form-urlencoded")) {
            throw new api.BadRequestError("Unsupported Content-Type");
        }
        const lists = new Map();
        for (const [name, text] of texts()) {
            if (name === "@jsonPayload") {
                if (api.unmarshal) api.unmarshal(JSON.parse(text), target);
                else Object.assign(target, JSON.parse(text));
                continue;
            }
            if (!(name in target)) continue;
            const known = lists.get(name);
            if (known) known.push(text);
            else lists.set(name, [text]);
        }
        for (const [name, list] of lists) target[name] = list.length === 1 && !Array.isArray(target[name]) ? list[0] : list;
    };
})
