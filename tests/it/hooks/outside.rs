//! `http.get` and `http.post`: requests of scripts to other servers.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::execute;
use crate::support::TestApp;

/// A server that keeps the requests it gets and gives each the same answer.
struct Sink {
    base: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !is_whole(&request) && stream.read_buf(&mut request).await.unwrap_or(0) > 0 {}
                let text = String::from_utf8_lossy(&request).into_owned();
                kept.lock().unwrap().push(text);
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { base, requests }
    }

    /// The last request, its head in lower case, and how many there were.
    fn last(&self) -> (String, String, usize) {
        let requests = self.requests.lock().unwrap();
        let last = requests.last().cloned().unwrap_or_default();
        let (head, body) = last.split_once("\r\n\r\n").unwrap_or_default();
        (head.to_lowercase(), body.to_owned(), requests.len())
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.lines().next()?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}

const ANSWER: &str = "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\nx-made: yes\r\ncontent-length: 11\r\nconnection: close\r\n\r\n{\"made\": 1}";

async fn app() -> TestApp {
    TestApp::new()
        .with(|config| config.http_allow_private = vec!["127.0.0.0/8".to_owned()])
        .start()
        .await
}

async fn run(app: &TestApp, code: &str, url: &str) -> Value {
    let url = serde_json::to_string(url).unwrap();
    execute(app, &format!("const url = {url}; {code}")).await
}

#[tokio::test]
async fn get_and_post_give_status_headers_body_and_json() {
    let (app, sink) = (app().await, Sink::start(ANSWER).await);
    let url = format!("{}/a?b=1", sink.base);
    let code = "const answer = http.get(url, {headers: {'X-Asked': 'by script'}}); return [answer.status, answer.headers['X-Made'], answer.body, answer.json.made]";
    let answer = run(&app, code, &url).await;
    assert_eq!(answer, json!([201, ["yes"], "{\"made\": 1}", 1]));
    let (head, body, count) = sink.last();
    assert!(head.starts_with("get /a?b=1 http/1.1\r\n"), "{head}");
    assert!(head.contains("x-asked: by script"), "{head}");
    assert_eq!((body.as_str(), count), ("", 1));

    let code = "return http.post(url, {name: 'ü', list: [1]}).status";
    assert_eq!(run(&app, code, &url).await, json!(201));
    let (head, body, count) = sink.last();
    assert!(head.starts_with("post /a?b=1 "), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!((body.as_str(), count), ("{\"name\":\"ü\",\"list\":[1]}", 2));

    let code = "return http.post(url, 'a=1&b=2', {headers: {'Content-Type': 'application/x-www-form-urlencoded'}}).status";
    assert_eq!(run(&app, code, &url).await, json!(201));
    let (head, body, _) = sink.last();
    let form = "content-type: application/x-www-form-urlencoded";
    assert!(head.contains(form), "{head}");
    assert_eq!(body, "a=1&b=2");
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_a_text_and_an_error_status_no_error() {
    let answer = "HTTP/1.1 503 Busy\r\ncontent-type: text/plain\r\ncontent-length: 5\r\nconnection: close\r\n\r\nlater";
    let (app, sink) = (app().await, Sink::start(answer).await);
    let code =
        "const answer = http.get(url); return [answer.status, answer.body, answer.json ?? null]";
    let answer = run(&app, code, &sink.base).await;
    assert_eq!(answer, json!([503, "later", null]));
}

#[tokio::test]
async fn private_targets_are_refused_also_after_a_redirect() {
    let closed = TestApp::new().start().await;
    let sink = Sink::start(ANSWER).await;
    let code = "try { http.post(url, {}); return 'sent' } catch (error) { return error.message }";
    let refused = run(&closed, code, &sink.base).await;
    let message = refused.as_str().unwrap();
    assert!(message.contains("--httpAllowPrivate"), "{message}");
    assert_eq!(sink.last().2, 0);

    // 127.0.0.0/8 is allowed, the addresses of other private networks are not.
    let moved = "HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/secret\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (open, sink) = (app().await, Sink::start(moved).await);
    let refused = run(&open, code, &sink.base).await;
    let message = refused.as_str().unwrap();
    assert!(message.contains("--httpAllowPrivate"), "{message}");
    for bad in ["nonsense", "file:///etc/passwd", "http://127.0.0.1:1/"] {
        let failed = run(&open, code, bad).await;
        assert_ne!(failed, json!("sent"), "{bad}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_ends_at_the_request_s_own_limit() {
    let app = app().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let code =
        "try { http.get(url, {timeout: 0.2}); return 'answered' } catch (error) { return 'late' }";
    assert_eq!(run(&app, code, &url).await, json!("late"));
}
