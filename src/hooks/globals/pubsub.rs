//! `pubsub`: topics, by which scripts and clients reach each other.

use boa_engine::{Context, JsArgs, JsNativeError, JsResult, JsValue};

use super::Natives;
use super::plain::argument;
use super::registration::text;
use crate::engine::Error;
use crate::hooks::operate::operate;
use crate::hooks::world::{session, world};
use crate::live::Publication;

pub(super) const NATIVES: Natives = &[("publish", 2, publish), ("end", 1, end)];

/// `publish(topic, payload)`: at once; inside a transaction once that is committed.
fn publish(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let topic = text(args.get_or_undefined(0), context)?;
    let payload = argument(args, 1, context)?;
    let refused = |error: crate::live::Error| {
        JsNativeError::error().with_message(format!("{topic:?} cannot be published to: {error}"))
    };
    let publication = Publication::new(&topic, &payload).map_err(refused)?;
    let live = world()?.options.live.clone();
    if session()?.transaction.is_none() {
        live.send(publication).map_err(refused)?;
        return Ok(true.into());
    }
    operate(context, move |app| {
        Box::pin(async move {
            if let Some(tx) = app.tx {
                live.publish_after_commit(tx, publication);
            }
            Ok::<(), Error>(())
        })
    })?;
    Ok(true.into())
}

/// `end(number)`: ends a subscription, whoever asks for it.
fn end(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let number = args.get_or_undefined(0).to_length(context)?;
    Ok(world()?.end_registration(number).into())
}
