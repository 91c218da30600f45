//! Requests without a socket: the application of the HTTP workers, on threads of its own that start with the first
//! client.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_http::Request;
use actix_service::IntoServiceFactory;
use actix_web::body::{BodySize, MessageBody, to_bytes_limited};
use actix_web::dev::{AppConfig, Payload, Service, ServiceFactory, ServiceResponse};
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use actix_web::{Error, HttpResponse};
use futures_util::future::LocalBoxFuture;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};
use tokio_util::sync::CancellationToken;

use super::DRAIN_S;
use crate::http::dispatch::{Answered, Call, Dispatch, DispatchError, Job, Lane};

/// How long an answer's body may take after its head.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// Serves what is called on a lane until the token is cancelled.
type Run = Arc<
    dyn Fn(mpsc::Receiver<Job>, CancellationToken) -> LocalBoxFuture<'static, ()> + Send + Sync,
>;

/// The lanes of a server.
pub(super) struct Lanes {
    stop: CancellationToken,
    state: Mutex<State>,
}

struct State {
    /// None when the server stops: what it holds would keep the server's parts, and they it.
    run: Option<Run>,
    lanes: Vec<Lane>,
    lanes_max: usize,
    next: usize,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Lanes {
    /// Lanes of the application that `app` makes; once per lane, on its thread.
    pub(super) fn new<A, I, S, B>(app: A, lanes_max: usize) -> Self
    where
        A: Fn() -> I + Send + Sync + 'static,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<
                Request,
                Config = AppConfig,
                Response = ServiceResponse<B>,
                Error = Error,
            > + 'static,
        B: MessageBody + 'static,
    {
        let app = Arc::new(app);
        let run: Run = Arc::new(move |jobs, stop| {
            let app = Arc::clone(&app);
            Box::pin(async move {
                let factory = app().into_factory();
                drop(app);
                match factory.new_service(AppConfig::default()).await {
                    Ok(service) => serve(Rc::new(service), jobs, stop).await,
                    Err(_) => tracing::error!("requests of rooms cannot be served"),
                }
            })
        });
        Self {
            stop: CancellationToken::new(),
            state: Mutex::new(State {
                run: Some(run),
                lanes: Vec::new(),
                lanes_max: lanes_max.max(1),
                next: 0,
                threads: Vec::new(),
            }),
        }
    }

    /// Ends the threads; requests under way get a moment.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        let threads = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.run = None;
            state.lanes.clear();
            std::mem::take(&mut state.threads)
        };
        if threads.is_empty() {
            return;
        }
        let joined = tokio::task::spawn_blocking(move || {
            let ended = threads.into_iter().map(std::thread::JoinHandle::join);
            ended.filter(Result::is_err).count()
        });
        if !matches!(joined.await, Ok(0)) {
            tracing::error!("a thread of requests panicked");
        }
    }
}

impl Dispatch for Lanes {
    fn lane(&self) -> Option<Lane> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let run = Arc::clone(state.run.as_ref()?);
        if state.lanes.len() < state.lanes_max {
            match start(run, self.stop.clone()) {
                Ok((lane, thread)) => {
                    state.lanes.push(lane);
                    state.threads.push(thread);
                }
                Err(error) => tracing::error!(%error, "no thread for the requests of rooms"),
            }
        }
        let turn = state.next;
        state.next = turn.wrapping_add(1);
        let count = state.lanes.len();
        state.lanes.get(turn.checked_rem(count)?).cloned()
    }
}

fn start(
    run: Run,
    stop: CancellationToken,
) -> std::io::Result<(Lane, std::thread::JoinHandle<()>)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (lane, jobs) = Lane::new(runtime.handle().clone());
    let thread = std::thread::Builder::new()
        .name("rooms".to_owned())
        .spawn(move || LocalSet::new().block_on(&runtime, run(jobs, stop)))?;
    Ok((lane, thread))
}

async fn serve<S, B>(service: Rc<S>, mut jobs: mpsc::Receiver<Job>, stop: CancellationToken)
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    let mut under_way = JoinSet::new();
    loop {
        let job = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            job = jobs.recv() => job,
            Some(_) = under_way.join_next() => continue,
        };
        let Some(Job { call, reply }) = job else {
            break;
        };
        let service = Rc::clone(&service);
        under_way.spawn_local(async move {
            let _ = reply.send(answer(&*service, call).await);
        });
    }
    drop(jobs);
    let all = async { while under_way.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_secs(DRAIN_S), all).await;
}

async fn answer<S, B>(service: &S, call: Call) -> Result<Answered, DispatchError>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let max = call.answer_bytes_max;
    let response = match service.call(request(call)).await {
        Ok(response) => response.into_parts().1.map_into_boxed_body(),
        Err(error) => error.error_response(),
    };
    read(response, max).await
}

fn request(call: Call) -> Request {
    let Call {
        method,
        uri,
        mut headers,
        body,
        peer,
        answer_bytes_max: _,
    } = call;
    headers.remove(CONTENT_LENGTH);
    if !body.is_empty() {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let payload = if body.is_empty() {
        Payload::None
    } else {
        Payload::from(body)
    };
    let mut request = Request::with_payload(payload);
    let head = request.head_mut();
    head.method = method;
    head.uri = uri;
    head.headers = headers;
    head.peer_addr = peer;
    request
}

async fn read(response: HttpResponse, max: usize) -> Result<Answered, DispatchError> {
    let (head, body) = response.into_parts();
    let is_stream = head
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
    if is_stream {
        return Err(DispatchError::Stream);
    }
    let too_long = DispatchError::TooLong { max };
    let body = match body.size() {
        BodySize::Sized(bytes) if usize::try_from(bytes).map_or(true, |bytes| bytes > max) => {
            return Err(too_long);
        }
        _ => match body.try_into_bytes() {
            Ok(bytes) if bytes.len() > max => return Err(too_long),
            Ok(bytes) => bytes,
            Err(body) => {
                let read = tokio::time::timeout(BODY_TIME_MAX, to_bytes_limited(body, max));
                match read.await {
                    Ok(Ok(Ok(bytes))) => bytes,
                    Ok(Err(_)) => return Err(too_long),
                    Err(_) | Ok(Ok(Err(_))) => return Err(DispatchError::Broken),
                }
            }
        },
    };
    Ok(Answered {
        status: head.status(),
        headers: head.headers().clone(),
        body,
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use actix_web::http::{Method, StatusCode};
    use actix_web::{App, HttpRequest, web};
    use bytes::Bytes;
    use futures_util::stream;

    use super::*;
    use crate::http::middleware::{Edge, EdgeOptions};

    fn lanes() -> Lanes {
        let echo = async |request: HttpRequest, body: Bytes| {
            let text = String::from_utf8_lossy(&body).into_owned();
            format!("{} {:?} {text}", request.uri(), request.peer_addr())
        };
        let endless = async || {
            let pieces = stream::repeat_with(|| Ok::<_, Error>(Bytes::from_static(&[b'a'; 100])));
            HttpResponse::Ok().streaming(pieces)
        };
        let events = async || {
            let nothing = stream::pending::<Result<Bytes, Error>>();
            HttpResponse::Ok()
                .content_type("text/event-stream")
                .streaming(nothing)
        };
        let breaks = async || -> HttpResponse { panic!("on purpose") };
        let app = move || {
            App::new()
                .wrap(Edge::new(EdgeOptions::default()))
                .route("/echo", web::post().to(echo))
                .route("/endless", web::get().to(endless))
                .route("/events", web::get().to(events))
                .route("/breaks", web::get().to(breaks))
        };
        Lanes::new(app, 1)
    }

    fn call(method: Method, uri: &'static str, body: &'static str) -> Call {
        Call {
            method,
            uri: uri.parse().unwrap(),
            headers: actix_web::http::header::HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
            peer: Some(SocketAddr::from(([1, 2, 3, 4], 5))),
            answer_bytes_max: 1_000,
        }
    }

    #[tokio::test]
    async fn calls_go_through_router_and_middlewares() {
        let lanes = lanes();
        let lane = lanes.lane().unwrap();
        let answer = lane
            .call(call(Method::POST, "/echo?a=b", "text"))
            .await
            .unwrap();
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body, "/echo?a=b Some(1.2.3.4:5) text");
        assert!(answer.headers.contains_key("x-request-id"));
        let answer = lane.call(call(Method::GET, "/unknown", "")).await.unwrap();
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        let answer = lane.call(call(Method::GET, "/breaks", "")).await.unwrap();
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        lanes.stop().await;
    }

    #[tokio::test]
    async fn answers_without_an_end_are_refused() {
        let lanes = lanes();
        let lane = lanes.lane().unwrap();
        let endless = lane.call(call(Method::GET, "/endless", "")).await;
        assert_eq!(endless.unwrap_err(), DispatchError::TooLong { max: 1_000 });
        let events = lane.call(call(Method::GET, "/events", "")).await;
        assert_eq!(events.unwrap_err(), DispatchError::Stream);
        lanes.stop().await;
    }

    #[tokio::test]
    async fn after_the_end_nothing_is_answered() {
        let lanes = lanes();
        let lane = lanes.lane().unwrap();
        lanes.stop().await;
        assert!(lanes.lane().is_none());
        let late = lane.call(call(Method::POST, "/echo", "")).await;
        assert_eq!(late.unwrap_err(), DispatchError::Stopped);
    }
}
