//! "There are rows such that": as a subquery per row, or as a set that is worked out once.

use super::from::list_name;
use super::{Level, Pair, Placer, Sets, wrapped};
use crate::filter::Op;
use crate::store::search::fold::{Equality, Truth};
use crate::store::search::tree::{Compare, Link, Node, RowId, RowSet, Scalar};
use crate::store::search::write::{Text, joined, or_empty, quoted};

impl Placer<'_> {
    /// There are rows of `root` for which all of these hold.
    pub(super) fn exists(&mut self, root: RowId, group: &[&Node], level: &Level) -> Text {
        let without = self.without(root, group);
        if self.sets != Sets::None {
            if let Some(text) = self.set(root, group, level) {
                return text;
            }
            if without == Truth::True
                && let Some(text) = self.set_or_nothing(root, group, level)
            {
                return text;
            }
        }
        let mut inner = level.below(root, without.never_holds());
        let condition = self.all(group.to_vec(), &mut inner);
        let (item, on) = self.table(root);
        let mut text = Text::default();
        if without.never_holds()
            && let Some(needle) = group.iter().find_map(|node| self.needle(node, root))
        {
            text.add(&needle).push(" AND ");
        }
        text.push("EXISTS (SELECT 1 FROM ");
        let mut conditions = Vec::new();
        if without.never_holds() {
            text.add(&item);
            conditions.extend(on);
        } else {
            text.push("(SELECT 1) LEFT JOIN ").add(&item);
            if let Some(on) = on {
                text.push(" ON ").add(&on);
            }
        }
        self.add_ordered_joins(&mut text, &inner.joins, group);
        conditions.push(condition);
        text.push(" WHERE ")
            .add(&joined(&conditions, " AND "))
            .push(")");
        text
    }

    /// What the conditions come to when `root` has no row.
    pub(super) fn without(&self, root: RowId, group: &[&Node]) -> Truth {
        let program = self.program();
        let gone = |row: RowId| program.is_under(row, root);
        let nodes = group.iter().map(|node| (*node).clone()).collect();
        self.writer.folder.without(&Node::And(nodes), &gone)
    }

    /// As a set that is worked out once, if nothing inside depends on the rows outside but by equality.
    pub(super) fn set(&mut self, root: RowId, group: &[&Node], level: &Level) -> Option<Text> {
        let program = self.program();
        let own_rows = program
            .parent(root)
            .is_none_or(|parent| program.is_fixed(parent));
        let solid = self.without(root, group).never_holds();
        let mut inner = Level::alone(program, root, solid);
        let mut pairs: Vec<Pair> = Vec::new();
        if !own_rows {
            if !solid {
                return None;
            }
            pairs.push(self.link_pair(root)?);
        }
        let mut kept = Vec::new();
        for node in group {
            if self.is_inside(node, root) {
                kept.push(*node);
            } else if own_rows || program.multiplies(root) {
                let pair = self.pair(node, root, level, &mut inner)?;
                pairs.push(pair);
            } else {
                return None;
            }
        }
        if pairs.is_empty() {
            return None;
        }
        let condition = self.all(kept, &mut inner);
        let (item, on) = self.table(root);
        let mut conditions = Vec::new();
        let mut text = Text::default();
        if solid {
            text.push(" FROM ").add(&item);
            if own_rows {
                conditions.extend(on);
            }
            self.add_list(&mut text, root, own_rows);
        } else {
            text.push(" FROM (SELECT 1) LEFT JOIN ").add(&item);
            if let Some(on) = on {
                text.push(" ON ").add(&on);
            }
        }
        self.add_ordered_joins(&mut text, &inner.joins, group);
        conditions.push(condition);
        text.push(" WHERE ").add(&joined(&conditions, " AND "));
        self.used_sets = true;
        Some(membership(&pairs, &text))
    }

    /// Where having no row suffices: some row that fits, or none at all.
    pub(super) fn set_or_nothing(
        &mut self,
        root: RowId,
        group: &[&Node],
        level: &Level,
    ) -> Option<Text> {
        let program = self.program();
        let parent = program.parent(root)?;
        if program.is_fixed(parent)
            || !self.has_id(parent, level)
            || !matches!(program.source(root)?.link, Link::Back { .. })
            || !group.iter().all(|node| self.is_inside(node, root))
        {
            return None;
        }
        let pair = self.link_pair(root)?;
        let (item, _) = self.table(root);
        let mut from = Text::new(" FROM ");
        from.add(&item);
        self.add_list(&mut from, root, false);
        let mut inner = Level::alone(program, root, true);
        let condition = self.all(group.to_vec(), &mut inner);
        let mut fits = from.clone();
        self.add_joins(&mut fits, &inner.joins);
        fits.push(" WHERE ").add(&condition);
        let mut any = from;
        any.push(" WHERE ").add(&pair.inner).push(" IS NOT NULL");
        let mut text = Text::new("(");
        text.add(&membership(std::slice::from_ref(&pair), &fits));
        text.push(" OR ").add(&pair.outer).push(" NOT IN (SELECT ");
        text.add(&pair.inner).add(&any).push("))");
        self.used_sets = true;
        Some(text)
    }

    /// What ties the rows of `root` to their parent, as an equality.
    pub(super) fn link_pair(&self, root: RowId) -> Option<Pair> {
        let program = self.program();
        let source = program.source(root)?;
        let parent = source.parent?;
        let name = quoted(&source.name);
        Some(match &source.link {
            Link::One { column } => Pair {
                column: None,
                outer: self.writer.column(parent, column),
                inner: Text::new(format!("{name}.`id`")),
            },
            Link::Element => Pair {
                column: None,
                outer: self.writer.scalar(&Scalar::Element(parent)),
                inner: Text::new(format!("{name}.`id`")),
            },
            Link::Back { column, multiple } => Pair {
                column: None,
                outer: self.writer.column(parent, "id"),
                inner: if *multiple {
                    Text::new(format!("{}.`value`", list_name(&source.name)))
                } else {
                    Text::new(format!("{name}.{}", quoted(column)))
                },
            },
            _ => return None,
        })
    }

    /// Where the parent's id is looked for among the elements of a list, the list joins the set.
    pub(super) fn add_list(&self, text: &mut Text, root: RowId, own_rows: bool) {
        if let Some(source) = self.program().source(root)
            && let Link::Back {
                column,
                multiple: true,
            } = &source.link
            && !own_rows
        {
            text.push(" JOIN ").add(&self.writer.each(root, column));
            text.push(" AS ").push(&list_name(&source.name));
        }
    }

    /// Whether a condition names nothing but what hangs below `root`.
    pub(super) fn is_inside(&self, node: &Node, root: RowId) -> bool {
        let program = self.program();
        program
            .rows_of(node)
            .iter()
            .all(|row| program.is_under(row, root))
    }

    /// An equality between something inside and something outside. What the inner side needs is joined inside: it only has to be found.
    pub(super) fn pair(
        &self,
        node: &Node,
        root: RowId,
        level: &Level,
        inner: &mut Level,
    ) -> Option<Pair> {
        let Node::Compare(compare) = node else {
            return None;
        };
        if compare.op != Op::Eq {
            return None;
        }
        let sides = [
            (&compare.left, &compare.right),
            (&compare.right, &compare.left),
        ];
        for (own, other) in sides {
            if !self.belongs(own, root) || !self.at_hand(other, level) {
                continue;
            }
            for row in self.needs(own).iter() {
                if !inner.have.contains(row) && self.program().is_under(row, root) {
                    inner.have.insert(row);
                    inner.joins.push(row);
                }
            }
            let (own_text, other_text) = (self.writer.scalar(own), self.writer.scalar(other));
            let plain = |outer, inner| {
                Some(Pair {
                    outer,
                    inner,
                    column: None,
                })
            };
            return match self.writer.folder.equality(compare) {
                Equality::Coalesce if self.by_id(compare, &[level, inner]) => {
                    plain(other_text, own_text)
                }
                Equality::Coalesce => Some(Pair {
                    outer: or_empty(&other_text),
                    inner: or_empty(&own_text),
                    column: (is_text(own) && is_text(other)).then_some(other_text),
                }),
                Equality::Direct {
                    left_empty: false,
                    right_empty: false,
                } => plain(other_text, own_text),
                _ => None,
            };
        }
        None
    }

    pub(super) fn needs(&self, scalar: &Scalar) -> RowSet {
        let mut rows = RowSet::default();
        self.program().collect_scalar(scalar, &mut rows);
        self.program().with_ancestors(&rows)
    }

    /// Whether a value comes from below `root`.
    pub(super) fn belongs(&self, scalar: &Scalar, root: RowId) -> bool {
        let mut rows = RowSet::default();
        self.program().collect_scalar(scalar, &mut rows);
        !rows.is_empty() && rows.iter().all(|row| self.program().is_under(row, root))
    }

    pub(super) fn at_hand(&self, scalar: &Scalar, level: &Level) -> bool {
        let needs = self.needs(scalar);
        !needs.is_empty() && needs.without(&level.have).is_empty()
    }

    /// Whether an equality of text columns has a row's id on one side, which is never empty: then NULL needs no care where only
    /// "true" counts.
    pub(super) fn by_id(&self, compare: &Compare, levels: &[&Level]) -> bool {
        let sides = [&compare.left, &compare.right];
        let is_id = |side: &&Scalar| match side {
            Scalar::Column { row, column } => {
                column.name == "id" && levels.iter().any(|level| self.has_id(*row, level))
            }
            _ => false,
        };
        sides.iter().all(|side| is_text(side)) && sides.iter().any(is_id)
    }
}

/// A text column, whose values compare as texts with or without a function around it.
fn is_text(scalar: &Scalar) -> bool {
    matches!(scalar, Scalar::Column { column, .. } if column.text)
}

/// `(a, b) IN (SELECT x, y ...)`
fn membership(pairs: &[Pair], from: &Text) -> Text {
    let inner: Vec<Text> = pairs.iter().map(|pair| pair.inner.clone()).collect();
    let mut set = Text::new(" IN (SELECT ");
    set.add(&joined(&inner, ", ")).add(from).push(")");
    let outer: Vec<Text> = pairs.iter().map(|pair| pair.outer.clone()).collect();
    match pairs {
        [
            Pair {
                column: Some(column),
                ..
            },
        ] => {
            // Both halves can use an index of the column, which an expression around it could not.
            let mut text = wrapped("(", column, "");
            text.add(&set).push(" OR (").add(column);
            text.push(" IS NULL AND ''").add(&set).push("))");
            text
        }
        [only] => {
            let mut text = only.outer.clone();
            text.add(&set);
            text
        }
        _ => {
            let mut text = wrapped("(", &joined(&outer, ", "), ")");
            text.add(&set);
            text
        }
    }
}
