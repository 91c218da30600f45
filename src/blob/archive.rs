//! Zip archives of folders, as backups are. All functions block.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::key;
use crate::base::date::DateTime;

/// Backups are mostly pictures, which shrink no further: speed counts.
const COMPRESSION_LEVEL: i64 = 1;
const BUFFER_BYTES: usize = 128 * 1024;

/// An archive that is being written.
pub struct Packer {
    zip: ZipWriter<BufWriter<File>>,
}

impl Packer {
    /// Makes the archive; there must be no file of that name.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = BufWriter::with_capacity(BUFFER_BYTES, File::create_new(path)?);
        Ok(Self {
            zip: ZipWriter::new(file).set_auto_large_file(),
        })
    }

    /// Adds a file under a name, with `/` between folders. A file that is not there any more is left out.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn add_file(&mut self, name: &str, path: &Path) -> io::Result<()> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let meta = file.metadata()?;
        let mut options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(COMPRESSION_LEVEL))
            .unix_permissions(0o644);
        if let Some(time) = meta.modified().ok().and_then(zip_time) {
            options = options.last_modified_time(time);
        }
        self.zip.start_file(name, options)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => self
                    .zip
                    .write_all(buffer.get(..count).unwrap_or_default())?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Adds all files below a folder, each under `name/` and its path, folder by folder. Links below it and
    /// files that are being written are left out; `folder` itself may be a link.
    ///
    /// # Errors
    /// Those of the file system; a file name that is not UTF-8.
    pub fn add_folder(&mut self, name: &str, folder: &Path) -> io::Result<()> {
        let mut pending = vec![(name.to_owned(), folder.to_owned())];
        while let Some((name, folder)) = pending.pop() {
            let mut entries = match fs::read_dir(&folder) {
                Ok(entries) => entries.collect::<io::Result<Vec<_>>>()?,
                // Its last file was just removed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            entries.sort_unstable_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let Ok(own) = entry.file_name().into_string() else {
                    return Err(io::Error::other("a file name that is not UTF-8"));
                };
                let name = format!("{name}/{own}");
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    pending.push((name, entry.path()));
                } else if kind.is_file() && !key::is_temporary(&own) {
                    self.add_file(&name, &entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// Completes the archive and waits until it is on disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn finish(self) -> io::Result<()> {
        let file = self.zip.finish()?.into_inner().map_err(io::Error::from)?;
        file.sync_all()
    }
}

/// The two-second resolution of zip is enough here; years before 1980 cannot be told.
fn zip_time(time: std::time::SystemTime) -> Option<zip::DateTime> {
    let civil = DateTime::from_system(time).civil();
    let year = u16::try_from(civil.year).ok()?;
    zip::DateTime::from_date_and_time(
        year,
        civil.month,
        civil.day,
        civil.hour,
        civil.minute,
        civil.second,
    )
    .ok()
}

/// Whether the archive has a file of that name.
///
/// # Errors
/// When it cannot be read as an archive.
pub fn contains(archive: &Path, name: &str) -> io::Result<bool> {
    Ok(open(archive)?.index_for_name(name).is_some())
}

/// Writes the files of an archive below `target`. Links, devices and the like are left out, as are files whose path
/// `wanted` refuses.
///
/// # Errors
/// Those of the file system; an archive that is damaged, or has a path that leads out of `target`.
pub fn extract(archive: &Path, target: &Path, wanted: impl Fn(&Path) -> bool) -> io::Result<()> {
    let mut archive = open(archive)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        if !entry.is_file() {
            continue;
        }
        let Some(path) = entry.enclosed_name() else {
            let reason = "a path in the archive leads out of it";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        };
        if !wanted(&path) {
            continue;
        }
        let path: PathBuf = target.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = File::create_new(&path)?;
        // No more than the archive says itself.
        let size = entry.size();
        let written = io::copy(&mut entry.by_ref().take(size.saturating_add(1)), &mut file)?;
        if written != size {
            let reason = "a file in the archive has another length than it says";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
    }
    Ok(())
}

fn open(archive: &Path) -> io::Result<ZipArchive<BufReader<File>>> {
    Ok(ZipArchive::new(BufReader::new(File::open(archive)?))?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let mut pending = vec![folder.to_owned()];
        while let Some(next) = pending.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    pending.push(path);
                } else {
                    let name = path.strip_prefix(folder).unwrap();
                    found.push((name.to_str().unwrap().to_owned(), fs::read(&path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }

    /// An archive of one file with that name.
    fn archive_of(path: &Path, name: &str, content: &[u8]) {
        let mut zip = ZipWriter::new(File::create(path).unwrap());
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
        zip.finish().unwrap();
    }

    #[test]
    fn what_is_packed_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let (source, target) = (dir.path().join("source"), dir.path().join("target"));
        fs::create_dir_all(source.join("a/b")).unwrap();
        fs::write(source.join("a/b/one.txt"), vec![b'x'; 300_000]).unwrap();
        fs::write(source.join("a/é.txt"), "").unwrap();
        fs::write(source.join("a/.half.upload"), "half").unwrap();
        fs::write(source.join("top"), "top").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("/etc/hostname", source.join("a/link")).unwrap();
        let archive = dir.path().join("x.zip");
        let mut packer = Packer::create(&archive).unwrap();
        packer.add_file("top", &source.join("top")).unwrap();
        packer.add_file("gone", &source.join("gone")).unwrap();
        packer.add_folder("a", &source.join("a")).unwrap();
        packer.add_folder("none", &source.join("none")).unwrap();
        packer.finish().unwrap();
        assert!(archive.metadata().unwrap().len() < 10_000);
        assert!(contains(&archive, "a/b/one.txt").unwrap());
        assert!(!contains(&archive, "a/link").unwrap());
        extract(&archive, &target, |path| path != Path::new("top")).unwrap();
        assert_eq!(
            files(&target),
            [
                ("a/b/one.txt".to_owned(), vec![b'x'; 300_000]),
                ("a/é.txt".to_owned(), Vec::new()),
            ]
        );
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("x.zip");
        for name in ["../out", "a/../../out"] {
            archive_of(&archive, name, b"x");
            let target = dir.path().join("target");
            assert!(extract(&archive, &target, |_| true).is_err(), "{name}");
            assert!(!dir.path().join("out").exists());
        }
    }

    #[test]
    fn damaged_archives_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("x.zip");
        archive_of(&archive, "data", &[7; 1000]);
        let mut bytes = fs::read(&archive).unwrap();
        bytes[40] ^= 1;
        fs::write(&archive, &bytes).unwrap();
        assert!(extract(&archive, &dir.path().join("a"), |_| true).is_err());
        bytes.truncate(bytes.len() - 30);
        fs::write(&archive, &bytes).unwrap();
        assert!(contains(&archive, "data").is_err());
        fs::write(&archive, "no archive").unwrap();
        assert!(contains(&archive, "data").is_err());
    }
}
