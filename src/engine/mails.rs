//! The mails that auth collections send: which template, what goes into it, and how often one may be asked for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value as Json, json};

use super::events::{Event, EventKind, Outcome, Slot, Slots, tapped};
use super::settings::{MetaConfig, SmtpConfig};
use super::{Engine, Error};
use crate::mail::{self, Address, AuthMethod, Mail, Mailer, Route, Smtp, template};
use crate::model::{AuthOptions, EmailTemplate, Field, FieldKind, Record, Value};

/// The same mail is sent again only after this long.
const RESEND_MS: i64 = 2 * 60 * 1000;
/// Sent mails remembered for that; beyond it those that no longer count go.
const RECENT_MAX: usize = 50_000;

/// What a mail to an auth record is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Letter<'a> {
    Verification,
    PasswordReset,
    /// Goes to the new address.
    EmailChange {
        new_email: &'a str,
    },
    Otp {
        id: &'a str,
        password: &'a str,
    },
    /// `info` says when and from where.
    AuthAlert {
        info: &'a str,
    },
}

/// A mail to an auth record that somebody beside the API wants sent.
#[derive(Clone, Debug)]
pub enum RecordMail {
    Verification,
    PasswordReset,
    EmailChange { new_email: String },
    Otp { id: String, password: String },
    AuthAlert { info: String },
}

impl RecordMail {
    fn letter(&self) -> Letter<'_> {
        match self {
            Self::Verification => Letter::Verification,
            Self::PasswordReset => Letter::PasswordReset,
            Self::EmailChange { new_email } => Letter::EmailChange { new_email },
            Self::Otp { id, password } => Letter::Otp { id, password },
            Self::AuthAlert { info } => Letter::AuthAlert { info },
        }
    }
}

/// The mails that are held back for a while once sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Resend {
    Verification,
    PasswordReset,
}

/// The mailer and what was sent lately.
pub(super) struct Mails {
    mailer: Mailer,
    recent: Recent,
}

impl Mails {
    pub(super) fn new(mailer: Mailer) -> Self {
        Self {
            mailer,
            recent: Recent::default(),
        }
    }
}

impl Engine {
    /// Sends a mail the way the settings say and waits for it: to the SMTP server, or to a file without one. Those who
    /// listen to [`EventKind::MailerSend`] may change it or keep it from being sent.
    ///
    /// # Errors
    /// As [`Mailer::send`]; `Refused` by who takes part.
    pub async fn send_mail(&self, mail: &Mail) -> Result<(), mail::Error> {
        let handlers = self.interceptors().handlers(EventKind::MailerSend, None);
        if handlers.is_empty() {
            return self.deliver(mail).await;
        }
        let mut sending = Sending::new(mail.clone());
        let event = || Event::new(EventKind::MailerSend, None);
        let sent = tapped(
            &handlers,
            event,
            None,
            &mut sending,
            async |sending: &mut Sending, _| {
                let sent = self.deliver(&sending.mail).await;
                sending.ended(sent.map(|()| true))
            },
        )
        .await;
        sending.outcome(sent.result).map(drop)
    }

    async fn deliver(&self, mail: &Mail) -> Result<(), mail::Error> {
        self.mailer()
            .send(&self.settings().smtp.route(), mail)
            .await
    }

    /// The mailer, to end with: `drain` waits for mails on their way.
    #[must_use]
    pub fn mailer(&self) -> &Mailer {
        &self.mails().mailer
    }

    /// Sends one of an auth record's mails and waits for it. The record need not be stored. Gives to which address it
    /// went; `None` when somebody who takes part kept it.
    ///
    /// # Errors
    /// Those of [`Engine::send_mail`]; `Invalid` when the token cannot be signed.
    pub(super) async fn send_letter(
        &self,
        record: &Record,
        letter: Letter<'_>,
    ) -> Result<Option<String>, mail::Error> {
        let token = match letter {
            Letter::Verification => Some(self.sign_verification_token(record)),
            Letter::PasswordReset => Some(self.sign_password_reset_token(record)),
            Letter::EmailChange { new_email } => {
                Some(self.sign_email_change_token(record, new_email))
            }
            Letter::Otp { .. } | Letter::AuthAlert { .. } => None,
        };
        let token = token
            .transpose()
            .map_err(|error| mail::Error::Invalid(error.to_string()))?;
        let mail = compose(&self.settings().meta, record, letter, token.as_deref());
        let kind = letter.event();
        let handlers = self
            .interceptors()
            .handlers(kind, Some(record.collection()));
        let mut sending = Sending::new(mail);
        if !handlers.is_empty() {
            sending.about = Some((Box::new(record.clone()), letter.meta(token)));
        }
        let sent = tapped(
            &handlers,
            || Event::new(kind, Some(Arc::clone(record.collection()))),
            None,
            &mut sending,
            async |sending: &mut Sending, _| {
                let sent = self.send_mail(&sending.mail).await;
                sending.ended(sent.map(|()| true))
            },
        )
        .await;
        let sent = sending.outcome(sent.result)?;
        let receiver = sending.mail.to.into_iter().next();
        Ok(receiver.filter(|_| sent).map(|to| to.address))
    }

    /// Sends one of an auth record's mails and waits for it, without asking when the last one was sent.
    ///
    /// # Errors
    /// Those of [`Engine::send_mail`]; `Invalid` when the token cannot be signed.
    pub async fn mail_record(&self, record: &Record, mail: &RecordMail) -> Result<(), mail::Error> {
        self.send_letter(record, mail.letter()).await.map(drop)
    }

    /// Sends mails behind the request, so that its time does not tell whether there was anybody to write to. Gives
    /// whether the work was taken on.
    pub(super) fn mail_later(&self, work: impl Future<Output = ()> + Send + 'static) -> bool {
        let taken = self.mailer().later(work);
        if let Err(error) = &taken {
            tracing::error!(error = %error, "a mail was dropped");
        }
        taken.is_ok()
    }

    /// Whether such a mail may be sent now; if so, not again for two minutes.
    pub(super) fn claim_resend(&self, mail: Resend, record: &Record) -> bool {
        self.mails()
            .recent
            .claim(mail, record, self.now().unix_ms())
    }

    /// Whether such a mail was sent a moment ago.
    pub(super) fn holds_resend(&self, mail: Resend, record: &Record) -> bool {
        self.mails()
            .recent
            .holds(mail, record, self.now().unix_ms())
    }

    /// Lets such a mail be asked for again.
    pub(super) fn release_resend(&self, mail: Resend, record: &Record) {
        self.mails().recent.release(mail, record);
    }
}

/// Says in the log that a mail was not sent, without content and address.
pub(super) fn log_failure(what: &'static str, record: &Record, error: &mail::Error) {
    if let mail::Error::Refused(reason) = error {
        tracing::warn!(
            mail.kind = what,
            record.id = record.id(),
            reason,
            "a handler refused a mail"
        );
        return;
    }
    tracing::error!(
        mail.kind = what,
        collection.name = record.collection().name,
        record.id = record.id(),
        error = error.reason(),
        "a mail could not be sent"
    );
}

/// A mail on its way through an event.
struct Sending {
    mail: Mail,
    /// For mails to auth records: whose, and what went into it.
    about: Option<(Box<Record>, Json)>,
    /// How sending ended, in the mailer's words.
    failed: Option<mail::Error>,
}

impl Sending {
    fn new(mail: Mail) -> Self {
        Self {
            mail,
            about: None,
            failed: None,
        }
    }

    /// Keeps an error as it is, for the case that no handler makes another one of it.
    fn ended(&mut self, sent: Result<bool, mail::Error>) -> Result<bool, Error> {
        sent.map_err(|error| {
            let told = Error::bad_request(error.reason());
            self.failed = Some(error);
            told
        })
    }

    /// Whether the mail was sent.
    fn outcome(&mut self, outcome: Result<Outcome<bool>, Error>) -> Result<bool, mail::Error> {
        match outcome {
            Ok(Outcome::Done(sent)) => Ok(sent),
            Ok(Outcome::Answered(_) | Outcome::Silent) => Ok(false),
            Err(error) => Err(self
                .failed
                .take()
                .unwrap_or_else(|| mail::Error::Refused(error.to_string()))),
        }
    }
}

impl Slots for Sending {
    fn put(&mut self, event: &mut Event) {
        event.set("mail", Slot::Mail(Box::new(self.mail.clone())));
        if let Some((record, meta)) = &self.about {
            event.set("record", Slot::Record(record.clone()));
            event.set("meta", Slot::Json(meta.clone()));
        }
    }

    fn take(&mut self, event: &mut Event) {
        if let Some(Slot::Mail(mail)) = event.take("mail") {
            self.mail = *mail;
        }
    }
}

impl<'a> Letter<'a> {
    fn event(self) -> EventKind {
        match self {
            Self::Verification => EventKind::MailerRecordVerificationSend,
            Self::PasswordReset => EventKind::MailerRecordPasswordResetSend,
            Self::EmailChange { .. } => EventKind::MailerRecordEmailChangeSend,
            Self::Otp { .. } => EventKind::MailerRecordOtpSend,
            Self::AuthAlert { .. } => EventKind::MailerRecordAuthAlertSend,
        }
    }

    /// What went into the mail, under PocketBase's names.
    fn meta(self, token: Option<String>) -> Json {
        match self {
            Self::Verification | Self::PasswordReset => json!({"token": token}),
            Self::EmailChange { new_email } => json!({"token": token, "newEmail": new_email}),
            Self::Otp { id, password } => json!({"otpId": id, "password": password}),
            Self::AuthAlert { info } => json!({"info": template::escape_html(info)}),
        }
    }

    fn template(self, auth: &AuthOptions) -> &EmailTemplate {
        match self {
            Self::Verification => &auth.verification_template,
            Self::PasswordReset => &auth.reset_password_template,
            Self::EmailChange { .. } => &auth.confirm_email_change_template,
            Self::Otp { .. } => &auth.otp.email_template,
            Self::AuthAlert { .. } => &auth.auth_alert.email_template,
        }
    }

    /// The value of a placeholder that this mail alone has.
    fn value(self, name: &str) -> Option<Cow<'a, str>> {
        match (self, name) {
            (Self::Otp { id, .. }, "OTP_ID") => Some(id.into()),
            (Self::Otp { password, .. }, "OTP") => Some(password.into()),
            (Self::AuthAlert { info }, "ALERT_INFO") => Some(template::escape_html(info)),
            _ => None,
        }
    }
}

/// Writes a mail from the collection's template. `{RECORD:field}` stands for any field that is not hidden, escaped for
/// HTML in body and subject alike, as PocketBase does.
fn compose(meta: &MetaConfig, record: &Record, letter: Letter<'_>, token: Option<&str>) -> Mail {
    let value = |name: &str| match name {
        "APP_NAME" => Some(meta.app_name.as_str().into()),
        "APP_URL" => Some(meta.app_url.as_str().into()),
        "TOKEN" => token.map(Cow::from),
        name => match name.strip_prefix("RECORD:") {
            Some(field) => record_value(record, field).map(Cow::from),
            None => letter.value(name),
        },
    };
    let (subject, body) = record
        .collection()
        .auth
        .as_ref()
        .map(|auth| letter.template(auth))
        .map(|template| (template.subject.as_str(), template.body.as_str()))
        .unwrap_or_default();
    let to = match letter {
        Letter::EmailChange { new_email } => new_email,
        _ => record.text("email"),
    };
    Mail {
        from: Address {
            name: meta.sender_name.clone(),
            address: meta.sender_address.clone(),
        },
        to: vec![Address::plain(to)],
        subject: template::fill(subject, value),
        html: template::page(&template::fill(body, value)),
        ..Mail::default()
    }
}

/// What a field shows as in a mail; nothing for hidden and unknown ones.
fn record_value(record: &Record, name: &str) -> Option<String> {
    let field = record.collection().field(name)?;
    if field.hidden {
        return None;
    }
    let value = record.get(name)?;
    Some(field_text(field, value))
}

fn field_text(field: &Field, value: &Value) -> String {
    let text = match (&field.kind, value) {
        // The hash is nobody's business.
        (FieldKind::Password(_), _) => return String::new(),
        (_, Value::Null | Value::List(_)) => return String::new(),
        (FieldKind::Date(_) | FieldKind::Autodate(_), Value::Text(text)) => return text.clone(),
        (_, Value::Bool(flag)) => return flag.to_string(),
        (_, Value::Number(number)) => return number.to_string(),
        (_, Value::Text(text) | Value::Json(text)) => Cow::Borrowed(text.as_str()),
        (_, Value::Geo(_)) => Cow::Owned(value.to_json().to_string()),
    };
    template::escape_html(&text).into_owned()
}

impl SmtpConfig {
    fn route(&self) -> Route {
        if !self.enabled {
            return Route::Folder;
        }
        Route::Smtp(Smtp {
            host: self.host.clone(),
            port: u16::try_from(self.port).unwrap_or_default(),
            username: self.username.clone(),
            password: self.password.clone(),
            auth_method: if self.auth_method == "LOGIN" {
                AuthMethod::Login
            } else {
                AuthMethod::Plain
            },
            tls: self.tls,
            local_name: self.local_name.clone(),
        })
    }
}

/// When which mail was sent to whom, for as long as it counts.
#[derive(Default)]
struct Recent {
    /// Unix milliseconds until which no other one is sent.
    until: Mutex<HashMap<RecentKey, i64>>,
}

/// The mail, the collection's id and the record's.
type RecentKey = (Resend, String, String);

impl Recent {
    fn claim(&self, mail: Resend, record: &Record, now_ms: i64) -> bool {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.len() >= RECENT_MAX {
            until.retain(|_, until| *until > now_ms);
        }
        let key = Self::key(mail, record);
        if until.get(&key).is_some_and(|until| *until > now_ms) {
            return false;
        }
        // Full of mails that still count: this one is not held back, rather than never sent.
        if until.len() < RECENT_MAX {
            until.insert(key, now_ms.saturating_add(RESEND_MS));
        }
        true
    }

    fn holds(&self, mail: Resend, record: &Record, now_ms: i64) -> bool {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let key = Self::key(mail, record);
        until.get(&key).is_some_and(|until| *until > now_ms)
    }

    fn release(&self, mail: Resend, record: &Record) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.remove(&Self::key(mail, record));
    }

    fn key(mail: Resend, record: &Record) -> RecentKey {
        let collection = record.collection().id.clone();
        (mail, collection, record.id().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Collection;

    fn record(subject: &str, body: &str) -> Record {
        let mut collection = Collection::from_body(
            json!({"name": "people", "type": "auth", "fields": [
                {"name": "name", "type": "text"},
                {"name": "secret", "type": "text", "hidden": true},
                {"name": "pin", "type": "password"},
                {"name": "age", "type": "number"},
                {"name": "born", "type": "date"},
                {"name": "tags", "type": "select", "values": ["a", "b"], "maxSelect": 2},
                {"name": "place", "type": "geoPoint"},
            ]})
            .as_object()
            .unwrap(),
        )
        .unwrap();
        collection.prepare_save(true, crate::base::DateTime::now(), |_| false);
        if let Some(auth) = &mut collection.auth {
            auth.verification_template = EmailTemplate {
                subject: subject.to_owned(),
                body: body.to_owned(),
            };
            auth.auth_alert.email_template = auth.verification_template.clone();
            auth.otp.email_template = auth.verification_template.clone();
        }
        let mut record = Record::new(Arc::new(collection));
        for (name, value) in [
            ("email", json!("ann@example.com")),
            ("name", json!("<b>Ann</b> & \"co\"")),
            ("secret", json!("hidden")),
            ("age", json!(4.5)),
            ("born", json!("2024-01-02 03:04:05.000Z")),
            ("tags", json!(["a", "b"])),
            ("place", json!({"lon": 1, "lat": 2.5})),
            ("verified", json!(true)),
        ] {
            record.apply_key(name, &value);
        }
        record.set("pin", Value::Text("the hash".to_owned()));
        record
    }

    fn composed(text: &str, letter: Letter<'_>) -> Mail {
        let meta = MetaConfig {
            app_name: "Acme".to_owned(),
            app_url: "https://acme.test".to_owned(),
            sender_name: "Support".to_owned(),
            sender_address: "support@acme.test".to_owned(),
            ..MetaConfig::default()
        };
        compose(&meta, &record(text, text), letter, Some("the.token"))
    }

    #[test]
    fn placeholders_show_what_may_be_shown() {
        for (template, expected) in [
            (
                "{APP_NAME} {APP_URL}/{TOKEN}",
                "Acme https://acme.test/the.token",
            ),
            ("{RECORD:name}", "&lt;b&gt;Ann&lt;/b&gt; &amp; &#34;co&#34;"),
            ("{RECORD:email} {RECORD:age}", "ann@example.com 4.5"),
            ("{RECORD:verified}", "true"),
            ("{RECORD:born}", "2024-01-02 03:04:05.000Z"),
            ("[{RECORD:tags}{RECORD:pin}]", "[]"),
            ("{RECORD:place}", "{&#34;lon&#34;:1,&#34;lat&#34;:2.5}"),
            ("{RECORD:secret}", "{RECORD:secret}"),
            (
                "{RECORD:tokenKey}{RECORD:password}",
                "{RECORD:tokenKey}{RECORD:password}",
            ),
            ("{RECORD:missing} {OTP}", "{RECORD:missing} {OTP}"),
        ] {
            let mail = composed(template, Letter::Verification);
            assert_eq!(mail.subject, expected);
            assert_eq!(mail.html, template::page(expected));
        }
    }

    #[test]
    fn each_mail_has_its_own_values() {
        let otp = Letter::Otp {
            id: "the id",
            password: "1234",
        };
        assert_eq!(composed("{OTP_ID}: {OTP}", otp).subject, "the id: 1234");
        let alert = Letter::AuthAlert { info: "<img>" };
        assert_eq!(composed("{ALERT_INFO}", alert).subject, "&lt;img&gt;");
    }

    #[test]
    fn mails_go_from_the_sender_to_the_record_or_its_new_address() {
        let mail = composed("", Letter::Verification);
        assert_eq!(mail.from.name, "Support");
        assert_eq!(mail.from.address, "support@acme.test");
        assert_eq!(mail.to, [Address::plain("ann@example.com")]);
        let new_email = "new@example.com";
        let mail = composed("", Letter::EmailChange { new_email });
        assert_eq!(mail.to, [Address::plain(new_email)]);
    }

    #[test]
    fn a_sent_mail_holds_others_of_its_kind_back() {
        let record = record("", "");
        let recent = Recent::default();
        assert!(recent.claim(Resend::Verification, &record, 0));
        assert!(!recent.claim(Resend::Verification, &record, RESEND_MS - 1));
        assert!(recent.claim(Resend::PasswordReset, &record, 0));
        assert!(recent.claim(Resend::Verification, &record, RESEND_MS));
        recent.release(Resend::Verification, &record);
        assert!(recent.claim(Resend::Verification, &record, RESEND_MS));
    }

    #[test]
    fn the_settings_name_the_server() {
        let mut config = SmtpConfig::default();
        assert!(matches!(config.route(), Route::Folder));
        config.enabled = true;
        config.auth_method = "LOGIN".to_owned();
        let Route::Smtp(smtp) = config.route() else {
            panic!("no server");
        };
        assert_eq!((smtp.port, smtp.auth_method), (587, AuthMethod::Login));
    }
}
