//! SQL text of values and comparisons.

use super::condition::Arg;
use super::fold::{Equality, Folder};
use super::known::Class;
use super::tree::{Column, Compare, Link, Node, Program, RowId, Scalar};
use crate::filter::Op;
use crate::store::Dialect;

pub(super) const DIALECT: Dialect = Dialect::Sqlite;

/// Stands for an operand while a dialect's function, which may repeat it, is written around it.
const HOLE: &str = "\u{1}";

/// SQL with the arguments of its placeholders in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Text {
    pub(super) sql: String,
    pub(super) args: Vec<Arg>,
}

impl Text {
    pub(super) fn new(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            args: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    pub(super) fn add(&mut self, other: &Self) -> &mut Self {
        self.sql.push_str(&other.sql);
        self.args.extend_from_slice(&other.args);
        self
    }

    /// Puts this text, with its arguments, wherever `function` leaves a hole.
    fn within(&self, function: impl Fn(&str) -> String) -> Self {
        let mut whole = Self::default();
        for (index, piece) in function(HOLE).split(HOLE).enumerate() {
            if index > 0 {
                whole.add(self);
            }
            whole.push(piece);
        }
        whole
    }
}

/// Texts with a separator between them.
pub(super) fn joined(texts: &[Text], separator: &str) -> Text {
    let mut all = Text::default();
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            all.push(separator);
        }
        all.add(text);
    }
    all
}

pub(super) fn quoted(name: &str) -> String {
    DIALECT.quote_ident(name)
}

/// Writes values and comparisons for one set of classes.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a> {
    pub(super) program: &'a Program,
    pub(super) folder: Folder<'a>,
}

impl Writer<'_> {
    fn name(&self, row: RowId) -> String {
        self.program
            .source(row)
            .map_or_else(String::new, |source| quoted(&source.name))
    }

    pub(super) fn column(&self, row: RowId, column: &str) -> Text {
        let plain = Text::new(format!("{}.{}", self.name(row), quoted(column)));
        self.fixed(row, plain)
    }

    /// The elements of a column as a table.
    pub(super) fn each(&self, row: RowId, column: &str) -> Text {
        let plain = Text::new(format!("{}.{}", self.name(row), quoted(column)));
        let each = plain.within(|column| DIALECT.json_each(column));
        if !self.program.is_fixed(row) {
            return each;
        }
        // The subquery goes inside, around the list.
        let list = each
            .sql
            .strip_prefix("json_each(")
            .and_then(|rest| rest.strip_suffix(')'))
            .map(Text::new);
        match list {
            Some(list) => self
                .fixed(row, list)
                .within(|list| format!("json_each({list})")),
            None => each,
        }
    }

    /// An expression over a fixed row becomes a subquery, which is worked out once.
    fn fixed(&self, row: RowId, expression: Text) -> Text {
        if !self.program.is_fixed(row) {
            return expression;
        }
        let mut path = vec![row];
        while let Some(parent) = path.last().and_then(|row| self.program.parent(*row)) {
            path.push(parent);
        }
        let mut text = Text::new("(SELECT ");
        text.add(&expression);
        let mut condition = Text::default();
        for row in path.iter().rev() {
            let Some(source) = self.program.source(*row) else {
                continue;
            };
            let table = source
                .collection
                .as_ref()
                .map_or("", |collection| &collection.name);
            let name = quoted(&source.name);
            match (&source.link, source.parent) {
                (Link::Auth { id }, _) => {
                    text.push(" FROM ")
                        .push(&quoted(table))
                        .push(" AS ")
                        .push(&name);
                    condition.push(&format!(" WHERE {name}.`id` = "));
                    condition.add(&self.slot(*id));
                }
                (Link::One { column }, Some(parent)) => {
                    let on = format!(
                        " LEFT JOIN {} AS {name} ON {name}.`id` = {}.{}",
                        quoted(table),
                        self.name(parent),
                        quoted(column)
                    );
                    text.push(&on);
                }
                _ => {}
            }
        }
        text.add(&condition).push(")");
        text
    }

    pub(super) fn slot(&self, slot: usize) -> Text {
        self.slot_as(slot, false)
    }

    fn slot_as(&self, slot: usize, pattern: bool) -> Text {
        let sql = match self.folder.class(slot) {
            Class::Null => return Text::new("NULL"),
            // Bound as a real number; an integer prints differently next to a text column.
            Class::Integer if !pattern => "(CAST(? AS INTEGER)+0)",
            _ => "?",
        };
        Text {
            sql: sql.to_owned(),
            args: vec![Arg { slot, pattern }],
        }
    }

    pub(super) fn scalar(&self, scalar: &Scalar) -> Text {
        self.scalar_as(scalar, false)
    }

    /// `pattern`: known values are wrapped as patterns of `~`.
    fn scalar_as(&self, scalar: &Scalar, pattern: bool) -> Text {
        match scalar {
            Scalar::Slot(slot) => self.slot_as(*slot, pattern),
            Scalar::Flag(flag) => Text::new(if *flag { "1" } else { "0" }),
            Scalar::Column { row, column } => self.column(*row, &column.name),
            Scalar::Element(row) => Text::new(format!("{}.`value`", self.name(*row))),
            Scalar::Json { row, column, path } => {
                let plain = self.plain(*row, column);
                self.fixed(
                    *row,
                    plain.within(|column| DIALECT.json_extract(column, path)),
                )
            }
            Scalar::Length { row, column } => {
                let plain = self.plain(*row, column);
                self.fixed(
                    *row,
                    plain.within(|column| DIALECT.json_array_length(column)),
                )
            }
            Scalar::Lower(inner) => self
                .scalar_as(inner, pattern)
                .within(|inner| format!("LOWER({inner})")),
            Scalar::Strftime(args) => {
                let args: Vec<Text> = args
                    .iter()
                    .map(|arg| self.scalar_as(arg, pattern))
                    .collect();
                let mut text = Text::new("strftime(");
                text.add(&joined(&args, ",")).push(")");
                text
            }
            Scalar::Distance(args) => self.distance(args, pattern),
            Scalar::Truth(node) => self.condition(node).within(|inner| format!("({inner})")),
        }
    }

    /// A condition whose rows are all at hand.
    pub(super) fn condition(&self, node: &Node) -> Text {
        match node {
            Node::Const(Some(true)) => Text::new("1"),
            Node::Const(Some(false)) => Text::new("0"),
            // The placement writes the other two; they never stand inside a condition that is used as a value.
            Node::Const(None) | Node::Nowhere { .. } | Node::Every { .. } => Text::new("NULL"),
            Node::And(nodes) => self.conditions(nodes, " AND "),
            Node::Or(nodes) => self.conditions(nodes, " OR "),
            Node::Not(inner) => self
                .condition(inner)
                .within(|inner| format!("NOT ({inner})")),
            Node::Compare(compare) => self.compare(compare),
            Node::EmailVisible(row) => {
                let mut text = self.column(*row, "emailVisibility");
                text.push(" = TRUE");
                text
            }
        }
    }

    fn conditions(&self, nodes: &[Node], separator: &str) -> Text {
        let texts: Vec<Text> = nodes.iter().map(|node| self.condition(node)).collect();
        joined(&texts, separator).within(|inner| format!("({inner})"))
    }

    fn plain(&self, row: RowId, column: &Column) -> Text {
        Text::new(format!("{}.{}", self.name(row), quoted(&column.name)))
    }

    /// The great-circle distance by the spherical law of cosines, with the Earth's mean radius in kilometres.
    fn distance(&self, points: &[Scalar; 4], pattern: bool) -> Text {
        let [lon_a, lat_a, lon_b, lat_b] =
            points.each_ref().map(|arg| self.scalar_as(arg, pattern));
        let mut text = Text::new("(6371 * acos(cos(radians(");
        text.add(&lat_a).push(")) * cos(radians(").add(&lat_b);
        text.push(")) * cos(radians(")
            .add(&lon_b)
            .push(") - radians(")
            .add(&lon_a);
        text.push(")) + sin(radians(")
            .add(&lat_a)
            .push(")) * sin(radians(")
            .add(&lat_b);
        text.push("))))");
        text
    }

    /// `left op right`, both already written for it.
    pub(super) fn compare(&self, compare: &Compare) -> Text {
        let left = self.scalar(&compare.left);
        match compare.op {
            Op::Eq | Op::Ne => {
                let right = self.scalar(&compare.right);
                self.equal(compare, left, right)
            }
            Op::Like | Op::NotLike => self.like(compare, &left),
            op => {
                let mut text = left;
                text.push(&format!(" {} ", op.as_str()));
                text.add(&self.scalar(&compare.right));
                text
            }
        }
    }

    pub(super) fn equal(&self, compare: &Compare, left: Text, right: Text) -> Text {
        let equal = compare.op == Op::Eq;
        // `IS NOT`, since NULL differs from every value.
        let op = if equal { " = " } else { " IS NOT " };
        let empty = || Text::new("''");
        let or_null = |value: &Text| {
            let (join, null) = if equal {
                (" OR ", " IS NULL")
            } else {
                (" AND ", " IS NOT NULL")
            };
            let mut text = Text::new("(");
            text.add(value)
                .push(op)
                .push("''")
                .push(join)
                .add(value)
                .push(null)
                .push(")");
            text
        };
        let (left, op, right) = match self.folder.equality(compare) {
            Equality::Is => (left, if equal { " IS " } else { " IS NOT " }, right),
            Equality::BothEmpty => return Text::new(if equal { "1" } else { "0" }),
            Equality::Direct {
                left_empty,
                right_empty,
            } => (
                if left_empty { empty() } else { left },
                op,
                if right_empty { empty() } else { right },
            ),
            Equality::LeftEmpty => return or_null(&right),
            Equality::RightEmpty => return or_null(&left),
            Equality::Coalesce => (or_empty(&left), op, or_empty(&right)),
        };
        let mut text = left;
        text.push(op).add(&right);
        text
    }

    fn like(&self, compare: &Compare, left: &Text) -> Text {
        let known = self.scalar_as(&compare.right, true);
        let right = if known.args.iter().any(|arg| arg.pattern) {
            known
        } else {
            known.within(|value| format!("('%' || {value} || '%')"))
        };
        let (left_hole, right_hole) = ("\u{1}", "\u{2}");
        let form = if compare.op == Op::Like {
            DIALECT.like(left_hole, right_hole)
        } else {
            DIALECT.not_like(left_hole, right_hole)
        };
        let mut text = Text::default();
        for piece in form.split_inclusive(['\u{1}', '\u{2}']) {
            match piece.strip_suffix(['\u{1}', '\u{2}']) {
                Some(before) => {
                    text.push(before);
                    text.add(if piece.ends_with('\u{1}') {
                        left
                    } else {
                        &right
                    });
                }
                None => {
                    text.push(piece);
                }
            }
        }
        text
    }
}

/// NULL as the empty text.
pub(super) fn or_empty(value: &Text) -> Text {
    value.within(|value| format!("COALESCE({value}, '')"))
}
