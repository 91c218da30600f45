//! "For some row and for every row" as one question.

use std::collections::HashMap;

use super::tree::{Compare, Node, Program, RowId, RowSet, SortTerm};

/// Turns a comparison for some rows, and its counterpart for every row, into [`Node::Every`], where nothing else speaks of those rows.
pub(super) fn merge(program: &Program, node: Node) -> Node {
    let mut uses = Uses {
        program,
        counts: HashMap::new(),
    };
    uses.count(&node);
    for term in &program.sort {
        if let SortTerm::Value { scalar, .. } = term {
            let mut rows = RowSet::default();
            program.collect_scalar(scalar, &mut rows);
            uses.add(&rows);
        }
    }
    uses.merge(node)
}

struct Uses<'a> {
    program: &'a Program,
    /// How many conditions need a row source.
    counts: HashMap<RowId, usize>,
}

impl Uses<'_> {
    fn add(&mut self, rows: &RowSet) {
        for row in self.program.with_ancestors(rows).iter() {
            *self.counts.entry(row).or_default() += 1;
        }
    }

    fn count(&mut self, node: &Node) {
        match node {
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().for_each(|node| self.count(node)),
            other => self.add(&self.program.rows_of(other)),
        }
    }

    fn merge(&self, node: Node) -> Node {
        match node {
            Node::Or(nodes) => Node::Or(nodes.into_iter().map(|node| self.merge(node)).collect()),
            Node::And(nodes) => {
                let mut merged: Vec<Node> = Vec::with_capacity(nodes.len());
                for node in nodes {
                    match (merged.last(), node) {
                        (
                            Some(some),
                            Node::Nowhere {
                                rows,
                                compare,
                                same: true,
                            },
                        ) if self.belong_together(some, &rows, &compare) => {
                            merged.pop();
                            merged.push(Node::Every { rows, compare });
                        }
                        (_, node) => merged.push(self.merge(node)),
                    }
                }
                match merged.len() {
                    1 => merged.swap_remove(0),
                    _ => Node::And(merged),
                }
            }
            other => other,
        }
    }

    /// A comparison is always followed by its counterpart. Rows that only the comparison needs must not bind anything else.
    fn belong_together(&self, some: &Node, rows: &[RowId], compare: &Compare) -> bool {
        if !matches!(some, Node::Compare(_)) {
            return false;
        }
        let program = self.program;
        let every = Node::Every {
            rows: rows.to_vec(),
            compare: compare.clone(),
        };
        let kept = program.with_ancestors(&program.rows_of(&every));
        let needed = program.with_ancestors(&program.rows_of(some));
        needed
            .without(&kept)
            .iter()
            .all(|row| self.counts.get(&row) == Some(&1))
    }
}
