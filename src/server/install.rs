//! The one-time link that makes the first superuser.

use std::sync::Arc;

use crate::base::id::random_string;
use crate::engine::auth::system::INSTALLER_EMAIL;
use crate::engine::{Engine, Error};
use crate::model::{Record, Value};
use crate::store::records;
use crate::store::search::Condition;

/// Seconds for which the link works.
const LINK_S: i64 = 30 * 60;

/// The path with a token that creates the first superuser, or `None` when there is one already.
///
/// # Errors
/// Those of the database.
pub async fn install_link(engine: &Engine) -> Result<Option<String>, Error> {
    let superusers = engine.collection("_superusers")?;
    let (total, installer) = {
        let mut conn = engine.read().await?;
        let total = records::count(&mut conn, &superusers, &Condition::Always).await?;
        let email = Value::from(INSTALLER_EMAIL);
        let installer = records::find_by_field(&mut conn, &superusers, "email", &email).await?;
        (total, installer)
    };
    let others = total - u64::from(installer.is_some());
    if others > 0 {
        return Ok(None);
    }
    let installer = match installer {
        Some(installer) => installer,
        None => {
            let mut record = Record::new(Arc::clone(&superusers));
            record.set("email", INSTALLER_EMAIL.into());
            record.set_password("password", &random_string(30));
            let maker = engine.clone();
            engine
                .store()
                .write(move |tx| Box::pin(async move { maker.save(tx, record).await }))
                .await?
        }
    };
    let token = engine.sign_static_auth_token(&installer, Some(LINK_S))?;
    Ok(Some(format!("/_/#/pbinstall/{token}")))
}
