//! Clients of the API. Every answer is checked for what holds of all of them; see [`Answer`].

use reqwest::header::HeaderMap;
use reqwest::multipart::Part;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// Somebody who calls the API.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    token: Option<String>,
    /// The id of the signed-in record, where the template knows it.
    pub(crate) id: String,
    http: reqwest::Client,
}

/// A multipart body.
#[derive(Default)]
pub(crate) struct Form(reqwest::multipart::Form);

/// Status, headers and body of an answer.
pub(crate) struct Answer {
    pub(crate) what: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(base: &str, token: Option<&str>) -> Self {
        // A connection per request, so that none is open when the server is stopped.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0);
        Self {
            base: base.to_owned(),
            token: token.map(str::to_owned),
            id: String::new(),
            http: http.build().expect("a client"),
        }
    }

    /// The same with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap_or("")
    }

    /// A request to be completed; the path begins with `/`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.header("Authorization", token),
            None => request,
        }
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        Answer::of(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// With query parameters, which get encoded.
    pub(crate) async fn get_with(&self, path: &str, query: &[(&str, &str)]) -> Answer {
        self.send(self.request(Method::GET, path).query(query))
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body))
            .await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(&body))
            .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// The answer to the creation of a record.
    pub(crate) async fn try_create(&self, collection: &str, record: Value) -> Answer {
        self.post(&records(collection), record).await
    }

    /// Creates a record, which must succeed.
    pub(crate) async fn create(&self, collection: &str, record: Value) -> Value {
        self.try_create(collection, record).await.expect(200)
    }

    /// Creates `{"name": ..}` etc. and gives the id alone.
    pub(crate) async fn create_id(&self, collection: &str, record: Value) -> String {
        id_of(&self.create(collection, record).await)
    }

    /// Updates a record, which must succeed.
    pub(crate) async fn update(&self, collection: &str, id: &str, changes: Value) -> Value {
        self.patch(&record(collection, id), changes)
            .await
            .expect(200)
    }

    pub(crate) async fn view(&self, collection: &str, id: &str) -> Value {
        self.get(&record(collection, id)).await.expect(200)
    }

    /// The answer to a list with query parameters.
    pub(crate) async fn list(&self, collection: &str, query: &[(&str, &str)]) -> Value {
        self.get_with(&records(collection), query).await.expect(200)
    }

    /// What one member holds in each record of a list.
    pub(crate) async fn column(
        &self,
        collection: &str,
        member: &str,
        query: &[(&str, &str)],
    ) -> Value {
        let mut query = query.to_vec();
        query.push(("perPage", "500"));
        column(&self.list(collection, &query).await["items"], member)
    }

    /// How many records the client can list.
    pub(crate) async fn count(&self, collection: &str) -> u64 {
        let page = self.list(collection, &[("perPage", "1")]).await;
        page["totalItems"].as_u64().expect("a total")
    }

    /// Sends a multipart body.
    pub(crate) async fn form(&self, method: Method, path: &str, form: Form) -> Answer {
        self.send(self.request(method, path).multipart(form.0))
            .await
    }

    pub(crate) async fn sign_in(&self, collection: &str, identity: &str, password: &str) -> Answer {
        let path = format!("/api/collections/{collection}/auth-with-password");
        let body = json!({"identity": identity, "password": password});
        self.post(&path, body).await
    }

    /// A token that opens protected files.
    pub(crate) async fn file_token(&self) -> String {
        let answer = self.post("/api/files/token", json!({})).await.expect(200);
        answer["token"].as_str().expect("a token").to_owned()
    }
}

/// The path of a collection's records.
pub(crate) fn records(collection: &str) -> String {
    format!("/api/collections/{collection}/records")
}

/// The path of a record.
pub(crate) fn record(collection: &str, id: &str) -> String {
    format!("/api/collections/{collection}/records/{id}")
}

pub(crate) fn id_of(record: &Value) -> String {
    record["id"].as_str().expect("an id").to_owned()
}

/// What one member holds in each item of an array.
pub(crate) fn column(items: &Value, member: &str) -> Value {
    let items = items.as_array().expect("an array");
    items.iter().map(|item| item[member].clone()).collect()
}

impl Form {
    pub(crate) fn text(self, name: &str, value: impl Into<String>) -> Self {
        Self(self.0.text(name.to_owned(), value.into()))
    }

    pub(crate) fn file(self, name: &str, file_name: &str, content: impl Into<Vec<u8>>) -> Self {
        let part = Part::bytes(content.into()).file_name(file_name.to_owned());
        Self(self.0.part(name.to_owned(), part))
    }
}

impl Answer {
    async fn of(request: RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.expect("a request");
        let what = format!("{} {}", request.method(), request.url());
        let answer = super::in_time(&what, client.execute(request)).await;
        let answer = answer.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = super::in_time(&what, answer.bytes()).await;
        let answer = Self {
            body: body
                .unwrap_or_else(|error| panic!("{what}: {error:?}"))
                .to_vec(),
            what,
            status,
            headers,
        };
        answer.check();
        answer
    }

    /// What holds of every answer: never a 5xx, every error has PocketBase's shape, and none tells of the inside.
    #[track_caller]
    pub(crate) fn check(&self) {
        assert!(self.status < 500 || super::is_peer(), "{self:?}");
        // A range that cannot be met is answered by plain text, as PocketBase does.
        if matches!(self.status, ..400 | 416) || self.body.is_empty() {
            return;
        }
        if super::is_peer() && self.body.starts_with(b"400 Bad Request") {
            return;
        }
        let body = self.json();
        if self.status == 401 && body.get("mfaId").is_some() {
            return;
        }
        let members: Vec<_> = body
            .as_object()
            .into_iter()
            .flat_map(|map| map.keys())
            .collect();
        if members.len() > 3 {
            // Routes of modules say it twice more.
            let more = ["data", "error", "message", "status", "success"];
            assert_eq!(members, more, "{self:?}");
            assert_eq!(body["success"], json!(false), "{self:?}");
            assert_eq!(body["error"], body["message"], "{self:?}");
        } else {
            assert_eq!(members, ["data", "message", "status"], "{self:?}");
        }
        assert_eq!(body["status"], json!(self.status), "{self:?}");
        assert!(body["data"].is_object(), "{self:?}");
        assert!(
            body["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{self:?}"
        );
        if super::is_peer() {
            return;
        }
        let text = self.text();
        for inside in [
            "SELECT ", "INSERT ", "sqlite", "SQL", "/tmp", "src/", "panicked",
        ] {
            assert!(!text.contains(inside), "tells {inside:?}: {self:?}");
        }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or("")
    }

    /// The body, `null` if it is empty; the status must be this one.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        if self.body.is_empty() {
            return Value::Null;
        }
        self.json()
    }

    /// A 400 whose only errors are these: pairs of field (with dots into lists) and code.
    #[track_caller]
    pub(crate) fn refuses(&self, expected: &[(&str, &str)]) {
        self.expect(400);
        let expected = expected
            .iter()
            .map(|(field, code)| format!("{field}: {code}"));
        assert_eq!(self.errors(), expected.collect::<Vec<_>>(), "{self:?}");
    }

    /// Field errors as `field: code`, sorted.
    pub(crate) fn errors(&self) -> Vec<String> {
        let mut found = Vec::new();
        codes(&self.json()["data"], "", &mut found);
        found.sort();
        found
    }
}

fn codes(errors: &Value, path: &str, found: &mut Vec<String>) {
    for (name, error) in errors.as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        match error.get("code").and_then(Value::as_str) {
            Some(code) => found.push(format!("{path}: {code}")),
            None => codes(error, &path, found),
        }
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const CHARS: usize = 2000;
        let body: String = self.text().chars().take(CHARS).collect();
        write!(out, "{}: {} {body}", self.what, self.status)
    }
}
