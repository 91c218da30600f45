//! Keys of stored files: `<collection id>/<record id>/<file name>`, and paths below for thumbs.

use std::path::{Path, PathBuf};

use super::BlobError;

/// A key is no longer.
const KEY_BYTES_MAX: usize = 1024;
/// File systems allow 255 bytes, and the sidecar file's name is longer than the file's.
const SEGMENT_BYTES_MAX: usize = 240;
/// Ends the names of sidecar files, which no key may name.
pub(super) const ATTRIBUTES_SUFFIX: &str = ".attrs";
/// Files that are being written begin and end so; no key names one, and no listing shows one.
const TEMPORARY_PREFIX: &str = ".";
const TEMPORARY_SUFFIX: &str = ".upload";

/// Accepts keys that name a file below the storage's root and nothing else: segments between single slashes; no `.` or
/// `..`, backslash or control character; no sidecar or temporary file.
pub fn check(key: &str) -> Result<(), BlobError> {
    let name = key.rsplit('/').next().unwrap_or_default();
    let reserved = name.ends_with(ATTRIBUTES_SUFFIX) || is_temporary(name);
    if key.len() > KEY_BYTES_MAX || reserved || !key.split('/').all(is_segment) {
        return Err(BlobError::BadKey);
    }
    Ok(())
}

/// Accepts prefixes: a key's segments, the last of which may be incomplete or, after a slash, empty. Not empty as a whole.
pub fn check_prefix(prefix: &str) -> Result<(), BlobError> {
    let (folders, name) = split_prefix(prefix);
    let folders_ok = folders.is_empty() || folders.split('/').all(is_segment);
    let name_ok = name.is_empty() || is_segment(name);
    let slash_ok = !folders.is_empty() || !prefix.starts_with('/');
    if prefix.is_empty() || prefix.len() > KEY_BYTES_MAX || !folders_ok || !name_ok || !slash_ok {
        return Err(BlobError::BadKey);
    }
    Ok(())
}

/// The folders of a prefix without their last slash, and the beginning of a name.
pub(super) fn split_prefix(prefix: &str) -> (&str, &str) {
    prefix.rsplit_once('/').unwrap_or(("", prefix))
}

fn is_segment(segment: &str) -> bool {
    let is_bad = |char: char| char.is_control() || matches!(char, '\\' | '/');
    !matches!(segment, "" | "." | "..")
        && segment.len() <= SEGMENT_BYTES_MAX
        && !segment.contains(is_bad)
}

/// The path of a checked key.
pub(super) fn path(root: &Path, key: &str) -> Result<PathBuf, BlobError> {
    check(key)?;
    Ok(root.join(key))
}

/// Where a file's attributes are kept.
pub(super) fn attributes_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ATTRIBUTES_SUFFIX);
    name.into()
}

/// A new name for a file that is being written, in the same folder as its final one.
pub(super) fn temporary_path(path: &Path) -> PathBuf {
    let random = crate::base::id::random_string(20);
    path.with_file_name(format!("{TEMPORARY_PREFIX}{random}{TEMPORARY_SUFFIX}"))
}

/// Whether a file name is one of [`temporary_path`]'s.
pub(super) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY_PREFIX) && name.ends_with(TEMPORARY_SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Component;

    #[test]
    fn keys_name_files_below_the_root() {
        for key in [
            "a",
            "pbc_1/abc/file_k2v8d0x1aq.png",
            "a/b/thumbs_x.png/100x100_x.png",
            "a/.hidden",
            "a/..b",
            "a/b c é",
        ] {
            assert!(check(key).is_ok(), "{key}");
        }
        for key in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/..",
            "a\\b",
            "a/\0",
            "a/\n",
            "a.attrs",
            "a/.x.upload",
        ] {
            assert!(check(key).is_err(), "{key:?}");
        }
        assert!(check(&"a".repeat(241)).is_err());
        assert!(check(&"a/".repeat(600)).is_err());
    }

    #[test]
    fn prefixes_may_end_anywhere_but_outside() {
        for prefix in ["a", "a/", "a/b", "a/b/thumbs_x"] {
            assert!(check_prefix(prefix).is_ok(), "{prefix}");
        }
        for prefix in ["", "/", "/a", "..", "../", "a/..", "a/../", "a//", "a\\"] {
            assert!(check_prefix(prefix).is_err(), "{prefix}");
        }
    }

    proptest! {
        #[test]
        fn accepted_keys_never_leave_the_root(key in "[a./\\\\\0-]{0,12}") {
            if check(&key).is_ok() {
                let path = Path::new("/root").join(&key);
                prop_assert!(path.starts_with("/root") && path != Path::new("/root"));
                prop_assert!(path.components().all(|part| !matches!(part, Component::ParentDir)));
                prop_assert_eq!(path.components().count(), 2 + key.split('/').count());
            }
            if check_prefix(&key).is_ok() {
                let path = Path::new("/root").join(split_prefix(&key).0);
                prop_assert!(path.starts_with("/root"));
                prop_assert!(path.components().all(|part| !matches!(part, Component::ParentDir)));
            }
        }
    }
}
