//! Small versions of images, made when first asked for and kept beside the original.

mod make;
mod size;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;

use crate::base::Code;

use super::BlobError;
use super::storage::{Content, NewBlob, Storage};

pub use size::{Fit, ThumbSize};

/// Originals larger than this get no thumbs.
const SOURCE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Thumbs that are being made or wait for it.
const RUNNING_MAX: usize = 256;
/// How long a thumb waits for its turn.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Media types that get thumbs.
const SOURCE_TYPES: [&str; 5] = [
    "image/png",
    "image/jpg",
    "image/jpeg",
    "image/gif",
    "image/webp",
];

/// Whether a file of this media type gets thumbs.
pub fn is_thumbable(content_type: &str) -> bool {
    SOURCE_TYPES.contains(&content_type)
}

/// Why there is no thumb. The original is sent instead.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ThumbError {
    /// The original cannot be read as an image.
    #[error("the image cannot be read: {0}")]
    Unreadable(String),
    /// The original has more bytes or pixels than are decoded, or the thumb would have too many.
    #[error("the image is too large for a thumb")]
    TooLarge,
    /// Too many thumbs are being made.
    #[error("too many thumbs are being made")]
    Busy,
    /// The storage failed, or has no such original.
    #[error("the thumb's storage failed")]
    Storage(#[source] Arc<BlobError>),
}

impl ThumbError {
    /// The code for a client that insists on the thumb.
    pub fn code(&self) -> Code {
        match self {
            Self::Unreadable(_) | Self::TooLarge => Code::BadRequest,
            Self::Busy => Code::Unavailable,
            Self::Storage(error) => error.code(),
        }
    }
}

impl From<BlobError> for ThumbError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::TooLarge => Self::TooLarge,
            error => Self::Storage(Arc::new(error)),
        }
    }
}

type Outcome = Option<Result<(), ThumbError>>;

/// Makes thumbs, a bounded number at a time, and each only once however many ask for it. Clones share the bounds.
#[derive(Clone, Debug)]
pub struct Thumbs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    storage: Storage,
    permits: Semaphore,
    wait_max: Duration,
    /// By the thumb's key.
    running: Mutex<HashMap<String, watch::Receiver<Outcome>>>,
}

impl Thumbs {
    /// Makes as many thumbs at a time as there are cores.
    pub fn new(storage: Storage) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_limits(storage, cores, WAIT_MAX)
    }

    /// Makes `workers` thumbs at a time (at least one); others wait up to `wait_max` for their turn.
    pub fn with_limits(storage: Storage, workers: usize, wait_max: Duration) -> Self {
        let shared = Shared {
            storage,
            permits: Semaphore::new(workers.max(1)),
            wait_max,
            running: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Returns once the thumb of `original` is stored under `thumb`; makes it when it is not there yet.
    ///
    /// A caller that stops waiting does not stop the work, since others may wait for the same thumb.
    pub async fn ensure(
        &self,
        original: &str,
        thumb: &str,
        size: ThumbSize,
    ) -> Result<(), ThumbError> {
        if self.shared.storage.exists(thumb).await? {
            return Ok(());
        }
        let mut outcome = self.join_or_start(original, thumb, size)?;
        let done = outcome.wait_for(Option::is_some).await;
        match done.map(|outcome| outcome.clone()) {
            Ok(Some(result)) => result,
            // The maker is gone without an answer: the runtime stops.
            _ => Err(ThumbError::Busy),
        }
    }

    fn join_or_start(
        &self,
        original: &str,
        thumb: &str,
        size: ThumbSize,
    ) -> Result<watch::Receiver<Outcome>, ThumbError> {
        let mut running = self.shared.running();
        if let Some(outcome) = running.get(thumb) {
            return Ok(outcome.clone());
        }
        if running.len() >= RUNNING_MAX {
            return Err(ThumbError::Busy);
        }
        let (sender, outcome) = watch::channel(None);
        running.insert(thumb.to_owned(), outcome.clone());
        drop(running);

        let entry = RunningEntry {
            shared: Arc::clone(&self.shared),
            thumb: thumb.to_owned(),
        };
        let original = original.to_owned();
        tokio::spawn(async move {
            let result = entry.shared.make(&original, &entry.thumb, size).await;
            // Whoever comes from here on finds the stored thumb.
            drop(entry);
            sender.send_replace(Some(result));
        });
        Ok(outcome)
    }
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<Outcome>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make(&self, original: &str, thumb: &str, size: ThumbSize) -> Result<(), ThumbError> {
        let permit = tokio::time::timeout(self.wait_max, self.permits.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            return Err(ThumbError::Busy);
        };
        // It may have been made between the look and the start.
        if self.storage.exists(thumb).await? {
            return Ok(());
        }
        let source = self.storage.open(original).await?;
        let content_type = source.metadata().content_type.clone();
        let content = source.read_all(SOURCE_BYTES_MAX).await?;
        // A decoder that panics on a malicious file ends here too.
        let made = spawn_blocking(move || make::thumb(&content, &content_type, size));
        let made = made
            .await
            .map_err(|error| ThumbError::Unreadable(error.to_string()))??;
        let new = NewBlob {
            content_type: Some(made.content_type.to_owned()),
            original_name: None,
        };
        let content = Content::Bytes(made.content.into());
        Ok(self.storage.put(thumb, content, new).await?)
    }
}

/// Takes a thumb off the list, also when its maker is stopped.
struct RunningEntry {
    shared: Arc<Shared>,
    thumb: String,
}

impl Drop for RunningEntry {
    fn drop(&mut self) {
        self.shared.running().remove(&self.thumb);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn png(width: u32, height: u32) -> Bytes {
        let mut content = std::io::Cursor::new(Vec::new());
        let image =
            image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 0]));
        image
            .write_to(&mut content, image::ImageFormat::Png)
            .unwrap();
        content.into_inner().into()
    }

    async fn storage_with(content: impl Into<Bytes>) -> (tempfile::TempDir, Storage) {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::local(dir.path());
        let content = Content::Bytes(content.into());
        storage
            .put("c/r/a.png", content, NewBlob::default())
            .await
            .unwrap();
        (dir, storage)
    }

    fn size(text: &str) -> ThumbSize {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_thumb_is_made_once_and_found_again() {
        let (_dir, storage) = storage_with(png(300, 200)).await;
        let thumbs = Thumbs::new(storage.clone());
        let key = size("70x50").key("c/r", "a.png");
        assert_eq!(key, "c/r/thumbs_a.png/70x50_a.png");
        thumbs
            .ensure("c/r/a.png", &key, size("70x50"))
            .await
            .unwrap();
        let first = storage.metadata(&key).await.unwrap();
        assert_eq!(first.content_type, "image/png");
        let content = storage
            .open(&key)
            .await
            .unwrap()
            .read_all(1 << 20)
            .await
            .unwrap();
        let image = image::load_from_memory(&content).unwrap();
        assert_eq!((image.width(), image.height()), (70, 50));
        thumbs
            .ensure("c/r/a.png", &key, size("70x50"))
            .await
            .unwrap();
        assert_eq!(storage.metadata(&key).await.unwrap(), first);
        assert!(thumbs.shared.running().is_empty());
    }

    #[tokio::test]
    async fn those_who_ask_at_once_share_one_run() {
        let (_dir, storage) = storage_with(png(120, 120)).await;
        let thumbs = Thumbs::with_limits(storage, 1, WAIT_MAX);
        // No permit: all come before the first run begins.
        let permit = thumbs.shared.permits.acquire().await.unwrap();
        let join = || {
            thumbs
                .join_or_start("c/r/a.png", "c/r/t", size("10x10"))
                .unwrap()
        };
        let mut first = join();
        assert!((0..20).all(|_| join().same_channel(&first)));
        assert_eq!(thumbs.shared.running().len(), 1);
        drop(permit);
        let outcome = first.wait_for(Option::is_some).await.unwrap().clone();
        assert!(matches!(outcome, Some(Ok(()))));
    }

    #[tokio::test]
    async fn what_is_no_image_is_an_error_for_all_and_leaves_nothing_behind() {
        let (_dir, storage) = storage_with(&b"\x89PNG\r\n\x1a\nbroken"[..]).await;
        let thumbs = Thumbs::new(storage.clone());
        let result = thumbs.ensure("c/r/a.png", "c/r/t", size("10x10")).await;
        assert!(
            matches!(result, Err(ThumbError::Unreadable(_))),
            "{result:?}"
        );
        let missing = thumbs.ensure("c/r/b.png", "c/r/t", size("10x10")).await;
        assert_eq!(missing.unwrap_err().code(), Code::NotFound);
        assert_eq!(storage.list_prefix("c/r/").await.unwrap().len(), 1);
        assert!(thumbs.shared.running().is_empty());
    }

    #[tokio::test]
    async fn waiting_for_a_turn_has_an_end() {
        let (_dir, storage) = storage_with(png(10, 10)).await;
        let thumbs = Thumbs::with_limits(storage, 1, Duration::ZERO);
        let _permit = thumbs.shared.permits.acquire().await.unwrap();
        let result = thumbs.ensure("c/r/a.png", "c/r/t", size("5x5")).await;
        assert!(matches!(result, Err(ThumbError::Busy)), "{result:?}");
    }
}
