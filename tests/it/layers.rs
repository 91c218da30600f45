//! The house rules on who may use whom, read from the sources.
//!
//! A new edge is its own commit, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms each room may import. The rooms stand in their order: nobody imports from below.
const EDGES: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("config", &["base"]),
    ("filter", &[]),
    ("bus", &[]),
    ("sfu", &[]),
    ("js", &["base"]),
    ("blob", &["base"]),
    ("mail", &["base"]),
    ("outbound", &[]),
    ("telemetry", &[]),
    ("template", &[]),
    ("model", &["base"]),
    ("store", &["base", "filter", "model"]),
    (
        "engine",
        &["base", "filter", "bus", "blob", "mail", "model", "store"],
    ),
    ("http", &["base", "bus", "blob", "model", "engine"]),
    (
        "api",
        &[
            "base", "filter", "bus", "blob", "model", "store", "engine", "http",
        ],
    ),
    (
        "live",
        &["base", "bus", "sfu", "model", "store", "engine", "http"],
    ),
    (
        "modules",
        &[
            "base", "filter", "sfu", "model", "store", "engine", "http", "live",
        ],
    ),
    (
        "hooks",
        &[
            "base", "filter", "bus", "blob", "mail", "js", "outbound", "template", "model",
            "store", "engine", "http", "api", "live",
        ],
    ),
    (
        "server",
        &[
            "base", "config", "bus", "sfu", "blob", "outbound", "model", "store", "engine", "http",
            "api", "live", "modules", "hooks",
        ],
    ),
    (
        "cli",
        &[
            "base",
            "config",
            "telemetry",
            "model",
            "store",
            "engine",
            "hooks",
            "server",
        ],
    ),
    ("main", &["cli"]),
];

/// Who alone may use a library; others are everybody's.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    (
        "actix_web",
        &["http", "api", "live", "modules", "hooks", "server", "cli"],
    ),
    ("actix_files", &["server"]),
    // Requests without a socket.
    ("actix_http", &["server"]),
    ("actix_service", &["server"]),
    ("actix_multipart", &["http"]),
    ("utoipa", &["api", "live", "modules", "hooks"]),
    ("clap", &["config"]),
    ("dotenvy", &["cli"]),
    ("anyhow", &["cli", "server"]),
    ("tracing_subscriber", &["telemetry"]),
    // The engine signs Apple's client secrets.
    ("jsonwebtoken", &["base", "engine"]),
    ("argon2", &["base"]),
    ("bcrypt", &["base"]),
    ("aes_gcm", &["base"]),
    ("image", &["blob"]),
    ("lettre", &["mail"]),
    // Tests of http ask a server of their own.
    ("reqwest", &["http", "outbound"]),
    ("boa_engine", &["js", "hooks"]),
    ("boa_gc", &["js", "hooks"]),
    ("boa_runtime", &["js"]),
    ("oxc", &["js"]),
    ("webrtc", &["sfu"]),
    ("rtc", &["sfu"]),
];

#[test]
fn rooms_import_only_what_the_table_allows() {
    let mut found: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for source in sources() {
        // A package of its own: it can import nothing of ours, and names its own parts by `crate`.
        if source.room == "sfu" {
            continue;
        }
        for target in rooms_named_in(&source.code) {
            if target != source.room {
                let edge = (source.room.clone(), target);
                found.entry(edge).or_default().push(source.path.clone());
            }
        }
    }
    check("an import from a room", EDGES, &found);
}

#[test]
fn libraries_stay_in_their_rooms() {
    let mut found: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for source in sources() {
        for (library, _) in LIBRARIES {
            if names(&source.code, library) {
                let edge = ((*library).to_owned(), source.room.clone());
                found.entry(edge).or_default().push(source.path.clone());
            }
        }
    }
    check("a use of a library in a room", LIBRARIES, &found);
}

/// Which modules each application module may use.
const MODULES: &[(&str, &[&str])] = &[
    ("social", &[]),
    ("market", &[]),
    // Paid follows; posts that followers are told of.
    ("follows", &["market", "social"]),
    // Paid rooms.
    ("rooms", &["market"]),
];

#[test]
fn modules_use_each_other_only_where_the_table_allows() {
    let mut found: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for source in sources() {
        let Some(rest) = source.path.strip_prefix("src/modules/") else {
            continue;
        };
        // The files beside the folders are what all stand on.
        let Some((own, _)) = rest.split_once('/') else {
            continue;
        };
        for (other, _) in MODULES {
            if *other != own && source.code.contains(&format!("modules::{other}::")) {
                let edge = (own.to_owned(), (*other).to_owned());
                found.entry(edge).or_default().push(source.path.clone());
            }
        }
    }
    check("a use of a module in another", MODULES, &found);
}

#[test]
fn rooms_stand_in_their_order() {
    for (index, (room, imports)) in EDGES.iter().enumerate() {
        for import in *imports {
            let above = EDGES[..index].iter().any(|(name, _)| name == import);
            assert!(
                above,
                "{room} may not import {import}, which stands below it"
            );
        }
    }
    let rooms: BTreeSet<_> = sources().into_iter().map(|source| source.room).collect();
    let known: BTreeSet<_> = EDGES.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(rooms, known, "each room of src/ has its line in the table");
}

/// Compares what is with what may be, both ways.
fn check(what: &str, table: &[(&str, &[&str])], found: &BTreeMap<(String, String), Vec<String>>) {
    let allowed: BTreeSet<(String, String)> = table
        .iter()
        .flat_map(|(from, to)| {
            to.iter()
                .map(move |to| ((*from).to_owned(), (*to).to_owned()))
        })
        .collect();
    let mut wrong = Vec::new();
    for ((from, to), files) in found {
        if !allowed.contains(&(from.clone(), to.clone())) {
            wrong.push(format!(
                "{from} -> {to} is not in the table: {what} in {}",
                files.join(", ")
            ));
        }
    }
    for (from, to) in &allowed {
        if !found.contains_key(&(from.clone(), to.clone())) {
            wrong.push(format!(
                "{from} -> {to} is in the table and not used any more: take it out"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A file of `src/`.
struct Source {
    room: String,
    path: String,
    /// Without comments and texts.
    code: String,
}

/// The files of a room as they stand, for other tests that read sources.
pub(crate) fn sources_of(room: &str) -> Vec<String> {
    let mut paths = Vec::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room),
        &mut paths,
    );
    let texts = paths
        .iter()
        .map(|path| fs::read_to_string(path).expect("sources are UTF-8"));
    texts.collect()
}

/// All files but the crate's root, which names every room by its nature.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let sources: Vec<_> = paths
        .iter()
        .filter_map(|path| {
            let relative = path.strip_prefix(&root).expect("below src");
            let first = relative.components().next().expect("a name");
            let room = Path::new(first.as_os_str()).with_extension("");
            let room = room.to_string_lossy().into_owned();
            let text = fs::read_to_string(path).expect("sources are UTF-8");
            (room != "lib").then(|| Source {
                room,
                path: format!("src/{}", relative.display()),
                code: without_texts(&text),
            })
        })
        .collect();
    assert!(sources.len() > 50, "the sources are there");
    sources
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// The code without comments, string and character literals.
fn without_texts(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("r\"") || rest.starts_with("r#") && !code.ends_with(word) {
            raw_string(rest)
        } else if first == '"' {
            string(rest)
        } else if first == '\'' {
            character(rest)
        } else {
            0
        };
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.push(' ');
            rest = &rest[skipped..];
        }
    }
    code
}

fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    rest.len()
}

/// 0 if it is none but an identifier such as `r#type`.
fn raw_string(rest: &str) -> usize {
    let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
    if !rest[1 + hashes..].starts_with('"') {
        return 0;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let start = hashes + 2;
    rest[start..]
        .find(&close)
        .map_or(rest.len(), |end| start + end + close.len())
}

/// 0 for lifetimes.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(rest.len(), |end| end + 4),
        Some(_) => match chars.next() {
            Some((index, '\'')) => index + 1,
            _ => 0,
        },
        None => 0,
    }
}

/// The rooms that follow `crate::` or `rotunda::`, also within braces: `crate::{base::id, model::{Field}}`.
fn rooms_named_in(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for root in ["crate::", "rotunda::"] {
        for (at, _) in code.match_indices(root) {
            if code[..at].ends_with(word) {
                continue;
            }
            let rest = &code[at + root.len()..];
            match rest.strip_prefix('{') {
                Some(group) => rooms.extend(first_names(group)),
                None => rooms.extend([name(rest)]),
            }
        }
    }
    rooms.remove("");
    rooms
}

/// The first name of each item of a group of imports.
fn first_names(group: &str) -> Vec<String> {
    let mut names = vec![name(group)];
    let mut depth = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    names
}

fn name(text: &str) -> String {
    text.trim_start().chars().take_while(|c| word(*c)).collect()
}

fn word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether the code uses a library: `name::` or `use name`, not as the end of another path.
fn names(code: &str, library: &str) -> bool {
    code.match_indices(library).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + library.len()..]);
        let begins = !before.ends_with(word) && !before.trim_end().ends_with("::");
        begins && (after.starts_with("::") || before.trim_end().ends_with("use"))
    })
}

#[test]
fn the_reader_of_imports_sees_through_braces_texts_and_comments() {
    let code = r####"
        use crate::base::id;
        use crate::{model::{Field, Record}, store::{self, crate_like}, config};
        // crate::comment
        /* crate::block */
        let text = "crate::text \" crate::text"; let raw = r#"crate::raw " "#;
        let (quote, escaped) = ('"', '\''); fn f<'a>(x: &'a str) -> crate::engine::Error {}
        let other = mycrate::none; let r#type = rotunda::bus::Bus;
    "####;
    let rooms: Vec<_> = rooms_named_in(&without_texts(code)).into_iter().collect();
    assert_eq!(rooms, ["base", "bus", "config", "engine", "model", "store"]);
    assert!(names("use sqlx::query;", "sqlx") && names("let x = sqlx::query();", "sqlx"));
    assert!(!names("self::sqlx::x my_sqlx::y sqlxx::z", "sqlx"));
}
