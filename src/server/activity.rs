//! Keeps finished requests in the log that superusers read, by batches and without holding requests up.

use std::time::Duration;

use actix_web::HttpMessage;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::base::id::random_id;
use crate::engine::Engine;
use crate::http::caller::SignedIn;
use crate::http::middleware::{Activity, ActivityLog};
use crate::http::proxy::{real_ip, remote_ip};
use crate::store::logs::{self, LogEntry};

/// Requests that may wait to be written; further ones are left out of the log, never waited for.
const WAITING_MAX: usize = 5_000;
/// Lines of one transaction.
const BATCH: usize = 500;
/// How long lines wait for others to share their transaction.
const FLUSH: Duration = Duration::from_secs(3);
const LEVEL_INFO: i32 = 0;
const LEVEL_ERROR: i32 = 8;

/// The log of requests. Dropping it ends the writing task once all is written.
pub(super) struct RequestLog {
    engine: Engine,
    lines: mpsc::Sender<LogEntry>,
}

impl RequestLog {
    /// Starts the task that writes; it ends when `stop` is cancelled, after what waits.
    pub(super) fn start(
        engine: Engine,
        stop: CancellationToken,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (lines, waiting) = mpsc::channel(WAITING_MAX);
        let task = tokio::spawn(write(engine.clone(), waiting, stop));
        (Self { engine, lines }, task)
    }
}

async fn write(engine: Engine, mut waiting: mpsc::Receiver<LogEntry>, stop: CancellationToken) {
    loop {
        let mut batch = Vec::new();
        let ended = tokio::select! {
            got = waiting.recv_many(&mut batch, BATCH) => got == 0,
            () = stop.cancelled() => true,
        };
        if !ended && batch.len() < BATCH {
            // A moment for others to join; the end of the server cuts it short.
            tokio::select! {
                () = tokio::time::sleep(FLUSH) => {}
                () = stop.cancelled() => {}
            }
        }
        while batch.len() < BATCH {
            match waiting.try_recv() {
                Ok(line) => batch.push(line),
                Err(_) => break,
            }
        }
        if !batch.is_empty() {
            let stored = engine
                .store()
                .write_logs(move |tx| Box::pin(async move { logs::insert(tx, &batch).await }))
                .await;
            if let Err(error) = stored {
                tracing::warn!(%error, "request log lines were lost");
            }
        } else if ended {
            return;
        }
    }
}

impl ActivityLog for RequestLog {
    fn is_on(&self) -> bool {
        self.engine.settings().logs.max_days > 0
    }

    fn record(&self, activity: &Activity<'_>) {
        let settings = self.engine.settings();
        let failed = activity.error.is_some();
        let level = if failed { LEVEL_ERROR } else { LEVEL_INFO };
        if i64::from(level) < settings.logs.min_level {
            return;
        }
        let url = cut(&activity.url(), 3000).to_owned();
        let method = activity.method.as_str();
        let mut data = json!({
            "type": "request",
            "execTime": activity.duration.as_secs_f64() * 1000.0,
            "url": url,
            "method": method,
            "status": activity.status.as_u16(),
            "referer": cut(activity.header("referer"), 2000),
            "userAgent": cut(activity.header("user-agent"), 2000),
            "auth": "",
            "requestId": activity.request_id.as_str(),
        });
        if let Some(error) = activity.error {
            data["error"] = error.message().into();
            data["details"] = Json::String(error.cause_chain());
        }
        if let Some(request) = activity.request {
            if let Some(SignedIn(record)) = request.extensions().get::<SignedIn>() {
                data["auth"] = record.collection().name.as_str().into();
                if settings.logs.log_auth_id {
                    data["authId"] = record.id().into();
                }
            }
            if settings.logs.log_ip {
                let peer = request.peer_addr();
                let text = |ip: Option<_>| {
                    ip.map(|ip: crate::http::proxy::ClientIp| ip.to_string())
                        .unwrap_or_default()
                };
                let real = real_ip(&settings.trusted_proxy, request.headers(), peer);
                data["userIP"] = text(real).into();
                data["remoteIP"] = text(remote_ip(peer)).into();
            }
        }
        let line = LogEntry {
            id: random_id(),
            level,
            message: format!("{method} {url}"),
            data: data.to_string(),
            created: self.engine.now().to_string(),
        };
        // A full queue drops the line: the log must not slow requests down.
        let _ = self.lines.try_send(line);
    }
}

/// At most `bytes` bytes, whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}
