//! Which files are scripts, and what they are called.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;

use regex::Regex;

use super::registry::Script;

/// How deep folders of scripts may nest, and how many files are looked at.
const FOLDERS_DEPTH_MAX: usize = 16;
const FILES_MAX: usize = 10_000;

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

/// The scripts of a folder in the order of their names. `top_level_only` keeps to what PocketBase starts: `*.pb.js` and
/// `*.pb.ts` of the folder itself. Files that another file requires are modules and no scripts.
pub(super) fn scan(folder: &Path, top_level_only: bool) -> Vec<ScriptFile> {
    let mut paths = Vec::new();
    collect(folder, 0, top_level_only, &mut paths);
    paths.sort();
    let required = required_files(&paths, folder);
    paths.retain(|path| !required.contains(path));
    let names: Vec<String> = paths.iter().map(|path| below(folder, path)).collect();
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for name in &names {
        *uses.entry(stem(last_part(name))).or_default() += 1;
    }
    let ids: Vec<String> = names
        .iter()
        .map(|name| {
            let short = stem(last_part(name));
            if uses.get(short) == Some(&1) {
                short.to_owned()
            } else {
                stem(name).replace('/', "-")
            }
        })
        .collect();
    paths
        .into_iter()
        .zip(names)
        .zip(ids)
        .map(|((path, name), id)| ScriptFile { id, name, path })
        .collect()
}

/// Whether a file could be a script or module.
pub(super) fn is_source(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default();
    !name.starts_with('.') && (extension == "js" || extension == "ts") && !name.ends_with(".d.ts")
}

fn collect(folder: &Path, depth: usize, top_level_only: bool, paths: &mut Vec<PathBuf>) {
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
            if !hidden && !top_level_only && depth < FOLDERS_DEPTH_MAX {
                collect(&path, depth + 1, top_level_only, paths);
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

/// The files among `paths` that others among them require by a literal name.
fn required_files(paths: &[PathBuf], folder: &Path) -> BTreeSet<PathBuf> {
    let mut required = BTreeSet::new();
    let Some(pattern) = REQUIRE.as_ref() else {
        return required;
    };
    for path in paths {
        let Ok(text) = fs::read_to_string(path) else {
            continue;
        };
        for found in pattern.captures_iter(&text) {
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
            let named = paths.iter().filter(|other| {
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
