//! The storage of files, for scripts.

use boa_engine::object::builtins::JsArray;
use boa_engine::{
    Context, JsArgs, JsNativeError, JsObject, JsResult, JsString, JsValue, js_string,
};

use super::filesystem::{FileObject, content_of, in_memory};
use super::os::{check_allowed, read_bounded};
use super::registration::text;
use super::{Natives, bytes};
use crate::blob::{BlobError, Content, NewBlob, Storage, ThumbSize, Thumbs};
use crate::hooks::operate::{OPERATION_MAX, spawn_and_wait, wait_for};
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
    ("createThumb", 3, create_thumb),
];

/// The longest file that a script reads at once.
const READ_BYTES_MAX: u64 = 256 << 20;

/// Does something with the storage. Scripts' own functions are not called meanwhile.
fn stored<F, T>(
    this: &JsValue,
    context: &mut Context,
    work: impl FnOnce(Storage) -> F,
) -> JsResult<T>
where
    F: Future<Output = Result<T, BlobError>>,
{
    let storage = storage_of(this, context)?;
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

/// The storage that `this` names: a folder of the server's machine, the backups (true), or else that of records.
fn storage_of(this: &JsValue, context: &mut Context) -> JsResult<Storage> {
    let engine = world()?.engine.clone();
    if this.is_string() {
        check_allowed("$filesystem.local")?;
        return Ok(Storage::local(text(this, context)?));
    }
    if this.is_boolean() {
        return Ok(Storage::local(engine.store().dir().join("backups")));
    }
    Ok(engine.files().clone())
}

fn key(args: &[JsValue], index: usize, context: &mut Context) -> JsResult<String> {
    text(args.get_or_undefined(index), context)
}

/// `put(content, key, originalName?)`
fn put(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let content = bytes::expect(args.get_or_undefined(0), context)?;
    let key = key(args, 1, context)?;
    let original = args.get_or_undefined(2);
    let original_name = if original.is_undefined() {
        None
    } else {
        Some(text(original, context)?)
    };
    stored(this, context, async move |storage: Storage| {
        let new = NewBlob {
            content_type: None,
            original_name,
        };
        storage.put(&key, Content::Bytes(content), new).await
    })?;
    Ok(JsValue::undefined())
}

/// `putFile(file, key)`
fn put_file(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let file = FileObject::file(args.get_or_undefined(0))
        .ok_or_else(|| JsNativeError::typ().with_message("a file is expected"))?;
    let key = key(args, 1, context)?;
    let content = content_of(&file)?;
    stored(this, context, async move |storage: Storage| {
        let new = NewBlob {
            content_type: Some(file.content_type),
            original_name: Some(file.original_name),
        };
        storage.put(&key, Content::Bytes(content), new).await
    })?;
    Ok(JsValue::undefined())
}

/// `get(key)`: the content.
fn get(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let key = key(args, 0, context)?;
    let content = stored(this, context, async move |storage: Storage| {
        storage.open(&key).await?.read_all(READ_BYTES_MAX).await
    })?;
    bytes::to_js(&content, context)
}

/// `attributes(key)`
fn attributes(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let key = key(args, 0, context)?;
    let known = stored(this, context, async move |storage: Storage| {
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
fn exists(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let key = key(args, 0, context)?;
    let found = stored(this, context, async move |storage: Storage| {
        storage.exists(&key).await
    })?;
    Ok(found.into())
}

/// `delete(key)`
fn delete(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let key = key(args, 0, context)?;
    stored(this, context, async move |storage: Storage| {
        storage.delete(&key).await
    })?;
    Ok(JsValue::undefined())
}

/// `deletePrefix(prefix)`
fn delete_prefix(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let prefix = key(args, 0, context)?;
    stored(this, context, async move |storage: Storage| {
        storage.delete_prefix(&prefix).await
    })?;
    Ok(JsValue::undefined())
}

/// `copy(from, to)`
fn copy(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let (from, to) = (key(args, 0, context)?, key(args, 1, context)?);
    stored(this, context, async move |storage: Storage| {
        storage.copy(&from, &to).await
    })?;
    Ok(JsValue::undefined())
}

/// `createThumb(original, thumb, size)`: stores a thumb, in place of one that is there.
fn create_thumb(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let failed = |error: &dyn std::fmt::Display| {
        JsNativeError::error().with_message(format!("failed to create the thumb: {error}"))
    };
    let (original, thumb) = (key(args, 0, context)?, key(args, 1, context)?);
    let size = key(args, 2, context)?;
    let size: ThumbSize = size
        .parse()
        .map_err(|_| failed(&"thumb size must be in WxH, WxHt, WxHb or WxHf format"))?;
    let storage = storage_of(this, context)?;
    let made = spawn_and_wait(context, async move {
        if storage.exists(&thumb).await? {
            storage.delete(&thumb).await?;
        }
        let thumbs = Thumbs::with_limits(storage, 1, OPERATION_MAX);
        thumbs.ensure(&original, &thumb, size).await
    })?;
    made.map_err(|error| failed(&error))?;
    Ok(JsValue::undefined())
}

/// `list(prefix)`: `{key, size, modified}` each.
fn list_prefix(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let prefix = key(args, 0, context)?;
    let entries = stored(this, context, async move |storage: Storage| {
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
