//! What scripts may know of the application they run in.

use boa_engine::object::builtins::JsArray;
use boa_engine::{Context, JsResult, JsString, JsValue};

use super::Natives;
use crate::hooks::world::world;

pub(super) const NATIVES: Natives = &[
    ("isDev", 0, is_dev),
    ("isBootstrapped", 0, is_bootstrapped),
    ("dataDir", 0, data_dir),
    ("crons", 0, crons),
];

fn is_dev(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    Ok(world()?.options.hooks.dev.into())
}

fn is_bootstrapped(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    Ok(world()?.engine.is_bootstrapped().into())
}

fn data_dir(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let world = world()?;
    let dir = world.engine.store().dir().to_string_lossy();
    Ok(JsString::from(&*dir).into())
}

/// `[id, expression]` of each job that is no built-in one.
fn crons(_: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let jobs = world()?.engine.crons().list();
    let jobs: Vec<JsValue> = jobs
        .iter()
        .filter(|job| !job.id.starts_with("__pb"))
        .map(|job| {
            let parts = [&job.id, &job.expression].map(|text| JsString::from(text.as_str()).into());
            JsArray::from_iter(parts, context).into()
        })
        .collect();
    Ok(JsArray::from_iter(jobs, context).into())
}
