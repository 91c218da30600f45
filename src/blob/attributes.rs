//! The sidecar file beside each stored file, in the format PocketBase inherited from the Go CDK: JSON in `<file>.attrs`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::key;

/// Name of the metadata entry with the client's name of the file.
const ORIGINAL_NAME: &str = "original-filename";
/// Bytes kept of that name.
const ORIGINAL_NAME_BYTES_MAX: usize = 255;
/// What a file without a sidecar is taken for.
pub(super) const CONTENT_TYPE_UNKNOWN: &str = "application/octet-stream";
/// A sidecar file is not read beyond this.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What is kept about a file besides its content. Members are written in this order, as PocketBase does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Attributes {
    #[serde(rename = "user.cache_control")]
    cache_control: String,
    #[serde(rename = "user.content_disposition")]
    content_disposition: String,
    #[serde(rename = "user.content_encoding")]
    content_encoding: String,
    #[serde(rename = "user.content_language")]
    content_language: String,
    #[serde(rename = "user.content_type")]
    pub(super) content_type: String,
    #[serde(rename = "user.metadata")]
    metadata: Option<BTreeMap<String, String>>,
    /// base64, or nothing when unknown.
    md5: Option<String>,
}

impl Attributes {
    pub(super) fn new(content_type: String, original_name: Option<&str>, md5: [u8; 16]) -> Self {
        let metadata = original_name.map(|name| {
            let name = cut(name, ORIGINAL_NAME_BYTES_MAX).to_owned();
            BTreeMap::from([(ORIGINAL_NAME.to_owned(), name)])
        });
        Self {
            content_type,
            metadata,
            md5: Some(STANDARD.encode(md5)),
            ..Self::default()
        }
    }

    /// Those of the file at `path`. Without a sidecar, or with one that cannot be read, the content type is unknown.
    pub(super) fn read(path: &Path) -> Self {
        let unknown = || Self {
            content_type: CONTENT_TYPE_UNKNOWN.to_owned(),
            ..Self::default()
        };
        let text = File::open(key::attributes_path(path)).and_then(|file| {
            let mut text = Vec::with_capacity(256);
            io::Read::read_to_end(&mut io::Read::take(file, FILE_BYTES_MAX), &mut text)?;
            Ok(text)
        });
        match text.map(|text| serde_json::from_slice::<Self>(&text)) {
            Ok(Ok(found)) if !found.content_type.is_empty() => found,
            _ => unknown(),
        }
    }

    /// Writes the sidecar of the file at `path`, which is replaced as a whole.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let sidecar = key::attributes_path(path);
        let temporary = key::temporary_path(&sidecar);
        let mut text = serde_json::to_vec(self).map_err(io::Error::other)?;
        text.push(b'\n');
        let written = File::create_new(&temporary)
            .and_then(|mut file| file.write_all(&text))
            .and_then(|()| fs::rename(&temporary, &sidecar));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// The client's name of the file.
    pub(super) fn original_name(&self) -> Option<&str> {
        let metadata = self.metadata.as_ref()?;
        metadata.get(ORIGINAL_NAME).map(String::as_str)
    }
}

/// At most `max` bytes, cut between characters.
fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PocketBase wrote for a test file.
    const KNOWN: &str = r#"{"user.cache_control":"","user.content_disposition":"","user.content_encoding":"","user.content_language":"","user.content_type":"image/png","user.metadata":{"original-filename":"300.png"},"md5":"zZhZjzVvCvpcxtMAJie3GQ=="}
"#;

    #[test]
    fn sidecars_are_those_of_pocketbase() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        fs::write(key::attributes_path(&path), KNOWN).unwrap();
        let read = Attributes::read(&path);
        assert_eq!(read.content_type, "image/png");
        assert_eq!(read.original_name(), Some("300.png"));
        let md5 = STANDARD.decode("zZhZjzVvCvpcxtMAJie3GQ==").unwrap();
        let made = Attributes::new(
            "image/png".to_owned(),
            Some("300.png"),
            md5.try_into().unwrap(),
        );
        assert_eq!(read, made);
        made.write(&path).unwrap();
        assert_eq!(
            fs::read_to_string(key::attributes_path(&path)).unwrap(),
            KNOWN
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn missing_and_broken_sidecars_leave_the_type_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        assert_eq!(Attributes::read(&path).content_type, CONTENT_TYPE_UNKNOWN);
        fs::write(key::attributes_path(&path), "{").unwrap();
        assert_eq!(Attributes::read(&path).content_type, CONTENT_TYPE_UNKNOWN);
        fs::write(
            key::attributes_path(&path),
            r#"{"user.metadata":null,"md5":null}"#,
        )
        .unwrap();
        assert_eq!(Attributes::read(&path).content_type, CONTENT_TYPE_UNKNOWN);
    }

    #[test]
    fn long_original_names_are_cut_between_characters() {
        let made = Attributes::new(String::new(), Some(&"é".repeat(200)), [0; 16]);
        assert_eq!(made.original_name().map(str::len), Some(254));
    }
}
