//! Sending: a few mails at once, each for a bounded time, in front of or behind a request.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lettre::AsyncTransport;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::smtp::Transport;
use super::{Error, Mail, Smtp, folder};
use crate::base::DateTime;

/// How long a mail may take, waiting for others included.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// Mails that are sent at the same time.
const SENDING_MAX: usize = 8;
/// Pieces of work that nobody waits for, running or waiting.
const LATER_MAX: usize = 1_000;

/// Where mails go.
#[derive(Clone, Debug)]
pub enum Route {
    Smtp(Smtp),
    /// Files in the mailer's folder.
    Folder,
}

/// Sends mails. Clones are cheap and share bounds and work.
#[derive(Clone)]
pub struct Mailer {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    /// Where later work runs: it outlives the thread of the request that asked for it.
    runtime: Handle,
    timeout: Duration,
    sending: Semaphore,
    later: Arc<Semaphore>,
    tasks: TaskTracker,
    /// Connections to the server used last; its certificates are read once.
    transport: Mutex<Option<(Smtp, Transport)>>,
}

impl Mailer {
    /// A mailer that writes to `folder` when told so, and runs later work on `runtime`.
    #[must_use]
    pub fn new(folder: PathBuf, runtime: Handle) -> Self {
        Self::with_timeout(folder, runtime, SEND_TIMEOUT)
    }

    pub(super) fn with_timeout(folder: PathBuf, runtime: Handle, timeout: Duration) -> Self {
        Self {
            inner: Arc::new(Inner {
                folder,
                runtime,
                timeout,
                sending: Semaphore::new(SENDING_MAX),
                later: Arc::new(Semaphore::new(LATER_MAX)),
                tasks: TaskTracker::new(),
                transport: Mutex::new(None),
            }),
        }
    }

    /// Sends a mail and waits until the server took it. Dropping the future gives up, at whatever point it was.
    ///
    /// # Errors
    /// [`Error::Timeout`] after [`SEND_TIMEOUT`], [`Error::Invalid`] for a mail that cannot be written, else what the
    /// server or the disk said.
    pub async fn send(&self, route: &Route, mail: &Mail) -> Result<(), Error> {
        let message = mail.build()?;
        let sent = tokio::time::timeout(self.inner.timeout, async {
            let _slot = self
                .inner
                .sending
                .acquire()
                .await
                .map_err(|_| Error::Busy)?;
            match route {
                Route::Smtp(smtp) => {
                    let transport = self.transport(smtp).await?;
                    transport.send(message).await.map_err(Error::Smtp)?;
                    Ok(())
                }
                Route::Folder => self.write(message).await,
            }
        });
        sent.await.unwrap_or(Err(Error::Timeout))
    }

    /// Runs work that sends mails while nobody waits for it. It ends early only with the process.
    ///
    /// # Errors
    /// [`Error::Busy`] when a thousand others run or wait.
    pub fn later(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        let permit = Arc::clone(&self.inner.later)
            .try_acquire_owned()
            .map_err(|_| Error::Busy)?;
        let work = async move {
            work.await;
            drop(permit);
        };
        self.inner.tasks.spawn_on(work, &self.inner.runtime);
        Ok(())
    }

    /// Waits until all later work is done, at most for `patience`; gives whether it is.
    pub async fn drain(&self, patience: Duration) -> bool {
        self.inner.tasks.close();
        let drained = tokio::time::timeout(patience, self.inner.tasks.wait()).await;
        drained.is_ok()
    }

    async fn write(&self, message: lettre::Message) -> Result<(), Error> {
        let folder = self.inner.folder.clone();
        let write = move || folder::write(&folder, &message.formatted(), DateTime::now());
        let path = tokio::task::spawn_blocking(write)
            .await
            .map_err(|error| Error::Folder(std::io::Error::other(error)))?
            .map_err(Error::Folder)?;
        tracing::info!(mail.file = %path.display(), "no mail server is set up, a mail was written to a file");
        Ok(())
    }

    async fn transport(&self, smtp: &Smtp) -> Result<Transport, Error> {
        if let Some((known, transport)) = &*self.lock()
            && known == smtp
        {
            return Ok(transport.clone());
        }
        let server = smtp.clone();
        let transport = tokio::task::spawn_blocking(move || server.transport())
            .await
            .map_err(|error| Error::Folder(std::io::Error::other(error)))??;
        *self.lock() = Some((smtp.clone(), transport.clone()));
        Ok(transport)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Smtp, Transport)>> {
        self.inner
            .transport
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
