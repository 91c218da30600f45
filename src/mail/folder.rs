//! Mails as files, for servers without a mail server: on a laptop each flow can be tried by opening a file.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::base::DateTime;
use crate::base::id::random_id;

/// The most files kept; beyond it the oldest go.
const FILES_MAX: usize = 1_000;

/// Writes a message to a new file that only its owner may read, making the folder where needed. Returns the file's path.
/// Blocks on the disk.
pub(super) fn write(folder: &Path, message: &[u8], now: DateTime) -> io::Result<PathBuf> {
    create_folder(folder)?;
    let stamp = now.to_string().replace(' ', "T").replace(':', "");
    let id = random_id();
    let path = folder.join(format!("{stamp}-{id}.eml"));
    let unfinished = folder.join(format!("{id}.tmp"));
    let written = create_file(&unfinished)
        .and_then(|mut file| file.write_all(message))
        .and_then(|()| fs::rename(&unfinished, &path));
    if let Err(error) = written {
        // Nothing else can be done about a file that cannot be removed.
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    remove_oldest(folder, FILES_MAX)?;
    Ok(path)
}

fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn create_file(path: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The names start with the time, so their order is that of the mails.
fn remove_oldest(folder: &Path, keep: usize) -> io::Result<()> {
    let mut mails = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "eml") {
            mails.push(path);
        }
    }
    if mails.len() > keep {
        mails.sort_unstable();
        let surplus = mails.len() - keep;
        for path in mails.iter().take(surplus) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_mail_becomes_a_file_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("mails");
        let now = DateTime::parse("2024-02-03 04:05:06.789Z").unwrap();
        let path = write(&folder, b"content", now).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("2024-02-03T040506.789Z-"), "{name}");
        assert_eq!(names(&folder), [name]);
        assert_eq!(fs::read(&path).unwrap(), b"content");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(&folder)), (0o600, 0o700));
        }
    }

    #[test]
    fn the_oldest_files_go_and_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a note"), "").unwrap();
        for seconds in 0..5 {
            let now = DateTime::from_unix_ms(seconds * 1000);
            write(dir.path(), b"x", now).unwrap();
        }
        remove_oldest(dir.path(), 2).unwrap();
        let left = names(dir.path());
        assert_eq!(left.len(), 3, "{left:?}");
        assert!(left[0].contains("T000003") && left[1].contains("T000004"));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(write(&file.join("mails"), b"x", DateTime::now()).is_err());
    }
}
