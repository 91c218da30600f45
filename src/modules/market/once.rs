//! Idempotency keys: a request that comes again with its key gets the answer it got, and nothing happens twice.
//!
//! The key's row is written in the transaction of what it stands for, so that both count or neither does. There is one
//! writer: of two requests at once the second finds the first one's row.

use actix_web::HttpRequest;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value as Json};

use super::{Error, KEYS, Market};
use crate::base::digest;
use crate::engine::records::RecordQuery;
use crate::engine::{self, Link};
use crate::filter::{Param, Params};
use crate::model::{Record, Value};
use crate::store::Tx;
use crate::store::records;

/// How long a key is kept.
const KEPT_S: i64 = 24 * 60 * 60;
const KEY_BYTES_MAX: usize = 255;
/// Keys that are forgotten in one transaction.
const FORGOTTEN_BATCH: u64 = 500;

/// A key and what it came with.
#[derive(Clone, Debug)]
pub(super) struct Once {
    /// Whose key it is; empty for payment providers.
    pub(super) user: String,
    pub(super) route: String,
    pub(super) key: String,
    /// Of all that the request says.
    pub(super) digest: String,
}

/// What a request has done, or why it could not; both are to be committed.
pub(super) type Outcome = Result<Json, Error>;

impl Once {
    /// The key of a request, if it has one. `target` is what the path names.
    ///
    /// # Errors
    /// [`Error::BadKey`].
    pub(super) fn of(
        request: &HttpRequest,
        user: &str,
        route: &str,
        target: &str,
        body: Map<String, Json>,
    ) -> Result<Option<Self>, Error> {
        let Some(key) = request.headers().get("idempotency-key") else {
            return Ok(None);
        };
        let key = key.to_str().map_err(|_| Error::BadKey)?.trim();
        let is_visible = |byte: u8| (b'!'..=b'~').contains(&byte) || byte == b' ';
        if key.is_empty() || key.len() > KEY_BYTES_MAX || !key.bytes().all(is_visible) {
            return Err(Error::BadKey);
        }
        let mut body = Json::Object(body);
        body.sort_all_objects();
        Ok(Some(Self {
            user: user.to_owned(),
            route: route.to_owned(),
            key: key.to_owned(),
            digest: digest::sha256(&format!("{target}\n{body}")),
        }))
    }
}

impl Market {
    /// Does `work` in a transaction, unless its key is known: then the answer is the former one.
    ///
    /// # Errors
    /// [`Error::KeyReused`], and what `work` refuses: that is not remembered.
    pub(super) async fn once(
        &self,
        once: Option<Once>,
        work: impl for<'t> FnOnce(Self, &'t mut Tx) -> BoxFuture<'t, Result<Outcome, Error>>
        + Send
        + 'static,
    ) -> Result<Json, engine::Error> {
        let outcome = self
            .within(None, move |market, tx| {
                Box::pin(async move {
                    if let Some(once) = &once
                        && let Some(answer) = market.recall(tx, once).await?
                    {
                        return Ok(Ok(answer));
                    }
                    let outcome = work(market.clone(), tx).await?;
                    if let (Some(once), Ok(answer)) = (&once, &outcome) {
                        market.remember(tx, once, answer).await?;
                    }
                    Ok(outcome)
                })
            })
            .await?;
        Ok(outcome?)
    }

    /// The answer that a key stands for.
    pub(super) async fn recall(&self, tx: &mut Tx, once: &Once) -> Result<Option<Json>, Error> {
        let keys = self.engine().collection(KEYS)?;
        let wanted = [
            ("user", Value::from(once.user.as_str())),
            ("route", once.route.as_str().into()),
            ("key", once.key.as_str().into()),
        ];
        let found = records::find_all_by_fields(tx, &keys, &wanted).await?;
        let Some(row) = found.into_iter().next() else {
            return Ok(None);
        };
        if row.text("created") <= self.forgotten_since().as_str() {
            self.engine().delete_in(tx, row, None).await?;
            return Ok(None);
        }
        if row.text("digest") != once.digest {
            return Err(Error::KeyReused);
        }
        let answer = serde_json::from_str(row.text("answer"))
            .map_err(|error| engine::Error::internal("a stored answer", error))?;
        Ok(Some(answer))
    }

    pub(super) async fn remember(
        &self,
        tx: &mut Tx,
        once: &Once,
        answer: &Json,
    ) -> Result<(), Error> {
        let mut row = Record::new(self.engine().collection(KEYS)?);
        for (field, text) in [
            ("user", &once.user),
            ("route", &once.route),
            ("key", &once.key),
            ("digest", &once.digest),
        ] {
            row.set(field, text.as_str().into());
        }
        row.set("answer", Value::Json(answer.to_string()));
        self.engine().save_with(tx, row, false).await?;
        Ok(())
    }

    fn forgotten_since(&self) -> String {
        self.engine().now().add_seconds(-KEPT_S).to_string()
    }

    /// Removes the keys that are not kept any more.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn forget_keys(&self) -> Result<(), engine::Error> {
        loop {
            let forgotten = self
                .within(None, |market, tx| {
                    Box::pin(async move { market.forget_some(tx).await })
                })
                .await?;
            if forgotten == 0 {
                return Ok(());
            }
        }
    }

    async fn forget_some(&self, tx: &mut Tx) -> Result<usize, Error> {
        let keys = self.engine().collection(KEYS)?;
        let query = RecordQuery {
            filter: "created <= {:since}",
            params: Params::from_iter([("since".to_owned(), Param::Text(self.forgotten_since()))]),
            limit: FORGOTTEN_BATCH,
            ..RecordQuery::default()
        };
        let mut link = Link::Tx(tx);
        let found = self.engine().find_by_filter(&mut link, &keys, &query);
        let found = found.await?;
        let count = found.len();
        for row in found {
            self.engine().delete_in(tx, row, None).await?;
        }
        Ok(count)
    }
}
