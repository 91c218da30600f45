// Tells everybody of new posts, and counts them.
//
// The events go to the topic "posts": clients follow it at GET /api/events/posts, scripts with
// pubsub.subscribe("posts", ...). Without a collection "posts" this handler is never called.

const counter = require("counter");
const log = require("logger")("posts");

onRecordAfterCreateSuccess((e) => {
    e.next();
    const post = e.record;
    const number = counter.inc("posts");
    log.debug("post number", number, post.id);
    pubsub.publish("posts", {
        type: "post_created",
        id: post.id,
        author: post.get("user") || post.get("author") || null,
        number,
    });
}, "posts");
