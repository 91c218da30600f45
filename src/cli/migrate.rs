//! `migrate`: runs and writes migrations.

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use super::say;
use crate::config::{Config, Migrate};
use crate::hooks::Scripts;
use crate::server;

/// # Errors
/// When a migration fails; nothing has happened then. When a file cannot be written.
pub(super) async fn run(config: &Config, action: &Migrate) -> anyhow::Result<()> {
    let engine = server::open(config).await?;
    let stop = CancellationToken::new();
    let live = server::open_live(config, &engine);
    let modules = server::open_modules(config, &engine, &live).await?;
    let scripts = server::open_scripts(config, &engine, &live, &modules, stop.clone()).await?;
    let result = act(&scripts, action).await;
    scripts.stop().await;
    live.end();
    stop.cancel();
    engine.store().close().await;
    result
}

async fn act(scripts: &Scripts, action: &Migrate) -> anyhow::Result<()> {
    match action {
        Migrate::Up => tell(
            &scripts.migrate_up().await?,
            "Applied",
            "No new migrations to apply.",
        ),
        Migrate::Down { count } => tell(
            &scripts.migrate_down(*count).await?,
            "Reverted",
            "No migrations to revert.",
        ),
        Migrate::Create { name } => {
            let path = scripts.write_blank_migration(name)?;
            say(&format!("Wrote {}", path.display()));
        }
        Migrate::Collections => match scripts.write_snapshot().await? {
            Some(path) => say(&format!("Wrote {}", path.display())),
            None => bail!("there are no collections"),
        },
        Migrate::HistorySync => {
            scripts.sync_migration_history().await?;
            say("The history holds no migrations without a file any more.");
        }
    }
    Ok(())
}

fn tell(names: &[String], what: &str, nothing: &str) {
    if names.is_empty() {
        say(nothing);
    }
    for name in names {
        say(&format!("{what} {name}"));
    }
}
