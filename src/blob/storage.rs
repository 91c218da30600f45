//! The storage as others see it: asynchronous, and the same for each backend.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use tokio::task::spawn_blocking;

use super::BlobError;
use super::local::{Local, Opened};

/// Bytes of a stream's chunk.
const CHUNK_BYTES: u64 = 128 * 1024;

/// Stored files by key (see [`super::key`]). Clones are cheap and share one backend.
///
/// An operation whose caller stops waiting still runs to its end.
#[derive(Clone, Debug)]
pub struct Storage {
    backend: Arc<Backend>,
    /// Shared by deletions, held alone by those who need all files to stay.
    deletions: Arc<RwLock<()>>,
}

/// While it lives, no file is deleted; deletions wait.
#[derive(Debug)]
pub struct DeletionHold(
    #[expect(dead_code, reason = "held to be dropped")] OwnedRwLockWriteGuard<()>,
);

/// Where files are. Each operation of [`Storage`] is one match on this.
#[derive(Debug)]
enum Backend {
    Local(Local),
}

/// The content of a file to store.
#[derive(Clone, Debug)]
pub enum Content {
    /// Held in memory.
    Bytes(Bytes),
    /// A file that moves into the storage, such as a finished upload.
    File(PathBuf),
    /// A file that is copied.
    CopyOf(PathBuf),
}

/// What to note about a new file.
#[derive(Clone, Debug, Default)]
pub struct NewBlob {
    /// The media type; told by the content when missing.
    pub content_type: Option<String>,
    /// The client's name of the file. Its first 255 bytes are kept.
    pub original_name: Option<String>,
}

/// What is known about a file without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Bytes.
    pub size: u64,
    /// The media type noted when it was stored; `application/octet-stream` when none was.
    pub content_type: String,
    /// The last change.
    pub modified: SystemTime,
    /// The client's name of the file.
    pub original_name: Option<String>,
}

/// A file in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// The last change.
    pub modified: SystemTime,
}

/// Chunks of a file.
pub type BlobStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// An opened file. It stays readable when it is deleted meanwhile.
#[derive(Debug)]
pub struct Blob {
    meta: Metadata,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// A small file's whole content.
    Memory(Bytes),
    File(File),
}

impl Storage {
    /// A storage in a directory, which need not exist yet.
    pub fn local(root: impl Into<PathBuf>) -> Self {
        let backend = Backend::Local(Local::new(root.into()));
        Self {
            backend: Arc::new(backend),
            deletions: Arc::default(),
        }
    }

    /// Stores a file, replacing one that has the key. Readers see the old file or the new one, never a part.
    pub async fn put(&self, key: &str, content: Content, new: NewBlob) -> Result<(), BlobError> {
        let key = key.to_owned();
        self.run(move |Backend::Local(local)| local.put(&key, content, new))
            .await
    }

    /// Opens a file for reading.
    pub async fn open(&self, key: &str) -> Result<Blob, BlobError> {
        let key = key.to_owned();
        let opened = self
            .run(move |Backend::Local(local)| local.open(&key))
            .await?;
        let Opened {
            meta,
            file,
            content,
        } = opened;
        let source = content.map_or(Source::File(file), Source::Memory);
        Ok(Blob { meta, source })
    }

    /// What is known about a file.
    pub async fn metadata(&self, key: &str) -> Result<Metadata, BlobError> {
        let key = key.to_owned();
        self.run(move |Backend::Local(local)| local.metadata(&key))
            .await
    }

    /// Whether there is such a file.
    pub async fn exists(&self, key: &str) -> Result<bool, BlobError> {
        let key = key.to_owned();
        self.run(move |Backend::Local(local)| local.exists(&key))
            .await
    }

    /// Waits for deletions under way and makes further ones wait until the hold is dropped, for those who copy a
    /// database and then the files that its rows name.
    pub async fn hold_deletions(&self) -> DeletionHold {
        DeletionHold(Arc::clone(&self.deletions).write_owned().await)
    }

    /// Deletes a file, and its folders when nothing else is in them.
    pub async fn delete(&self, key: &str) -> Result<(), BlobError> {
        let _turn = self.deletions.read().await;
        let key = key.to_owned();
        self.run(move |Backend::Local(local)| local.delete(&key))
            .await
    }

    /// Deletes all files whose keys start so: a folder (`col/rec/`) or names (`col/rec/a`). None is no error.
    pub async fn delete_prefix(&self, prefix: &str) -> Result<(), BlobError> {
        let _turn = self.deletions.read().await;
        let prefix = prefix.to_owned();
        self.run(move |Backend::Local(local)| local.delete_prefix(&prefix))
            .await
    }

    /// Copies a file and what is known about it, replacing one that has the key `to`.
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), BlobError> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.run(move |Backend::Local(local)| local.copy(&from, &to))
            .await
    }

    /// All files whose keys start so, by key; an empty prefix lists the whole storage.
    pub async fn list_prefix(&self, prefix: &str) -> Result<Vec<Entry>, BlobError> {
        let prefix = prefix.to_owned();
        self.run(move |Backend::Local(local)| local.list(&prefix))
            .await
    }

    /// File systems block; their work goes to the runtime's blocking threads.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Backend) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let backend = Arc::clone(&self.backend);
        spawn_blocking(move || work(&backend))
            .await
            .map_err(|error| BlobError::Io(io::Error::other(error)))?
    }
}

impl Blob {
    /// What is known about the file.
    pub fn metadata(&self) -> &Metadata {
        &self.meta
    }

    /// The bytes of a range, in chunks of up to 128 KiB. What lies beyond the file's end is left out.
    pub fn stream(self, range: Range<u64>) -> BlobStream {
        let end = range.end.min(self.meta.size);
        let start = range.start.min(end);
        match self.source {
            Source::Memory(content) => {
                let length = content.len() as u64;
                let range = start.min(length) as usize..end.min(length) as usize;
                let part = Some(content.slice(range)).filter(|part| !part.is_empty());
                Box::pin(stream::iter(part.map(Ok)))
            }
            Source::File(file) => Box::pin(stream::unfold(
                Some((file, start)),
                move |state| async move {
                    let (file, at) = state.filter(|(_, at)| *at < end)?;
                    Some(next_chunk(file, at, end).await)
                },
            )),
        }
    }

    /// The whole content, unless it has more than `bytes_max`.
    pub async fn read_all(self, bytes_max: u64) -> Result<Bytes, BlobError> {
        if self.meta.size > bytes_max {
            return Err(BlobError::TooLarge);
        }
        let mut file = match self.source {
            Source::Memory(content) => return Ok(content),
            Source::File(file) => file,
        };
        let size = self.meta.size;
        spawn_blocking(move || read_at(&mut file, 0, size))
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(BlobError::Io)
    }
}

/// A chunk and the state after it; after an error the stream ends.
async fn next_chunk(mut file: File, at: u64, end: u64) -> (io::Result<Bytes>, Option<(File, u64)>) {
    let length = CHUNK_BYTES.min(end - at);
    let read = spawn_blocking(move || {
        let chunk = read_at(&mut file, at, length)?;
        Ok((chunk, file))
    });
    match read.await.map_err(io::Error::other).flatten() {
        Ok((chunk, file)) => (Ok(chunk), Some((file, at + length))),
        Err(error) => (Err(error), None),
    }
}

/// Exactly `length` bytes: a file that has become shorter is an error, since its length was told already.
fn read_at(file: &mut File, at: u64, length: u64) -> io::Result<Bytes> {
    let mut content = Vec::with_capacity(usize::try_from(length).map_err(io::Error::other)?);
    file.seek(SeekFrom::Start(at))?;
    file.take(length).read_to_end(&mut content)?;
    if content.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(content.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;
    use std::fs;
    use tempfile::TempDir;

    fn storage() -> (TempDir, Storage) {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::local(dir.path().join("storage"));
        (dir, storage)
    }

    async fn put(storage: &Storage, key: &str, content: impl Into<Bytes>) {
        let content = Content::Bytes(content.into());
        storage.put(key, content, NewBlob::default()).await.unwrap();
    }

    async fn get(storage: &Storage, key: &str) -> Bytes {
        storage
            .open(key)
            .await
            .unwrap()
            .read_all(u64::MAX)
            .await
            .unwrap()
    }

    async fn keys(storage: &Storage, prefix: &str) -> Vec<String> {
        let entries = storage.list_prefix(prefix).await.unwrap();
        entries.into_iter().map(|entry| entry.key).collect()
    }

    /// Every file name below a directory, sidecars included.
    fn files(dir: &std::path::Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).into_iter().flatten() {
            let entry = entry.unwrap();
            if entry.path().is_dir() {
                found.push(format!("{}/", entry.file_name().display()));
                found.extend(files(&entry.path()));
            } else {
                found.push(entry.file_name().display().to_string());
            }
        }
        found.sort();
        found
    }

    #[tokio::test]
    async fn files_come_back_with_what_is_known_about_them() {
        let (dir, storage) = storage();
        let new = NewBlob {
            content_type: None,
            original_name: Some("My file.txt".to_owned()),
        };
        let content = Content::Bytes(Bytes::from_static(b"hello"));
        storage.put("c/r/a.txt", content, new).await.unwrap();
        let meta = storage.metadata("c/r/a.txt").await.unwrap();
        assert_eq!(meta.size, 5);
        assert_eq!(meta.content_type, "text/plain; charset=utf-8");
        assert_eq!(meta.original_name.as_deref(), Some("My file.txt"));
        assert_eq!(get(&storage, "c/r/a.txt").await, "hello");
        let root = dir.path().join("storage");
        assert_eq!(files(&root), ["a.txt", "a.txt.attrs", "c/", "r/"]);
        let sidecar = fs::read_to_string(root.join("c/r/a.txt.attrs")).unwrap();
        // printf hello | md5sum
        assert!(
            sidecar.contains(r#""md5":"XUFAKrxLKna5cZ2REBfFkg==""#),
            "{sidecar}"
        );
    }

    #[tokio::test]
    async fn a_temporary_file_moves_in() {
        let (dir, storage) = storage();
        let upload = dir.path().join("upload");
        let size = CHUNK_BYTES as usize * 2 + 7;
        fs::write(&upload, vec![7; size]).unwrap();
        let content = Content::File(upload.clone());
        storage
            .put("c/r/a", content, NewBlob::default())
            .await
            .unwrap();
        assert!(!upload.exists());
        assert_eq!(get(&storage, "c/r/a").await, vec![7; size]);
        let missing = Content::File(upload);
        let result = storage.put("c/r/b", missing, NewBlob::default()).await;
        assert!(matches!(result, Err(BlobError::Io(_))));
        assert_eq!(keys(&storage, "").await, ["c/r/a"]);
    }

    #[tokio::test]
    async fn ranges_are_streamed_in_chunks() {
        let (_dir, storage) = storage();
        let large: Vec<u8> = (0..CHUNK_BYTES * 3 + 5)
            .map(|index| (index % 251) as u8)
            .collect();
        put(&storage, "a/large", large.clone()).await;
        put(&storage, "a/small", "0123456789").await;
        for range in [
            0..u64::MAX,
            0..1,
            100..CHUNK_BYTES * 2 + 1,
            5..5,
            CHUNK_BYTES * 9..u64::MAX,
        ] {
            let blob = storage.open("a/large").await.unwrap();
            let chunks: Vec<Bytes> = blob.stream(range.clone()).try_collect().await.unwrap();
            let end = range.end.min(large.len() as u64) as usize;
            let expected = large.get(range.start as usize..end).unwrap_or_default();
            assert_eq!(chunks.concat(), expected, "{range:?}");
            assert!(
                chunks
                    .iter()
                    .all(|chunk| !chunk.is_empty() && chunk.len() as u64 <= CHUNK_BYTES)
            );
        }
        let blob = storage.open("a/small").await.unwrap();
        let chunks: Vec<Bytes> = blob.stream(3..7).try_collect().await.unwrap();
        assert_eq!(chunks.concat(), b"3456");
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_is_an_error_not_a_short_answer() {
        let (dir, storage) = storage();
        put(&storage, "a/b", vec![1; CHUNK_BYTES as usize]).await;
        let blob = storage.open("a/b").await.unwrap();
        let path = dir.path().join("storage/a/b");
        fs::OpenOptions::new()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(9)
            .unwrap();
        let result: Result<Vec<Bytes>, _> = blob.stream(0..u64::MAX).try_collect().await;
        assert!(result.is_err());
    }

    #[tokio::test]
    async fn reading_is_bounded() {
        let (_dir, storage) = storage();
        put(&storage, "a/b", "12345").await;
        let blob = storage.open("a/b").await.unwrap();
        assert!(matches!(blob.read_all(4).await, Err(BlobError::TooLarge)));
    }

    #[tokio::test]
    async fn deleting_takes_the_sidecar_and_empty_folders_but_not_the_root() {
        let (dir, storage) = storage();
        let root = dir.path().join("storage");
        put(&storage, "c/r/a", "1").await;
        put(&storage, "c/s/b", "1").await;
        storage.delete("c/r/a").await.unwrap();
        assert_eq!(files(&root), ["b", "b.attrs", "c/", "s/"]);
        storage.delete("c/s/b").await.unwrap();
        assert_eq!(files(&root), [""; 0]);
        assert!(root.exists());
        for key in ["c/s/b", "c", "x/y/z"] {
            assert!(
                matches!(storage.delete(key).await, Err(BlobError::NotFound)),
                "{key}"
            );
        }
    }

    #[tokio::test]
    async fn prefixes_delete_folders_or_names() {
        let (dir, storage) = storage();
        for key in [
            "c/r/a",
            "c/r/ab",
            "c/r/b",
            "c/r/thumbs_a/1x1_a",
            "c/ra/a",
            "d/r/a",
        ] {
            put(&storage, key, "1").await;
        }
        storage.delete_prefix("c/r/a").await.unwrap();
        assert_eq!(
            keys(&storage, "").await,
            ["c/r/b", "c/r/thumbs_a/1x1_a", "c/ra/a", "d/r/a"]
        );
        storage.delete_prefix("c/r/").await.unwrap();
        assert_eq!(keys(&storage, "").await, ["c/ra/a", "d/r/a"]);
        storage.delete_prefix("c/").await.unwrap();
        storage.delete_prefix("none/").await.unwrap();
        storage.delete_prefix("none/x").await.unwrap();
        assert_eq!(
            files(&dir.path().join("storage")),
            ["a", "a.attrs", "d/", "r/"]
        );
        assert!(matches!(
            storage.delete_prefix("").await,
            Err(BlobError::BadKey)
        ));
        assert!(matches!(
            storage.delete_prefix("../").await,
            Err(BlobError::BadKey)
        ));
    }

    #[tokio::test]
    async fn listings_are_sorted_and_show_neither_sidecars_nor_unfinished_files() {
        let (dir, storage) = storage();
        for key in ["b/2", "b/10", "a/z/1", "ab/1"] {
            put(&storage, key, "123").await;
        }
        fs::write(dir.path().join("storage/b/.x.upload"), "1").unwrap();
        assert_eq!(keys(&storage, "").await, ["a/z/1", "ab/1", "b/10", "b/2"]);
        assert_eq!(keys(&storage, "a").await, ["a/z/1", "ab/1"]);
        assert_eq!(keys(&storage, "a/").await, ["a/z/1"]);
        assert_eq!(keys(&storage, "b/1").await, ["b/10"]);
        assert_eq!(keys(&storage, "x/y").await, [""; 0]);
        assert_eq!(storage.list_prefix("b/2").await.unwrap()[0].size, 3);
    }

    #[tokio::test]
    async fn copies_are_whole() {
        let (_dir, storage) = storage();
        let new = NewBlob {
            content_type: Some("x/y".to_owned()),
            original_name: Some("n".to_owned()),
        };
        let content = Content::Bytes(Bytes::from_static(b"123"));
        storage.put("a/1", content, new).await.unwrap();
        storage.copy("a/1", "b/c/2").await.unwrap();
        let meta = storage.metadata("b/c/2").await.unwrap();
        assert_eq!(
            (meta.content_type.as_str(), meta.original_name.as_deref()),
            ("x/y", Some("n"))
        );
        assert_eq!(get(&storage, "b/c/2").await, "123");
        assert!(storage.exists("a/1").await.unwrap());
        assert!(matches!(
            storage.copy("a/2", "a/3").await,
            Err(BlobError::NotFound)
        ));
    }

    #[tokio::test]
    async fn keys_that_lead_outside_are_refused_everywhere() {
        let (dir, storage) = storage();
        fs::write(dir.path().join("secret"), "1").unwrap();
        for key in [
            "../secret",
            "/etc/passwd",
            "a/../../secret",
            "a\\..\\b",
            "a\0",
            "",
        ] {
            let content = Content::Bytes(Bytes::new());
            let refused = [
                storage.put(key, content, NewBlob::default()).await.is_err(),
                storage.open(key).await.is_err(),
                storage.metadata(key).await.is_err(),
                storage.exists(key).await.is_err(),
                storage.delete(key).await.is_err(),
                storage.copy(key, "a").await.is_err(),
            ];
            assert_eq!(refused, [true; 6], "{key:?}");
        }
        assert!(dir.path().join("secret").exists());
    }

    #[tokio::test]
    async fn a_folder_is_no_file() {
        let (_dir, storage) = storage();
        put(&storage, "a/b/c", "1").await;
        assert!(!storage.exists("a/b").await.unwrap());
        assert!(matches!(
            storage.open("a/b").await,
            Err(BlobError::NotFound)
        ));
        assert!(matches!(
            storage.metadata("a/b/c/d").await,
            Err(BlobError::NotFound)
        ));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn writing_and_deleting_in_one_folder_at_once_loses_nothing() {
        let (_dir, storage) = storage();
        let tasks: Vec<_> = (0..2)
            .map(|task| {
                let storage = storage.clone();
                tokio::spawn(async move {
                    let key = format!("c/r/{task}");
                    for _ in 0..300 {
                        put(&storage, &key, "1").await;
                        storage.delete(&key).await.unwrap();
                    }
                    put(&storage, &key, "1").await;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(keys(&storage, "").await.len(), 2);
    }

    #[tokio::test]
    async fn deletions_wait_while_files_are_held() {
        let (_dir, storage) = storage();
        put(&storage, "a/b/one", "1").await;
        put(&storage, "a/c/two", "2").await;
        let hold = storage.hold_deletions().await;
        let other = storage.clone();
        let mut deletions = std::pin::pin!(async {
            other.delete("a/b/one").await.unwrap();
            other.delete_prefix("a/c/").await.unwrap();
        });
        assert!(futures_util::poll!(&mut deletions).is_pending());
        put(&storage, "a/d/three", "3").await;
        assert_eq!(
            keys(&storage, "").await,
            ["a/b/one", "a/c/two", "a/d/three"]
        );
        drop(hold);
        deletions.await;
        assert_eq!(keys(&storage, "").await, ["a/d/three"]);
    }
}
