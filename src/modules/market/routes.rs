//! The routes of sales and wallets.

use actix_web::web::{self, Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value as Json, json};

use super::once::{Once, Outcome};
use super::own::{Means, Own};
use super::service::{Settled, check_open};
use super::wallet::{Status, amount_of};
use super::{Error, Market, OPERATIONS, Purchase, VENTES};
use crate::engine::Link;
use crate::engine::records::ListParams;
use crate::http::rate::RateLimits;
use crate::http::{ApiError, BodyLimit, Caller, ModuleRoute, Paging, Query, json as response};
use crate::model::Record;
use crate::modules::input::Fields;
use crate::modules::owner_of;
use crate::modules::page::Page;
use crate::store::Tx;

const BODY_BYTES_MAX: u64 = 64 << 10;
const ID_CHARS_MAX: usize = 50;
const QUANTITY_MAX: i64 = 1_000_000_000;

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/articles/{article_id}/buy")
                .app_data(ModuleRoute)
                .app_data(BodyLimit(BODY_BYTES_MAX))
                .route(web::post().to(buy_article)),
        )
        .service(
            web::resource("/ventes/{id}/pay")
                .app_data(ModuleRoute)
                .app_data(BodyLimit(BODY_BYTES_MAX))
                .route(web::post().to(pay_vente)),
        )
        .service(
            web::resource("/ventes/{id}/cancel")
                .app_data(ModuleRoute)
                .app_data(BodyLimit(BODY_BYTES_MAX))
                .route(web::post().to(cancel_vente)),
        )
        .service(
            web::resource("/ventes/{id}/fail")
                .app_data(ModuleRoute)
                .app_data(BodyLimit(BODY_BYTES_MAX))
                .route(web::post().to(fail_vente)),
        );
    for (path, route) in [
        ("/user/operations", web::get().to(list_operations)),
        ("/user/sales", web::get().to(list_sales)),
        ("/user/purchases", web::get().to(list_purchases)),
        ("/user/wallet", web::get().to(view_wallet)),
    ] {
        config.service(web::resource(path).app_data(ModuleRoute).route(route));
    }
}

/// Buys an article: takes the stock and creates the sale, to be paid with `pay`.
#[utoipa::path(post, path = "/api/articles/{articleId}/buy", tag = "market",
    params(("articleId" = String, Path, description = "Id of the article"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key gets the same answer for 24 hours")),
    request_body(content = serde_json::Value, description = "`from_post` and `quantity` (1), both optional"),
    responses((status = 200, description = "success, vente_id, amount"), (status = 400, description = "Out of stock, or an own article"),
        (status = 401, description = "Signing in is needed"), (status = 404, description = "No such article"),
        (status = 409, description = "The key belongs to another request"), (status = 410, description = "Past its dueDate")))]
pub(super) async fn buy_article(
    market: Data<Market>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    limits.check_path(market.engine(), &caller, &request)?;
    caller.require_auth()?;
    let buyer = owner_of(&caller.info).ok_or(Error::NoUser)?.to_owned();
    let fields = Fields::read(&request, payload).await?;
    let purchase = Purchase {
        article: path.into_inner(),
        buyer: buyer.clone(),
        quantity: fields.whole("quantity", 1, QUANTITY_MAX)?.unwrap_or(1),
        from_post: fields.text("from_post", ID_CHARS_MAX)?.map(str::to_owned),
        amount: None,
    };
    let once = Once::of(
        &request,
        &buyer,
        "buy",
        &purchase.article,
        fields.into_map(),
    )?;
    let info = caller.info.clone();
    let answer = market
        .once(once, move |market, tx| {
            Box::pin(async move {
                market.check_visible(tx, &purchase.article, &info).await?;
                let vente = market.buy(tx, purchase).await?;
                let amount = Json::from(amount_of(&vente)?);
                Ok(Ok(
                    json!({"success": true, "vente_id": vente.id(), "amount": amount}),
                ))
            })
        })
        .await?;
    Ok(response::ok_value(&answer))
}

/// Pays a sale from the buyer's wallet.
#[utoipa::path(post, path = "/api/ventes/{id}/pay", tag = "market",
    params(("id" = String, Path, description = "Id of the sale"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key gets the same answer for 24 hours")),
    responses((status = 200, description = "success, vente_id, status, amount"), (status = 401, description = "Signing in is needed"),
        (status = 402, description = "The balance is short"), (status = 403, description = "Not the buyer, or an external provider settles payments"),
        (status = 404, description = "No such sale, or the caller takes no part in it"), (status = 409, description = "Not encours any more, or expired")))]
pub(super) async fn pay_vente(
    market: Data<Market>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    transition(
        &market,
        &limits,
        &caller,
        (path.into_inner(), Act::Pay),
        (request, payload),
    )
    .await
}

/// Cancels a sale that is not paid; its stock goes back.
#[utoipa::path(post, path = "/api/ventes/{id}/cancel", tag = "market",
    params(("id" = String, Path, description = "Id of the sale"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key gets the same answer for 24 hours")),
    responses((status = 200, description = "success, vente_id, status, amount"), (status = 401, description = "Signing in is needed"),
        (status = 404, description = "No such sale, or the caller takes no part in it"), (status = 409, description = "Not encours any more")))]
pub(super) async fn cancel_vente(
    market: Data<Market>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let target = (path.into_inner(), Act::Cancel);
    transition(&market, &limits, &caller, target, (request, payload)).await
}

/// Says that the payment of a sale has failed; its stock goes back. For superusers.
#[utoipa::path(post, path = "/api/ventes/{id}/fail", tag = "market",
    params(("id" = String, Path, description = "Id of the sale"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key gets the same answer for 24 hours")),
    responses((status = 200, description = "success, vente_id, status, amount"), (status = 401, description = "Signing in is needed"),
        (status = 403, description = "For superusers only"), (status = 404, description = "No such sale, or the caller takes no part in it"),
        (status = 409, description = "Not encours any more")))]
pub(super) async fn fail_vente(
    market: Data<Market>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    transition(
        &market,
        &limits,
        &caller,
        (path.into_inner(), Act::Fail),
        (request, payload),
    )
    .await
}

/// What a caller does to a sale.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Pay,
    Cancel,
    Fail,
}

impl Act {
    fn name(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Cancel => "cancel",
            Self::Fail => "fail",
        }
    }
}

/// Who calls.
struct Actor {
    id: String,
    is_superuser: bool,
}

async fn transition(
    market: &Market,
    limits: &RateLimits,
    caller: &Caller,
    (id, act): (String, Act),
    (request, payload): (HttpRequest, Payload),
) -> Result<HttpResponse, ApiError> {
    limits.check_path(market.engine(), caller, &request)?;
    let actor = Actor {
        id: caller.require_auth()?.id().to_owned(),
        is_superuser: caller.is_superuser(),
    };
    let fields = Fields::read(&request, payload).await?;
    let once = Once::of(&request, &actor.id, act.name(), &id, fields.into_map())?;
    let answer = market
        .once(once, move |market, tx| {
            Box::pin(async move { act_on(&market, tx, &id, act, &actor).await })
        })
        .await?;
    Ok(response::ok_value(&answer))
}

async fn act_on(
    market: &Market,
    tx: &mut Tx,
    id: &str,
    act: Act,
    actor: &Actor,
) -> Result<Outcome, Error> {
    let (vente, article) = market.find_vente(tx, id).await?;
    let is_buyer = vente.text("user") == actor.id;
    let is_seller = article.text("user") == actor.id;
    if !(is_buyer || is_seller || actor.is_superuser) {
        return Err(Error::NoSale);
    }
    let settled = match act {
        Act::Pay if !(is_buyer || actor.is_superuser) => return Err(Error::NotYours),
        Act::Fail if !actor.is_superuser => return Err(Error::NotYours),
        Act::Pay => {
            check_open(&vente)?;
            let means = market.means();
            if matches!(means, Means::External(_)) && !actor.is_superuser {
                return Err(Error::SettledElsewhere);
            }
            market.pay(tx, vente, means, &actor.id).await?
        }
        Act::Cancel | Act::Fail => {
            let to = match act {
                Act::Fail => Status::Failed,
                _ => Status::Cancelled,
            };
            let own = Own {
                actor: actor.id.clone(),
                ..Own::default()
            };
            market.close(tx, vente, to, own).await?
        }
    };
    match settled {
        Settled::Done(vente) => Ok(Ok(answer_of(&vente)?)),
        Settled::Expired => Ok(Err(Error::Expired)),
    }
}

/// What is answered about a sale.
pub(super) fn answer_of(vente: &Record) -> Result<Json, Error> {
    let amount = Json::from(amount_of(vente)?);
    Ok(
        json!({"success": true, "vente_id": vente.id(), "status": vente.text("status"), "amount": amount}),
    )
}

/// The caller's operations, newest first, with their sales and articles.
#[utoipa::path(get, path = "/api/user/operations", tag = "market",
    params(("page" = Option<u64>, Query, description = "From 1"), ("perPage" = Option<u64>, Query, description = "1 to 1000, default 30")),
    responses((status = 200, description = "operations, count, page, perPage, totalItems"), (status = 401, description = "Signing in is needed")))]
pub(super) async fn list_operations(
    market: Data<Market>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let list = List {
        name: "operations",
        collection: OPERATIONS,
        filter: "user = @request.auth.id",
        expand: "vente.article",
    };
    list.respond(&market, &limits, &caller, &request).await
}

/// The sales of the caller's articles, newest first.
#[utoipa::path(get, path = "/api/user/sales", tag = "market",
    params(("page" = Option<u64>, Query, description = "From 1"), ("perPage" = Option<u64>, Query, description = "1 to 1000, default 30")),
    responses((status = 200, description = "sales, count, page, perPage, totalItems"), (status = 401, description = "Signing in is needed")))]
pub(super) async fn list_sales(
    market: Data<Market>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let list = List {
        name: "sales",
        collection: VENTES,
        filter: "article.user = @request.auth.id",
        expand: "article,user",
    };
    list.respond(&market, &limits, &caller, &request).await
}

/// What the caller has bought, newest first.
#[utoipa::path(get, path = "/api/user/purchases", tag = "market",
    params(("page" = Option<u64>, Query, description = "From 1"), ("perPage" = Option<u64>, Query, description = "1 to 1000, default 30")),
    responses((status = 200, description = "purchases, count, page, perPage, totalItems"), (status = 401, description = "Signing in is needed")))]
pub(super) async fn list_purchases(
    market: Data<Market>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let list = List {
        name: "purchases",
        collection: VENTES,
        filter: "user = @request.auth.id",
        expand: "article",
    };
    list.respond(&market, &limits, &caller, &request).await
}

/// One of the caller's lists.
struct List {
    name: &'static str,
    collection: &'static str,
    filter: &'static str,
    expand: &'static str,
}

impl List {
    async fn respond(
        self,
        market: &Market,
        limits: &RateLimits,
        caller: &Caller,
        request: &HttpRequest,
    ) -> Result<HttpResponse, ApiError> {
        let engine = market.engine();
        limits.check_path(engine, caller, request)?;
        caller.require_auth()?;
        let query = Query::of(request);
        let paging = Paging::of(&query)?;
        // What is overdue by now is not shown as open.
        market.catch_up().await;
        let collection = engine.collection(self.collection)?;
        let params = ListParams {
            page: u64::from(paging.page),
            per_page: u64::from(paging.per_page),
            filter: self.filter.to_owned(),
            sort: "-created,-id".to_owned(),
            ..ListParams::default()
        };
        let (found, total_items) = engine
            .list_unruled(&collection, &params, Some(&caller.info))
            .await?;
        let schema = engine.schema();
        let mut link = Link::Pool(engine);
        let items = engine
            .enrich(&mut link, &schema, found, &caller.info, self.expand)
            .await?;
        Ok(Page {
            name: self.name,
            items: &items,
            page: params.page,
            per_page: params.per_page,
            total_items,
        }
        .respond())
    }
}

/// What the caller's wallet holds.
#[utoipa::path(get, path = "/api/user/wallet", tag = "market",
    responses((status = 200, description = "balance: the sum of what is paid; pending: of what waits"),
        (status = 401, description = "Signing in is needed")))]
pub(super) async fn view_wallet(
    market: Data<Market>,
    limits: Data<RateLimits>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let engine = market.engine();
    limits.check_path(engine, &caller, &request)?;
    let user = caller.require_auth()?.id().to_owned();
    market.catch_up().await;
    let wallet = market.wallet();
    let balance = wallet.balance(&mut Link::Pool(engine), &user).await?;
    let (balance, pending) = (Json::from(balance.balance), Json::from(balance.pending));
    Ok(response::ok_value(
        &json!({"balance": balance, "pending": pending}),
    ))
}
