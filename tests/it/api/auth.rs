//! Sign-in, tokens and who may manage accounts.

use serde_json::{Value, json};

use crate::support::fields::{open, text};
use crate::support::{Client, PASSWORD, SUPERUSER, TestApp, record, records};

const REFRESH: &str = "/api/collections/users/auth-refresh";

/// Whether a client's token still makes it somebody.
async fn is_known(client: &Client) -> bool {
    let answer = client.post(REFRESH, json!({})).await;
    assert!(matches!(answer.status, 200 | 401), "{answer:?}");
    answer.status == 200
}

#[tokio::test]
async fn a_password_signs_in() {
    let app = TestApp::new().start().await;
    let (guest, ann) = (app.guest(), app.user("ann"));
    let answer = guest
        .sign_in("users", "ann@example.com", PASSWORD)
        .await
        .expect(200);
    assert_eq!(answer["record"]["id"], json!(ann.id));
    assert_eq!(answer["record"]["email"], "ann@example.com");
    for hidden in ["password", "tokenKey"] {
        assert_eq!(answer["record"].get(hidden), None);
    }
    let ann = guest.with_token(answer["token"].as_str().unwrap());
    assert!(is_known(&ann).await);
    let bearer = guest.with_token(&format!("bEaReR {}", ann.token()));
    assert!(is_known(&bearer).await);
}

#[tokio::test]
async fn wrong_sign_ins_are_told_apart_by_nothing() {
    let app = TestApp::new().start().await;
    let guest = app.guest();
    let expected = guest
        .sign_in("users", "ann@example.com", "wrong-password")
        .await
        .expect(400);
    assert_eq!(expected["data"], json!({}));
    for (identity, password) in [
        ("nobody@example.com", PASSWORD),
        ("ann", PASSWORD),
        ("ann@example.com", "PASS-1234567"),
        ("ann@example.com", " pass-1234567"),
        ("root@example.com", SUPERUSER.1),
        ("' OR 1=1 --", "' OR 1=1 --"),
    ] {
        let answer = guest.sign_in("users", identity, password).await;
        assert_eq!(answer.expect(400), expected, "{identity}");
    }
    let blank = "validation_required";
    guest
        .sign_in("users", "", "")
        .await
        .refuses(&[("identity", blank), ("password", blank)]);
    guest
        .sign_in("users", "ann@example.com", "")
        .await
        .refuses(&[("password", blank)]);
    app.collection(open("posts", [text("title")])).await;
    guest.sign_in("posts", "a", "b").await.expect(404);
    guest.sign_in("none", "a", "b").await.expect(404);
}

#[tokio::test]
async fn tokens_are_refreshed_for_their_own_collection() {
    let app = TestApp::new().start().await;
    let (ann, root) = (app.user("ann"), app.superuser());
    let answer = ann.post(REFRESH, json!({})).await.expect(200);
    assert_eq!(answer["record"]["id"], json!(ann.id));
    assert!(is_known(&app.client_with(answer["token"].as_str().unwrap())).await);
    app.guest().post(REFRESH, json!({})).await.expect(401);
    root.post(REFRESH, json!({})).await.expect(403);
    let path = "/api/collections/_superusers/auth-refresh";
    root.post(path, json!({})).await.expect(200);
    ann.post(path, json!({})).await.expect(403);
}

#[tokio::test]
async fn false_tokens_make_guests() {
    let app = TestApp::new().start().await;
    let ann = app.user("ann");
    let token = ann.token().to_owned();
    let parts: Vec<_> = token.split('.').collect();
    let file_token = ann.file_token().await;
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    for token in [
        "x",
        "Bearer",
        "Basic YTpi",
        &format!("{token}x"),
        &token[..token.len() - 2],
        &format!("{}.{}.", parts[0], parts[1]),
        &format!("{none}.{}.", parts[1]),
        &format!("{none}.{}.{}", parts[1], parts[2]),
        &file_token,
    ] {
        assert!(!is_known(&app.client_with(token)).await, "{token}");
    }
    // With a false token one may still do what guests may.
    app.client_with("x").get("/api/health").await.expect(200);
}

#[tokio::test]
async fn a_new_password_ends_old_tokens() {
    let app = TestApp::new().start().await;
    let (ann, bob, root, guest) = (
        app.user("ann"),
        app.user("bob"),
        app.superuser(),
        app.guest(),
    );
    let new = "new-password-1";
    let path = record("users", &ann.id);
    let change = |old: &str| json!({"oldPassword": old, "password": new, "passwordConfirm": new});
    ann.patch(&path, change("wrong"))
        .await
        .refuses(&[("oldPassword", "validation_invalid_old_password")]);
    ann.patch(&path, json!({"password": new, "passwordConfirm": new}))
        .await
        .refuses(&[("oldPassword", "validation_required")]);
    let differing = json!({"oldPassword": PASSWORD, "password": new, "passwordConfirm": "other"});
    ann.patch(&path, differing)
        .await
        .refuses(&[("passwordConfirm", "validation_values_mismatch")]);
    assert!(is_known(&ann).await, "a refused change ends nothing");
    ann.patch(&path, change(PASSWORD)).await.expect(200);
    assert!(!is_known(&ann).await);
    assert!(is_known(&bob).await);
    guest
        .sign_in("users", "ann@example.com", PASSWORD)
        .await
        .expect(400);
    let again = guest
        .sign_in("users", "ann@example.com", new)
        .await
        .expect(200);
    let ann_again = app.client_with(again["token"].as_str().unwrap());
    assert!(is_known(&ann_again).await);

    root.update(
        "users",
        &ann.id,
        json!({"password": "third-pass", "passwordConfirm": "third-pass"}),
    )
    .await;
    assert!(!is_known(&ann_again).await);
    root.update("users", &bob.id, json!({"tokenKey:autogenerate": ""}))
        .await;
    assert!(!is_known(&bob).await, "a new token key ends tokens too");
    root.delete(&record("users", &ann.id)).await.expect(204);
    guest
        .sign_in("users", "ann@example.com", "third-pass")
        .await
        .expect(400);
}

#[tokio::test]
async fn a_deleted_account_is_nobody() {
    let app = TestApp::new().start().await;
    let ann = app.user("ann");
    assert!(is_known(&ann).await);
    ann.delete(&record("users", &ann.id)).await.expect(204);
    assert!(!is_known(&ann).await);
}

#[tokio::test]
async fn a_changed_secret_ends_all_tokens() {
    let app = TestApp::new().start().await;
    let (ann, bob, root) = (app.user("ann"), app.user("bob"), app.superuser());
    let secret = json!({"authToken": {"secret": "x".repeat(40)}});
    root.patch("/api/collections/users", secret)
        .await
        .expect(200);
    assert!(!is_known(&ann).await && !is_known(&bob).await);
    root.get("/api/collections").await.expect(200);
    let again = app
        .guest()
        .sign_in("users", "ann@example.com", PASSWORD)
        .await
        .expect(200);
    assert!(is_known(&app.client_with(again["token"].as_str().unwrap())).await);
}

#[tokio::test]
async fn the_auth_rule_decides_who_signs_in() {
    let app = TestApp::new().start().await;
    let (ann, root, guest) = (app.user("ann"), app.superuser(), app.guest());
    for (rule, status) in [
        (json!("name = 'bob'"), 403),
        (json!(null), 403),
        (json!("verified = true || name = 'ann'"), 200),
        (json!(""), 200),
        (json!("verified = true"), 403),
    ] {
        root.patch("/api/collections/users", json!({"authRule": rule}))
            .await
            .expect(200);
        let answer = guest.sign_in("users", "ann@example.com", PASSWORD).await;
        assert_eq!(answer.status, status, "{rule}: {answer:?}");
    }
    assert!(
        !is_known(&ann).await,
        "another rule ends the tokens that were given under the old one"
    );
    root.update("users", &ann.id, json!({"verified": true}))
        .await;
    let answer = guest
        .sign_in("users", "ann@example.com", PASSWORD)
        .await
        .expect(200);
    let ann_again = app.client_with(answer["token"].as_str().unwrap());
    ann_again.post(REFRESH, json!({})).await.expect(200);
    root.update("users", &ann.id, json!({"verified": false}))
        .await;
    ann_again.post(REFRESH, json!({})).await.expect(403);
    let off = json!({"passwordAuth": {"enabled": false}});
    root.patch("/api/collections/users", off).await.expect(200);
    guest
        .sign_in("users", "ann@example.com", PASSWORD)
        .await
        .expect(403);
    let methods = guest
        .get("/api/collections/users/auth-methods")
        .await
        .expect(200);
    assert_eq!(methods["password"]["enabled"], json!(false));
}

#[tokio::test]
async fn managers_change_what_owners_cannot() {
    let app = TestApp::new().start().await;
    let (ann, bob, root) = (app.user("ann"), app.user("bob"), app.superuser());
    let rules = json!({"updateRule": "@request.auth.id != ''", "createRule": ""});
    root.patch("/api/collections/users", rules)
        .await
        .expect(200);
    let path = record("users", &ann.id);
    let attempts: [Value; 3] = [
        json!({"email": "new@example.com"}),
        json!({"verified": true}),
        json!({"password": "managed-123", "passwordConfirm": "managed-123"}),
    ];
    for attempt in &attempts {
        bob.patch(&path, attempt.clone()).await.expect(400);
    }
    ann.patch(&path, attempts[0].clone()).await.expect(400);
    let forged = json!({"email": "x@example.com", "password": PASSWORD, "passwordConfirm": PASSWORD, "verified": true});
    app.guest().try_create("users", forged).await.expect(400);
    let manage = json!({"manageRule": "@request.auth.name = 'bob'"});
    root.patch("/api/collections/users", manage)
        .await
        .expect(200);
    for attempt in &attempts {
        bob.patch(&path, attempt.clone()).await.expect(200);
        app.user("carl").patch(&path, attempt.clone()).await;
    }
    let shown = bob.view_as_manager(&ann.id).await;
    assert_eq!(shown["email"], "new@example.com");
    assert_eq!(shown["verified"], json!(true));
    app.guest()
        .sign_in("users", "new@example.com", "managed-123")
        .await
        .expect(200);
}

impl Client {
    /// An update without changes shows what the updater may see.
    async fn view_as_manager(&self, id: &str) -> Value {
        self.update("users", id, json!({})).await
    }
}

#[tokio::test]
async fn accounts_are_checked() {
    let app = TestApp::new().start().await;
    let guest = app.guest();
    let account = |email: &str, password: &str, confirm: &str| json!({"email": email, "password": password, "passwordConfirm": confirm});
    for (body, errors) in [
        (
            account("ann@example.com", PASSWORD, PASSWORD),
            vec![("email", "validation_not_unique")],
        ),
        (
            account("nobody", PASSWORD, PASSWORD),
            vec![("email", "validation_is_email")],
        ),
        (
            account("a@example.com", "short", "short"),
            vec![("password", "validation_min_text_constraint")],
        ),
        (
            account("a@example.com", PASSWORD, "other"),
            vec![("passwordConfirm", "validation_values_mismatch")],
        ),
        (
            json!({"email": "a@example.com"}),
            vec![
                ("password", "validation_required"),
                ("passwordConfirm", "validation_required"),
            ],
        ),
        (
            account("", PASSWORD, PASSWORD),
            vec![("email", "validation_required")],
        ),
    ] {
        let answer = guest.try_create("users", body).await;
        answer.refuses(&errors);
    }
    let long = "é".repeat(80);
    let answer = guest
        .try_create("users", account("a@example.com", &long, &long))
        .await;
    assert_eq!(answer.status, 400, "bcrypt takes 72 bytes: {answer:?}");
    assert_eq!(app.superuser().count("users").await, 3);
}

#[tokio::test]
async fn superusers_guard_themselves() {
    let app = TestApp::new().start().await;
    let (root, ann, guest) = (app.superuser(), app.user("ann"), app.guest());
    for client in [&ann, &guest] {
        client.get(&records("_superusers")).await.expect(403);
        client
            .try_create("_superusers", json!({}))
            .await
            .expect(403);
    }
    let only = root.column("_superusers", "id", &[]).await[0]
        .as_str()
        .unwrap()
        .to_owned();
    root.delete(&record("_superusers", &only)).await.expect(400);
    assert_eq!(root.count("_superusers").await, 1, "the last one stays");
    let second =
        json!({"email": "second@example.com", "password": PASSWORD, "passwordConfirm": PASSWORD});
    let second = root.create_id("_superusers", second).await;
    root.delete(&record("_superusers", &second))
        .await
        .expect(204);
}

#[tokio::test]
async fn superusers_impersonate() {
    let app = TestApp::new().start().await;
    let (root, ann) = (app.superuser(), app.user("ann"));
    let path = format!("/api/collections/users/impersonate/{}", ann.id);
    let answer = root.post(&path, json!({"duration": 60})).await.expect(200);
    assert_eq!(answer["record"]["id"], json!(ann.id));
    let as_ann = app.client_with(answer["token"].as_str().unwrap());
    let own = as_ann.get(&record("users", &ann.id)).await.expect(200);
    assert_eq!(own["email"], "ann@example.com");
    ann.post(&path, json!({})).await.expect(403);
    app.guest().post(&path, json!({})).await.expect(401);
    root.post("/api/collections/users/impersonate/none", json!({}))
        .await
        .expect(404);
}
