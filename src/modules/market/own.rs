//! Which writes are the market's own, and what their hooks must know of them.
//!
//! Record hooks see a record and not who saves it. The market marks its own saves by the record's id for as long as they
//! last; whatever else is saved meanwhile, by scripts or cascades, is nobody's and is checked.

use super::OPERATIONS;
use crate::base::Cents;
use crate::engine::{Engine, Error};
use crate::model::Record;
use crate::store::Tx;

/// How a sale or charge is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// From the payer's wallet, if it holds enough.
    Wallet,
    /// Somewhere else, as a provider or a superuser says.
    External(Payment),
    /// Not at all: for demonstrations.
    Unpaid,
}

/// A payment that happened somewhere else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Payment {
    /// The provider's name; empty for superusers.
    pub(super) provider: String,
    /// The provider's id for it; may be empty.
    pub(super) id: String,
}

/// A save of the market's own.
#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    /// The price, where it is not the article's.
    pub(super) amount: Option<Cents>,
    pub(super) means: Option<Means>,
    /// The user who asked for it: who need not be told.
    pub(super) actor: String,
}

/// What a row of the ledger says.
const LEDGER: [&str; 6] = [
    "user",
    "vente",
    "montant",
    "operation",
    "status",
    "metadata",
];

tokio::task_local! {
    static OWN: (String, Own);
}

/// Saves a record whose id is set as the market's own.
///
/// # Errors
/// As [`Engine::save_with`].
pub(super) async fn save(
    engine: &Engine,
    tx: &mut Tx,
    record: Record,
    own: Own,
    validate: bool,
) -> Result<Record, Error> {
    let mark = (record.id().to_owned(), own);
    let wanted = (record.collection().name == OPERATIONS).then(|| record.clone());
    // Boxed: sales save operations inside of sales.
    let save: futures_util::future::BoxFuture<'_, _> =
        Box::pin(engine.save_with(tx, record, validate));
    let saved = OWN.scope(mark, save).await?;
    // A script may have a word on a row of the ledger, and none on its figures.
    let is_changed = |wanted: &Record| {
        let mut fields = LEDGER.iter();
        fields.any(|field| saved.get(field) != wanted.get(field))
    };
    if wanted.as_ref().is_some_and(is_changed) {
        return Err(super::Error::Meddled.into());
    }
    Ok(saved)
}

/// What is known of a record's save if it is the market's own.
pub(super) fn mark(record: &Record) -> Option<Own> {
    let known = OWN.try_with(|(id, own)| (*id == record.id()).then(|| own.clone()));
    known.ok().flatten()
}
