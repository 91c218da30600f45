//! Files that scripts make, get and store.

use boa_engine::{Context, JsArgs, JsNativeError, JsObject, JsResult, JsString, JsValue};

use super::registration::text;
use super::{Natives, bytes};
use crate::blob::{mime, name};
use crate::hooks::world::world;
use crate::http::UploadedFile;
use crate::js::native::Native;
use crate::model::{Upload, UploadSource};

pub(super) const NATIVES: Natives = &[
    ("fromBytes", 2, from_bytes),
    ("property", 1, property),
    ("read", 0, read),
];

/// How much of a file is looked at to find its type.
const HEAD_BYTES: usize = 3_072;

/// The host's part of a `File` object: a file that is stored nowhere yet.
pub(crate) struct FileObject(Upload);

impl FileObject {
    /// The object of a file.
    pub(crate) fn create(file: Upload) -> JsResult<JsObject> {
        let world = world()?;
        let prototype = world
            .shared
            .borrow()
            .as_ref()
            .map(|shared| shared.file_prototype.clone());
        Ok(Native::object(prototype, Self(file)))
    }

    /// The file of a script value, if it is one. Its field is empty.
    pub(crate) fn file(value: &JsValue) -> Option<Upload> {
        Native::<Self>::with(value, |native| native.0.clone())
    }
}

/// The object of a file that came with a request.
pub(super) fn uploaded(file: UploadedFile) -> JsResult<JsObject> {
    let head = match &file.source {
        UploadSource::Memory(bytes) => bytes.slice(..bytes.len().min(HEAD_BYTES)),
        UploadSource::File(temporary) => head_of(&temporary.path),
    };
    FileObject::create(Upload {
        field: String::new(),
        name: name::normalize(&file.name, &head),
        original_name: file.name,
        size: file.size_bytes,
        content_type: mime::detect(&head).content_type().into_owned(),
        source: file.source,
    })
}

/// The object of a file with this content.
pub(super) fn in_memory(original_name: &str, content: ::bytes::Bytes) -> JsResult<JsObject> {
    uploaded(UploadedFile {
        name: original_name.to_owned(),
        content_type: None,
        size_bytes: content.len() as u64,
        source: UploadSource::Memory(content),
    })
}

fn head_of(path: &std::path::Path) -> ::bytes::Bytes {
    use std::io::Read;
    let mut head = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        let _ = file.take(HEAD_BYTES as u64).read_to_end(&mut head);
    }
    head.into()
}

fn file(this: &JsValue) -> JsResult<Upload> {
    FileObject::file(this).ok_or_else(|| JsNativeError::typ().with_message("not a file").into())
}

/// `fromBytes(content, name)`
fn from_bytes(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let content = bytes::expect(args.get_or_undefined(0), context)?;
    let name = text(args.get_or_undefined(1), context)?;
    if content.is_empty() {
        return Err(JsNativeError::error()
            .with_message("cannot create an empty file")
            .into());
    }
    Ok(in_memory(&name, content)?.into())
}

/// `property(name)` of a file: `name`, `originalName`, `size`, `contentType`.
fn property(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let file = file(this)?;
    let name = text(args.get_or_undefined(0), context)?;
    Ok(match name.as_str() {
        "name" => JsString::from(file.name).into(),
        "originalName" => JsString::from(file.original_name).into(),
        "contentType" => JsString::from(file.content_type).into(),
        #[expect(clippy::cast_precision_loss, reason = "files are shorter than 2^53")]
        "size" => (file.size as f64).into(),
        _ => JsValue::undefined(),
    })
}

/// `read()`: the content of a file.
fn read(this: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let content = content_of(&file(this)?)?;
    bytes::to_js(&content, context)
}

/// The content of a file.
pub(super) fn content_of(file: &Upload) -> JsResult<::bytes::Bytes> {
    match &file.source {
        UploadSource::Memory(content) => Ok(content.clone()),
        UploadSource::File(temporary) => {
            std::fs::read(&temporary.path)
                .map(Into::into)
                .map_err(|error| {
                    JsNativeError::error()
                        .with_message(format!("the file cannot be read: {error}"))
                        .into()
                })
        }
    }
}
