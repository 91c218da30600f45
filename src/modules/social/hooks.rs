//! What happens inside the writes of posts, likes and comments.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value as Json, json};

use super::{COMMENTS, Error, LIKES, POSTS, TOPIC};
use crate::engine::{self, Next, Op, RecordEvent, RecordHook, Stage};
use crate::live::{Live, Notification, Publication};
use crate::model::{Collection, Record, Value};
use crate::modules::{AHEAD_OF_SCRIPTS, keep, owner_of};
use crate::store::records;
use crate::store::search::Condition;

const LIKES_COUNT: &str = "likesCount";
const COMMENTS_COUNT: &str = "commentsCount";

/// Writes of posts.
pub(super) struct Posts {
    live: Live,
}

/// Writes of likes.
pub(super) struct Likes {
    live: Live,
}

/// Writes of comments.
pub(super) struct Comments {
    live: Live,
}

impl Posts {
    pub(super) fn new(live: Live) -> Self {
        Self { live }
    }

    /// The owner is the caller; counters begin at 0 and are changed by [`count`] alone.
    fn complete(event: &mut RecordEvent<'_>) -> Result<(), Error> {
        if event.op == Op::Create {
            own(event)?;
            event.record.set(LIKES_COUNT, Value::Number(0.0));
            event.record.set(COMMENTS_COUNT, Value::Number(0.0));
        } else if event.request.is_some() {
            // Those of superusers are not left out of the body.
            keep(&mut event.record, &[LIKES_COUNT, COMMENTS_COUNT]);
        }
        Ok(())
    }

    fn tell(&self, event: &mut RecordEvent<'_>, was_public: bool) -> Result<(), engine::Error> {
        let post = &event.record;
        let is_public = post.flag("isPublic") && event.op != Op::Delete;
        if is_public && !was_public {
            let payload =
                json!({"type": "new_post", "post_id": post.id(), "user_id": post.text("user")});
            return publish(&self.live, event, &payload);
        }
        if was_public && !is_public {
            // What was told of it is not replayed any more.
            let (live, id) = (self.live.clone(), post.id().to_owned());
            event
                .tx
                .on_commit(Box::new(move || live.retract(TOPIC, &id)));
        }
        Ok(())
    }
}

impl RecordHook for Posts {
    fn priority(&self) -> i32 {
        AHEAD_OF_SCRIPTS
    }

    fn wants(&self, collection: &Collection) -> bool {
        collection.name == POSTS
    }

    fn completes(&self, _: &Collection) -> bool {
        true
    }

    fn is_settable(&self, _: &Collection, field: &str) -> bool {
        !["user", LIKES_COUNT, COMMENTS_COUNT].contains(&field)
    }

    fn protects_files(&self, post: &Record) -> bool {
        !post.flag("isPublic")
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), engine::Error>> {
        if stage != Stage::Write {
            return next.run(event);
        }
        Box::pin(async move {
            let was_public = match event.op {
                Op::Create => false,
                Op::Update | Op::Delete => {
                    event.record.original("isPublic") == Some(&Value::Bool(true))
                }
            };
            if event.op != Op::Delete {
                Self::complete(event)?;
            }
            next.run(event).await?;
            self.tell(event, was_public)
        })
    }
}

impl Likes {
    pub(super) fn new(live: Live) -> Self {
        Self { live }
    }

    async fn settle(&self, event: &mut RecordEvent<'_>) -> Result<(), engine::Error> {
        let by = match event.op {
            Op::Create => 1.0,
            Op::Update => 0.0,
            Op::Delete => -1.0,
        };
        let Some(post) = count(event, LIKES_COUNT, by).await? else {
            return Ok(());
        };
        let like = &event.record;
        let (user, reaction) = (
            like.text("user").to_owned(),
            like.text("reaction").to_owned(),
        );
        let kind = if event.op == Op::Delete {
            "unlike"
        } else {
            "like"
        };
        if post.flag("isPublic") {
            let payload =
                json!({"type": kind, "post_id": post.id(), "user_id": user, "reaction": reaction});
            publish(&self.live, event, &payload)?;
        }
        let owner = post.text("user");
        if event.op != Op::Create || owner == user || owner.is_empty() {
            return Ok(());
        }
        let data = json!({"post_id": post.id(), "user_id": user, "reaction": reaction});
        let told = Notification {
            user: owner,
            kind: "post_liked",
            title: "New reaction",
            message: "Someone reacted to your post.",
            data: &data,
        };
        self.live.notify(event.tx, told).await?;
        Ok(())
    }
}

impl RecordHook for Likes {
    fn priority(&self) -> i32 {
        AHEAD_OF_SCRIPTS
    }

    fn wants(&self, collection: &Collection) -> bool {
        collection.name == LIKES
    }

    fn completes(&self, _: &Collection) -> bool {
        true
    }

    fn is_settable(&self, _: &Collection, field: &str) -> bool {
        field != "user"
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), engine::Error>> {
        if stage != Stage::Write {
            return next.run(event);
        }
        Box::pin(async move {
            match event.op {
                Op::Create => own(event)?,
                Op::Update => keep(&mut event.record, &["user", "post"]),
                Op::Delete => {}
            }
            if event.op != Op::Delete && event.record.text("reaction").is_empty() {
                event.record.set("reaction", "like".into());
            }
            next.run(event).await?;
            self.settle(event).await
        })
    }
}

impl Comments {
    pub(super) fn new(live: Live) -> Self {
        Self { live }
    }

    /// A reply answers a comment of the same post.
    async fn check_parent(event: &mut RecordEvent<'_>) -> Result<(), Error> {
        let parent = event.record.text("parentComment");
        if parent.is_empty() {
            return Ok(());
        }
        let comments = Arc::clone(event.record.collection());
        let found = records::find(event.tx, &comments, parent, &Condition::Always).await?;
        let fits = found.is_some_and(|found| {
            found.text("post") == event.record.text("post") && found.id() != event.record.id()
        });
        if fits { Ok(()) } else { Err(Error::Parent) }
    }

    async fn settle(&self, event: &mut RecordEvent<'_>) -> Result<(), engine::Error> {
        let by = match event.op {
            Op::Create => 1.0,
            Op::Update => return Ok(()),
            Op::Delete => -1.0,
        };
        let Some(post) = count(event, COMMENTS_COUNT, by).await? else {
            return Ok(());
        };
        if event.op == Op::Delete {
            return Ok(());
        }
        let comment = &event.record;
        let (id, user) = (comment.id().to_owned(), comment.text("user").to_owned());
        let content = comment.text("content").to_owned();
        if post.flag("isPublic") {
            let payload = json!({"type": "comment", "post_id": post.id(), "user_id": user,
                "comment": content, "comment_id": id});
            publish(&self.live, event, &payload)?;
        }
        let owner = post.text("user");
        if owner == user || owner.is_empty() {
            return Ok(());
        }
        let data =
            json!({"post_id": post.id(), "user_id": user, "content": content, "comment_id": id});
        let told = Notification {
            user: owner,
            kind: "post_commented",
            title: "New comment",
            message: "Someone commented on your post.",
            data: &data,
        };
        self.live.notify(event.tx, told).await?;
        Ok(())
    }
}

impl RecordHook for Comments {
    fn priority(&self) -> i32 {
        AHEAD_OF_SCRIPTS
    }

    fn wants(&self, collection: &Collection) -> bool {
        collection.name == COMMENTS
    }

    fn completes(&self, _: &Collection) -> bool {
        true
    }

    fn is_settable(&self, _: &Collection, field: &str) -> bool {
        field != "user"
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), engine::Error>> {
        if stage != Stage::Write {
            return next.run(event);
        }
        Box::pin(async move {
            match event.op {
                Op::Create => {
                    own(event)?;
                    Self::check_parent(event).await?;
                }
                Op::Update => keep(&mut event.record, &["user", "post", "parentComment"]),
                Op::Delete => {}
            }
            if event.op != Op::Delete && event.record.text("content").trim().is_empty() {
                event.record.set("content", "".into());
            }
            next.run(event).await?;
            self.settle(event).await
        })
    }
}

/// Makes the caller the owner of a new record. Superusers, modules and scripts name one themselves.
fn own(event: &mut RecordEvent<'_>) -> Result<(), Error> {
    let Some(request) = event.request.as_ref().filter(|info| !info.is_superuser()) else {
        return Ok(());
    };
    let owner = owner_of(request).ok_or(Error::NoUser)?.to_owned();
    event.record.set("user", owner.into());
    Ok(())
}

/// Adds to a counter of the post that a like or comment belongs to, inside its transaction, and gives the post. `None`: the
/// post is gone, as when its own deletion takes its likes along.
async fn count(
    event: &mut RecordEvent<'_>,
    counter: &str,
    by: f64,
) -> Result<Option<Record>, engine::Error> {
    let Some(posts) = event.tx.schema().find(POSTS).cloned() else {
        return Ok(None);
    };
    let id = event.record.text("post");
    let Some(mut post) = records::find(event.tx, &posts, id, &Condition::Always).await? else {
        return Ok(None);
    };
    if by == 0.0 {
        return Ok(Some(post));
    }
    let former = match post.get(counter) {
        Some(Value::Number(number)) => *number,
        _ => 0.0,
    };
    post.set(counter, Value::Number((former + by).max(0.0)));
    let saved = event.engine.save_counters(event.tx, post).await?;
    Ok(Some(saved))
}

/// Tells the topic of public posts, after the commit. What is told of a post can be taken back by its id.
fn publish(live: &Live, event: &mut RecordEvent<'_>, payload: &Json) -> Result<(), engine::Error> {
    let post = payload["post_id"].as_str().unwrap_or_default().to_owned();
    let publication = Publication::new(TOPIC, payload)?;
    live.publish_after_commit(event.tx, publication.keyed(&post));
    Ok(())
}
