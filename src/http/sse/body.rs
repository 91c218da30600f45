//! The streaming body: chunks, time-outs, the end.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::encode::{Encode, one_topic};
use crate::bus::{Item, Subscriber};

/// A chunk is sent once it is so long, even if more waits.
const CHUNK_BYTES: usize = 64 << 10;
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const KEEP_ALIVE: &[u8] = b":\n\n";

/// How a stream lives.
pub struct SseOptions {
    /// How items are written.
    pub encode: Encode,
    /// What is sent at once, such as PocketBase's `PB_CONNECT`.
    pub first: Bytes,
    /// The stream ends after so long without an event; PocketBase: 5 minutes.
    pub idle_max: Option<Duration>,
    /// The stream ends after so long; PocketBase: 30 minutes.
    pub age_max: Option<Duration>,
    /// A comment is sent after so long without anything, so that proxies keep the connection.
    pub keep_alive: Option<Duration>,
    /// Ends the stream when the server stops.
    pub stop: Option<CancellationToken>,
}

impl Default for SseOptions {
    /// A stream of one topic with a comment every 25 seconds, without an end.
    fn default() -> Self {
        Self {
            encode: one_topic(),
            first: Bytes::new(),
            idle_max: None,
            age_max: None,
            keep_alive: Some(Duration::from_secs(25)),
            stop: None,
        }
    }
}

/// The response that streams what a subscriber receives. The subscriber is dropped when the client leaves, which the
/// server notices at once only with `HttpServer::h1_allow_half_closed(false)`: otherwise actix-web takes the end of the
/// client's side for a half-closed connection, and the second comment after it finds out.
pub fn respond(subscriber: Subscriber, options: SseOptions) -> HttpResponse {
    let body = BoxBody::new(SseBody::new(subscriber, options));
    let mut response = HttpResponse::with_body(StatusCode::OK, body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// The body of [`respond`].
pub struct SseBody {
    subscriber: Subscriber,
    encode: Encode,
    chunk: BytesMut,
    first: Option<Bytes>,
    clock: StreamClock,
    timer: Option<Pin<Box<Sleep>>>,
    stop: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    ended: bool,
}

impl SseBody {
    fn new(subscriber: Subscriber, options: SseOptions) -> Self {
        let clock = StreamClock::new(&options, Instant::now());
        Self {
            subscriber,
            encode: options.encode,
            chunk: BytesMut::new(),
            first: Some(options.first).filter(|first| !first.is_empty()),
            timer: clock.next().map(|at| Box::pin(sleep_until(at))),
            clock,
            stop: options.stop.map(|token| Box::pin(token.cancelled_owned())),
            ended: false,
        }
    }

    /// Writes what waits into one chunk.
    fn gather(&mut self, context: &mut Context<'_>) {
        while self.chunk.len() < CHUNK_BYTES {
            match self.subscriber.poll_recv(context) {
                Poll::Ready(Some(item)) => {
                    let last = matches!(item, Item::Lagged);
                    (self.encode)(item, &mut self.chunk);
                    if last {
                        self.ended = true;
                        return;
                    }
                }
                Poll::Ready(None) => {
                    self.ended = true;
                    return;
                }
                Poll::Pending => return,
            }
        }
    }

    /// What the passing of time brings: a comment, or the end.
    fn poll_time(&mut self, context: &mut Context<'_>) -> Poll<Due> {
        let Some(timer) = &mut self.timer else {
            return Poll::Pending;
        };
        // Events move the times on without touching the timer, which would cost more than waking up early.
        while timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            if let Some(due) = self.clock.due(now) {
                return Poll::Ready(due);
            }
            match self.clock.next() {
                Some(next) => timer.as_mut().reset(next),
                None => break,
            }
        }
        Poll::Pending
    }

    fn is_stopped(&mut self, context: &mut Context<'_>) -> bool {
        let stop = self.stop.as_mut();
        stop.is_some_and(|stop| stop.as_mut().poll(context).is_ready())
    }
}

impl MessageBody for SseBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if !this.ended {
            this.gather(context);
        }
        if !this.chunk.is_empty() {
            this.clock.sent_events(Instant::now());
            return Poll::Ready(Some(Ok(this.chunk.split().freeze())));
        }
        if this.ended || this.is_stopped(context) {
            this.ended = true;
            return Poll::Ready(None);
        }
        match this.poll_time(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Due::KeepAlive) => Poll::Ready(Some(Ok(Bytes::from_static(KEEP_ALIVE)))),
            Poll::Ready(Due::End) => {
                this.ended = true;
                Poll::Ready(None)
            }
        }
    }
}

impl fmt::Debug for SseBody {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SseBody")
            .field("subscriber", &self.subscriber)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    KeepAlive,
    End,
}

/// When a stream must speak or end. Time is an argument.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamClock {
    idle_max: Option<Duration>,
    keep_alive: Option<Duration>,
    ends_at: Option<Instant>,
    last_event: Instant,
    last_sent: Instant,
}

impl StreamClock {
    pub(super) fn new(options: &SseOptions, now: Instant) -> Self {
        Self {
            idle_max: options.idle_max,
            keep_alive: options.keep_alive,
            ends_at: options.age_max.map(|age| now + age),
            last_event: now,
            last_sent: now,
        }
    }

    pub(super) fn sent_events(&mut self, now: Instant) {
        self.last_event = now;
        self.last_sent = now;
    }

    /// When to look again.
    pub(super) fn next(&self) -> Option<Instant> {
        let idle = self.idle_max.map(|idle| self.last_event + idle);
        let keep_alive = self.keep_alive.map(|pause| self.last_sent + pause);
        [self.ends_at, idle, keep_alive].into_iter().flatten().min()
    }

    /// What is due; a comment counts as sent.
    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        let is_old = self.ends_at.is_some_and(|end| now >= end);
        let is_idle = self
            .idle_max
            .is_some_and(|idle| now >= self.last_event + idle);
        if is_old || is_idle {
            return Some(Due::End);
        }
        if self
            .keep_alive
            .is_some_and(|pause| now >= self.last_sent + pause)
        {
            self.last_sent = now;
            return Some(Due::KeepAlive);
        }
        None
    }
}
