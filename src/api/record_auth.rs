//! Sign-in routes of auth collections: auth-methods, auth-with-password, auth-refresh, impersonate.

use actix_web::web::{Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};
use std::sync::Arc;

use super::encode;
use super::record_auth_response::auth_response;
use super::records::limit;
use super::tap::{Carried, Tap};
use crate::base::code::{BODY_INVALID, BODY_UNREADABLE};
use crate::base::id::random_string;
use crate::base::token;
use crate::engine::auth::{PasswordSignIn, providers};
use crate::engine::events::EventKind;
use crate::engine::{Engine, context};
use crate::http::body;
use crate::http::rate::RateLimits;
use crate::http::{ApiError, BodyLimit, Caller};
use crate::model::{AuthOptions, Collection, FieldError, FieldErrors, OAuth2Provider, Record};

/// The most bytes of a sign-in body.
pub(super) const BODY_BYTES_MAX: u64 = 1 << 20;

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .route("/auth-methods", web::get().to(auth_methods))
        .route("/auth-with-password", web::post().to(auth_with_password))
        .route("/auth-refresh", web::post().to(auth_refresh))
        .route("/impersonate/{id}", web::post().to(impersonate));
}

pub(super) fn auth_collection(
    engine: &Engine,
    id_or_name: &str,
) -> Result<Arc<Collection>, ApiError> {
    let missing = |message| Err(ApiError::not_found(message));
    match engine.collection(id_or_name) {
        Ok(collection) if collection.is_auth() => Ok(collection),
        Ok(_) => missing("Missing or invalid auth collection context."),
        Err(_) => missing("Missing or invalid collection context."),
    }
}

pub(super) fn auth_options(collection: &Collection) -> Result<&AuthOptions, ApiError> {
    collection
        .auth
        .as_deref()
        .ok_or_else(|| ApiError::not_found("Missing or invalid auth collection context."))
}

/// Which ways to sign in a collection offers.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthMethods {
    password: PasswordMethod,
    oauth2: OAuth2Method,
    mfa: TimedMethod,
    otp: TimedMethod,
    /// As PocketBase before 0.23 had it.
    auth_providers: Vec<ProviderInfo>,
    username_password: bool,
    email_password: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct PasswordMethod {
    identity_fields: Vec<String>,
    enabled: bool,
}

#[derive(Default, Serialize, utoipa::ToSchema)]
struct OAuth2Method {
    providers: Vec<ProviderInfo>,
    enabled: bool,
}

/// `duration` in seconds.
#[derive(Serialize, utoipa::ToSchema)]
struct TimedMethod {
    enabled: bool,
    duration: i64,
}

/// What a client needs to start an OAuth2 sign-in. The redirect address is to be appended to `authURL`.
#[derive(Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProviderInfo {
    name: String,
    display_name: String,
    logo: String,
    state: String,
    #[serde(rename = "authURL")]
    auth_url: String,
    #[serde(rename = "authUrl")]
    legacy_auth_url: String,
    code_verifier: String,
    code_challenge: String,
    code_challenge_method: String,
}

/// Which ways to sign in the collection offers.
#[utoipa::path(get, path = "/api/collections/{collection}/auth-methods", tag = "auth",
    params(("collection" = String, Path, description = "Name or id")),
    responses((status = 200, description = "The methods", body = AuthMethods), (status = 404, description = "No such auth collection")))]
pub(super) async fn auth_methods(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let collection = auth_collection(&engine, &path)?;
    limit(
        &engine,
        &limits,
        &caller,
        &request,
        &collection,
        &["listAuthMethods"],
    )?;
    let methods = methods_of(auth_options(&collection)?);
    encode::picked(&methods, caller.info.query("fields"))
}

fn methods_of(options: &AuthOptions) -> AuthMethods {
    let timed = |enabled: bool, duration: i64| TimedMethod {
        enabled,
        duration: if enabled { duration } else { 0 },
    };
    let password = PasswordMethod {
        enabled: options.password_auth.enabled,
        identity_fields: if options.password_auth.enabled {
            options.password_auth.identity_fields.clone()
        } else {
            Vec::new()
        },
    };
    let has = |field: &str| password.identity_fields.iter().any(|name| name == field);
    let oauth2 = if options.oauth2.enabled {
        OAuth2Method {
            enabled: true,
            providers: options
                .oauth2
                .providers
                .iter()
                .filter_map(provider_info)
                .collect(),
        }
    } else {
        OAuth2Method::default()
    };
    AuthMethods {
        username_password: has("username"),
        email_password: has("email"),
        auth_providers: oauth2
            .providers
            .iter()
            .map(|provider| ProviderInfo {
                logo: String::new(),
                ..provider.clone()
            })
            .collect(),
        password,
        oauth2,
        mfa: timed(options.mfa.enabled, options.mfa.duration),
        otp: timed(options.otp.enabled, options.otp.duration),
    }
}

fn provider_info(config: &OAuth2Provider) -> Option<ProviderInfo> {
    let known = providers::find(&config.name)?;
    let state = random_string(30);
    let base = if config.auth_url.is_empty() {
        known.auth_url
    } else {
        &config.auth_url
    };
    let mut url = url::Url::parse(base).ok()?;
    let mut info = ProviderInfo {
        name: config.name.clone(),
        display_name: if config.display_name.is_empty() {
            known.display_name.to_owned()
        } else {
            config.display_name.clone()
        },
        logo: known.logo(),
        state: state.clone(),
        auth_url: String::new(),
        legacy_auth_url: String::new(),
        code_verifier: String::new(),
        code_challenge: String::new(),
        code_challenge_method: String::new(),
    };
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("client_id", &config.client_id);
        if config.pkce.unwrap_or(known.pkce) {
            info.code_verifier = random_string(43);
            info.code_challenge =
                URL_SAFE_NO_PAD.encode(Sha256::digest(info.code_verifier.as_bytes()));
            info.code_challenge_method = "S256".to_owned();
            query
                .append_pair("code_challenge", &info.code_challenge)
                .append_pair("code_challenge_method", &info.code_challenge_method);
        }
        if config.name == "apple" {
            query.append_pair("response_mode", "form_post");
        }
        query.append_pair("response_type", "code");
        if !known.scopes.is_empty() {
            query.append_pair("scope", &known.scopes.join(" "));
        }
        query.append_pair("state", &state);
    }
    info.auth_url = format!("{url}&redirect_uri=");
    info.legacy_auth_url = info.auth_url.clone();
    Some(info)
}

/// Signs in with an identity (e-mail, user name ...) and a password.
#[utoipa::path(post, path = "/api/collections/{collection}/auth-with-password", tag = "auth",
    params(("collection" = String, Path, description = "Name or id")),
    responses((status = 200, description = "Token and record"), (status = 400, description = "Wrong identity or password"),
        (status = 401, description = "A second factor is needed: `mfaId`"), (status = 403, description = "Password sign-in is off, or the auth rule is not met")))]
pub(super) async fn auth_with_password(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    mut caller: Caller,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let collection = auth_collection(&engine, &path)?;
    limit(
        &engine,
        &limits,
        &caller,
        &request,
        &collection,
        &["authWithPassword", "auth"],
    )?;
    let options = auth_options(&collection)?;
    if !options.password_auth.enabled {
        return Err(ApiError::forbidden(
            "The collection is not configured to allow password authentication.",
        ));
    }
    let body = body::read(
        &request,
        &mut payload.into_inner(),
        BodyLimit(BODY_BYTES_MAX),
    )
    .await?
    .fields;
    let form = sign_in_form(&body, &options.password_auth.identity_fields)?;
    caller.info = caller
        .info
        .in_context(context::PASSWORD_AUTH)
        .with_body(body);
    let kind = EventKind::RecordAuthWithPasswordRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(&collection));
    let found = engine.identified_record(&collection, &form).await?;
    let mut state = Carried::new(found).with("password", form.password);
    if tap.is_on() {
        state = state
            .with("identity", form.identity)
            .with("identity_field", form.identity_field);
    }
    tap.run(&mut state, async |state: &mut Carried| {
        let password = state.text("password");
        match engine
            .check_password(state.record.take(), &password)
            .await?
        {
            Some(record) => {
                state.after = tap.is_on().then(|| Arc::new(record.clone()));
                auth_response(&engine, &request, &caller, record, Some("password"), None).await
            }
            None => Err(ApiError::bad_request("Failed to authenticate.")),
        }
    })
    .await
}

fn sign_in_form(
    body: &Map<String, Json>,
    identity_fields: &[String],
) -> Result<PasswordSignIn, ApiError> {
    let text = |name: &str| match body.get(name) {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(Json::Number(number)) => Ok(number.to_string()),
        Some(_) => Err(ApiError::bad_request(BODY_UNREADABLE)),
    };
    let form = PasswordSignIn {
        identity: text("identity")?,
        password: text("password")?,
        identity_field: text("identityField")?,
    };
    let mut errors = FieldErrors::new();
    for (name, value) in [("identity", &form.identity), ("password", &form.password)] {
        if value.is_empty() {
            errors.add(
                name,
                FieldError::new("validation_required", "Cannot be blank."),
            );
        }
    }
    let lengths = [
        ("identity", &form.identity),
        ("password", &form.password),
        ("identityField", &form.identity_field),
    ];
    for (name, value) in lengths {
        if value.chars().count() > 255 {
            errors.add(
                name,
                FieldError::new(
                    "validation_length_out_of_range",
                    "The length must be between 1 and 255.",
                )
                .with("min", 1)
                .with("max", 255),
            );
        }
    }
    if !form.identity_field.is_empty() && !identity_fields.contains(&form.identity_field) {
        errors.add(
            "identityField",
            FieldError::new("validation_in_invalid", "Must be a valid value."),
        );
    }
    if errors.is_empty() {
        Ok(form)
    } else {
        Err(ApiError::validation(BODY_INVALID, &errors))
    }
}

/// A new token for the signed-in record.
#[utoipa::path(post, path = "/api/collections/{collection}/auth-refresh", tag = "auth",
    params(("collection" = String, Path, description = "Name or id")),
    responses((status = 200, description = "Token and record"), (status = 401, description = "Not signed in"),
        (status = 403, description = "Signed in elsewhere, or the auth rule is not met")))]
pub(super) async fn auth_refresh(
    engine: Data<Engine>,
    limits: Data<RateLimits>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let auth = caller.require_auth()?;
    let collection = engine.collection(&path).ok();
    let Some(collection) = collection.filter(|found| found.id == auth.collection().id) else {
        return Err(ApiError::forbidden(format!(
            "The request requires auth record from {} collection.",
            auth.collection().name
        )));
    };
    limit(
        &engine,
        &limits,
        &caller,
        &request,
        &collection,
        &["authRefresh"],
    )?;
    let kind = EventKind::RecordAuthRefreshRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(&collection));
    let mut state = Carried::new(Some(Record::clone(auth)));
    tap.run(&mut state, async |state: &mut Carried| {
        let record = state.take_record()?;
        state.after = tap.is_on().then(|| Arc::new(record.clone()));
        // A token that was made not to be refreshed is given back as it is.
        let sent = caller.token.as_deref().unwrap_or("");
        let refreshable = token::peek_unverified(sent)
            .is_some_and(|claims| claims.get("refreshable") == Some(&Json::Bool(true)));
        let kept = (!refreshable).then(|| sent.to_owned());
        auth_response(&engine, &request, &caller, record, None, kept).await
    })
    .await
}

/// A token for another record, that cannot be refreshed. For superusers.
#[utoipa::path(post, path = "/api/collections/{collection}/impersonate/{id}", tag = "auth",
    params(("collection" = String, Path, description = "Name or id"), ("id" = String, Path, description = "Record id")),
    responses((status = 200, description = "Token and record"), (status = 401, description = "Not signed in"), (status = 403, description = "Not a superuser")))]
pub(super) async fn impersonate(
    engine: Data<Engine>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let (collection, id) = path.into_inner();
    let collection = auth_collection(&engine, &collection)?;
    let record = engine
        .find_record(&collection, &id)
        .await?
        .ok_or_else(|| ApiError::not_found(""))?;
    let body = body::read(
        &request,
        &mut payload.into_inner(),
        BodyLimit(BODY_BYTES_MAX),
    )
    .await?
    .fields;
    let duration = match body.get("duration") {
        None | Some(Json::Null) => 0,
        Some(value) => value
            .as_i64()
            .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
            .ok_or_else(|| ApiError::bad_request(BODY_UNREADABLE))?,
    };
    if duration < 0 {
        let error = FieldError::new(
            "validation_min_greater_equal_than_required",
            "Must be no less than 0.",
        )
        .with("threshold", 0);
        return Err(ApiError::validation(
            BODY_INVALID,
            &FieldErrors::one("duration", error),
        ));
    }
    let token = engine.sign_static_auth_token(&record, (duration > 0).then_some(duration))?;
    auth_response(&engine, &request, &caller, record, None, Some(token)).await
}
