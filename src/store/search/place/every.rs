//! "All rows": no row is against it, and some row is for it.

use super::{Level, Pair, Placer, Sets, wrapped};
use crate::filter::Op;
use crate::store::search::fold::Truth;
use crate::store::search::known::Class;
use crate::store::search::tree::{Compare, Link, Node, RowId, Scalar};
use crate::store::search::write::{Text, joined};

impl Placer<'_> {
    pub(super) fn nowhere(
        &mut self,
        rows: &[RowId],
        compare: &Compare,
        same: bool,
        level: &Level,
    ) -> Text {
        let Some((first, others)) = rows.split_first() else {
            return Text::new("1");
        };
        let program = self.program();
        let chain = others.iter().all(|row| program.is_under(*row, *first));
        let gone = |row: RowId| program.is_under(row, *first);
        // Beside the same comparison for some rows, having no row decides nothing here.
        let solid = chain
            && (same
                || matches!(
                    self.writer.folder.compare_without(compare, &gone),
                    Truth::True | Truth::Null
                ));
        // `IS FALSE` rather than NOT: it keeps SQLite from turning the joins around, which `NOT (x)`, never true of NULL, invites.
        let violation = wrapped("(", &self.writer.compare(compare), ") IS FALSE");
        if self.sets != Sets::None
            && solid
            && let Some(text) = self.nowhere_set(*first, others, compare, &violation, level)
        {
            return text;
        }
        let mut text = Text::new("NOT EXISTS (SELECT 1 FROM ");
        let mut conditions = Vec::new();
        if solid {
            let (item, on) = self.table(*first);
            text.add(&item);
            conditions.extend(on);
            self.add_joins(&mut text, others);
        } else {
            text.push("(SELECT 1)");
            self.add_joins(&mut text, rows);
        }
        conditions.push(violation);
        text.push(" WHERE ")
            .add(&joined(&conditions, " AND "))
            .push(")");
        text
    }

    /// Some row makes the comparison true and none makes it false: the smallest of its outcomes is true.
    pub(super) fn every(&mut self, rows: &[RowId], compare: &Compare, level: &Level) -> Text {
        let Some((first, others)) = rows.split_first() else {
            return Text::new("1");
        };
        let program = self.program();
        let gone = |row: RowId| program.is_under(row, *first);
        let without = self.writer.folder.compare_without(compare, &gone);
        let holds = self.writer.compare(compare);
        if self.sets != Sets::None
            && let Some(text) = self.every_set(*first, others, compare, &holds, without, level)
        {
            return text;
        }
        let mut text = Text::default();
        if without.never_holds()
            && let Some(needle) = self.needle(&Node::Compare(compare.clone()), *first)
        {
            text.add(&needle).push(" AND ");
        }
        text.push("(SELECT min(").add(&holds).push(") FROM ");
        if without.never_holds() {
            let (item, on) = self.table(*first);
            text.add(&item);
            self.add_joins(&mut text, others);
            if let Some(on) = on {
                text.push(" WHERE ").add(&on);
            }
        } else {
            text.push("(SELECT 1)");
            self.add_joins(&mut text, rows);
        }
        text.push(") = 1");
        text
    }

    /// For back-relations, which need not have an index: the owners of rows that fit, without the owners of rows that do not.
    pub(super) fn every_set(
        &mut self,
        first: RowId,
        others: &[RowId],
        compare: &Compare,
        holds: &Text,
        without: Truth,
        level: &Level,
    ) -> Option<Text> {
        let program = self.program();
        let source = program.source(first)?;
        let parent = source.parent?;
        if !matches!(source.link, Link::Back { .. })
            || !self.has_id(parent, level)
            || !self.is_inside(&Node::Compare(compare.clone()), first)
            || without == Truth::Unknown
        {
            return None;
        }
        let Pair { outer, inner, .. } = self.link_pair(first)?;
        let (item, _) = self.table(first);
        let mut owners = Text::new("SELECT ");
        owners.add(&inner).push(" FROM ").add(&item);
        self.add_list(&mut owners, first, false);
        let mut every = owners.clone();
        every.push(" WHERE ").add(&inner).push(" IS NOT NULL");
        self.add_joins(&mut owners, others);
        owners.push(" WHERE ");
        let mut fit = owners.clone();
        fit.add(holds);
        let mut unfit = owners;
        unfit
            .push("(")
            .add(holds)
            .push(") IS FALSE AND ")
            .add(&inner);
        let mut text = Text::default();
        if without.never_holds() {
            // Only those of owners that are asked for: this set stays as small as the first one.
            unfit.push(" IN (").add(&fit).push(")");
            text.add(&outer).push(" IN (").add(&fit).push(") AND ");
        } else {
            unfit.push(" IS NOT NULL");
            text.push("(")
                .add(&outer)
                .push(" IN (")
                .add(&fit)
                .push(") OR ");
            text.add(&outer)
                .push(" NOT IN (")
                .add(&every)
                .push(")) AND ");
        }
        text.add(&outer).push(" NOT IN (").add(&unfit).push(")");
        self.used_sets = true;
        Some(wrapped("(", &text, ")"))
    }

    /// A quick look whether a list can contain an element at all, as a text: elements that are plain words stand in JSON as they are.
    pub(super) fn needle(&self, node: &Node, list: RowId) -> Option<Text> {
        let Node::Compare(compare) = node else {
            return None;
        };
        let program = self.program();
        let source = program.source(list)?;
        let (Link::Each { column }, Some(parent)) = (&source.link, source.parent) else {
            return None;
        };
        if compare.op != Op::Eq || program.is_fixed(parent) {
            return None;
        }
        let is_element = |side: &Scalar| match side {
            Scalar::Element(row) => *row == list,
            Scalar::Column { row, column } => {
                column.name == "id"
                    && program.parent(*row) == Some(list)
                    && matches!(program.source(*row).map(|s| &s.link), Some(Link::Element))
            }
            _ => false,
        };
        let slot = match (&compare.left, &compare.right) {
            (Scalar::Slot(slot), side) | (side, Scalar::Slot(slot)) if is_element(side) => *slot,
            _ => return None,
        };
        if self.writer.folder.class(slot) != Class::Word {
            return None;
        }
        let mut text = wrapped("instr(", &self.writer.column(parent, column), ", ");
        text.add(&self.writer.slot(slot)).push(") > 0");
        Some(text)
    }

    /// The owners of violating rows as a set, for back-relations, which need not have an index.
    pub(super) fn nowhere_set(
        &mut self,
        first: RowId,
        others: &[RowId],
        compare: &Compare,
        violation: &Text,
        level: &Level,
    ) -> Option<Text> {
        let program = self.program();
        let source = program.source(first)?;
        let parent = source.parent?;
        if !matches!(source.link, Link::Back { .. })
            || !self.has_id(parent, level)
            || !self.is_inside(&Node::Compare(compare.clone()), first)
        {
            return None;
        }
        let pair = self.link_pair(first)?;
        let (item, _) = self.table(first);
        let mut text = pair.outer.clone();
        text.push(" NOT IN (SELECT ")
            .add(&pair.inner)
            .push(" FROM ")
            .add(&item);
        self.add_list(&mut text, first, false);
        self.add_joins(&mut text, others);
        text.push(" WHERE ").add(violation);
        text.push(" AND ").add(&pair.inner).push(" IS NOT NULL)");
        Some(text)
    }
}
