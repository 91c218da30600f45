// Every tenth post of a user is worth a reward.
//
// The reward is a record of the collection "rewards" ({user, reason, points}) if there is one, written in the transaction
// of the post: both count, or neither. In any case the topic "rewards" tells of it. Without a collection "posts" this
// handler is never called.

const EVERY = 10;
const POINTS = 100;
const log = require("logger")("rewards");

onRecordCreate((e) => {
    e.next();
    const post = e.record;
    const field = ["user", "author"].find((name) => post.get(name));
    if (!field) {
        return;
    }
    const user = post.get(field);
    const count = db.count("posts", `${field} = {:user}`, { user });
    if (count.error || count % EVERY !== 0) {
        return;
    }
    const reward = db.create("rewards", { user, reason: `${count} posts`, points: POINTS });
    if (reward.error) {
        log.debug("no reward is stored:", reward.error);
    }
    pubsub.publish("rewards", { user, posts: count, points: POINTS });
}, "posts");
