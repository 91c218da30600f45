//! Articles, sales, and the ledger that every charge goes through.
//!
//! | file | holds |
//! | --- | --- |
//! | `hooks` | what happens inside writes: prices, stock, sales and their operations, what becomes of deleted users |
//! | `service` | buying, paying, cancelling, expiring; the figures of a seller |
//! | `wallet` | [`Wallet`]: balances and charges, also for other modules |
//! | `once` | idempotency keys |
//! | `own` | which writes are the market's own |
//! | `webhook` | what payment providers call |
//! | `routes`, `script` | the handlers, and the global `marketplace` of scripts |
//!
//! A sale takes its stock and writes its two operations when it is created, whoever creates it, in one transaction; from
//! then on the three rows change together. Amounts are [`crate::base::Cents`]; no sum is made of doubles.

mod error;
mod hooks;
mod once;
mod own;
mod routes;
mod script;
mod service;
mod wallet;
mod webhook;

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig};
use serde_json::Value as Json;
use utoipa::OpenApi;

pub use self::error::Error;
pub use self::service::{Market, Purchase, SalesStats};
pub use self::wallet::{
    Balance, Charge, ChargeListener, ChargeListeners, Charged, SettledCharge, Status, Wallet,
};
use super::{Ground, Module};
use crate::engine::ScriptApi;

/// The collections.
pub const ARTICLES: &str = "articles";
pub(super) const VENTES: &str = "ventesArticle";
pub(super) const OPERATIONS: &str = "operations";
const KEYS: &str = "idempotencyKeys";
/// The topic of sales, each event for its buyer and seller.
const TOPIC: &str = "sales";

#[derive(OpenApi)]
#[openapi(paths(
    routes::buy_article,
    routes::pay_vente,
    routes::cancel_vente,
    routes::fail_vente,
    routes::list_operations,
    routes::list_sales,
    routes::list_purchases,
    routes::view_wallet,
    webhook::receive_payment,
))]
struct Description;

pub(super) fn description() -> Json {
    serde_json::to_value(Description::openapi()).unwrap_or_default()
}

pub(super) fn start(ground: &Ground) -> Arc<dyn Module> {
    let market = Market::new(ground);
    hooks::register(&ground.engine, &market);
    service::schedule(&ground.engine, &market);
    Arc::new(market)
}

impl Module for Market {
    fn configure(&self, config: &mut ServiceConfig) {
        config.app_data(Data::new(self.clone()));
        routes::configure(config);
        webhook::configure(config);
    }

    fn script_apis(&self) -> Vec<Arc<dyn ScriptApi>> {
        vec![Arc::new(script::Api::new(self.clone()))]
    }
}
