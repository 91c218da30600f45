// `Buffer`: bytes with the encodings and number formats of Node.
(function (host, api) {
    "use strict";

    const bytesOf = (text) => host.response.toBytes(text);
    const textOf = (bytes) => host.response.text(bytes);

    const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const SEXTETS = new Map([...ALPHABET].map((letter, index) => [letter, index]));
    SEXTETS.set("-", 62).set("_", 63);

    const fromBase64 = (text) => {
        const bytes = [];
        let bits = 0;
        let held = 0;
        for (const letter of text) {
            if (letter === "=") break;
            const sextet = SEXTETS.get(letter);
            if (sextet === undefined) continue;
            held = ((held << 6) | sextet) & 0xffff;
            bits += 6;
            if (bits >= 8) {
                bits -= 8;
                bytes.push((held >> bits) & 0xff);
            }
        }
        return bytes;
    };
    const toBase64 = (bytes, url) => {
        let text = "";
        for (let at = 0; at < bytes.length; at += 3) {
            const [a, b, c] = [bytes[at], bytes[at + 1], bytes[at + 2]];
            text += ALPHABET[a >> 2] + ALPHABET[((a & 3) << 4) | ((b ?? 0) >> 4)];
            text += b === undefined ? "=" : ALPHABET[((b & 15) << 2) | ((c ?? 0) >> 6)];
            text += c === undefined ? "=" : ALPHABET[c & 63];
        }
        return url ? text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "") : text;
    };
    const fromHex = (text) => {
        const bytes = [];
        for (let at = 0; at + 1 < text.length; at += 2) {
            const pair = text.slice(at, at + 2);
            if (!/^[0-9a-fA-F]{2}$/.test(pair)) break;
            bytes.push(parseInt(pair, 16));
        }
        return bytes;
    };
    const units = (bytes, mask) => {
        let text = "";
        for (const byte of bytes) text += String.fromCharCode(byte & mask);
        return text;
    };
    const letters = (text) => Array.from({ length: text.length }, (_, index) => text.charCodeAt(index) & 0xff);
    const wide = (text) => Array.from({ length: text.length * 2 }, (_, index) => (text.charCodeAt(index >> 1) >> (index % 2 === 0 ? 0 : 8)) & 0xff);

    const UTF8 = { encode: bytesOf, decode: textOf };
    const LATIN1 = { encode: letters, decode: (bytes) => units(bytes, 0xff) };
    const UTF16 = {
        encode: wide,
        decode(bytes) {
            let text = "";
            for (let at = 0; at + 1 < bytes.length; at += 2) text += String.fromCharCode(bytes[at] | (bytes[at + 1] << 8));
            return text;
        },
    };
    const ENCODINGS = new Map([
        ["utf8", UTF8], ["utf-8", UTF8], ["hex", { encode: fromHex, decode: (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("") }],
        ["base64", { encode: fromBase64, decode: (bytes) => toBase64(bytes, false) }], ["base64url", { encode: fromBase64, decode: (bytes) => toBase64(bytes, true) }],
        ["latin1", LATIN1], ["binary", LATIN1], ["ascii", { encode: letters, decode: (bytes) => units(bytes, 0x7f) }],
        ["utf16le", UTF16], ["utf-16le", UTF16], ["ucs2", UTF16], ["ucs-2", UTF16],
    ]);
    const encoding = (name) => {
        const found = ENCODINGS.get(String(name ?? "utf8").toLowerCase());
        if (found === undefined) throw new TypeError("Unknown encoding: " + name);
        return found;
    };
    const isBytes = (value) => ArrayBuffer.isView(value) && !(value instanceof DataView);
    const checked = (value) => {
        if (!isBytes(value)) throw new TypeError("a Buffer or Uint8Array is expected");
        return value;
    };
    const order = (a, b) => {
        const length = Math.min(a.length, b.length);
        for (let at = 0; at < length; at++) if (a[at] !== b[at]) return a[at] < b[at] ? -1 : 1;
        return Math.sign(a.length - b.length);
    };

    class Buffer extends Uint8Array {
        static from(value, second, third) {
            if (typeof value === "string") return copied(encoding(second).encode(value));
            if (Object.prototype.toString.call(value) === "[object ArrayBuffer]") return new Buffer(value, second ?? 0, third);
            if (value !== null && typeof value === "object") {
                if (value.type === "Buffer" && Array.isArray(value.data)) return copied(value.data);
                const inner = typeof value.valueOf === "function" ? value.valueOf() : value;
                if (typeof inner === "string" || (inner !== value && inner !== null && typeof inner === "object")) return Buffer.from(inner, second, third);
                if (typeof value.length === "number" || typeof value[Symbol.iterator] === "function") return copied(Array.from(value));
            }
            throw new TypeError("The first argument must be of type string or an instance of Buffer, ArrayBuffer, or Array or an Array-like Object.");
        }
        static of(...bytes) {
            return copied(bytes);
        }
        static alloc(size, fill, name) {
            const buffer = new Buffer(Number(size));
            return fill === undefined || fill === 0 ? buffer : buffer.fill(fill, name);
        }
        static allocUnsafe(size) {
            return Buffer.alloc(size);
        }
        static concat(list, total) {
            const length = total ?? list.reduce((sum, one) => sum + checked(one).length, 0);
            const joined = Buffer.alloc(length);
            let at = 0;
            for (const one of list) {
                if (at >= length) break;
                const part = one.length > length - at ? one.subarray(0, length - at) : one;
                joined.set(part, at);
                at += part.length;
            }
            return joined;
        }
        static isBuffer(value) {
            return value instanceof Buffer;
        }
        static isEncoding(name) {
            return typeof name === "string" && ENCODINGS.has(name.toLowerCase());
        }
        static byteLength(value, name) {
            return typeof value === "string" ? encoding(name).encode(value).length : value.byteLength;
        }
        static compare(a, b) {
            return order(checked(a), checked(b));
        }
        toString(name, start, end) {
            const from = Math.max(0, start ?? 0);
            const to = Math.min(this.length, end ?? this.length);
            return encoding(name).decode(from === 0 && to === this.length ? this : this.subarray(from, Math.max(from, to)));
        }
        toJSON() {
            return { type: "Buffer", data: Array.from(this) };
        }
        equals(other) {
            return order(this, checked(other)) === 0;
        }
        compare(other) {
            return order(this, checked(other));
        }
        slice(start, end) {
            return this.subarray(start, end);
        }
        copy(target, at, start, end) {
            const room = target.length - (at ?? 0);
            const part = this.subarray(start ?? 0, end ?? this.length);
            const copy = part.length > room ? part.subarray(0, Math.max(0, room)) : part;
            target.set(copy, at ?? 0);
            return copy.length;
        }
        fill(value, start, end, name) {
            const named = typeof start === "string" ? start : typeof end === "string" ? end : name;
            const from = typeof start === "number" ? start : 0;
            const to = typeof end === "number" ? end : this.length;
            if (typeof value === "number") return super.fill(value, from, to);
            const bytes = typeof value === "string" ? encoding(named).encode(value) : checked(value);
            for (let at = from; at < to && bytes.length > 0; at++) this[at] = bytes[(at - from) % bytes.length];
            return this;
        }
        write(text, at, length, name) {
            const named = [at, length, name].find((one) => typeof one === "string");
            const from = typeof at === "number" ? at : 0;
            const bytes = encoding(named).encode(String(text));
            const room = Math.min(this.length - from, typeof length === "number" ? length : bytes.length, bytes.length);
            for (let index = 0; index < room; index++) this[from + index] = bytes[index];
            return Math.max(0, room);
        }
        indexOf(value, from, name) {
            if (typeof value === "number") return super.indexOf(value & 0xff, from ?? 0);
            const bytes = typeof value === "string" ? encoding(name).encode(value) : checked(value);
            for (let at = Math.max(0, from ?? 0); at + bytes.length <= this.length; at++) {
                let same = true;
                for (let index = 0; index < bytes.length && same; index++) same = this[at + index] === bytes[index];
                if (same) return at;
            }
            return -1;
        }
        includes(value, from, name) {
            return this.indexOf(value, from, name) >= 0;
        }
    }

    const copied = (bytes) => {
        const buffer = new Buffer(bytes.length);
        for (let at = 0; at < bytes.length; at++) buffer[at] = bytes[at];
        return buffer;
    };

    const view = (buffer) => new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    const define = (name, work) => Object.defineProperty(Buffer.prototype, name, { value: work, writable: true, configurable: true });
    // readUInt16BE and the like, in both spellings.
    const numbers = [
        ["Int8", "Int8", 1], ["UInt8", "Uint8", 1], ["Int16", "Int16", 2], ["UInt16", "Uint16", 2], ["Int32", "Int32", 4], ["UInt32", "Uint32", 4],
        ["Float", "Float32", 4], ["Double", "Float64", 8], ["BigInt64", "BigInt64", 8], ["BigUInt64", "BigUint64", 8],
    ];
    for (const [name, kind, size] of numbers) {
        for (const end of size === 1 ? [""] : ["LE", "BE"]) {
            const read = function (at) {
                return view(this)["get" + kind](at ?? 0, end === "LE");
            };
            const write = function (value, at) {
                view(this)["set" + kind](at ?? 0, value, end === "LE");
                return (at ?? 0) + size;
            };
            for (const spelling of new Set([name, name.replace("UInt", "Uint")])) {
                define("read" + spelling + end, read);
                define("write" + spelling + end, write);
            }
        }
    }
    // Numbers of one to six bytes.
    const part = (buffer, at, length, end) => {
        const bytes = Array.from(buffer.subarray(at, at + length));
        if (bytes.length < length) throw new RangeError("Offset is outside of the bounds of the Buffer");
        return (end === "LE" ? bytes.reverse() : bytes).reduce((sum, byte) => sum * 256 + byte, 0);
    };
    for (const end of ["LE", "BE"]) {
        const read = function (at, length) {
            return part(this, at, length, end);
        };
        const readSigned = function (at, length) {
            const value = part(this, at, length, end);
            return value >= 2 ** (8 * length - 1) ? value - 2 ** (8 * length) : value;
        };
        const write = function (value, at, length) {
            if (at + length > this.length) throw new RangeError("Offset is outside of the bounds of the Buffer");
            let rest = value < 0 ? value + 2 ** (8 * length) : value;
            for (let index = 0; index < length; index++) {
                this[end === "LE" ? at + index : at + length - 1 - index] = rest % 256;
                rest = Math.floor(rest / 256);
            }
            return at + length;
        };
        define("readUInt" + end, read);
        define("readUint" + end, read);
        define("readInt" + end, readSigned);
        for (const name of ["writeUInt", "writeUint", "writeInt"]) define(name + end, write);
    }
    api.Buffer = Buffer;
})
