//! PocketBase's HTTP API, a file per resource. Handlers extract, call the engine, render.

pub mod backups;
pub mod batch;
mod body;
pub mod collections;
pub mod crons;
mod encode;
pub mod files;
pub mod health;
pub mod logs;
pub mod metrics;
pub mod openapi;
pub mod realtime;
pub mod record_auth;
pub mod record_auth_email_change;
pub mod record_auth_otp;
pub mod record_auth_password_reset;
mod record_auth_response;
pub mod record_auth_verification;
pub mod records;
pub mod settings;
pub mod settings_own;
pub mod sql;
mod tap;

use actix_web::web::{self, ServiceConfig};

/// Mounts all routes below `/api`.
pub fn configure(config: &mut ServiceConfig) {
    health::configure(config);
    metrics::configure(config);
    collections::configure(config);
    // One pattern for all of them: each costs half a millisecond at the start, per worker, and a look at each request.
    config.service(
        web::scope("/collections/{collection}")
            .configure(collections::configure_one)
            .configure(records::configure)
            .configure(record_auth::configure)
            .configure(record_auth_verification::configure)
            .configure(record_auth_password_reset::configure)
            .configure(record_auth_email_change::configure)
            .configure(record_auth_otp::configure),
    );
    batch::configure(config);
    files::configure(config);
    realtime::configure(config);
    settings::configure(config);
    settings_own::configure(config);
    logs::configure(config);
    crons::configure(config);
    sql::configure(config);
    backups::configure(config);
    openapi::configure(config);
}
