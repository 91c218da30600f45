//! Hooks that keep the system collections in order: one superuser always remains, the installer's goes, and what hangs
//! on an auth record (external identities, second factors, one-time passwords, known devices) goes with it.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::engine::Error;
use crate::engine::hooks::{Next, Op, RecordEvent, RecordHook, Stage};
use crate::model::{Collection, FieldError, FieldErrors, Record, Value};
use crate::store::records;
use crate::store::search::Condition;

/// The address of the superuser that the install link signs in as.
pub const INSTALLER_EMAIL: &str = "__pbinstaller@example.com";

/// Collections whose records refer to an auth record by `collectionRef` and `recordRef`.
const DEPENDENTS: [&str; 4] = ["_externalAuths", "_mfas", "_otps", "_authOrigins"];

pub(in crate::engine) fn hooks() -> Vec<Arc<dyn RecordHook>> {
    vec![
        Arc::new(Superusers),
        Arc::new(Dependents),
        Arc::new(References),
    ]
}

struct Superusers;

impl RecordHook for Superusers {
    fn priority(&self) -> i32 {
        -99
    }

    fn wants(&self, collection: &Collection) -> bool {
        collection.is_superusers()
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        if stage != Stage::Execute {
            return next.run(event);
        }
        Box::pin(async move {
            let op = event.op;
            if op == Op::Delete {
                let total =
                    records::count(event.tx, event.record.collection(), &Condition::Always).await?;
                if total <= 1 {
                    return Err(Error::bad_request(
                        "You can't delete the only existing superuser",
                    ));
                }
                return next.run(event).await;
            }
            event.record.set("verified", true.into());
            event.record.set("emailVisibility", false.into());
            next.run(event).await?;
            if event.record.text("email") != INSTALLER_EMAIL {
                remove_installer(event).await?;
            }
            Ok(())
        })
    }
}

async fn remove_installer(event: &mut RecordEvent<'_>) -> Result<(), Error> {
    let collection = Arc::clone(event.record.collection());
    let installer =
        records::find_by_field(event.tx, &collection, "email", &INSTALLER_EMAIL.into()).await?;
    if let Some(installer) = installer {
        let engine = event.engine.clone();
        Box::pin(engine.delete_in(event.tx, installer, None)).await?;
    }
    Ok(())
}

struct Dependents;

impl RecordHook for Dependents {
    fn priority(&self) -> i32 {
        99
    }

    fn wants(&self, collection: &Collection) -> bool {
        collection.is_auth()
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        if stage != Stage::Execute || event.op == Op::Create {
            return next.run(event);
        }
        Box::pin(async move {
            if event.op == Op::Delete {
                next.run(event).await?;
                for name in DEPENDENTS {
                    remove_dependents(event, name).await?;
                }
                return Ok(());
            }
            if event.record.flag("verified")
                && event.record.original("verified") == Some(&Value::Bool(false))
            {
                unlink_strangers(event).await?;
            }
            let renewed = event.record.original("password") != event.record.get("password");
            let old_key = event.record.original("tokenKey").cloned();
            next.run(event).await?;
            if renewed {
                // Devices and half-done sign-ins of the old password count no more.
                for name in ["_authOrigins", "_mfas"] {
                    remove_dependents(event, name).await?;
                }
            }
            if old_key.as_ref() != event.record.get("tokenKey") {
                remove_dependents(event, "_otps").await?;
            }
            Ok(())
        })
    }
}

/// Whoever linked an external account before the owner of the address came may not be the owner: when an address is
/// verified, those links and all tokens end.
async fn unlink_strangers(event: &mut RecordEvent<'_>) -> Result<(), Error> {
    if remove_dependents(event, "_externalAuths").await? > 0
        && !event.record.has_changed("tokenKey")
    {
        event.record.refresh_token_key();
    }
    Ok(())
}

/// Gives how many there were.
async fn remove_dependents(event: &mut RecordEvent<'_>, name: &str) -> Result<usize, Error> {
    let schema = Arc::clone(event.tx.schema());
    let Some(dependents) = schema.find(name) else {
        return Ok(0);
    };
    let engine = event.engine.clone();
    let found = dependents_of(event, dependents).await?;
    let count = found.len();
    for record in found {
        Box::pin(engine.delete_in(event.tx, record, event.request.clone())).await?;
    }
    Ok(count)
}

async fn dependents_of(
    event: &mut RecordEvent<'_>,
    dependents: &Arc<Collection>,
) -> Result<Vec<Record>, Error> {
    let owner = event.record.collection().id.clone();
    Ok(records::find_all_by_fields(
        event.tx,
        dependents,
        &[
            ("collectionRef", owner.into()),
            ("recordRef", event.record.id().into()),
        ],
    )
    .await?)
}

struct References;

impl RecordHook for References {
    fn priority(&self) -> i32 {
        99
    }

    fn wants(&self, collection: &Collection) -> bool {
        DEPENDENTS.contains(&collection.name.as_str())
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        if stage != Stage::Validate {
            return next.run(event);
        }
        Box::pin(async move {
            check_reference(event).await?;
            next.run(event).await
        })
    }
}

async fn check_reference(event: &mut RecordEvent<'_>) -> Result<(), Error> {
    let schema = Arc::clone(event.tx.schema());
    let refuse = |field: &str, code: &str, message: &str| {
        Err(FieldErrors::one(field, FieldError::new(code, message)).into())
    };
    for field in ["collectionRef", "recordRef"] {
        if event.record.text(field).is_empty() {
            return refuse(field, "validation_required", "Cannot be blank.");
        }
    }
    let Some(collection) = schema.by_id(event.record.text("collectionRef")) else {
        return refuse(
            "collectionRef",
            "validation_invalid_collection_id",
            "Missing or invalid collection.",
        );
    };
    if !collection.is_auth() {
        return refuse(
            "collectionRef",
            "validation_invalid_collection_type",
            "Invalid collection type - must be auth.",
        );
    }
    let id = event.record.text("recordRef").to_owned();
    if records::exists_ids(event.tx, collection, &[id.as_str()])
        .await?
        .is_empty()
    {
        return refuse(
            "recordRef",
            "validation_invalid_record",
            "Missing or invalid record.",
        );
    }
    Ok(())
}
