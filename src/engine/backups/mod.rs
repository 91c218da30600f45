//! Backups: zip archives of the data directory, in its folder `backups`.
//!
//! An archive holds copies of both databases and, as they are, all other files but the backups. Whoever serves waits for
//! [`Engine::restore_requested`] and then exchanges the directory's content ([`swap`]) while nothing has it open.

pub mod swap;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use serde_json::Value as Json;

use super::events::{Event, EventKind, Outcome, Slot, Slots, WITHIN, tapped};
use super::settings::Settings;
use super::{Engine, Error, checks};
use crate::base::date::DateTime;
use crate::base::within;
use crate::blob::{Content, Entry, NewBlob, Storage, archive, key};
use crate::model::{FieldError, FieldErrors, Upload, UploadSource};
use crate::store::backup::DATABASES;
use crate::store::{Store, StoreOptions, Tx};

/// The folder of the archives, in the data directory.
const FOLDER: &str = "backups";
/// What is being made, and what was replaced; PocketBase's name, which it leaves out of its own backups.
const TEMPORARY: &str = ".pb_temp_to_delete";
/// Locks that PocketBase's processes share.
const NOTIFY: &str = ".notify";

/// Bytes of an archive's name.
const NAME_BYTES_MAX: usize = 150;
/// Bytes of the application's name in it.
const APP_NAME_BYTES_MAX: usize = 50;

const ARCHIVE_TYPE: &str = "application/zip";
const ALREADY_STARTED: &str =
    "Try again later - another backup/restore process has already been started.";

/// The backups of a data directory.
pub(super) struct Backups {
    files: Storage,
    /// The archive that is being made or restored; one at a time.
    active: Mutex<Option<String>>,
    /// The folder whose content is to replace the directory's.
    restore: watch::Sender<Option<PathBuf>>,
}

impl Backups {
    pub(super) fn of(dir: &Path) -> Self {
        Self {
            files: Storage::local(dir.join(FOLDER)),
            active: Mutex::default(),
            restore: watch::Sender::default(),
        }
    }

    fn active(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it lives, no other backup or restore starts.
struct Turn {
    engine: Engine,
    lasts: bool,
}

impl Turn {
    /// Lets nothing start any more.
    fn last(mut self) {
        self.lasts = true;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.lasts {
            *self.engine.backups().active() = None;
        }
    }
}

/// A backup that is made or restored, as those see it who take part.
struct Archiving {
    /// Empty: the archive's name is to be made.
    filename: String,
    /// Names in the data directory that are left out.
    exclude: Vec<String>,
}

impl Archiving {
    fn new(filename: &str) -> Self {
        Self {
            filename: filename.to_owned(),
            exclude: [FOLDER, TEMPORARY, NOTIFY].map(str::to_owned).to_vec(),
        }
    }

    /// Gives nothing when a handler keeps the action from running.
    async fn run<R, A>(
        mut self,
        engine: &Engine,
        kind: EventKind,
        action: A,
    ) -> Result<Option<R>, Error>
    where
        A: AsyncFnOnce(&Self) -> Result<R, Error>,
    {
        let handlers = engine.interceptors().handlers(kind, None);
        let event = || Event::new(kind, None);
        let default = async |work: &mut Self, _: Option<&mut Tx>| action(work).await;
        let tapped = tapped(&handlers, event, None, &mut self, default).await;
        Ok(match tapped.result? {
            Outcome::Done(result) => Some(result),
            Outcome::Answered(_) | Outcome::Silent => None,
        })
    }
}

impl Slots for Archiving {
    fn put(&mut self, event: &mut Event) {
        let exclude = self.exclude.iter().map(String::as_str).collect::<Json>();
        event.set("filename", Slot::Json(self.filename.as_str().into()));
        event.set("exclude", Slot::Json(exclude));
    }

    fn take(&mut self, event: &mut Event) {
        if let Some(Slot::Json(Json::String(name))) = event.take("filename") {
            self.filename = name;
        }
        if let Some(Slot::Json(Json::Array(names))) = event.take("exclude") {
            let texts = names.iter().filter_map(Json::as_str);
            self.exclude = texts.map(str::to_owned).collect();
        }
    }
}

impl Engine {
    /// Whether a backup is being made or restored.
    #[must_use]
    pub fn backup_is_active(&self) -> bool {
        self.backups().active().is_some()
    }

    fn take_turn(&self, name: &str) -> Result<Turn, Error> {
        let mut active = self.backups().active();
        if active.is_some() {
            return Err(Error::bad_request(ALREADY_STARTED));
        }
        *active = Some(name.to_owned());
        drop(active);
        Ok(Turn {
            engine: self.clone(),
            lasts: false,
        })
    }

    /// Where the archives are.
    #[must_use]
    pub fn backup_files(&self) -> &Storage {
        &self.backups().files
    }

    /// The archives by name.
    ///
    /// # Errors
    /// `Internal` when the folder cannot be read.
    pub async fn list_backups(&self) -> Result<Vec<Entry>, Error> {
        self.backup_files()
            .list_prefix("")
            .await
            .map_err(|error| Error::internal("the backups cannot be listed", error))
    }

    /// Makes an archive; without a name it gets one from application and time. Readers and writers go on meanwhile;
    /// files of records are deleted after it. Runs to its end even when the caller stops waiting.
    ///
    /// # Errors
    /// `BadRequest` while another backup or restore runs, `Validation` of `name`, `Internal`.
    pub async fn create_backup(&self, name: &str) -> Result<(), Error> {
        let turn = self.take_turn(name)?;
        self.check_new_name(name).await?;
        let work = Archiving::new(name);
        let making = async move {
            let engine = &turn.engine;
            let made = work.run(engine, EventKind::BackupCreate, async |work| {
                let name = match work.filename.as_str() {
                    "" => generated_name(&engine.settings(), engine.now()),
                    name => name.to_owned(),
                };
                make(engine, &name, &work.exclude).await
            });
            let made = made.await.map(drop);
            drop(turn);
            made
        };
        let task = tokio::spawn(WITHIN.scope(within::current(), making));
        task.await
            .map_err(|error| Error::internal("the backup ended early", error))?
    }

    async fn check_new_name(&self, name: &str) -> Result<(), Error> {
        let error = match checks::bytes_between(name, 1, NAME_BYTES_MAX)
            .or_else(|| checks::matches(name, is_name))
        {
            None if !name.is_empty() && self.is_taken(name).await => Some(FieldError::new(
                "validation_backup_name_exists",
                "The backup file name is invalid or already exists.",
            )),
            error => error,
        };
        let mut errors = FieldErrors::new();
        errors.check("name", error);
        Ok(errors.into_result()?)
    }

    async fn is_taken(&self, name: &str) -> bool {
        self.backup_files().exists(name).await.unwrap_or(true)
    }

    /// Takes an archive under its own name; `None` stands for a missing file.
    ///
    /// # Errors
    /// `Validation` of `file`, `Internal`.
    pub async fn upload_backup(&self, file: Option<Upload>) -> Result<(), Error> {
        let refused = |error| Error::from(FieldErrors::one("file", error));
        let Some(file) = file else {
            return Err(refused(checks::blank()));
        };
        if file.content_type != ARCHIVE_TYPE {
            return Err(refused(FieldError::new(
                "validation_invalid_mime_type",
                format!(
                    "\"{}\" mime type must be one of: {ARCHIVE_TYPE}.",
                    file.original_name
                ),
            )));
        }
        if self.is_taken(&file.original_name).await {
            return Err(refused(FieldError::new(
                "validation_backup_name_exists",
                "Backup file with the specified name already exists.",
            )));
        }
        let content = match &file.source {
            UploadSource::Memory(bytes) => Content::Bytes(bytes.clone()),
            UploadSource::File(temporary) => Content::File(temporary.path.clone()),
        };
        self.put_backup(&file.original_name, content).await
    }

    async fn put_backup(&self, name: &str, content: Content) -> Result<(), Error> {
        let new = NewBlob {
            content_type: Some(ARCHIVE_TYPE.to_owned()),
            original_name: Some(name.to_owned()),
        };
        self.backup_files()
            .put(name, content, new)
            .await
            .map_err(|error| Error::internal("the backup cannot be stored", error))
    }

    /// Deletes an archive.
    ///
    /// # Errors
    /// `BadRequest` for one that is not there or in use.
    pub async fn delete_backup(&self, name: &str) -> Result<(), Error> {
        if self.backups().active().as_deref() == Some(name) {
            return Err(Error::bad_request(
                "The backup is currently being used and cannot be deleted.",
            ));
        }
        self.backup_files().delete(name).await.map_err(|error| {
            tracing::debug!(%error, "a backup is not deleted");
            Error::bad_request("Invalid or already deleted backup file.")
        })
    }

    /// Begins to restore an archive: it is taken out and tried in the background; then [`Engine::restore_requested`]
    /// wakes whoever serves. A failure is logged and changes nothing.
    ///
    /// # Errors
    /// `BadRequest` while another backup or restore runs, and for an archive that is not there or has no database.
    pub async fn restore_backup(&self, name: &str) -> Result<(), Error> {
        let turn = self.take_turn(name)?;
        let invalid = || Error::bad_request("Missing or invalid backup file.");
        if key::check(name).is_err() || name.contains('/') {
            return Err(invalid());
        }
        let path = self.store().dir().join(FOLDER).join(name);
        let looked_at = path.clone();
        let has_database =
            spawn_blocking(move || archive::contains(&looked_at, DATABASES[0])).await;
        if !matches!(has_database, Ok(Ok(true))) {
            return Err(invalid());
        }
        let name = name.to_owned();
        tokio::spawn(async move {
            let engine = &turn.engine;
            let work = Archiving::new(&name);
            let prepared = work.run(engine, EventKind::BackupRestore, async |_| {
                prepare(engine, path).await
            });
            match prepared.await {
                Ok(Some(folder)) => {
                    turn.engine.backups().restore.send_replace(Some(folder));
                    turn.last();
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(error = ?error, backup.name = name, "the backup is not restored");
                }
            }
        });
        Ok(())
    }

    /// Waits until a backup is to be restored; gives the folder to exchange the directory's content for ([`swap`]).
    pub async fn restore_requested(&self) -> PathBuf {
        let mut requests = self.backups().restore.subscribe();
        let folder = requests.wait_for(Option::is_some).await;
        match folder.ok().and_then(|folder| folder.clone()) {
            Some(folder) => folder,
            // The sender lives as long as the engine.
            None => std::future::pending().await,
        }
    }
}

fn is_name(name: &str) -> bool {
    let stem = name.strip_suffix(".zip").unwrap_or_default();
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    !stem.is_empty() && stem.bytes().all(fits)
}

/// `pb_backup_my_app_20220101100000.zip`.
fn generated_name(settings: &Settings, now: DateTime) -> String {
    let app: String = snake_case(&settings.meta.app_name)
        .chars()
        .take(APP_NAME_BYTES_MAX)
        .collect();
    let digits: String = now
        .text()
        .as_str()
        .bytes()
        .filter(u8::is_ascii_digit)
        .take(14)
        .map(char::from)
        .collect();
    format!("pb_backup_{app}_{digits}.zip")
}

/// Words of ASCII letters and digits in lower case, joined by `_`.
fn snake_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for char in text.chars() {
        let starts_word = !before.is_ascii_alphanumeric()
            || (char.is_ascii_uppercase() && !before.is_ascii_uppercase());
        if char.is_ascii_alphanumeric() {
            if starts_word && !out.is_empty() {
                out.push('_');
            }
            out.push(char.to_ascii_lowercase());
        }
        before = char;
    }
    out
}

fn temporary(engine: &Engine, prefix: &str) -> io::Result<tempfile::TempDir> {
    let folder = engine.store().dir().join(TEMPORARY);
    std::fs::create_dir_all(&folder)?;
    tempfile::Builder::new().prefix(prefix).tempdir_in(folder)
}

async fn make(engine: &Engine, name: &str, exclude: &[String]) -> Result<(), Error> {
    let failed = |error: io::Error| Error::internal("the backup cannot be written", error);
    let folder = temporary(engine, "rotunda_backup_").map_err(failed)?;
    // The rows come first, and then the files, of which none that a row names goes away meanwhile.
    let hold = engine.files().hold_deletions().await;
    engine.store().copy_into(folder.path()).await?;
    let (dir, copies) = (engine.store().dir().to_owned(), folder.path().to_owned());
    let archive = folder.path().join("archive.zip");
    let (target, exclude) = (archive.clone(), exclude.to_vec());
    spawn_blocking(move || pack(&dir, &copies, &target, &exclude))
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(failed)?;
    drop(hold);
    engine.put_backup(name, Content::File(archive)).await
}

/// Packs the copies of the databases and, from the data directory, everything else.
fn pack(dir: &Path, copies: &Path, target: &Path, exclude: &[String]) -> io::Result<()> {
    let mut packer = archive::Packer::create(target)?;
    for name in DATABASES {
        packer.add_file(name, &copies.join(name))?;
    }
    let mut entries = std::fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_unstable_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // `data.db-wal` and the like belong to the database.
        let is_database = DATABASES.iter().any(|database| name.starts_with(database));
        if is_database || swap::stays(&name) || name == NOTIFY || exclude.contains(&name) {
            continue;
        }
        // A link is followed here, such as one from `storage` to another disk.
        match std::fs::metadata(entry.path()) {
            Ok(meta) if meta.is_dir() => packer.add_folder(&name, &entry.path())?,
            Ok(meta) if meta.is_file() => packer.add_file(&name, &entry.path())?,
            _ => {}
        }
    }
    packer.finish()
}

/// Takes an archive out into a folder, and opens its content there as a start would.
async fn prepare(engine: &Engine, archive: PathBuf) -> Result<PathBuf, Error> {
    let failed = |error: io::Error| Error::internal("the backup cannot be taken out", error);
    let folder = temporary(engine, "rotunda_restore_").map_err(failed)?;
    let target = folder.path().to_owned();
    spawn_blocking(move || {
        archive::extract(&archive, &target, |path| {
            let first = path.iter().next().and_then(|name| name.to_str());
            // SQLite makes the index of its log anew.
            first.is_some_and(|name| !swap::stays(name) && !name.ends_with(".db-shm"))
        })
    })
    .await
    .map_err(io::Error::other)
    .flatten()
    .map_err(failed)?;
    let store = Store::open(StoreOptions::new(folder.path())).await?;
    let tried = try_settings(engine, &store).await;
    store.close().await;
    tried?;
    Ok(folder.keep())
}

async fn try_settings(engine: &Engine, store: &Store) -> Result<(), Error> {
    let mut conn = store.read().await?;
    Settings::load(&mut conn, engine.encryption_key())
        .await
        .map(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::bus::{Bus, BusOptions};
    use crate::engine::EngineOptions;

    async fn engine(dir: &Path) -> Engine {
        Engine::open(EngineOptions {
            store: Store::open(StoreOptions::new(dir)).await.unwrap(),
            files: Storage::local(dir.join("storage")),
            bus: Bus::new(BusOptions::default()),
            clock: Clock::system(),
            encryption_key: None,
            rehash: true,
            mails: dir.join("mails"),
        })
        .await
        .unwrap()
    }

    fn keys(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.key.as_str()).collect()
    }

    #[test]
    fn names_are_plain() {
        for (name, fits) in [
            ("a.zip", true),
            ("pb_backup-1.zip", true),
            (".zip", false),
            ("a", false),
            ("A.zip", false),
            ("a.b.zip", false),
            ("a.zip\n", false),
            ("../a.zip", false),
            ("é.zip", false),
        ] {
            assert_eq!(is_name(name), fits, "{name}");
        }
    }

    #[test]
    fn generated_names_tell_application_and_time_and_are_plain() {
        let mut settings = Settings::default();
        let now = DateTime::parse("2022-01-02 03:04:05.678Z").unwrap();
        for (app, name) in [
            ("My App2", "pb_backup_my_app2_20220102030405.zip"),
            (
                "acme_testHTTP",
                "pb_backup_acme_test_http_20220102030405.zip",
            ),
            ("../Ünï/x", "pb_backup_n_x_20220102030405.zip"),
            ("", "pb_backup__20220102030405.zip"),
        ] {
            app.clone_into(&mut settings.meta.app_name);
            assert_eq!(generated_name(&settings, now), name);
            assert!(is_name(name));
        }
    }

    #[tokio::test]
    async fn one_backup_or_restore_runs_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine(dir.path()).await;
        engine.create_backup("a.zip").await.unwrap();
        let turn = engine.take_turn("a.zip").unwrap();
        assert!(engine.backup_is_active());
        for refused in [
            engine.create_backup("b.zip").await,
            engine.restore_backup("a.zip").await,
            engine.delete_backup("a.zip").await,
        ] {
            assert!(matches!(refused, Err(Error::BadRequest(_))));
        }
        drop(turn);
        engine.create_backup("b.zip").await.unwrap();
        engine.delete_backup("a.zip").await.unwrap();
        assert_eq!(keys(&engine.list_backups().await.unwrap()), ["b.zip"]);
    }

    #[tokio::test]
    async fn backups_hold_all_but_backups_and_what_is_being_made() {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine(dir.path()).await;
        std::fs::write(dir.path().join("types.d.ts"), "t").unwrap();
        let content = Content::Bytes("x".into());
        let put = engine.files().put("c/r/f.txt", content, NewBlob::default());
        put.await.unwrap();
        engine.create_backup("a.zip").await.unwrap();
        engine.create_backup("b.zip").await.unwrap();
        let (archive, target) = (dir.path().join("backups/b.zip"), dir.path().join("out"));
        archive::extract(&archive, &target, |_| true).unwrap();
        let mut names: Vec<String> = std::fs::read_dir(&target)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["auxiliary.db", "data.db", "storage", "types.d.ts"]);
        assert!(target.join("storage/c/r/f.txt").exists());
        assert!(swap::leftovers(dir.path()).unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_backup_that_does_not_open_is_given_up_and_another_can_begin() {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine(dir.path()).await;
        let bad = dir.path().join("bad.zip");
        let broken = dir.path().join("broken.db");
        std::fs::write(&broken, "no database").unwrap();
        let mut packer = archive::Packer::create(&bad).unwrap();
        packer.add_file("data.db", &broken).unwrap();
        packer.finish().unwrap();
        engine
            .put_backup("bad.zip", Content::File(bad))
            .await
            .unwrap();
        engine.restore_backup("bad.zip").await.unwrap();
        let given_up = async {
            while engine.backup_is_active() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), given_up)
            .await
            .unwrap();
        assert!(engine.backups().restore.borrow().is_none());
        engine.create_backup("a.zip").await.unwrap();
        engine.restore_backup("a.zip").await.unwrap();
        let folder = engine.restore_requested().await;
        assert!(folder.join("data.db").exists() && engine.backup_is_active());
    }
}
