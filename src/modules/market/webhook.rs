//! What payment providers call.
//!
//! A call is signed: `X-Signature: t=<unix seconds>,v1=<hex>`, where the hex is HMAC-SHA-256 with the provider's secret
//! (`payments.webhooks.<provider>.secret`) over `<t>.<body>`, the body byte for byte. Several `v1` may be given, as while
//! a secret is being replaced. `t` may be five minutes off.
//!
//! The body is `{"id":"evt_1","event":"payment.succeeded"|"payment.failed","vente_id":"..","amount":12.5}`. `charge_id`
//! (the id of a payer's operation) stands in place of `vente_id` for other charges. `id` is the provider's own for the
//! event: a second call with it changes nothing and gets the first one's answer; where it is missing, the signature
//! stands for it. `amount` is optional and must be that of the sale.

use actix_web::web::{self, Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value as Json, json};

use super::once::{Once, Outcome};
use super::own::{Means, Own, Payment};
use super::routes::answer_of;
use super::service::Settled;
use super::wallet::{Status, amount_of};
use super::{Error, Market};
use crate::base::{Cents, digest};
use crate::http::limit::read_all;
use crate::http::rate::RateLimits;
use crate::http::{ApiError, BodyLimit, Caller, ModuleRoute, body, json as response};
use crate::modules::input::{Fields, refused};
use crate::store::Tx;

const BODY_BYTES_MAX: u64 = 64 << 10;
/// How far a call's time may be off.
const TOLERANCE_S: i64 = 5 * 60;
/// Signatures that are compared.
const SIGNATURES_MAX: usize = 5;
const ID_CHARS_MAX: usize = 200;

pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(
        web::resource("/payments/webhook/{provider}")
            .app_data(ModuleRoute)
            .app_data(BodyLimit(BODY_BYTES_MAX))
            .route(web::post().to(receive_payment)),
    );
}

/// Takes a payment provider's word that a sale or charge is paid or has failed.
#[utoipa::path(post, path = "/api/payments/webhook/{provider}", tag = "market",
    params(("provider" = String, Path, description = "As in the setting payments.webhooks"),
        ("X-Signature" = String, Header, description = "`t=<unix seconds>,v1=<hex>`: HMAC-SHA-256 over `<t>.<body>`")),
    request_body(content = serde_json::Value, description = "`event` (payment.succeeded or payment.failed), `vente_id` or `charge_id`, and optionally `id` and `amount`"),
    responses((status = 200, description = "success, and what has become of it"), (status = 400, description = "A member is missing or refused"),
        (status = 401, description = "The signature is not valid"), (status = 404, description = "No such provider, sale or charge"),
        (status = 409, description = "The sale is in another state, has expired or costs another amount")))]
pub(super) async fn receive_payment(
    market: Data<Market>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let engine = market.engine();
    limits.check_path(engine, &caller, &request)?;
    let provider = path.into_inner();
    let settings = engine.own_settings();
    let secret = settings.payments.webhook_secrets.get(&provider);
    let secret = secret.ok_or(Error::NoProvider)?;
    let header = request.headers().get("x-signature");
    let header = header.and_then(|header| header.to_str().ok());
    let signature = header.and_then(Signature::parse).ok_or(Error::Signature)?;
    let limit = BodyLimit::of(&request);
    limit.check_length(&request)?;
    let bytes = read_all(&request, &mut payload.into_inner(), limit).await?;
    if !signature.signs(&bytes, secret, engine.now().unix()) {
        return Err(Error::Signature.into());
    }
    let digest = digest::sha256(&String::from_utf8_lossy(&bytes));
    let fields = body::read_bytes("application/json", bytes).await?;
    let event = PaymentEvent::read(&fields.fields.into(), &provider)?;
    let once = Once {
        user: String::new(),
        route: format!("webhook/{provider}"),
        key: match event.payment.id.as_str() {
            // The very same call.
            "" => format!("t={},{digest}", signature.time),
            id => id.to_owned(),
        },
        digest,
    };
    let answer = market
        .once(Some(once), move |market, tx| {
            Box::pin(async move { apply(&market, tx, event).await })
        })
        .await?;
    Ok(response::ok_value(&answer))
}

/// The parts of `X-Signature`.
#[derive(Debug)]
struct Signature<'a> {
    time_s: i64,
    /// As it was sent, and signed.
    time: &'a str,
    hexes: Vec<&'a str>,
}

impl<'a> Signature<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let mut time = None;
        let mut hexes = Vec::new();
        for part in header.split(',') {
            match part.trim().split_once('=')? {
                ("t", _) if time.is_some() => return None,
                ("t", text) => time = Some(text),
                ("v1", hex) if hexes.len() < SIGNATURES_MAX => hexes.push(hex),
                // Other schemes.
                _ => {}
            }
        }
        let time = time?;
        let is_number = !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self {
            time_s: time.parse().ok().filter(|_| is_number)?,
            time,
            hexes,
        })
    }

    fn signs(&self, body: &[u8], secret: &str, now_s: i64) -> bool {
        let mut signed = Vec::with_capacity(self.time.len() + 1 + body.len());
        signed.extend_from_slice(self.time.as_bytes());
        signed.push(b'.');
        signed.extend_from_slice(body);
        let expected = digest::hmac_sha256(&signed, secret.as_bytes());
        // All are compared, so that the time taken tells nothing.
        let fits = self.hexes.iter().fold(false, |fits, hex| {
            fits | digest::equal(&hex.to_ascii_lowercase(), &expected)
        });
        let is_now = now_s.abs_diff(self.time_s) <= TOLERANCE_S.unsigned_abs();
        fits && is_now && !expected.is_empty()
    }
}

/// What a provider says.
#[derive(Debug)]
struct PaymentEvent {
    to: Status,
    what: What,
    amount: Option<Cents>,
    payment: Payment,
}

#[derive(Debug)]
enum What {
    Sale(String),
    Charge(String),
}

impl PaymentEvent {
    fn read(fields: &Fields, provider: &str) -> Result<Self, ApiError> {
        let to = match fields.required_text("event", ID_CHARS_MAX)? {
            "payment.succeeded" => Status::Paid,
            "payment.failed" => Status::Failed,
            _ => {
                let why = "Must be payment.succeeded or payment.failed.";
                return Err(refused("event", why));
            }
        };
        let what = match fields.text("charge_id", ID_CHARS_MAX)? {
            Some(charge) => What::Charge(charge.to_owned()),
            None => What::Sale(fields.required_text("vente_id", ID_CHARS_MAX)?.to_owned()),
        };
        let amount = match fields.get("amount") {
            None | Some(Json::Null) => None,
            Some(value) => {
                let number = value
                    .as_f64()
                    .ok_or_else(|| refused("amount", "Must be a number."))?;
                let amount = Cents::from_number(number);
                Some(amount.map_err(|error| Error::money("amount", error))?)
            }
        };
        Ok(Self {
            to,
            what,
            amount,
            payment: Payment {
                provider: provider.to_owned(),
                id: fields
                    .text("id", ID_CHARS_MAX)?
                    .unwrap_or_default()
                    .to_owned(),
            },
        })
    }

    fn check_amount(&self, amount: Cents) -> Result<(), Error> {
        match self.amount {
            Some(named) if named != amount => Err(Error::AmountDiffers),
            _ => Ok(()),
        }
    }
}

async fn apply(market: &Market, tx: &mut Tx, event: PaymentEvent) -> Result<Outcome, Error> {
    match &event.what {
        What::Sale(id) => {
            let (vente, _) = market.find_vente(tx, id).await?;
            event.check_amount(amount_of(&vente)?)?;
            if vente.text("status") == event.to.as_str() {
                // Said before, under another id.
                return Ok(Ok(answer_of(&vente)?));
            }
            let own = Own {
                means: Some(Means::External(event.payment.clone())),
                ..Own::default()
            };
            let closed = market.close(tx, vente, event.to, own).await;
            let is_late = matches!(&closed, Ok(Settled::Expired) | Err(Error::State { .. }));
            if is_late && event.to == Status::Paid {
                tracing::warn!(
                    vente.id = id,
                    payment.provider = event.payment.provider,
                    payment.id = event.payment.id,
                    "a payment came for a sale that is not open any more: it must be returned"
                );
            }
            match closed? {
                Settled::Done(vente) => Ok(Ok(answer_of(&vente)?)),
                Settled::Expired => Ok(Err(Error::Expired)),
            }
        }
        What::Charge(id) => {
            let wallet = market.wallet();
            let (status, amount) = wallet.status(tx, id).await?;
            event.check_amount(amount)?;
            if status != event.to {
                wallet
                    .settle(tx, id, event.to, event.payment.clone())
                    .await?;
            }
            Ok(Ok(json!({"success": true, "charge_id": id,
                "status": event.to.as_str(), "amount": Json::from(amount)})))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a secret of eight or more";
    const NOW_S: i64 = 1_700_000_000;

    fn header(time_s: i64, body: &str, secret: &str) -> String {
        let signed = format!("{time_s}.{body}");
        let hex = digest::hmac_sha256(signed.as_bytes(), secret.as_bytes());
        format!("t={time_s},v1={hex}")
    }

    fn accepts(header: &str, body: &str) -> bool {
        let signature = Signature::parse(header);
        signature.is_some_and(|signature| signature.signs(body.as_bytes(), SECRET, NOW_S))
    }

    #[test]
    fn a_signature_covers_time_and_body() {
        assert!(accepts(&header(NOW_S, "{}", SECRET), "{}"));
        assert!(accepts(&header(NOW_S - TOLERANCE_S, "{}", SECRET), "{}"));
        assert!(accepts(&header(NOW_S + TOLERANCE_S, "{}", SECRET), "{}"));
        let upper = header(NOW_S, "{}", SECRET)
            .to_uppercase()
            .replace("T=", "t=")
            .replace("V1=", "v1=");
        assert!(accepts(&upper, "{}"));
        let rotated = header(NOW_S, "{}", SECRET).replace(",v1=", ",v1=00,v0=x, v1=");
        assert!(accepts(&rotated, "{}"));
        let other_time = header(NOW_S, "{}", SECRET).replace("t=17", "t=18");
        for wrong in [
            header(NOW_S, "{ }", SECRET),
            header(NOW_S, "{}", "another secret"),
            header(NOW_S - TOLERANCE_S - 1, "{}", SECRET),
            header(NOW_S + TOLERANCE_S + 1, "{}", SECRET),
            header(NOW_S, "{}", SECRET).replace("t=", "t=+"),
            format!("t={NOW_S}"),
            format!("t={NOW_S},v1="),
            String::new(),
            "v1=00".to_owned(),
            other_time,
            format!("t={NOW_S},{}", header(NOW_S, "{}", SECRET)),
        ] {
            assert!(!accepts(&wrong, "{}"), "{wrong}");
        }
    }
}
