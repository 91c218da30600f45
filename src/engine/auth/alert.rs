//! A mail when somebody signs in from a new place.

use std::sync::Arc;

use md5::{Digest, Md5};

use crate::engine::mails::{Letter, log_failure};
use crate::engine::{Engine, Error};
use crate::model::{Collection, Record};
use crate::store::{Tx, records};

/// Places remembered of a record; a further one takes the oldest's room.
const ORIGINS_MAX: usize = 5;
/// Bytes of a browser's name that count.
const USER_AGENT_BYTES_MAX: usize = 200;

/// Where somebody signs in from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    pub ip: &'a str,
    pub user_agent: &'a str,
}

impl Engine {
    /// Remembers where a record signs in from, and writes to it, behind the request, when it never did from there. The
    /// first place of all is no news. Failures end in the log: they are no reason to refuse a sign-in.
    pub async fn note_sign_in(&self, record: &Record, origin: Origin<'_>) {
        let enabled = record
            .collection()
            .auth
            .as_ref()
            .is_some_and(|auth| auth.auth_alert.enabled);
        if !enabled {
            return;
        }
        if let Err(error) = self.remember_origin(record, origin).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                record.id = record.id(),
                "the place of a sign-in could not be remembered"
            );
        }
    }

    async fn remember_origin(&self, record: &Record, origin: Origin<'_>) -> Result<(), Error> {
        let user_agent = shortened(origin.user_agent);
        let fingerprint = fingerprint(origin.ip, &user_agent);
        let (engine, owner) = (self.clone(), record.clone());
        let (saved, is_news) = self
            .store()
            .write(move |tx| {
                Box::pin(async move { engine.save_origin(tx, &owner, &fingerprint).await })
            })
            .await?;
        if is_news && !record.text("email").is_empty() {
            let info = format!("{} - {} {user_agent}", self.now(), origin.ip);
            self.send_alert(record.clone(), saved, info);
        }
        Ok(())
    }

    /// The stored place, and whether it is new while others were known.
    async fn save_origin(
        &self,
        tx: &mut Tx,
        owner: &Record,
        fingerprint: &str,
    ) -> Result<(Record, bool), Error> {
        let schema = Arc::clone(tx.schema());
        let origins = schema
            .find("_authOrigins")
            .ok_or_else(|| Error::NotFound("Missing collection context.".to_owned()))?;
        let of_owner = [
            ("collectionRef", owner.collection().id.as_str().into()),
            ("recordRef", owner.id().into()),
        ];
        let mut known = records::find_all_by_fields(tx, origins, &of_owner).await?;
        known.sort_by(|a, b| b.text("created").cmp(a.text("created")));
        let present = known
            .iter()
            .position(|origin| origin.text("fingerprint") == fingerprint);
        if let Some(index) = present {
            let origin = self.save(tx, known.swap_remove(index)).await?;
            return Ok((origin, false));
        }
        let is_news = !known.is_empty();
        let kept = ORIGINS_MAX - 1;
        for oldest in known.drain(kept.min(known.len())..) {
            self.delete_in(tx, oldest, None).await?;
        }
        let origin = new_origin(origins, owner, fingerprint);
        Ok((self.save(tx, origin).await?, is_news))
    }

    fn send_alert(&self, record: Record, origin: Record, info: String) {
        let engine = self.clone();
        self.mail_later(async move {
            let letter = Letter::AuthAlert { info: &info };
            let Err(error) = engine.send_letter(&record, letter).await else {
                return;
            };
            log_failure("sign-in alert", &record, &error);
            // Forgotten, the place is news again the next time.
            let writer = engine.clone();
            let removed: Result<(), Error> = engine
                .store()
                .write(move |tx| Box::pin(async move { writer.delete_in(tx, origin, None).await }))
                .await;
            if let Err(error) = removed {
                tracing::error!(error = %error, "the place of a sign-in could not be forgotten");
            }
        });
    }
}

fn new_origin(origins: &Arc<Collection>, owner: &Record, fingerprint: &str) -> Record {
    let mut origin = Record::new(Arc::clone(origins));
    origin.set("collectionRef", owner.collection().id.as_str().into());
    origin.set("recordRef", owner.id().into());
    origin.set("fingerprint", fingerprint.into());
    origin
}

/// A place as `_authOrigins` keeps it: PocketBase's MD5 of address and browser, so that known places stay known when a
/// directory moves. No security rests on it.
pub(super) fn fingerprint(ip: &str, user_agent: &str) -> String {
    use std::fmt::Write;
    let digest = Md5::new()
        .chain_update(ip.as_bytes())
        .chain_update(user_agent.as_bytes())
        .finalize();
    digest
        .iter()
        .fold(String::with_capacity(32), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

fn shortened(user_agent: &str) -> String {
    if user_agent.len() <= USER_AGENT_BYTES_MAX {
        return user_agent.to_owned();
    }
    let end = user_agent.floor_char_boundary(USER_AGENT_BYTES_MAX);
    let start = user_agent.get(..end).unwrap_or(user_agent);
    format!("{start}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_pocketbase() {
        // md5 of "127.0.0.1curl/8".
        assert_eq!(
            fingerprint("127.0.0.1", "curl/8"),
            fingerprint("", "127.0.0.1curl/8")
        );
        assert_eq!(fingerprint("", ""), "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn long_browser_names_are_cut_between_characters() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(
            shortened(&"a".repeat(201)),
            format!("{}...", "a".repeat(200))
        );
        assert_eq!(
            shortened(&"ü".repeat(101)),
            format!("{}...", "ü".repeat(100))
        );
        assert_eq!(
            shortened(&format!("a{}", "ü".repeat(100))),
            format!("a{}...", "ü".repeat(99))
        );
    }
}
