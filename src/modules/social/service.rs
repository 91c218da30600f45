//! Liking, commenting, statistics, trending.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::Mutex as AsyncMutex;

use super::{COMMENTS, Error, LIKES, POSTS};
use crate::engine::{self, Engine, Link, RequestInfo};
use crate::filter::{Param, Params};
use crate::model::{Collection, Record};
use crate::modules::within;
use crate::store::records::{self, ListQuery};
use crate::store::search::{Condition, Decay, Sort};
use crate::store::{Conn, Tx};

/// Posts that a trending list gives at most, and without a word.
pub(super) const TRENDING_MAX: u64 = 100;
pub(super) const TRENDING_DEFAULT: u64 = 20;
/// What counts for trending, and how much of each.
const WEIGHTS: [(&str, f64); 2] = [("likesCount", 1.0), ("commentsCount", 2.0)];
/// After how many days a post counts a quarter.
const QUARTER_DAYS: f64 = 1.0;
/// Posts older than this trend only where there are too few others.
const TRENDING_DAYS: i64 = 30;
const DAY_S: i64 = 86_400;
/// A ranking that took no longer is worked out each time.
const RANKING_FREE: Duration = Duration::from_millis(20);
/// How many times as long as it took a ranking is kept, at most for `RANKING_MAX`.
const RANKING_REST: u32 = 20;
const RANKING_MAX: Duration = Duration::from_secs(10);
const PUBLIC: &str = "isPublic = true";

/// What one can say of a post without words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reaction {
    #[default]
    Like,
    Love,
    Fire,
    Wow,
    Sad,
    Angry,
}

impl Reaction {
    /// All, in the order of the field's values.
    pub const ALL: [Self; 6] = [
        Self::Like,
        Self::Love,
        Self::Fire,
        Self::Wow,
        Self::Sad,
        Self::Angry,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Like => "like",
            Self::Love => "love",
            Self::Fire => "fire",
            Self::Wow => "wow",
            Self::Sad => "sad",
            Self::Angry => "angry",
        }
    }

    /// Reads a name; empty is a like.
    ///
    /// # Errors
    /// [`Error::Reaction`].
    pub fn parse(name: &str) -> Result<Self, Error> {
        if name.is_empty() {
            return Ok(Self::default());
        }
        let mut all = Self::ALL.into_iter();
        all.find(|reaction| reaction.as_str() == name)
            .ok_or(Error::Reaction)
    }
}

/// A comment to be written.
#[derive(Clone, Debug)]
pub struct NewComment {
    pub post: String,
    /// The id of the user who writes.
    pub user: String,
    pub content: String,
    /// The comment it answers, of the same post.
    pub parent: Option<String>,
}

/// How a post is received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    pub likes: u64,
    pub comments: u64,
    pub reactions: BTreeMap<&'static str, u64>,
}

/// The operations; a cheap handle.
#[derive(Clone)]
pub struct Social {
    engine: Engine,
    ranking: Arc<AsyncMutex<Option<Ranking>>>,
}

/// The posts that trend, for as long as working that out anew would cost more than it tells.
struct Ranking {
    ids: Vec<String>,
    until: Instant,
}

impl Social {
    pub(super) fn new(engine: Engine) -> Self {
        Self {
            engine,
            ranking: Arc::default(),
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The post, if the one who asks may view it; without a request, any.
    ///
    /// # Errors
    /// [`Error::NoPost`].
    pub async fn find_post(
        &self,
        conn: &mut Conn,
        id: &str,
        request: Option<&RequestInfo>,
    ) -> Result<Record, Error> {
        let posts = self.engine.collection(POSTS)?;
        let visible = match request {
            None => Condition::Always,
            Some(request) if request.is_superuser() => Condition::Always,
            Some(request) => {
                let rule = posts.view_rule.as_deref().ok_or(Error::NoPost)?;
                let schema = self.engine.schema();
                self.engine
                    .condition(&schema, &posts, rule, Some(request), true)?
            }
        };
        let found = records::find(conn, &posts, id, &visible).await?;
        found.ok_or(Error::NoPost)
    }

    /// Makes a user like a post, or changes how. Gives the like's id; the same again changes nothing.
    ///
    /// # Errors
    /// What the engine refuses: an unknown user or post.
    pub async fn like(
        &self,
        tx: &mut Tx,
        post: &str,
        user: &str,
        reaction: Reaction,
    ) -> Result<String, Error> {
        let likes = self.engine.collection(LIKES)?;
        let mut like = match self.find_like(tx, &likes, post, user).await? {
            Some(like) if like.text("reaction") == reaction.as_str() => {
                return Ok(like.id().to_owned());
            }
            Some(like) => like,
            None => {
                let mut like = Record::new(likes);
                like.set("user", user.into());
                like.set("post", post.into());
                like
            }
        };
        like.set("reaction", reaction.as_str().into());
        let saved = self.engine.save(tx, like).await?;
        Ok(saved.id().to_owned())
    }

    /// Takes a user's like of a post back.
    ///
    /// # Errors
    /// [`Error::NotLiked`].
    pub async fn unlike(&self, tx: &mut Tx, post: &str, user: &str) -> Result<(), Error> {
        let likes = self.engine.collection(LIKES)?;
        let like = self.find_like(tx, &likes, post, user).await?;
        let like = like.ok_or(Error::NotLiked)?;
        Ok(self.engine.delete_in(tx, like, None).await?)
    }

    async fn find_like(
        &self,
        tx: &mut Tx,
        likes: &Arc<Collection>,
        post: &str,
        user: &str,
    ) -> Result<Option<Record>, Error> {
        let pair = [("user", user.into()), ("post", post.into())];
        let found = records::find_all_by_fields(tx, likes, &pair).await?;
        Ok(found.into_iter().next())
    }

    /// Writes a comment; gives its id.
    ///
    /// # Errors
    /// [`Error::Parent`], and what the engine refuses.
    pub async fn comment(&self, tx: &mut Tx, new: NewComment) -> Result<String, Error> {
        let mut comment = Record::new(self.engine.collection(COMMENTS)?);
        comment.set("user", new.user.into());
        comment.set("post", new.post.into());
        comment.set("content", new.content.into());
        comment.set("parentComment", new.parent.unwrap_or_default().into());
        let saved = self.engine.save(tx, comment).await?;
        Ok(saved.id().to_owned())
    }

    /// The counters of a post, and its likes by reaction.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn stats(&self, link: &mut Link<'_>, post: &Record) -> Result<Stats, Error> {
        let likes = self.engine.collection(LIKES)?;
        let mut reactions = BTreeMap::new();
        for reaction in Reaction::ALL {
            let name = reaction.as_str();
            let params = params([("post", post.id()), ("reaction", name)]);
            let filter = "post = {:post} && reaction = {:reaction}";
            let count = self.engine.count_records(link, &likes, filter, params);
            reactions.insert(name, count.await?);
        }
        Ok(Stats {
            likes: counter(post, "likesCount"),
            comments: counter(post, "commentsCount"),
            reactions,
        })
    }

    /// The public posts that get the most attention now: likes and twice the comments, the younger the more. Where there
    /// are so many posts that this takes long, the order may be some seconds old; what is shown is public in any case.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn trending(&self, conn: &mut Conn, limit: u64) -> Result<Vec<Record>, Error> {
        let count = usize::try_from(limit).unwrap_or(usize::MAX);
        // One at a time: those who come meanwhile find what the first has worked out.
        let mut ranking = self.ranking.lock().await;
        let now = Instant::now();
        if let Some(known) = ranking.as_ref().filter(|known| now < known.until) {
            let ids = known.ids.clone();
            drop(ranking);
            return self.still_public(conn, &ids, count).await;
        }
        let mut found = self.rank(conn, TRENDING_MAX).await?;
        let took = now.elapsed();
        *ranking = (took > RANKING_FREE).then(|| Ranking {
            ids: found.iter().map(|post| post.id().to_owned()).collect(),
            until: Instant::now() + (took * RANKING_REST).min(RANKING_MAX),
        });
        found.truncate(count);
        Ok(found)
    }

    async fn still_public(
        &self,
        conn: &mut Conn,
        ids: &[String],
        count: usize,
    ) -> Result<Vec<Record>, Error> {
        let posts = self.engine.collection(POSTS)?;
        let schema = self.engine.schema();
        let public = self.engine.condition(&schema, &posts, PUBLIC, None, true)?;
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut found = records::find_many(conn, &posts, &ids, &public).await?;
        found.sort_by_key(|post| ids.iter().position(|id| *id == post.id()));
        found.truncate(count);
        Ok(found)
    }

    async fn rank(&self, conn: &mut Conn, limit: u64) -> Result<Vec<Record>, Error> {
        let now = self.engine.now();
        let since = now.add_seconds(-TRENDING_DAYS * DAY_S);
        let recent = format!("{PUBLIC} && created >= \"{since}\"");
        let found = self.most_attended(conn, &recent, limit).await?;
        if found.len() as u64 == limit {
            return Ok(found);
        }
        self.most_attended(conn, PUBLIC, limit).await
    }

    async fn most_attended(
        &self,
        conn: &mut Conn,
        filter: &str,
        limit: u64,
    ) -> Result<Vec<Record>, Error> {
        let posts = self.engine.collection(POSTS)?;
        let schema = self.engine.schema();
        let condition = self.engine.condition(&schema, &posts, filter, None, true)?;
        let sort = Sort::decaying(&Decay {
            weights: &WEIGHTS,
            date_field: "created",
            quarter_days: QUARTER_DAYS,
            now: self.engine.now(),
        });
        let query = ListQuery {
            collection: &posts,
            condition: &condition,
            sort: &sort,
            limit,
            offset: 0,
        };
        Ok(records::list(conn, &query).await?)
    }

    /// Runs an operation in the caller's transaction or, without one, in one of its own.
    ///
    /// # Errors
    /// Those of the operation.
    pub(super) async fn within<T: Send + 'static>(
        &self,
        tx: Option<&mut Tx>,
        work: impl for<'t> FnOnce(Self, &'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
    ) -> Result<T, engine::Error> {
        let social = self.clone();
        within(&self.engine, tx, move |tx| work(social, tx)).await
    }
}

/// A counter of a post.
fn counter(post: &Record, name: &str) -> u64 {
    match post.get(name) {
        // Whole and not negative, as the field demands.
        Some(crate::model::Value::Number(number)) => *number as u64,
        _ => 0,
    }
}

fn params<const N: usize>(pairs: [(&str, &str); N]) -> Params {
    let pairs = pairs.into_iter();
    pairs
        .map(|(name, text)| (name.to_owned(), Param::Text(text.to_owned())))
        .collect()
}
