//! Which files are scripts, and what they are called.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock};

use regex::Regex;
use sha2::{Digest as _, Sha256};

use super::registry::Script;

/// How deep folders of scripts may nest, and how many files are looked at.
const FOLDERS_DEPTH_MAX: usize = 16;
const FILES_MAX: usize = 10_000;
/// The most bytes of a script's text.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// A file that starts by itself, or a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScriptFile {
    /// The file name without extension and `.pb`; its whole path with `-` where another has the same.
    pub(super) id: String,
    /// The path below the hooks folder.
    pub(super) name: String,
    pub(super) path: PathBuf,
}

impl ScriptFile {
    /// A shared module, as logs name it.
    pub(super) fn module(path: &Path) -> Self {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        Self {
            id: stem(&name).to_owned(),
            name,
            path: path.to_owned(),
        }
    }

    /// The script of this file, before it was ever loaded.
    pub(super) fn into_script(self) -> Script {
        Script {
            id: self.id,
            name: self.name,
            path: self.path,
            calls: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            state: std::sync::Mutex::default(),
        }
    }
}

/// A file's text, or why it cannot be read.
pub(super) type Text = Result<Arc<str>, String>;

/// What tells one content of a file from another.
pub(super) type Digest = [u8; 32];

/// The digest of a content.
pub(super) fn digest(text: &Text) -> Digest {
    match text {
        Ok(text) => Sha256::digest(text.as_bytes()).into(),
        Err(error) => Sha256::digest(error.as_bytes()).into(),
    }
}

/// Reads a file of scripts.
pub(super) fn read(path: &Path) -> Text {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > TEXT_BYTES_MAX {
        return Err("the file is too large".to_owned());
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    if text.trim_ascii().is_empty() {
        // A file that is being written anew begins like this, and must not replace what runs.
        return Err("the file is empty".to_owned());
    }
    Ok(text.into())
}

/// What is in the folders at one moment.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What starts by itself, in the order of the names.
    pub(super) scripts: Vec<(ScriptFile, Text)>,
    /// What other files require or may require.
    pub(super) modules: BTreeMap<PathBuf, Digest>,
}

/// Which folders are looked at.
#[derive(Clone, Debug)]
pub(super) struct Folders {
    pub(super) hooks: PathBuf,
    pub(super) modules: PathBuf,
    /// Only `*.pb.js` and `*.pb.ts` of the hooks folder itself start, as in PocketBase.
    pub(super) top_level_only: bool,
}

/// Looks at the folders. `loaded` are files that were required under names that cannot be seen in the texts: they are
/// modules too.
pub(super) fn scan(folders: &Folders, loaded: &BTreeSet<PathBuf>) -> Found {
    let folder = &folders.hooks;
    let mut paths = Vec::new();
    collect(
        folder,
        folders.top_level_only,
        &mut Visited::default(),
        &mut paths,
    );
    paths.sort();
    let mut texts: BTreeMap<PathBuf, Text> = paths
        .iter()
        .map(|path| (path.clone(), read(path)))
        .collect();
    let mut required = required_files(&texts, folder);
    required.extend(loaded.iter().cloned());
    paths.retain(|path| !required.contains(path));
    let mut modules = BTreeMap::new();
    let mut shared = Vec::new();
    collect_modules(&folders.modules, &mut Visited::default(), &mut shared);
    for path in shared.into_iter().chain(required) {
        let text = texts.remove(&path).unwrap_or_else(|| read(&path));
        modules.insert(path, digest(&text));
    }
    let names: Vec<String> = paths.iter().map(|path| below(folder, path)).collect();
    let scripts = ids(&names)
        .into_iter()
        .zip(&names)
        .zip(paths)
        .map(|((id, name), path)| {
            let text = texts.remove(&path).unwrap_or_else(|| read(&path));
            let name = name.clone();
            (ScriptFile { id, name, path }, text)
        })
        .collect();
    Found { scripts, modules }
}

/// The ids of scripts by their names below the folder: the last part without extension; all of it where two share that;
/// with the extension where even that is taken.
fn ids(names: &[String]) -> Vec<String> {
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *uses.entry(stem(last_part(name))).or_default() += 1;
    }
    let mut taken = BTreeSet::new();
    names
        .iter()
        .map(|name| {
            let short = stem(last_part(name));
            let id = if uses.get(short) == Some(&1) {
                short.to_owned()
            } else {
                stem(name).replace('/', "-")
            };
            if taken.insert(id.clone()) {
                return id;
            }
            let whole = name.replace('/', "-");
            taken.insert(whole.clone());
            whole
        })
        .collect()
}

/// Whether a file could be a script or module.
pub(super) fn is_source(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default();
    !name.starts_with('.') && (extension == "js" || extension == "ts") && !name.ends_with(".d.ts")
}

/// The folders on the way, by where they really are: a link may lead to a folder that is looked at already.
#[derive(Default)]
struct Visited {
    folders: BTreeSet<PathBuf>,
    depth: usize,
}

impl Visited {
    /// Looks into a folder, unless that was done before or it is too deep.
    fn enter(&mut self, folder: &Path, look: impl FnOnce(&mut Self)) {
        let Ok(place) = fs::canonicalize(folder) else {
            return;
        };
        if self.depth > FOLDERS_DEPTH_MAX || !self.folders.insert(place) {
            return;
        }
        self.depth += 1;
        look(self);
        self.depth -= 1;
    }
}

/// All files below the modules folder that may be required.
fn collect_modules(folder: &Path, visited: &mut Visited, paths: &mut Vec<PathBuf>) {
    visited.enter(folder, |visited| modules_in(folder, visited, paths));
}

fn modules_in(folder: &Path, visited: &mut Visited, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if paths.len() >= FILES_MAX {
            return;
        }
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect_modules(&path, visited, paths);
        } else if is_source(&path) || name.ends_with(".json") {
            paths.push(path);
        }
    }
}

fn collect(folder: &Path, top_level_only: bool, visited: &mut Visited, paths: &mut Vec<PathBuf>) {
    visited.enter(folder, |visited| {
        scripts_in(folder, top_level_only, visited, paths);
    });
}

fn scripts_in(
    folder: &Path,
    top_level_only: bool,
    visited: &mut Visited,
    paths: &mut Vec<PathBuf>,
) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if paths.len() >= FILES_MAX {
            return;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            let hidden = name.starts_with('.') || name == "node_modules";
            if !hidden && !top_level_only {
                collect(&path, top_level_only, visited, paths);
            }
        } else if is_source(&path) {
            let starts = name.ends_with(".pb.js") || name.ends_with(".pb.ts");
            if starts || !top_level_only {
                paths.push(path);
            }
        }
    }
}

/// `require("...")` and its likes with a literal name.
static REQUIRE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"\brequire\(\s*["'`](?:\$\{__hooks\}/)?([^"'`$]+)["'`]\s*\)"#).ok()
});

/// The files among these that others among them require by a literal name.
fn required_files(texts: &BTreeMap<PathBuf, Text>, folder: &Path) -> BTreeSet<PathBuf> {
    let mut required = BTreeSet::new();
    if texts.is_empty() {
        return required;
    }
    let Some(pattern) = REQUIRE.as_ref() else {
        return required;
    };
    for (path, text) in texts {
        let Ok(text) = text else {
            continue;
        };
        for found in pattern.captures_iter(text) {
            let Some(name) = found.get(1).map(|name| name.as_str()) else {
                continue;
            };
            let base = if name.starts_with('.') {
                path.parent().unwrap_or(folder)
            } else {
                folder
            };
            let plain = name.trim_start_matches("./");
            let target = base.join(plain);
            let named = texts.keys().filter(|other| {
                **other == target
                    || ["js", "ts", "pb.js", "pb.ts"]
                        .iter()
                        .any(|extension| other.as_os_str() == with(&target, extension).as_os_str())
            });
            required.extend(named.filter(|other| *other != path).cloned());
        }
    }
    required
}

fn with(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

fn below(folder: &Path, path: &Path) -> String {
    path.strip_prefix(folder)
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/")
}

fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// A file name without `.js`, `.ts` and `.pb`.
fn stem(name: &str) -> &str {
    let name = name
        .strip_suffix(".js")
        .or_else(|| name.strip_suffix(".ts"))
        .unwrap_or(name);
    name.strip_suffix(".pb").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_where_they_can_be_and_always_apart() {
        let names = ["a.js", "b.pb.ts", "sub/a.ts", "c.js", "c.ts"].map(str::to_owned);
        assert_eq!(ids(&names), ["a", "b", "sub-a", "c", "c.ts"]);
    }

    #[test]
    fn required_files_are_modules_and_do_not_start() {
        let folder = tempfile::tempdir().unwrap();
        let hooks = folder.path().join("hooks");
        let modules = folder.path().join("modules");
        for (path, text) in [
            (
                "hooks/a.js",
                "const t = require('./tool'); require(`${__hooks}/deep/other.js`)",
            ),
            ("hooks/tool.js", ""),
            ("hooks/deep/other.js", ""),
            ("hooks/deep/b.ts", ""),
            ("hooks/.hidden.js", ""),
            ("hooks/types.d.ts", ""),
            ("hooks/node_modules/x.js", ""),
            ("hooks/late.js", ""),
            ("modules/counter.js", ""),
            ("modules/data.json", "{}"),
            ("modules/read.me", ""),
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut folders = Folders {
            hooks: hooks.clone(),
            modules: modules.clone(),
            top_level_only: false,
        };
        let loaded = BTreeSet::from([hooks.join("late.js")]);
        let found = scan(&folders, &loaded);
        let ids: Vec<_> = found.scripts.iter().map(|(file, _)| &*file.id).collect();
        assert_eq!(ids, ["a", "b"]);
        let paths: Vec<_> = found.modules.keys().cloned().collect();
        let expected = [
            hooks.join("deep/other.js"),
            hooks.join("late.js"),
            hooks.join("tool.js"),
            modules.join("counter.js"),
            modules.join("data.json"),
        ];
        assert_eq!(paths, expected);

        folders.top_level_only = true;
        assert!(scan(&folders, &BTreeSet::new()).scripts.is_empty());
        fs::write(hooks.join("x.pb.js"), "").unwrap();
        let found = scan(&folders, &BTreeSet::new());
        assert_eq!(found.scripts[0].0.id, "x");
    }

    #[test]
    fn a_linked_folder_is_looked_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let hooks = folder.path().join("hooks");
        fs::create_dir_all(hooks.join("deep")).unwrap();
        fs::write(hooks.join("a.js"), "").unwrap();
        fs::write(hooks.join("deep/b.js"), "").unwrap();
        for link in ["one", "two", "deep/three"] {
            std::os::unix::fs::symlink(&hooks, hooks.join(link)).unwrap();
        }
        let folders = Folders {
            modules: hooks.clone(),
            hooks,
            top_level_only: false,
        };
        let found = scan(&folders, &BTreeSet::new());
        assert_eq!(found.scripts.len(), 2);
    }

    #[test]
    fn a_blank_file_is_no_script_yet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.js");
        for (text, is_script) in [("", false), (" \n", false), ("// nothing", true)] {
            fs::write(&path, text).unwrap();
            assert_eq!(read(&path).is_ok(), is_script, "{text:?}");
        }
    }
}
