//! Sales: a new one takes its stock and writes its operations; one that changes its state takes them along.

use futures_util::future::BoxFuture;

use super::{client_of, keep_all_but};
use crate::base::Cents;
use crate::engine::{self, Next, Op, RecordEvent, RecordHook, Stage};
use crate::model::{Collection, Record, Value};
use crate::modules::AHEAD_OF_SCRIPTS;
use crate::modules::market::own::{Means, Own};
use crate::modules::market::service::{News, check_open, number};
use crate::modules::market::wallet::{Pair, Status, amount_of};
use crate::modules::market::{ARTICLES, Error, Market, OPERATIONS, VENTES, own};
use crate::store::records;

/// The most pieces of one sale.
const QUANTITY_MAX: f64 = 1_000_000_000.0;
/// What a client names of a sale.
const NAMED: [&str; 3] = ["article", "fromPost", "quantity"];

/// Writes of sales.
pub(super) struct Ventes {
    market: Market,
}

/// What a new sale must still be when it is written.
struct Computed {
    article: Record,
    amount: Cents,
    quantity: f64,
    buyer: String,
}

impl Ventes {
    pub(super) fn new(market: Market) -> Self {
        Self { market }
    }

    async fn create(
        &self,
        event: &mut RecordEvent<'_>,
        next: Next<'_>,
    ) -> Result<(), engine::Error> {
        let own = own::mark(&event.record);
        let computed = self.compute(event, own.as_ref()).await?;
        next.run(event).await?;
        let vente = event.record.clone();
        if !computed.holds(&vente) {
            return Err(Error::Meddled.into());
        }
        let seller = computed.article.text("user");
        let desc = format!("Sale of {}", computed.article.text("title"));
        let pair = Pair {
            payer: &computed.buyer,
            payee: seller,
            amount: computed.amount,
            desc: &desc,
            kind: "sale",
            related_id: vente.id(),
            vente: vente.id(),
            statuses: (Status::Open, Status::Waiting),
        };
        self.market.wallet().write_pair(event.tx, &pair).await?;
        let news = News {
            event: "purchase",
            kind: "sale_created",
            title: "New sale",
            told: &[seller],
            actor: "",
        };
        let told = self.market.tell(event.tx, &vente, &computed.article, &news);
        Ok(told.await?)
    }

    /// Checks what is bought and takes it from the stock.
    async fn compute(
        &self,
        event: &mut RecordEvent<'_>,
        own: Option<&Own>,
    ) -> Result<Computed, Error> {
        let buyer = match client_of(event)? {
            Some(client) => client.to_owned(),
            None => event.record.text("user").to_owned(),
        };
        if buyer.is_empty() {
            return Err(Error::Required("user"));
        }
        let quantity = quantity_of(event)?;
        let id = event.record.text("article").to_owned();
        if id.is_empty() {
            return Err(Error::Required("article"));
        }
        if let Some(request) = event.request.as_ref().filter(|info| !info.is_superuser()) {
            let visible = self.market.check_visible(event.tx, &id, request);
            visible.await?;
        }
        let found = self.market.find(event.tx, ARTICLES, &id).await?;
        let mut article = found.ok_or(Error::NoArticle)?;
        let seller = article.text("user");
        if seller.is_empty() {
            return Err(Error::NoArticle);
        }
        if seller == buyer {
            return Err(Error::OwnArticle);
        }
        let due = article.text("dueDate");
        if !due.is_empty() && due < self.market.engine().now().to_string().as_str() {
            return Err(Error::PastDue);
        }
        while number(&article, "quantite") < quantity {
            // What others did not pay in time is free again.
            if self.market.expire_in(event.tx, Some(&id)).await? == 0 {
                return Err(Error::OutOfStock);
            }
            let found = self.market.find(event.tx, ARTICLES, &id).await?;
            article = found.ok_or(Error::NoArticle)?;
        }
        let amount = match own.and_then(|own| own.amount) {
            Some(amount) => amount,
            None => price_of(&article, quantity)?,
        };
        let record = &mut event.record;
        record.set("user", buyer.as_str().into());
        record.set("quantity", Value::Number(quantity));
        record.set("montant", Value::Number(amount.to_number()));
        record.set("status", Status::Open.as_str().into());
        for date in ["paiementDate", "cancelDate", "failDate"] {
            record.set(date, "".into());
        }
        let article = self
            .market
            .change_stock(event.tx, article, -quantity)
            .await?;
        Ok(Computed {
            article,
            amount,
            quantity,
            buyer,
        })
    }

    async fn update(
        &self,
        event: &mut RecordEvent<'_>,
        next: Next<'_>,
    ) -> Result<(), engine::Error> {
        let own = own::mark(&event.record);
        // The account or the post is deleted.
        let mut changeable = vec!["status"];
        if !event.validate {
            let cleared = ["user", "fromPost"].into_iter();
            changeable.extend(cleared.filter(|field| event.record.text(field).is_empty()));
        }
        keep_all_but(&mut event.record, &changeable);
        if !event.record.has_changed("status") {
            return next.run(event).await;
        }
        let Some(to) = Status::parse(event.record.text("status")) else {
            // Refused by the field.
            return next.run(event).await;
        };
        Ok(self
            .change(event, next, to, own.unwrap_or_default())
            .await?)
    }

    /// Takes a sale from `encours` to its end.
    async fn change(
        &self,
        event: &mut RecordEvent<'_>,
        next: Next<'_>,
        to: Status,
        own: Own,
    ) -> Result<(), Error> {
        check_open(&event.record)?;
        let date = match to {
            Status::Paid => "paiementDate",
            Status::Cancelled => "cancelDate",
            Status::Failed => "failDate",
            Status::Open | Status::Waiting => {
                return Err(Error::state("the sale", event.record.text("status")));
            }
        };
        let amount = amount_of(&event.record)?;
        let means = own.means.unwrap_or_else(|| self.market.means());
        if to == Status::Paid {
            let before = event.record.to_original();
            if before.is_some_and(|before| self.market.is_overdue(&before)) {
                return Err(Error::Expired);
            }
            if means == Means::Wallet {
                let buyer = event.record.text("user").to_owned();
                let wallet = self.market.wallet();
                wallet.check_balance(event.tx, &buyer, amount).await?;
            }
        }
        let now = self.market.engine().now().to_string();
        event.record.set(date, now.into());
        next.run(event).await?;
        let vente = event.record.clone();
        if vente.text("status") != to.as_str() || amount_of(&vente)? != amount {
            return Err(Error::Meddled);
        }
        self.settle_operations(event, to).await?;
        let (_, mut article) = self.market.find_vente(event.tx, vente.id()).await?;
        if to == Status::Paid {
            if let Means::External(payment) = &means {
                let buyer = vente.text("user");
                let wallet = self.market.wallet();
                wallet
                    .deposit(event.tx, buyer, amount, vente.id(), payment)
                    .await?;
            }
        } else {
            let quantity = number(&vente, "quantity");
            article = self
                .market
                .change_stock(event.tx, article, quantity)
                .await?;
        }
        self.tell_change(event, to, &article, &own.actor).await
    }

    async fn settle_operations(
        &self,
        event: &mut RecordEvent<'_>,
        to: Status,
    ) -> Result<(), Error> {
        let operations = self.market.engine().collection(OPERATIONS)?;
        let of_sale = [("vente", Value::from(event.record.id()))];
        let found = records::find_all_by_fields(event.tx, &operations, &of_sale).await?;
        for mut row in found {
            row.set("status", to.as_str().into());
            own::save(self.market.engine(), event.tx, row, Own::default(), false).await?;
        }
        Ok(())
    }

    async fn tell_change(
        &self,
        event: &mut RecordEvent<'_>,
        to: Status,
        article: &Record,
        actor: &str,
    ) -> Result<(), Error> {
        let actor = match event.request.as_ref().and_then(|info| info.auth.as_ref()) {
            Some(auth) if actor.is_empty() => auth.id().to_owned(),
            _ => actor.to_owned(),
        };
        let vente = event.record.clone();
        let (buyer, seller) = (vente.text("user"), article.text("user"));
        let both = [buyer, seller];
        let (event_name, kind, title, told): (_, _, _, &[&str]) = match to {
            Status::Paid => ("paid", "sale_paid", "A sale is paid", &both),
            Status::Failed => ("failed", "sale_cancelled", "A payment has failed", &both),
            _ => ("cancelled", "sale_cancelled", "A sale is cancelled", &both),
        };
        let news = News {
            event: event_name,
            kind,
            title,
            told,
            actor: &actor,
        };
        self.market.tell(event.tx, &vente, article, &news).await
    }
}

impl RecordHook for Ventes {
    fn priority(&self) -> i32 {
        AHEAD_OF_SCRIPTS
    }

    fn wants(&self, collection: &Collection) -> bool {
        collection.name == VENTES
    }

    fn completes(&self, _: &Collection) -> bool {
        true
    }

    fn is_settable(&self, _: &Collection, field: &str) -> bool {
        NAMED.contains(&field)
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
                Op::Create => self.create(event, next).await,
                Op::Update => self.update(event, next).await,
                Op::Delete => Err(Error::Kept.into()),
            }
        })
    }
}

impl Computed {
    /// Whether the sale that was written is the one that was computed.
    fn holds(&self, vente: &Record) -> bool {
        vente.text("status") == Status::Open.as_str()
            && vente.text("user") == self.buyer
            && vente.text("article") == self.article.id()
            && number(vente, "quantity") == self.quantity
            && amount_of(vente).is_ok_and(|amount| amount == self.amount)
    }
}

/// How many pieces; one if nothing is said.
fn quantity_of(event: &RecordEvent<'_>) -> Result<f64, Error> {
    let number = number(&event.record, "quantity");
    let request = event.request.as_ref();
    let is_named = request.is_some_and(|request| request.body.contains_key("quantity"));
    if number == 0.0 && !is_named {
        return Ok(1.0);
    }
    if number.fract() != 0.0 || !(1.0..=QUANTITY_MAX).contains(&number) {
        let why = "must be a whole number from 1 to 1000000000";
        return Err(Error::Field("quantity", why.to_owned()));
    }
    Ok(number)
}

fn price_of(article: &Record, quantity: f64) -> Result<Cents, Error> {
    let refused = |error| Error::money("quantity", error);
    let price = Cents::nearest(number(article, "prix")).map_err(refused)?;
    if price.is_negative() {
        return Err(Error::Field("article", "has no price".to_owned()));
    }
    // Whole and within bounds, see quantity_of.
    price.times(quantity as i64).map_err(refused)
}
