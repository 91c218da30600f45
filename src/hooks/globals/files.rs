//! The storage of files, for scripts.

use boa_engine::object::builtins::JsArray;
use boa_engine::{
    Context, JsArgs, JsNativeError, JsObject, JsResult, JsString, JsValue, js_string,
};

use super::filesystem::{FileObject, content_of, in_memory};
use super::os::{check_allowed, read_bounded};
use super::registration::text;
use super::{Natives, bytes};
use crate::blob::{BlobError, Content, NewBlob, Storage};
use crate::hooks::operate::{OPERATION_MAX, wait_for};
use crate::hooks::world::world;
use crate::js::thread::{Thread, Wait};

pub(super) const NATIVES: Natives = &[
    ("put", 3, put),
    ("putFile", 2, put_file),
    ("get", 1, get),
    ("attributes", 1, attributes),
    ("exists", 1, exists),
    ("delete", 1, delete),
    ("deletePrefix", 1, delete_prefix),
    ("copy", 2, copy),
    ("list", 1, list_prefix),
    ("fromPath", 1, from_path),
];

/// The longest file that a script reads at once.
const READ_BYTES_MAX: u64 = 256 << 20;

/// Does something with the storage. Scripts' own functions are not called meanwhile.
fn stored<F, T>(context: &mut Context, work: impl FnOnce(Storage) -> F) -> JsResult<T>
where
    F: Future<Output = Result<T, BlobError>>,
{
    let storage = world()?.engine.files().clone();
    let thread = Thread::of_native()?;
    let chain = thread.chain();
    let wait = Wait {
        limit: OPERATION_MAX,
        serves_others: false,
    };
    wait_for(&thread, context, &chain, &wait, work(storage))?.map_err(|error| {
        JsNativeError::error()
            .with_message(error.to_string())
            .into()
    })
}

fn key(args: &[JsValue], index: usize, context: &mut Context) -> JsResult<String> {
    text(args.get_or_undefined(index), context)
}

/// `put(content, key, originalName?)`
fn put(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let content = bytes::expect(args.get_or_undefined(0), context)?;
    let key = key(args, 1, context)?;
    let original = args.get_or_undefined(2);
    let original_name = if original.is_undefined() {
        None
    } else {
        Some(text(original, context)?)
    };
    stored(context, async move |storage: Storage| {
        let new = NewBlob {
            content_type: None,
            original_name,
        };
        storage.put(&key, Content::Bytes(content), new).await
    })?;
    Ok(JsValue::undefined())
}

/// `putFile(file, key)`
fn put_file(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let file = FileObject::file(args.get_or_undefined(0))
        .ok_or_else(|| JsNativeError::typ().with_message("a file is expected"))?;
    let key = key(args, 1, context)?;
    let content = content_of(&file)?;
    stored(context, async move |storage: Storage| {
        let new = NewBlob {
            content_type: Some(file.content_type),
            original_name: Some(file.original_name),
        };
        storage.put(&key, Content::Bytes(content), new).await
    })?;
    Ok(JsValue::undefined())
}

/// `get(key)`: the content.
fn get(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let key = key(args, 0, context)?;
    let content = stored(context, async move |storage: Storage| {
        storage.open(&key).await?.read_all(READ_BYTES_MAX).await
    })?;
    bytes::to_js(&content, context)
}

/// `attributes(key)`
fn attributes(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let key = key(args, 0, context)?;
    let known = stored(context, async move |storage: Storage| {
        storage.metadata(&key).await
    })?;
    let object = JsObject::with_object_proto(context.intrinsics());
    #[expect(clippy::cast_precision_loss, reason = "files are shorter than 2^53")]
    object.set(js_string!("size"), known.size as f64, true, context)?;
    let content_type = JsString::from(known.content_type);
    object.set(js_string!("contentType"), content_type, true, context)?;
    object.set(
        js_string!("modified"),
        unix_ms(known.modified),
        true,
        context,
    )?;
    let original = JsString::from(known.original_name.unwrap_or_default());
    object.set(js_string!("originalName"), original, true, context)?;
    Ok(object.into())
}

fn unix_ms(time: std::time::SystemTime) -> f64 {
    let since = time.duration_since(std::time::UNIX_EPOCH);
    (since.unwrap_or_default().as_secs_f64() * 1_000.0).floor()
}

/// `exists(key)`
fn exists(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let key = key(args, 0, context)?;
    let found = stored(context, async move |storage: Storage| {
        storage.exists(&key).await
    })?;
    Ok(found.into())
}

/// `delete(key)`
fn delete(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let key = key(args, 0, context)?;
    stored(context, async move |storage: Storage| {
        storage.delete(&key).await
    })?;
    Ok(JsValue::undefined())
}

/// `deletePrefix(prefix)`
fn delete_prefix(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let prefix = key(args, 0, context)?;
    stored(context, async move |storage: Storage| {
        storage.delete_prefix(&prefix).await
    })?;
    Ok(JsValue::undefined())
}

/// `copy(from, to)`
fn copy(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let (from, to) = (key(args, 0, context)?, key(args, 1, context)?);
    stored(context, async move |storage: Storage| {
        storage.copy(&from, &to).await
    })?;
    Ok(JsValue::undefined())
}

/// `list(prefix)`: `{key, size, modified}` each.
fn list_prefix(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let prefix = key(args, 0, context)?;
    let entries = stored(context, async move |storage: Storage| {
        storage.list_prefix(&prefix).await
    })?;
    let mut list: Vec<JsValue> = Vec::with_capacity(entries.len());
    for entry in entries {
        let object = JsObject::with_object_proto(context.intrinsics());
        let key = JsString::from(entry.key);
        object.set(js_string!("key"), key, true, context)?;
        #[expect(clippy::cast_precision_loss, reason = "files are shorter than 2^53")]
        object.set(js_string!("size"), entry.size as f64, true, context)?;
        object.set(
            js_string!("modified"),
            unix_ms(entry.modified),
            true,
            context,
        )?;
        list.push(object.into());
    }
    Ok(JsArray::from_iter(list, context).into())
}

/// `fromPath(path)`: a file of the server's machine.
fn from_path(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    check_allowed("$filesystem.fileFromPath")?;
    let path = key(args, 0, context)?;
    let content = read_bounded(&path)?;
    let name = std::path::Path::new(&path).file_name().unwrap_or_default();
    Ok(in_memory(&name.to_string_lossy(), content.into())?.into())
}
