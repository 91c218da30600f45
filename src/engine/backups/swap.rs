//! Replacing the content of a data directory, so that neither a failure nor a power cut leaves half of each.
//!
//! The directory must not be in use. A journal in it says how far the exchange is; [`resume`] ends one that was
//! interrupted.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::TEMPORARY;
use crate::base::id::random_string;

/// What stays in the directory.
const STAYS: [&str; 4] = ["backups", TEMPORARY, ".autocert_cache", "lost+found"];
const JOURNAL: &str = "restore.json";

/// An exchange under way. The folders are names below the temporary folder.
#[derive(Debug, Serialize, Deserialize)]
struct Journal {
    phase: Phase,
    /// Takes what is in the directory.
    outgoing: String,
    /// Holds what comes in its place.
    incoming: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Phase {
    /// What is in the directory is old.
    Out,
    /// What is in the directory is new.
    In,
}

/// Whether an entry of the directory takes no part in the exchange.
pub(super) fn stays(name: &str) -> bool {
    STAYS.contains(&name)
}

/// Exchanges the content of `dir` for that of `incoming`, a folder in its temporary folder. Gives the folder with what
/// was there before; exchanging with that one undoes it.
///
/// # Errors
/// Those of the file system, such as a mount point among the entries; then the directory is as before, unless that
/// failed too: in this case the next start tries again.
pub fn swap(dir: &Path, incoming: &Path) -> io::Result<PathBuf> {
    let journal = Journal::new(dir, incoming)?;
    let outgoing = dir.join(TEMPORARY).join(&journal.outgoing);
    run(dir, journal)?;
    Ok(outgoing)
}

/// Makes the next start exchange the content of `dir` for that of `incoming`, for when the directory may still be in use.
///
/// # Errors
/// Those of the file system.
pub fn swap_at_next_start(dir: &Path, incoming: &Path) -> io::Result<()> {
    Journal::new(dir, incoming)?.write(dir)
}

/// Ends an exchange that was interrupted, if there is one.
///
/// # Errors
/// Those of the file system.
pub fn resume(dir: &Path) -> io::Result<bool> {
    let text = match fs::read(dir.join(TEMPORARY).join(JOURNAL)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        read => read?,
    };
    let journal = serde_json::from_slice(&text)?;
    run(dir, journal)?;
    Ok(true)
}

/// What backups and restores left in the temporary folder; nothing while an exchange still needs it.
///
/// # Errors
/// Those of the file system.
pub fn leftovers(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let temporary = dir.join(TEMPORARY);
    if temporary.join(JOURNAL).exists() {
        return Ok(Vec::new());
    }
    match fs::read_dir(temporary) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

/// Removes files and folders.
///
/// # Errors
/// Those of the file system.
pub fn remove(leftovers: &[PathBuf]) -> io::Result<()> {
    for path in leftovers {
        if fs::symlink_metadata(path)?.is_dir() {
            fs::remove_dir_all(path)?;
        } else {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn run(dir: &Path, mut journal: Journal) -> io::Result<()> {
    let result = forward(dir, &mut journal);
    if result.is_err() {
        back(dir, &mut journal)?;
    }
    fs::remove_file(dir.join(TEMPORARY).join(JOURNAL))?;
    result
}

fn forward(dir: &Path, journal: &mut Journal) -> io::Result<()> {
    let temporary = dir.join(TEMPORARY);
    journal.write(dir)?;
    if journal.phase == Phase::Out {
        move_content(dir, &temporary.join(&journal.outgoing))?;
        journal.phase = Phase::In;
        journal.write(dir)?;
    }
    move_content(&temporary.join(&journal.incoming), dir)
}

fn back(dir: &Path, journal: &mut Journal) -> io::Result<()> {
    let temporary = dir.join(TEMPORARY);
    if journal.phase == Phase::In {
        let incoming = temporary.join(&journal.incoming);
        fs::create_dir_all(&incoming)?;
        move_content(dir, &incoming)?;
        journal.phase = Phase::Out;
        journal.write(dir)?;
    }
    move_content(&temporary.join(&journal.outgoing), dir)
}

/// Moves all entries but those that stay.
fn move_content(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        if name.to_str().is_some_and(stays) {
            continue;
        }
        fs::rename(from.join(&name), to.join(&name))?;
    }
    sync(from)?;
    sync(to)
}

impl Journal {
    /// An exchange that has not begun; its outgoing folder is made.
    fn new(dir: &Path, incoming: &Path) -> io::Result<Self> {
        let incoming = incoming.file_name().and_then(|name| name.to_str());
        let journal = Self {
            phase: Phase::Out,
            outgoing: format!("rotunda_old_{}", random_string(10)),
            incoming: incoming.ok_or(io::ErrorKind::InvalidInput)?.to_owned(),
        };
        fs::create_dir_all(dir.join(TEMPORARY).join(&journal.outgoing))?;
        Ok(journal)
    }

    fn write(&self, dir: &Path) -> io::Result<()> {
        let folder = dir.join(TEMPORARY);
        let draft = folder.join(format!("{JOURNAL}.new"));
        fs::write(&draft, serde_json::to_vec(self)?)?;
        File::open(&draft)?.sync_all()?;
        fs::rename(&draft, folder.join(JOURNAL))?;
        sync(&folder)
    }
}

/// Waits until a folder's entries are on disk.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const OLD: [&str; 2] = ["data.db", "storage"];

    /// A directory with `data.db` and `storage/` of which the names say `old`, and an incoming folder with `data.db` and
    /// `extra`, which say `new`.
    fn fixture() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("data");
        let incoming = dir.join(TEMPORARY).join("incoming");
        fs::create_dir_all(&incoming).unwrap();
        fs::create_dir_all(dir.join("backups")).unwrap();
        fs::write(dir.join("backups/a.zip"), "kept").unwrap();
        fs::create_dir(dir.join("storage")).unwrap();
        fs::write(dir.join("storage/file"), "old").unwrap();
        fs::write(dir.join("data.db"), "old").unwrap();
        fs::write(incoming.join("data.db"), "new").unwrap();
        fs::write(incoming.join("extra"), "new").unwrap();
        (root, dir, incoming)
    }

    /// The entries of the directory that take part, and what its database says.
    fn seen(dir: &Path) -> (Vec<String>, String) {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !stays(name))
            .collect();
        names.sort();
        assert_eq!(fs::read(dir.join("backups/a.zip")).unwrap(), b"kept");
        (names, fs::read_to_string(dir.join("data.db")).unwrap())
    }

    fn expect(dir: &Path, names: [&str; 2], content: &str) {
        let (found, says) = seen(dir);
        assert_eq!(
            (found.as_slice(), says.as_str()),
            (names.map(str::to_owned).as_slice(), content)
        );
        assert!(!dir.join(TEMPORARY).join(JOURNAL).exists());
    }

    #[test]
    fn content_is_exchanged_and_exchanged_back() {
        let (_root, dir, incoming) = fixture();
        let before = swap(&dir, &incoming).unwrap();
        expect(&dir, ["data.db", "extra"], "new");
        assert_eq!(fs::read(before.join("storage/file")).unwrap(), b"old");
        swap(&dir, &before).unwrap();
        expect(&dir, OLD, "old");
        let left = leftovers(&dir).unwrap();
        assert_eq!(left.len(), 3);
        remove(&left).unwrap();
        assert!(leftovers(&dir).unwrap().is_empty());
    }

    #[test]
    fn an_exchange_that_fails_leaves_all_as_before() {
        let (_root, dir, incoming) = fixture();
        fs::remove_dir_all(&incoming).unwrap();
        assert!(swap(&dir, &incoming).is_err());
        expect(&dir, OLD, "old");
    }

    #[test]
    fn an_exchange_cut_off_anywhere_is_ended_at_the_next_start() {
        for (phase, moved_out, moved_in) in [
            (Phase::Out, 0, 0),
            (Phase::Out, 1, 0),
            (Phase::Out, 2, 0),
            (Phase::In, 2, 0),
            (Phase::In, 2, 1),
            (Phase::In, 2, 2),
        ] {
            let (_root, dir, incoming) = fixture();
            let outgoing = dir.join(TEMPORARY).join("outgoing");
            fs::create_dir(&outgoing).unwrap();
            let journal = Journal {
                phase,
                outgoing: "outgoing".to_owned(),
                incoming: "incoming".to_owned(),
            };
            journal.write(&dir).unwrap();
            for name in &OLD[..moved_out] {
                fs::rename(dir.join(name), outgoing.join(name)).unwrap();
            }
            for name in &["data.db", "extra"][..moved_in] {
                fs::rename(incoming.join(name), dir.join(name)).unwrap();
            }
            assert!(leftovers(&dir).unwrap().is_empty());
            assert!(resume(&dir).unwrap());
            expect(&dir, ["data.db", "extra"], "new");
            assert!(!resume(&dir).unwrap());
        }
    }

    #[test]
    fn an_exchange_can_wait_for_the_next_start() {
        let (_root, dir, incoming) = fixture();
        swap_at_next_start(&dir, &incoming).unwrap();
        assert_eq!(seen(&dir).1, "old");
        assert!(resume(&dir).unwrap());
        expect(&dir, ["data.db", "extra"], "new");
    }
}
