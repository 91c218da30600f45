//! One subscription text: a topic and what the client wants to see of its events.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

/// `demo/*?options={"query":{"filter":"..","expand":"..","fields":".."},"headers":{..}}`, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    /// The text as the client sent it: the name of the events it gets.
    pub(super) name: Arc<str>,
    /// The part before the options: `demo/*`, `demo/RECORD_ID` or `demo`.
    pub(super) topic: Arc<str>,
    /// What rules see as `@request.query.*`.
    pub(super) query: Arc<Map<String, Json>>,
    /// What rules see as `@request.headers.*`, names in lower case with `_` for `-`.
    pub(super) headers: Arc<Map<String, Json>>,
}

impl Subscription {
    /// Options that are no valid JSON count as none.
    pub(super) fn parse(text: &str) -> Self {
        let (topic, raw) = text.split_once('?').unwrap_or((text, ""));
        let options = url::form_urlencoded::parse(raw.as_bytes())
            .find(|(name, _)| name == "options")
            .and_then(|(_, value)| serde_json::from_str::<Json>(&value).ok());
        let part = |name: &str, rename: fn(&str) -> String| {
            let values = options
                .as_ref()
                .and_then(|options| options.get(name))
                .and_then(Json::as_object);
            let texts = values.into_iter().flatten().map(|(name, value)| {
                let text = match value {
                    Json::String(text) => text.clone(),
                    Json::Null => String::new(),
                    other => other.to_string(),
                };
                (rename(name), Json::String(text))
            });
            Arc::new(texts.collect::<Map<_, _>>())
        };
        Self {
            name: text.into(),
            topic: topic.into(),
            query: part("query", str::to_owned),
            headers: part("headers", |name| name.to_lowercase().replace('-', "_")),
        }
    }

    pub(super) fn option(&self, name: &str) -> &str {
        self.query.get(name).and_then(Json::as_str).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_query_and_headers() {
        let text = "demo/*?options=%7B%22query%22%3A%7B%22expand%22%3A%22a%22%2C%22n%22%3A1%7D%2C%22headers%22%3A%7B%22X-Token%22%3A%22t%22%7D%7D";
        let subscription = Subscription::parse(text);
        assert_eq!(&*subscription.topic, "demo/*");
        assert_eq!(subscription.option("expand"), "a");
        assert_eq!(subscription.option("n"), "1");
        assert_eq!(subscription.headers["x_token"], "t");
    }

    #[test]
    fn broken_options_count_as_none() {
        let subscription = Subscription::parse("demo?options={");
        assert_eq!(&*subscription.topic, "demo");
        assert!(subscription.query.is_empty());
    }
}
