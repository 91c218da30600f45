//! Shared modules: CommonJS, one instance for all scripts.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use boa_engine::object::builtins::JsFunction;
use boa_engine::property::Attribute;
use boa_engine::{
    Context, JsArgs, JsNativeError, JsObject, JsResult, JsString, JsValue, NativeFunction,
    js_string,
};

use super::error::ScriptError;
use super::native::Native;
use super::scope::{LineMaps, Reporter, Scope};
use super::thread::{Current, Thread};

/// Modules that one set may hold.
const MODULES_MAX: usize = 1_000;
/// Modules that may be loading inside each other.
const NESTING_MAX: usize = 32;
/// The most bytes of a module's text.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// Gives a new scope its application globals.
pub type Furnish = Rc<dyn Fn(&Rc<Thread>, &Rc<Scope>, &mut Context) -> JsResult<()>>;

/// Told of each attempt to load a module, and why it failed.
pub type Attempted = Rc<dyn Fn(&Path, Result<(), ScriptError>)>;

/// Where modules come from, and what their scopes are given.
#[derive(Clone)]
pub struct ModuleOptions {
    /// Folders that bare names are looked up in, in this order.
    pub roots: Vec<PathBuf>,
    /// Folders that files may be required from by path: these and the roots.
    pub allowed: Vec<PathBuf>,
    pub furnish: Furnish,
    pub reporter: Reporter,
    pub attempted: Attempted,
    pub maps: LineMaps,
}

struct Module {
    /// The `module` object.
    object: JsObject,
    scope: Rc<Scope>,
    /// Modules it required.
    needs: RefCell<BTreeSet<PathBuf>>,
}

/// The instances that a generation of scripts shares.
pub struct ModuleSet {
    options: ModuleOptions,
    modules: RefCell<HashMap<PathBuf, Rc<Module>>>,
    loading: RefCell<Vec<PathBuf>>,
    /// What files that are no modules themselves required.
    users: RefCell<HashMap<PathBuf, BTreeSet<PathBuf>>>,
}

impl ModuleSet {
    #[must_use]
    pub fn new(options: ModuleOptions) -> Rc<Self> {
        Rc::new(Self {
            options,
            modules: RefCell::default(),
            loading: RefCell::default(),
            users: RefCell::default(),
        })
    }

    /// The same instances but for the changed files and what requires them.
    #[must_use]
    pub fn without(&self, changed: &[PathBuf]) -> Rc<Self> {
        let mut kept: HashMap<PathBuf, Rc<Module>> = self.modules.borrow().clone();
        let mut gone: BTreeSet<PathBuf> = changed.iter().cloned().collect();
        loop {
            let before = kept.len();
            kept.retain(|path, module| {
                let stays = !gone.contains(path) && module.needs.borrow().is_disjoint(&gone);
                if !stays {
                    gone.insert(path.clone());
                }
                stays
            });
            if kept.len() == before {
                break;
            }
        }
        let set = Self::new(self.options.clone());
        *set.modules.borrow_mut() = kept;
        set
    }

    /// The files loaded as modules.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.modules.borrow().keys().cloned().collect()
    }

    /// The files of this set that another one has no instance of, by path.
    #[must_use]
    pub fn paths_not_in(&self, other: &Self) -> Vec<PathBuf> {
        let others = other.modules.borrow();
        let mut paths: Vec<_> = self
            .modules
            .borrow()
            .keys()
            .filter(|path| !others.contains_key(*path))
            .cloned()
            .collect();
        paths.sort();
        paths
    }

    /// Whether an instance of this set runs in the scope.
    #[must_use]
    pub fn holds(&self, scope: &Rc<Scope>) -> bool {
        let modules = self.modules.borrow();
        let found = modules.get(scope.path());
        found.is_some_and(|module| Rc::ptr_eq(&module.scope, scope))
    }

    /// Whether a script or module required another, by itself or by what it requires.
    #[must_use]
    pub fn needs(&self, from: &Path, wanted: &Path) -> bool {
        let (modules, users) = (self.modules.borrow(), self.users.borrow());
        let mut seen = BTreeSet::new();
        let mut ahead = vec![from.to_owned()];
        while let Some(path) = ahead.pop() {
            let of_module = modules.get(&path).map(|module| module.needs.borrow());
            let of_script = users.get(&path);
            for needed in of_module
                .iter()
                .flat_map(|needs| needs.iter())
                .chain(of_script.into_iter().flatten())
            {
                if needed == wanted {
                    return true;
                }
                if seen.insert(needed.clone()) {
                    ahead.push(needed.clone());
                }
            }
        }
        false
    }

    /// The scopes of all instances, by path.
    #[must_use]
    pub fn scopes(&self) -> Vec<Rc<Scope>> {
        let mut scopes: Vec<_> = self
            .modules
            .borrow()
            .values()
            .map(|module| Rc::clone(&module.scope))
            .collect();
        scopes.sort_by(|a, b| a.path().cmp(b.path()));
        scopes
    }

    /// Ends the instances that another set does not hold: their timers and pending promises.
    pub fn kill_unless_in(&self, other: &Self) {
        let kept = other.modules.borrow();
        for (path, module) in self.modules.borrow().iter() {
            if !kept.get(path).is_some_and(|kept| Rc::ptr_eq(kept, module)) {
                module.scope.kill();
            }
        }
    }

    /// The `require` function of a file, for its scope's realm.
    pub fn require_function(self: &Rc<Self>, from: &Path, context: &mut Context) -> JsFunction {
        let captures = Native((Rc::clone(self), from.to_owned()));
        NativeFunction::from_copy_closure_with_captures(
            |_, args, captures: &Native<(Rc<Self>, PathBuf)>, context| {
                let name = args.get_or_undefined(0).to_string(context)?;
                let (set, from) = &captures.0;
                set.require(from, &name.to_std_string_escaped(), context)
            },
            captures,
        )
        .to_js_function(context.realm())
    }

    /// A module's exports; evaluates it the first time. A module that is being loaded gives what it has exported so far.
    ///
    /// # Errors
    /// A thrown error when there is no such module, it does not parse, or it throws.
    pub fn require(
        self: &Rc<Self>,
        from: &Path,
        name: &str,
        context: &mut Context,
    ) -> JsResult<JsValue> {
        let path = self.find(from, name).ok_or_else(|| {
            JsNativeError::error().with_message(format!("Cannot find module '{name}'"))
        })?;
        match self.modules.borrow().get(from) {
            Some(requirer) => {
                requirer.needs.borrow_mut().insert(path.clone());
            }
            None => {
                let mut users = self.users.borrow_mut();
                users
                    .entry(from.to_owned())
                    .or_default()
                    .insert(path.clone());
            }
        }
        let known = self.modules.borrow().get(&path).cloned();
        let module = match known {
            Some(module) => module,
            None => self.load(&path, context)?,
        };
        module.object.get(js_string!("exports"), context)
    }

    fn load(self: &Rc<Self>, path: &Path, context: &mut Context) -> JsResult<Rc<Module>> {
        if self.loading.borrow().len() >= NESTING_MAX || self.modules.borrow().len() >= MODULES_MAX
        {
            return Err(JsNativeError::range()
                .with_message("too many modules")
                .into());
        }
        let thread = Thread::of_native()?;
        let name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        let options = &self.options;
        let scope = Scope::new(
            &thread,
            &name,
            path,
            &options.maps,
            Rc::clone(&options.reporter),
        )?;
        let object = JsObject::with_null_proto();
        let module = Rc::new(Module {
            object: object.clone(),
            scope: Rc::clone(&scope),
            needs: RefCell::default(),
        });
        self.modules
            .borrow_mut()
            .insert(path.to_owned(), Rc::clone(&module));
        self.loading.borrow_mut().push(path.to_owned());
        // What a module registers while it loads is its own, whoever required it first.
        let current = Current {
            scope: Some(Rc::clone(&scope)),
            ..thread.on_behalf()
        };
        let (result, attempted) = thread.behalf(current, || {
            scope.enter(&thread, Some(context), None, |context| {
                let result = self.evaluate(&thread, &scope, path, &object, context);
                let failure = result.as_ref().err();
                let failure = failure.map(|error| scope.describe(error, context));
                (result, failure.map_or(Ok(()), Err))
            })
        });
        (self.options.attempted)(path, attempted);
        self.loading.borrow_mut().pop();
        if let Err(error) = result {
            self.modules.borrow_mut().remove(path);
            scope.kill();
            return Err(error);
        }
        Ok(module)
    }

    fn evaluate(
        self: &Rc<Self>,
        thread: &Rc<Thread>,
        scope: &Rc<Scope>,
        path: &Path,
        module: &JsObject,
        context: &mut Context,
    ) -> JsResult<()> {
        let exports = JsObject::with_object_proto(context.intrinsics());
        module.set(js_string!("exports"), exports.clone(), true, context)?;
        module.set(
            js_string!("id"),
            JsString::from(path.to_string_lossy().as_ref()),
            true,
            context,
        )?;
        let text = read(path)?;
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
                JsNativeError::syntax().with_message(format!("{}: {error}", path.display()))
            })?;
            let value = JsValue::from_json(&json, context)?;
            module.set(js_string!("exports"), value, true, context)?;
            return Ok(());
        }
        (self.options.furnish)(thread, scope, context)?;
        // Each module has a global scope of its own, so its variables need no function around the text, and positions
        // in it stay what they are.
        let text_of = |path: &Path| JsValue::from(JsString::from(path.to_string_lossy().as_ref()));
        let variables: [(_, JsValue); 5] = [
            (js_string!("exports"), exports.into()),
            (js_string!("module"), module.clone().into()),
            (
                js_string!("require"),
                self.require_function(path, context).into(),
            ),
            (js_string!("__filename"), text_of(path)),
            (
                js_string!("__dirname"),
                text_of(path.parent().unwrap_or(path)),
            ),
        ];
        for (name, value) in variables {
            context.register_global_property(name, value, Attribute::all())?;
        }
        scope.evaluate_for_caller(path, &text, context)?;
        Ok(())
    }

    /// The file that a name stands for, seen from another file: a path, or a bare name below the roots.
    #[must_use]
    pub fn find(&self, from: &Path, name: &str) -> Option<PathBuf> {
        let name = name.strip_prefix("node:").unwrap_or(name);
        let asked = Path::new(name);
        let candidates: Vec<PathBuf> = if asked.is_absolute() {
            vec![asked.to_owned()]
        } else if name.starts_with("./") || name.starts_with("../") {
            vec![from.parent()?.join(asked)]
        } else {
            self.options
                .roots
                .iter()
                .map(|root| root.join(asked))
                .collect()
        };
        candidates
            .into_iter()
            .map(|path| normalized(&path))
            .filter(|path| self.is_allowed(path))
            .find_map(|path| existing(&path))
    }

    fn is_allowed(&self, path: &Path) -> bool {
        let options = &self.options;
        let mut folders = options.roots.iter().chain(&options.allowed);
        folders.any(|folder| path.starts_with(normalized(folder)))
    }
}

fn read(path: &Path) -> JsResult<String> {
    let failed = |error: std::io::Error| {
        JsNativeError::error().with_message(format!("{}: {error}", path.display()))
    };
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > TEXT_BYTES_MAX {
        return Err(JsNativeError::range()
            .with_message(format!("{}: the file is too large", path.display()))
            .into());
    }
    fs::read_to_string(path).map_err(|error| failed(error).into())
}

/// A path without `.` and `..`; symbolic links are left alone.
fn normalized(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// The file itself, with an extension added, or the index of a folder.
fn existing(path: &Path) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path.to_owned());
    }
    let with = |extension: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(extension);
        PathBuf::from(name)
    };
    [".js", ".ts", ".json", ".pb.js", ".pb.ts"]
        .iter()
        .map(|extension| with(extension))
        .chain(["index.js", "index.ts"].iter().map(|name| path.join(name)))
        .find(|path| path.is_file())
}

/// Adds `require` to a global scope.
///
/// # Errors
/// When the global object refuses it.
pub fn add_require(set: &Rc<ModuleSet>, from: &Path, context: &mut Context) -> JsResult<()> {
    let require = set.require_function(from, context);
    context.register_global_property(js_string!("require"), require, Attribute::all())
}
