//! Commands that scripts have added to `$app.rootCmd`.

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::engine::events::EventKind;
use crate::server;

/// Runs a command by its name, the first of the words; the others are its arguments.
///
/// # Errors
/// When no script has a command of that name, or when it throws.
pub(super) async fn run(config: &Config, words: &[String]) -> anyhow::Result<()> {
    let Some((name, arguments)) = words.split_first() else {
        bail!("a command is missing");
    };
    // A slip of the hand makes no data directory.
    if !config.dir.is_dir() {
        bail!("unknown command {name:?}");
    }
    let engine = server::open(config).await?;
    let stop = CancellationToken::new();
    let live = server::open_live(config, &engine);
    let modules = server::open_modules(config, &engine, &live).await?;
    let scripts = server::open_scripts(config, &engine, &live, &modules, stop.clone()).await?;
    scripts.load().await;
    let result = match engine.announce(EventKind::Bootstrap, &[]).await {
        Ok(()) => scripts.run_command(name, arguments).await,
        Err(error) => Err(error),
    };
    scripts.stop().await;
    live.end();
    stop.cancel();
    engine.store().close().await;
    match result {
        Ok(true) => Ok(()),
        Ok(false) => bail!("unknown command {name:?}"),
        Err(error) => bail!("{error}"),
    }
}
