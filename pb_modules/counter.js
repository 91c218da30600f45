// A counter per name, one for all scripts. It begins anew when the server does.
//
//     const counter = require("counter");
//     counter.inc("posts");        // 1, 2, 3 ...
//     counter.inc("bytes", 512);   // by more than one
//     counter.get("posts");
//     counter.reset("posts");

const counts = new Map();

exports.inc = (name = "default", by = 1) => {
    const count = (counts.get(name) || 0) + by;
    counts.set(name, count);
    return count;
};

exports.get = (name = "default") => counts.get(name) || 0;

exports.reset = (name = "default") => counts.delete(name);

exports.all = () => Object.fromEntries(counts);
