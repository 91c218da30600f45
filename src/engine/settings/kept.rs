//! Secrets that the server makes for itself and keeps: rows of `_params`, encrypted as the settings are.

use crate::base::cipher;
use crate::base::id::random_string;
use crate::engine::{Engine, Error};
use crate::store::{Conn, params};

/// Characters of a secret.
const SECRET_CHARS: usize = 50;

impl Engine {
    /// A random text under a name: made at first use, the same ever after. The name is the row's id in `_params`.
    ///
    /// # Errors
    /// Those of the database, and when the row cannot be decrypted.
    pub async fn kept_secret(&self, name: &'static str) -> Result<String, Error> {
        if let Some(secret) = self.read_secret(&mut *self.read().await?, name).await? {
            return Ok(secret);
        }
        let engine = self.clone();
        self.store()
            .write_exclusive(move |tx| {
                Box::pin(async move {
                    if let Some(secret) = engine.read_secret(tx, name).await? {
                        return Ok(secret);
                    }
                    let secret = random_string(SECRET_CHARS);
                    let row = match engine.encryption_key() {
                        None => secret.clone(),
                        Some(key) => cipher::encrypt(secret.as_bytes(), key)
                            .map_err(|cause| Error::internal("a secret cannot be kept", cause))?,
                    };
                    params::set(tx, name, row.as_bytes(), &engine.now().to_string()).await?;
                    Ok(secret)
                })
            })
            .await
    }

    async fn read_secret(&self, conn: &mut Conn, name: &str) -> Result<Option<String>, Error> {
        let Some(row) = params::get(conn, name).await? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&row).into_owned();
        // What was kept before there was a key stays as it is.
        let is_plain = text.len() == SECRET_CHARS;
        match self.encryption_key() {
            Some(key) if !is_plain => {
                let plain = cipher::decrypt(&text, key)
                    .map_err(|cause| Error::internal("a kept secret is unreadable", cause))?;
                Ok(Some(String::from_utf8_lossy(&plain).into_owned()))
            }
            _ => Ok(Some(text)),
        }
    }
}
