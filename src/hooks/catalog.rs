//! Which scripts there are, which version of each runs, and what a look at the folders asks to change.
//!
//! It outlives the script thread: when that is replaced, the new one starts the versions that ran.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::files::{Digest, Found, ScriptFile, Text, digest, read};
use super::registry::{Script, ScriptState};

/// A script and the text it is to be loaded from.
pub(super) type Source = (Arc<Script>, Text);

/// What is to be changed on the script thread.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) load: Vec<Source>,
    /// What is to be loaded as well if a module can be loaded anew.
    pub(super) with_modules: Vec<Source>,
    /// Ids of scripts whose files are gone.
    pub(super) gone: Vec<String>,
    /// Modules whose files changed, came or went.
    pub(super) changed: Vec<PathBuf>,
    /// A file is empty that was not: most likely it is being written. It is to be looked at again.
    pub(super) postponed: bool,
}

impl Plan {
    pub(super) fn is_empty(&self) -> bool {
        self.load.is_empty() && self.gone.is_empty() && self.changed.is_empty()
    }
}

struct Entry {
    script: Arc<Script>,
    /// The content that was last tried.
    seen: Option<Digest>,
    /// The text that runs.
    running: Option<Arc<str>>,
    /// It was found empty once.
    emptied: bool,
    /// The content that the script thread got stuck on. It is not tried again by itself.
    stuck: Option<Digest>,
}

/// What a new script thread starts with.
#[derive(Default)]
pub(super) struct Resumed {
    pub(super) load: Vec<Source>,
    /// The script that the thread before was loading when it got stuck.
    pub(super) out: Option<Arc<Script>>,
}

#[derive(Default)]
struct State {
    scripts: BTreeMap<String, Entry>,
    modules: BTreeMap<PathBuf, Digest>,
    /// Files that were loaded as modules though no text names them.
    loaded: BTreeSet<PathBuf>,
    /// What the status shows of modules that somebody required.
    required: BTreeMap<PathBuf, Arc<Script>>,
    /// What is being loaded, and from which content.
    loading: Option<(String, Digest)>,
    /// The first look is behind.
    looked: bool,
}

/// Which of the scripts are to be loaded.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// Those whose content changed.
    Changed,
    /// Beside those, this one.
    One(&'a str),
}

/// A handle to the scripts there are.
#[derive(Clone, Default)]
pub(super) struct Catalog(Arc<Mutex<State>>);

impl Catalog {
    /// What a look at the folders asks for. What it gives counts as seen.
    pub(super) fn plan(&self, found: Found, wanted: Wanted<'_>) -> Plan {
        let mut state = self.lock();
        let mut plan = Plan::default();
        if state.looked {
            plan.changed = changes(&state.modules, &found.modules);
        }
        state.looked = true;
        state.modules = found.modules;
        let all = !plan.changed.is_empty();
        let mut known = std::mem::take(&mut state.scripts);
        for (file, text) in found.scripts {
            let mut entry = match known.remove(&file.id) {
                Some(entry) if entry.script.path == file.path => entry,
                _ => Entry {
                    script: Arc::new(file.into_script()),
                    seen: None,
                    running: None,
                    emptied: false,
                    stuck: None,
                },
            };
            let content = digest(&text);
            let asked = matches!(wanted, Wanted::One(id) if id == entry.script.id);
            let changed = entry.seen != Some(content);
            if asked || (all || changed) && entry.stuck != Some(content) {
                let empty = text.as_ref().is_ok_and(|text| text.trim().is_empty());
                let had_text = entry
                    .running
                    .as_ref()
                    .is_some_and(|text| !text.trim().is_empty());
                if empty && had_text && !entry.emptied && !asked {
                    entry.emptied = true;
                    plan.postponed = true;
                } else {
                    entry.emptied = false;
                    entry.seen = Some(content);
                    let source = (Arc::clone(&entry.script), text);
                    if asked || changed {
                        plan.load.push(source);
                    } else {
                        plan.with_modules.push(source);
                    }
                }
            }
            state.scripts.insert(entry.script.id.clone(), entry);
        }
        plan.gone = known.into_keys().collect();
        plan
    }

    /// Lets the next look find these changed again: the script thread was lost before they were loaded.
    pub(super) fn forget_seen(&self, scripts: &[Source]) {
        let mut state = self.lock();
        for (script, _) in scripts {
            if let Some(entry) = state.scripts.get_mut(&script.id) {
                entry.seen = None;
            }
        }
    }

    /// Notes that a script is being loaded.
    pub(super) fn begin_load(&self, id: &str, text: &Text) {
        self.lock().loading = Some((id.to_owned(), digest(text)));
    }

    /// Notes that nothing is being loaded.
    pub(super) fn end_load(&self) {
        self.lock().loading = None;
    }

    /// Notes the text that now runs.
    pub(super) fn runs(&self, id: &str, text: &Text) {
        if let Some(entry) = self.lock().scripts.get_mut(id) {
            entry.running = text.as_ref().ok().cloned();
        }
    }

    /// Notes a file that was loaded as a module.
    pub(super) fn loaded_module(&self, path: &Path) {
        let mut state = self.lock();
        if !state.modules.contains_key(path) {
            let content = digest(&read(path));
            state.modules.insert(path.to_owned(), content);
            state.loaded.insert(path.to_owned());
        }
    }

    /// The module in a file, as the status shows it.
    pub(super) fn module(&self, path: &Path) -> Arc<Script> {
        let mut state = self.lock();
        let known = state.required.entry(path.to_owned());
        Arc::clone(known.or_insert_with(|| Arc::new(ScriptFile::module(path).into_script())))
    }

    /// The modules that somebody required, by path.
    pub(super) fn required(&self) -> Vec<Arc<Script>> {
        self.lock().required.values().cloned().collect()
    }

    /// Notes which modules run. Of others the status tells while their file is there.
    pub(super) fn modules_run(&self, running: &[PathBuf]) {
        self.lock().required.retain(|path, module| {
            let runs = running.contains(path);
            module.state(|state| {
                if !runs {
                    let last_error = state.last_error.take();
                    *state = ScriptState {
                        last_error,
                        ..ScriptState::default()
                    };
                }
            });
            runs || path.exists()
        });
    }

    /// Files that were loaded as modules though no text names them.
    pub(super) fn loaded_modules(&self) -> BTreeSet<PathBuf> {
        self.lock().loaded.clone()
    }

    /// What ran, for a new script thread, and what is left out of that.
    pub(super) fn resume(&self) -> Resumed {
        let mut state = self.lock();
        let stuck = state.loading.take().and_then(|(id, content)| {
            let entry = state.scripts.get_mut(&id)?;
            entry.stuck = Some(content);
            let running = entry.running.as_ref();
            if running.is_some_and(|text| digest(&Ok(Arc::clone(text))) == content) {
                entry.running = None;
            }
            Some(Arc::clone(&entry.script))
        });
        let mut running: Vec<Source> = state
            .scripts
            .values()
            .filter_map(|entry| {
                let text = entry.running.clone()?;
                Some((Arc::clone(&entry.script), Ok(text)))
            })
            .collect();
        running.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        Resumed {
            load: running,
            out: stuck,
        }
    }

    /// All scripts by name.
    pub(super) fn list(&self) -> Vec<Arc<Script>> {
        let state = self.lock();
        let mut scripts: Vec<_> = state
            .scripts
            .values()
            .map(|entry| Arc::clone(&entry.script))
            .collect();
        scripts.sort_by(|a, b| a.name.cmp(&b.name));
        scripts
    }

    /// A script by its id.
    pub(super) fn find(&self, id: &str) -> Option<Arc<Script>> {
        let state = self.lock();
        let entry = state.scripts.get(id)?;
        Some(Arc::clone(&entry.script))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files that differ between two looks.
fn changes(before: &BTreeMap<PathBuf, Digest>, now: &BTreeMap<PathBuf, Digest>) -> Vec<PathBuf> {
    let gone = before.keys().filter(|path| !now.contains_key(*path));
    let new_or_other = now
        .iter()
        .filter(|(path, content)| before.get(*path) != Some(content))
        .map(|(path, _)| path);
    gone.chain(new_or_other).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::files::ScriptFile;

    fn found(scripts: &[(&str, &str)], modules: &[(&str, &str)]) -> Found {
        let script = |(id, text): &(&str, &str)| {
            let file = ScriptFile {
                id: (*id).to_owned(),
                name: format!("{id}.js"),
                path: format!("/{id}.js").into(),
            };
            (file, Ok(Arc::from(*text)))
        };
        let module = |(name, text): &(&str, &str)| {
            let path = PathBuf::from(format!("/modules/{name}.js"));
            (path, digest(&Ok(Arc::from(*text))))
        };
        Found {
            scripts: scripts.iter().map(script).collect(),
            modules: modules.iter().map(module).collect(),
        }
    }

    /// Ids to load, ids that are gone, number of changed modules.
    fn look(catalog: &Catalog, found: Found, wanted: Wanted<'_>) -> (String, String, usize) {
        let plan = catalog.plan(found, wanted);
        for (script, text) in &plan.load {
            catalog.runs(&script.id, text);
        }
        let loaded = plan.load.iter().chain(&plan.with_modules);
        let ids: Vec<_> = loaded.map(|(script, _)| &*script.id).collect();
        (ids.join(" "), plan.gone.join(" "), plan.changed.len())
    }

    fn says(load: &str, gone: &str, changed: usize) -> (String, String, usize) {
        (load.to_owned(), gone.to_owned(), changed)
    }

    #[test]
    fn only_what_changed_is_loaded() {
        let catalog = Catalog::default();
        let modules = [("m", "1")];
        let first = [("a", "1"), ("b", "1")];
        let changed = [("a", "1"), ("b", "2"), ("c", "1")];
        assert_eq!(
            look(&catalog, found(&first, &modules), Wanted::Changed),
            says("a b", "", 0)
        );
        assert_eq!(
            look(&catalog, found(&first, &modules), Wanted::Changed),
            says("", "", 0)
        );
        assert_eq!(
            look(&catalog, found(&changed, &modules), Wanted::Changed),
            says("b c", "", 0)
        );
        assert_eq!(
            look(&catalog, found(&changed, &modules), Wanted::One("a")),
            says("a", "", 0)
        );
        assert_eq!(
            look(&catalog, found(&changed[1..], &modules), Wanted::Changed),
            says("", "a", 0)
        );
        let other = [("m", "2")];
        assert_eq!(
            look(&catalog, found(&changed[1..], &other), Wanted::Changed),
            says("b c", "", 1)
        );
        assert_eq!(
            look(&catalog, found(&changed[1..], &[]), Wanted::Changed),
            says("b c", "", 1)
        );
    }

    #[test]
    fn an_emptied_file_counts_when_it_stays_empty() {
        let catalog = Catalog::default();
        look(&catalog, found(&[("a", "1")], &[]), Wanted::Changed);
        let plan = catalog.plan(found(&[("a", "")], &[]), Wanted::Changed);
        assert!(plan.postponed && plan.is_empty());
        let plan = catalog.plan(found(&[("a", "")], &[]), Wanted::Changed);
        assert_eq!((plan.load.len(), plan.postponed), (1, false));
    }

    #[test]
    fn a_new_thread_gets_what_ran_but_for_what_hung() {
        let catalog = Catalog::default();
        look(
            &catalog,
            found(&[("a", "1"), ("b", "1")], &[]),
            Wanted::Changed,
        );
        // A new version hangs while it is loaded: the old one goes on.
        catalog.plan(found(&[("a", "1"), ("b", "loop")], &[]), Wanted::Changed);
        catalog.begin_load("b", &Ok(Arc::from("loop")));
        let resumed = catalog.resume();
        assert_eq!(resumed.load.len(), 2);
        assert_eq!(resumed.out.unwrap().id, "b");
        let again = catalog.plan(found(&[("a", "1"), ("b", "loop")], &[]), Wanted::Changed);
        assert!(again.is_empty(), "it is not tried again before it changes");
        // The old one hangs as well: it is left out.
        catalog.begin_load("b", &Ok(Arc::from("1")));
        assert_eq!(catalog.resume().load.len(), 1);
    }
}
