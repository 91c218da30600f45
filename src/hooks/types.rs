//! `pb_data/types.d.ts`: what editors complete in scripts.

use std::fs;
use std::path::Path;

const TEXT: &str = include_str!("../../static/types.d.ts");

/// Writes the declarations into the data directory, if they are not there already. Scripts run without them, so that a
/// failure is no more than a line in the log.
pub(super) fn write(dir: &Path) {
    let path = dir.join("types.d.ts");
    if fs::read_to_string(&path).is_ok_and(|text| text == TEXT) {
        return;
    }
    if let Err(error) = fs::write(&path, TEXT) {
        tracing::warn!(%error, "the declarations for editors cannot be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_written_when_they_differ() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("types.d.ts");
        write(folder.path());
        assert_eq!(fs::read_to_string(&path).unwrap(), TEXT);
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        write(folder.path());
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);
        fs::write(&path, "other").unwrap();
        write(folder.path());
        assert_eq!(fs::read_to_string(&path).unwrap(), TEXT);
    }

    #[test]
    fn every_event_is_declared() {
        for (name, _) in super::super::names::EVENTS {
            let declaration = format!("declare function on{name}(");
            assert!(TEXT.contains(&declaration), "{name}");
        }
    }
}
