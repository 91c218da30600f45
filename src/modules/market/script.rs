//! The global `marketplace` of scripts.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value as Json, json};

use super::wallet::amount_of;
use super::{Market, Purchase};
use crate::base::Cents;
use crate::engine::{ApiCall, ApiFunction, Error, Link, ScriptApi};

/// `createSale(user, article, amount?)`, `getSalesStats(user)`, `getWalletBalance(user)`.
pub(super) struct Api {
    market: Market,
}

impl Api {
    pub(super) fn new(market: Market) -> Self {
        Self { market }
    }

    fn function<F>(&self, run: F) -> ApiFunction
    where
        F: for<'a> Fn(Market, ApiCall<'a>) -> BoxFuture<'a, Result<Json, Error>>
            + Send
            + Sync
            + 'static,
    {
        let market = self.market.clone();
        Arc::new(move |call| run(market.clone(), call))
    }
}

impl ScriptApi for Api {
    fn name(&self) -> &'static str {
        "marketplace"
    }

    fn functions(&self) -> Vec<(&'static str, ApiFunction)> {
        vec![
            (
                "createSale",
                self.function(|market, call| Box::pin(create_sale(market, call))),
            ),
            (
                "getSalesStats",
                self.function(|market, call| Box::pin(sales_stats(market, call))),
            ),
            (
                "getWalletBalance",
                self.function(|market, call| Box::pin(wallet_balance(market, call))),
            ),
        ]
    }
}

async fn create_sale(market: Market, call: ApiCall<'_>) -> Result<Json, Error> {
    let purchase = Purchase {
        buyer: text(&call.arguments, 0, "user")?,
        article: text(&call.arguments, 1, "article")?,
        quantity: 1,
        from_post: None,
        amount: amount(&call.arguments)?,
    };
    let vente = market
        .within(call.tx, move |market, tx| {
            Box::pin(async move { market.buy(tx, purchase).await })
        })
        .await?;
    Ok(json!({"success": true, "vente_id": vente.id(), "amount": Json::from(amount_of(&vente)?)}))
}

async fn sales_stats(market: Market, call: ApiCall<'_>) -> Result<Json, Error> {
    let user = text(&call.arguments, 0, "user")?;
    let mut link = match call.tx {
        Some(tx) => Link::Tx(tx),
        None => Link::Pool(call.engine),
    };
    let stats = market.sales_stats(&mut link, &user).await?;
    Ok(
        json!({"total_sales": Json::from(stats.total), "paid_sales": Json::from(stats.paid),
        "pending_sales": Json::from(stats.pending), "count": stats.count}),
    )
}

async fn wallet_balance(market: Market, call: ApiCall<'_>) -> Result<Json, Error> {
    let user = text(&call.arguments, 0, "user")?;
    let mut link = match call.tx {
        Some(tx) => Link::Tx(tx),
        None => Link::Pool(call.engine),
    };
    let balance = market.wallet().balance(&mut link, &user).await?;
    Ok(balance.balance.into())
}

fn amount(arguments: &[Json]) -> Result<Option<Cents>, Error> {
    let number = match arguments.get(2) {
        None | Some(Json::Null) => return Ok(None),
        Some(value) => value.as_f64(),
    };
    let refused = |why: String| Error::bad_request(format!("amount {why}"));
    let number = number.ok_or_else(|| refused("must be a number".to_owned()))?;
    let amount = Cents::from_number(number).map_err(|error| refused(error.to_string()))?;
    if amount.is_negative() {
        return Err(refused("must be 0 or more".to_owned()));
    }
    Ok(Some(amount))
}

fn text(arguments: &[Json], index: usize, name: &str) -> Result<String, Error> {
    let text = arguments.get(index).and_then(Json::as_str);
    match text.filter(|text| !text.is_empty()) {
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::bad_request(format!("{name} must be a text"))),
    }
}
