//! SELECT statements on a collection's table, put together from what conditions and sorts contribute.

use std::sync::Arc;

use super::dialect::Dialect;
use super::search::{Condition, Form, Pieces};
use super::sql::Sql;
use super::texts::Texts;
use crate::model::Value;

const DIALECT: Dialect = Dialect::Sqlite;

/// A SELECT with its values, before the order of clauses is fixed into text.
pub(super) struct Select {
    texts: Arc<Texts>,
    what: String,
    filter: Filter,
    pub(super) pieces: Pieces,
    /// What the rows are grouped by.
    pub(super) group: Option<String>,
    pub(super) limit: Option<u64>,
    pub(super) offset: u64,
}

impl Select {
    pub(super) fn new(
        texts: &Arc<Texts>,
        what: impl Into<String>,
        filter: Filter,
        pieces: Pieces,
    ) -> Self {
        Self {
            texts: Arc::clone(texts),
            what: what.into(),
            filter,
            pieces,
            group: None,
            limit: None,
            offset: 0,
        }
    }

    pub(super) fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    pub(super) fn build(mut self) -> Sql {
        let mut sql = Statement::default();
        sql.push(if self.pieces.distinct {
            "SELECT DISTINCT "
        } else {
            "SELECT "
        });
        sql.push(&self.what);
        let order = std::mem::take(&mut self.pieces.order);
        let (limit, offset) = (self.limit, self.offset);
        self.add_from(&mut sql);
        for (index, key) in order.into_iter().enumerate() {
            sql.push(if index == 0 { " ORDER BY " } else { ", " });
            sql.push(&key.text).push(direction(key.descending));
            sql.args.extend(key.args);
        }
        sql.add_limit(limit, offset);
        sql.finish()
    }

    /// As [`Select::build`], with the number of all rows as another column in front.
    ///
    /// The rows that fit are put aside with their sort keys, once; then they are counted and sorted, and only the page is read.
    pub(super) fn build_counting(mut self) -> Sql {
        let row = DIALECT.row_id();
        let mut sql = Statement::default();
        sql.push("WITH `m` AS MATERIALIZED (SELECT `r`.")
            .push(row)
            .push(" AS `i`");
        let mut order = String::from(" ORDER BY ");
        for (index, key) in std::mem::take(&mut self.pieces.order)
            .into_iter()
            .enumerate()
        {
            let name = format!("`k{index}`");
            sql.push(", ").push(&key.text).push(" AS ").push(&name);
            sql.args.extend(key.args);
            order.push_str(&format!("`m`.{name}{}, ", direction(key.descending)));
        }
        order.push_str("`m`.`i`");
        let (limit, offset, texts) = (self.limit, self.offset, Arc::clone(&self.texts));
        let what = std::mem::take(&mut self.what);
        self.add_from(&mut sql);
        sql.push(") SELECT (SELECT COUNT(*) FROM `m`), ")
            .push(&what);
        sql.push(" FROM (SELECT * FROM `m`").push(&order);
        sql.add_limit(limit, offset);
        sql.push(") AS `m` CROSS JOIN ").push(&texts.table);
        sql.push(" AS `r` ON `r`.").push(row).push(" = `m`.`i`");
        sql.push(&order);
        sql.finish()
    }

    fn add_from(self, sql: &mut Statement) {
        let pieces = self.pieces;
        sql.push(" FROM ").push(&self.texts.table).push(" AS `r`");
        sql.push(&pieces.joins);
        sql.push(&where_clause(&[&self.filter.text, &pieces.conditions]));
        sql.args.extend(pieces.join_args);
        sql.args.extend(self.filter.args);
        sql.args.extend(pieces.condition_args);
        if let Some(group) = self.group {
            sql.push(" GROUP BY ").push(&group);
        }
    }
}

/// A statement under construction.
#[derive(Default)]
struct Statement {
    text: String,
    args: Vec<Value>,
}

impl Statement {
    fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    fn add_limit(&mut self, limit: Option<u64>, offset: u64) {
        if let Some(limit) = limit {
            /// Beyond it a number is no whole double any more; SQLite takes -1 for no limit.
            const EXACT: u64 = 1 << 53;
            self.push(" LIMIT ?");
            let bound = if limit > EXACT { -1.0 } else { limit as f64 };
            self.args.push(Value::Number(bound));
            if offset > 0 {
                self.push(" OFFSET ?");
                self.args.push(Value::Number(offset as f64));
            }
        }
    }

    fn finish(self) -> Sql {
        let mut sql = Sql::new(self.text);
        sql.args = self.args;
        sql
    }
}

/// ` WHERE` with AND between what is not empty.
pub(super) fn where_clause(conditions: &[&str]) -> String {
    let mut clause = String::new();
    for condition in conditions.iter().filter(|text| !text.is_empty()) {
        clause.push_str(if clause.is_empty() {
            " WHERE "
        } else {
            " AND "
        });
        clause.push_str(condition);
    }
    clause
}

/// A SELECT under a condition; nothing when the condition never holds.
pub(super) fn select(
    texts: &Arc<Texts>,
    what: impl Into<String>,
    filter: Filter,
    condition: &Condition,
    form: Form,
) -> Option<Select> {
    if *condition == Condition::Never {
        return None;
    }
    let mut pieces = Pieces::default();
    condition.write(form, &mut pieces);
    Some(Select::new(texts, what, filter, pieces))
}

fn direction(descending: bool) -> &'static str {
    if descending { " DESC" } else { "" }
}

/// A condition on `r` that this module makes itself.
#[derive(Default)]
pub(super) struct Filter {
    pub(super) text: String,
    pub(super) args: Vec<Value>,
}

impl Filter {
    pub(super) fn new(text: impl Into<String>, args: Vec<Value>) -> Self {
        Self {
            text: text.into(),
            args,
        }
    }
}
