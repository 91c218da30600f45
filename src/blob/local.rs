//! Files in a directory. All functions block.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use md5::{Digest, Md5};

use super::attributes::Attributes;
use super::storage::{Content, Entry, Metadata, NewBlob};
use super::{BlobError, key, mime};

/// Times a write is tried when its folder vanishes, because the last file in it is deleted at the same moment.
const FOLDER_TRIES: usize = 20;
/// Files up to this size are read when they are opened, which saves a second trip to the blocking threads.
const AT_ONCE_BYTES: u64 = 64 * 1024;
const COPY_BUFFER_BYTES: usize = 64 * 1024;

/// A storage directory.
#[derive(Debug)]
pub(super) struct Local {
    root: PathBuf,
}

/// An opened file, and its whole content when it is small.
pub(super) struct Opened {
    pub(super) meta: Metadata,
    pub(super) file: File,
    pub(super) content: Option<Bytes>,
}

impl Local {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn put(&self, key: &str, content: Content, new: NewBlob) -> Result<(), BlobError> {
        let path = key::path(&self.root, key)?;
        let Some(folder) = path.parent() else {
            return Err(BlobError::BadKey);
        };
        let mut tries = 0;
        loop {
            tries += 1;
            let written =
                fs::create_dir_all(folder).and_then(|()| put_in_folder(&path, &content, &new));
            match written {
                // The folder vanished after, or while, it was made.
                Err(error) if is_race(&error) && tries < FOLDER_TRIES => {}
                result => return result.map_err(BlobError::Io),
            }
        }
    }

    pub(super) fn metadata(&self, key: &str) -> Result<Metadata, BlobError> {
        let path = key::path(&self.root, key)?;
        metadata_of(&path, &fs::metadata(&path)?)
    }

    pub(super) fn open(&self, key: &str) -> Result<Opened, BlobError> {
        let path = key::path(&self.root, key)?;
        let mut file = File::open(&path)?;
        let meta = metadata_of(&path, &file.metadata()?)?;
        let content = match meta.size {
            size @ ..=AT_ONCE_BYTES => {
                let mut content = Vec::with_capacity(size as usize);
                (&mut file).take(size).read_to_end(&mut content)?;
                Some(content.into())
            }
            _ => None,
        };
        Ok(Opened {
            meta,
            file,
            content,
        })
    }

    pub(super) fn exists(&self, key: &str) -> Result<bool, BlobError> {
        match fs::metadata(key::path(&self.root, key)?).map_err(BlobError::from) {
            Ok(found) => Ok(found.is_file()),
            Err(BlobError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn delete(&self, key: &str) -> Result<(), BlobError> {
        let path = key::path(&self.root, key)?;
        if path.is_dir() {
            return Err(BlobError::NotFound);
        }
        fs::remove_file(&path)?;
        ignore_missing(fs::remove_file(key::attributes_path(&path)))?;
        self.remove_empty_folders(path.parent());
        Ok(())
    }

    pub(super) fn delete_prefix(&self, prefix: &str) -> Result<(), BlobError> {
        key::check_prefix(prefix)?;
        let (folders, start) = key::split_prefix(prefix);
        let folder = self.root.join(folders);
        if start.is_empty() {
            ignore_missing(fs::remove_dir_all(&folder))?;
            self.remove_empty_folders(folder.parent());
            return Ok(());
        }
        for entry in read_folder(&folder)? {
            let entry = entry.map_err(BlobError::Io)?;
            let is_meant = entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(start));
            if !is_meant {
                continue;
            }
            let removed = match entry.file_type() {
                Ok(kind) if kind.is_dir() => fs::remove_dir_all(entry.path()),
                _ => fs::remove_file(entry.path()),
            };
            ignore_missing(removed)?;
        }
        self.remove_empty_folders(Some(&folder));
        Ok(())
    }

    pub(super) fn copy(&self, from: &str, to: &str) -> Result<(), BlobError> {
        let source = key::path(&self.root, from)?;
        if !fs::metadata(&source)?.is_file() {
            return Err(BlobError::NotFound);
        }
        let attributes = Attributes::read(&source);
        let new = NewBlob {
            original_name: attributes.original_name().map(str::to_owned),
            content_type: Some(attributes.content_type),
        };
        // The source stays: its content is read, not moved.
        self.put(to, Content::CopyOf(source), new)
    }

    pub(super) fn list(&self, prefix: &str) -> Result<Vec<Entry>, BlobError> {
        if !prefix.is_empty() {
            key::check_prefix(prefix)?;
        }
        let (folders, start) = key::split_prefix(prefix);
        let mut pending = vec![(self.root.join(folders), folders.to_owned())];
        let mut found = Vec::new();
        let mut is_first = true;
        while let Some((folder, folder_key)) = pending.pop() {
            for entry in read_folder(&folder)? {
                let entry = entry.map_err(BlobError::Io)?;
                let name = entry.file_name();
                let Some(name) = name.to_str() else {
                    continue;
                };
                if is_first && !name.starts_with(start) {
                    continue;
                }
                let key = match folder_key.as_str() {
                    "" => name.to_owned(),
                    folder => format!("{folder}/{name}"),
                };
                // A file may vanish meanwhile.
                let Ok(meta) = fs::metadata(entry.path()) else {
                    continue;
                };
                if meta.is_dir() {
                    pending.push((entry.path(), key));
                } else if key::check(&key).is_ok() {
                    found.push(Entry {
                        key,
                        size: meta.len(),
                        modified: meta.modified().map_err(BlobError::Io)?,
                    });
                }
            }
            is_first = false;
        }
        found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    /// Removes a folder and those above it, below the root, as long as they are empty.
    fn remove_empty_folders(&self, lowest: Option<&Path>) {
        let mut folder = lowest;
        while let Some(path) =
            folder.filter(|path| path.starts_with(&self.root) && *path != self.root)
        {
            if fs::remove_dir(path).is_err() {
                return;
            }
            folder = path.parent();
        }
    }
}

/// The entries of a folder; none when there is no such folder.
fn read_folder(folder: &Path) -> Result<impl Iterator<Item = io::Result<fs::DirEntry>>, BlobError> {
    match fs::read_dir(folder).map_err(BlobError::from) {
        Ok(entries) => Ok(Some(entries).into_iter().flatten()),
        Err(BlobError::NotFound) => Ok(None.into_iter().flatten()),
        Err(error) => Err(error),
    }
}

fn metadata_of(path: &Path, meta: &fs::Metadata) -> Result<Metadata, BlobError> {
    if !meta.is_file() {
        return Err(BlobError::NotFound);
    }
    let attributes = Attributes::read(path);
    Ok(Metadata {
        size: meta.len(),
        modified: meta.modified().map_err(BlobError::Io)?,
        original_name: attributes.original_name().map(str::to_owned),
        content_type: attributes.content_type,
    })
}

fn ignore_missing(result: io::Result<()>) -> Result<(), BlobError> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BlobError::Io(error)),
        _ => Ok(()),
    }
}

fn is_race(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, NotFound};
    matches!(error.kind(), NotFound | AlreadyExists)
}

/// Removes a file that was not finished.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Once renamed it is not there any more.
        let _ = fs::remove_file(&self.0);
    }
}

/// Writes beside the final place, then moves there, so that nobody sees half a file.
fn put_in_folder(path: &Path, content: &Content, new: &NewBlob) -> io::Result<()> {
    let temporary = Unfinished(key::temporary_path(path));
    let written = match content {
        Content::Bytes(bytes) => write(&mut bytes.as_ref(), &temporary.0)?,
        Content::CopyOf(source) => write(&mut File::open(source)?, &temporary.0)?,
        Content::File(source) => adopt(source, &temporary.0)?,
    };
    let content_type = match &new.content_type {
        Some(given) => given.clone(),
        None => mime::detect(&written.head).content_type().into_owned(),
    };
    let attributes = Attributes::new(content_type, new.original_name.as_deref(), written.md5);
    attributes.write(path)?;
    let moved = fs::rename(&temporary.0, path);
    if moved.is_err() {
        let _ = fs::remove_file(key::attributes_path(path));
    }
    moved
}

struct Written {
    md5: [u8; 16],
    head: Vec<u8>,
}

/// Reads to the end, noting the check sum and the head; `sink` gets all.
fn digest(
    source: &mut dyn Read,
    mut sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Written> {
    let mut md5 = Md5::new();
    let mut head = Vec::new();
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let chunk = buffer.get(..count).unwrap_or_default();
        md5.update(chunk);
        let missing = mime::HEAD_BYTES.saturating_sub(head.len()).min(count);
        head.extend_from_slice(chunk.get(..missing).unwrap_or_default());
        sink(chunk)?;
    }
    Ok(Written {
        md5: md5.finalize().into(),
        head,
    })
}

fn write(source: &mut dyn Read, target: &Path) -> io::Result<Written> {
    let mut file = File::create_new(target)?;
    let written = digest(source, |chunk| file.write_all(chunk))?;
    file.sync_all()?;
    Ok(written)
}

/// Moves a file to `target`, or copies and removes it when that is on another file system.
fn adopt(source: &Path, target: &Path) -> io::Result<Written> {
    let mut file = File::open(source)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let written = digest(&mut file, |_| Ok(()))?;
    file.sync_all()?;
    match fs::rename(source, target) {
        Ok(()) => {
            share(target)?;
            Ok(written)
        }
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let written = write(&mut File::open(source)?, target)?;
            let _ = fs::remove_file(source);
            Ok(written)
        }
        Err(error) => Err(error),
    }
}

/// Temporary files are readable by their owner only; stored ones are as if written in place.
#[cfg(unix)]
fn share(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn share(_path: &Path) -> io::Result<()> {
    Ok(())
}
