//! Requests that come another way than over a connection of their own, such as on a data channel: through the same router,
//! middlewares and limits as HTTP's, without a socket.
//!
//! The server implements [`Dispatch`]. A [`Lane`] is a thread of requests: tasks that are spawned on it have their
//! requests handled without a change of threads.

use std::future::Future;
use std::net::SocketAddr;

use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode, Uri};
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::error::ApiError;
use crate::base::code::Code;

/// How many requests may wait for a lane; who calls then waits.
const CALLS_MAX: usize = 1024;

/// Where requests are handled.
pub trait Dispatch: Send + Sync {
    /// A lane for a client, which it keeps; `None` while the server stops.
    fn lane(&self) -> Option<Lane>;
}

/// A request.
#[derive(Debug)]
pub struct Call {
    pub method: Method,
    /// Path and query, encoded as in HTTP: `/api/posts?page=2`.
    pub uri: Uri,
    /// All that HTTP would send, with `Authorization`: who calls is found out as for any request.
    pub headers: HeaderMap,
    /// Its `Content-Length` is set from it.
    pub body: Bytes,
    /// Where the client is.
    pub peer: Option<SocketAddr>,
    /// Most bytes of the answer's body.
    pub answer_bytes_max: usize,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DispatchError {
    /// The server stops.
    #[error("The server is stopping.")]
    Stopped,
    /// The answer does not end, as that of an event stream.
    #[error("This route answers with a stream: ask for it over HTTP.")]
    Stream,
    #[error("The answer is longer than {max} bytes.")]
    TooLong { max: usize },
    /// It broke off, or took too long.
    #[error("The answer broke off.")]
    Broken,
}

impl From<DispatchError> for ApiError {
    fn from(error: DispatchError) -> Self {
        match error {
            DispatchError::Stopped => Self::new(Code::Unavailable, error.to_string()),
            DispatchError::Stream => Self::bad_request(error.to_string()),
            DispatchError::TooLong { .. } => Self::new(Code::TooLarge, error.to_string()),
            DispatchError::Broken => Self::internal("the response body broke off"),
        }
    }
}

/// A call on its way to the lane's thread.
#[derive(Debug)]
pub struct Job {
    pub call: Call,
    pub reply: oneshot::Sender<Result<Answered, DispatchError>>,
}

/// A thread of requests; a cheap handle.
#[derive(Clone, Debug)]
pub struct Lane {
    runtime: Handle,
    jobs: mpsc::Sender<Job>,
}

impl Lane {
    /// A lane whose tasks run on `runtime`, and what is called on it.
    #[must_use]
    pub fn new(runtime: Handle) -> (Self, mpsc::Receiver<Job>) {
        let (jobs, taken) = mpsc::channel(CALLS_MAX);
        (Self { runtime, jobs }, taken)
    }

    /// Has a request answered. It runs to its end even if the answer is not waited for.
    ///
    /// # Errors
    /// Why there is no answer; a refusal is an answer.
    pub async fn call(&self, call: Call) -> Result<Answered, DispatchError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.jobs.send(Job { call, reply }).await;
        sent.map_err(|_| DispatchError::Stopped)?;
        answer.await.map_err(|_| DispatchError::Stopped)?
    }

    /// Runs a task on the lane's thread. It is dropped where the server stops before its end.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }
}
