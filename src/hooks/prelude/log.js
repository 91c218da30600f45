// `console` and `log`.
(function (host, api) {
    "use strict";

    const write = host.log.write;
    const LABELS_MAX = 1000;
    const begun = new Map();
    const counts = new Map();

    // Scripts share this object, not their labels.
    const own = (label) => host.log.script() + ":" + (label === undefined ? "default" : label);
    const keep = (map, key, value) => {
        if (map.size < LABELS_MAX || map.has(key)) {
            map.set(key, value);
        }
    };

    const console = {};
    for (const [name, level] of [
        ["log", "info"], ["info", "info"], ["debug", "debug"], ["trace", "debug"], ["warn", "warn"],
        ["error", "error"], ["dir", "info"], ["table", "info"], ["group", "info"], ["groupCollapsed", "info"],
    ]) {
        console[name] = (...values) => write(level, ...values);
    }
    console.groupEnd = () => undefined;
    console.clear = () => undefined;
    console.assert = (condition, ...values) => {
        if (!condition) {
            write("error", "Assertion failed", ...values);
        }
    };
    console.time = (label) => keep(begun, own(label), Date.now());
    const elapsed = (label, values) => {
        const from = begun.get(own(label));
        if (from !== undefined) {
            write("info", (label === undefined ? "default" : label) + ": " + (Date.now() - from) + " ms", ...values);
        }
    };
    console.timeLog = (label, ...values) => elapsed(label, values);
    console.timeEnd = (label) => {
        elapsed(label, []);
        begun.delete(own(label));
    };
    console.count = (label) => {
        const count = (counts.get(own(label)) || 0) + 1;
        keep(counts, own(label), count);
        write("info", (label === undefined ? "default" : label) + ": " + count);
    };
    console.countReset = (label) => {
        counts.delete(own(label));
    };

    api.console = console;
    api.log = (...values) => write("info", ...values);
})
