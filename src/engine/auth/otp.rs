//! Sign-in with a one-time password that comes by mail.

use std::sync::Arc;

use super::flow::{email_error, find_by_email, refuse, set_password_hash};
use crate::base::DateTime;
use crate::base::id::{random_id, random_with_alphabet};
use crate::base::password::Scheme;
use crate::engine::checks::{all, bytes_between, required};
use crate::engine::mails::{Letter, log_failure};
use crate::engine::{Engine, Error};
use crate::model::{Collection, Record, Value};
use crate::store::search::Condition;
use crate::store::{Conn, records};

/// One-time passwords live for minutes: PocketBase's cost for them, below that of accounts.
const BCRYPT_COST: u32 = 8;
/// Live one-time passwords of a record; with more, the newest is handed out again and no mail sent.
const LIVE_MAX: usize = 9;
/// Digits where the collection says nothing usable.
const DIGITS: usize = 8;

/// What signs in with a one-time password.
#[derive(Clone, Debug, Default)]
pub struct OtpSignIn {
    pub otp_id: String,
    pub password: String,
}

/// A live one-time password and whose it is, before the password was looked at.
#[derive(Clone, Debug)]
pub struct OtpAttempt {
    pub otp: Record,
    pub record: Record,
}

impl Engine {
    /// Makes a one-time password and sends it behind the request. Gives its id, or a random one when nobody has the
    /// address: the caller must not learn which.
    ///
    /// # Errors
    /// `Validation` for what is no address, `Busy`, or those of the database.
    pub async fn request_otp(
        &self,
        collection: &Arc<Collection>,
        email: &str,
    ) -> Result<String, Error> {
        let receiver = self.otp_receiver(collection, email).await?;
        let plain = new_otp(collection);
        self.issue_otp(receiver, plain).await
    }

    /// Whom a one-time password would go to, if to anybody.
    ///
    /// # Errors
    /// `Validation` for what is no address, or those of the database.
    pub async fn otp_receiver(
        &self,
        collection: &Arc<Collection>,
        email: &str,
    ) -> Result<Option<Record>, Error> {
        refuse(all([("email", email_error(email))]))?;
        let mut conn = self.read().await?;
        find_by_email(&mut conn, collection, email).await
    }

    /// Stores a one-time password for a record and sends it behind the request. Gives its id, or a random one for nobody.
    ///
    /// # Errors
    /// `Busy`, or those of the database.
    pub async fn issue_otp(
        &self,
        receiver: Option<Record>,
        plain: String,
    ) -> Result<String, Error> {
        // Also for nobody, so that the time tells nothing.
        let hash = self
            .passwords()
            .hash(plain.clone(), Scheme::Bcrypt { cost: BCRYPT_COST })
            .await
            .map_err(|error| Error::Busy(error.to_string()))?;
        let Some(record) = receiver else {
            return Ok(random_id());
        };
        let (otp, is_new) = self.make_otp(&record, hash).await?;
        let id = otp.id().to_owned();
        if is_new {
            self.send_otp(record, otp, plain);
        }
        Ok(id)
    }

    /// A new one-time password, or the newest of too many.
    async fn make_otp(&self, record: &Record, hash: String) -> Result<(Record, bool), Error> {
        let otps = self.collection("_otps")?;
        let (engine, record) = (self.clone(), record.clone());
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    let live = engine.live_otps(tx, &otps, &record).await?;
                    if live.len() > LIVE_MAX
                        && let Some(newest) = live.into_iter().next()
                    {
                        tracing::warn!(
                            record.id = record.id(),
                            otp.id = newest.id(),
                            "too many one-time passwords are asked for, the last one is given again"
                        );
                        return Ok((newest, false));
                    }
                    let mut otp = Record::new(otps);
                    otp.set("collectionRef", record.collection().id.as_str().into());
                    otp.set("recordRef", record.id().into());
                    otp.set("password", Value::Text(hash));
                    engine.save(tx, otp).await.map(|otp| (otp, true))
                })
            })
            .await
    }

    /// A record's one-time passwords that still work, the newest first.
    async fn live_otps(
        &self,
        conn: &mut Conn,
        otps: &Arc<Collection>,
        record: &Record,
    ) -> Result<Vec<Record>, Error> {
        let owner = [
            ("collectionRef", record.collection().id.as_str().into()),
            ("recordRef", record.id().into()),
        ];
        let mut live = records::find_all_by_fields(conn, otps, &owner).await?;
        live.retain(|otp| !self.otp_expired(otp, record.collection()));
        live.sort_by(|a, b| b.text("created").cmp(a.text("created")));
        Ok(live)
    }

    fn otp_expired(&self, otp: &Record, collection: &Collection) -> bool {
        let duration_s = collection.auth.as_ref().map_or(0, |auth| auth.otp.duration);
        DateTime::parse(otp.text("created"))
            .is_none_or(|created| self.now().ms_since(created) > duration_s.saturating_mul(1000))
    }

    fn send_otp(&self, record: Record, otp: Record, plain: String) {
        let (engine, sent) = (self.clone(), otp.clone());
        let taken = self.mail_later(async move {
            let letter = Letter::Otp {
                id: sent.id(),
                password: &plain,
            };
            match engine.send_letter(&record, letter).await {
                Ok(Some(receiver)) => engine.note_receiver(sent, &receiver).await,
                Ok(None) => {}
                Err(error) => {
                    log_failure("one-time password", &record, &error);
                    engine.forget_otp(sent).await;
                }
            }
        });
        if !taken {
            let engine = self.clone();
            tokio::spawn(async move { engine.forget_otp(otp).await });
        }
    }

    /// Notes where a one-time password was sent: who comes back with it owns that address.
    async fn note_receiver(&self, otp: Record, email: &str) {
        let (engine, email) = (self.clone(), email.to_owned());
        let noted: Result<(), Error> = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let id = otp.id().to_owned();
                    let found =
                        records::find(tx, otp.collection(), &id, &Condition::Always).await?;
                    if let Some(mut otp) = found.filter(|otp| otp.text("sentTo").is_empty()) {
                        otp.set("sentTo", email.into());
                        engine.save(tx, otp).await?;
                    }
                    Ok(())
                })
            })
            .await;
        if let Err(error) = noted {
            tracing::error!(error = %error, "the receiver of a one-time password could not be noted");
        }
    }

    /// Removes a one-time password that nobody received.
    async fn forget_otp(&self, otp: Record) {
        let engine = self.clone();
        let removed: Result<(), Error> = self
            .store()
            .write(move |tx| Box::pin(async move { engine.delete_in(tx, otp, None).await }))
            .await;
        if let Err(error) = removed {
            tracing::error!(error = %error, "an unsent one-time password could not be removed");
        }
    }

    /// Finds the one-time password that somebody wants to sign in with. The caller limits how often a record is tried
    /// before [`Engine::redeem_otp`].
    ///
    /// # Errors
    /// `Validation` by field, `BadRequest` when there is none, it is of another collection, or it expired.
    pub async fn find_otp(
        &self,
        collection: &Arc<Collection>,
        form: &OtpSignIn,
    ) -> Result<OtpAttempt, Error> {
        let error = |text: &str, max| required(text).or_else(|| bytes_between(text, 1, max));
        refuse(all([
            ("otpId", error(&form.otp_id, 255)),
            ("password", error(&form.password, 71)),
        ]))?;
        let otps = self.collection("_otps")?;
        let mut conn = self.read().await?;
        let otp = records::find(&mut conn, &otps, &form.otp_id, &Condition::Always)
            .await?
            .filter(|otp| otp.text("collectionRef") == collection.id)
            .filter(|otp| !self.otp_expired(otp, collection))
            .ok_or_else(invalid)?;
        let owner = otp.text("recordRef");
        let record = records::find(&mut conn, collection, owner, &Condition::Always)
            .await?
            .ok_or_else(invalid)?;
        Ok(OtpAttempt { otp, record })
    }

    /// Checks the password and uses it up. Gives the record that it signs in, verified if the mail went to its address.
    ///
    /// # Errors
    /// `BadRequest` for a wrong password and one that was used meanwhile.
    pub async fn redeem_otp(&self, attempt: OtpAttempt, password: &str) -> Result<Record, Error> {
        self.check_otp(&attempt, password).await?;
        self.use_otp(attempt).await
    }

    /// Checks the password alone.
    ///
    /// # Errors
    /// `BadRequest` for a wrong password.
    pub async fn check_otp(&self, attempt: &OtpAttempt, password: &str) -> Result<(), Error> {
        let hash = attempt.otp.text("password").to_owned();
        let fits = self
            .passwords()
            .verify(hash, password.to_owned())
            .await
            .map_err(|error| Error::Busy(error.to_string()))?;
        if fits { Ok(()) } else { Err(invalid()) }
    }

    /// Uses a one-time password up whose password was checked; see [`Engine::redeem_otp`].
    ///
    /// # Errors
    /// `BadRequest` for one that was used meanwhile.
    pub async fn use_otp(&self, attempt: OtpAttempt) -> Result<Record, Error> {
        let OtpAttempt { otp, record } = attempt;
        let collection = Arc::clone(record.collection());
        let proves = |record: &Record| {
            !record.flag("verified")
                && !otp.text("sentTo").is_empty()
                && otp.text("sentTo") == record.text("email")
        };
        // Somebody else may have signed up with the address and a password of theirs. With a second factor that password
        // alone opens nothing.
        let with_factors = collection
            .auth
            .as_ref()
            .is_some_and(|auth| auth.mfa.enabled);
        let random = if proves(&record) && !with_factors {
            Some(self.random_password_hash(&collection).await?)
        } else {
            None
        };
        let verifies = proves(&record);
        let engine = self.clone();
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    let id = otp.id().to_owned();
                    let found =
                        records::find(tx, otp.collection(), &id, &Condition::Always).await?;
                    engine
                        .delete_in(tx, found.ok_or_else(invalid)?, None)
                        .await?;
                    let found =
                        records::find(tx, &collection, record.id(), &Condition::Always).await?;
                    let mut record = found.ok_or_else(invalid)?;
                    if verifies && record.text("email") == otp.text("sentTo") {
                        record.set("verified", true.into());
                        if let Some(hash) = random {
                            set_password_hash(&mut record, hash);
                        }
                        record = engine.save_hashed(tx, record, None).await?;
                    }
                    Ok(record)
                })
            })
            .await
    }
}

fn invalid() -> Error {
    Error::bad_request("Invalid or expired OTP")
}

/// A new one-time password as long as the collection wants it.
#[must_use]
pub fn new_otp(collection: &Collection) -> String {
    random_with_alphabet(digits(collection), "1234567890")
}

fn digits(collection: &Collection) -> usize {
    collection
        .auth
        .as_ref()
        .and_then(|auth| usize::try_from(auth.otp.length).ok())
        .filter(|length| (1..=71).contains(length))
        .unwrap_or(DIGITS)
}
