// Log lines with a prefix and a level.
//
//     const log = require("logger")("rewards");
//     log.info("a reward", { user: "ann" });   // [rewards] a reward { user: "ann" }
//     log.level("warn");                       // only warnings and errors from here on, for this logger

const LEVELS = ["debug", "info", "warn", "error"];

module.exports = (prefix) => {
    let lowest = 0;
    const logger = {
        level(name) {
            lowest = Math.max(0, LEVELS.indexOf(name));
        },
    };
    LEVELS.forEach((level, rank) => {
        logger[level] = (...values) => {
            if (rank >= lowest) {
                console[level](`[${prefix}]`, ...values);
            }
        };
    });
    return logger;
};
