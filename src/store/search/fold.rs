//! What can be decided before the query runs.

use std::cmp::Ordering;

use super::known::{Class, Known, like};
use super::tree::{Compare, Link, Node, Nulls, Program, RowId, Scalar};
use crate::filter::Op;

/// How `=` and `!=` treat NULL and the empty text; the same choice that PocketBase makes, so that columns keep their indexes where they
/// can and their affinity where it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Equality {
    /// `a IS b`
    Is,
    /// Empty on both sides.
    BothEmpty,
    /// `a = b`, at least one known not to be empty; an empty side stands as the empty text.
    Direct {
        left_empty: bool,
        right_empty: bool,
    },
    /// The left side is empty, the right one may be either kind of empty.
    LeftEmpty,
    RightEmpty,
    /// NULL counts as the empty text on both sides.
    Coalesce,
}

/// What a comparison comes to. `Unknown`: only the database can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    True,
    False,
    Null,
    Unknown,
}

impl Truth {
    fn of(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }

    /// A condition that cannot hold, NULL included.
    pub(super) fn never_holds(self) -> bool {
        matches!(self, Self::False | Self::Null)
    }
}

/// Decides what it can about one set of values.
#[derive(Clone, Copy)]
pub(super) struct Folder<'a> {
    pub(super) program: &'a Program,
    pub(super) classes: &'a [Class],
}

impl Folder<'_> {
    pub(super) fn class(&self, slot: usize) -> Class {
        self.classes.get(slot).copied().unwrap_or(Class::Null)
    }

    pub(super) fn equality(&self, compare: &Compare) -> Equality {
        let (left, right) = (&compare.left, &compare.right);
        let (left_nulls, right_nulls) = (compare.left_nulls, compare.right_nulls);
        if left_nulls == Nulls::Kept || right_nulls == Nulls::Kept {
            return Equality::Is;
        }
        let left_empty = self.is_empty(left, left_nulls);
        let right_empty = self.is_empty(right, right_nulls);
        if left_empty && right_empty {
            return Equality::BothEmpty;
        }
        if self.is_filled(left, left_nulls, compare.inverse)
            || self.is_filled(right, right_nulls, compare.inverse)
        {
            return Equality::Direct {
                left_empty,
                right_empty,
            };
        }
        if left_empty {
            Equality::LeftEmpty
        } else if right_empty {
            Equality::RightEmpty
        } else {
            Equality::Coalesce
        }
    }

    /// Known to be NULL or the empty text.
    fn is_empty(&self, scalar: &Scalar, nulls: Nulls) -> bool {
        if matches!(scalar, Scalar::Slot(slot) if self.class(*slot) == Class::Null) {
            return true;
        }
        // Whatever stands around a single bound value, that one counts.
        nulls == Nulls::Auto && self.bound(scalar) == [Class::EmptyText]
            || matches!(scalar, Scalar::Lower(inner) if self.is_empty(inner, nulls))
    }

    /// Known to be neither NULL nor the empty text, or taken for it, since all values bound in it are.
    fn is_filled(&self, scalar: &Scalar, nulls: Nulls, inverse: bool) -> bool {
        if nulls == Nulls::Folded {
            return false;
        }
        match scalar {
            Scalar::Flag(_) => true,
            // Submitted items are compared as they are.
            Scalar::Element(row) => {
                !inverse
                    && matches!(
                        self.program.source(*row).map(|source| &source.link),
                        Some(Link::Values { .. })
                    )
            }
            _ => {
                let bound = self.bound(scalar);
                !bound.is_empty() && !bound.contains(&Class::EmptyText)
            }
        }
    }

    /// The kinds of values bound in a scalar; NULL is written out instead.
    fn bound(&self, scalar: &Scalar) -> Vec<Class> {
        match scalar {
            Scalar::Slot(slot) => {
                let class = self.class(*slot);
                if class == Class::Null {
                    Vec::new()
                } else {
                    vec![class]
                }
            }
            Scalar::Lower(inner) => self.bound(inner),
            Scalar::Strftime(args) => args.iter().flat_map(|arg| self.bound(arg)).collect(),
            Scalar::Distance(args) => args.iter().flat_map(|arg| self.bound(arg)).collect(),
            _ => Vec::new(),
        }
    }

    /// What a condition comes to in rows where these sources have no row.
    pub(super) fn without(&self, node: &Node, gone: &dyn Fn(RowId) -> bool) -> Truth {
        match node {
            Node::Const(value) => match value {
                Some(holds) => Truth::of(*holds),
                None => Truth::Null,
            },
            Node::And(nodes) => {
                let mut all = Truth::True;
                for node in nodes {
                    match self.without(node, gone) {
                        Truth::False => return Truth::False,
                        // One that never holds outweighs all that nobody knows of.
                        Truth::Null => all = Truth::Null,
                        Truth::Unknown if all == Truth::True => all = Truth::Unknown,
                        Truth::Unknown | Truth::True => {}
                    }
                }
                all
            }
            Node::Or(nodes) => {
                let mut any = Truth::False;
                for node in nodes {
                    match self.without(node, gone) {
                        Truth::True => return Truth::True,
                        Truth::Unknown => any = Truth::Unknown,
                        Truth::Null if any == Truth::False => any = Truth::Null,
                        Truth::Null | Truth::False => {}
                    }
                }
                any
            }
            Node::Not(node) => match self.without(node, gone) {
                Truth::True => Truth::False,
                Truth::False => Truth::True,
                other => other,
            },
            Node::Compare(compare) => self.compare_without(compare, gone),
            Node::Nowhere { rows, compare, .. } => match self.chain_without(rows, compare, gone) {
                Truth::True | Truth::Null => Truth::True,
                other => other,
            },
            Node::Every { rows, compare } => self.chain_without(rows, compare, gone),
            Node::EmailVisible(row) if gone(*row) => Truth::Null,
            Node::EmailVisible(_) => Truth::Unknown,
        }
    }

    /// Rows that hang below one that is gone are gone with it.
    fn chain_without(
        &self,
        rows: &[RowId],
        compare: &Compare,
        gone: &dyn Fn(RowId) -> bool,
    ) -> Truth {
        let below = |row: &RowId| self.program.parent(*row).is_some_and(gone);
        match rows.first() {
            Some(first) if below(first) => {
                let gone = |row| gone(row) || rows.contains(&row);
                self.compare_without(compare, &gone)
            }
            _ => Truth::Unknown,
        }
    }

    pub(super) fn compare_without(&self, compare: &Compare, gone: &dyn Fn(RowId) -> bool) -> Truth {
        let left = self.value_without(&compare.left, gone);
        let right = self.value_without(&compare.right, gone);
        let negate = compare.op == Op::Ne;
        if !matches!(compare.op, Op::Eq | Op::Ne) {
            return if left == Value::Null || right == Value::Null {
                Truth::Null
            } else {
                Truth::Unknown
            };
        }
        let equal = match (self.equality(compare), left, right) {
            (Equality::BothEmpty, ..) => Truth::True,
            (Equality::Is, Value::Null, Value::Null) => Truth::True,
            (Equality::Is, Value::Null, Value::Filled | Value::Empty)
            | (Equality::Is, Value::Filled | Value::Empty, Value::Null) => Truth::False,
            (
                Equality::Direct {
                    left_empty: false,
                    right_empty,
                },
                Value::Null,
                other,
            ) => direct_null(negate, right_empty || other != Value::Unknown),
            (
                Equality::Direct {
                    left_empty,
                    right_empty: false,
                },
                other,
                Value::Null,
            ) => direct_null(negate, left_empty || other != Value::Unknown),
            (Equality::LeftEmpty, _, Value::Null) | (Equality::RightEmpty, Value::Null, _) => {
                Truth::True
            }
            (Equality::LeftEmpty, _, Value::Filled) | (Equality::RightEmpty, Value::Filled, _) => {
                Truth::False
            }
            (Equality::Coalesce, Value::Null, Value::Null) => Truth::True,
            (Equality::Coalesce, Value::Null, Value::Filled)
            | (Equality::Coalesce, Value::Filled, Value::Null) => Truth::False,
            _ => Truth::Unknown,
        };
        match equal {
            Truth::True if negate => Truth::False,
            Truth::False if negate => Truth::True,
            other => other,
        }
    }

    fn value_without(&self, scalar: &Scalar, gone: &dyn Fn(RowId) -> bool) -> Value {
        match scalar {
            Scalar::Slot(slot) => match self.class(*slot) {
                Class::Null => Value::Null,
                Class::EmptyText => Value::Empty,
                _ => Value::Filled,
            },
            Scalar::Flag(_) => Value::Filled,
            Scalar::Column { row, .. } | Scalar::Element(row) | Scalar::Json { row, .. }
                if gone(*row) =>
            {
                Value::Null
            }
            // The length of nothing is 0.
            Scalar::Length { row, .. } if gone(*row) => Value::Filled,
            Scalar::Lower(inner) => self.value_without(inner, gone),
            Scalar::Strftime(args) => match args.get(1) {
                Some(time) if self.value_without(time, gone) == Value::Null => Value::Null,
                _ => Value::Unknown,
            },
            Scalar::Distance(args) => {
                if args
                    .iter()
                    .any(|arg| self.value_without(arg, gone) == Value::Null)
                {
                    Value::Null
                } else {
                    Value::Unknown
                }
            }
            _ => Value::Unknown,
        }
    }
}

/// `NULL = x` is NULL, but `NULL IS NOT x` is true: "equal" is false there, when `x` is known not to be NULL.
fn direct_null(negate: bool, other_known: bool) -> Truth {
    match (negate, other_known) {
        (false, _) => Truth::Null,
        (true, true) => Truth::False,
        (true, false) => Truth::Unknown,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Null,
    Empty,
    Filled,
    Unknown,
}

/// Folds comparisons of known values.
pub(super) struct Values<'a> {
    pub(super) folder: Folder<'a>,
    pub(super) values: &'a [Known],
}

impl Values<'_> {
    fn known(&self, scalar: &Scalar) -> Option<Known> {
        match scalar {
            Scalar::Slot(slot) => self.values.get(*slot).cloned(),
            Scalar::Flag(flag) => Some(Known::Integer(i64::from(*flag))),
            Scalar::Lower(inner) => match self.known(inner)? {
                Known::Text(text) => Some(Known::Text(text.to_ascii_lowercase())),
                Known::Null => Some(Known::Null),
                _ => None,
            },
            _ => None,
        }
    }

    /// The outcome of a comparison of two known values; `Unknown` where the database has to say.
    pub(super) fn compare(&self, compare: &Compare) -> Truth {
        let (Some(left), Some(right)) = (self.known(&compare.left), self.known(&compare.right))
        else {
            return Truth::Unknown;
        };
        let ordered = |test: fn(Ordering) -> bool| match left.compare(&right) {
            Some(order) => Truth::of(test(order)),
            None => Truth::Null,
        };
        match compare.op {
            Op::Eq => Truth::of(self.equal(compare, left, right)),
            Op::Ne => Truth::of(!self.equal(compare, left, right)),
            Op::Lt => ordered(Ordering::is_lt),
            Op::Le => ordered(Ordering::is_le),
            Op::Gt => ordered(Ordering::is_gt),
            Op::Ge => ordered(Ordering::is_ge),
            Op::Like | Op::NotLike => match (&left, &right) {
                (Known::Null, _) | (_, Known::Null) => Truth::Null,
                (Known::Text(text), right) if !matches!(compare.right, Scalar::Flag(_)) => {
                    Truth::of(like(text, &right.to_pattern()) == (compare.op == Op::Like))
                }
                _ => Truth::Unknown,
            },
        }
    }

    fn equal(&self, compare: &Compare, left: Known, right: Known) -> bool {
        match self.folder.equality(compare) {
            Equality::BothEmpty => true,
            Equality::Is => left == right || left.compare(&right) == Some(Ordering::Equal),
            _ => {
                let fill = |known| match known {
                    Known::Null => Known::Text(String::new()),
                    other => other,
                };
                fill(left).compare(&fill(right)) == Some(Ordering::Equal)
            }
        }
    }

    /// Appends what the comparisons of known values came to: with the classes, all that the SQL text depends on.
    pub(super) fn outcomes(&self, node: &Node, out: &mut Vec<u8>) {
        match node {
            Node::And(nodes) | Node::Or(nodes) => {
                nodes.iter().for_each(|node| self.outcomes(node, out));
            }
            Node::Not(node) => self.outcomes(node, out),
            Node::Compare(compare) => {
                if let Some((node, wanted)) = self.of_truth(compare) {
                    out.push(wanted.map_or(2, u8::from));
                    self.outcomes(node, out);
                    return;
                }
                match self.compare(compare) {
                    Truth::Unknown => {}
                    truth => out.push(truth as u8),
                }
            }
            Node::Const(_) | Node::Nowhere { .. } | Node::Every { .. } | Node::EmailVisible(_) => {}
        }
    }

    /// The condition without what is known already.
    pub(super) fn simplify(&self, node: &Node) -> Node {
        match node {
            Node::And(nodes) => self.join(nodes, true),
            Node::Or(nodes) => self.join(nodes, false),
            Node::Not(inner) => negate(self.simplify(inner)),
            Node::Compare(compare) => {
                let compare = self.without_absent(compare.clone());
                self.simplify_compare(&compare)
            }
            Node::Nowhere {
                rows,
                compare,
                same,
            } => {
                let present = |row: &&RowId| self.absent_list(**row).is_none();
                let rows: Vec<RowId> = rows.iter().filter(present).copied().collect();
                if rows.is_empty() {
                    return Node::Const(Some(true));
                }
                Node::Nowhere {
                    rows,
                    compare: self.without_absent(compare.clone()),
                    same: *same,
                }
            }
            other => other.clone(),
        }
    }

    /// Values of submitted relations are plain NULLs when nothing was submitted.
    fn without_absent(&self, mut compare: Compare) -> Compare {
        for (scalar, nulls) in [
            (&mut compare.left, &mut compare.left_nulls),
            (&mut compare.right, &mut compare.right_nulls),
        ] {
            if self.clear_absent(scalar) && *nulls == Nulls::Kept {
                *nulls = Nulls::Auto;
            }
        }
        compare
    }

    /// Gives whether the value itself is absent, not only an argument of a function.
    fn clear_absent(&self, scalar: &mut Scalar) -> bool {
        match scalar {
            Scalar::Column { row, .. }
            | Scalar::Element(row)
            | Scalar::Json { row, .. }
            | Scalar::Length { row, .. } => match self.absent_list(*row) {
                Some(list) => {
                    *scalar = Scalar::Slot(list);
                    true
                }
                None => false,
            },
            Scalar::Lower(inner) => self.clear_absent(inner),
            Scalar::Strftime(args) => {
                for arg in args {
                    self.clear_absent(arg);
                }
                false
            }
            Scalar::Distance(args) => {
                for arg in args.iter_mut() {
                    self.clear_absent(arg);
                }
                false
            }
            Scalar::Slot(_) | Scalar::Flag(_) | Scalar::Truth(_) => false,
        }
    }

    /// The list of submitted ids that a row comes from, if it is empty.
    fn absent_list(&self, row: RowId) -> Option<usize> {
        let program = self.folder.program;
        let mut at = row;
        while let Some(parent) = program.parent(at) {
            at = parent;
        }
        match program.source(at)?.link {
            Link::Ids { list } if self.folder.class(list) == Class::Null => Some(list),
            _ => None,
        }
    }

    /// `and`: a false item decides; otherwise a true one does.
    fn join(&self, nodes: &[Node], and: bool) -> Node {
        let mut items = Vec::with_capacity(nodes.len());
        let mut null = false;
        for node in nodes {
            match self.simplify(node) {
                Node::Const(Some(value)) if value == and => {}
                Node::Const(Some(value)) => return Node::Const(Some(value)),
                Node::Const(None) => null = true,
                Node::And(inner) if and => items.extend(inner),
                Node::Or(inner) if !and => items.extend(inner),
                other => items.push(other),
            }
        }
        // NULL never holds: with AND nothing does, with OR the others decide.
        if null && (and || items.is_empty()) {
            return Node::Const(None);
        }
        match items.len() {
            0 => Node::Const(Some(and)),
            1 => items.swap_remove(0),
            _ if and => Node::And(items),
            _ => Node::Or(items),
        }
    }

    fn simplify_compare(&self, compare: &Compare) -> Node {
        match self.compare(compare) {
            Truth::True => return Node::Const(Some(true)),
            Truth::False => return Node::Const(Some(false)),
            Truth::Null => return Node::Const(None),
            Truth::Unknown => {}
        }
        match self.of_truth(compare) {
            Some((node, Some(true))) => self.simplify(node),
            Some((node, Some(false))) => negate(self.simplify(node)),
            _ => Node::Compare(compare.clone()),
        }
    }

    /// A comparison of a condition's truth: the condition, and whether it is wanted to be true, if that is the question.
    fn of_truth<'n>(&self, compare: &'n Compare) -> Option<(&'n Node, Option<bool>)> {
        let (node, other) = match (&compare.left, &compare.right) {
            (Scalar::Truth(node), other) | (other, Scalar::Truth(node)) => (node, other),
            _ => return None,
        };
        let flag = match self.known(other) {
            Some(Known::Integer(1) | Known::Bool(true)) => Some(true),
            Some(Known::Integer(0) | Known::Bool(false)) => Some(false),
            _ => None,
        };
        let wanted = match compare.op {
            Op::Eq => flag,
            Op::Ne => flag.map(|flag| !flag),
            _ => None,
        };
        Some((node, wanted))
    }
}

fn negate(node: Node) -> Node {
    match node {
        Node::Const(value) => Node::Const(value.map(|value| !value)),
        Node::Not(inner) => *inner,
        other => Node::Not(Box::new(other)),
    }
}
