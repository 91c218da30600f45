//! `GET /api/openapi`: the description of all routes, with paths and schemas of the present collections.

use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpResponse, web};
use serde_json::{Map, Value as Json, json};
use utoipa::OpenApi;

use crate::engine::Engine;
use crate::http::json as response;
use crate::http::{ApiError, Caller};
use crate::model::{Collection, Field, FieldKind};

/// The static part: the routes that every server has.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rotunda",
        description = "Collections, access rules, sign-in, files and live events over HTTP."
    ),
    paths(
        super::health::health,
        super::metrics::metrics,
        super::records::list_records,
        super::records::view_record,
        super::records::create_record,
        super::records::update_record,
        super::records::delete_record,
        super::batch::write_batch,
        super::record_auth::auth_methods,
        super::record_auth::auth_with_password,
        super::record_auth::auth_refresh,
        super::record_auth::impersonate,
        super::record_auth_verification::request_verification,
        super::record_auth_verification::confirm_verification,
        super::record_auth_password_reset::request_password_reset,
        super::record_auth_password_reset::confirm_password_reset,
        super::record_auth_email_change::request_email_change,
        super::record_auth_email_change::confirm_email_change,
        super::record_auth_otp::request_otp,
        super::record_auth_otp::auth_with_otp,
        super::files::file_token,
        super::files::download_file,
        super::sql::run_sql,
        super::backups::list_backups,
        super::backups::create_backup,
        super::backups::upload_backup,
        super::backups::download_backup,
        super::backups::delete_backup,
        super::backups::restore_backup,
        super::realtime::connect,
        super::realtime::set_subscriptions,
        super::collections::list_collections,
        super::collections::view_collection,
        super::collections::create_collection,
        super::collections::update_collection,
        super::collections::delete_collection,
        super::collections::truncate_collection,
        super::collections::import_collections,
        super::collections::scaffolds,
        super::collections::oauth2_providers,
        super::collections::dry_run_view,
        super::settings::view_settings,
        super::settings::update_settings,
        super::settings::try_storage,
        super::settings::try_mail,
        super::settings::sign_apple_client_secret,
        super::settings_own::view_own_settings,
        super::settings_own::update_own_settings,
        super::logs::list_logs,
        super::logs::view_log,
        super::logs::log_stats,
        super::crons::list_crons,
        super::crons::run_cron,
        openapi,
    ),
    components(schemas(super::record_auth::AuthMethods))
)]
struct Description;

pub(super) fn configure(config: &mut ServiceConfig) {
    config.route("/openapi", web::get().to(openapi));
}

/// The descriptions of routes that other rooms have, as OpenAPI documents.
#[derive(Clone, Debug, Default)]
pub struct Documents(pub Vec<Json>);

impl Documents {
    /// The static description as JSON text, for `server openapi` and the checked-in copy.
    ///
    /// # Errors
    /// Never in practice: the description is built from literals.
    pub fn static_description(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(&self.whole()?)
    }

    /// Methods and paths of all static routes, such as `GET` and `/api/collections/{collection}`.
    #[must_use]
    pub fn operations(&self) -> Vec<(String, String)> {
        let description = self.whole().unwrap_or_default();
        let paths = description.get("paths").and_then(Json::as_object);
        let mut operations = Vec::new();
        for (path, item) in paths.into_iter().flatten() {
            let methods = item.as_object().into_iter().flat_map(Map::keys);
            operations.extend(methods.map(|method| (method.to_ascii_uppercase(), path.clone())));
        }
        operations
    }

    /// All static routes; paths in order.
    fn whole(&self) -> Result<Json, serde_json::Error> {
        let mut whole = serde_json::to_value(Description::openapi())?;
        for part in [&["paths"][..], &["components", "schemas"]] {
            let Some(members) = object_at(&mut whole, part) else {
                continue;
            };
            for document in &self.0 {
                let place = format!("/{}", part.join("/"));
                let more = document.pointer(&place).and_then(Json::as_object);
                members.extend(more.cloned().unwrap_or_default());
            }
            members.sort_keys();
        }
        Ok(whole)
    }
}

/// This description.
#[utoipa::path(get, path = "/api/openapi", tag = "meta",
    responses((status = 200, description = "OpenAPI 3.1; superusers see every collection, others those that a rule opens")))]
pub(super) async fn openapi(
    engine: Data<Engine>,
    documents: Data<Documents>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let mut description = documents.whole().map_err(ApiError::internal)?;
    let schema = engine.schema();
    let mut collections: Vec<_> = schema
        .iter()
        .filter(|collection| caller.is_superuser() || (!collection.system && is_open(collection)))
        .collect();
    collections.sort_by(|a, b| a.name.cmp(&b.name));
    for collection in collections {
        add_collection(&mut description, collection, caller.is_superuser());
    }
    Ok(response::ok_value(&description))
}

/// Whether anybody but superusers can reach the collection.
fn is_open(collection: &Collection) -> bool {
    [
        &collection.list_rule,
        &collection.view_rule,
        &collection.create_rule,
        &collection.update_rule,
        &collection.delete_rule,
    ]
    .iter()
    .any(|rule| rule.is_some())
}

fn add_collection(description: &mut Json, collection: &Collection, superuser: bool) {
    let name = &collection.name;
    let reference = json!({"$ref": format!("#/components/schemas/{name}")});
    if let Some(schemas) = object_at(description, &["components", "schemas"]) {
        schemas.insert(name.clone(), record_schema(collection, superuser));
    }
    let content = |schema: &Json| json!({"application/json": {"schema": schema}});
    let page = json!({"type": "object", "properties": {
        "items": {"type": "array", "items": reference}, "page": {"type": "integer"}, "perPage": {"type": "integer"},
        "totalItems": {"type": "integer"}, "totalPages": {"type": "integer"}}});
    let id = json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]);
    let operation = |verb: &str, answer: Option<&Json>, body: bool, parameters: Option<&Json>| {
        let ok = match answer {
            Some(schema) => json!({"200": {"description": "Done", "content": content(schema)}}),
            None => json!({"204": {"description": "Done"}}),
        };
        let mut operation =
            json!({"tags": [name], "operationId": format!("{verb}_{name}"), "responses": ok});
        if body {
            operation["requestBody"] = json!({"content": content(&reference)});
        }
        if let Some(parameters) = parameters {
            operation["parameters"] = parameters.clone();
        }
        operation
    };
    let mut many = Map::new();
    let mut single = Map::new();
    many.insert("get".into(), operation("list", Some(&page), false, None));
    single.insert(
        "get".into(),
        operation("view", Some(&reference), false, Some(&id)),
    );
    if !collection.is_view() {
        many.insert(
            "post".into(),
            operation("create", Some(&reference), true, None),
        );
        single.insert(
            "patch".into(),
            operation("update", Some(&reference), true, Some(&id)),
        );
        single.insert("delete".into(), operation("delete", None, false, Some(&id)));
    }
    if let Some(paths) = object_at(description, &["paths"]) {
        let path = format!("/api/collections/{name}/records");
        paths.insert(format!("{path}/{{id}}"), Json::Object(single));
        paths.insert(path, Json::Object(many));
    }
}

fn object_at<'a>(value: &'a mut Json, path: &[&str]) -> Option<&'a mut Map<String, Json>> {
    let mut value = value;
    for key in path {
        value = value
            .as_object_mut()?
            .entry((*key).to_owned())
            .or_insert_with(|| json!({}));
    }
    value.as_object_mut()
}

fn record_schema(collection: &Collection, superuser: bool) -> Json {
    let mut properties = Map::new();
    properties.insert("collectionId".into(), json!({"type": "string"}));
    properties.insert("collectionName".into(), json!({"type": "string"}));
    for field in collection.fields() {
        if superuser || !field.hidden {
            properties.insert(field.name.clone(), field_schema(field));
        }
    }
    json!({"type": "object", "properties": properties})
}

fn field_schema(field: &Field) -> Json {
    let text = json!({"type": "string"});
    let one = match &field.kind {
        FieldKind::Number(_) => json!({"type": "number"}),
        FieldKind::Bool(_) => json!({"type": "boolean"}),
        FieldKind::Email(_) => json!({"type": "string", "format": "email"}),
        FieldKind::Url(_) => json!({"type": "string", "format": "uri"}),
        FieldKind::Password(_) => {
            json!({"type": "string", "format": "password", "writeOnly": true})
        }
        FieldKind::Autodate(_) => json!({"type": "string", "readOnly": true}),
        FieldKind::Json(_) => json!({}),
        FieldKind::GeoPoint(_) => {
            json!({"type": "object", "properties": {"lon": {"type": "number"}, "lat": {"type": "number"}}})
        }
        FieldKind::Select(options) => {
            json!({"type": "string", "enum": options.values.clone().unwrap_or_default()})
        }
        _ => text,
    };
    if field.is_multiple() {
        json!({"type": "array", "items": one})
    } else {
        one
    }
}
