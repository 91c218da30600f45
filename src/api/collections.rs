//! `/api/collections`: listing and changing collections; for superusers.

use std::sync::Arc;

use actix_web::web::{Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::records::list_params;
use super::tap::Tap;
use super::{body, encode};
use crate::engine::Engine;
use crate::engine::auth::providers::{self, Provider};
use crate::engine::collections::{CollectionPage, Import};
use crate::engine::events::{Event, EventKind, Slot, Slots};
use crate::http::json as response;
use crate::http::{ApiError, Caller};
use crate::model::{Collection, CollectionKind, ExportView, Field};

const UNREADABLE: &str = "Failed to load the submitted data due to invalid formatting.";

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/collections")
                .route(web::get().to(list_collections))
                .route(web::head().to(list_collections))
                .route(web::post().to(create_collection)),
        )
        .service(
            web::resource("/collections/meta/scaffolds")
                .route(web::get().to(scaffolds))
                .route(web::head().to(scaffolds)),
        )
        .service(
            web::resource("/collections/meta/oauth2-providers")
                .route(web::get().to(oauth2_providers))
                .route(web::head().to(oauth2_providers)),
        )
        .route(
            "/collections/meta/dry-run-view",
            web::post().to(dry_run_view),
        );
}

/// What is below one collection's path.
pub(super) fn configure_one(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("")
                .route(web::get().to(view_collection))
                .route(web::head().to(view_collection))
                .route(web::patch().to(update_collection))
                .route(web::delete().to(delete_collection))
                .route(web::put().to(import_collections)),
        )
        .route("/truncate", web::delete().to(truncate_collection));
}

/// A page of collections.
#[utoipa::path(get, path = "/api/collections", tag = "collections",
    params(("page" = Option<u64>, Query, description = "From 1"),
        ("perPage" = Option<u64>, Query, description = "1 to 1000, default 30"),
        ("sort" = Option<String>, Query, description = "id, created, updated, name, system or type, `-` for descending"),
        ("filter" = Option<String>, Query, description = "A filter over the same fields"),
        ("fields" = Option<String>, Query, description = "Members to return"),
        ("skipTotal" = Option<bool>, Query, description = "Leave totals out (-1)")),
    responses((status = 200, description = "A page"), (status = 400, description = "Invalid filter or sort"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only")))]
pub(super) async fn list_collections(
    engine: Data<Engine>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let kind = EventKind::CollectionsListRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, None);
    let mut page = engine
        .list_collections(&list_params(&request, &caller)?)
        .await?;
    tap.run(&mut page, async |page: &mut CollectionPage| {
        let items = page.items.iter().map(|item| Json::Object(item.to_json()));
        encode::listed(
            items.collect(),
            (page.page, page.per_page),
            (page.total_items, page.total_pages),
            caller.info.query("fields"),
        )
    })
    .await
}

/// One collection.
#[utoipa::path(get, path = "/api/collections/{collection}", tag = "collections",
    params(("collection" = String, Path, description = "Name or id"),
        ("fields" = Option<String>, Query, description = "Members to return")),
    responses((status = 200, description = "The collection"), (status = 401, description = "Not signed in"),
        (status = 403, description = "For superusers only"), (status = 404, description = "No such collection")))]
pub(super) async fn view_collection(
    engine: Data<Engine>,
    caller: Caller,
    id: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let schema = engine.schema();
    let collection = schema.find(&id).ok_or_else(|| ApiError::not_found(""))?;
    let kind = EventKind::CollectionViewRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(collection));
    let mut state = OneCollection(Some(Arc::clone(collection)));
    tap.run(&mut state, async |state: &mut OneCollection| {
        answer(&caller, &*state.taken()?)
    })
    .await
}

/// The slot `collection`.
struct OneCollection(Option<Arc<Collection>>);

impl OneCollection {
    fn taken(&self) -> Result<Arc<Collection>, ApiError> {
        let lost = || ApiError::internal("an event lost its collection");
        self.0.clone().ok_or_else(lost)
    }
}

impl Slots for OneCollection {
    fn put(&mut self, event: &mut Event) {
        if let Some(collection) = &self.0 {
            event.set("collection", Slot::Collection(Arc::clone(collection)));
        }
    }

    fn take(&mut self, event: &mut Event) {
        if let Some(Slot::Collection(collection)) = event.take("collection") {
            self.0 = Some(collection);
        }
    }
}

fn answer(caller: &Caller, collection: &Collection) -> Result<HttpResponse, ApiError> {
    encode::picked(&collection.to_json(), caller.info.query("fields"))
}

/// Creates a collection with its table or view.
#[utoipa::path(post, path = "/api/collections", tag = "collections",
    params(("fields" = Option<String>, Query, description = "Members to return")),
    responses((status = 200, description = "The new collection"), (status = 400, description = "Refused members"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only")))]
pub(super) async fn create_collection(
    engine: Data<Engine>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let body = body::fields(
        &request,
        payload,
        "Failed to load the collection type data due to invalid formatting.",
    )
    .await?;
    let draft = Arc::new(Engine::draft_collection(&body)?);
    let kind = EventKind::CollectionCreateRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(&draft));
    let mut state = OneCollection(Some(Arc::clone(&draft)));
    tap.run(&mut state, async |state: &mut OneCollection| {
        let draft = Collection::clone(&*state.taken()?);
        let saved = engine.save_collection(draft, None).await?;
        state.0 = Some(Arc::clone(&saved));
        answer(&caller, &saved)
    })
    .await
}

/// Changes the members that are sent, and the table or view with them.
#[utoipa::path(patch, path = "/api/collections/{collection}", tag = "collections",
    params(("collection" = String, Path, description = "Name or id"),
        ("fields" = Option<String>, Query, description = "Members to return")),
    responses((status = 200, description = "The collection after the change"), (status = 400, description = "Refused members"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only"),
        (status = 404, description = "No such collection")))]
pub(super) async fn update_collection(
    engine: Data<Engine>,
    caller: Caller,
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let schema = engine.schema();
    let original = schema.find(&id).ok_or_else(|| ApiError::not_found(""))?;
    let body = body::fields(&request, payload, UNREADABLE).await?;
    let kind = EventKind::CollectionUpdateRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(original));
    let mut state = OneCollection(None);
    if tap.is_on() {
        let draft = Engine::draft_collection_change(original, &body)?;
        state.0 = Some(Arc::new(draft));
    }
    tap.run(&mut state, async |state: &mut OneCollection| {
        let saved = match &state.0 {
            Some(draft) => {
                let original = Some(Arc::clone(original));
                engine
                    .save_collection(Collection::clone(draft), original)
                    .await?
            }
            // Nobody sees the change before it is made: it can build on the collection as it is by then.
            None => engine.update_collection(&id, body).await?,
        };
        state.0 = Some(Arc::clone(&saved));
        answer(&caller, &saved)
    })
    .await
}

/// Deletes a collection with its records and files.
#[utoipa::path(delete, path = "/api/collections/{collection}", tag = "collections",
    params(("collection" = String, Path, description = "Name or id")),
    responses((status = 204, description = "Deleted"), (status = 400, description = "A system collection, or others refer to it"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only"),
        (status = 404, description = "No such collection")))]
pub(super) async fn delete_collection(
    engine: Data<Engine>,
    caller: Caller,
    id: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let schema = engine.schema();
    let collection = schema.find(&id).ok_or_else(|| ApiError::not_found(""))?;
    let kind = EventKind::CollectionDeleteRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, Some(collection));
    let mut state = OneCollection(Some(Arc::clone(collection)));
    tap.run(&mut state, async |state: &mut OneCollection| {
        engine.delete_collection(&state.taken()?.id).await?;
        Ok(response::no_content())
    })
    .await
}

/// Deletes all records of a collection.
#[utoipa::path(delete, path = "/api/collections/{collection}/truncate", tag = "collections",
    params(("collection" = String, Path, description = "Name or id")),
    responses((status = 204, description = "Deleted"), (status = 400, description = "A view, or a required reference holds a record"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only"),
        (status = 404, description = "No such collection")))]
pub(super) async fn truncate_collection(
    engine: Data<Engine>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    engine.truncate_collection(&id).await?;
    Ok(response::no_content())
}

/// Creates and changes many collections at once, or none.
#[utoipa::path(put, path = "/api/collections/import", tag = "collections",
    responses((status = 204, description = "Imported"), (status = 400, description = "Refused, with the reasons"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only")))]
pub(super) async fn import_collections(
    engine: Data<Engine>,
    caller: Caller,
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    // The route is that of single collections, of which one may have this name.
    if id.as_str() != "import" {
        return Err(ApiError::not_found(""));
    }
    caller.require_superuser()?;
    let import: Import = body::form(&request, payload).await?;
    import.check()?;
    let kind = EventKind::CollectionsImportRequest;
    let tap = Tap::new(&engine, &request, &caller, kind, None);
    let mut importing = Importing(import);
    tap.run(&mut importing, async |importing: &mut Importing| {
        let import = std::mem::take(&mut importing.0);
        engine.import_collections(import).await?;
        Ok(response::no_content())
    })
    .await
}

/// The slots of an import.
struct Importing(Import);

impl Slots for Importing {
    fn put(&mut self, event: &mut Event) {
        let data = std::mem::take(&mut self.0.collections);
        let data = data.into_iter().map(Json::Object).collect();
        event.set("collections_data", Slot::Json(Json::Array(data)));
        event.set("delete_missing", Slot::Json(self.0.delete_missing.into()));
    }

    fn take(&mut self, event: &mut Event) {
        if let Some(Slot::Json(Json::Array(data))) = event.take("collections_data") {
            let objects = data.into_iter().filter_map(|entry| match entry {
                Json::Object(entry) => Some(entry),
                _ => None,
            });
            self.0.collections = objects.collect();
        }
        if let Some(Json::Bool(delete)) = event.json("delete_missing") {
            self.0.delete_missing = *delete;
        }
    }
}

/// An empty collection of each type, as a start for new ones.
#[utoipa::path(get, path = "/api/collections/meta/scaffolds", tag = "collections",
    params(("fields" = Option<String>, Query, description = "Members to return")),
    responses((status = 200, description = "By type"), (status = 401, description = "Not signed in"),
        (status = 403, description = "For superusers only")))]
pub(super) async fn scaffolds(caller: Caller) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let kinds = [
        CollectionKind::Auth,
        CollectionKind::Base,
        CollectionKind::View,
    ];
    let scaffold = |kind: CollectionKind| {
        // The id becomes part of index names, which must differ from scaffold to scaffold.
        let id = crate::base::id::random_with_alphabet(10, crate::base::id::ID_ALPHABET);
        let mut collection = Collection::with_id(kind, "", &id);
        collection.id.clear();
        (kind.name().to_owned(), Json::Object(collection.to_json()))
    };
    let scaffolds = Map::from_iter(kinds.map(scaffold));
    encode::picked(&scaffolds, caller.info.query("fields"))
}

/// The order in which the dashboard shows the providers, known ones first.
const PROVIDER_ORDER: [&str; 32] = [
    "apple",
    "google",
    "microsoft",
    "yandex",
    "facebook",
    "instagram2",
    "github",
    "gitlab",
    "bitbucket",
    "gitee",
    "gitea",
    "discord",
    "twitter",
    "kakao",
    "vk",
    "linear",
    "notion",
    "monday",
    "lark",
    "box",
    "spotify",
    "trakt",
    "twitch",
    "patreon",
    "strava",
    "wakatime",
    "livechat",
    "mailcow",
    "planningcenter",
    "oidc",
    "oidc2",
    "oidc3",
];

/// The OAuth2 providers that auth collections can name.
#[utoipa::path(get, path = "/api/collections/meta/oauth2-providers", tag = "collections",
    params(("fields" = Option<String>, Query, description = "Members to return")),
    responses((status = 200, description = "Name, display name and logo of each"), (status = 401, description = "Not signed in"),
        (status = 403, description = "For superusers only")))]
pub(super) async fn oauth2_providers(caller: Caller) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let mut known: Vec<&Provider> = providers::PROVIDERS.iter().collect();
    known.sort_by_key(|provider| {
        let place = PROVIDER_ORDER
            .iter()
            .position(|name| *name == provider.name);
        place.unwrap_or(PROVIDER_ORDER.len())
    });
    let items: Vec<Json> = known
        .into_iter()
        .map(|provider| {
            json!({
                "name": provider.name,
                "displayName": provider.display_name,
                "logo": provider.logo(),
            })
        })
        .collect();
    encode::picked(&items, caller.info.query("fields"))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ViewQuery {
    query: String,
}

/// Tries the query of a view: its fields and up to ten rows.
#[utoipa::path(post, path = "/api/collections/meta/dry-run-view", tag = "collections",
    params(("fields" = Option<String>, Query, description = "Members to return")),
    responses((status = 200, description = "Fields and sample"), (status = 400, description = "The query makes no view"),
        (status = 401, description = "Not signed in"), (status = 403, description = "For superusers only")))]
pub(super) async fn dry_run_view(
    engine: Data<Engine>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require_superuser()?;
    let form: ViewQuery = body::form(&request, payload).await?;
    let run = engine.dry_run_view(&form.query).await?;
    let view = ExportView::default();
    let fields = run.fields.iter().map(Field::to_json).map(Json::Object);
    let sample = run.sample.iter().map(|record| record.to_json(&view));
    let sample = sample.map(Json::Object);
    encode::picked(
        &json!({"fields": fields.collect::<Json>(), "sample": sample.collect::<Json>()}),
        caller.info.query("fields"),
    )
}
