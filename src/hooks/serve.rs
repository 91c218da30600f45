//! The way of a request through middlewares of scripts to a route of theirs, or to the API.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Map;

use super::call::ScriptHandler;
use super::registry::{Function, Registry};
use super::router::{Action, Middleware, PathValues, Route, Routes};
use crate::base::code::{AUTH_NOT_ALLOWED, AUTH_REQUIRED};
use crate::engine::events::{Event, Handler, Step, Visit};
use crate::engine::{Engine, Error};
use crate::http::caller::bare_token;
use crate::http::rate::{RateLimits, Subject};
use crate::http::{BodyLimit, Caller};
use crate::store::Tx;

/// Middlewares below this priority run before it is known who calls, as in PocketBase.
const IDENTIFY_PRIORITY: i64 = -1_020;

/// What a request has to go through.
pub(super) struct Plan {
    /// In the order in which they run.
    middlewares: Vec<Middleware>,
    pub(super) route: Option<Found>,
}

/// The route of a script that a request is for.
pub(super) struct Found {
    pub(super) pattern: String,
    pub(super) path_values: PathValues,
    handler: Arc<Function>,
}

impl Plan {
    /// The plan for a request; nothing where no script is concerned.
    pub(super) fn of(
        registry: &Registry,
        server: &Routes,
        method: &str,
        path: &str,
    ) -> Option<Self> {
        let found = registry.routes.find(method, path).filter(|(route, _)| {
            let other = server.find(method, path);
            other.is_none_or(|(other, _)| route.is_before(other))
        });
        if found.is_none() && registry.middlewares.is_empty() {
            return None;
        }
        let mut middlewares = registry.middlewares.clone();
        let route = found.and_then(|(route, path_values)| {
            middlewares.extend(route.middlewares.iter().cloned());
            Some(Found {
                pattern: route.pattern.clone(),
                path_values,
                handler: Arc::clone(route.handler.as_ref()?),
            })
        });
        middlewares.sort_by_key(|middleware| middleware.priority);
        Some(Self { middlewares, route })
    }

    /// The most bytes of the body.
    pub(super) fn body_limit(&self) -> BodyLimit {
        let limits = self.middlewares.iter().rev();
        limits
            .filter_map(|middleware| match middleware.action {
                Action::BodyLimit(bytes) => Some(BodyLimit(bytes)),
                _ => None,
            })
            .next()
            .unwrap_or_default()
    }

    pub(super) fn skips_activity_log(&self) -> bool {
        self.has(|action| matches!(action, Action::SkipActivityLog))
    }

    pub(super) fn compresses(&self) -> bool {
        self.has(|action| matches!(action, Action::Gzip))
    }

    fn has(&self, is: impl Fn(&Action) -> bool) -> bool {
        self.middlewares
            .iter()
            .any(|middleware| is(&middleware.action))
    }

    /// All that the request's event goes through, the route's own handler last.
    pub(super) fn handlers(&self, engine: &Engine, limits: &RateLimits) -> Vec<Arc<dyn Handler>> {
        let mut handlers: Vec<Arc<dyn Handler>> = Vec::with_capacity(self.middlewares.len() + 2);
        let script = |function: &Arc<Function>| -> Arc<dyn Handler> {
            Arc::new(ScriptHandler {
                engine: engine.clone(),
                function: Arc::clone(function),
            })
        };
        let mut identify = Some(Check::Identify {
            engine: engine.clone(),
            // The API counts its own requests.
            limits: self.route.is_some().then(|| limits.clone()),
        });
        for middleware in &self.middlewares {
            if middleware.priority >= IDENTIFY_PRIORITY
                && let Some(identify) = identify.take()
            {
                handlers.push(Arc::new(identify));
            }
            match &middleware.action {
                Action::Script(function) => handlers.push(script(function)),
                Action::RequireAuth(names) => {
                    handlers.push(Arc::new(Check::Auth(names.clone())));
                }
                Action::RequireGuest => handlers.push(Arc::new(Check::Guest)),
                Action::RequireOwner(name) => handlers.push(Arc::new(Check::Owner(name.clone()))),
                Action::BodyLimit(_) | Action::SkipActivityLog | Action::Gzip => {}
            }
        }
        if let Some(identify) = identify {
            handlers.push(Arc::new(identify));
        }
        if let Some(found) = &self.route {
            handlers.push(script(&found.handler));
        }
        handlers
    }
}

/// The routes of the server itself, as patterns to compare those of scripts with.
pub(super) fn server_routes(operations: Vec<(String, String)>) -> Routes {
    let mut routes = Routes::default();
    let pages = [
        ("GET".to_owned(), "/_".to_owned()),
        ("GET".to_owned(), "/_/{path...}".to_owned()),
    ];
    for (method, path) in operations.into_iter().chain(pages) {
        if let Ok(route) = Route::new(&method, &path) {
            routes.add(route);
        }
    }
    routes.seal();
    routes
}

/// A handler that lets a request go on or not.
#[derive(Clone)]
enum Check {
    /// Finds out who calls; with limits, counts the request as well.
    Identify {
        engine: Engine,
        limits: Option<RateLimits>,
    },
    Auth(Vec<String>),
    Guest,
    Owner(String),
}

impl Handler for Check {
    fn begin(&self, event: Event) -> Box<dyn Visit> {
        Box::new(Checking {
            check: self.clone(),
            event: Some((event, None)),
        })
    }
}

/// One check at work; the event with the result it came back with.
struct Checking {
    check: Check,
    event: Option<(Event, Option<Result<(), Error>>)>,
}

impl Visit for Checking {
    fn step<'a>(&'a mut self, _: Option<&'a mut Tx>) -> BoxFuture<'a, Step> {
        Box::pin(async move {
            match self.event.take() {
                Some((event, Some(result))) => Step::Done(event, result),
                Some((mut event, None)) => match self.check.run(&mut event).await {
                    Ok(()) => Step::Next(event),
                    Err(error) => Step::Done(event, Err(error)),
                },
                None => Step::Done(
                    Event::new(crate::engine::events::EventKind::Route, None),
                    Err(super::failure::plain("a check is through already")),
                ),
            }
        })
    }

    fn resume(&mut self, event: Event, result: Result<(), Error>) {
        self.event = Some((event, Some(result)));
    }
}

impl Check {
    async fn run(&self, event: &mut Event) -> Result<(), Error> {
        let Some(request) = &mut event.request else {
            return Ok(());
        };
        let auth = request.info.auth.as_deref();
        match self {
            Self::Identify { engine, limits } => {
                let header = |(name, _): &&(String, String)| name == "authorization";
                let token = request.headers.iter().find(header);
                let token = token.map_or("", |(_, text)| bare_token(text));
                if auth.is_none() && !token.is_empty() {
                    request.info.auth = engine.authenticate(token).await?;
                }
                let settings = engine.settings();
                if request.info.is_superuser() && !settings.superuser_ip_allowed(&request.real_ip) {
                    return Err(Error::forbidden(""));
                }
                let Some(limits) = limits else { return Ok(()) };
                let caller = Caller {
                    info: request.info.clone(),
                    token: None,
                    ip: request.real_ip.clone(),
                };
                let path = request.url.split('?').next().unwrap_or_default();
                let subject = Subject {
                    collection: None,
                    tags: &[],
                    method: &request.info.method,
                    path,
                };
                limits.check(&settings, &caller, &subject, engine.now().unix())?;
                Ok(())
            }
            Self::Auth(names) => match auth {
                None => Err(Error::Unauthorized(AUTH_REQUIRED.to_owned())),
                Some(record) if names.is_empty() || names.contains(&record.collection().name) => {
                    Ok(())
                }
                Some(_) => Err(Error::forbidden(AUTH_NOT_ALLOWED)),
            },
            Self::Guest => match auth {
                None => Ok(()),
                Some(_) => Err(Error::Custom {
                    status: 400,
                    message: "The request can be accessed only by guests.".to_owned(),
                    data: Map::new(),
                    cause: None,
                }),
            },
            Self::Owner(name) => {
                let Some(record) = auth else {
                    return Err(Error::Unauthorized(
                        "The request requires superuser or record authorization token.".to_owned(),
                    ));
                };
                let mut values = request.path_values.iter();
                let owner = values.find(|(known, _)| known == name);
                let owns = owner.is_some_and(|(_, id)| id == record.id());
                if record.collection().is_superusers() || owns {
                    Ok(())
                } else {
                    Err(Error::forbidden(""))
                }
            }
        }
    }
}
