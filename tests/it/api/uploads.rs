//! Multipart bodies and the files of records: stored, replaced, removed, and never left behind.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::support::fields::{field, file, number, open, png, select, text, with};
use crate::support::process::{self, Server};
use crate::support::{Client, Form, SUPERUSER, TestApp, becomes, id_of, record, records};

const HELLO: &[u8] = b"hello";

/// A collection with one file, several pictures, and a title that must be unique and not blank.
async fn docs(app: &TestApp) -> Client {
    let fields = [
        field("text", "title", json!({"required": true})),
        file("paper", json!({"maxSize": 1000})),
        file(
            "pictures",
            json!({"maxSelect": 3, "mimeTypes": ["image/png"]}),
        ),
    ];
    let unique = json!({"indexes": ["CREATE UNIQUE INDEX `idx_title` ON `docs` (`title`)"]});
    app.collection(with(open("docs", fields), unique)).await;
    app.guest()
}

/// The stored files without the folder of their collection.
fn stored(app: &TestApp, made: &Value) -> Vec<String> {
    let folder = format!("{}/", made["collectionId"].as_str().unwrap());
    let files = app.stored_files().into_iter();
    files
        .map(|path| path.strip_prefix(&folder).unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn forms_carry_texts_lists_and_json() {
    let app = TestApp::new().start().await;
    let fields = [
        text("title"),
        number("n"),
        field("bool", "yes", json!({})),
        select("many", &["x", "y"], 2),
        field("json", "data", json!({})),
    ];
    app.collection(open("posts", fields)).await;
    let guest = app.guest();
    let expected = json!(["a", 2.5, true, ["x", "y"], {"k": [1]}]);
    let seen = |made: &Value| {
        json!([
            made["title"],
            made["n"],
            made["yes"],
            made["many"],
            made["data"]
        ])
    };
    let plain = Form::default()
        .text("title", "a")
        .text("n", "2.5")
        .text("yes", "true");
    let plain = plain
        .text("many", "x")
        .text("many", "y")
        .text("data", "{\"k\":[1]}");
    let payload =
        json!({"title": "a", "n": 2.5, "yes": true, "many": ["x", "y"], "data": {"k": [1]}});
    let payload = Form::default().text("@jsonPayload", payload.to_string());
    for form in [plain, payload] {
        let made = guest
            .form(Method::POST, &records("posts"), form)
            .await
            .expect(200);
        assert_eq!(seen(&made), expected);
    }
    let form = Form::default().text("n+", "1").text("many-", "x");
    let id = guest.column("posts", "id", &[]).await[0]
        .as_str()
        .unwrap()
        .to_owned();
    let changed = guest
        .form(Method::PATCH, &record("posts", &id), form)
        .await
        .expect(200);
    assert_eq!(seen(&changed), json!(["a", 3.5, true, ["y"], {"k": [1]}]));
}

#[tokio::test]
async fn files_are_stored_replaced_and_removed() {
    let app = TestApp::new().start().await;
    let guest = docs(&app).await;
    let form = Form::default()
        .text("title", "a")
        .file("paper", "My Paper.txt", HELLO);
    let form = form
        .file("pictures", "p1.png", png(2, 2))
        .file("pictures", "p2.png", png(2, 2));
    let made = guest
        .form(Method::POST, &records("docs"), form)
        .await
        .expect(200);
    let id = id_of(&made);
    let paper = made["paper"].as_str().unwrap().to_owned();
    assert!(
        paper.starts_with("my_paper_") && paper.ends_with(".txt"),
        "{paper}"
    );
    let name =
        |record: &Value, index: usize| record["pictures"][index].as_str().unwrap().to_owned();
    let (first, second) = (name(&made, 0), name(&made, 1));
    let below = |names: &[&String]| {
        let mut paths: Vec<_> = names.iter().map(|name| format!("{id}/{name}")).collect();
        paths.sort();
        paths
    };
    assert_eq!(stored(&app, &made), below(&[&paper, &first, &second]));
    let got = guest.get(&format!("/api/files/docs/{id}/{paper}")).await;
    assert_eq!((got.status, got.text()), (200, "hello".to_owned()));

    let path = record("docs", &id);
    let form = Form::default()
        .file("paper", "new.txt", b"new".to_vec())
        .file("pictures+", "p3.png", png(1, 1));
    let changed = guest.form(Method::PATCH, &path, form).await.expect(200);
    let (new, third) = (
        changed["paper"].as_str().unwrap().to_owned(),
        name(&changed, 2),
    );
    assert_eq!(changed["pictures"], json!([first, second, third]));
    becomes(&below(&[&new, &first, &second, &third]), || {
        stored(&app, &made)
    })
    .await;

    let less = guest
        .update("docs", &id, json!({"pictures-": [first], "paper": null}))
        .await;
    assert_eq!(
        (&less["paper"], &less["pictures"]),
        (&json!(""), &json!([second, third]))
    );
    becomes(&below(&[&second, &third]), || stored(&app, &made)).await;

    let form = Form::default().file("pictures", "p4.png", png(3, 3));
    let replaced = guest.form(Method::PATCH, &path, form).await.expect(200);
    becomes(&below(&[&name(&replaced, 0)]), || stored(&app, &made)).await;
    guest.delete(&path).await.expect(204);
    becomes(&Vec::new(), || app.stored_files()).await;
}

#[tokio::test]
async fn a_record_that_is_not_written_leaves_no_file() {
    let app = TestApp::new().start().await;
    let guest = docs(&app).await;
    let kept = Form::default()
        .text("title", "taken")
        .file("paper", "kept.txt", HELLO);
    let kept = guest
        .form(Method::POST, &records("docs"), kept)
        .await
        .expect(200);
    let before = app.stored_files();
    assert_eq!(before.len(), 1);
    let form = |title: &str| Form::default().text("title", title);
    let cases: [(Form, &[(&str, &str)]); 6] = [
        (
            form("").file("paper", "a.txt", HELLO),
            &[("title", "validation_required")],
        ),
        (
            form("taken").file("paper", "a.txt", HELLO),
            &[("title", "validation_not_unique")],
        ),
        (
            form("a").file("paper", "a.txt", vec![b'x'; 1001]),
            &[("paper", "validation_file_size_limit")],
        ),
        (
            form("a").file("pictures", "a.png", HELLO),
            &[("pictures", "validation_invalid_mime_type")],
        ),
        (
            (0..4).fold(form("a"), |form, n| {
                form.file("pictures", &format!("{n}.png"), png(1, 1))
            }),
            &[("pictures", "validation_too_many_files")],
        ),
        (
            form("")
                .file("paper", "a.txt", HELLO)
                .file("pictures", "p.png", HELLO),
            &[
                ("pictures", "validation_invalid_mime_type"),
                ("title", "validation_required"),
            ],
        ),
    ];
    for (form, errors) in cases {
        let answer = guest.form(Method::POST, &records("docs"), form).await;
        answer.refuses(errors);
        becomes(&before, || app.stored_files()).await;
    }
    let other = guest.create_id("docs", json!({"title": "other"})).await;
    let clash = form("taken").file("paper", "b.txt", HELLO);
    let answer = guest
        .form(Method::PATCH, &record("docs", &other), clash)
        .await;
    answer.refuses(&[("title", "validation_not_unique")]);
    // A replaced file must still be there when its replacement fails.
    let clash = form("other").file("paper", "c.txt", HELLO);
    let answer = guest
        .form(Method::PATCH, &record("docs", &id_of(&kept)), clash)
        .await;
    answer.refuses(&[("title", "validation_not_unique")]);
    becomes(&before, || app.stored_files()).await;
    let url = format!(
        "/api/files/docs/{}/{}",
        id_of(&kept),
        kept["paper"].as_str().unwrap()
    );
    assert_eq!(guest.get(&url).await.text(), "hello");
}

#[tokio::test]
async fn uploads_that_rules_refuse_leave_no_file() {
    let app = TestApp::new().start().await;
    let guest = docs(&app).await;
    let made = guest.create_id("docs", json!({"title": "a"})).await;
    let rules = json!({"createRule": "title = 'never'", "updateRule": "title = 'never'"});
    app.superuser()
        .patch("/api/collections/docs", rules)
        .await
        .expect(200);
    let form = || {
        Form::default()
            .text("title", "b")
            .file("paper", "a.txt", HELLO)
    };
    guest
        .form(Method::POST, &records("docs"), form())
        .await
        .expect(400);
    guest
        .form(Method::PATCH, &record("docs", &made), form())
        .await
        .expect(404);
    becomes(&Vec::new(), || app.stored_files()).await;
}

#[tokio::test]
async fn names_of_files_of_others_cannot_be_claimed() {
    let app = TestApp::new().start().await;
    let guest = docs(&app).await;
    let form = Form::default()
        .text("title", "a")
        .file("paper", "a.txt", HELLO);
    let made = guest
        .form(Method::POST, &records("docs"), form)
        .await
        .expect(200);
    let claimed = json!({"title": "b", "paper": made["paper"]});
    let answer = guest.try_create("docs", claimed).await;
    answer.refuses(&[("paper", "validation_invalid_file")]);
    for name in ["../../data.db", "/etc/passwd", "x.txt"] {
        let answer = guest
            .patch(&record("docs", &id_of(&made)), json!({"paper": name}))
            .await;
        answer.refuses(&[("paper", "validation_invalid_file")]);
    }
    assert_eq!(app.stored_files().len(), 1);
}

#[tokio::test]
async fn uploaded_names_become_harmless() {
    let app = TestApp::new().start().await;
    let guest = docs(&app).await;
    for (index, (given, start)) in [
        ("../../../etc/passwd", "passwd_"),
        ("..\\..\\boot.ini", ""),
        ("/absolute.txt", "absolute_"),
        ("a\u{0}b.txt", "a"),
        ("..", ""),
        (".hidden", ""),
        ("<script>.txt", "script_"),
        ("%2e%2e%2fx.txt", ""),
        (&"x".repeat(300), "xxxxxxxxxx"),
        ("名前.txt", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let form = Form::default()
            .text("title", index.to_string())
            .file("paper", given, HELLO);
        let answer = guest.form(Method::POST, &records("docs"), form).await;
        if answer.status == 400 {
            continue;
        }
        let made = answer.expect(200);
        let name = made["paper"].as_str().unwrap();
        assert!(name.starts_with(start), "{given:?} became {name:?}");
        let sound = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        assert!(
            name.chars().all(sound) && !name.contains(".."),
            "{given:?} became {name:?}"
        );
        assert!(name.len() <= 150, "{name:?}");
        let path = format!("{}/{name}", id_of(&made));
        assert!(
            stored(&app, &made).contains(&path),
            "{given:?} is not at {path}"
        );
    }
}

#[tokio::test]
async fn deleting_a_collection_takes_its_files_along() {
    let app = TestApp::new().start().await;
    let guest = docs(&app).await;
    for title in ["a", "b"] {
        let form = Form::default()
            .text("title", title)
            .file("paper", "a.txt", HELLO);
        guest
            .form(Method::POST, &records("docs"), form)
            .await
            .expect(200);
    }
    assert_eq!(app.stored_files().len(), 2);
    app.superuser()
        .delete("/api/collections/docs")
        .await
        .expect(204);
    becomes(&Vec::new(), || app.stored_files()).await;
}

#[tokio::test]
async fn large_files_come_back_byte_for_byte() {
    let app = TestApp::new().start().await;
    let options = json!({"maxSize": 20 << 20, "maxSelect": 3});
    app.collection(open("docs", [file("papers", options)]))
        .await;
    let guest = app.guest();
    // Around what is kept in memory and far beyond it; no two bytes in a row repeat soon.
    let sizes = [1, 65_536, 12 << 20];
    let content = |size: usize| {
        (0..size)
            .map(|n| (n * n / 251 + n) as u8)
            .collect::<Vec<_>>()
    };
    let form = sizes.iter().fold(Form::default(), |form, size| {
        form.file("papers", "a.bin", content(*size))
    });
    let made = guest
        .form(Method::POST, &records("docs"), form)
        .await
        .expect(200);
    for (index, size) in sizes.iter().enumerate() {
        let name = made["papers"][index].as_str().unwrap();
        let got = guest
            .get(&format!("/api/files/docs/{}/{name}", id_of(&made)))
            .await;
        assert!(
            got.status == 200 && got.body == content(*size),
            "the file of {size} bytes"
        );
    }
}

#[tokio::test]
async fn a_broken_off_upload_leaves_nothing() {
    let (root, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dir = root.path().join("pb_data");
    let (email, password) = SUPERUSER;
    process::run(
        &process::binary(),
        &dir,
        &["superuser", "upsert", email, password],
    )
    .succeeds();
    let server =
        Server::start_with(&process::binary(), &dir, &[("TMPDIR", temporary.path())]).await;
    let guest = Client::new(server.base(), None);
    let token = guest
        .sign_in("_superusers", email, password)
        .await
        .expect(200)["token"]
        .clone();
    let docs = open("docs", [file("paper", json!({"maxSize": 50 << 20}))]);
    guest
        .with_token(token.as_str().unwrap())
        .post("/api/collections", docs)
        .await
        .expect(200);

    let address = server.base().trim_start_matches("http://").to_owned();
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 40000000\r\n\r\n\
         --b\r\nContent-Disposition: form-data; name=\"paper\"; filename=\"a.bin\"\r\n\r\n",
        records("docs")
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&vec![b'x'; 8 << 20]).await.unwrap();
    let waiting = || std::fs::read_dir(temporary.path()).unwrap().count();
    becomes(&1, waiting).await;
    drop(connection);
    becomes(&0, waiting).await;
    assert_eq!(guest.count("docs").await, 0);
    assert!(
        !dir.join("storage").exists()
            || std::fs::read_dir(dir.join("storage")).unwrap().count() == 0
    );
}
