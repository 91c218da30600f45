//! Charging for paid rooms, by the market's wallet.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::hooks::begin_paid;
use super::state::{CHARGE, EXPIRES_AT, PAID_AMOUNT, Status, is_unpaid, set_status};
use super::{Error, MEMBERS};
use crate::base::Cents;
use crate::engine::{self, Engine};
use crate::model::{Record, Value};
use crate::modules::Ground;
use crate::modules::market::{self, Charge, ChargeListener, Charged, SettledCharge, Wallet};
use crate::store::search::Condition;
use crate::store::{Tx, records};

/// The `kind` of charges for rooms.
const KIND: &str = "room";

/// Where rooms are paid for; a cheap handle.
#[derive(Clone)]
pub(super) struct Till {
    wallet: Option<Wallet>,
}

/// What a membership costs whom.
pub(super) struct Bill<'a> {
    pub(super) user: &'a str,
    pub(super) owner: &'a str,
    /// The room's name, for the ledger.
    pub(super) name: &'a str,
    pub(super) price: Cents,
    /// The row that is paid for.
    pub(super) member: &'a str,
}

impl Till {
    /// A till that is open if the market runs.
    pub(super) fn of(ground: &Ground) -> Self {
        let wallet = ground.has("market").then(|| Wallet::of(ground));
        if let Some(wallet) = &wallet {
            let engine = ground.engine.clone();
            wallet.listen(KIND, Arc::new(Payments { engine }));
        }
        Self { wallet }
    }

    /// Whether rooms can be paid for.
    pub(super) fn is_open(&self) -> bool {
        self.wallet.is_some()
    }

    /// Charges a user for the owner.
    pub(super) async fn charge(&self, tx: &mut Tx, bill: &Bill<'_>) -> Result<Charged, Error> {
        let wallet = self.wallet.as_ref().ok_or(Error::NoMarket)?;
        let charge = Charge {
            payer: bill.user,
            payee: bill.owner,
            amount: bill.price,
            desc: &format!("Room {}", bill.name),
            kind: KIND,
            related_id: bill.member,
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
        let members = self.engine.collection(MEMBERS)?;
        let found = records::find(tx, &members, &charge.related_id, &Condition::Always).await?;
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

    /// The user may ask again.
    fn dropped<'a>(
        &'a self,
        tx: &'a mut Tx,
        charge: &'a SettledCharge,
    ) -> BoxFuture<'a, Result<(), engine::Error>> {
        Box::pin(async move {
            if let Some(row) = self.waiting(tx, charge).await? {
                self.engine.save(tx, given_up(row)).await?;
            }
            Ok(())
        })
    }
}

/// A row whose payment will not come.
pub(super) fn given_up(mut row: Record) -> Record {
    set_status(&mut row, Status::Rejected);
    row.set(PAID_AMOUNT, Value::Number(0.0));
    row.set(CHARGE, "".into());
    row.set(EXPIRES_AT, "".into());
    row
}
