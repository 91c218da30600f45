//! What followers hear of those they follow: their public posts, and whether they are here.
//!
//! Posts are told after their commit, by one task, in batches of [`BATCH`] followers per transaction. At most
//! [`POSTS_MAX`] posts wait for it, and at most [`FOLLOWERS_MAX`] followers hear of one; what is beyond is logged and left
//! out. What waits when the server stops is not told.

use futures_util::future::BoxFuture;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;

use super::FOLLOWS;
use super::hooks::notify;
use super::state::FOLLOWER;
use crate::engine::records::RecordQuery;
use crate::engine::{Committed, Engine, Error, Link, Op, RecordHook};
use crate::filter::{Param, Params};
use crate::live::Live;
use crate::live::presence::{Viewers, Visibility};
use crate::model::{Collection, Record};
use crate::modules::social::POSTS;
use crate::store::search::Condition;
use crate::store::{Tx, records};

/// Posts that may wait to be told.
const POSTS_MAX: usize = 1_000;
/// Followers that hear of one post, or of one change of presence.
const FOLLOWERS_MAX: u64 = 10_000;
/// Followers that are told in one transaction.
const BATCH: u64 = 100;
const ACTIVE: &str = "following = {:user} && status = 'active' && id > {:after} && (expiresAt = '' || expiresAt > {:now})";

/// Tells followers of new public posts.
pub(super) struct NewPosts {
    queue: mpsc::Sender<Told>,
}

struct Told {
    post: String,
    author: String,
}

impl NewPosts {
    /// Starts the task that tells, which ends with live events. Must run inside a runtime.
    pub(super) fn start(engine: Engine, live: Live) -> Self {
        let (queue, mut waiting) = mpsc::channel::<Told>(POSTS_MAX);
        tokio::spawn(live.stop().run_until_cancelled_owned(async move {
            while let Some(told) = waiting.recv().await {
                if let Err(error) = tell(&engine, &live, told).await {
                    tracing::warn!(%error, "followers are not told of a post");
                }
            }
        }));
        Self { queue }
    }
}

impl RecordHook for NewPosts {
    fn wants(&self, collection: &Collection) -> bool {
        collection.name == POSTS
    }

    fn committed(&self, _: &Engine, event: &Committed) {
        let post = &event.record;
        if event.op != Op::Create || !post.flag("isPublic") || post.text("user").is_empty() {
            return;
        }
        let told = Told {
            post: post.id().to_owned(),
            author: post.text("user").to_owned(),
        };
        if self.queue.try_send(told).is_err() {
            tracing::warn!(
                record.id = post.id(),
                "too many posts wait to be told to followers; one is left out"
            );
        }
    }
}

async fn tell(engine: &Engine, live: &Live, told: Told) -> Result<(), Error> {
    let mut after = String::new();
    for _ in 0..FOLLOWERS_MAX / BATCH {
        let (inside, live) = (engine.clone(), live.clone());
        let (post, author) = (told.post.clone(), told.author.clone());
        let last = engine.store().write(move |tx| {
            Box::pin(async move {
                // It may be gone or private by now.
                let posts = inside.collection(POSTS)?;
                let found = records::find(tx, &posts, &post, &Condition::Always).await?;
                if !found.is_some_and(|post| post.flag("isPublic")) {
                    return Ok(None);
                }
                let mut link = Link::Tx(tx);
                let batch = followers_after(&inside, &mut link, &author, &after, BATCH).await?;
                let data = json!({"post_id": post, "user_id": author});
                for row in &batch {
                    tell_one(&live, tx, row.text(FOLLOWER), &data).await;
                }
                let is_full = batch.len() as u64 == BATCH;
                let last = batch.last().filter(|_| is_full);
                Ok::<_, Error>(last.map(|row| row.id().to_owned()))
            })
        });
        match last.await? {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
    tracing::warn!(
        record.id = told.post,
        "a post has more followers than are told of it"
    );
    Ok(())
}

/// Tells one follower; that it is refused for one keeps it from nobody else.
async fn tell_one(live: &Live, tx: &mut Tx, follower: &str, data: &Json) {
    let (live, user, data) = (live.clone(), follower.to_owned(), data.clone());
    let told: Result<(), Error> = tx
        .savepoint(|tx| {
            Box::pin(async move { notify(&live, tx, &user, "post_created", &data).await })
        })
        .await;
    if let Err(error) = told {
        tracing::warn!(record.id = follower, %error, "a follower is not told of a post");
    }
}

/// The active followers whose rows come behind `after` in the order of ids.
async fn followers_after(
    engine: &Engine,
    link: &mut Link<'_>,
    user: &str,
    after: &str,
    limit: u64,
) -> Result<Vec<Record>, Error> {
    let follows = engine.collection(FOLLOWS)?;
    let now = engine.now().to_string();
    let params = [("user", user), ("after", after), ("now", &now)];
    let params = params.map(|(name, text)| (name.to_owned(), Param::Text(text.to_owned())));
    let query = RecordQuery {
        filter: ACTIVE,
        params: Params::from(params),
        sort: "id",
        limit,
        offset: 0,
    };
    engine.find_by_filter(link, &follows, &query).await
}

/// Lets followers know who is here, on their channels.
pub(super) struct Followers;

impl Visibility for Followers {
    fn viewers<'a>(&'a self, engine: &'a Engine, user: &'a str) -> BoxFuture<'a, Viewers> {
        Box::pin(async move {
            let mut link = Link::Pool(engine);
            let found = followers_after(engine, &mut link, user, "", FOLLOWERS_MAX).await;
            let rows = found.unwrap_or_else(|error| {
                tracing::warn!(%error, "followers are not told who is here");
                Vec::new()
            });
            Viewers {
                topic: None,
                channels: rows
                    .iter()
                    .map(|row| row.text(FOLLOWER).to_owned())
                    .collect(),
            }
        })
    }
}
