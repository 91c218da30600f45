//! Short forms: endpoints that clients of the channel know beside the routes. Each stands for a route; its answer is 200,
//! and has the members named here.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value as Json};
use url::form_urlencoded;

use super::request::Wanted;
use crate::base::code::BODY_INVALID;
use crate::http::ApiError;
use crate::model::{FieldError, FieldErrors};

/// What a short form makes of the members of an answer.
pub(super) type Shape = fn(&mut Map<String, Json>);

struct Short {
    method: &'static str,
    path: &'static str,
    /// The route, where it is another: `{id}` stands for a member of the body.
    route: Option<&'static str>,
    /// The member of the body that `{id}` stands for, in both spellings.
    id: Option<[&'static str; 2]>,
    /// Members of the body that the route takes as parameters.
    parameters: &'static [&'static str],
    shape: Shape,
}

const fn short(method: &'static str, path: &'static str) -> Short {
    Short {
        method,
        path,
        route: None,
        id: None,
        parameters: &[],
        shape: as_it_is,
    }
}

const POST_ID: Option<[&str; 2]> = Some(["post_id", "postId"]);
const ARTICLE_ID: Option<[&str; 2]> = Some(["article_id", "articleId"]);
const ROOM_ID: Option<[&str; 2]> = Some(["room_id", "roomId"]);

static SHORT_FORMS: &[Short] = &[
    short("GET", "/posts"),
    short("POST", "/posts"),
    Short {
        route: Some("/posts/{id}/like"),
        id: POST_ID,
        parameters: &["reaction"],
        ..short("POST", "/posts/like")
    },
    Short {
        route: Some("/posts/{id}/comment"),
        id: POST_ID,
        ..short("POST", "/posts/comment")
    },
    Short {
        route: Some("/collections/articles/records"),
        shape: |members| {
            let items = members.remove("items").unwrap_or_default();
            let count = items.as_array().map_or(0, Vec::len);
            members.insert("articles".to_owned(), items);
            members.insert("count".to_owned(), count.into());
        },
        ..short("GET", "/articles")
    },
    Short {
        route: Some("/articles/{id}/buy"),
        id: ARTICLE_ID,
        ..short("POST", "/articles/buy")
    },
    Short {
        route: Some("/rooms/{id}/join"),
        id: ROOM_ID,
        shape: succeeded,
        ..short("POST", "/rooms/join")
    },
    Short {
        route: Some("/rooms/{id}/leave-media"),
        id: ROOM_ID,
        shape: succeeded,
        ..short("POST", "/rooms/leave")
    },
];

/// All below is a short form of the route of the same path.
const LOCATION: &str = "/location/";

/// Leads a short form to its route. Anything else stays as it is.
///
/// # Errors
/// 400 when the body lacks the id.
pub(super) fn lead(wanted: &mut Wanted) -> Result<Option<Shape>, ApiError> {
    if wanted.path.starts_with(LOCATION) && !wanted.is_exact {
        return Ok(Some(as_it_is));
    }
    let found = SHORT_FORMS
        .iter()
        .find(|short| wanted.method == *short.method && short.path == wanted.path);
    let Some(short) = found else {
        return Ok(None);
    };
    // A route of the same path is meant as it is.
    if wanted.is_exact && short.route.is_none() {
        return Ok(None);
    }
    if let Some(route) = short.route {
        route.clone_into(&mut wanted.path);
    }
    if let Some(names) = short.id {
        let body: Json = serde_json::from_slice(&wanted.body).unwrap_or_default();
        let id = names.iter().find_map(|name| body.get(name)?.as_str());
        let id = id.filter(|id| !id.is_empty()).ok_or_else(|| {
            let error = FieldError::new("validation_required", "Cannot be blank.");
            ApiError::validation(BODY_INVALID, &FieldErrors::one(names[0], error)).for_module()
        })?;
        let id = utf8_percent_encode(id, NON_ALPHANUMERIC).to_string();
        wanted.path = wanted.path.replace("{id}", &id);
        for name in short.parameters {
            if let Some(value) = body.get(name).and_then(Json::as_str) {
                let mut query = form_urlencoded::Serializer::new(String::new());
                let pair = query.append_pair(name, value).finish();
                if !wanted.query.is_empty() {
                    wanted.query.push('&');
                }
                wanted.query.push_str(&pair);
            }
        }
    }
    Ok(Some(short.shape))
}

fn as_it_is(_: &mut Map<String, Json>) {}

fn succeeded(members: &mut Map<String, Json>) {
    members.insert("success".to_owned(), true.into());
}
