// A cache with a time to live and a bound: the entry that was not used for longest makes room.
//
//     const cache = require("cache");
//     const stats = cache.remember("stats", 30, () => compute());   // computed at most every 30 seconds
//     cache.set("key", value, 60);
//     cache.get("key");      // undefined when it is over
//     cache.forget("key");

const ENTRIES_MAX = 1000;
// In the order of their last use.
const entries = new Map();

const now = () => Date.now();

exports.get = (key) => {
    const entry = entries.get(key);
    if (!entry) {
        return undefined;
    }
    entries.delete(key);
    if (entry.ends <= now()) {
        return undefined;
    }
    entries.set(key, entry);
    return entry.value;
};

exports.set = (key, value, seconds = 60) => {
    entries.delete(key);
    if (entries.size >= ENTRIES_MAX) {
        entries.delete(entries.keys().next().value);
    }
    entries.set(key, { value, ends: now() + seconds * 1000 });
    return value;
};

exports.remember = (key, seconds, make) => {
    const known = exports.get(key);
    return known === undefined ? exports.set(key, make(), seconds) : known;
};

exports.forget = (key) => entries.delete(key);

exports.size = () => entries.size;
