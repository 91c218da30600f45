//! JSON web tokens (RFC 7519), signed with HMAC-SHA-256, as PocketBase makes and reads them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use serde_json::{Map, Value};

use super::date::DateTime;
use super::json;

/// The claims of a token.
pub type Claims = Map<String, Value>;

/// base64 of `{"alg":"HS256","typ":"JWT"}`.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
/// base64 of `{"alg":"HS256"}`.
const HEADER_SHORT: &str = "eyJhbGciOiJIUzI1NiJ9";
/// Tokens longer than this are not looked at.
const TOKEN_BYTES_MAX: usize = 8192;
/// Claims are flat; a little is allowed for those of hooks.
const CLAIMS_DEPTH_MAX: usize = 8;

/// Why a token is not accepted. Never shown to clients in detail: to them a bad token is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token.
    #[error("the token is malformed")]
    Malformed,
    /// It is signed with another algorithm than HS256.
    #[error("the token uses another algorithm")]
    OtherAlgorithm,
    /// It was signed with another key, or changed.
    #[error("the token's signature does not match")]
    BadSignature,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` lies ahead.
    #[error("the token is not valid yet")]
    NotYetValid,
}

/// Makes a token with the given claims and an `exp` that is `lifetime_s` seconds after `now`, unless the claims bring
/// their own. Claims are written in the order of their names, as PocketBase does, so that equal claims make equal tokens.
///
/// Fails with [`TokenError::BadSignature`] when the key is empty: anybody could sign with that.
pub fn sign(
    mut claims: Claims,
    key: &str,
    now: DateTime,
    lifetime_s: i64,
) -> Result<String, TokenError> {
    if key.is_empty() {
        return Err(TokenError::BadSignature);
    }
    claims
        .entry("exp")
        .or_insert_with(|| now.unix().saturating_add(lifetime_s).into());
    let mut payload = Vec::with_capacity(192);
    json::write_map_sorted(&mut payload, &claims);
    let mut token = String::with_capacity(HEADER.len() + payload.len() * 4 / 3 + 48);
    token.push_str(HEADER);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(&payload, &mut token);
    let key = EncodingKey::from_secret(key.as_bytes());
    let signature = crypto::sign(token.as_bytes(), &key, Algorithm::HS256)
        .map_err(|_| TokenError::BadSignature)?;
    token.push('.');
    token.push_str(&signature);
    Ok(token)
}

/// Checks the signature and the times of a token and returns its claims.
///
/// A token without `exp` never expires, as with PocketBase. No token is valid for an empty key.
pub fn verify(token: &str, key: &str, now: DateTime) -> Result<Claims, TokenError> {
    let parts = Parts::of(token)?;
    parts.check_signature(key)?;
    let claims = parts.claims()?;
    check_times(&claims, now)?;
    Ok(claims)
}

/// Checks the signature and the times of a token whose claims were read before with [`peek_unverified`]: cheaper than
/// [`verify`], since the claims are not decoded twice.
pub fn verify_peeked(
    token: &str,
    peeked: &Claims,
    key: &str,
    now: DateTime,
) -> Result<(), TokenError> {
    check_times(peeked, now)?;
    Parts::of(token)?.check_signature(key)
}

/// The claims of a token that may be forged or expired: enough to find the record whose key verifies it, for nothing else.
pub fn peek_unverified(token: &str) -> Option<Claims> {
    Parts::of(token).and_then(|parts| parts.claims()).ok()
}

struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    /// Header, dot and payload.
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        if payload.contains('.') {
            return Err(TokenError::Malformed);
        }
        Ok(Self {
            header,
            payload,
            signed,
            signature,
        })
    }

    fn check_signature(&self, key: &str) -> Result<(), TokenError> {
        // Nearly all tokens have one of two headers; no need to decode these.
        if self.header != HEADER && self.header != HEADER_SHORT {
            let header = decode(self.header)?;
            if header.get("alg").and_then(Value::as_str) != Some("HS256") {
                return Err(TokenError::OtherAlgorithm);
            }
        }
        if key.is_empty() {
            return Err(TokenError::BadSignature);
        }
        let key = DecodingKey::from_secret(key.as_bytes());
        match crypto::verify(
            self.signature,
            self.signed.as_bytes(),
            &key,
            Algorithm::HS256,
        ) {
            Ok(true) => Ok(()),
            Ok(false) => Err(TokenError::BadSignature),
            Err(_) => Err(TokenError::Malformed),
        }
    }

    fn claims(&self) -> Result<Claims, TokenError> {
        decode(self.payload)
    }
}

fn decode(part: &str) -> Result<Claims, TokenError> {
    let bytes = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Malformed)?;
    match json::parse_value(&bytes, CLAIMS_DEPTH_MAX) {
        Ok(Value::Object(claims)) => Ok(claims),
        _ => Err(TokenError::Malformed),
    }
}

/// Checks `exp` and `nbf`.
///
/// # Errors
/// When the token is not of this time.
pub fn check_times(claims: &Claims, now: DateTime) -> Result<(), TokenError> {
    let now_s = now.unix_ms() as f64 / 1000.0;
    if seconds(claims, "exp")?.is_some_and(|exp| now_s >= exp) {
        return Err(TokenError::Expired);
    }
    if seconds(claims, "nbf")?.is_some_and(|nbf| now_s < nbf) {
        return Err(TokenError::NotYetValid);
    }
    Ok(())
}

/// A time claim in whole seconds. Zero counts as absent; anything but a number is malformed.
fn seconds(claims: &Claims, name: &str) -> Result<Option<f64>, TokenError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(0.0) => Ok(None),
            Some(seconds) => Ok(Some(seconds.floor())),
            None => Err(TokenError::Malformed),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// A test user's token of the recorded scenarios, and the key made of its token key and the collection's secret.
    const KNOWN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6IjRxMXhsY2xtZmxva3UzMyIsInR5cGUiOiJhdXRoIiwiY29sbGVjdGlvbklkIjoiX3BiX3VzZXJzX2F1dGhfIiwiZXhwIjoyNTI0NjA0NDYxLCJyZWZyZXNoYWJsZSI6dHJ1ZX0.ZT3F0Z3iM-xbGgSG3LEKiEzHrPHr8t8IuHLZGGNuxLo";
    const KNOWN_KEY: &str = "tfYe7rCTX4D2KuWQY3pJjBifgsrMbecyXBatEPjrSfGEGS2jh6PjVU4hAV7CZIWbCByJHkDcMUlSEWCLI6M5aWSZOpEq0a3rYxKT";

    fn claims(value: Value) -> Claims {
        value.as_object().cloned().unwrap()
    }

    fn at(seconds: i64) -> DateTime {
        DateTime::from_unix(seconds).unwrap()
    }

    #[test]
    fn tokens_pocketbase_made_are_accepted_until_they_expire() {
        let read = verify(KNOWN, KNOWN_KEY, at(1_700_000_000)).unwrap();
        assert_eq!(read["id"], "4q1xlclmfloku33");
        assert_eq!(peek_unverified(KNOWN).unwrap(), read);
        assert_eq!(
            verify_peeked(KNOWN, &read, KNOWN_KEY, at(1_700_000_000)),
            Ok(())
        );
        assert!(verify(KNOWN, KNOWN_KEY, at(2_524_604_460)).is_ok());
        assert_eq!(
            verify(KNOWN, KNOWN_KEY, at(2_524_604_461)),
            Err(TokenError::Expired)
        );
        assert_eq!(
            verify_peeked(KNOWN, &read, KNOWN_KEY, at(2_524_604_461)),
            Err(TokenError::Expired)
        );
    }

    #[test]
    fn equal_claims_make_equal_tokens_with_names_in_order() {
        let key = "k".repeat(50);
        let token = sign(
            claims(json!({"type": "auth", "id": "x", "refreshable": true})),
            &key,
            at(1000),
            500,
        )
        .unwrap();
        let mut parts = token.split('.');
        assert_eq!(parts.next(), Some(HEADER));
        let payload = URL_SAFE_NO_PAD.decode(parts.next().unwrap()).unwrap();
        assert_eq!(
            payload,
            br#"{"exp":1500,"id":"x","refreshable":true,"type":"auth"}"#
        );
        assert!(verify(&token, &key, at(1499)).is_ok());
        assert_eq!(verify(&token, &key, at(1500)), Err(TokenError::Expired));
    }

    #[test]
    fn tokens_are_byte_for_byte_those_pocketbase_makes() {
        let token = sign(
            claims(json!({
                "id": "a<b", "type": "auth", "exp": 2524604461i64, "collectionId": "c",
                "refreshable": true,
            })),
            "secretkey",
            at(0),
            0,
        );
        assert_eq!(
            token.unwrap(),
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJjb2xsZWN0aW9uSWQiOiJjIiwiZXhwIjoyNTI0NjA0NDYxLCJpZCI6ImFcdTAwM2NiIiwicmVmcmVzaGFibGUiOnRydWUsInR5cGUiOiJhdXRoIn0.RbzAVCBReSRohQ6UTUzRzOKmvbol0NJoxgmqEdAIsDQ"
        );
    }

    #[test]
    fn given_expiry_wins_over_the_lifetime() {
        let token = sign(claims(json!({"exp": 9})), "key", at(1000), 500).unwrap();
        assert_eq!(peek_unverified(&token).unwrap()["exp"], 9);
    }

    #[test]
    fn changed_tokens_other_keys_and_other_algorithms_are_refused() {
        let now = at(1_700_000_000);
        assert_eq!(verify(KNOWN, "other", now), Err(TokenError::BadSignature));
        assert_eq!(verify(KNOWN, "", now), Err(TokenError::BadSignature));
        let changed = KNOWN.replace("eyJpZCI6IjRx", "eyJpZCI6IjRy");
        assert_eq!(
            verify(&changed, KNOWN_KEY, now),
            Err(TokenError::BadSignature)
        );
        let unsigned = KNOWN.replace(
            "eyJhbGciOiJIUzI1NiJ9",
            &URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        );
        assert_eq!(
            verify(&unsigned, KNOWN_KEY, now),
            Err(TokenError::OtherAlgorithm)
        );
        assert_eq!(
            sign(Claims::new(), "", now, 1),
            Err(TokenError::BadSignature)
        );
    }

    #[test]
    fn time_claims_must_be_numbers_and_zero_is_none() {
        let now = at(1000);
        let check = |value| check_times(&claims(value), now);
        assert_eq!(check(json!({"exp": "1"})), Err(TokenError::Malformed));
        assert_eq!(check(json!({"exp": 0, "nbf": 0})), Ok(()));
        assert_eq!(check(json!({})), Ok(()));
        assert_eq!(check(json!({"nbf": 1001})), Err(TokenError::NotYetValid));
        assert_eq!(
            check(json!({"nbf": 1000, "exp": 1000.9})),
            Err(TokenError::Expired)
        );
    }

    #[test]
    fn texts_that_are_no_tokens_are_refused() {
        let long = format!("{HEADER}.{}.x", "a".repeat(TOKEN_BYTES_MAX));
        for text in ["", ".", "..", "a.b", "a.b.c.d", "a.b.c", &long] {
            assert!(verify(text, "key", at(0)).is_err(), "{text}");
            assert!(peek_unverified(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "[a-zA-Z0-9_.=-]{0,80}") {
            let _ = peek_unverified(&text);
            prop_assert!(verify(&text, "key", DateTime::ZERO).is_err());
        }
    }
}
