// The last file: what all scripts share cannot be changed by one of them.
(function (host, api) {
    "use strict";

    const seen = new Set();
    const ahead = [];
    const add = (value) => {
        const isObject = (typeof value === "object" && value !== null) || typeof value === "function";
        if (isObject && !seen.has(value)) {
            seen.add(value);
            ahead.push(value);
        }
    };
    for (const key of Reflect.ownKeys(api)) {
        add(api[key]);
    }
    for (const key of Reflect.ownKeys(host)) {
        add(host[key]);
    }
    // What literals and built-in functions of this scope inherit from.
    for (const value of [[], {}, () => 0, function* () {}, async () => 0, /x/, new Map(), new Set(), new Date(),
        new Error(), Promise.resolve(), 0, "", true, Symbol(), 0n, new Uint8Array(), new ArrayBuffer(0), new DataView(new ArrayBuffer(0)),
        new WeakMap(), new WeakSet(), async function* () {}, (function* () {})(), (async function* () {})(), (function () { return arguments; })(),
        [].values(), new Map().values(), new Set().values(), ""[Symbol.iterator](), "".matchAll(/x/g), new Uint8Array().values(),
        new URLSearchParams().entries(), new URL("http://a"), new TextEncoder(), new TextDecoder()]) {
        add(Object.getPrototypeOf(Object(value)));
    }
    while (ahead.length > 0) {
        const object = ahead.pop();
        add(Object.getPrototypeOf(object));
        for (const key of Reflect.ownKeys(object)) {
            const property = Object.getOwnPropertyDescriptor(object, key);
            add(property.value);
            add(property.get);
            add(property.set);
        }
        // The elements of a typed array cannot be frozen.
        if (ArrayBuffer.isView(object)) {
            Object.preventExtensions(object);
        } else {
            Object.freeze(object);
        }
    }
})
