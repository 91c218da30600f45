//! Events of sign-in and of the mails around it.

use std::fs;

use rotunda::engine::Error;
use rotunda::engine::events::{EventKind, Slot};
use serde_json::{Value, json};

use crate::support::taps::{Act, Tap, Taps};
use crate::support::{Answer, DEADLINE, PASSWORD, TestApp, is_peer};

const ANN: &str = "ann@example.com";

fn users(action: &str) -> String {
    format!("/api/collections/users/{action}")
}

async fn post(app: &TestApp, action: &str, body: Value) -> Answer {
    app.guest().post(&users(action), body).await
}

/// Waits for mails behind requests; gives how many there are.
async fn mails(app: &TestApp) -> usize {
    let engine = app.engine().unwrap();
    assert!(engine.mailer().drain(DEADLINE).await);
    fs::read_dir(app.dir().join("mails")).map_or(0, Iterator::count)
}

/// The value of `name=` in a noted line.
fn noted<'l>(line: &'l str, name: &str) -> &'l str {
    let (_, rest) = line.split_once(&format!("{name}=")).unwrap();
    rest.split(' ').next().unwrap()
}

#[tokio::test]
async fn signing_in_fires_its_own_event_and_that_of_every_sign_in() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    let taps = Taps::of(&app);
    taps.note(EventKind::RecordAuthWithPasswordRequest);
    taps.note(EventKind::RecordAuthRequest);
    taps.note(EventKind::RecordEnrich);
    let signed = app
        .guest()
        .sign_in("users", ANN, PASSWORD)
        .await
        .expect(200);
    let lines = taps.lines();
    let starts: Vec<_> = lines
        .iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        starts,
        [
            "RecordAuthWithPasswordRequest",
            "RecordAuthRequest",
            "RecordEnrich",
            "after",
            "after",
            "after"
        ]
    );
    assert_eq!(noted(&lines[0], "identity"), format!("{ANN:?}"));
    assert_eq!(noted(&lines[0], "password"), format!("{PASSWORD:?}"));
    assert_eq!(noted(&lines[0], "record"), ANN);
    assert_eq!(noted(&lines[1], "auth_method"), "\"password\"");
    assert_eq!(
        json!(noted(&lines[1], "token").trim_matches('"')),
        signed["token"]
    );

    // Nobody is found: the event comes all the same, without a record.
    app.guest()
        .sign_in("users", "no@example.com", PASSWORD)
        .await
        .expect(400);
    assert!(!taps.lines()[0].contains("record="));

    taps.clear();
    taps.note(EventKind::RecordAuthRefreshRequest);
    taps.add(Tap::on(EventKind::RecordAuthRequest).before(|event, _| {
        event.set("meta", Slot::Json(json!({"a": 1})));
        event.set("token", Slot::Json("mine".into()));
        Act::Next
    }));
    let refreshed = app
        .user("ann")
        .post(&users("auth-refresh"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        taps.lines()[0],
        format!("RecordAuthRefreshRequest record={ANN}")
    );
    assert_eq!(refreshed["meta"], json!({"a": 1}));
    assert_eq!(refreshed["token"], "mine");
}

#[tokio::test]
async fn a_handler_may_name_another_record_or_refuse_a_sign_in() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    let taps = Taps::of(&app);
    let engine = app.engine().unwrap().clone();
    let users = engine.collection("users").unwrap();
    let bob = engine
        .find_record(&users, &app.user("bob").id)
        .await
        .unwrap()
        .unwrap();
    let kind = EventKind::RecordAuthWithPasswordRequest;
    taps.add(Tap::on(kind).of("users").before(move |event, _| {
        event.set("record", Slot::Record(Box::new(bob.clone())));
        Act::Next
    }));
    let signed = app
        .guest()
        .sign_in("users", "nobody", PASSWORD)
        .await
        .expect(200);
    assert_eq!(signed["record"]["email"], "bob@example.com");
    taps.add(
        Tap::on(EventKind::RecordAuthRequest)
            .before(|_, _| Act::Fail(Error::forbidden("Not today."))),
    );
    let refused = app.guest().sign_in("users", "nobody", PASSWORD).await;
    assert_eq!(refused.expect(403)["message"], "Not today.");
}

#[tokio::test]
async fn verification_and_its_mail() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    let taps = Taps::of(&app);
    for kind in [
        EventKind::RecordRequestVerificationRequest,
        EventKind::RecordConfirmVerificationRequest,
        EventKind::MailerRecordVerificationSend,
        EventKind::MailerSend,
    ] {
        taps.note(kind);
    }
    post(
        &app,
        "request-verification",
        json!({"email": "no@example.com"}),
    )
    .await
    .expect(204);
    assert_eq!(taps.lines(), [""; 0]);
    post(&app, "request-verification", json!({"email": ANN}))
        .await
        .expect(204);
    assert_eq!(mails(&app).await, 1);
    let mut lines = taps.lines();
    lines.retain(|line| !line.starts_with("after"));
    assert_eq!(
        lines[0],
        format!("RecordRequestVerificationRequest record={ANN}")
    );
    assert!(
        lines[1].starts_with("MailerRecordVerificationSend mail=Please confirm"),
        "{lines:?}"
    );
    assert!(
        lines[2].starts_with("MailerSend mail=Please confirm"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 3);
    let meta: Value = serde_json::from_str(noted(&lines[1], "meta")).unwrap();
    let token = meta["token"].as_str().unwrap();

    // What a handler changes of the record is stored with it.
    taps.add(
        Tap::on(EventKind::RecordConfirmVerificationRequest).before(|event, _| {
            if let Some(Slot::Record(record)) = event.get_mut("record") {
                record.set("name", "Anna".into());
            }
            Act::Next
        }),
    );
    post(&app, "confirm-verification", json!({"token": token}))
        .await
        .expect(204);
    assert_eq!(
        taps.lines()[0],
        format!("RecordConfirmVerificationRequest record={ANN}")
    );
    let ann = app.superuser().view("users", &app.user("ann").id).await;
    assert_eq!(
        (&ann["verified"], &ann["name"]),
        (&json!(true), &json!("Anna"))
    );
}

#[tokio::test]
async fn a_new_password_and_a_new_address() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    let taps = Taps::of(&app);
    for kind in [
        EventKind::RecordRequestPasswordResetRequest,
        EventKind::RecordConfirmPasswordResetRequest,
        EventKind::MailerRecordPasswordResetSend,
        EventKind::RecordRequestEmailChangeRequest,
        EventKind::RecordConfirmEmailChangeRequest,
        EventKind::MailerRecordEmailChangeSend,
    ] {
        taps.note(kind);
    }
    let token_of = |line: &str| {
        let meta: Value = serde_json::from_str(noted(line, "meta")).unwrap();
        meta["token"].as_str().unwrap().to_owned()
    };
    let asked = json!({"newEmail": "new@example.com"});
    app.user("ann")
        .post(&users("request-email-change"), asked)
        .await
        .expect(204);
    let lines = taps.lines();
    let expected =
        format!("RecordRequestEmailChangeRequest new_email=\"new@example.com\" record={ANN}");
    assert_eq!(lines[0], expected);
    let form = json!({"token": token_of(&lines[1]), "password": PASSWORD});
    taps.add(
        Tap::on(EventKind::RecordConfirmEmailChangeRequest).before(|event, _| {
            event.set("new_email", Slot::Json("other@example.com".into()));
            Act::Next
        }),
    );
    post(&app, "confirm-email-change", form).await.expect(204);
    let ann = app.superuser().view("users", &app.user("ann").id).await;
    assert_eq!(ann["email"], "other@example.com");

    taps.lines();
    let asked = json!({"email": "other@example.com"});
    post(&app, "request-password-reset", asked)
        .await
        .expect(204);
    mails(&app).await;
    let lines = taps.lines();
    assert_eq!(
        lines[0],
        "RecordRequestPasswordResetRequest record=other@example.com"
    );
    let mail = lines
        .iter()
        .find(|line| line.starts_with("MailerRecordPasswordResetSend"))
        .unwrap();
    let form =
        json!({"token": token_of(mail), "password": "another-1", "passwordConfirm": "another-1"});
    post(&app, "confirm-password-reset", form).await.expect(204);
    assert_eq!(
        taps.lines()[0],
        "RecordConfirmPasswordResetRequest record=other@example.com"
    );
    app.guest()
        .sign_in("users", "other@example.com", "another-1")
        .await
        .expect(200);
}

#[tokio::test]
async fn one_time_passwords() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    let taps = Taps::of(&app);
    let enable = json!({"otp": {"enabled": true, "duration": 180, "length": 8}});
    app.superuser()
        .patch("/api/collections/users", enable)
        .await
        .expect(200);
    for kind in [
        EventKind::RecordRequestOtpRequest,
        EventKind::RecordAuthWithOtpRequest,
        EventKind::MailerRecordOtpSend,
    ] {
        taps.note(kind);
    }
    taps.add(
        Tap::on(EventKind::RecordRequestOtpRequest).before(|event, _| {
            event.set("password", Slot::Json("12345678".into()));
            Act::Next
        }),
    );
    let asked = post(&app, "request-otp", json!({"email": ANN}))
        .await
        .expect(200);
    mails(&app).await;
    let lines = taps.lines();
    assert!(
        lines[0].starts_with("RecordRequestOtpRequest password="),
        "{lines:?}"
    );
    let mail = lines
        .iter()
        .find(|line| line.starts_with("MailerRecordOtpSend"))
        .unwrap();
    let meta: Value = serde_json::from_str(noted(mail, "meta")).unwrap();
    assert_eq!(
        meta,
        json!({"otpId": asked["otpId"], "password": "12345678"})
    );
    let form = json!({"otpId": asked["otpId"], "password": "12345678"});
    post(&app, "auth-with-otp", form).await.expect(200);
    let line = &taps.lines()[0];
    assert!(line.starts_with("RecordAuthWithOtpRequest otp="), "{line}");
    assert_eq!(noted(line, "record"), ANN);
}

#[tokio::test]
async fn mails_can_be_changed_kept_and_refused() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    let taps = Taps::of(&app);
    taps.add(
        Tap::on(EventKind::MailerRecordEmailChangeSend).before(|event, _| {
            if let Some(Slot::Mail(mail)) = event.get_mut("mail") {
                mail.subject = "Changed".to_owned();
            }
            Act::Next
        }),
    );
    taps.note(EventKind::MailerSend);
    let ann = app.user("ann");
    let path = users("request-email-change");
    let ask = || ann.post(&path, json!({"newEmail": "new@example.com"}));
    ask().await.expect(204);
    assert_eq!(taps.lines()[0], "MailerSend mail=Changed");
    assert_eq!(mails(&app).await, 1);
    taps.add(Tap::on(EventKind::MailerSend).before(|_, _| Act::Stop));
    ask().await.expect(204);
    assert_eq!(mails(&app).await, 1);
    taps.clear();
    taps.add(Tap::on(EventKind::MailerSend).before(|_, _| Act::Fail(Error::bad_request("no"))));
    ask().await.expect(400);
    assert_eq!(mails(&app).await, 1);
}
