// Every night at three (UTC): removes drafts that nobody has touched for 30 days.
//
// Drafts are records of "posts" whose field "draft" is true. Where there is no such collection or field, there is
// nothing to do, and the job says so in the log at level debug.

const DAYS = 30;
const BATCH = 200;
const log = require("logger")("nightly");

function removeOldDrafts(days = DAYS) {
    const before = new Date(Date.now() - days * 86400000).toISOString().replace("T", " ");
    const old = db.findAll("posts", "draft = true && updated < {:before}", "updated", BATCH, 0, { before });
    if (old.error) {
        log.debug("nothing to do:", old.error);
        return 0;
    }
    const removed = old.filter((post) => !db.delete("posts", post.id).error).length;
    if (removed > 0) {
        log.info("removed", removed, "old drafts");
    }
    return removed;
}

cronAdd("remove-old-drafts", "0 3 * * *", () => removeOldDrafts());
