//! `superuser`: create, update, upsert and delete superusers without a running server.

use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::say;
use crate::base::text::is_email;
use crate::config::{Config, Superuser};
use crate::engine::{Engine, Error};
use crate::model::{Collection, Record, Value};
use crate::server;
use crate::store::records;

/// # Errors
/// When the arguments are invalid or the account is not in the expected state.
pub(super) async fn run(config: &Config, action: &Superuser) -> anyhow::Result<()> {
    let engine = server::open(config).await?;
    let done = act(&engine, action).await;
    engine.store().close().await;
    say(&done?);
    Ok(())
}

async fn act(engine: &Engine, action: &Superuser) -> anyhow::Result<String> {
    let collection = engine.collection("_superusers").map_err(plain)?;
    let email = match action {
        Superuser::Create { email, .. }
        | Superuser::Update { email, .. }
        | Superuser::Upsert { email, .. }
        | Superuser::Delete { email } => email,
    };
    if !is_email(email) {
        bail!("missing or invalid e-mail address");
    }
    let found = find(engine, &collection, email).await?;
    match action {
        Superuser::Create { password, .. } => {
            let mut record = Record::new(collection);
            record.set("email", Value::from(email.as_str()));
            save(engine, record, password).await?;
            Ok(format!("Created superuser {email}"))
        }
        Superuser::Update { password, .. } => {
            let record = found.with_context(|| format!("there is no superuser {email}"))?;
            save(engine, record, password).await?;
            Ok(format!("Changed the password of superuser {email}"))
        }
        Superuser::Upsert { password, .. } => {
            let record = found.unwrap_or_else(|| {
                let mut record = Record::new(collection);
                record.set("email", Value::from(email.as_str()));
                record
            });
            save(engine, record, password).await?;
            Ok(format!("Saved superuser {email}"))
        }
        Superuser::Delete { .. } => {
            let Some(record) = found else {
                return Ok(format!("There is no superuser {email}"));
            };
            let worker = engine.clone();
            engine
                .store()
                .write(move |tx| Box::pin(async move { worker.delete_in(tx, record, None).await }))
                .await
                .map_err(plain)?;
            Ok(format!("Deleted superuser {email}"))
        }
    }
}

async fn find(
    engine: &Engine,
    collection: &Arc<Collection>,
    email: &str,
) -> anyhow::Result<Option<Record>> {
    let mut conn = engine.read().await.map_err(plain)?;
    Ok(records::find_by_field(&mut conn, collection, "email", &email.into()).await?)
}

async fn save(engine: &Engine, mut record: Record, password: &str) -> anyhow::Result<()> {
    record.set_password("password", password);
    let worker = engine.clone();
    engine
        .store()
        .write(move |tx| Box::pin(async move { worker.save(tx, record).await }))
        .await
        .map_err(plain)?;
    Ok(())
}

/// Field errors spelled out, for a terminal.
fn plain(error: Error) -> anyhow::Error {
    match &error {
        Error::Validation { fields, .. } => {
            let texts: Vec<String> = fields
                .to_json()
                .iter()
                .map(|(field, error)| {
                    let message = error.get("message").and_then(|text| text.as_str());
                    format!("{field}: {}", message.unwrap_or("invalid"))
                })
                .collect();
            anyhow::anyhow!(texts.join("; "))
        }
        _ => error.into(),
    }
}
