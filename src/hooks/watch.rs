//! Looks at the folders of scripts again when something in them changes.
//!
//! The system tells of every step of a change: a file emptied, written in pieces, renamed over another. So a look waits
//! until it has been quiet for a moment, and decides by contents what is new. A folder that does not exist is waited for
//! in the nearest folder above it that does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::catalog::Wanted;
use super::{Refreshed, Scripts};

/// How long it must have been quiet.
const QUIET: Duration = Duration::from_millis(120);
/// How long a look is put off at most.
const PUT_OFF_MAX: Duration = Duration::from_millis(1_000);
/// When to look again at what could not be loaded for a reason that passes.
const AGAIN: Duration = Duration::from_millis(1_000);
/// How often it is checked that the watched folders are the ones that are there.
const CHECK: Duration = Duration::from_secs(2);

/// Starts to watch; ends with `stop`.
pub(super) fn start(scripts: Scripts, stop: CancellationToken) {
    let (told, changes) = mpsc::unbounded_channel();
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        let changed = match &event {
            // Reading is no change.
            Ok(event) => !event.kind.is_access() || is_end_of_writing(event),
            // Events may have been lost.
            Err(_) => true,
        };
        if changed {
            let _ = told.send(());
        }
    });
    match watcher {
        Ok(watcher) => {
            let folders = [
                scripts.inner.options.hooks_dir.clone(),
                scripts.inner.options.modules_dir.clone(),
            ];
            let watch = Watch {
                watcher,
                folders,
                watched: BTreeMap::new(),
            };
            tokio::spawn(stop.run_until_cancelled_owned(run(watch, changes, scripts)));
        }
        Err(error) => {
            tracing::warn!(%error, "changes of hook scripts are not seen; restart to load them");
        }
    }
}

fn is_end_of_writing(event: &Event) -> bool {
    use notify::event::{AccessKind, AccessMode, EventKind};
    event.kind == EventKind::Access(AccessKind::Close(AccessMode::Write))
}

async fn run(mut watch: Watch, mut changes: mpsc::UnboundedReceiver<()>, scripts: Scripts) {
    let mut again: Option<Instant> = None;
    // What changed before the folders were watched.
    watch.renew();
    let mut look = true;
    loop {
        if look {
            let Refreshed { again: soon, .. } = scripts.refresh(Wanted::Changed).await;
            again = soon.then(|| Instant::now() + AGAIN);
        }
        let put_off = async {
            match again {
                Some(moment) => tokio::time::sleep_until(moment).await,
                None => std::future::pending().await,
            }
        };
        look = tokio::select! {
            change = changes.recv() => {
                if change.is_none() {
                    return;
                }
                settle(&mut changes).await;
                // A folder that was exchanged takes its watch with it.
                watch.renew();
                true
            }
            () = put_off => true,
            () = tokio::time::sleep(CHECK) => watch.renew(),
        };
    }
}

/// Waits until it is quiet, or for as long as a look may be put off.
async fn settle(changes: &mut mpsc::UnboundedReceiver<()>) {
    let latest = Instant::now() + PUT_OFF_MAX;
    loop {
        let quiet = (Instant::now() + QUIET).min(latest);
        match tokio::time::timeout_at(quiet, changes.recv()).await {
            Ok(Some(())) if Instant::now() < latest => {
                // All that is there already counts as one.
                while changes.try_recv().is_ok() {}
            }
            _ => return,
        }
    }
}

/// Which folder is watched in place of a wanted one, and which file of the system that was.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Watched {
    path: PathBuf,
    identity: Option<Identity>,
}

/// Device, number and birth: numbers are used again.
type Identity = (u64, u64, Option<std::time::SystemTime>);

struct Watch {
    watcher: RecommendedWatcher,
    folders: [PathBuf; 2],
    /// By the wanted folder.
    watched: BTreeMap<PathBuf, Watched>,
}

impl Watch {
    /// Watches what is there now. Gives whether that is something else than before.
    fn renew(&mut self) -> bool {
        let wanted: BTreeMap<PathBuf, Watched> = self
            .folders
            .iter()
            .map(|folder| (folder.clone(), present(folder)))
            .collect();
        if wanted == self.watched {
            return false;
        }
        for watched in self.watched.values() {
            let _ = self.watcher.unwatch(&watched.path);
        }
        self.watched.clear();
        for (folder, watched) in wanted {
            let mode = if watched.path == folder {
                RecursiveMode::Recursive
            } else {
                RecursiveMode::NonRecursive
            };
            match self.watcher.watch(&watched.path, mode) {
                Ok(()) => {
                    self.watched.insert(folder, watched);
                }
                Err(error) => tracing::debug!(
                    folder = %watched.path.display(), %error, "a folder of scripts is not watched yet"
                ),
            }
        }
        true
    }
}

/// The folder itself, or the nearest one above it that exists.
fn present(folder: &Path) -> Watched {
    let path = folder
        .ancestors()
        .find(|path| path.is_dir())
        .unwrap_or(folder)
        .to_owned();
    let identity = identity(&path);
    Watched { path, identity }
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.created().ok()))
}

#[cfg(not(unix))]
fn identity(_: &Path) -> Option<Identity> {
    None
}
