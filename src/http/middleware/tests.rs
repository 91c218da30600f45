//! The middleware over the wire: a real server, since panics and HEAD only show there.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::middleware::from_fn;
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, HttpServer, web};

use super::*;
use crate::http::{ApiError, BodyData, BodyLimit, json};

/// Keeps what was recorded, in short.
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl ActivityLog for Recorder {
    fn is_on(&self) -> bool {
        true
    }

    fn record(&self, activity: &Activity<'_>) {
        let error = activity.error.map_or(String::new(), |error| {
            format!(" {} ({})", error.message(), error.cause_chain())
        });
        let agent = activity.header("x-agent");
        let line = format!(
            "{} {} {} {agent}{error}",
            activity.method,
            activity.url(),
            activity.status.as_u16()
        );
        self.0.lock().unwrap().push(line);
    }
}

struct Server {
    base: String,
    client: reqwest::Client,
    recorder: Arc<Recorder>,
}

impl Server {
    fn start(origins: &[&str]) -> Self {
        let recorder = Arc::new(Recorder::default());
        let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let edge = Edge::new(EdgeOptions {
            cors: Cors::new(&origins),
            activity: Some(recorder.clone()),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server =
            HttpServer::new(move || App::new().wrap(edge.clone()).configure(routes)).workers(1);
        let server = server.disable_signals().listen(listener).unwrap();
        actix_web::rt::spawn(server.run());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            base,
            client,
            recorder,
        }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let method = method.parse().unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// Status and body.
    async fn get(&self, method: &str, path: &str) -> (u16, String) {
        let response = self.send(method, path, &[]).await;
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

fn routes(config: &mut web::ServiceConfig) {
    async fn health() -> HttpResponse {
        json::ok(&b"{\"code\":200}"[..])
    }
    async fn method(request: HttpRequest) -> String {
        format!("{} {}", request.method(), method_of(&request))
    }
    async fn id(request: HttpRequest) -> String {
        RequestId::of(&request).unwrap().to_string()
    }
    async fn fail(kind: web::Path<String>) -> Result<HttpResponse, ApiError> {
        match kind.as_str() {
            "panic" => panic!("secret detail"),
            "internal" => Err(ApiError::internal(std::io::Error::other("secret detail"))),
            _ => Err(ApiError::forbidden("no entry")),
        }
    }
    async fn framed() -> HttpResponse {
        let mut response = HttpResponse::Ok().body("file");
        response.extensions_mut().insert(Framable);
        response
    }
    async fn quiet(request: HttpRequest) -> &'static str {
        request.extensions_mut().insert(SkipActivityLog);
        "quiet"
    }
    async fn number(number: web::Path<u32>) -> String {
        number.to_string()
    }
    async fn echo(body: BodyData) -> String {
        serde_json::Value::Object(body.fields).to_string()
    }
    let failing = from_fn(
        |_, _: actix_web::middleware::Next<actix_web::body::BoxBody>| async {
            Err::<actix_web::dev::ServiceResponse, _>(ApiError::too_many().into())
        },
    );
    config
        .route("/api/health", web::get().to(health))
        .route("/method", web::get().to(method))
        .route("/id", web::get().to(id))
        .route("/fail/{kind}", web::get().to(fail))
        .route("/framed", web::get().to(framed))
        .route("/quiet", web::get().to(quiet))
        .route("/number/{number}", web::get().to(number))
        .route("/echo", web::post().to(echo))
        .service(
            web::resource("/small")
                .app_data(BodyLimit(20))
                .route(web::post().to(echo)),
        )
        .service(
            web::resource("/limited")
                .wrap(failing)
                .route(web::get().to(health)),
        )
        .default_service(web::to(not_found));
}

fn values<'h>(headers: &'h reqwest::header::HeaderMap, name: &str) -> Vec<&'h str> {
    headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect()
}

const NOT_FOUND: &str =
    r#"{"data":{},"message":"The requested resource wasn't found.","status":404}"#;
const INTERNAL: &str =
    r#"{"data":{},"message":"Something went wrong while processing your request.","status":500}"#;

#[actix_web::test]
async fn answers_carry_pocketbases_headers() {
    let server = Server::start(&[]);
    for path in ["/api/health", "/missing", "/fail/panic", "/limited"] {
        let response = server.send("GET", path, &[("Origin", "http://x.y")]).await;
        let headers = response.headers();
        for (name, expected) in [
            ("content-type", "application/json"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "SAMEORIGIN"),
            ("x-xss-protection", "1; mode=block"),
            ("cross-origin-opener-policy", "same-origin"),
            ("vary", "Origin"),
            ("access-control-allow-origin", "*"),
        ] {
            assert_eq!(values(headers, name), [expected], "{path} {name}");
        }
        assert_eq!(values(headers, "x-request-id").len(), 1);
    }
    let framed = server.send("GET", "/framed", &[]).await;
    assert!(!framed.headers().contains_key("x-frame-options"));
    assert!(!framed.headers().contains_key("access-control-allow-origin"));
}

#[actix_web::test]
async fn preflights_are_answered_for_any_path() {
    let server = Server::start(&["https://example.com"]);
    let asked = [
        ("Origin", "https://example.com"),
        ("Access-Control-Request-Headers", "a,b"),
    ];
    let response = server.send("OPTIONS", "/anything", &asked).await;
    assert_eq!(response.status(), 204);
    let headers = response.headers();
    assert_eq!(
        values(headers, "access-control-allow-origin"),
        ["https://example.com"]
    );
    assert_eq!(values(headers, "access-control-allow-headers"), ["a,b"]);
    assert_eq!(
        values(headers, "access-control-allow-methods"),
        ["GET,HEAD,PUT,PATCH,POST,DELETE"]
    );
    let vary = [
        "Origin",
        "Access-Control-Request-Method",
        "Access-Control-Request-Headers",
    ];
    assert_eq!(values(headers, "vary"), vary);
    let stranger = server
        .send("OPTIONS", "/anything", &[("Origin", "https://evil.net")])
        .await;
    assert_eq!(stranger.status(), 204);
    assert!(
        !stranger
            .headers()
            .contains_key("access-control-allow-origin")
    );
    assert!(server.recorder.0.lock().unwrap().is_empty());
}

#[actix_web::test]
async fn unknown_paths_wrong_methods_and_trailing_slashes_are_not_found() {
    let server = Server::start(&[]);
    for (method, path) in [
        ("GET", "/nope"),
        ("POST", "/api/health"),
        ("GET", "/api/health/"),
        ("FOO", "/id"),
    ] {
        assert_eq!(
            server.get(method, path).await,
            (404, NOT_FOUND.to_owned()),
            "{method} {path}"
        );
    }
}

#[actix_web::test]
async fn refusals_of_the_framework_get_our_shape() {
    let server = Server::start(&[]);
    assert_eq!(
        server.get("GET", "/number/x").await,
        (404, NOT_FOUND.to_owned())
    );
    let limited = r#"{"data":{},"message":"Too Many Requests.","status":429}"#;
    assert_eq!(
        server.get("GET", "/limited").await,
        (429, limited.to_owned())
    );
}

#[actix_web::test]
async fn panics_and_failures_tell_the_log_and_not_the_client() {
    let server = Server::start(&[]);
    assert_eq!(
        server.get("GET", "/fail/panic?token=x").await,
        (500, INTERNAL.to_owned())
    );
    assert_eq!(
        server.get("GET", "/fail/internal").await,
        (500, INTERNAL.to_owned())
    );
    assert_eq!(server.get("GET", "/api/health").await.0, 200);
    let message = "Something went wrong while processing your request.";
    assert_eq!(
        *server.recorder.0.lock().unwrap(),
        [
            format!(
                "GET /fail/panic?token=REDACTED 500  {message} (the handler panicked: secret detail)"
            ),
            format!("GET /fail/internal 500  {message} (secret detail)"),
            "GET /api/health 200 ".to_owned(),
        ]
    );
}

#[actix_web::test]
async fn head_is_handled_as_get_without_a_body() {
    let server = Server::start(&[]);
    let response = server.send("HEAD", "/api/health", &[]).await;
    assert_eq!(response.status(), 200);
    assert_eq!(values(response.headers(), "content-length"), ["12"]);
    assert_eq!(response.text().await.unwrap(), "");
    assert_eq!(server.get("GET", "/method").await.1, "GET GET");
    let response = server.send("HEAD", "/method", &[]).await;
    assert_eq!(
        values(response.headers(), "content-length"),
        ["GET HEAD".len().to_string().as_str()]
    );
    assert_eq!(server.send("HEAD", "/nope", &[]).await.status(), 404);
    assert_eq!(
        server.recorder.0.lock().unwrap()[0],
        "HEAD /api/health 200 "
    );
}

#[actix_web::test]
async fn request_ids_are_taken_or_made_and_echoed() {
    let server = Server::start(&[]);
    let response = server
        .send("GET", "/id", &[("X-Request-ID", "mine-1")])
        .await;
    assert_eq!(values(response.headers(), "x-request-id"), ["mine-1"]);
    assert_eq!(response.text().await.unwrap(), "mine-1");
    let response = server
        .send("GET", "/id", &[("X-Request-ID", "not sane")])
        .await;
    let made = values(response.headers(), "x-request-id")[0].to_owned();
    assert_eq!(response.text().await.unwrap(), made);
    assert_eq!(made.len(), 15);
}

#[actix_web::test]
async fn body_limits_hold_per_route() {
    let server = Server::start(&[]);
    let post = async |path: &str, length: usize| {
        let body = format!("{{{}}}", " ".repeat(length - 2));
        let request = server.client.post(format!("{}{path}", server.base));
        let response = request
            .header("Content-Type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(post("/echo", 21).await, (200, "{}".into()));
    assert_eq!(post("/small", 20).await, (200, "{}".into()));
    let refused = r#"{"data":{},"message":"Request entity too large.","status":413}"#;
    assert_eq!(post("/small", 21).await, (413, refused.into()));
}

#[actix_web::test]
async fn chosen_successes_are_not_recorded_and_headers_are() {
    let server = Server::start(&[]);
    server.get("GET", "/quiet").await;
    server
        .send("GET", "/api/health?a=1", &[("X-Agent", "me")])
        .await;
    assert_eq!(
        *server.recorder.0.lock().unwrap(),
        ["GET /api/health?a=1 200 me"]
    );
}

/// Run by hand: `cargo test --release --lib edge_cost -- --ignored --nocapture`.
#[actix_web::test]
#[ignore = "a measurement, not a check"]
async fn edge_cost() {
    use actix_web::test::{TestRequest, init_service};
    const ROUNDS: u32 = 300_000;
    let with = init_service(
        App::new()
            .wrap(Edge::new(EdgeOptions::default()))
            .configure(routes),
    )
    .await;
    let without = init_service(App::new().configure(routes)).await;
    macro_rules! measure {
        ($app:expr) => {{
            let started = std::time::Instant::now();
            for _ in 0..ROUNDS {
                let request = TestRequest::get().uri("/api/health").to_request();
                let response = actix_web::dev::Service::call(&$app, request).await.unwrap();
                assert!(response.status().is_success());
            }
            started.elapsed() / ROUNDS
        }};
    }
    let (with, without) = (measure!(with), measure!(without));
    println!("a request takes {without:?} without the middleware, {with:?} with it");
}

/// Run by hand, with wrk against the address it prints:
/// `cargo test --release --lib serve_health -- --ignored --nocapture`.
#[actix_web::test]
#[ignore = "serves until it is stopped"]
async fn serve_health() {
    let edge = Edge::new(EdgeOptions::default());
    let server =
        HttpServer::new(move || App::new().wrap(edge.clone()).configure(routes)).workers(1);
    let server = server.bind("127.0.0.1:18972").unwrap();
    println!("http://127.0.0.1:18972/api/health");
    server.run().await.unwrap();
}
