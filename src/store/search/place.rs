//! Where "there are rows such that" goes.
//!
//! PocketBase joins every row source to the query and removes repeated rows at the end; a condition holds for a row if it holds for some
//! combination of joined rows. Here each source is bound as deep inside the condition as its uses allow, by the laws of the existential
//! quantifier: over OR it distributes, over AND it splits where the two sides share no source. Sources with at most one row are joined.
//!
//! With `sets`, what hangs below a source without naming anything outside is asked once for all rows: `author IN (SELECT id ...)`.

use std::sync::Arc;

use super::condition::{Fragment, Join, Order, OrderTerm};
use super::fold::{Equality, Truth};
use super::known::Class;
use super::tree::{BASE, Compare, Link, Node, Program, RowId, RowSet, Scalar, SortTerm};
use super::write::{DIALECT, Text, Writer, joined, or_empty, quoted};
use crate::filter::Op;
use crate::model::Collection;

/// How many items may be copied by multiplying out ORs below ANDs. Beyond, the sources are nested, which is right but slow.
const COPIES_MAX: usize = 64;

/// What may be asked once for all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sets {
    /// Nothing: few rows are looked at.
    None,
    /// What has many rows, or rows of its own. Single related records are looked up row by row.
    Many,
    /// Single related records too, which means to read their whole table.
    All,
}

/// Places conditions into SQL.
pub(super) struct Placer<'a> {
    writer: Writer<'a>,
    sets: Sets,
    copies: usize,
    /// Whether a set was used.
    used_sets: bool,
    /// Collections that were read whole for single related records.
    whole: Vec<Arc<Collection>>,
}

/// One FROM clause: the rows at hand, here and further out.
#[derive(Default)]
struct Level {
    have: RowSet,
    /// Rows that are no stand-in of NULLs.
    solid: RowSet,
    /// Sources to join here.
    joins: Vec<RowId>,
}

/// A column or expression outside, and the one inside that must equal it.
struct Pair {
    outer: Text,
    inner: Text,
}

impl<'a> Placer<'a> {
    pub(super) fn new(writer: Writer<'a>, sets: Sets) -> Self {
        Self {
            writer,
            sets,
            copies: 0,
            used_sets: false,
            whole: Vec::new(),
        }
    }

    /// The condition on the base rows.
    pub(super) fn fragment(mut self, node: &Node) -> Fragment {
        let mut level = Level::default();
        level.have.insert(BASE);
        level.solid.insert(BASE);
        let text = self.all(vec![node], &mut level);
        self.finish(text, &level.joins, false)
    }

    /// The condition with all its sources, and those of a sort, joined: rows may come repeatedly, in the order of the joined rows.
    pub(super) fn flat_fragment(mut self, node: &Node, sort: &[SortTerm]) -> Fragment {
        let program = self.program();
        let mut rows = program.rows_of(node);
        rows.extend(&sort_rows(program, sort));
        let mut level = Level {
            have: program.with_ancestors(&rows),
            ..Level::default()
        };
        level.have.insert(BASE);
        let joins: Vec<RowId> = level.have.iter().filter(|row| *row != BASE).collect();
        let text = self.all(vec![node], &mut level);
        self.finish(text, &joins, true)
    }

    /// The sort keys; their sources are joined, unless those of a flat condition are.
    pub(super) fn order(&self, sort: &[SortTerm], joined_already: bool) -> Order {
        let rows = self
            .program()
            .with_ancestors(&sort_rows(self.program(), sort));
        Order {
            joins: rows
                .iter()
                .filter(|row| *row != BASE && !joined_already)
                .map(|row| self.join(row))
                .collect(),
            terms: sort.iter().map(|term| self.sort_term(term)).collect(),
            ..Order::default()
        }
    }

    fn sort_term(&self, term: &SortTerm) -> OrderTerm {
        let (text, descending) = match term {
            SortTerm::Random => (Text::new(DIALECT.random()), false),
            SortTerm::RowId { descending } => {
                (Text::new(format!("`r`.{}", DIALECT.row_id())), *descending)
            }
            SortTerm::Value { scalar, descending } => (self.writer.scalar(scalar), *descending),
        };
        OrderTerm {
            text: text.sql,
            args: text.args,
            descending,
        }
    }

    fn finish(&self, text: Text, joins: &[RowId], distinct: bool) -> Fragment {
        Fragment {
            joins: joins.iter().map(|row| self.join(*row)).collect(),
            text: text.sql,
            args: text.args,
            distinct,
            unordered: self.used_sets,
            joined: false,
            whole: self.whole.clone(),
        }
    }

    fn program(&self) -> &'a Program {
        self.writer.program
    }

    /// A conjunction.
    fn all(&mut self, nodes: Vec<&Node>, level: &mut Level) -> Text {
        let mut waiting = Vec::new();
        for node in nodes {
            flatten(node, &mut waiting);
        }
        let mut placed = Vec::new();
        loop {
            let (direct, rest): (Vec<&Node>, Vec<&Node>) = waiting
                .into_iter()
                .partition(|node| self.missing(node, level).is_empty());
            for node in direct {
                placed.push((self.is_heavy(node), self.direct(node, level)));
            }
            if rest.is_empty() {
                break;
            }
            let (group, others) = self.connected(rest, level);
            waiting = others;
            match self.group(&group, level) {
                Some(text) => placed.push((true, text)),
                // A source was joined here; what needed it may be at hand now.
                None => waiting.extend(group),
            }
        }
        // Comparisons of columns first: they often spare the rest.
        placed.sort_by_key(|(heavy, _)| *heavy);
        let texts: Vec<Text> = placed.into_iter().map(|(_, text)| text).collect();
        if texts.is_empty() {
            return Text::new("1");
        }
        joined(&texts, " AND ")
    }

    fn is_heavy(&self, node: &Node) -> bool {
        match node {
            Node::Nowhere { .. } | Node::Every { .. } => true,
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().any(|node| self.is_heavy(node)),
            _ => false,
        }
    }

    fn missing(&self, node: &Node, level: &Level) -> RowSet {
        let program = self.program();
        program
            .with_ancestors(&program.rows_of(node))
            .without(&level.have)
    }

    /// The first condition with all that share a missing source with it, directly or through others; and the rest.
    fn connected<'n>(&self, nodes: Vec<&'n Node>, level: &Level) -> (Vec<&'n Node>, Vec<&'n Node>) {
        let mut nodes = nodes.into_iter();
        let mut group: Vec<&Node> = nodes.next().into_iter().collect();
        let mut shared = RowSet::default();
        for node in &group {
            shared.extend(&self.missing(node, level));
        }
        let mut others: Vec<&Node> = nodes.collect();
        loop {
            let (near, far): (Vec<&Node>, Vec<&Node>) = others
                .into_iter()
                .partition(|node| self.missing(node, level).intersects(&shared));
            others = far;
            if near.is_empty() {
                return (group, others);
            }
            for node in near {
                shared.extend(&self.missing(node, level));
                group.push(node);
            }
        }
    }

    /// Missing sources that can be reached from here, of these conditions.
    fn roots(&self, nodes: &[&Node], level: &Level) -> Vec<RowId> {
        let mut missing = RowSet::default();
        for node in nodes {
            missing.extend(&self.missing(node, level));
        }
        let program = self.program();
        missing
            .iter()
            .filter(|row| match program.parent(*row) {
                Some(parent) => !missing.contains(parent),
                None => true,
            })
            .collect()
    }

    /// Conditions that share sources. Nothing when a source was joined instead.
    fn group(&mut self, group: &[&Node], level: &mut Level) -> Option<Text> {
        if let [Node::Or(branches)] = group
            && self.common_root(branches, level).is_none()
        {
            return Some(self.any(branches, level));
        }
        let roots = self.roots(group, level);
        let program = self.program();
        let Some(root) = roots.iter().copied().min_by_key(|row| {
            (
                program.multiplies(*row),
                usize::MAX - self.uses(*row, group),
            )
        }) else {
            return Some(Text::new("NULL"));
        };
        if program.multiplies(root) {
            if let Some(text) = self.multiplied_out(root, group, level) {
                return Some(text);
            }
            return Some(self.exists(root, group, level));
        }
        if self.sets == Sets::All
            && let Some(text) = self.set(root, group, level)
        {
            let collection = program
                .source(root)
                .and_then(|source| source.collection.clone());
            self.whole.extend(collection);
            return Some(text);
        }
        level.have.insert(root);
        level.joins.push(root);
        None
    }

    fn uses(&self, root: RowId, group: &[&Node]) -> usize {
        group
            .iter()
            .filter(|node| self.depends_on(node, root))
            .count()
    }

    fn depends_on(&self, node: &Node, root: RowId) -> bool {
        let program = self.program();
        program
            .with_ancestors(&program.rows_of(node))
            .contains(root)
    }

    /// The only root of every branch, if it is the same one.
    fn common_root(&self, branches: &[Node], level: &Level) -> Option<RowId> {
        let mut common = None;
        for branch in branches {
            match (self.roots(&[branch], level).as_slice(), common) {
                ([root], None) => common = Some(*root),
                ([root], Some(known)) if known == *root => {}
                _ => return None,
            }
        }
        common
    }

    /// A disjunction: each branch finds its own rows. Branches below the same source ask for them together.
    fn any(&mut self, branches: &[Node], level: &mut Level) -> Text {
        let mut groups: Vec<(Option<RowId>, Vec<Node>)> = Vec::new();
        for branch in branches {
            let root = match self.roots(&[branch], level).as_slice() {
                [root] => Some(*root),
                _ => None,
            };
            match groups
                .iter_mut()
                .find(|(other, _)| root.is_some() && *other == root)
            {
                Some((_, group)) => group.push(branch.clone()),
                None => groups.push((root, vec![branch.clone()])),
            }
        }
        let mut texts = Vec::with_capacity(groups.len());
        for (_, mut group) in groups {
            let node = match group.len() {
                1 => group.swap_remove(0),
                _ => Node::Or(group),
            };
            texts.push(self.all(vec![&node], level));
        }
        let text = joined(&texts, " OR ");
        wrapped("(", &text, ")")
    }

    /// `(a OR b) AND c` as `a AND c OR b AND c` where only some branches need the source, so that the others do without it.
    fn multiplied_out(&mut self, root: RowId, group: &[&Node], level: &mut Level) -> Option<Text> {
        let at = group.iter().position(|node| match node {
            Node::Or(branches) => branches.iter().any(|branch| !self.depends_on(branch, root)),
            _ => false,
        })?;
        let Some(Node::Or(branches)) = group.get(at) else {
            return None;
        };
        self.copies += branches.len() * group.len();
        if self.copies > COPIES_MAX {
            return None;
        }
        let mut texts = Vec::with_capacity(branches.len());
        for branch in branches {
            let mut nodes: Vec<&Node> = vec![branch];
            nodes.extend(
                group
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| *index != at)
                    .map(|(_, node)| *node),
            );
            texts.push(self.all(nodes, level));
        }
        let text = joined(&texts, " OR ");
        Some(wrapped("(", &text, ")"))
    }

    /// There are rows of `root` for which all of these hold.
    fn exists(&mut self, root: RowId, group: &[&Node], level: &Level) -> Text {
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
    fn without(&self, root: RowId, group: &[&Node]) -> Truth {
        let program = self.program();
        let gone = |row: RowId| program.is_under(row, root);
        let nodes = group.iter().map(|node| (*node).clone()).collect();
        self.writer.folder.without(&Node::And(nodes), &gone)
    }

    /// As a set that is worked out once, if nothing inside depends on the rows outside but by equality.
    fn set(&mut self, root: RowId, group: &[&Node], level: &Level) -> Option<Text> {
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
    fn set_or_nothing(&mut self, root: RowId, group: &[&Node], level: &Level) -> Option<Text> {
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
    fn link_pair(&self, root: RowId) -> Option<Pair> {
        let program = self.program();
        let source = program.source(root)?;
        let parent = source.parent?;
        let name = quoted(&source.name);
        Some(match &source.link {
            Link::One { column } => Pair {
                outer: self.writer.column(parent, column),
                inner: Text::new(format!("{name}.`id`")),
            },
            Link::Element => Pair {
                outer: self.writer.scalar(&Scalar::Element(parent)),
                inner: Text::new(format!("{name}.`id`")),
            },
            Link::Back { column, multiple } => Pair {
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
    fn add_list(&self, text: &mut Text, root: RowId, own_rows: bool) {
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
    fn is_inside(&self, node: &Node, root: RowId) -> bool {
        let program = self.program();
        program
            .rows_of(node)
            .iter()
            .all(|row| program.is_under(row, root))
    }

    /// An equality between something inside and something outside. What the inner side needs is joined inside: it only has to be found.
    fn pair(&self, node: &Node, root: RowId, level: &Level, inner: &mut Level) -> Option<Pair> {
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
            return match self.writer.folder.equality(compare) {
                Equality::Coalesce if self.by_id(compare, &[level, inner]) => Some(Pair {
                    outer: other_text,
                    inner: own_text,
                }),
                Equality::Coalesce => Some(Pair {
                    outer: or_empty(&other_text),
                    inner: or_empty(&own_text),
                }),
                Equality::Direct {
                    left_empty: false,
                    right_empty: false,
                } => Some(Pair {
                    outer: other_text,
                    inner: own_text,
                }),
                _ => None,
            };
        }
        None
    }

    fn needs(&self, scalar: &Scalar) -> RowSet {
        let mut rows = RowSet::default();
        self.program().collect_scalar(scalar, &mut rows);
        self.program().with_ancestors(&rows)
    }

    /// Whether a value comes from below `root`.
    fn belongs(&self, scalar: &Scalar, root: RowId) -> bool {
        let mut rows = RowSet::default();
        self.program().collect_scalar(scalar, &mut rows);
        !rows.is_empty() && rows.iter().all(|row| self.program().is_under(row, root))
    }

    fn at_hand(&self, scalar: &Scalar, level: &Level) -> bool {
        let needs = self.needs(scalar);
        !needs.is_empty() && needs.without(&level.have).is_empty()
    }

    /// Whether an equality of text columns has a row's id on one side, which is never empty: then NULL needs no care where only
    /// "true" counts.
    fn by_id(&self, compare: &Compare, levels: &[&Level]) -> bool {
        let sides = [&compare.left, &compare.right];
        let text = |side: &&Scalar| matches!(side, Scalar::Column { column, .. } if column.text);
        let is_id = |side: &&Scalar| match side {
            Scalar::Column { row, column } => {
                column.name == "id" && levels.iter().any(|level| self.has_id(*row, level))
            }
            _ => false,
        };
        sides.iter().all(text) && sides.iter().any(is_id)
    }

    /// Whether a row is there and has an id; only those of views may have none.
    fn has_id(&self, row: RowId, level: &Level) -> bool {
        let source = self.program().source(row);
        let table = source.and_then(|source| source.collection.as_ref());
        level.solid.contains(row) && table.is_some_and(|table| !table.is_view())
    }

    /// A condition whose rows are all at hand.
    fn direct(&mut self, node: &Node, level: &Level) -> Text {
        match node {
            Node::And(nodes) => {
                let texts: Vec<Text> = nodes.iter().map(|node| self.direct(node, level)).collect();
                wrapped("(", &joined(&texts, " AND "), ")")
            }
            Node::Or(nodes) => {
                let texts: Vec<Text> = nodes.iter().map(|node| self.direct(node, level)).collect();
                wrapped("(", &joined(&texts, " OR "), ")")
            }
            Node::Nowhere {
                rows,
                compare,
                same,
            } => self.nowhere(rows, compare, *same, level),
            Node::Every { rows, compare } => self.every(rows, compare, level),
            Node::Compare(compare)
                if compare.op == Op::Eq
                    && self.writer.folder.equality(compare) == Equality::Coalesce
                    && self.by_id(compare, &[level]) =>
            {
                let mut text = self.writer.scalar(&compare.left);
                text.push(" = ").add(&self.writer.scalar(&compare.right));
                text
            }
            other => self.writer.condition(other),
        }
    }

    fn nowhere(&mut self, rows: &[RowId], compare: &Compare, same: bool, level: &Level) -> Text {
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
    fn every(&mut self, rows: &[RowId], compare: &Compare, level: &Level) -> Text {
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
    fn every_set(
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
        let Pair { outer, inner } = self.link_pair(first)?;
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
    fn needle(&self, node: &Node, list: RowId) -> Option<Text> {
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
    fn nowhere_set(
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

    fn add_joins(&self, text: &mut Text, rows: &[RowId]) {
        for row in rows {
            let join = self.join(*row);
            text.push(&join.text);
            text.args.extend_from_slice(&join.args);
        }
    }

    /// Joins from the root outwards, in this order: SQLite takes `CROSS JOIN` by its word. Without statistics it might start at the far end,
    /// with a whole table.
    fn add_ordered_joins(&self, text: &mut Text, rows: &[RowId], group: &[&Node]) {
        for row in rows {
            let kind = if self.without(*row, group).never_holds() {
                " CROSS JOIN "
            } else {
                " LEFT JOIN "
            };
            let join = self.join_as(*row, kind);
            text.push(&join.text);
            text.args.extend_from_slice(&join.args);
        }
    }

    fn join(&self, row: RowId) -> Join {
        self.join_as(row, " LEFT JOIN ")
    }

    fn join_as(&self, row: RowId, kind: &str) -> Join {
        let (item, on) = self.table(row);
        let mut text = Text::new(kind);
        text.add(&item);
        if let Some(on) = on {
            text.push(" ON ").add(&on);
        }
        Join {
            text: text.sql,
            args: text.args,
        }
    }

    /// A source as an item of FROM, and what ties it to its parent.
    fn table(&self, row: RowId) -> (Text, Option<Text>) {
        let Some(source) = self.program().source(row) else {
            return (Text::new("(SELECT NULL)"), None);
        };
        let name = quoted(&source.name);
        let table = source
            .collection
            .as_ref()
            .map_or("", |collection| &collection.name);
        let parent = source.parent.unwrap_or(BASE);
        let mut item = match &source.link {
            Link::Each { column } => self.writer.each(parent, column),
            Link::Values { list } => wrapped("json_each(", &self.writer.slot(*list), ")"),
            _ => Text::new(quoted(table)),
        };
        item.push(" AS ").push(&name);
        let on = match &source.link {
            Link::Base | Link::Collection | Link::Each { .. } | Link::Values { .. } => None,
            Link::One { column } => Some((
                format!("{name}.`id` = "),
                self.writer.column(parent, column),
            )),
            Link::Element => {
                let value = self.writer.scalar(&Scalar::Element(parent));
                Some((format!("{name}.`id` = "), value))
            }
            Link::Auth { id } => Some((format!("{name}.`id` = "), self.writer.slot(*id))),
            Link::Ids { list } => {
                let list = self.writer.slot(*list);
                let ids = wrapped("(SELECT value FROM json_each(", &list, "))");
                Some((format!("{name}.`id` IN "), ids))
            }
            Link::Back {
                column,
                multiple: false,
            } => {
                let own = format!("{name}.{} = ", quoted(column));
                Some((own, self.writer.column(parent, "id")))
            }
            Link::Back {
                column,
                multiple: true,
            } => {
                let mut on = self.writer.column(parent, "id");
                let list = self.writer.each(row, column);
                on.push(" IN (SELECT value FROM ").add(&list).push(")");
                Some((String::new(), on))
            }
        };
        let on = on.map(|(before, value)| wrapped(&before, &value, ""));
        (item, on)
    }
}

impl Level {
    /// Inside a set over `root`. What is above counts as at hand, since nothing inside names it.
    fn alone(program: &Program, root: RowId, solid: bool) -> Self {
        let mut rows = RowSet::default();
        rows.insert(root);
        let mut level = Self {
            have: program.with_ancestors(&rows),
            ..Self::default()
        };
        if solid {
            level.solid.insert(root);
        }
        level
    }

    /// Inside a subquery over `root`.
    fn below(&self, root: RowId, solid: bool) -> Self {
        let mut inner = Self {
            have: self.have.clone(),
            solid: self.solid.clone(),
            joins: Vec::new(),
        };
        inner.have.insert(root);
        if solid {
            inner.solid.insert(root);
        }
        inner
    }
}

/// Whether the sort needs sources that can repeat rows.
pub(super) fn sort_multiplies(program: &Program, sort: &[SortTerm]) -> bool {
    program
        .with_ancestors(&sort_rows(program, sort))
        .iter()
        .any(|row| program.multiplies(row))
}

fn sort_rows(program: &Program, sort: &[SortTerm]) -> RowSet {
    let mut rows = RowSet::default();
    for term in sort {
        if let SortTerm::Value { scalar, .. } = term {
            program.collect_scalar(scalar, &mut rows);
        }
    }
    rows
}

fn flatten<'n>(node: &'n Node, out: &mut Vec<&'n Node>) {
    match node {
        Node::And(nodes) => nodes.iter().for_each(|node| flatten(node, out)),
        Node::Const(Some(true)) => {}
        other => out.push(other),
    }
}

fn list_name(name: &str) -> String {
    quoted(&format!("{name}<"))
}

fn wrapped(before: &str, text: &Text, after: &str) -> Text {
    let mut whole = Text::new(before);
    whole.add(text).push(after);
    whole
}

/// `(a, b) IN (SELECT x, y ...)`
fn membership(pairs: &[Pair], from: &Text) -> Text {
    let outer: Vec<Text> = pairs.iter().map(|pair| pair.outer.clone()).collect();
    let inner: Vec<Text> = pairs.iter().map(|pair| pair.inner.clone()).collect();
    let mut text = match outer.as_slice() {
        [only] => only.clone(),
        several => wrapped("(", &joined(several, ", "), ")"),
    };
    text.push(" IN (SELECT ").add(&joined(&inner, ", "));
    text.add(from).push(")");
    text
}
