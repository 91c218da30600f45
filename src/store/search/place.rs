//! Where "there are rows such that" goes.
//!
//! PocketBase joins every row source to the query and removes repeated rows at the end; a condition holds for a row if it holds for some
//! combination of joined rows. Here each source is bound as deep inside the condition as its uses allow, by the laws of the existential
//! quantifier: over OR it distributes, over AND it splits where the two sides share no source. Sources with at most one row are joined.
//!
//! With `sets`, what hangs below a source without naming anything outside is asked once for all rows: `author IN (SELECT id ...)`.

mod every;
mod exists;
mod from;

use std::sync::Arc;

use super::condition::{Fragment, Order, OrderTerm};
use super::fold::Equality;
use super::tree::{BASE, Node, Program, RowId, RowSet, SortTerm};
use super::write::{DIALECT, Text, Writer, joined};
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
    /// The plain column outside, where `outer` is that with NULL as the empty text.
    column: Option<Text>,
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

fn wrapped(before: &str, text: &Text, after: &str) -> Text {
    let mut whole = Text::new(before);
    whole.add(text).push(after);
    whole
}
