//! From names to rows and values.
//!
//! A path is followed step by step: relations, back-relations, lists. Each step registers a row source under a name made of the path, so
//! that the same path always means the same rows. Where the path has many values, a second set of sources is made from the first
//! multiplying step on, for "all of them must satisfy it".

use std::sync::Arc;

use super::compile::Scope;
use super::known::Known;
use super::request::Slot;
use super::tree::{Compare, Link, Node, Nulls, Operand, Program, RowId, Scalar, SortTerm, Source};
use crate::filter::{self, Expr, OperandKind, SortKey, SortKind, split_modifier};
use crate::model::{Collection, Field, FieldKind};

/// How many relations may stand one behind the other in a path.
const RELATION_DEPTH_MAX: usize = 6;

mod roots;
mod steps;

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
}
