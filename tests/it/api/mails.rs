//! The sign-in flows that go through a mail, without a mail server: mails are files in the data directory.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Answer, DEADLINE, PASSWORD, SUPERUSER, TestApp, is_peer};

const ANN: &str = "ann@example.com";

/// The mails written so far, the oldest first, as one line each: soft line breaks undone.
async fn mails(app: &TestApp) -> Vec<String> {
    let engine = app.engine().expect("the engine of this process");
    assert!(engine.mailer().drain(DEADLINE).await);
    let mut files = files(app);
    files.sort();
    files
        .into_iter()
        .map(|path| fs::read_to_string(path).expect("a mail"))
        .map(|text| text.replace("=\r\n", "").replace("=3D", "="))
        .collect()
}

fn files(app: &TestApp) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(app.dir().join("mails")) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

/// What stands between two texts; the plain part of a mail, with links as `[text](address)`, comes first.
fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let (_, rest) = text.split_once(start).expect("the start");
    rest.split_once(end).expect("the end").0
}

fn users(action: &str) -> String {
    format!("/api/collections/users/{action}")
}

/// Sends a form of the users' collection as a guest.
async fn post(app: &TestApp, action: &str, body: Value) -> Answer {
    app.guest().post(&users(action), body).await
}

#[tokio::test]
async fn an_address_is_verified_with_the_mail_in_the_folder() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    let asked = post(&app, "request-verification", json!({"email": ANN}));
    assert_eq!(asked.await.expect(204), Value::Null);
    let mails = mails(&app).await;
    assert_eq!(mails.len(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&files(&app)[0])
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let token = between(&mails[0], "/_/#/auth/confirm-verification/", ")");
    let confirmed = post(&app, "confirm-verification", json!({"token": token}));
    confirmed.await.expect(204);
    let ann = app.user("ann");
    let view = app.superuser().view("users", &ann.id).await;
    assert_eq!(view["verified"], json!(true));
}

#[tokio::test]
async fn a_forgotten_password_ends_all_sessions() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    let guest = app.guest();
    let asked = post(&app, "request-password-reset", json!({"email": ANN}));
    asked.await.expect(204);
    let mail = mails(&app).await.remove(0);
    let token = between(&mail, "/_/#/auth/confirm-password-reset/", ")");
    let body = json!({"token": token, "password": "another-1", "passwordConfirm": "another-1"});
    let path = users("confirm-password-reset");
    guest.post(&path, body.clone()).await.expect(204);
    let again = guest.post(&path, body).await;
    assert_eq!(
        again.expect(400)["data"]["token"]["code"],
        "validation_invalid_token"
    );
    guest.sign_in("users", ANN, PASSWORD).await.expect(400);
    guest.sign_in("users", ANN, "another-1").await.expect(200);
    app.user("ann")
        .post(&users("auth-refresh"), json!({}))
        .await
        .expect(401);
}

async fn with_otps(app: &TestApp, mfa: bool) {
    let change = json!({"otp": {"enabled": true}, "mfa": {"enabled": mfa}});
    app.superuser()
        .patch("/api/collections/users", change)
        .await
        .expect(200);
}

/// Asks for a one-time password; gives its id and the password.
async fn ask_for_otp(app: &TestApp) -> (String, String) {
    let asked = post(app, "request-otp", json!({"email": ANN}));
    let id = asked.await.expect(200)["otpId"]
        .as_str()
        .expect("an id")
        .to_owned();
    let mail = mails(app).await.pop().expect("a mail");
    (id, between(&mail, "<strong>", "</strong>").to_owned())
}

#[tokio::test]
async fn five_wrong_one_time_passwords_are_enough() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    with_otps(&app, false).await;
    let (id, password) = ask_for_otp(&app).await;
    let try_with = async |password: &str| {
        let body = json!({"otpId": id, "password": password});
        post(&app, "auth-with-otp", body).await
    };
    for _ in 0..5 {
        try_with("no").await.expect(400);
    }
    let refused = try_with(&password).await.expect(429);
    assert_eq!(
        refused["message"],
        "Too many attempts, please try again later with a new OTP."
    );
}

#[tokio::test]
async fn a_one_time_password_is_half_of_two_factors() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    with_otps(&app, true).await;
    let (id, password) = ask_for_otp(&app).await;
    let body = json!({"otpId": id, "password": password});
    let first = post(&app, "auth-with-otp", body.clone()).await;
    let first = first.expect(401);
    let mfa = first["mfaId"].as_str().expect("an id");
    // Used up, although nobody is signed in yet.
    post(&app, "auth-with-otp", body).await.expect(400);
    let second = json!({"identity": ANN, "password": PASSWORD, "mfaId": mfa});
    let second = post(&app, "auth-with-password", second).await;
    let second = second.expect(200);
    assert_eq!(second["record"]["email"], ANN);
    assert_eq!(second["record"]["verified"], json!(true));
}

#[tokio::test]
async fn a_sign_in_from_another_browser_is_told() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    let body = json!({"identity": ANN, "password": PASSWORD});
    let sign_in = async |browser: &str| {
        let guest = app.guest();
        let request = guest
            .request(reqwest::Method::POST, &users("auth-with-password"))
            .header("User-Agent", browser)
            .json(&body);
        guest.send(request).await.expect(200);
        mails(&app).await.len()
    };
    // The first browser of all may be news or not, as the data directory has it.
    let before = sign_in("zero").await;
    assert_eq!(sign_in("<one>").await, before + 1);
    assert_eq!(sign_in("<one>").await, before + 1);
    assert_eq!(sign_in("zero").await, before + 1);
    let mail = mails(&app).await.pop().expect("a mail");
    assert!(mail.contains("127.0.0.1 &lt;one&gt;"), "{mail}");
}

#[tokio::test]
async fn superusers_need_no_verification() {
    let app = TestApp::new().start().await;
    let path = "/api/collections/_superusers/request-verification";
    let answer = app.guest().post(path, json!({"email": SUPERUSER.0})).await;
    assert_eq!(
        answer.expect(400)["message"],
        "All superusers are verified by default."
    );
}
