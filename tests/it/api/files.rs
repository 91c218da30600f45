//! Downloads: types, ranges, thumbs, protection, and paths that lead nowhere.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::fields::{closed, file, open, png, text, with};
use crate::support::raw::Raw;
use crate::support::{Answer, Client, Form, TestApp, id_of, records};

/// Uploads one file; gives its URL.
async fn upload(
    client: &Client,
    collection: &str,
    field: &str,
    name: &str,
    content: Vec<u8>,
) -> String {
    let form = Form::default().file(field, name, content);
    let made = client
        .form(Method::POST, &records(collection), form)
        .await
        .expect(200);
    url_of(collection, &made, field)
}

fn url_of(collection: &str, record: &Value, field: &str) -> String {
    let name = match &record[field] {
        Value::Array(names) => &names[0],
        name => name,
    };
    format!(
        "/api/files/{collection}/{}/{}",
        id_of(record),
        name.as_str().unwrap()
    )
}

#[tokio::test]
async fn files_come_with_type_and_safety_headers() {
    let app = TestApp::new().start().await;
    app.collection(open("docs", [file("f", json!({}))])).await;
    let guest = app.guest();
    for (name, content, kind, disposition) in [
        ("a.txt", b"plain text".to_vec(), "text/plain", "attachment"),
        ("a.png", png(2, 2), "image/png", "inline"),
        (
            "a.svg",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>".to_vec(),
            "image/svg+xml",
            "attachment",
        ),
        (
            "a.html",
            b"<!DOCTYPE html><script>alert(1)</script>".to_vec(),
            "text/html",
            "attachment",
        ),
        (
            "a.json",
            b"{\"a\": 1}".to_vec(),
            "application/json",
            "attachment",
        ),
    ] {
        let url = upload(&guest, "docs", "f", name, content.clone()).await;
        let got = guest.get(&url).await;
        assert_eq!((got.status, &got.body), (200, &content), "{name}");
        assert!(
            got.header("content-type").starts_with(kind),
            "{name}: {}",
            got.header("content-type")
        );
        let shown = got.header("content-disposition");
        assert!(shown.starts_with(disposition), "{name}: {shown}");
        let policy = got.header("content-security-policy");
        assert!(policy.contains("sandbox"), "{name}: {policy}");
        assert_eq!(got.header("x-content-type-options"), "nosniff");
        assert_eq!(got.header("accept-ranges"), "bytes");
        let saved = guest.get(&format!("{url}?download=1")).await;
        assert!(
            saved
                .header("content-disposition")
                .starts_with("attachment"),
            "{name}"
        );
        let head = guest.send(guest.request(Method::HEAD, &url)).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), content.len().to_string());
    }
}

#[tokio::test]
async fn ranges_give_parts() {
    let app = TestApp::new().start().await;
    app.collection(open("docs", [file("f", json!({}))])).await;
    let guest = app.guest();
    let url = upload(&guest, "docs", "f", "digits.txt", b"0123456789".to_vec()).await;
    let ask = async |range: &str| -> Answer {
        guest
            .send(guest.request(Method::GET, &url).header("Range", range))
            .await
    };
    for (range, expected, shown) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=5-500", "56789", "bytes 5-9/10"),
        ("bytes=0-0", "0", "bytes 0-0/10"),
    ] {
        let part = ask(range).await;
        assert_eq!(
            (part.status, part.text().as_str()),
            (206, expected),
            "{range}"
        );
        assert_eq!(part.header("content-range"), shown);
    }
    for range in [
        "bytes=20-30",
        "bytes=5-2",
        "bytes=x",
        "bytes=-",
        "lines=1-2",
    ] {
        let answer = ask(range).await;
        assert!(matches!(answer.status, 200 | 416), "{range}: {answer:?}");
    }
    let several = ask("bytes=0-1,4-5").await;
    assert_eq!(several.status, 206);
    assert!(
        several
            .header("content-type")
            .starts_with("multipart/byteranges")
    );
    let modified = guest.get(&url).await.header("last-modified").to_owned();
    let request = guest
        .request(Method::GET, &url)
        .header("If-Modified-Since", modified);
    assert_eq!(guest.send(request).await.status, 304);
}

#[tokio::test]
async fn thumbs_are_made_in_declared_sizes() {
    let app = TestApp::new().start().await;
    let sizes = json!(["20x10", "20x10t", "20x10b", "20x10f", "0x10", "20x0"]);
    app.collection(open("docs", [file("f", json!({"thumbs": sizes}))]))
        .await;
    let guest = app.guest();
    let url = upload(&guest, "docs", "f", "wide.png", png(80, 60)).await;
    let size = async |thumb: &str| {
        let got = guest.get(&format!("{url}?thumb={thumb}")).await;
        assert_eq!(
            (got.status, got.header("content-type")),
            (200, "image/png"),
            "{thumb}"
        );
        let picture = image::load_from_memory(&got.body).unwrap();
        (picture.width(), picture.height())
    };
    for (thumb, expected) in [
        ("20x10", (20, 10)),
        ("20x10t", (20, 10)),
        ("20x10b", (20, 10)),
        ("20x10f", (13, 10)),
        ("0x10", (13, 10)),
        ("20x0", (20, 15)),
        ("100x100", (100, 100)),
        ("33x33", (80, 60)),
        ("nonsense", (80, 60)),
        ("../../x", (80, 60)),
        ("99999999x99999999", (80, 60)),
    ] {
        assert_eq!(size(thumb).await, expected, "{thumb}");
    }
    let text = upload(&guest, "docs", "f", "no picture.txt", b"text".to_vec()).await;
    assert_eq!(
        guest.get(&format!("{text}?thumb=20x10")).await.text(),
        "text"
    );
    let mut broken = png(80, 60);
    broken.truncate(60);
    let broken_url = upload(&guest, "docs", "f", "broken.png", broken.clone()).await;
    assert_eq!(
        guest.get(&format!("{broken_url}?thumb=20x10")).await.body,
        broken
    );
}

#[tokio::test]
async fn many_who_ask_for_a_thumb_at_once_all_get_it() {
    let app = TestApp::new().start().await;
    app.collection(open("docs", [file("f", json!({"thumbs": ["20x10"]}))]))
        .await;
    let guest = app.guest();
    let url = upload(&guest, "docs", "f", "wide.png", png(80, 60)).await;
    let path = format!("{url}?thumb=20x10");
    let answers = crate::support::all((0..20).map(|_| guest.get(&path))).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (200, &answers[0].body));
    }
}

#[tokio::test]
async fn protected_files_need_a_token_of_who_may_view_the_record() {
    let app = TestApp::new().start().await;
    let rules = json!({"viewRule": "title = @request.auth.name", "createRule": ""});
    let docs = closed(
        "docs",
        [text("title"), file("f", json!({"protected": true}))],
    );
    app.collection(with(docs, rules)).await;
    let (guest, ann, bob, root) = (
        app.guest(),
        app.user("ann"),
        app.user("bob"),
        app.superuser(),
    );
    let form = Form::default()
        .text("title", "ann")
        .file("f", "a.txt", b"secret".to_vec());
    let made = root
        .form(Method::POST, &records("docs"), form)
        .await
        .expect(200);
    let url = url_of("docs", &made, "f");
    let with = async |token: &str| guest.get(&format!("{url}?token={token}")).await.status;
    assert_eq!(guest.get(&url).await.status, 404);
    assert_eq!(
        ann.get(&url).await.status,
        404,
        "the session's token is no file token"
    );
    assert_eq!(with(ann.token()).await, 404);
    assert_eq!(with("nonsense").await, 404);
    assert_eq!(with(&ann.file_token().await).await, 200);
    assert_eq!(with(&bob.file_token().await).await, 404);
    assert_eq!(with(&root.file_token().await).await, 200);
    guest.post("/api/files/token", json!({})).await.expect(401);
}

#[tokio::test]
async fn paths_lead_to_files_of_the_record_alone() {
    let app = TestApp::new().start().await;
    app.collection(open("docs", [file("f", json!({})), text("title")]))
        .await;
    app.collection(open("other", [file("f", json!({}))])).await;
    let guest = app.guest();
    let url = upload(&guest, "docs", "f", "a.txt", b"text".to_vec()).await;
    let other = upload(&guest, "other", "f", "b.txt", b"text".to_vec()).await;
    let bare = guest.create_id("docs", json!({"title": "data.db"})).await;
    let (folder, name) = url.rsplit_once('/').unwrap();
    let other_name = other.rsplit_once('/').unwrap().1;
    std::fs::write(app.dir().join("storage/stray.txt"), "stray").unwrap();
    let paths = [
        format!("{folder}/none.txt"),
        format!("{folder}/{name}.attrs"),
        format!("{folder}/{name}x"),
        format!("{folder}/{other_name}"),
        format!("{folder}/"),
        folder.to_owned(),
        format!("{folder}/./{name}x"),
        format!("{folder}/../../../data.db"),
        format!("{folder}/..%2f..%2f..%2fdata.db"),
        format!("{folder}/%2e%2e/%2e%2e/%2e%2e/data.db"),
        format!("{folder}/..%5c..%5cdata.db"),
        format!("{folder}/%2fetc%2fpasswd"),
        format!("{folder}//etc/passwd"),
        format!("{folder}/{name}%00"),
        format!("{folder}/%00"),
        format!("{folder}/%ff%fe"),
        format!("{folder}/..%2f..%2fstray.txt"),
        format!("/api/files/docs/{bare}/data.db"),
        format!("/api/files/docs/..%2f{bare}/{name}"),
        format!("/api/files/..%2f..%2fdocs/{bare}/{name}"),
        "/api/files/docs/none/x.txt".to_owned(),
        "/api/files/none/none/x.txt".to_owned(),
        "/api/files/".to_owned(),
        format!("{folder}/{name}?thumb=..%2f..%2fdata.db"),
    ];
    for path in &paths {
        let answer = Raw::new("GET", path).send(app.addr()).await;
        let is_original = answer.status == 200 && answer.body == b"text";
        let allowed = path.contains("thumb=");
        assert!(
            answer.status >= 300 && !is_original || allowed && is_original,
            "{path}: {answer:?}"
        );
    }
    assert_eq!(Raw::new("GET", &url).send(app.addr()).await.body, b"text");
}

#[tokio::test]
async fn the_public_folder_shows_its_files_alone() {
    let app = TestApp::new().start().await;
    for path in [
        "/../pb_data/data.db",
        "/..%2fpb_data%2fdata.db",
        "/%2e%2e/pb_data/data.db",
        "/.env",
        "/etc/passwd",
    ] {
        let answer = Raw::new("GET", path).send(app.addr()).await;
        assert!(answer.status >= 300, "{path}: {answer:?}");
    }
}
