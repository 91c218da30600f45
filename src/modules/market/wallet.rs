//! The ledger: balances, and charges from one user to another. What other modules charge goes through here.
//!
//! A charge is two rows of `operations`, the payer's `cashout` and the payee's `cashin`, which always have matching
//! states. Its id is that of the cashout.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::BoxFuture;
use serde_json::{Map, Value as Json, json};

use super::own::{self, Means, Own, Payment};
use super::{Error, OPERATIONS};
use crate::base::{Cents, id};
use crate::engine::records::RecordSum;
use crate::engine::settings::Payments;
use crate::engine::{self, Engine, Link};
use crate::filter::{Param, Params};
use crate::model::{Record, Value};
use crate::modules::Ground;
use crate::store::Tx;
use crate::store::records;
use crate::store::search::Condition;

/// Characters of an operation's `desc`.
const DESC_CHARS_MAX: usize = 1000;
/// The member of `metadata` that names the other half of a charge.
pub(super) const COUNTERPART: &str = "counterpart";

/// The state of an operation; those of a sale are among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Paid,
    Open,
    Waiting,
    Cancelled,
    Failed,
}

impl Status {
    const ALL: [Self; 5] = [
        Self::Paid,
        Self::Open,
        Self::Waiting,
        Self::Cancelled,
        Self::Failed,
    ];

    /// The stored text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "paye",
            Self::Open => "encours",
            Self::Waiting => "en_attente",
            Self::Cancelled => "annule",
            Self::Failed => "echec",
        }
    }

    /// Reads a stored text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether it may still change.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Waiting)
    }
}

/// What a user's wallet holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// The sum of what is paid.
    pub balance: Cents,
    /// The sum of what waits, either way.
    pub pending: Cents,
}

/// An amount that one user pays another.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    /// The id of a record of `users`.
    pub payer: &'a str,
    /// The id of another one.
    pub payee: &'a str,
    /// More than nothing.
    pub amount: Cents,
    /// Names the thing, for people.
    pub desc: &'a str,
    /// What is charged, such as `follow`: listeners are called by it.
    pub kind: &'static str,
    /// The record that is paid for; in `metadata.related_id`.
    pub related_id: &'a str,
}

/// A charge that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charged {
    /// Whether it counts already. If not, the module's [`ChargeListener`] hears when it does.
    pub paid: bool,
    /// The payer's operation; the charge's id.
    pub cashout: String,
    /// The payee's operation.
    pub cashin: String,
}

/// A charge that waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledCharge {
    pub id: String,
    /// Empty when the account is deleted.
    pub payer: String,
    /// Empty when the account is deleted.
    pub payee: String,
    pub amount: Cents,
    pub related_id: String,
}

/// Hears what becomes of charges that waited, inside the transaction that decides it. An error undoes the decision.
pub trait ChargeListener: Send + Sync {
    /// The charge is paid: what was charged for begins.
    fn paid<'a>(
        &'a self,
        tx: &'a mut Tx,
        charge: &'a SettledCharge,
    ) -> BoxFuture<'a, Result<(), engine::Error>>;

    /// The charge is cancelled or failed, and never will be paid.
    fn dropped<'a>(
        &'a self,
        _tx: &'a mut Tx,
        _charge: &'a SettledCharge,
    ) -> BoxFuture<'a, Result<(), engine::Error>> {
        Box::pin(async { Ok(()) })
    }
}

/// The listeners of all modules by the kind of charge; part of the modules' ground.
#[derive(Clone, Default)]
pub struct ChargeListeners(Arc<RwLock<BTreeMap<&'static str, Arc<dyn ChargeListener>>>>);

impl ChargeListeners {
    fn add(&self, kind: &'static str, listener: Arc<dyn ChargeListener>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(kind, listener);
    }

    fn of(&self, kind: &str) -> Option<Arc<dyn ChargeListener>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(kind).cloned()
    }
}

/// Balances and charges; a cheap handle.
#[derive(Clone)]
pub struct Wallet {
    engine: Engine,
    listeners: ChargeListeners,
}

/// The two rows of a charge or sale, to be written.
pub(super) struct Pair<'a> {
    pub(super) payer: &'a str,
    pub(super) payee: &'a str,
    pub(super) amount: Cents,
    pub(super) desc: &'a str,
    pub(super) kind: &'a str,
    pub(super) related_id: &'a str,
    /// The sale they belong to, or empty.
    pub(super) vente: &'a str,
    /// Of the cashout and of the cashin.
    pub(super) statuses: (Status, Status),
}

impl Wallet {
    /// The wallet of the modules that stand on `ground`; the market must run ([`Ground::has`]).
    #[must_use]
    pub fn of(ground: &Ground) -> Self {
        Self {
            engine: ground.engine.clone(),
            listeners: ground.charges.clone(),
        }
    }

    /// Registers who hears of charges of a kind that waited. Called once, at the start.
    pub fn listen(&self, kind: &'static str, listener: Arc<dyn ChargeListener>) {
        self.listeners.add(kind, listener);
    }

    /// What a user's wallet holds; nothing for unknown users.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn balance(&self, link: &mut Link<'_>, user: &str) -> Result<Balance, Error> {
        let sums = self.sums(link, user, "user = {:user}").await?;
        let mut balance = Balance::default();
        for (status, cents) in sums {
            match status {
                Status::Paid => balance.balance = cents,
                Status::Open | Status::Waiting => {
                    let pending = balance.pending.get().saturating_add(cents.get());
                    balance.pending = Cents::total(pending);
                }
                Status::Cancelled | Status::Failed => {}
            }
        }
        Ok(balance)
    }

    async fn sums(
        &self,
        link: &mut Link<'_>,
        user: &str,
        filter: &str,
    ) -> Result<Vec<(Status, Cents)>, Error> {
        if user.is_empty() {
            return Ok(Vec::new());
        }
        let operations = self.engine.collection(OPERATIONS)?;
        let sum = RecordSum {
            filter,
            params: Params::from_iter([("user".to_owned(), Param::Text(user.to_owned()))]),
            field: "montant",
            group: "status",
        };
        let found = self.engine.sum_records(link, &operations, &sum).await?;
        let sums = found
            .into_iter()
            .filter_map(|sum| Some((Status::parse(&sum.group)?, Cents::total(sum.hundredths))));
        Ok(sums.collect())
    }

    /// Refuses a payer whose paid operations hold less than the amount.
    pub(super) async fn check_balance(
        &self,
        tx: &mut Tx,
        payer: &str,
        amount: Cents,
    ) -> Result<(), Error> {
        let mut link = Link::Tx(tx);
        let filter = "user = {:user} && status = 'paye'";
        let sums = self.sums(&mut link, payer, filter).await?;
        let balance = sums.first().map_or(Cents::ZERO, |(_, cents)| *cents);
        // Whoever owes something may still take what costs nothing.
        if balance < amount && amount.is_positive() {
            return Err(Error::InsufficientBalance);
        }
        Ok(())
    }

    /// Charges within the caller's transaction. With `payments.requireBalance` it is paid at once from the payer's wallet;
    /// without, it waits until a provider or superuser says that it is paid.
    ///
    /// # Errors
    /// [`Error::InsufficientBalance`]; [`Error::Parties`]; [`Error::Field`] for an amount that is not positive.
    pub async fn charge(&self, tx: &mut Tx, charge: &Charge<'_>) -> Result<Charged, Error> {
        if charge.payer.is_empty() || charge.payee.is_empty() || charge.payer == charge.payee {
            return Err(Error::Parties);
        }
        if !charge.amount.is_positive() {
            return Err(Error::Field("amount", "must be more than 0".to_owned()));
        }
        let means = means(&self.engine.own_settings().payments);
        if means == Means::Wallet {
            self.check_balance(tx, charge.payer, charge.amount).await?;
        }
        let paid = !matches!(means, Means::External(_));
        let status = if paid { Status::Paid } else { Status::Open };
        let (cashout, cashin) = self
            .write_pair(
                tx,
                &Pair {
                    payer: charge.payer,
                    payee: charge.payee,
                    amount: charge.amount,
                    desc: charge.desc,
                    kind: charge.kind,
                    related_id: charge.related_id,
                    vente: "",
                    statuses: (status, status),
                },
            )
            .await?;
        Ok(Charged {
            paid,
            cashout,
            cashin,
        })
    }

    /// Takes a charge back that still waits. The listener hears of it.
    ///
    /// # Errors
    /// [`Error::NoCharge`]; [`Error::State`] when it does not wait any more.
    pub async fn cancel(&self, tx: &mut Tx, charge: &str) -> Result<(), Error> {
        self.settle(tx, charge, Status::Cancelled, Payment::default())
            .await
    }

    /// Says that a charge that waits is paid somewhere else, as a superuser or provider does. The listener hears of it.
    ///
    /// # Errors
    /// As [`Wallet::cancel`].
    pub async fn confirm(&self, tx: &mut Tx, charge: &str) -> Result<(), Error> {
        self.settle(tx, charge, Status::Paid, Payment::default())
            .await
    }

    /// Writes both rows; gives their ids.
    pub(super) async fn write_pair(
        &self,
        tx: &mut Tx,
        pair: &Pair<'_>,
    ) -> Result<(String, String), Error> {
        let (cashout, cashin) = (id::random_id(), id::random_id());
        for (own, other, user, amount, operation, status) in [
            (
                &cashout,
                &cashin,
                pair.payer,
                -pair.amount,
                "cashout",
                pair.statuses.0,
            ),
            (
                &cashin,
                &cashout,
                pair.payee,
                pair.amount,
                "cashin",
                pair.statuses.1,
            ),
        ] {
            let mut metadata = json!({"related_id": pair.related_id, "kind": pair.kind});
            if pair.vente.is_empty() {
                metadata[COUNTERPART] = other.as_str().into();
            }
            let mut row = Record::new(self.engine.collection(OPERATIONS)?);
            row.set("id", own.as_str().into());
            row.set("user", user.into());
            row.set("vente", pair.vente.into());
            row.set("montant", Value::Number(amount.to_number()));
            row.set("operation", operation.into());
            row.set("status", status.as_str().into());
            row.set("desc", shortened(pair.desc).into());
            row.set("metadata", Value::Json(metadata.to_string()));
            own::save(&self.engine, tx, row, Own::default(), false).await?;
        }
        Ok((cashout, cashin))
    }

    /// Decides about a charge that waits.
    pub(super) async fn settle(
        &self,
        tx: &mut Tx,
        charge: &str,
        to: Status,
        payment: Payment,
    ) -> Result<(), Error> {
        let mut row = self.find(tx, charge).await?.ok_or(Error::NoCharge)?;
        if half_of(&row).is_none() {
            return Err(Error::NoCharge);
        }
        check_open(&row)?;
        row.set("status", to.as_str().into());
        let saved = own::save(&self.engine, tx, row, Own::default(), false).await?;
        self.follow(tx, &saved, to, &payment).await
    }

    /// The state of a charge.
    pub(super) async fn status(&self, tx: &mut Tx, charge: &str) -> Result<(Status, Cents), Error> {
        let row = self.find(tx, charge).await?.ok_or(Error::NoCharge)?;
        if half_of(&row).is_none() {
            return Err(Error::NoCharge);
        }
        let status = Status::parse(row.text("status")).ok_or(Error::NoCharge)?;
        Ok((status, Cents::total(amount_of(&row)?.get().abs())))
    }

    /// Does what follows when one half of a charge has changed its state: the other half, and whoever listens.
    pub(super) async fn follow(
        &self,
        tx: &mut Tx,
        changed: &Record,
        to: Status,
        payment: &Payment,
    ) -> Result<(), Error> {
        let Some(half) = half_of(changed) else {
            return Ok(());
        };
        let Some(mut other) = self.find(tx, &half.counterpart).await? else {
            return Ok(());
        };
        check_open(&other)?;
        other.set("status", to.as_str().into());
        let other = own::save(&self.engine, tx, other, Own::default(), false).await?;
        let (cashout, cashin) = match changed.text("operation") {
            "cashout" => (changed, &other),
            _ => (&other, changed),
        };
        let charge = SettledCharge {
            id: cashout.id().to_owned(),
            payer: cashout.text("user").to_owned(),
            payee: cashin.text("user").to_owned(),
            amount: amount_of(cashin)?,
            related_id: half.related_id,
        };
        if to == Status::Paid {
            self.deposit(
                tx,
                &charge.payer,
                charge.amount,
                &charge.related_id,
                payment,
            )
            .await?;
        }
        let Some(listener) = self.listeners.of(&half.kind) else {
            return Ok(());
        };
        match to {
            Status::Paid => listener.paid(tx, &charge).await?,
            _ => listener.dropped(tx, &charge).await?,
        }
        Ok(())
    }

    /// Books in what a payer has paid somewhere else, so that the charge it pays does not burden the wallet as well.
    pub(super) async fn deposit(
        &self,
        tx: &mut Tx,
        payer: &str,
        amount: Cents,
        related_id: &str,
        payment: &Payment,
    ) -> Result<(), Error> {
        if payer.is_empty() || !amount.is_positive() {
            return Ok(());
        }
        let metadata = json!({"related_id": related_id, "kind": "deposit",
            "provider": payment.provider, "payment_id": payment.id});
        let mut row = Record::new(self.engine.collection(OPERATIONS)?);
        row.set("id", id::random_id().into());
        row.set("user", payer.into());
        row.set("montant", Value::Number(amount.to_number()));
        row.set("operation", "cashin".into());
        row.set("status", Status::Paid.as_str().into());
        row.set("desc", "External payment".into());
        row.set("metadata", Value::Json(metadata.to_string()));
        own::save(&self.engine, tx, row, Own::default(), false).await?;
        Ok(())
    }

    async fn find(&self, tx: &mut Tx, id: &str) -> Result<Option<Record>, Error> {
        let operations = self.engine.collection(OPERATIONS)?;
        Ok(records::find(tx, &operations, id, &Condition::Always).await?)
    }
}

/// How charges are paid now.
pub(super) fn means(payments: &Payments) -> Means {
    if payments.trust_clients {
        Means::Unpaid
    } else if payments.require_balance {
        Means::Wallet
    } else {
        Means::External(Payment::default())
    }
}

/// The amount of a stored row.
pub(super) fn amount_of(record: &Record) -> Result<Cents, Error> {
    match record.get("montant") {
        Some(Value::Number(number)) => {
            Cents::nearest(*number).map_err(|error| Error::money("montant", error))
        }
        _ => Ok(Cents::ZERO),
    }
}

/// What a half of a charge says of the whole.
struct Half {
    counterpart: String,
    kind: String,
    related_id: String,
}

fn half_of(operation: &Record) -> Option<Half> {
    let metadata: Map<String, Json> = serde_json::from_str(operation.text("metadata")).ok()?;
    let text = |name: &str| metadata.get(name).and_then(Json::as_str);
    Some(Half {
        counterpart: text(COUNTERPART)?.to_owned(),
        kind: text("kind").unwrap_or_default().to_owned(),
        related_id: text("related_id").unwrap_or_default().to_owned(),
    })
}

fn check_open(operation: &Record) -> Result<(), Error> {
    let state = operation.text("status");
    if Status::parse(state).is_some_and(Status::is_open) {
        return Ok(());
    }
    Err(Error::state("the charge", state))
}

fn shortened(desc: &str) -> String {
    desc.chars().take(DESC_CHARS_MAX).collect()
}
