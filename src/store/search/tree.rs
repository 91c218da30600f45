//! What a filter means once its names are resolved: rows of tables, values taken from them, comparisons between those.

use std::collections::HashMap;
use std::sync::Arc;

use super::request::Slot;
use crate::filter::Op;
use crate::model::Collection;

/// Index of a row source in [`Program::sources`].
pub(super) type RowId = usize;

/// The filtered row itself.
pub(super) const BASE: RowId = 0;

/// Something that has rows: for each row of its parent it has none, one or many, and counts as a row of NULLs when it has none.
#[derive(Debug)]
pub(super) struct Source {
    /// Unique, made of the path that leads to it; its name in the SQL text.
    pub(super) name: String,
    pub(super) parent: Option<RowId>,
    pub(super) link: Link,
    /// The collection whose table it is; lists of values have none.
    pub(super) collection: Option<Arc<Collection>>,
}

/// How the rows belong to the parent's row.
#[derive(Debug, PartialEq)]
pub(super) enum Link {
    Base,
    /// The record that the parent's column names.
    One {
        column: String,
    },
    /// The record that the parent, an element of a list, names.
    Element,
    /// The elements of the list in the parent's column.
    Each {
        column: String,
    },
    /// The records whose column names the parent.
    Back {
        column: String,
        multiple: bool,
    },
    /// All records of a collection.
    Collection,
    /// The signed-in record, as it is stored now.
    Auth {
        id: usize,
    },
    /// The records whose ids are in a JSON list.
    Ids {
        list: usize,
    },
    /// The elements of a JSON list.
    Values {
        list: usize,
    },
}

/// A value taken from rows, or known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    /// Known when the query is made; index in [`Program::slots`].
    Slot(usize),
    /// The words `true` and `false`.
    Flag(bool),
    Column {
        row: RowId,
        column: Column,
    },
    /// An element of a list.
    Element(RowId),
    /// A JSON or point column, at a path (empty: the whole).
    Json {
        row: RowId,
        column: Column,
        path: String,
    },
    /// How many elements a column has.
    Length {
        row: RowId,
        column: Column,
    },
    Lower(Box<Scalar>),
    Strftime(Vec<Scalar>),
    /// Kilometres between two points: longitude and latitude of each.
    Distance(Box<[Scalar; 4]>),
    /// Whether a condition on the filtered row holds.
    Truth(Box<Node>),
}

/// A column's name, and whether it is a text column that a plain `=` can compare with another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) text: bool,
}

/// Whether an operand's NULL counts as the empty text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nulls {
    /// It does; known values need no test.
    Auto,
    /// It does not: JSON and computed values are compared as they are.
    Kept,
    /// It does, whatever the value looks like.
    Folded,
}

/// `left op right` for one row of each source it names.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Compare {
    pub(super) left: Scalar,
    pub(super) left_nulls: Nulls,
    pub(super) op: Op,
    pub(super) right: Scalar,
    pub(super) right_nulls: Nulls,
    /// It stands in [`Node::Nowhere`].
    pub(super) inverse: bool,
}

/// A condition. Row sources other than the base are bound by "there are rows such that", outermost over the whole tree.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// `None`: neither, as a comparison with NULL.
    Const(Option<bool>),
    And(Vec<Node>),
    Or(Vec<Node>),
    /// Of a condition that is never NULL.
    Not(Box<Node>),
    Compare(Compare),
    /// No rows of these sources, in the order of dependence, make the comparison false. It stands beside the comparison for some rows;
    /// `same`: it asks the same of each row.
    Nowhere {
        rows: Vec<RowId>,
        compare: Compare,
        same: bool,
    },
    /// Some rows of these sources make the comparison true and none makes it false.
    Every {
        rows: Vec<RowId>,
        compare: Compare,
    },
    /// The auth record shows its e-mail address.
    EmailVisible(RowId),
}

/// One resolved side of a comparison.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) scalar: Scalar,
    pub(super) nulls: Nulls,
    /// The same value once more over rows of its own, for "all of them": the rows, and the value.
    pub(super) all: Option<(Vec<RowId>, Scalar)>,
    /// The auth row whose e-mail address it is.
    pub(super) email_of: Option<RowId>,
}

/// One key of a sort.
#[derive(Debug)]
pub(super) enum SortTerm {
    Random,
    RowId { descending: bool },
    Value { scalar: Scalar, descending: bool },
}

/// A filter with resolved names, before the values of a request are known.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) sources: Vec<Source>,
    pub(super) by_name: HashMap<String, RowId>,
    pub(super) slots: Vec<Slot>,
    pub(super) conditions: Vec<Node>,
    pub(super) sort: Vec<SortTerm>,
    /// Sources whose collection's list rule must hold too.
    pub(super) guarded: Vec<RowId>,
    pub(super) needs_stored_row: bool,
}

impl Program {
    pub(super) fn slot(&mut self, slot: Slot) -> usize {
        if let Some(known) = self.slots.iter().position(|other| *other == slot) {
            return known;
        }
        self.slots.push(slot);
        self.slots.len() - 1
    }

    /// Whether `row` is `ancestor` or depends on it.
    pub(super) fn is_under(&self, row: RowId, ancestor: RowId) -> bool {
        let mut at = Some(row);
        while let Some(current) = at {
            if current == ancestor {
                return true;
            }
            at = self.parent(current);
        }
        false
    }

    pub(super) fn source(&self, row: RowId) -> Option<&Source> {
        self.sources.get(row)
    }

    pub(super) fn parent(&self, row: RowId) -> Option<RowId> {
        self.source(row).and_then(|source| source.parent)
    }

    /// Whether one row of the parent can have more than one. The ids of a view are not unique.
    pub(super) fn multiplies(&self, row: RowId) -> bool {
        let Some(source) = self.source(row) else {
            return false;
        };
        match source.link {
            Link::Base | Link::Auth { .. } => false,
            Link::One { .. } | Link::Element => source
                .collection
                .as_ref()
                .is_some_and(|collection| collection.is_view()),
            _ => true,
        }
    }

    /// Whether there is exactly one row, the same for the whole query: the signed-in record and what it refers to singly.
    pub(super) fn is_fixed(&self, row: RowId) -> bool {
        match self.source(row) {
            Some(source) => match source.link {
                Link::Auth { .. } => true,
                Link::One { .. } => {
                    !self.multiplies(row)
                        && source.parent.is_some_and(|parent| self.is_fixed(parent))
                }
                _ => false,
            },
            None => false,
        }
    }

    /// The rows that a condition names directly, without fixed ones and without those it binds itself.
    pub(super) fn rows_of(&self, node: &Node) -> RowSet {
        let mut rows = RowSet::default();
        self.collect(node, &mut rows);
        rows
    }

    fn collect(&self, node: &Node, rows: &mut RowSet) {
        match node {
            Node::Const(_) => {}
            Node::And(nodes) | Node::Or(nodes) => {
                nodes.iter().for_each(|node| self.collect(node, rows));
            }
            Node::Not(node) => self.collect(node, rows),
            Node::Compare(compare) => self.collect_compare(compare, rows),
            Node::Nowhere {
                rows: own, compare, ..
            }
            | Node::Every { rows: own, compare } => {
                let mut inner = RowSet::default();
                self.collect_compare(compare, &mut inner);
                for row in own {
                    if let Some(parent) = self.parent(*row)
                        && !self.is_fixed(parent)
                    {
                        inner.insert(parent);
                    }
                }
                for row in own {
                    inner.remove(*row);
                }
                rows.extend(&inner);
            }
            Node::EmailVisible(row) => {
                if !self.is_fixed(*row) {
                    rows.insert(*row);
                }
            }
        }
    }

    fn collect_compare(&self, compare: &Compare, rows: &mut RowSet) {
        self.collect_scalar(&compare.left, rows);
        self.collect_scalar(&compare.right, rows);
    }

    pub(super) fn collect_scalar(&self, scalar: &Scalar, rows: &mut RowSet) {
        match scalar {
            Scalar::Slot(_) | Scalar::Flag(_) => {}
            Scalar::Column { row, .. }
            | Scalar::Element(row)
            | Scalar::Json { row, .. }
            | Scalar::Length { row, .. } => {
                if !self.is_fixed(*row) {
                    rows.insert(*row);
                }
            }
            Scalar::Lower(inner) => self.collect_scalar(inner, rows),
            Scalar::Strftime(args) => args.iter().for_each(|arg| self.collect_scalar(arg, rows)),
            Scalar::Distance(args) => args.iter().for_each(|arg| self.collect_scalar(arg, rows)),
            Scalar::Truth(node) => self.collect(node, rows),
        }
    }

    /// Adds the rows that these depend on, up to fixed ones.
    pub(super) fn with_ancestors(&self, rows: &RowSet) -> RowSet {
        let mut closed = rows.clone();
        for row in rows.iter() {
            let mut at = self.parent(row);
            while let Some(parent) = at {
                if self.is_fixed(parent) {
                    break;
                }
                closed.insert(parent);
                at = self.parent(parent);
            }
        }
        closed
    }
}

/// A set of row sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RowSet {
    words: Vec<u64>,
}

impl RowSet {
    pub(super) fn insert(&mut self, row: RowId) {
        let word = row / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if let Some(bits) = self.words.get_mut(word) {
            *bits |= 1 << (row % 64);
        }
    }

    pub(super) fn remove(&mut self, row: RowId) {
        if let Some(bits) = self.words.get_mut(row / 64) {
            *bits &= !(1 << (row % 64));
        }
    }

    pub(super) fn contains(&self, row: RowId) -> bool {
        self.words
            .get(row / 64)
            .is_some_and(|bits| bits & (1 << (row % 64)) != 0)
    }

    pub(super) fn extend(&mut self, other: &Self) {
        other.iter().for_each(|row| self.insert(row));
    }

    pub(super) fn without(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        other.iter().for_each(|row| rest.remove(row));
        rest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|bits| *bits == 0)
    }

    pub(super) fn intersects(&self, other: &Self) -> bool {
        self.words
            .iter()
            .zip(&other.words)
            .any(|(left, right)| left & right != 0)
    }

    /// In ascending order: a source comes after its parent.
    pub(super) fn iter(&self) -> impl Iterator<Item = RowId> + '_ {
        self.words.iter().enumerate().flat_map(|(word, bits)| {
            (0..64)
                .filter(move |bit| bits & (1 << bit) != 0)
                .map(move |bit| word * 64 + bit)
        })
    }
}
