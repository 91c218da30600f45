//! The engine's handle and what it holds.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::backups::Backups;
use super::collections::CollectionHooks;
use super::crons::Crons;
use super::events::Interceptors;
use super::hooks::{Hooks, RecordHook};
use super::mails::Mails;
use super::settings::Settings;
use super::settings::own::OwnState;
use super::{Error, auth::AuthCache};
use crate::base::clock::Clock;
use crate::base::date::DateTime;
use crate::base::password::PasswordQueue;
use crate::blob::Storage;
use crate::bus::Bus;
use crate::mail::Mailer;
use crate::model::{Collection, Record, Schema};
use crate::store::search::{Compiler, Condition};
use crate::store::{Conn, ReadGuard, Store, records};

/// What an engine is made of.
pub struct EngineOptions {
    pub store: Store,
    pub files: Storage,
    pub bus: Bus,
    /// The folder that mails go to while no mail server is set up.
    pub mails: PathBuf,
    pub clock: Clock,
    /// The 32 characters that encrypt the settings row, if any.
    pub encryption_key: Option<String>,
    /// Hash passwords with argon2id, also those that bcrypt hashed before.
    pub rehash: bool,
}

/// A cheap handle over the collection engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    files: Storage,
    bus: Bus,
    mails: Mails,
    clock: Clock,
    encryption_key: Option<String>,
    rehash: bool,
    compiler: Compiler,
    passwords: PasswordQueue,
    settings: ArcSwap<Settings>,
    own: OwnState,
    hooks: ArcSwap<Hooks>,
    collection_hooks: ArcSwap<CollectionHooks>,
    interceptors: Interceptors,
    crons: Crons,
    auth_cache: AuthCache,
    backups: Backups,
    bootstrapped: AtomicBool,
    restart: Notify,
}

impl Engine {
    /// Loads collections and settings from an opened store. Mails that nobody waits for are sent on the runtime that this
    /// is called on.
    ///
    /// # Errors
    /// When a stored collection or the settings row cannot be read.
    pub async fn open(options: EngineOptions) -> Result<Self, Error> {
        let mut conn = options.store.read().await?;
        let settings = Settings::load(&mut conn, options.encryption_key.as_deref()).await?;
        let own = OwnState::load(&mut conn, options.encryption_key.as_deref()).await?;
        drop(conn);
        let backups = Backups::of(options.store.dir());
        let engine = Self {
            inner: Arc::new(Inner {
                store: options.store,
                files: options.files,
                bus: options.bus,
                mails: Mails::new(Mailer::new(options.mails, Handle::current())),
                clock: options.clock,
                encryption_key: options.encryption_key,
                rehash: options.rehash,
                compiler: Compiler::default(),
                passwords: PasswordQueue::new()
                    .map_err(|error| Error::internal("no threads to hash passwords", error))?,
                settings: ArcSwap::from_pointee(settings),
                own,
                hooks: ArcSwap::from_pointee(Hooks::default()),
                collection_hooks: ArcSwap::default(),
                interceptors: Interceptors::default(),
                crons: Crons::default(),
                auth_cache: AuthCache::default(),
                backups,
                bootstrapped: AtomicBool::new(false),
                restart: Notify::new(),
            }),
        };
        for hook in super::auth::system_hooks() {
            engine.register_hook(hook);
        }
        Ok(engine)
    }

    /// Lets whoever serves begin anew; nothing happens where nobody does.
    pub fn request_restart(&self) {
        self.inner.restart.notify_one();
    }

    /// Waits until the server is to begin anew.
    pub async fn restart_requested(&self) {
        self.inner.restart.notified().await;
    }

    /// The collections as they are now.
    #[must_use]
    pub fn schema(&self) -> Arc<Schema> {
        self.inner.store.schema()
    }

    /// A collection by id or name.
    ///
    /// # Errors
    /// `NotFound` with PocketBase's text.
    pub fn collection(&self, id_or_name: &str) -> Result<Arc<Collection>, Error> {
        self.schema()
            .find(id_or_name)
            .cloned()
            .ok_or_else(|| Error::NotFound("Missing collection context.".to_owned()))
    }

    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.inner.settings.load_full()
    }

    pub(super) fn own_state(&self) -> &OwnState {
        &self.inner.own
    }

    pub(super) fn set_settings(&self, settings: Settings) {
        self.inner.settings.store(Arc::new(settings));
    }

    /// Adds a handler of record writes.
    pub fn register_hook(&self, hook: Arc<dyn RecordHook>) {
        self.inner.hooks.rcu(|hooks| {
            let mut hooks = Hooks::clone(hooks);
            hooks.register(Arc::clone(&hook));
            hooks
        });
    }

    pub(super) fn collection_hooks(&self) -> &ArcSwap<CollectionHooks> {
        &self.inner.collection_hooks
    }

    /// Who takes part in events other than writes.
    #[must_use]
    pub fn interceptors(&self) -> &Interceptors {
        &self.inner.interceptors
    }

    /// Whether the server's start is behind: those who listen to [`super::events::EventKind::Bootstrap`] run before and
    /// after that.
    #[must_use]
    pub fn is_bootstrapped(&self) -> bool {
        self.inner.bootstrapped.load(Ordering::Relaxed)
    }

    pub(super) fn set_bootstrapped(&self) {
        self.inner.bootstrapped.store(true, Ordering::Relaxed);
    }

    /// The scheduled jobs.
    #[must_use]
    pub fn crons(&self) -> &Crons {
        &self.inner.crons
    }

    pub(super) fn hooks(&self) -> Arc<Hooks> {
        self.inner.hooks.load_full()
    }

    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    #[must_use]
    pub fn files(&self) -> &Storage {
        &self.inner.files
    }

    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.inner.bus
    }

    pub(super) fn mails(&self) -> &Mails {
        &self.inner.mails
    }

    #[must_use]
    pub fn now(&self) -> DateTime {
        self.inner.clock.now()
    }

    /// A connection to read with.
    ///
    /// # Errors
    /// `Busy` when none gets free in time.
    pub async fn read(&self) -> Result<ReadGuard, Error> {
        Ok(self.inner.store.read().await?)
    }

    /// A record by id, without access rules.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_record(
        &self,
        collection: &Arc<Collection>,
        id: &str,
    ) -> Result<Option<Record>, Error> {
        let mut conn = self.read().await?;
        Ok(records::find(&mut conn, collection, id, &Condition::Always).await?)
    }

    /// Whether a hook protects the files of a record; see [`RecordHook::protects_files`].
    #[must_use]
    pub fn protects_files(&self, record: &Record) -> bool {
        self.hooks().protect_files(record)
    }

    /// Whether a record, as it is here, meets a condition; see [`records::moment_matches`].
    ///
    /// # Errors
    /// Those of the database.
    pub async fn matches(
        &self,
        conn: &mut Conn,
        record: &Record,
        condition: &Condition,
    ) -> Result<bool, Error> {
        Ok(records::moment_matches(conn, record, condition).await?)
    }

    /// Whether new password hashes are argon2id and old ones are replaced at sign-in; in a directory that came from
    /// PocketBase bcrypt stays, so that it can go back.
    pub(super) fn rehashes(&self) -> bool {
        self.inner.rehash
    }

    pub(super) fn encryption_key(&self) -> Option<&str> {
        self.inner.encryption_key.as_deref()
    }

    pub(super) fn compiler(&self) -> &Compiler {
        &self.inner.compiler
    }

    pub(super) fn passwords(&self) -> &PasswordQueue {
        &self.inner.passwords
    }

    pub(super) fn backups(&self) -> &Backups {
        &self.inner.backups
    }

    pub(super) fn auth_cache(&self) -> &AuthCache {
        &self.inner.auth_cache
    }
}
