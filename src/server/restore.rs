//! Restoring a backup: the server stops, the content of the data directory is exchanged, the server starts again. The
//! process and its listening socket stay, so that clients that connect meanwhile wait instead of being refused.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::task::spawn_blocking;

use super::{Running, start};
use crate::config::Config;
use crate::engine::backups::swap;

/// Exchanges the data directory's content for that of `incoming`, a folder that [`crate::engine::Engine::restore_requested`] gave,
/// and serves it on the same listener. When the exchange fails, the old data is served again.
///
/// # Errors
/// When neither can be served. If it is the restored data that cannot be, the old data comes back at the next start.
pub async fn restore(
    running: Running,
    config: &Config,
    listener: &TcpListener,
    incoming: PathBuf,
) -> anyhow::Result<Running> {
    running.pause().await;
    let dir = config.dir.clone();
    let swapped = spawn_blocking(move || swap::swap(&dir, &incoming)).await?;
    let outgoing = match swapped {
        Ok(outgoing) => outgoing,
        Err(error) => {
            tracing::error!(%error, "the backup is not restored: the data directory cannot be exchanged");
            return start(config, listener.try_clone()?).await;
        }
    };
    match start(config, listener.try_clone()?).await {
        Ok(running) => {
            tracing::info!("a backup was restored");
            Ok(running)
        }
        // Something of the failed start may still hold the directory: the exchange back is left to a new process.
        Err(error) => Err(go_back(&config.dir, &outgoing, error)),
    }
}

/// Stops and serves the same directory anew, on the same listener.
///
/// # Errors
/// When it cannot be served any more.
pub async fn restart(
    running: Running,
    config: &Config,
    listener: &TcpListener,
) -> anyhow::Result<Running> {
    running.pause().await;
    start(config, listener.try_clone()?).await
}

fn go_back(dir: &Path, outgoing: &Path, error: anyhow::Error) -> anyhow::Error {
    match swap::swap_at_next_start(dir, outgoing) {
        Ok(()) => error.context(
            "the restored data cannot be served; the data from before comes back at the next start",
        ),
        Err(failed) => error.context(format!(
            "the restored data cannot be served, and the data from before stays in {} ({failed})",
            outgoing.display()
        )),
    }
}

/// Ends an exchange that was interrupted.
///
/// # Errors
/// Those of the file system.
pub(super) fn resume(dir: &Path) -> anyhow::Result<()> {
    let resumed = swap::resume(dir).with_context(|| {
        format!(
            "an interrupted restore of a backup cannot be ended in {}",
            dir.display()
        )
    })?;
    if resumed {
        tracing::warn!("ended the interrupted restore of a backup");
    }
    Ok(())
}

/// Removes what earlier backups and restores left, in the background: it may be a whole data directory. To be called
/// before new ones can begin.
pub(super) fn clean(dir: &Path) {
    let removed = match swap::leftovers(dir) {
        Ok(leftovers) if leftovers.is_empty() => return,
        leftovers => spawn_blocking(move || swap::remove(&leftovers?)),
    };
    tokio::spawn(async move {
        if let Ok(Err(error)) = removed.await {
            tracing::warn!(%error, "leftovers of a backup or restore stay behind");
        }
    });
}
