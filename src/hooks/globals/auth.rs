//! `auth`: who a token stands for.

use boa_engine::{Context, JsArgs, JsResult, JsValue};
use serde_json::json;

use super::Natives;
use super::data::plain;
use super::plain::to_script;
use super::registration::text;
use crate::engine::{Error, Link};
use crate::hooks::operate::look_up;
use crate::model::TokenKind;
use crate::store::records;
use crate::store::search::Condition;

pub(super) const NATIVES: Natives = &[("verifyToken", 1, verify_token), ("getUser", 1, get_user)];

/// `verifyToken(token)`: `{valid, userId, collection}`; with or without `Bearer`.
fn verify_token(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let token = text(args.get_or_undefined(0), context)?;
    let found = look_up(context, move |app| {
        Box::pin(async move {
            let token = match token.split_at_checked(7) {
                Some((prefix, rest)) if prefix.eq_ignore_ascii_case("bearer ") => rest,
                _ => &token,
            };
            let engine = app.engine.clone();
            let mut link = match app.tx {
                Some(tx) => Link::Tx(tx),
                None => Link::Pool(app.engine),
            };
            let mut conn = link.conn().await?;
            let found = engine
                .record_of_token(&mut conn, token, &[TokenKind::Auth])
                .await?;
            Ok::<_, Error>(found.map(|(record, _)| record))
        })
    })?;
    let answer = match found {
        Some(record) => {
            json!({"valid": true, "userId": record.id(), "collection": record.collection().name})
        }
        None => json!({"valid": false, "userId": ""}),
    };
    to_script(&answer, context)
}

/// `getUser(id)`: the record of `users`, else of another auth collection but superusers; null when there is none.
fn get_user(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let id = text(args.get_or_undefined(0), context)?;
    let found = look_up(context, move |app| {
        Box::pin(async move {
            let engine = app.engine.clone();
            let mut link = match app.tx {
                Some(tx) => Link::Tx(tx),
                None => Link::Pool(app.engine),
            };
            let schema = link.schema(&engine);
            let mut collections: Vec<_> = schema
                .iter()
                .filter(|one| one.is_auth() && !one.is_superusers())
                .cloned()
                .collect();
            collections.sort_by_key(|one| (one.name != "users", one.name.clone()));
            let mut conn = link.conn().await?;
            for collection in collections {
                let found = records::find(&mut conn, &collection, &id, &Condition::Always).await?;
                if let Some(record) = found {
                    return Ok::<_, Error>(Some(plain(&record)));
                }
            }
            Ok(None)
        })
    })?;
    match found {
        Some(user) => to_script(&user, context),
        None => Ok(JsValue::null()),
    }
}
