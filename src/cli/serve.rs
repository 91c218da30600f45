//! `serve`: runs the server until it is told to stop.

use std::net::TcpListener;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::say;
use crate::config::{Config, Serve};
use crate::server;

/// # Errors
/// When the address is taken or the data directory cannot be used.
pub(super) async fn run(config: &Config, options: &Serve) -> anyhow::Result<()> {
    let listener = TcpListener::bind(&options.http)
        .with_context(|| format!("cannot listen on {}", options.http))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut running = server::start(config, listener.try_clone()?).await?;
    let base = format!("http://{}", running.addr);
    say(&format!(
        "{} Server started at {base}",
        chrono::Local::now().format("%Y/%m/%d %H:%M:%S")
    ));
    say(&format!("├─ REST API:  {base}/api/"));
    say(&format!("└─ Dashboard: {base}/_/"));
    if let Some(path) = server::install_link(&running.engine).await? {
        say(
            "\n(!) Open the link below to create the first superuser; it works once, for 30 minutes:",
        );
        say(&format!("{base}{path}"));
        say("(or run: server superuser upsert EMAIL PASSWORD)\n");
    }
    loop {
        let engine = running.engine.clone();
        let folder = tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = engine.restart_requested() => None,
            folder = engine.restore_requested() => Some(folder),
        };
        drop(engine);
        running = match folder {
            Some(folder) => server::restore(running, config, &listener, folder).await?,
            None => server::restart(running, config, &listener).await?,
        };
    }
    running.stop().await;
    Ok(())
}
