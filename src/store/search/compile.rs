//! From a filter's text to a condition, with a cache in between.

use std::collections::HashMap;
use std::fmt::Write;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use chrono::Utc;
use lru::LruCache;

use super::condition::{Condition, Order, Sort, Template};
use super::fold::{Folder, Values};
use super::known::{Class, Known};
use super::merge::merge;
use super::place::{Placer, Sets, sort_multiplies};
use super::request::{RequestValues, Slot};
use super::resolve::Resolver;
use super::tree::{BASE, Column, Compare, Link, Node, Nulls, Program, RowId, Scalar, Source};
use super::write::Writer;
use crate::filter::{self, Expr, Limits, Op, SortKey};
use crate::model::{Collection, Schema};
use crate::store::Error;

/// How many resolved texts are kept.
const PROGRAMS_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// How many SQL texts are kept per resolved text: one for each mix of empty and filled values that was seen.
const VARIANTS_MAX: usize = 64;

/// What a filter is compiled against.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub schema: &'a Schema,
    /// Whose rows are filtered.
    pub collection: &'a Arc<Collection>,
    /// Without a request, `@request.*` is null.
    pub request: Option<&'a RequestValues<'a>>,
    /// Whether hidden fields, hidden e-mail addresses and collections without a list rule may be read. Rules may, clients may not.
    pub allow_hidden: bool,
}

/// One of several texts that are compiled together.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    pub text: &'a str,
    /// As [`Scope::allow_hidden`], for this text.
    pub allow_hidden: bool,
}

/// Compiles filters and sorts; keeps what it compiled.
///
/// A text is resolved once per schema version and collection. The SQL depends on which values of the request are empty and on how
/// comparisons between known values turn out, never on the values themselves; asking again with values of the same kind only binds them.
#[derive(Debug)]
pub struct Compiler {
    programs: Mutex<LruCache<String, Arc<Entry>>>,
}

#[derive(Debug)]
struct Entry {
    program: Program,
    /// All conditions, to be folded.
    whole: Node,
    variants: RwLock<HashMap<Box<[u8]>, Variant>>,
}

#[derive(Clone, Debug)]
struct Variant {
    outcome: Outcome,
    sort: Arc<Order>,
}

#[derive(Clone, Debug)]
enum Outcome {
    Always,
    Never,
    Where(Arc<Template>),
}

impl Default for Compiler {
    fn default() -> Self {
        Self {
            programs: Mutex::new(LruCache::new(PROGRAMS_MAX)),
        }
    }
}

impl Compiler {
    /// Compiles one filter.
    ///
    /// # Errors
    /// [`Error::Filter`] with the reason.
    pub fn compile(&self, text: &str, scope: &Scope<'_>) -> Result<Condition, Error> {
        let part = Part {
            text,
            allow_hidden: scope.allow_hidden,
        };
        self.compile_list(&[part], &[], scope)
            .map(|(condition, _)| condition)
    }

    /// Compiles the filters and the sort of a list together: as in PocketBase, they share the related rows they speak of. The sort belongs
    /// to this condition; do not use it with another.
    ///
    /// The sort's own paths may read what `scope` allows.
    ///
    /// # Errors
    /// [`Error::Filter`] with the reason.
    pub fn compile_list(
        &self,
        parts: &[Part<'_>],
        sort: &[SortKey],
        scope: &Scope<'_>,
    ) -> Result<(Condition, Sort), Error> {
        if parts.is_empty() && sort.is_empty() {
            return Ok((Condition::Always, Sort::default()));
        }
        let key = cache_key(parts, sort, scope);
        let entry = match self.known(&key) {
            Some(entry) => entry,
            None => {
                let entry = Arc::new(Entry::new(parts, sort, scope).map_err(Error::Filter)?);
                self.keep(key, &entry);
                entry
            }
        };
        Ok(entry.with_values(scope.request))
    }

    /// Compiles a filter that is a tree already, such as one with values in the place of placeholders. Nothing is kept: the
    /// next one has other values.
    ///
    /// # Errors
    /// [`Error::Filter`] with the reason.
    pub fn compile_tree(
        &self,
        tree: &Expr,
        sort: &[SortKey],
        scope: &Scope<'_>,
    ) -> Result<(Condition, Sort), Error> {
        let entry = Entry::of_tree(tree, sort, scope).map_err(Error::Filter)?;
        Ok(entry.with_values(scope.request))
    }

    fn known(&self, key: &str) -> Option<Arc<Entry>> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        programs.get(key).cloned()
    }

    fn keep(&self, key: String, entry: &Arc<Entry>) {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        programs.put(key, Arc::clone(entry));
    }
}

/// Everything that the resolution of names depends on.
fn cache_key(parts: &[Part<'_>], sort: &[SortKey], scope: &Scope<'_>) -> String {
    let auth = scope.request.map(|request| {
        request
            .auth
            .map_or("-", |record| record.collection().id.as_str())
    });
    let mut key =
        String::with_capacity(96 + parts.iter().map(|part| part.text.len()).sum::<usize>());
    // Texts come with their lengths, so that no two lists of parts read the same.
    let _ = write!(
        key,
        "{}\n{}\n{}\n{}",
        scope.schema.version,
        scope.collection.id,
        auth.unwrap_or(""),
        u8::from(scope.allow_hidden)
    );
    for part in parts {
        let hidden = u8::from(part.allow_hidden);
        let _ = write!(key, "\n{hidden}{}:{}", part.text.len(), part.text);
    }
    for term in sort {
        let sign = if term.descending { '-' } else { '+' };
        let _ = write!(key, "\n{sign}{}:{}", term.path.len(), term.path);
    }
    key
}

impl Entry {
    fn new(parts: &[Part<'_>], sort: &[SortKey], scope: &Scope<'_>) -> Result<Self, String> {
        let mut program = start(scope);
        for part in parts {
            let node = resolver(&mut program, scope, part.allow_hidden).text(part.text)?;
            program.conditions.push(node);
        }
        Self::finish(program, sort, scope)
    }

    fn of_tree(tree: &Expr, sort: &[SortKey], scope: &Scope<'_>) -> Result<Self, String> {
        let mut program = start(scope);
        let node = resolver(&mut program, scope, scope.allow_hidden).expression(tree)?;
        program.conditions.push(node);
        Self::finish(program, sort, scope)
    }

    fn finish(mut program: Program, sort: &[SortKey], scope: &Scope<'_>) -> Result<Self, String> {
        for key in sort {
            let term = resolver(&mut program, scope, scope.allow_hidden).sort_term(key)?;
            program.sort.push(term);
        }
        for row in program.guarded.clone() {
            if let Some(node) = guard(&mut program, scope, row)? {
                program.conditions.push(node);
            }
        }
        let whole = Node::And(std::mem::take(&mut program.conditions));
        Ok(Self {
            program,
            whole,
            variants: RwLock::default(),
        })
    }

    fn with_values(&self, request: Option<&RequestValues<'_>>) -> (Condition, Sort) {
        let now = request.map_or_else(Utc::now, |request| request.now);
        let slots = self.program.slots.iter();
        let values: Arc<[Known]> = slots.map(|slot| slot.read(request, now)).collect();
        let classes: Vec<Class> = values.iter().map(Known::class).collect();
        let folder = Folder {
            program: &self.program,
            classes: &classes,
        };
        let folding = Values {
            folder,
            values: &values,
        };
        let mut kind: Vec<u8> = classes.iter().map(|class| *class as u8).collect();
        folding.outcomes(&self.whole, &mut kind);
        let known = self.variants.read().unwrap_or_else(PoisonError::into_inner);
        let variant = known.get(kind.as_slice()).cloned();
        drop(known);
        let variant = variant.unwrap_or_else(|| {
            let made = self.make(&folding);
            let mut variants = self
                .variants
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            if variants.len() >= VARIANTS_MAX {
                variants.clear();
            }
            variants.insert(kind.into(), made.clone());
            made
        });
        let condition = match variant.outcome {
            Outcome::Always => Condition::Always,
            Outcome::Never => Condition::Never,
            Outcome::Where(template) => Condition::from_template(template, Arc::clone(&values)),
        };
        (condition, Sort::new(variant.sort, values))
    }

    fn make(&self, folding: &Values<'_>) -> Variant {
        let program = &self.program;
        let writer = Writer {
            program,
            folder: folding.folder,
        };
        let node = merge(program, folding.simplify(&self.whole));
        let flat = sort_multiplies(program, &program.sort);
        let outcome = match node {
            // Such a condition has to remember that rows which are not stored do not suit it.
            Node::Const(Some(true)) if !flat && !program.needs_stored_row => Outcome::Always,
            Node::Const(Some(false) | None) => Outcome::Never,
            node => Outcome::Where(Arc::new(self.template(writer, &node, flat))),
        };
        let sort = if program.sort.is_empty() {
            Order {
                joined: self.is_joined(),
                ..Order::default()
            }
        } else {
            Placer::new(writer, Sets::None).order(&program.sort, flat)
        };
        Variant {
            outcome,
            sort: Arc::new(sort),
        }
    }

    /// Whether PocketBase would join something to the query.
    fn is_joined(&self) -> bool {
        self.program.sources.len() > 1
    }

    fn template(&self, writer: Writer<'_>, node: &Node, flat: bool) -> Template {
        let program = &self.program;
        let place = |sets| {
            let placer = Placer::new(writer, sets);
            let mut fragment = if flat {
                placer.flat_fragment(node, &program.sort)
            } else {
                placer.fragment(node)
            };
            fragment.joined = self.is_joined();
            fragment
        };
        let one = place(Sets::None);
        let (many, whole) = if flat {
            (None, None)
        } else {
            let many = Some(place(Sets::Many)).filter(|many| !many.says(&one));
            let whole = place(Sets::All);
            let differs = !whole.says(many.as_ref().unwrap_or(&one));
            (many, differs.then_some(whole))
        };
        Template {
            one,
            many,
            whole,
            needs_stored_row: program.needs_stored_row,
        }
    }
}

fn start(scope: &Scope<'_>) -> Program {
    let mut program = Program::default();
    program.sources.push(Source {
        name: "r".to_owned(),
        parent: None,
        link: Link::Base,
        collection: Some(Arc::clone(scope.collection)),
    });
    program
}

fn resolver<'a, 'p>(
    program: &'p mut Program,
    scope: &'a Scope<'a>,
    allow_hidden: bool,
) -> Resolver<'a, 'p> {
    Resolver {
        scope,
        program,
        base: BASE,
        collection: Arc::clone(scope.collection),
        prefix: "r".to_owned(),
        allow_hidden,
    }
}

/// The list rule of a related row, which holds or there is no such row.
fn guard(program: &mut Program, scope: &Scope<'_>, row: RowId) -> Result<Option<Node>, String> {
    let Some(source) = program.source(row) else {
        return Ok(None);
    };
    let Some(collection) = source.collection.clone() else {
        return Ok(None);
    };
    let prefix = format!("{}!", source.name);
    let Some(rule) = collection.list_rule.clone() else {
        return Ok(None);
    };
    let empty = program.slot(Slot::Literal(Known::Text(String::new())));
    let no_row = Node::Compare(Compare {
        left: Scalar::Column {
            row,
            column: Column {
                name: "id".to_owned(),
                text: true,
            },
        },
        left_nulls: Nulls::Auto,
        op: Op::Eq,
        right: Scalar::Slot(empty),
        right_nulls: Nulls::Auto,
        inverse: false,
    });
    let mut resolver = Resolver {
        scope,
        program,
        base: row,
        collection,
        prefix,
        allow_hidden: true,
    };
    let rule = resolver
        .text(&rule)
        .map_err(|reason| format!("the list rule of {:?}: {reason}", resolver.collection.name))?;
    Ok(Some(Node::Or(vec![no_row, rule])))
}

impl Resolver<'_, '_> {
    fn text(&mut self, text: &str) -> Result<Node, String> {
        let expr = filter::parse(text, &Limits::RULE).map_err(|error| error.to_string())?;
        self.expression(&expr)
    }
}
