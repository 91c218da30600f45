//! From names to rows and values.
//!
//! A path is followed step by step: relations, back-relations, lists. Each step registers a row source under a name made of the path, so
//! that the same path always means the same rows. Where the path has many values, a second set of sources is made from the first
//! multiplying step on, for "all of them must satisfy it".

use std::sync::Arc;

use super::compile::Scope;
use super::indexes;
use super::known::Known;
use super::request::Slot;
use super::tree::{
    BASE, Column, Compare, Link, Node, Nulls, Operand, Program, RowId, Scalar, SortTerm, Source,
};
use crate::filter::{self, Expr, OperandKind, SortKey, SortKind, split_modifier};
use crate::model::{Collection, Field, FieldKind};

/// How many relations may stand one behind the other in a path.
const RELATION_DEPTH_MAX: usize = 6;

/// Fields of the signed-in record that are taken from the request instead of its row.
const PLAIN_AUTH_FIELDS: [&str; 6] = [
    "id",
    "collectionId",
    "collectionName",
    "email",
    "emailVisibility",
    "verified",
];

/// Resolves the names of one text.
pub(super) struct Resolver<'a, 'p> {
    pub(super) scope: &'a Scope<'a>,
    pub(super) program: &'p mut Program,
    /// The row that plain paths start from.
    pub(super) base: RowId,
    pub(super) collection: Arc<Collection>,
    /// What the names of sources start with.
    pub(super) prefix: String,
    pub(super) allow_hidden: bool,
}

/// A path under way.
struct Walk<'w> {
    segments: &'w [&'w str],
    row: RowId,
    /// Starts the names of sources below `row`.
    name: String,
    collection: Arc<Collection>,
    /// A missing field is null instead of an error.
    lenient: bool,
    all: All,
}

/// The second set of sources of a path.
#[derive(Default)]
struct All {
    /// Distinguishes the two sides of a comparison.
    mark: &'static str,
    rows: Vec<RowId>,
    /// Whether the path has many values. Sources may fork before that is known.
    wanted: bool,
    /// The row that corresponds to the walk's, once forked.
    row: Option<RowId>,
    name: String,
}

type Resolved<T> = Result<T, String>;

impl Resolver<'_, '_> {
    pub(super) fn expression(&mut self, expr: &Expr) -> Resolved<Node> {
        Ok(match expr {
            Expr::And(items) => Node::And(self.expressions(items)?),
            Expr::Or(items) => Node::Or(self.expressions(items)?),
            Expr::Compare(comparison) => {
                let left = self.side(&comparison.left, "!")?;
                let right = self.side(&comparison.right, "!!")?;
                compare(left, comparison.op, comparison.any, right)
            }
        })
    }

    fn expressions(&mut self, items: &[Expr]) -> Resolved<Vec<Node>> {
        items.iter().map(|item| self.expression(item)).collect()
    }

    fn side(&mut self, operand: &filter::Operand, mark: &'static str) -> Resolved<Operand> {
        self.operand(operand, mark)
            .map_err(|reason| format!("{reason} at {}", operand.span.start))
    }

    pub(super) fn operand(
        &mut self,
        operand: &filter::Operand,
        mark: &'static str,
    ) -> Resolved<Operand> {
        match &operand.kind {
            OperandKind::Text(text) => Ok(self.literal(Known::Text(text.clone()))),
            OperandKind::Number(number) => Ok(self.literal(Known::Real(*number))),
            OperandKind::Path(path) => {
                if let Some(name) = path.as_macro() {
                    let slot = self.program.slot(Slot::Macro(name));
                    return Ok(Operand::plain(Scalar::Slot(slot)));
                }
                self.path(path.as_str(), mark).or_else(|reason| {
                    use filter::Literal;
                    match path.as_literal() {
                        Some(Literal::Null) => Ok(self.literal(Known::Null)),
                        Some(Literal::True) => Ok(Operand::plain(Scalar::Flag(true))),
                        Some(Literal::False) => Ok(Operand::plain(Scalar::Flag(false))),
                        None => Err(reason),
                    }
                })
            }
            OperandKind::Call { name, args } => self.call(name, args, mark),
        }
    }

    pub(super) fn sort_term(&mut self, key: &SortKey) -> Resolved<SortTerm> {
        let descending = key.descending;
        match key.kind {
            SortKind::Random => Ok(SortTerm::Random),
            SortKind::RowId if self.collection.is_view() => Err("a view has no row ids".to_owned()),
            SortKind::RowId => Ok(SortTerm::RowId { descending }),
            SortKind::Field => {
                let refused = || format!("invalid sort field {:?}", key.path);
                let operand = self.path(&key.path, "!").map_err(|_| refused())?;
                let sortable = match &operand.scalar {
                    Scalar::Slot(_) | Scalar::Flag(_) | Scalar::Truth(_) => false,
                    Scalar::Element(row) => !matches!(
                        self.program.source(*row).map(|source| &source.link),
                        Some(Link::Values { .. })
                    ),
                    Scalar::Lower(inner) => !matches!(**inner, Scalar::Slot(_)),
                    _ => true,
                };
                if !sortable {
                    return Err(refused());
                }
                Ok(SortTerm::Value {
                    scalar: operand.scalar,
                    descending,
                })
            }
        }
    }

    fn literal(&mut self, known: Known) -> Operand {
        Operand::plain(Scalar::Slot(self.program.slot(Slot::Literal(known))))
    }

    pub(super) fn null(&mut self) -> Operand {
        self.literal(Known::Null)
    }

    fn path(&mut self, path: &str, mark: &'static str) -> Resolved<Operand> {
        if !is_allowed(path) {
            return Err(format!("failed to resolve field {path:?}"));
        }
        let segments: Vec<&str> = path.split('.').collect();
        match segments.first().copied() {
            Some("@collection") => self.collection_path(&segments, mark),
            Some("@request") if self.scope.request.is_none() => Ok(self.null()),
            Some("@request") => self.request_path(path, &segments, mark),
            _ => {
                let walk = self.walk(&segments, mark);
                self.follow(walk)
            }
        }
    }

    /// A walk from the filtered row.
    fn walk<'w>(&self, segments: &'w [&'w str], mark: &'static str) -> Walk<'w> {
        Walk {
            segments,
            row: self.base,
            name: self.prefix.clone(),
            collection: Arc::clone(&self.collection),
            lenient: false,
            all: All {
                mark,
                ..All::default()
            },
        }
    }

    fn collection_path(&mut self, segments: &[&str], mark: &'static str) -> Resolved<Operand> {
        let (name, alias) = match segments.get(1) {
            Some(segment) => segment.split_once(':').unwrap_or((segment, "")),
            None => ("", ""),
        };
        let rest = segments.get(2..).unwrap_or_default();
        if rest.is_empty() {
            return Err("incomplete @collection path".to_owned());
        }
        let collection = self
            .load(name)
            .ok_or_else(|| format!("failed to load collection {name:?}"))?;
        let source = if alias.is_empty() {
            format!("{}@{}", self.outer_prefix(), collection.name)
        } else {
            format!("{}@:{alias}", self.outer_prefix())
        };
        let walk = self.root_walk(rest, source, collection, Link::Collection, mark, true)?;
        self.follow(walk)
    }

    /// What sources without a parent start their names with: nothing in the main text, the guarded row's name in a list rule.
    fn outer_prefix(&self) -> &str {
        if self.base == BASE { "" } else { &self.prefix }
    }

    /// A walk from rows of their own.
    fn root_walk<'w>(
        &mut self,
        segments: &'w [&'w str],
        name: String,
        collection: Arc<Collection>,
        link: Link,
        mark: &'static str,
        many: bool,
    ) -> Resolved<Walk<'w>> {
        let fixed = matches!(link, Link::Auth { .. });
        let second = match &link {
            Link::Collection => Some(Link::Collection),
            Link::Ids { list } => Some(Link::Ids { list: *list }),
            _ => None,
        };
        let row = self.register(&name, None, link, Some(&collection))?;
        let mut all = All {
            mark,
            wanted: many,
            ..All::default()
        };
        if let Some(link) = second.filter(|_| !fixed) {
            all.name = format!("{mark}{name}");
            let row = self.add(&all.name, None, link, Some(&collection))?;
            all.rows.push(row);
            all.row = Some(row);
        }
        Ok(Walk {
            segments,
            row,
            name,
            collection,
            lenient: fixed
                || !matches!(
                    self.program.source(row).map(|s| &s.link),
                    Some(Link::Collection)
                ),
            all,
        })
    }

    fn request_path(
        &mut self,
        path: &str,
        segments: &[&str],
        mark: &'static str,
    ) -> Resolved<Operand> {
        if let Some(field) = path.strip_prefix("@request.auth.") {
            return self.auth_path(field, segments, mark);
        }
        let rest = segments.get(1..).unwrap_or_default();
        if path.starts_with("@request.body.")
            && let Some(segment) = segments.get(2)
        {
            let (name, modifier) = modifier_of(segment)?;
            let field = self.collection.field(name).cloned();
            if let Some(field) = field {
                if segments.len() > 3 && field.as_relation().is_some() {
                    return self.body_relation(&field, segments, mark);
                }
                if segments.len() == 3
                    && let Some(operand) = self.body_modifier(&field, modifier, mark)?
                {
                    return Ok(operand);
                }
            }
        }
        self.request_value(rest)
    }

    fn auth_path(
        &mut self,
        field: &str,
        segments: &[&str],
        mark: &'static str,
    ) -> Resolved<Operand> {
        let Some(record) = self.scope.request.and_then(|request| request.auth) else {
            return Ok(self.null());
        };
        if PLAIN_AUTH_FIELDS.contains(&field) {
            return self.request_value(&["auth", field]);
        }
        let collection = Arc::clone(record.collection());
        let id = self.program.slot(Slot::AuthId);
        let name = format!("{}@auth", self.outer_prefix());
        let rest = segments.get(2..).unwrap_or_default();
        let walk = self.root_walk(rest, name, collection, Link::Auth { id }, mark, false)?;
        self.follow(walk)
    }

    fn body_relation(
        &mut self,
        field: &Field,
        segments: &[&str],
        mark: &'static str,
    ) -> Resolved<Operand> {
        let target = field
            .as_relation()
            .and_then(|options| self.load(&options.collection_id));
        let collection =
            target.ok_or_else(|| format!("failed to load the collection of {:?}", field.name))?;
        let list = self.program.slot(Slot::BodyIds {
            field: field.name.clone(),
        });
        let name = format!("{}@body.{}", self.outer_prefix(), field.name);
        let rest = segments.get(3..).unwrap_or_default();
        let many = field.is_multiple();
        let walk = self.root_walk(rest, name, collection, Link::Ids { list }, mark, many)?;
        self.follow(walk)
    }

    /// The modifiers of a body field that is a field of the collection too; nothing for others.
    fn body_modifier(
        &mut self,
        field: &Field,
        modifier: Option<&str>,
        mark: &'static str,
    ) -> Resolved<Option<Operand>> {
        let name = field.name.clone();
        let many_only = |what: Slot, program: &mut Program| {
            if takes_many(field) {
                Ok(program.slot(what))
            } else {
                Err(format!("field {:?} has no list of values", field.name))
            }
        };
        Ok(Some(match modifier {
            Some("each") => {
                let list = many_only(Slot::BodyItems { field: name }, self.program)?;
                self.body_each(field, list, mark)?
            }
            Some("length") => {
                let slot = many_only(Slot::BodyCount { field: name }, self.program)?;
                Operand::plain(Scalar::Slot(slot))
            }
            Some("lower") => {
                let path = ["body".to_owned(), name.clone()];
                let text = Slot::BodyText { field: name };
                let slot = self.body_slot(&path).unwrap_or(text);
                let slot = self.program.slot(slot);
                Operand::plain(Scalar::Lower(Box::new(Scalar::Slot(slot))))
            }
            Some("changed") => self.body_changed(&name)?,
            _ => return Ok(None),
        }))
    }

    fn body_each(&mut self, field: &Field, list: usize, mark: &str) -> Resolved<Operand> {
        let name = format!("{}@body.{}[]", self.outer_prefix(), field.name);
        let row = self.register(&name, None, Link::Values { list }, None)?;
        let mut operand = Operand::plain(Scalar::Element(row));
        if field.is_multiple() {
            let second = self.add(&format!("{mark}{name}"), None, Link::Values { list }, None)?;
            operand.all = Some((vec![second], Scalar::Element(second)));
        }
        Ok(operand)
    }

    /// Submitted, and different from what is stored.
    fn body_changed(&mut self, name: &str) -> Resolved<Operand> {
        let submitted = self.request_value(&["body", name])?;
        let walk_segments = [name];
        let walk = self.walk(&walk_segments, "!");
        let stored = self.follow(walk)?;
        let path = vec!["body".to_owned(), name.to_owned()];
        let is_set = self.program.slot(Slot::IsSet { path });
        let is_set = Operand::plain(Scalar::Slot(is_set));
        let yes = Operand::plain(Scalar::Flag(true));
        let node = Node::And(vec![
            compare(is_set, filter::Op::Eq, false, yes),
            compare(submitted, filter::Op::Ne, false, stored),
        ]);
        Ok(Operand {
            nulls: Nulls::Kept,
            ..Operand::plain(Scalar::Truth(Box::new(node)))
        })
    }

    /// `@request.` and these segments, taken from the request itself.
    fn request_value(&mut self, segments: &[&str]) -> Resolved<Operand> {
        let Some((last, before)) = segments.split_last() else {
            return Err("incomplete @request path".to_owned());
        };
        let (name, modifier) = modifier_of(last)?;
        let mut path: Vec<String> = before.iter().map(|segment| (*segment).to_owned()).collect();
        path.push(name.to_owned());
        let number = matches!(
            self.collection.field(name).map(|field| &field.kind),
            Some(FieldKind::Number(_))
        );
        match modifier {
            Some("isset") => {
                let slot = self.program.slot(Slot::IsSet { path });
                Ok(Operand::plain(Scalar::Slot(slot)))
            }
            None | Some("lower") => {
                let slot = match self.body_slot(&path) {
                    Some(slot) => slot,
                    None => Slot::Request { path, number },
                };
                let slot = Scalar::Slot(self.program.slot(slot));
                Ok(Operand::plain(if modifier.is_some() {
                    Scalar::Lower(Box::new(slot))
                } else {
                    slot
                }))
            }
            Some(other) => Err(format!("invalid modifier {name}:{other}")),
        }
    }

    /// Body fields whose value is compared as the text that is stored for it.
    fn body_slot(&self, path: &[String]) -> Option<Slot> {
        let [root, name] = path else {
            return None;
        };
        let field = name.clone();
        match self.collection.field(name)?.kind {
            _ if root != "body" => None,
            FieldKind::Json(_) => Some(Slot::BodyJson { field }),
            FieldKind::GeoPoint(_) => Some(Slot::BodyPoint { field }),
            _ => None,
        }
    }

    fn load(&self, name_or_id: &str) -> Option<Arc<Collection>> {
        let own = &self.collection;
        if own.name == name_or_id || own.id == name_or_id {
            return Some(Arc::clone(own));
        }
        self.scope.schema.find(name_or_id).cloned()
    }

    /// A source of the filter's own rows; puts its collection's list rule on guard where the text comes from a client.
    fn register(
        &mut self,
        name: &str,
        parent: Option<RowId>,
        link: Link,
        collection: Option<&Arc<Collection>>,
    ) -> Resolved<RowId> {
        let row = self.add(name, parent, link, collection)?;
        if let Some(collection) = collection
            && !self.allow_hidden
        {
            match collection.list_rule.as_deref() {
                None => {
                    return Err(format!(
                        "the fields of {:?} are not filterable",
                        collection.name
                    ));
                }
                Some("") => {}
                Some(_) if self.program.guarded.contains(&row) => {}
                Some(_) => self.program.guarded.push(row),
            }
        }
        Ok(row)
    }

    fn add(
        &mut self,
        name: &str,
        parent: Option<RowId>,
        link: Link,
        collection: Option<&Arc<Collection>>,
    ) -> Resolved<RowId> {
        if let Some(row) = self.program.by_name.get(name) {
            let known = self.program.source(*row);
            let same = known.is_some_and(|known| {
                known.parent == parent
                    && known.link == link
                    && known.collection.as_ref().map(|c| &c.id) == collection.map(|c| &c.id)
            });
            return if same {
                Ok(*row)
            } else {
                Err(format!("the alias of {name:?} has two meanings"))
            };
        }
        let row = self.program.sources.len();
        self.program.sources.push(Source {
            name: name.to_owned(),
            parent,
            link,
            collection: collection.cloned(),
        });
        self.program.by_name.insert(name.to_owned(), row);
        Ok(row)
    }
}

/// Steps along a path.
impl Resolver<'_, '_> {
    fn follow(&mut self, mut walk: Walk<'_>) -> Resolved<Operand> {
        let count = walk.segments.len();
        for index in 0..count {
            let Some(segment) = walk.segments.get(index).copied() else {
                break;
            };
            if index + 1 == count {
                return self.last(walk, segment);
            }
            let field = walk.collection.field(segment).cloned();
            if field.as_ref().is_some_and(|field| self.is_hidden(field)) {
                return Err(format!("field {segment:?} is not filterable"));
            }
            if let Some(field) = &field
                && matches!(field.kind, FieldKind::Json(_) | FieldKind::GeoPoint(_))
            {
                let rest = walk.segments.get(index + 1..).unwrap_or_default();
                let path = json_path(rest)?;
                return Ok(self.json(walk, &field.name, &path));
            }
            if index >= RELATION_DEPTH_MAX {
                return Err(format!("too many relations before {segment:?}"));
            }
            match field {
                None => {
                    let lenient = walk.lenient;
                    match self.back(&mut walk, segment) {
                        Err(Missing::Hidden(reason)) => return Err(reason),
                        Err(Missing::Unknown(_)) if lenient => return Ok(self.null()),
                        Err(Missing::Unknown(reason)) => return Err(reason),
                        Ok(()) => {}
                    }
                }
                Some(field) => {
                    let options = field
                        .as_relation()
                        .ok_or_else(|| format!("field {segment:?} is not a valid relation"))?;
                    let target = self
                        .load(&options.collection_id)
                        .ok_or_else(|| format!("failed to load the collection of {segment:?}"))?;
                    // The id of a related record is the relation's own value.
                    let next_is_id = walk.segments.get(index + 1..) == Some(&["id"]);
                    if !field.is_multiple() && next_is_id {
                        return self.last(walk, &field.name);
                    }
                    self.relation(&mut walk, &field, &target)?;
                }
            }
        }
        Err("incomplete path".to_owned())
    }

    fn is_hidden(&self, field: &Field) -> bool {
        field.hidden && !self.allow_hidden
    }

    fn relation(
        &mut self,
        walk: &mut Walk<'_>,
        field: &Field,
        target: &Arc<Collection>,
    ) -> Resolved<()> {
        let name = format!("{}.{}", walk.name, field.name);
        let column = || field.name.clone();
        if field.is_multiple() {
            let row = self.each(walk, &field.name)?;
            walk.row = self.register(&name, Some(row), Link::Element, Some(target))?;
            let second = format!("{}.{}", walk.all.name, field.name);
            let row = self.add(&second, walk.all.row, Link::Element, Some(target))?;
            walk.all.step(row, second);
        } else {
            let parent = walk.row;
            let link = Link::One { column: column() };
            walk.row = self.register(&name, Some(parent), link, Some(target))?;
            // A relation to a view may find several rows, but PocketBase does not ask for all of them.
            if let Some(parent) = walk.all.row {
                let second = format!("{}.{}", walk.all.name, field.name);
                let link = Link::One { column: column() };
                let row = self.add(&second, Some(parent), link, Some(target))?;
                walk.all.step(row, second);
            }
        }
        walk.name = name;
        walk.collection = Arc::clone(target);
        Ok(())
    }

    /// The elements of a list column; makes the path one of many values. Leaves the walk's row as it is.
    fn each(&mut self, walk: &mut Walk<'_>, field: &str) -> Resolved<RowId> {
        let name = format!("{}.{field}[]", walk.name);
        let link = || Link::Each {
            column: field.to_owned(),
        };
        let row = self.register(&name, Some(walk.row), link(), None)?;
        walk.all.wanted = true;
        let parent = walk.all.row.unwrap_or(walk.row);
        walk.all.fork(&walk.name);
        let second = format!("{}.{field}[]", walk.all.name);
        let second = self.add(&second, Some(parent), link(), None)?;
        walk.all.rows.push(second);
        walk.all.row = Some(second);
        Ok(row)
    }

    fn back(&mut self, walk: &mut Walk<'_>, segment: &str) -> Result<(), Missing> {
        let unknown = || Missing::Unknown(format!("failed to resolve field {segment:?}"));
        let (name, field) = segment
            .rsplit_once("_via_")
            .filter(|(name, field)| is_word(name) && is_word(field))
            .ok_or_else(unknown)?;
        let collection = self.load(name).ok_or_else(unknown)?;
        let field = collection.field(field).cloned().ok_or_else(unknown)?;
        let options = field.as_relation().ok_or_else(unknown)?;
        if self.is_hidden(&field) {
            return Err(Missing::Hidden(format!(
                "field {:?} is not filterable",
                field.name
            )));
        }
        if options.collection_id != walk.collection.id {
            return Err(unknown());
        }
        if walk.row == BASE {
            self.program.needs_stored_row = true;
        }
        let link = || Link::Back {
            column: field.name.clone(),
            multiple: field.is_multiple(),
        };
        let name = format!("{}.{segment}", walk.name);
        let refused = Missing::Hidden;
        let parent = walk.row;
        let row = self
            .register(&name, Some(parent), link(), Some(&collection))
            .map_err(refused)?;
        let unique = indexes::is_unique(&collection.indexes, &field.name);
        walk.all.wanted |= field.is_multiple() || !unique;
        let parent = walk.all.row.unwrap_or(parent);
        walk.all.fork(&walk.name);
        let second = format!("{}.{segment}", walk.all.name);
        let second_row = self
            .add(&second, Some(parent), link(), Some(&collection))
            .map_err(refused)?;
        walk.all.step(second_row, second);
        walk.row = row;
        walk.name = name;
        walk.collection = collection;
        Ok(())
    }

    fn json(&mut self, walk: Walk<'_>, column: &str, path: &str) -> Operand {
        let scalar = |row| Scalar::Json {
            row,
            column: Column::other(column),
            path: path.to_owned(),
        };
        Operand {
            nulls: Nulls::Kept,
            ..walk.finish(scalar)
        }
    }

    fn last(&mut self, mut walk: Walk<'_>, segment: &str) -> Resolved<Operand> {
        let (name, modifier) = modifier_of(segment)?;
        let Some(field) = walk.collection.field(name).cloned() else {
            return if walk.lenient {
                Ok(self.null())
            } else {
                Err(format!("unknown field {name:?}"))
            };
        };
        if self.is_hidden(&field) {
            return Err(format!("field {name:?} is not filterable"));
        }
        let column = column_of(&field);
        match modifier {
            Some("length") if takes_many(&field) => {
                return Ok(walk.finish(|row| Scalar::Length {
                    row,
                    column: column.clone(),
                }));
            }
            Some("each") if takes_many(&field) => return self.last_each(walk, &field),
            _ => {}
        }
        let email_of = (name == "email" && !self.allow_hidden && walk.collection.is_auth())
            .then_some(walk.row);
        let is_json = matches!(field.kind, FieldKind::Json(_));
        let lower = modifier == Some("lower");
        walk.lenient = false;
        let operand = walk.finish(|row| {
            let scalar = if is_json {
                Scalar::Json {
                    row,
                    column: column.clone(),
                    path: String::new(),
                }
            } else {
                Scalar::Column {
                    row,
                    column: column.clone(),
                }
            };
            if lower {
                Scalar::Lower(Box::new(scalar))
            } else {
                scalar
            }
        });
        Ok(Operand {
            email_of,
            nulls: if is_json { Nulls::Kept } else { Nulls::Auto },
            ..operand
        })
    }

    fn last_each(&mut self, mut walk: Walk<'_>, field: &Field) -> Resolved<Operand> {
        let already = walk.all.wanted;
        let row = self.each(&mut walk, &field.name)?;
        walk.all.wanted = already || field.is_multiple();
        walk.row = row;
        Ok(walk.finish(Scalar::Element))
    }
}

/// Why a path cannot go on.
enum Missing {
    /// There is nothing of that name.
    Unknown(String),
    /// There is, but not for this caller.
    Hidden(String),
}

impl All {
    /// Names the second sources after the walk, once they differ from its own.
    fn fork(&mut self, name: &str) {
        if self.row.is_none() {
            self.name = format!("{}{name}", self.mark);
        }
    }

    fn step(&mut self, row: RowId, name: String) {
        self.rows.push(row);
        self.row = Some(row);
        self.name = name;
    }
}

impl Walk<'_> {
    /// The value at the walk's end, and over the second sources where there are many.
    fn finish(self, scalar: impl Fn(RowId) -> Scalar) -> Operand {
        let mut operand = Operand::plain(scalar(self.row));
        if let Some(row) = self.all.row.filter(|_| self.all.wanted) {
            operand.all = Some((self.all.rows, scalar(row)));
        }
        operand
    }
}

impl Operand {
    pub(super) fn plain(scalar: Scalar) -> Self {
        Self {
            scalar,
            nulls: Nulls::Auto,
            all: None,
            email_of: None,
        }
    }
}

impl Column {
    fn other(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            text: false,
        }
    }
}

fn column_of(field: &Field) -> Column {
    let text = match field.kind {
        FieldKind::Number(_) | FieldKind::Bool(_) | FieldKind::Json(_) | FieldKind::GeoPoint(_) => {
            false
        }
        _ => !field.is_multiple(),
    };
    Column {
        name: field.name.clone(),
        text,
    }
}

/// One comparison: for some rows, for all rows unless `any`, and only of visible e-mail addresses.
fn compare(left: Operand, op: filter::Op, any: bool, right: Operand) -> Node {
    let nowhere = if any {
        None
    } else {
        // The other side's NULLs count as for plain values here, as in PocketBase.
        let same = (left.all.is_some() || left.nulls == Nulls::Auto)
            && (right.all.is_some() || right.nulls == Nulls::Auto)
            && left.all.is_some() != right.all.is_some()
            && ![&left.scalar, &right.scalar]
                .iter()
                .any(|side| matches!(side, Scalar::Element(_)));
        let second = |left: Scalar, left_nulls, right: Scalar, right_nulls, rows| Node::Nowhere {
            rows,
            same,
            compare: Compare {
                left,
                left_nulls,
                op,
                right,
                right_nulls,
                inverse: true,
            },
        };
        match (left.all, right.all) {
            (Some((mut rows, l)), Some((others, r))) => {
                rows.extend(others);
                Some(second(l, left.nulls, r, right.nulls, rows))
            }
            (Some((rows, l)), None) => {
                let r = right.scalar.clone();
                Some(second(l, left.nulls, r, Nulls::Auto, rows))
            }
            (None, Some((rows, r))) => {
                let l = left.scalar.clone();
                Some(second(l, Nulls::Auto, r, right.nulls, rows))
            }
            (None, None) => None,
        }
    };
    let mut nodes = vec![Node::Compare(Compare {
        left: left.scalar,
        left_nulls: left.nulls,
        op,
        right: right.scalar,
        right_nulls: right.nulls,
        inverse: false,
    })];
    nodes.extend(nowhere);
    nodes.extend(
        [left.email_of, right.email_of]
            .into_iter()
            .flatten()
            .map(Node::EmailVisible),
    );
    match nodes.len() {
        1 => nodes.swap_remove(0),
        _ => Node::And(nodes),
    }
}

/// Whether a field's type can hold several values, whatever its options say.
fn takes_many(field: &Field) -> bool {
    matches!(
        field.kind,
        FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_)
    )
}

/// A segment's name and its modifier, which must be a known one.
fn modifier_of(segment: &str) -> Resolved<(&str, Option<&str>)> {
    match split_modifier(segment) {
        (name, None) => Ok((name, None)),
        (name, Some(modifier @ ("each" | "isset" | "length" | "lower" | "changed"))) => {
            Ok((name, Some(modifier)))
        }
        (_, Some(_)) => Err(format!("unknown modifier in {segment:?}")),
    }
}

/// SQLite's notation of the path below a JSON column: `a.b`, `[0].a`.
fn json_path(segments: &[&str]) -> Resolved<String> {
    let mut path = String::new();
    for (index, segment) in segments.iter().enumerate() {
        let name: String = segment.chars().filter(|c| *c != ':').collect();
        if name.is_empty() {
            return Err("empty segment in a JSON path".to_owned());
        }
        if name.parse::<i64>().is_ok() {
            path.push('[');
            path.push_str(&name);
            path.push(']');
        } else {
            if index > 0 {
                path.push('.');
            }
            path.push_str(&name);
        }
    }
    Ok(path)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_word_byte)
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether a path has one of the forms that filters may use.
fn is_allowed(path: &str) -> bool {
    let tail_ok = |tail: &str| {
        tail.bytes()
            .all(|byte| is_word_byte(byte) || matches!(byte, b'.' | b':'))
            && tail.bytes().last().is_some_and(is_word_byte)
    };
    if let Some(rest) = path.strip_prefix("@request.") {
        return match rest.split_once('.') {
            None => matches!(rest, "context" | "method"),
            Some(("auth" | "body" | "query" | "headers", tail)) => tail_ok(tail),
            Some(_) => false,
        };
    }
    if let Some(rest) = path.strip_prefix("@collection.") {
        return rest.split_once('.').is_some_and(|(name, tail)| {
            let (name, alias) = name.split_once(':').unwrap_or((name, "a"));
            is_word(name) && is_word(alias) && tail_ok(tail)
        });
    }
    path.bytes().next().is_some_and(is_word_byte)
        && path
            .bytes()
            .all(|byte| is_word_byte(byte) || matches!(byte, b'.' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_forms_of_paths_are_allowed() {
        for path in [
            "id",
            "a.b:each",
            "@request.context",
            "@request.body.a.b:isset",
            "@collection.demo1.title",
            "@collection.demo1:x.a.b",
        ] {
            assert!(is_allowed(path), "{path}");
        }
        for path in [
            "",
            "@request",
            "@request.context.a",
            "@request.auth",
            "@request.other.a",
            "@request.body.a.",
            "@collection.demo1",
            "@collection.demo1:.title",
            "@collection.a:b:c.title",
            "@other.a",
            "#a",
        ] {
            assert!(!is_allowed(path), "{path}");
        }
    }

    #[test]
    fn json_paths_use_brackets_for_numbers() {
        assert_eq!(json_path(&["a", "0", "b"]).unwrap(), "a[0].b");
        assert_eq!(json_path(&["0", "b"]).unwrap(), "[0].b");
        assert!(json_path(&["a", ""]).is_err());
    }
}
