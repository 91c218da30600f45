//! `file` fields: names of stored files, and the limits of uploads.

use super::{Field, FileOptions};
use crate::model::{FieldError, FieldErrors, Record, Upload, Value, rules};

/// The largest file of a field without a `maxSize` of its own, in bytes.
const BYTES_MAX: i64 = 5 << 20;
/// Bytes of a client's file name that an error repeats.
const QUOTED_NAME_BYTES_MAX: usize = 300;

impl FileOptions {
    /// The largest single file in bytes.
    #[must_use]
    pub fn bytes_max(&self) -> i64 {
        if self.max_size > 0 {
            self.max_size
        } else {
            BYTES_MAX
        }
    }

    /// How many files the field may hold.
    #[must_use]
    pub fn count_max(&self) -> i64 {
        self.max_select.max(1)
    }

    pub(super) fn validate(
        &self,
        field: &Field,
        record: &Record,
        value: &Value,
    ) -> Option<FieldError> {
        let count = value.items().count();
        if count == 0 {
            return rules::required(self.required);
        }
        let upload_of = |name: &str| {
            record
                .uploads
                .iter()
                .find(|upload| upload.field == field.name && upload.name == name)
        };
        let stored = record.original(&field.name);
        let is_stored =
            |name: &str| stored.is_some_and(|stored| stored.items().any(|known| known == name));
        let invented: Vec<&str> = value
            .items()
            .filter(|name| upload_of(name).is_none() && !is_stored(name))
            .map(|name| cut(name, 250))
            .collect();
        if !invented.is_empty() {
            return Some(
                FieldError::new(
                    "validation_invalid_file",
                    format!("Invalid new files: [{}].", invented.join(" ")),
                )
                .with("invalidFiles", invented),
            );
        }
        let max = self.count_max();
        if i64::try_from(count).unwrap_or(i64::MAX) > max {
            return Some(
                FieldError::new(
                    "validation_too_many_files",
                    format!("The maximum allowed files is {max}"),
                )
                .with("maxSelect", max),
            );
        }
        value
            .items()
            .filter_map(upload_of)
            .find_map(|upload| self.validate_upload(upload))
    }

    fn validate_upload(&self, upload: &Upload) -> Option<FieldError> {
        let loose_name = |name: &str| {
            let mut chars = name.chars();
            chars.next().is_some_and(|first| !"./\\".contains(first))
                && !chars.as_str().is_empty()
                && !chars.as_str().contains(['/', '\\'])
        };
        if let Some(error) =
            rules::length(&upload.name, 1, 150).or_else(|| rules::matches(loose_name(&upload.name)))
        {
            return Some(error);
        }
        let max = self.bytes_max();
        if i64::try_from(upload.size).unwrap_or(i64::MAX) > max {
            let name = cut(&upload.original_name, QUOTED_NAME_BYTES_MAX);
            return Some(
                FieldError::new(
                    "validation_file_size_limit",
                    format!(
                        "Failed to upload {name} - the maximum allowed file size is {max} bytes."
                    ),
                )
                .with("file", name)
                .with("maxSize", max),
            );
        }
        let types = self.mime_types.as_deref().unwrap_or_default();
        if types.is_empty() || types.iter().any(|kind| is_type(&upload.content_type, kind)) {
            return None;
        }
        Some(FieldError::new(
            "validation_invalid_mime_type",
            format!(
                "{:?} mime type must be one of: {}.",
                upload.name,
                types.join(", ")
            ),
        ))
    }

    pub(super) fn settings(&self, errors: &mut FieldErrors) {
        for (name, value) in [("maxSelect", self.max_select), ("maxSize", self.max_size)] {
            errors.check(name, rules::within(value, 0, rules::MAX_SAFE_INT));
        }
        let mut thumbs = FieldErrors::new();
        for (index, thumb) in self.thumbs.iter().flatten().enumerate() {
            if !thumb.is_empty() {
                thumbs.check(
                    &index.to_string(),
                    rules::not_in(thumb, &["0x0", "0x0t", "0x0b", "0x0f"])
                        .or_else(|| rules::matches(is_thumb_size(thumb))),
                );
            }
        }
        errors.nest("thumbs", thumbs);
    }
}

/// `WxH` with an optional `t`, `b` or `f`.
fn is_thumb_size(text: &str) -> bool {
    let size = text.strip_suffix(['t', 'b', 'f']).unwrap_or(text);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    size.split_once('x')
        .is_some_and(|(width, height)| digits(width) && digits(height))
}

/// Media types without their parameters, seen through the names they are also known by.
fn is_type(actual: &str, wanted: &str) -> bool {
    fn base(kind: &str) -> String {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let kind = kind.to_ascii_lowercase();
        let known: &str = match kind.as_str() {
            "image/jpg" => "image/jpeg",
            "image/x-png" | "image/vnd.mozilla.apng" => "image/png",
            "application/x-pdf" => "application/pdf",
            "application/x-zip" | "application/x-zip-compressed" => "application/zip",
            "application/x-gzip" | "application/gzip-compressed" | "application/x-gunzip" => {
                "application/gzip"
            }
            "audio/mp3" | "audio/x-mp3" | "audio/x-mpeg" | "audio/mpeg3" => "audio/mpeg",
            "audio/x-wav" | "audio/vnd.wave" | "audio/wave" => "audio/wav",
            "audio/x-m4a" => "audio/mp4",
            "image/x-icon" => "image/vnd.microsoft.icon",
            "image/x-bmp" | "image/x-ms-bmp" => "image/bmp",
            "text/rtf" => "application/rtf",
            "application/xml" => "text/xml",
            "application/x-javascript" | "application/javascript" => "text/javascript",
            _ => return kind,
        };
        known.to_owned()
    }
    base(actual) == base(wanted)
}

/// At most `bytes_max` bytes of a text, cut between characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumb_sizes() {
        for good in ["70x50", "0x50", "100x0f", "1x1t"] {
            assert!(is_thumb_size(good), "{good}");
        }
        for bad in ["", "x", "70", "70x", "x50", "70x50z", "-1x2", "70x50tt"] {
            assert!(!is_thumb_size(bad), "{bad}");
        }
    }

    #[test]
    fn media_types_match_without_parameters_and_by_alias() {
        assert!(is_type("text/plain; charset=utf-8", "text/plain"));
        assert!(is_type("image/jpeg", "image/jpg"));
        assert!(!is_type("image/png", "image/jpeg"));
    }
}
