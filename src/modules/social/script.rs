//! The global `social` of scripts.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::service::{NewComment, TRENDING_DEFAULT, TRENDING_MAX};
use super::{Reaction, Social};
use crate::engine::{ApiCall, ApiFunction, Error, Link, ScriptApi};
use crate::model::ExportView;

/// `likePost(user, post, reaction?)`, `commentPost(user, post, content, parent?)`, `getPostStats(post)`,
/// `getTrendingPosts(limit?)`.
pub(super) struct Api {
    social: Social,
}

impl Api {
    pub(super) fn new(social: Social) -> Self {
        Self { social }
    }

    fn function<F>(&self, run: F) -> ApiFunction
    where
        F: for<'a> Fn(
                Social,
                ApiCall<'a>,
            ) -> futures_util::future::BoxFuture<'a, Result<Json, Error>>
            + Send
            + Sync
            + 'static,
    {
        let social = self.social.clone();
        Arc::new(move |call| run(social.clone(), call))
    }
}

impl ScriptApi for Api {
    fn name(&self) -> &'static str {
        "social"
    }

    fn functions(&self) -> Vec<(&'static str, ApiFunction)> {
        vec![
            (
                "likePost",
                self.function(|social, call| Box::pin(like(social, call))),
            ),
            (
                "commentPost",
                self.function(|social, call| Box::pin(comment(social, call))),
            ),
            (
                "getPostStats",
                self.function(|social, call| Box::pin(stats(social, call))),
            ),
            (
                "getTrendingPosts",
                self.function(|social, call| Box::pin(trending(social, call))),
            ),
        ]
    }
}

async fn like(social: Social, call: ApiCall<'_>) -> Result<Json, Error> {
    let (user, post) = (
        text(&call.arguments, 0, "user")?,
        text(&call.arguments, 1, "post")?,
    );
    let reaction = Reaction::parse(optional(&call.arguments, 2).unwrap_or_default())?;
    let id = social
        .within(call.tx, move |social, tx| {
            Box::pin(async move {
                social.find_post(tx, &post, None).await?;
                social.like(tx, &post, &user, reaction).await
            })
        })
        .await?;
    Ok(json!({"success": true, "like_id": id}))
}

async fn comment(social: Social, call: ApiCall<'_>) -> Result<Json, Error> {
    let new = NewComment {
        user: text(&call.arguments, 0, "user")?,
        post: text(&call.arguments, 1, "post")?,
        content: text(&call.arguments, 2, "content")?,
        parent: optional(&call.arguments, 3).map(str::to_owned),
    };
    let id = social
        .within(call.tx, move |social, tx| {
            Box::pin(async move {
                social.find_post(tx, &new.post, None).await?;
                social.comment(tx, new).await
            })
        })
        .await?;
    Ok(json!({"success": true, "comment_id": id}))
}

async fn stats(social: Social, call: ApiCall<'_>) -> Result<Json, Error> {
    let post = text(&call.arguments, 0, "post")?;
    let mut link = match call.tx {
        Some(tx) => Link::Tx(tx),
        None => Link::Pool(call.engine),
    };
    let post = social
        .find_post(&mut *link.conn().await?, &post, None)
        .await?;
    let stats = social.stats(&mut link, &post).await?;
    Ok(
        json!({"likesCount": stats.likes, "commentsCount": stats.comments, "reactions": stats.reactions}),
    )
}

async fn trending(social: Social, call: ApiCall<'_>) -> Result<Json, Error> {
    let limit = call.arguments.first().and_then(Json::as_u64);
    let limit = limit.unwrap_or(TRENDING_DEFAULT).clamp(1, TRENDING_MAX);
    let mut link = match call.tx {
        Some(tx) => Link::Tx(tx),
        None => Link::Pool(call.engine),
    };
    let found = social.trending(&mut *link.conn().await?, limit).await?;
    let posts = found
        .iter()
        .map(|post| Json::Object(Map::from_iter(post.to_json(&ExportView::default()))));
    Ok(Json::Array(posts.collect()))
}

fn optional(arguments: &[Json], index: usize) -> Option<&str> {
    let text = arguments.get(index).and_then(Json::as_str);
    text.filter(|text| !text.is_empty())
}

fn text(arguments: &[Json], index: usize, name: &str) -> Result<String, Error> {
    match optional(arguments, index) {
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::bad_request(format!("{name} must be a text"))),
    }
}
