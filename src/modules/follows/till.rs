//! Charging for paid follows.

use super::Error;
use crate::store::Tx;

/// The `kind` of charges for follows.
pub(super) const KIND: &str = "follow";

/// Where follows are paid.
#[derive(Clone)]
pub(super) struct Till;

/// What a follow costs whom.
pub(super) struct Bill<'a> {
    pub(super) follower: &'a str,
    pub(super) following: &'a str,
    pub(super) price: f64,
    /// The row that is paid for.
    pub(super) follow: &'a str,
}

/// A charge that was written.
pub(super) struct Receipt {
    pub(super) is_paid: bool,
    pub(super) charge: String,
}

impl Till {
    /// Whether follows can be paid for.
    pub(super) fn is_open(&self) -> bool {
        false
    }

    /// Charges the follower.
    #[expect(clippy::unused_async, reason = "the market will wait")]
    pub(super) async fn charge(&self, _tx: &mut Tx, _bill: &Bill<'_>) -> Result<Receipt, Error> {
        Err(Error::NoMarket)
    }

    /// Takes a charge back that still waits.
    #[expect(clippy::unused_async, reason = "the market will wait")]
    pub(super) async fn cancel(&self, _tx: &mut Tx, _charge: &str) -> Result<(), Error> {
        Ok(())
    }
}
