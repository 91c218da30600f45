//! The flows that go through a mail, with a mail server on a loopback port.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{EmailChange, Origin, OtpSignIn, PasswordReset, PasswordSignIn};
use crate::base::clock::Clock;
use crate::base::{DateTime, token};
use crate::blob::Storage;
use crate::bus::{Bus, BusOptions};
use crate::engine::{Engine, EngineOptions, Error};
use crate::mail::sink::{Manners, Received, Sink};
use crate::model::{Collection, Record};
use crate::store::{Store, StoreOptions, records};

const ANN: &str = "ann@example.com";
const PASSWORD: &str = "1234567890";
const REFUSING: Manners = Manners {
    refusal: "554 not today",
    auth: "",
    silent: false,
};

/// An engine over a new directory with one user, whose mails go to a sink.
struct House {
    engine: Engine,
    clock: Clock,
    sink: Sink,
    users: Arc<Collection>,
    ann: String,
    _dir: tempfile::TempDir,
}

impl House {
    async fn open() -> Self {
        Self::with(Manners::default(), json!({})).await
    }

    /// `options` are members of the users' collection.
    async fn with(manners: Manners, options: Json) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(DateTime::parse("2024-02-03 04:05:06.789Z").unwrap());
        let engine = Engine::open(EngineOptions {
            store: Store::open(StoreOptions::new(dir.path())).await.unwrap(),
            files: Storage::local(dir.path().join("storage")),
            bus: Bus::new(BusOptions::default()),
            mails: dir.path().join("mails"),
            clock: clock.clone(),
            encryption_key: None,
            rehash: false,
        })
        .await
        .unwrap();
        let sink = Sink::start(manners).await;
        let mut settings = (*engine.settings()).clone();
        settings.smtp.enabled = true;
        settings.smtp.host = "127.0.0.1".to_owned();
        settings.smtp.port = sink.port.into();
        engine.set_settings(settings);
        let mut body = json!({"name": "people", "type": "auth", "otp": {"enabled": true}});
        for (name, value) in options.as_object().unwrap() {
            body[name] = value.clone();
        }
        let users = engine
            .create_collection(body.as_object().unwrap().clone())
            .await
            .unwrap();
        let mut house = Self {
            engine,
            clock,
            sink,
            users,
            ann: String::new(),
            _dir: dir,
        };
        house.ann = house.add(ANN).await;
        house
    }

    async fn add(&self, email: &str) -> String {
        let mut user = Record::new(Arc::clone(&self.users));
        user.set("email", email.into());
        user.set_password("password", PASSWORD);
        self.save(user).await.id().to_owned()
    }

    async fn add_to(&self, collection: &str, fields: &[(&str, &str)]) {
        let mut record = Record::new(self.engine.collection(collection).unwrap());
        record.set("collectionRef", self.users.id.as_str().into());
        record.set("recordRef", self.ann.as_str().into());
        for (name, value) in fields {
            record.set(name, (*value).into());
        }
        self.save(record).await;
    }

    async fn save(&self, record: Record) -> Record {
        let engine = self.engine.clone();
        let saved: Result<Record, Error> = self
            .engine
            .store()
            .write(move |tx| Box::pin(async move { engine.save(tx, record).await }))
            .await;
        saved.unwrap()
    }

    async fn ann(&self) -> Record {
        let found = self.engine.find_record(&self.users, &self.ann).await;
        found.unwrap().unwrap()
    }

    /// The records of a system collection, the oldest first.
    async fn all(&self, collection: &str) -> Vec<Record> {
        let collection = self.engine.collection(collection).unwrap();
        let mut conn = self.engine.read().await.unwrap();
        let owner = [("recordRef", self.ann.as_str().into())];
        let mut all = records::find_all_by_fields(&mut conn, &collection, &owner)
            .await
            .unwrap();
        all.sort_by(|a, b| a.text("created").cmp(b.text("created")));
        all
    }

    /// Waits for what goes on behind requests.
    async fn settle(&self) {
        assert!(self.engine.mailer().drain(Duration::from_secs(20)).await);
    }

    async fn knows_password(&self, password: &str) -> bool {
        let form = PasswordSignIn {
            identity: self.ann().await.text("email").to_owned(),
            password: password.to_owned(),
            identity_field: String::new(),
        };
        let found = self.engine.password_record(&self.users, &form).await;
        found.unwrap().is_some()
    }

    async fn sign_in_from(&self, ip: &str) {
        let origin = Origin {
            ip,
            user_agent: "test",
        };
        self.engine.note_sign_in(&self.ann().await, origin).await;
        self.clock.advance_ms(1);
        self.settle().await;
    }
}

/// The token in a mail's link to a page of the dashboard.
fn token_in(mail: &Received, page: &str) -> String {
    let readable = mail.readable();
    let (_, rest) = readable
        .split_once(&format!("/_/#/auth/{page}/"))
        .unwrap_or_else(|| panic!("no link to {page} in {readable}"));
    let end = rest.find(|char: char| !(char.is_ascii_alphanumeric() || "._-".contains(char)));
    rest.split_at(end.unwrap()).0.to_owned()
}

/// The eight digits of a mail with a one-time password.
fn otp_in(mail: &Received) -> String {
    let readable = mail.readable();
    let (_, rest) = readable.split_once("<strong>").unwrap();
    rest.split_once("</strong>").unwrap().0.to_owned()
}

/// The code of a field's error.
fn code_of<T: std::fmt::Debug>(result: Result<T, Error>, field: &str) -> String {
    match result {
        Err(Error::Validation { fields, .. }) => fields.to_json()[field]["code"]
            .as_str()
            .unwrap_or("")
            .to_owned(),
        other => panic!("{other:?}"),
    }
}

fn refused<T>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::BadRequest(text)) => text,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("was not refused"),
    }
}

#[tokio::test]
async fn an_address_is_verified_by_the_token_of_a_mail() {
    let mut house = House::open().await;
    house
        .engine
        .request_verification(&house.users, ANN)
        .await
        .unwrap();
    let mail = house.sink.next().await;
    assert!(mail.commands.contains(&format!("RCPT TO:<{ANN}>")));
    let token = token_in(&mail, "confirm-verification");
    let claims = token::peek_unverified(&token).unwrap();
    assert_eq!(claims["email"], ANN);
    assert_eq!(claims["type"], "verification");

    let confirm = |token: String| {
        let (engine, users) = (house.engine.clone(), Arc::clone(&house.users));
        async move { engine.confirm_verification(&users, &token).await }
    };
    assert_eq!(
        code_of(confirm(String::new()).await, "token"),
        "validation_required"
    );
    assert_eq!(
        code_of(confirm("x.y.z".to_owned()).await, "token"),
        "validation_invalid_token_claims"
    );
    assert_eq!(
        code_of(confirm(format!("{token}x")).await, "token"),
        "validation_invalid_token"
    );
    assert!(!house.ann().await.flag("verified"));
    confirm(token.clone()).await.unwrap();
    assert!(house.ann().await.flag("verified"));
    assert!(house.knows_password(PASSWORD).await);
    // Nothing is left to be done, which is no error.
    confirm(token).await.unwrap();
    house
        .engine
        .request_verification(&house.users, ANN)
        .await
        .unwrap();
    house.settle().await;
    assert!(house.sink.is_empty());
}

#[tokio::test]
async fn nobody_learns_which_addresses_are_known() {
    let mut house = House::open().await;
    let stranger = "eve@example.com";
    let (engine, users) = (&house.engine, &house.users);
    engine.request_verification(users, stranger).await.unwrap();
    engine
        .request_password_reset(users, stranger)
        .await
        .unwrap();
    let id = engine.request_otp(users, stranger).await.unwrap();
    assert_eq!(id.len(), 15);
    for bad in ["", "ann", &format!("{}@example.com", "a".repeat(255))] {
        assert!(!code_of(engine.request_verification(users, bad).await, "email").is_empty());
        assert!(!code_of(engine.request_password_reset(users, bad).await, "email").is_empty());
        assert!(!code_of(engine.request_otp(users, bad).await, "email").is_empty());
    }
    house.settle().await;
    assert!(house.sink.is_empty());
}

#[tokio::test]
async fn the_same_mail_is_not_sent_twice_in_two_minutes() {
    let mut house = House::open().await;
    for _ in 0..3 {
        house
            .engine
            .request_verification(&house.users, ANN)
            .await
            .unwrap();
        house
            .engine
            .request_password_reset(&house.users, ANN)
            .await
            .unwrap();
    }
    house.settle().await;
    house.sink.next().await;
    house.sink.next().await;
    assert!(house.sink.is_empty());
    house.clock.advance_ms(120_001);
    house
        .engine
        .request_verification(&house.users, ANN)
        .await
        .unwrap();
    house.sink.next().await;
}

#[tokio::test]
async fn a_reset_mail_that_failed_may_be_asked_for_again() {
    let house = House::with(REFUSING, json!({})).await;
    house
        .engine
        .request_password_reset(&house.users, ANN)
        .await
        .unwrap();
    house.settle().await;
    let record = house.ann().await;
    let resend = crate::engine::mails::Resend::PasswordReset;
    assert!(house.engine.claim_resend(resend, &record));
    assert!(!house.engine.claim_resend(resend, &record));
}

#[tokio::test]
async fn verifying_locks_out_who_came_before_the_owner() {
    let mut house = House::with(
        Manners::default(),
        json!({"passwordAuth": {"enabled": false}}),
    )
    .await;
    house
        .add_to(
            "_externalAuths",
            &[("provider", "google"), ("providerId", "1")],
        )
        .await;
    let before = house.ann().await;
    house
        .engine
        .request_verification(&house.users, ANN)
        .await
        .unwrap();
    let token = token_in(&house.sink.next().await, "confirm-verification");
    house
        .engine
        .confirm_verification(&house.users, &token)
        .await
        .unwrap();
    let after = house.ann().await;
    assert!(after.flag("verified"));
    assert!(house.all("_externalAuths").await.is_empty());
    assert_ne!(after.text("tokenKey"), before.text("tokenKey"));
    assert_ne!(after.text("password"), before.text("password"));
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_once() {
    let mut house = House::open().await;
    let session = house.engine.sign_auth_token(&house.ann().await).unwrap();
    house
        .engine
        .request_password_reset(&house.users, ANN)
        .await
        .unwrap();
    let token = token_in(&house.sink.next().await, "confirm-password-reset");
    let form = |password: &str, confirm: &str| PasswordReset {
        token: token.clone(),
        password: password.to_owned(),
        password_confirm: confirm.to_owned(),
    };
    let reset = async |form: PasswordReset| {
        house
            .engine
            .confirm_password_reset(&house.users, &form)
            .await
    };
    assert_eq!(
        code_of(reset(PasswordReset::default()).await, "token"),
        "validation_required"
    );
    assert_eq!(
        code_of(reset(form("short", "short")).await, "password"),
        "validation_length_out_of_range"
    );
    assert_eq!(
        code_of(
            reset(form("new password", "other")).await,
            "passwordConfirm"
        ),
        "validation_values_mismatch"
    );
    let long = "x".repeat(100);
    assert_eq!(
        code_of(reset(form(&long, &long)).await, "password"),
        "validation_max_text_constraint"
    );
    assert!(house.knows_password(PASSWORD).await);

    reset(form("new password", "new password")).await.unwrap();
    assert!(house.knows_password("new password").await);
    assert!(!house.knows_password(PASSWORD).await);
    assert!(house.ann().await.flag("verified"));
    assert!(house.engine.authenticate(&session).await.unwrap().is_none());
    assert_eq!(
        code_of(
            reset(form("third password", "third password")).await,
            "token"
        ),
        "validation_invalid_token"
    );
}

#[tokio::test]
async fn of_two_resets_with_one_token_one_wins() {
    let mut house = House::open().await;
    house
        .engine
        .request_password_reset(&house.users, ANN)
        .await
        .unwrap();
    let token = token_in(&house.sink.next().await, "confirm-password-reset");
    let reset = |password: &str| {
        let form = PasswordReset {
            token: token.clone(),
            password: password.to_owned(),
            password_confirm: password.to_owned(),
        };
        let (engine, users) = (house.engine.clone(), Arc::clone(&house.users));
        async move { engine.confirm_password_reset(&users, &form).await }
    };
    let (one, two) = tokio::join!(reset("password one"), reset("password two"));
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
}

#[tokio::test]
async fn a_new_address_needs_its_mail_and_the_password() {
    let mut house = House::open().await;
    house.add("bob@example.com").await;
    let (engine, users) = (house.engine.clone(), Arc::clone(&house.users));
    let ann = house.ann().await;
    for (address, code) in [
        ("", "validation_required"),
        ("new", "validation_is_email"),
        (ANN, "validation_not_in_invalid"),
        ("bob@example.com", "validation_invalid_new_email"),
    ] {
        let asked = engine.request_email_change(&ann, address).await;
        assert_eq!(code_of(asked, "newEmail"), code, "{address}");
    }
    engine
        .request_email_change(&ann, "new@example.com")
        .await
        .unwrap();
    let mail = house.sink.next().await;
    assert!(
        mail.commands
            .contains(&"RCPT TO:<new@example.com>".to_owned())
    );
    let token = token_in(&mail, "confirm-email-change");
    let claims = token::peek_unverified(&token).unwrap();
    assert_eq!(
        (&claims["email"], &claims["newEmail"]),
        (&json!(ANN), &json!("new@example.com"))
    );

    let confirm = async |token: &str, password: &str| {
        let form = EmailChange {
            token: token.to_owned(),
            password: password.to_owned(),
        };
        engine.confirm_email_change(&users, &form).await
    };
    assert_eq!(
        code_of(confirm("", "").await, "password"),
        "validation_required"
    );
    assert_eq!(
        code_of(confirm("x", PASSWORD).await, "token"),
        "validation_invalid_token_payload"
    );
    assert_eq!(
        code_of(confirm(&token, "wrong").await, "password"),
        "validation_invalid_password"
    );
    confirm(&token, PASSWORD).await.unwrap();
    let changed = house.ann().await;
    assert_eq!(changed.text("email"), "new@example.com");
    assert!(changed.flag("verified"));
    assert_eq!(
        code_of(confirm(&token, PASSWORD).await, "token"),
        "validation_invalid_token"
    );
}

#[tokio::test]
async fn an_address_that_was_taken_meanwhile_is_refused() {
    let mut house = House::open().await;
    let ann = house.ann().await;
    house
        .engine
        .request_email_change(&ann, "new@example.com")
        .await
        .unwrap();
    let token = token_in(&house.sink.next().await, "confirm-email-change");
    house.add("new@example.com").await;
    let form = EmailChange {
        token,
        password: PASSWORD.to_owned(),
    };
    let confirmed = house.engine.confirm_email_change(&house.users, &form).await;
    assert_eq!(
        code_of(confirmed, "token"),
        "validation_invalid_token_email"
    );
}

#[tokio::test]
async fn addresses_are_compared_as_the_unique_index_does() {
    let index =
        "CREATE UNIQUE INDEX `idx_email` ON `people` (`email` COLLATE NOCASE) WHERE `email` != ''";
    let mut house = House::with(Manners::default(), json!({"indexes": [index]})).await;
    house
        .engine
        .request_verification(&house.users, "ANN@example.com")
        .await
        .unwrap();
    house.sink.next().await;
    let mut strict = House::open().await;
    strict
        .engine
        .request_verification(&strict.users, "ANN@example.com")
        .await
        .unwrap();
    strict.settle().await;
    assert!(strict.sink.is_empty());
}

#[tokio::test]
async fn a_change_mail_that_cannot_be_sent_is_told() {
    let house = House::with(REFUSING, json!({})).await;
    let asked = house
        .engine
        .request_email_change(&house.ann().await, "new@example.com")
        .await;
    assert_eq!(refused(asked), "Failed to request email change.");
}

#[tokio::test]
async fn a_one_time_password_signs_in_once() {
    let mut house = House::open().await;
    let id = house.engine.request_otp(&house.users, ANN).await.unwrap();
    let plain = otp_in(&house.sink.next().await);
    assert_eq!(plain.len(), 8);
    house.settle().await;
    let stored = house.all("_otps").await;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].id(), id);
    assert_eq!(stored[0].text("sentTo"), ANN);
    assert!(stored[0].text("password").starts_with("$2a$08$"));

    let form = OtpSignIn {
        otp_id: id,
        password: plain.clone(),
    };
    let attempt = house.engine.find_otp(&house.users, &form).await.unwrap();
    assert_eq!(
        refused(house.engine.redeem_otp(attempt.clone(), "00000000x").await),
        "Invalid or expired OTP"
    );
    let before = house.ann().await;
    let (one, two) = tokio::join!(
        house.engine.redeem_otp(attempt.clone(), &plain),
        house.engine.redeem_otp(attempt, &plain)
    );
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
    assert!(house.all("_otps").await.is_empty());
    // The address is proven; a password that somebody else may have set is not.
    let after = house.ann().await;
    assert!(after.flag("verified"));
    assert_ne!(after.text("tokenKey"), before.text("tokenKey"));
    assert!(!house.knows_password(PASSWORD).await);
}

#[tokio::test]
async fn with_a_second_factor_the_password_stays() {
    let mut house = House::with(Manners::default(), json!({"mfa": {"enabled": true}})).await;
    let id = house.engine.request_otp(&house.users, ANN).await.unwrap();
    let plain = otp_in(&house.sink.next().await);
    house.settle().await;
    let form = OtpSignIn {
        otp_id: id,
        password: plain.clone(),
    };
    let attempt = house.engine.find_otp(&house.users, &form).await.unwrap();
    let record = house.engine.redeem_otp(attempt, &plain).await.unwrap();
    assert!(record.flag("verified"));
    assert!(house.knows_password(PASSWORD).await);
}

#[tokio::test]
async fn one_time_passwords_expire_and_belong_to_their_collection() {
    let mut house = House::open().await;
    let id = house.engine.request_otp(&house.users, ANN).await.unwrap();
    house.sink.next().await;
    let find = async |collection: &Arc<Collection>, id: &str| {
        let form = OtpSignIn {
            otp_id: id.to_owned(),
            password: "12345678".to_owned(),
        };
        house.engine.find_otp(collection, &form).await
    };
    let superusers = house.engine.collection("_superusers").unwrap();
    assert_eq!(
        refused(find(&superusers, &id).await),
        "Invalid or expired OTP"
    );
    assert_eq!(
        refused(find(&house.users, "missing").await),
        "Invalid or expired OTP"
    );
    assert_eq!(
        code_of(find(&house.users, "").await, "otpId"),
        "validation_required"
    );
    let duration_s = house.users.auth.as_ref().unwrap().otp.duration;
    house.clock.advance_ms(duration_s * 1000);
    assert!(find(&house.users, &id).await.is_ok());
    house.clock.advance_ms(1);
    assert_eq!(
        refused(find(&house.users, &id).await),
        "Invalid or expired OTP"
    );
}

#[tokio::test]
async fn beyond_ten_live_one_time_passwords_the_newest_is_given_again() {
    let house = House::open().await;
    let mut ids = Vec::new();
    for _ in 0..12 {
        house.clock.advance_ms(10);
        ids.push(house.engine.request_otp(&house.users, ANN).await.unwrap());
    }
    house.settle().await;
    assert_eq!(house.all("_otps").await.len(), 10);
    assert_eq!(ids[10], ids[9]);
    assert_eq!(ids[11], ids[9]);
}

#[tokio::test]
async fn a_one_time_password_that_was_not_sent_is_removed() {
    let house = House::with(REFUSING, json!({})).await;
    house.engine.request_otp(&house.users, ANN).await.unwrap();
    house.settle().await;
    assert!(house.all("_otps").await.is_empty());
}

#[tokio::test]
async fn one_time_passwords_end_with_the_token_key() {
    let mut house = House::open().await;
    house.engine.request_otp(&house.users, ANN).await.unwrap();
    house.sink.next().await;
    house.settle().await;
    let mut ann = house.ann().await;
    ann.set("emailVisibility", true.into());
    let mut ann = house.save(ann).await;
    assert_eq!(house.all("_otps").await.len(), 1);
    ann.set("email", "new@example.com".into());
    house.save(ann).await;
    assert!(house.all("_otps").await.is_empty());
}

#[tokio::test]
async fn a_sign_in_from_a_new_place_is_told() {
    let mut house = House::open().await;
    house.sign_in_from("10.0.0.1").await;
    house.sign_in_from("10.0.0.1").await;
    assert!(house.sink.is_empty());
    house.sign_in_from("10.0.0.2").await;
    let mail = house.sink.next().await;
    assert!(mail.commands.contains(&format!("RCPT TO:<{ANN}>")));
    assert!(
        mail.readable().contains("10.0.0.2 test"),
        "{}",
        mail.message
    );
    house.sign_in_from("10.0.0.1").await;
    house.sign_in_from("10.0.0.2").await;
    assert!(house.sink.is_empty());
}

#[tokio::test]
async fn five_places_are_remembered() {
    let house = House::open().await;
    for number in 0..7 {
        house.sign_in_from(&format!("10.0.0.{number}")).await;
    }
    let known = house.all("_authOrigins").await;
    assert_eq!(known.len(), 5);
    let oldest = super::alert::fingerprint("10.0.0.2", "test");
    assert_eq!(known[0].text("fingerprint"), oldest);
}

#[tokio::test]
async fn a_place_whose_alert_failed_is_news_again() {
    let house = House::with(REFUSING, json!({})).await;
    house.sign_in_from("10.0.0.1").await;
    house.sign_in_from("10.0.0.2").await;
    assert_eq!(house.all("_authOrigins").await.len(), 1);
}

#[tokio::test]
async fn alerts_can_be_switched_off() {
    let mut house = House::with(Manners::default(), json!({"authAlert": {"enabled": false}})).await;
    house.sign_in_from("10.0.0.1").await;
    house.sign_in_from("10.0.0.2").await;
    assert!(house.sink.is_empty());
    assert!(house.all("_authOrigins").await.is_empty());
}

#[tokio::test]
async fn the_test_mail_reaches_its_receiver() {
    let mut house = House::open().await;
    for (template, expected) in [
        ("verification", "confirm-verification"),
        ("password-reset", "confirm-password-reset"),
        ("email-change", "confirm-email-change"),
        ("otp", "123456"),
        ("login-alert", "TEST_IP TEST_USER_AGENT"),
    ] {
        let probe = crate::engine::settings::MailProbe {
            email: "admin@example.com".to_owned(),
            template: template.to_owned(),
            collection: "people".to_owned(),
        };
        probe.run(&house.engine).await.unwrap();
        let mail = house.sink.next().await;
        assert!(
            mail.commands
                .contains(&"RCPT TO:<admin@example.com>".to_owned())
        );
        assert!(
            mail.readable().contains(expected),
            "{template}: {}",
            mail.message
        );
    }
}

#[tokio::test]
async fn a_failed_test_mail_says_what_the_server_said() {
    let house = House::with(REFUSING, json!({})).await;
    let probe = crate::engine::settings::MailProbe {
        email: "admin@example.com".to_owned(),
        template: "verification".to_owned(),
        collection: String::new(),
    };
    let text = refused(probe.run(&house.engine).await);
    assert!(
        text.starts_with("Failed to send the test email. Raw error: \n"),
        "{text}"
    );
    assert!(text.contains("not today"), "{text}");
}
