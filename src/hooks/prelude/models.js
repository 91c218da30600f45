// Models that scripts shape, and host values that need a class.
(function (host, api) {
    "use strict";

    // What an error of the host holds.
    class GoValue {
        toString() {
            return this.error();
        }
    }
    GoValue.prototype.error = host.failure.error;
    GoValue.prototype.toJSON = host.failure.json;
    GoValue.prototype.marshalJSON = function () {
        return JSON.stringify(this);
    };
    host.goValuePrototype = GoValue.prototype;

    // The value of a JSON field: its text, to be parsed by the script.
    class JSONRaw {
        #text;
        constructor(text) {
            this.#text = text;
        }
        string() {
            return this.#text;
        }
        toString() {
            return this.#text;
        }
        toJSON() {
            return this.#text === "" ? null : JSON.parse(this.#text);
        }
        get length() {
            return this.#text.length;
        }
    }
    host.makeRaw = (text) => new JSONRaw(text);

    // Plain data of whatever a script gives: what JSON would carry.
    const plain = (value) => {
        const text = JSON.stringify(value);
        return text === undefined ? null : JSON.parse(text);
    };
    host.plain = plain;

    const typeOf = (value) => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value);

    // Members of a model that may be null, by their type.
    class Nullable {
        #value = null;
        constructor(type) {
            this.type = type;
            Object.defineProperty(this, "type", { enumerable: false });
        }
        /** Takes what a query gave. */
        fill(value) {
            const known = value !== null && value !== undefined;
            const convert = { string: String, int: Number, float: Number, bool: (given) => given === true || given === 1 }[this.type];
            this.#value = known && convert ? convert(value) : value ?? null;
        }
        string() {
            return this.#value === null ? "" : String(this.#value);
        }
        toString() {
            return this.string();
        }
        valueOf() {
            return this.#value;
        }
        toJSON() {
            return this.#value;
        }
    }
    host.isNullable = (value) => value instanceof Nullable;
    for (const [name, type] of [["nullString", "string"], ["nullInt", "int"], ["nullFloat", "float"], ["nullBool", "bool"], ["nullArray", "array"], ["nullObject", "object"]]) {
        api[name] = () => new Nullable(type);
    }

    // A map whose members are no properties.
    class JSONMap {
        #members;
        constructor(members) {
            this.#members = { ...members };
        }
        get(key) {
            return Object.hasOwn(this.#members, key) ? this.#members[key] : null;
        }
        set(key, value) {
            this.#members[key] = value;
        }
        has(key) {
            return Object.hasOwn(this.#members, key);
        }
        string() {
            return JSON.stringify(this.#members);
        }
        toString() {
            return this.string();
        }
        toJSON() {
            return this.#members;
        }
    }

    const shapeOf = (value) => {
        if (value instanceof Nullable) return { type: value.type, nullable: true };
        switch (typeOf(value)) {
            case "number": return { type: Number.isInteger(value) && !Object.is(value, -0) ? "int" : "float" };
            case "boolean": return { type: "bool" };
            case "string": return { type: "string" };
            case "array": return { type: "array" };
            default: return { type: "object" };
        }
    };

    const wrong = (what, type) => new TypeError(`converting ${what} to ${type} is unsupported`);

    // A value as the member of a model holds it. `lenient`: as assignments of scripts convert, not as rows and JSON do.
    const fit = (shape, value, lenient) => {
        if (value === null || value === undefined) {
            if (shape.nullable) return null;
            if (!lenient) throw wrong("NULL", shape.type);
            return shape.type === "array" ? [] : shape.type === "object" ? new JSONMap({}) : zero(shape.type);
        }
        const kind = typeOf(value);
        switch (shape.type) {
            case "string":
                if (kind === "string") return value;
                if (kind === "object" || kind === "array") return lenient ? JSON.stringify(value) : unfit(value, shape);
                return String(value);
            case "bool":
                if (kind === "boolean") return value;
                if (kind === "number") return value !== 0;
                if (kind === "string") {
                    if (["1", "t", "T", "true", "TRUE", "True"].includes(value)) return true;
                    if (["0", "f", "F", "false", "FALSE", "False"].includes(value)) return false;
                    if (lenient) return value !== "";
                }
                return unfit(value, shape);
            case "int":
            case "float": {
                const number = kind === "string" && value.trim() !== "" ? Number(value) : kind === "boolean" ? Number(value) : value;
                if (typeof number !== "number" || Number.isNaN(number)) return lenient ? 0 : unfit(value, shape);
                if (shape.type === "float" || Number.isInteger(number)) return number;
                return lenient ? Math.trunc(number) : unfit(value, shape);
            }
            case "array": {
                const list = kind === "string" ? parsed(value, []) : kind === "object" ? plain(value) : value;
                return Array.isArray(list) ? Array.from(list) : unfit(value, shape);
            }
            default: {
                if (value instanceof JSONMap) return value;
                const members = kind === "string" ? parsed(value, {}) : plain(value);
                if (members === null) return shape.nullable ? null : new JSONMap({});
                return typeOf(members) === "object" ? new JSONMap(members) : unfit(value, shape);
            }
        }
    };
    const parsed = (text, empty) => (text === "" ? empty : JSON.parse(text));
    const zero = (type) => ({ string: "", bool: false, int: 0, float: 0 })[type];
    const unfit = (value, shape) => {
        throw new TypeError(`cannot convert ${JSON.stringify(value)} to ${shape.type}`);
    };

    // Assignments to unknown members fail also in code that is not strict.
    const guard = new Proxy({}, {
        set(target, key) {
            throw new TypeError(`Cannot assign to property ${String(key)} of a host object`);
        },
    });

    const FILL = Symbol("fill");
    const FRESH = Symbol("fresh");

    class DynamicModel {
        constructor(example) {
            const given = example instanceof DynamicModel ? { ...example } : example;
            if (typeOf(given) !== "object" || Object.keys(given).length === 0) {
                throw new TypeError("[DynamicModel] missing shape data");
            }
            const shapes = {};
            const held = {};
            for (const key of Object.keys(given).sort()) {
                const shape = shapeOf(given[key]);
                shapes[key] = shape;
                held[key] = shape.nullable ? null : fit(shape, given[key], true);
                Object.defineProperty(this, key, {
                    enumerable: true,
                    get: () => held[key],
                    set: (value) => {
                        held[key] = fit(shape, value, true);
                    },
                });
            }
            // Takes over the members of plain data that the model knows.
            Object.defineProperty(this, FILL, {
                value: (data) => {
                    for (const key of Object.keys(data)) {
                        if (shapes[key] !== undefined) held[key] = fit(shapes[key], data[key], false);
                    }
                },
            });
            Object.defineProperty(this, FRESH, { value: () => new DynamicModel(given) });
            Object.preventExtensions(this);
        }
    }
    Object.setPrototypeOf(DynamicModel.prototype, guard);
    api.DynamicModel = DynamicModel;

    // A list of values like an example. What it gives by map and the like are plain lists.
    const EXAMPLE = Symbol("example");
    class List extends Array {
        static get [Symbol.species]() {
            return Array;
        }
    }
    const listOf = (example) => {
        const list = new List();
        Object.defineProperty(list, EXAMPLE, { value: example });
        return list;
    };
    api.arrayOf = (example) => listOf(example);
    host.isList = (value) => value instanceof List;

    /** A new value like the example of a list, with this data. */
    const made = (example, data) => {
        if (example instanceof DynamicModel) {
            const model = example[FRESH]();
            model[FILL](data);
            return model;
        }
        if (host.assignTo && host.isModel(example)) return host.assignTo(host.blankLike(example), data);
        return example === undefined || example === null ? data : fit(shapeOf(example), data, false);
    };
    host.listExample = (list) => list[EXAMPLE];
    host.fillList = (list, items) => {
        list.length = 0;
        for (const item of items) list.push(made(list[EXAMPLE], item));
    };

    /** Puts plain data into what a script gave for it. Gives whether that can take any. */
    host.fill = (target, data) => {
        if (target instanceof DynamicModel) {
            if (typeOf(data) === "object") target[FILL](data);
            else if (data !== null) throw new TypeError("cannot fill a model with what is no object");
            return true;
        }
        if (target instanceof List) {
            if (!Array.isArray(data)) throw new TypeError("cannot fill a list with what is no list");
            host.fillList(target, data);
            return true;
        }
        if (target instanceof JSONMap) {
            for (const key of Object.keys(data)) target.set(key, data[key]);
            return true;
        }
        if (host.isModel(target)) {
            host.assignTo(target, data);
            return true;
        }
        return false;
    };

    api.unmarshal = (data, target) => {
        const text = data instanceof JSONRaw ? data.string() : null;
        host.fill(target, text === null ? plain(data) : JSON.parse(text));
    };

    // Values by keys, one inside another.
    class Context {
        #outer;
        #key;
        #value;
        constructor(outer, key, value) {
            this.#outer = outer ?? null;
            this.#key = key;
            this.#value = value;
        }
        value(key) {
            if (this.#key !== undefined && this.#key === key) return this.#value;
            return this.#outer === null ? null : this.#outer.value(key);
        }
    }
    api.Context = Context;

    class SubscriptionMessage {
        constructor(members) {
            this.name = "";
            this.data = "";
            Object.assign(this, members);
        }
    }
    api.SubscriptionMessage = SubscriptionMessage;
})
