//! Digests, random texts, tokens and encryption for scripts.

use boa_engine::{Context, JsArgs, JsNativeError, JsResult, JsString, JsValue};
use serde_json::Value as Json;

use super::Natives;
use super::registration::text;
use crate::base::token::TokenError;
use crate::base::{DateTime, cipher, digest, id, token};

pub(super) const NATIVES: Natives = &[
    ("md5", 1, |_, args, context| {
        digested(args, context, digest::md5)
    }),
    ("sha256", 1, |_, args, context| {
        digested(args, context, digest::sha256)
    }),
    ("sha512", 1, |_, args, context| {
        digested(args, context, digest::sha512)
    }),
    ("hs256", 2, |_, args, context| {
        keyed(args, context, digest::hs256)
    }),
    ("hs512", 2, |_, args, context| {
        keyed(args, context, digest::hs512)
    }),
    ("equal", 2, equal),
    ("random", 2, random),
    ("randomByRegex", 1, random_by_regex),
    ("parseUnverifiedJWT", 1, parse_unverified),
    ("parseJWT", 2, parse),
    ("createJWT", 3, create),
    ("encrypt", 2, encrypt),
    ("decrypt", 2, decrypt),
];

/// The longest random text.
const RANDOM_CHARS_MAX: u64 = 1 << 20;

fn error(message: impl ToString) -> boa_engine::JsError {
    JsNativeError::error()
        .with_message(message.to_string())
        .into()
}

fn digested(args: &[JsValue], context: &mut Context, of: fn(&str) -> String) -> JsResult<JsValue> {
    let text = text(args.get_or_undefined(0), context)?;
    Ok(JsString::from(of(&text)).into())
}

fn keyed(
    args: &[JsValue],
    context: &mut Context,
    of: fn(&str, &str) -> String,
) -> JsResult<JsValue> {
    let content = text(args.get_or_undefined(0), context)?;
    let key = text(args.get_or_undefined(1), context)?;
    Ok(JsString::from(of(&content, &key)).into())
}

/// `equal(one, other)`, in a time that does not tell where they differ.
fn equal(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let one = text(args.get_or_undefined(0), context)?;
    let other = text(args.get_or_undefined(1), context)?;
    Ok(digest::equal(&one, &other).into())
}

/// `random(length, alphabet?)`
fn random(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let length = args.get_or_undefined(0).to_length(context)?;
    if length > RANDOM_CHARS_MAX {
        return Err(JsNativeError::range()
            .with_message("the text would be too long")
            .into());
    }
    let length = usize::try_from(length).unwrap_or_default();
    let alphabet = args.get_or_undefined(1);
    let random = if alphabet.is_undefined() {
        id::random_string(length)
    } else {
        id::random_with_alphabet(length, &text(alphabet, context)?)
    };
    Ok(JsString::from(random).into())
}

/// `randomByRegex(pattern)`
fn random_by_regex(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let pattern = text(args.get_or_undefined(0), context)?;
    let random = id::random_by_regex(&pattern).map_err(error)?;
    Ok(JsString::from(random).into())
}

/// A refused token, in the words that PocketBase's scripts may look for.
fn refused(cause: TokenError) -> boa_engine::JsError {
    error(match cause {
        TokenError::Malformed => "token is malformed: token contains an invalid number of segments",
        TokenError::OtherAlgorithm => {
            "token signature is invalid: signing method is not among the valid ones"
        }
        TokenError::BadSignature => "token signature is invalid: signature is invalid",
        TokenError::Expired => "token has invalid claims: token is expired",
        TokenError::NotYetValid => "token has invalid claims: token is not valid yet",
    })
}

/// `parseUnverifiedJWT(token)`: its claims, if they are of this time.
fn parse_unverified(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let given = text(args.get_or_undefined(0), context)?;
    let claims = token::peek_unverified(&given).ok_or_else(|| refused(TokenError::Malformed))?;
    token::check_times(&claims, DateTime::now()).map_err(refused)?;
    JsValue::from_json(&Json::Object(claims), context)
}

/// `parseJWT(token, key)`: the claims of a valid token.
fn parse(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let given = text(args.get_or_undefined(0), context)?;
    let key = text(args.get_or_undefined(1), context)?;
    let claims = token::verify(&given, &key, DateTime::now()).map_err(refused)?;
    JsValue::from_json(&Json::Object(claims), context)
}

/// `createJWT(claims, key, seconds)`
fn create(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let claims = match crate::hooks::encode::to_json(args.get_or_undefined(0), context)? {
        Json::Object(claims) => claims,
        _ => serde_json::Map::new(),
    };
    let key = text(args.get_or_undefined(1), context)?;
    let seconds = args.get_or_undefined(2).to_number(context)?;
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    let signed = token::sign(claims, &key, DateTime::now(), seconds as i64);
    let signed = signed.map_err(|_| error("the signing key must not be empty"))?;
    Ok(JsString::from(signed).into())
}

/// `encrypt(content, key)`
fn encrypt(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let content = super::bytes::expect(args.get_or_undefined(0), context)?;
    let key = text(args.get_or_undefined(1), context)?;
    let hidden = cipher::encrypt(&content, &key).map_err(error)?;
    Ok(JsString::from(hidden).into())
}

/// `decrypt(hidden, key)`
fn decrypt(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let hidden = text(args.get_or_undefined(0), context)?;
    let key = text(args.get_or_undefined(1), context)?;
    let content = cipher::decrypt(&hidden, &key).map_err(error)?;
    Ok(JsString::from(&*String::from_utf8_lossy(&content)).into())
}
