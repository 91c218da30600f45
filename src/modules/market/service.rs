//! Buying, paying, cancelling, expiring; the figures of a seller.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::json;

use super::own::{self, Means, Own};
use super::wallet::{Status, Wallet, amount_of, means};
use super::{ARTICLES, Error, OPERATIONS, TOPIC, VENTES};
use crate::base::{Cents, id};
use crate::engine::crons::{Job, Work};
use crate::engine::records::{RecordQuery, RecordSum};
use crate::engine::{self, Engine, Link, RequestInfo};
use crate::filter::{Param, Params};
use crate::live::{Live, Notification, Publication};
use crate::model::{Record, Value};
use crate::modules::{Ground, within};
use crate::store::records;
use crate::store::search::Condition;
use crate::store::{Conn, Tx};

/// Sales that are expired in one transaction.
const EXPIRED_BATCH: u64 = 100;
const MINUTE_S: i64 = 60;

/// What somebody buys.
#[derive(Clone, Debug)]
pub struct Purchase {
    pub article: String,
    /// The id of a user.
    pub buyer: String,
    /// From 1.
    pub quantity: i64,
    /// The post that led to it.
    pub from_post: Option<String>,
    /// Another price than the article's.
    pub amount: Option<Cents>,
}

/// A seller's figures. Sales that were cancelled or failed are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SalesStats {
    /// Of paid and pending ones.
    pub total: Cents,
    pub paid: Cents,
    pub pending: Cents,
    /// How many there are.
    pub count: u64,
}

/// What came of an attempt to change a sale's state. Both are to be committed.
#[derive(Debug)]
pub(super) enum Settled {
    Done(Record),
    /// It was too late: the sale is cancelled instead.
    Expired,
}

/// The operations; a cheap handle.
#[derive(Clone)]
pub struct Market {
    engine: Engine,
    live: Live,
    wallet: Wallet,
}

impl Market {
    pub(super) fn new(ground: &Ground) -> Self {
        Self {
            engine: ground.engine.clone(),
            live: ground.live.clone(),
            wallet: Wallet::of(ground),
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// Creates a sale: the stock is taken, both operations are written.
    ///
    /// # Errors
    /// [`Error::NoArticle`], [`Error::OutOfStock`], [`Error::OwnArticle`], [`Error::PastDue`].
    pub async fn buy(&self, tx: &mut Tx, purchase: Purchase) -> Result<Record, Error> {
        let mut vente = Record::new(self.engine.collection(VENTES)?);
        vente.set("id", id::random_id().into());
        vente.set("article", purchase.article.into());
        vente.set("user", purchase.buyer.as_str().into());
        vente.set("quantity", Value::Number(purchase.quantity as f64));
        vente.set("fromPost", purchase.from_post.unwrap_or_default().into());
        let own = Own {
            amount: purchase.amount,
            actor: purchase.buyer,
            ..Own::default()
        };
        Ok(own::save(&self.engine, tx, vente, own, true).await?)
    }

    /// Takes a sale from `encours` to another state, with all that belongs to it. One whose time to pay is over is
    /// cancelled instead.
    ///
    /// # Errors
    /// [`Error::State`] for one that is not `encours` any more; [`Error::InsufficientBalance`].
    pub(super) async fn close(
        &self,
        tx: &mut Tx,
        mut vente: Record,
        to: Status,
        own: Own,
    ) -> Result<Settled, Error> {
        check_open(&vente)?;
        if to == Status::Paid && self.is_overdue(&vente) {
            self.cancel_overdue(tx, vente).await?;
            return Ok(Settled::Expired);
        }
        vente.set("status", to.as_str().into());
        let saved = own::save(&self.engine, tx, vente, own, false).await?;
        Ok(Settled::Done(saved))
    }

    async fn cancel_overdue(&self, tx: &mut Tx, mut vente: Record) -> Result<(), Error> {
        vente.set("status", Status::Cancelled.as_str().into());
        own::save(&self.engine, tx, vente, Own::default(), false).await?;
        Ok(())
    }

    /// Pays a sale for its buyer, in the way that the settings name.
    ///
    /// # Errors
    /// As [`Market::close`].
    pub(super) async fn pay(
        &self,
        tx: &mut Tx,
        vente: Record,
        means: Means,
        actor: &str,
    ) -> Result<Settled, Error> {
        let own = Own {
            means: Some(means),
            actor: actor.to_owned(),
            ..Own::default()
        };
        self.close(tx, vente, Status::Paid, own).await
    }

    /// How sales are paid now.
    pub(super) fn means(&self) -> Means {
        means(&self.engine.own_settings().payments)
    }

    /// Whether the time to pay a sale is over.
    pub(super) fn is_overdue(&self, vente: &Record) -> bool {
        vente.text("status") == Status::Open.as_str()
            && vente.text("created") <= self.overdue_since().as_str()
    }

    /// Sales of this date or before are overdue.
    fn overdue_since(&self) -> String {
        let hold_s = self.engine.own_settings().payments.hold_minutes * MINUTE_S;
        self.engine.now().add_seconds(-hold_s).to_string()
    }

    pub(super) async fn find(
        &self,
        conn: &mut Conn,
        collection: &str,
        id: &str,
    ) -> Result<Option<Record>, Error> {
        let collection = self.engine.collection(collection)?;
        Ok(records::find(conn, &collection, id, &Condition::Always).await?)
    }

    /// A sale and its article.
    ///
    /// # Errors
    /// [`Error::NoSale`].
    pub(super) async fn find_vente(
        &self,
        conn: &mut Conn,
        id: &str,
    ) -> Result<(Record, Record), Error> {
        let vente = self.find(conn, VENTES, id).await?.ok_or(Error::NoSale)?;
        let article = self.find(conn, ARTICLES, vente.text("article")).await?;
        Ok((vente, article.ok_or(Error::NoSale)?))
    }

    /// Puts back or takes from the stock of an article, whose record is as the transaction has it.
    pub(super) async fn change_stock(
        &self,
        tx: &mut Tx,
        mut article: Record,
        by: f64,
    ) -> Result<Record, Error> {
        let stock = number(&article, "quantite") + by;
        article.set("quantite", Value::Number(stock.max(0.0)));
        Ok(self.engine.save_counters(tx, article).await?)
    }

    /// Cancels the overdue sales of one article, or of all if there is none; gives how many.
    pub(super) async fn expire_in(
        &self,
        tx: &mut Tx,
        article: Option<&str>,
    ) -> Result<usize, Error> {
        let found = self
            .overdue(&mut Link::Tx(tx), article, EXPIRED_BATCH)
            .await?;
        let mut count = 0;
        for vente in found {
            let market = self.clone();
            let id = vente.id().to_owned();
            // One that a script refuses to change does not hold up the others.
            let part = tx.savepoint(move |tx| {
                Box::pin(async move { market.cancel_overdue(tx, vente).await })
            });
            match part.await {
                Ok(()) => count += 1,
                Err(error) => {
                    let error = engine::Error::from(error);
                    tracing::warn!(vente.id = id, %error, "an overdue sale cannot be cancelled");
                }
            }
        }
        Ok(count)
    }

    async fn overdue(
        &self,
        link: &mut Link<'_>,
        article: Option<&str>,
        limit: u64,
    ) -> Result<Vec<Record>, Error> {
        let ventes = self.engine.collection(VENTES)?;
        let text = |text: &str| Param::Text(text.to_owned());
        let query = RecordQuery {
            filter: match article {
                Some(_) => "article = {:article} && status = 'encours' && created <= {:since}",
                None => "status = 'encours' && created <= {:since}",
            },
            params: Params::from_iter([
                ("since".to_owned(), text(&self.overdue_since())),
                ("article".to_owned(), text(article.unwrap_or_default())),
            ]),
            sort: "created",
            limit,
            offset: 0,
        };
        Ok(self.engine.find_by_filter(link, &ventes, &query).await?)
    }

    /// Cancels all overdue sales. Costs one look into an index when there is none.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn expire(&self) -> Result<(), engine::Error> {
        loop {
            let found = self.overdue(&mut Link::Pool(&self.engine), None, 1).await?;
            if found.is_empty() {
                return Ok(());
            }
            let expired = self
                .within(None, |market, tx| {
                    Box::pin(async move { market.expire_in(tx, None).await })
                })
                .await?;
            if expired == 0 {
                return Ok(());
            }
        }
    }

    /// Cancels what is overdue before something is shown; what cannot be cancelled is shown as it is.
    pub(super) async fn catch_up(&self) {
        if let Err(error) = self.expire().await {
            tracing::warn!(%error, "overdue sales are not cancelled");
        }
    }

    /// Refuses an article that the one who asks may not view.
    ///
    /// # Errors
    /// [`Error::NoArticle`].
    pub(super) async fn check_visible(
        &self,
        tx: &mut Tx,
        article: &str,
        request: &RequestInfo,
    ) -> Result<(), Error> {
        let schema = Arc::clone(tx.schema());
        let articles = self.engine.collection(ARTICLES)?;
        let rule = articles.view_rule.as_deref();
        let visible = match self
            .engine
            .rule_condition(&schema, &articles, rule, request)
        {
            Err(engine::Error::Forbidden(_)) => return Err(Error::NoArticle),
            outcome => outcome?,
        };
        if visible == Condition::Always
            || records::matches(tx, &articles, article, &visible).await?
        {
            return Ok(());
        }
        Err(Error::NoArticle)
    }

    /// Cancels what is open of a user who is about to be deleted, as a buyer and as a seller, and takes the sold
    /// articles off the market: they stay for the sake of their sales.
    pub(super) async fn part_with(&self, tx: &mut Tx, user: &str) -> Result<(), Error> {
        let params = || Params::from_iter([("user".to_owned(), Param::Text(user.to_owned()))]);
        let ventes = self.engine.collection(VENTES)?;
        for filter in [
            "user = {:user} && status = 'encours'",
            "article.user = {:user} && status = 'encours'",
        ] {
            let query = RecordQuery {
                filter,
                params: params(),
                ..RecordQuery::default()
            };
            let mut link = Link::Tx(tx);
            let found = self.engine.find_by_filter(&mut link, &ventes, &query);
            let found = found.await?;
            for vente in found {
                self.cancel_overdue(tx, vente).await?;
            }
        }
        let articles = self.engine.collection(ARTICLES)?;
        let query = RecordQuery {
            filter: "user = {:user}",
            params: params(),
            ..RecordQuery::default()
        };
        let mut link = Link::Tx(tx);
        let found = self.engine.find_by_filter(&mut link, &articles, &query);
        let found = found.await?;
        for mut article in found {
            let sale = Value::from(article.id());
            let sold = records::find_by_field(tx, &ventes, "article", &sale).await?;
            if sold.is_some() {
                article.set("user", "".into());
                article.set("quantite", Value::Number(0.0));
                own::save(&self.engine, tx, article, Own::default(), false).await?;
            }
        }
        Ok(())
    }

    /// A seller's figures.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sales_stats(&self, link: &mut Link<'_>, user: &str) -> Result<SalesStats, Error> {
        let operations = self.engine.collection(OPERATIONS)?;
        let sum = RecordSum {
            filter: "user = {:user} && operation = 'cashin' && vente != ''",
            params: Params::from_iter([("user".to_owned(), Param::Text(user.to_owned()))]),
            field: "montant",
            group: "status",
        };
        let mut stats = SalesStats::default();
        for sum in self.engine.sum_records(link, &operations, &sum).await? {
            let place = match Status::parse(&sum.group) {
                Some(Status::Paid) => &mut stats.paid,
                Some(Status::Open | Status::Waiting) => &mut stats.pending,
                _ => continue,
            };
            *place = Cents::total(place.get().saturating_add(sum.hundredths));
            stats.count += sum.rows;
        }
        stats.total = Cents::total(stats.paid.get().saturating_add(stats.pending.get()));
        Ok(stats)
    }

    /// Tells the topic of a sale, and notifies the given users, once it counts.
    pub(super) async fn tell(
        &self,
        tx: &mut Tx,
        vente: &Record,
        article: &Record,
        news: &News<'_>,
    ) -> Result<(), Error> {
        let amount = serde_json::Value::from(amount_of(vente)?);
        let (buyer, seller) = (vente.text("user"), article.text("user"));
        let payload = json!({"type": news.event, "article_id": article.id(),
            "vente_id": vente.id(), "user_id": buyer, "amount": amount});
        let publication = Publication::new(TOPIC, &payload).map_err(engine::Error::from)?;
        let readers = [buyer, seller].into_iter().filter(|id| !id.is_empty());
        self.live
            .publish_after_commit(tx, publication.for_users(readers));
        let data = json!({"vente_id": vente.id(), "article_id": article.id(), "amount": amount});
        for user in news.told {
            if user.is_empty() || *user == news.actor {
                continue;
            }
            let notification = Notification {
                user,
                kind: news.kind,
                title: news.title,
                message: article.text("title"),
                data: &data,
            };
            self.live
                .notify(tx, notification)
                .await
                .map_err(engine::Error::from)?;
        }
        Ok(())
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
        let market = self.clone();
        within(&self.engine, tx, move |tx| work(market, tx)).await
    }
}

/// What there is to tell of a sale.
pub(super) struct News<'a> {
    /// The `type` of the topic's event.
    pub(super) event: &'a str,
    /// The type of the notification.
    pub(super) kind: &'a str,
    pub(super) title: &'a str,
    /// Who is notified.
    pub(super) told: &'a [&'a str],
    /// Who knows already.
    pub(super) actor: &'a str,
}

/// Adds the jobs: overdue sales each minute, old idempotency keys each hour.
pub(super) fn schedule(engine: &Engine, market: &Market) {
    let expiring = market.clone();
    let expire: Work = Arc::new(move |_| {
        let market = expiring.clone();
        Box::pin(async move { market.expire().await })
    });
    let cleaning = market.clone();
    let clean: Work = Arc::new(move |_| {
        let market = cleaning.clone();
        Box::pin(async move { market.forget_keys().await })
    });
    for (id, expression, work) in [
        ("marketSaleExpiry", "* * * * *", expire),
        ("marketKeyCleanup", "17 * * * *", clean),
    ] {
        match Job::new(id, expression, work) {
            Ok(job) => engine.crons().add(job),
            Err(error) => tracing::error!(cron.id = id, %error, "a job cannot be scheduled"),
        }
    }
}

pub(super) fn check_open(vente: &Record) -> Result<(), Error> {
    let state = match vente.original("status") {
        Some(state) => state.as_text(),
        None => vente.text("status"),
    };
    if state == Status::Open.as_str() {
        return Ok(());
    }
    Err(Error::state("the sale", state))
}

/// A number of a record.
pub(super) fn number(record: &Record, field: &str) -> f64 {
    match record.get(field) {
        Some(Value::Number(number)) => *number,
        _ => 0.0,
    }
}
