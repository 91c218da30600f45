//! Charging for paid follows, by the market's wallet.

use futures_util::future::BoxFuture;

use super::hooks::begin_paid;
use super::state::{CHARGE, PAID_AMOUNT, Status, is_unpaid, set_status};
use super::{Error, FOLLOWS};
use crate::base::Cents;
use crate::engine::{self, Engine};
use crate::model::{Record, Value};
use crate::modules::Ground;
use crate::modules::market::{self, Charge, ChargeListener, Charged, SettledCharge, Wallet};
use crate::store::search::Condition;
use crate::store::{Tx, records};

/// The `kind` of charges for follows.
const KIND: &str = "follow";

/// Where follows are paid; a cheap handle.
#[derive(Clone)]
pub(super) struct Till {
    wallet: Option<Wallet>,
}

/// What a follow costs whom.
pub(super) struct Bill<'a> {
    pub(super) follower: &'a str,
    pub(super) following: &'a str,
    /// The followed user's name, for the ledger.
    pub(super) name: &'a str,
    pub(super) price: Cents,
    /// The row that is paid for.
    pub(super) follow: &'a str,
}

impl Till {
    /// A till that is open if the market runs.
    pub(super) fn of(ground: &Ground) -> Self {
        let wallet = ground.has("market").then(|| Wallet::of(ground));
        if let Some(wallet) = &wallet {
            let engine = ground.engine.clone();
            wallet.listen(KIND, std::sync::Arc::new(Payments { engine }));
        }
        Self { wallet }
    }

    /// Whether follows can be paid for.
    pub(super) fn is_open(&self) -> bool {
        self.wallet.is_some()
    }

    /// Charges the follower.
    pub(super) async fn charge(&self, tx: &mut Tx, bill: &Bill<'_>) -> Result<Charged, Error> {
        let wallet = self.wallet.as_ref().ok_or(Error::NoMarket)?;
        let charge = Charge {
            payer: bill.follower,
            payee: bill.following,
            amount: bill.price,
            desc: &format!("Following {}", bill.name),
            kind: KIND,
            related_id: bill.follow,
        };
        Ok(wallet.charge(tx, &charge).await?)
    }

    /// Takes a charge back, if it still waits.
    pub(super) async fn cancel(&self, tx: &mut Tx, charge: &str) -> Result<(), Error> {
        let Some(wallet) = &self.wallet else {
            return Ok(());
        };
        match wallet.cancel(tx, charge).await {
            Err(market::Error::NoCharge | market::Error::State { .. }) => Ok(()),
            other => Ok(other?),
        }
    }
}

/// Hears of charges that waited.
struct Payments {
    engine: Engine,
}

impl Payments {
    /// The row that waits for a charge.
    async fn waiting(
        &self,
        tx: &mut Tx,
        charge: &SettledCharge,
    ) -> Result<Option<Record>, engine::Error> {
        let follows = self.engine.collection(FOLLOWS)?;
        let found = records::find(tx, &follows, &charge.related_id, &Condition::Always).await?;
        Ok(found.filter(|row| is_unpaid(row) && row.text(CHARGE) == charge.id))
    }
}

impl ChargeListener for Payments {
    fn paid<'a>(
        &'a self,
        tx: &'a mut Tx,
        charge: &'a SettledCharge,
    ) -> BoxFuture<'a, Result<(), engine::Error>> {
        Box::pin(async move {
            if let Some(mut row) = self.waiting(tx, charge).await? {
                begin_paid(&mut row, self.engine.now());
                self.engine.save(tx, row).await?;
            }
            Ok(())
        })
    }

    /// The follower may ask again.
    fn dropped<'a>(
        &'a self,
        tx: &'a mut Tx,
        charge: &'a SettledCharge,
    ) -> BoxFuture<'a, Result<(), engine::Error>> {
        Box::pin(async move {
            if let Some(mut row) = self.waiting(tx, charge).await? {
                set_status(&mut row, Status::Rejected);
                row.set(PAID_AMOUNT, Value::Number(0.0));
                row.set(CHARGE, "".into());
                self.engine.save(tx, row).await?;
            }
            Ok(())
        })
    }
}
