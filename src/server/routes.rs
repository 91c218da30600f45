//! Where each path leads: the API, the built-in pages, the public folder.

use std::path::PathBuf;
use std::sync::Arc;

use actix_files::NamedFile;
use actix_web::http::Method;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use crate::api;
use crate::api::metrics::Metrics;
use crate::api::openapi::Documents;
use crate::api::realtime::Clients;
use crate::blob::Thumbs;
use crate::config::Config;
use crate::engine::Engine;
use crate::hooks::{self, Scripts};
use crate::http::ApiError;
use crate::http::middleware::Deferred;
use crate::http::rate::RateLimits;
use crate::live::{self, Live, OnDemand};
use crate::modules::Modules;

/// What handlers ask for.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) engine: Data<Engine>,
    pub(super) clients: Data<Clients>,
    pub(super) live: Data<Live>,
    pub(super) scripts: Data<Scripts>,
    pub(super) documents: Data<Documents>,
    pub(super) modules: Modules,
    pub(super) metrics: Data<Metrics>,
    pub(super) limits: Data<RateLimits>,
    pub(super) thumbs: Data<Thumbs>,
    pub(super) public: Public,
}

/// The folder that is served at `/`.
#[derive(Clone)]
pub(super) struct Public {
    folder: Option<PathBuf>,
    /// Unknown paths get `index.html`, for pages that route by themselves.
    index_fallback: bool,
}

impl Public {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            folder: Some(config.public_dir.clone()).filter(|folder| folder.is_dir()),
            index_fallback: config.index_fallback,
        }
    }
}

/// The page behind the install link.
const INSTALL_PAGE: &str = include_str!("../../static/install.html");

pub(super) fn mount(app: &mut ServiceConfig, shared: &Shared) {
    app.app_data(shared.engine.clone())
        .app_data(shared.clients.clone())
        .app_data(shared.live.clone())
        .app_data(shared.scripts.clone())
        .app_data(shared.documents.clone())
        .app_data(shared.metrics.clone())
        .app_data(shared.limits.clone())
        .app_data(shared.thumbs.clone())
        .app_data(Data::new(shared.public.clone()))
        .service(
            web::scope("/api")
                .wrap(OnDemand::new(Live::clone(&shared.live)))
                .wrap(Deferred::new(Arc::new(Live::clone(&shared.live))))
                .configure(api::configure)
                .configure(live::configure)
                .configure(hooks::configure)
                .configure(|api| shared.modules.configure(api))
                .default_service(web::to(unknown)),
        )
        .route("/_", web::get().to(to_pages))
        .route("/_/", web::get().to(install_page))
        .route("/_/extensions.js", web::get().to(extensions))
        .default_service(web::to(public));
}

async fn unknown() -> Result<HttpResponse, ApiError> {
    Err(ApiError::not_found(""))
}

async fn to_pages() -> HttpResponse {
    HttpResponse::TemporaryRedirect()
        .insert_header(("Location", "/_/"))
        .finish()
}

async fn install_page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("Cache-Control", "no-store"))
        .insert_header((
            "Content-Security-Policy",
            "default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'",
        ))
        .body(INSTALL_PAGE)
}

/// Dashboard extensions: none, which the dashboard expects as an empty script.
async fn extensions() -> HttpResponse {
    HttpResponse::Ok().content_type("text/javascript").body("")
}

async fn public(request: HttpRequest, public: Data<Public>) -> Result<HttpResponse, ApiError> {
    let hidden = || ApiError::not_found("");
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(hidden());
    }
    let folder = public.folder.as_ref().ok_or_else(hidden)?;
    let path = request.path().trim_start_matches('/');
    let decoded = percent_decode(path).ok_or_else(hidden)?;
    // Only plain names below the folder; `..`, hidden files and other roots are no files of the site.
    let mut file = folder.clone();
    for part in decoded.split('/').filter(|part| !part.is_empty()) {
        if part.starts_with('.') || part.contains(['\\', '\0', ':']) {
            return Err(hidden());
        }
        file.push(part);
    }
    if file.is_dir() {
        file.push("index.html");
    }
    if !file.is_file() && public.index_fallback {
        file = folder.join("index.html");
    }
    let file = NamedFile::open_async(file).await.map_err(|_| hidden())?;
    Ok(file.into_response(&request))
}

fn percent_decode(path: &str) -> Option<String> {
    percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}
