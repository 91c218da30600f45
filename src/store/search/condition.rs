//! The outcome of compiling a filter, ready to become part of a statement.

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::known::{Class, Known};
use super::write::DIALECT;
use crate::base::DateTime;
use crate::model::{Collection, Value};

/// What a filter says about the rows of one collection.
///
/// The fragments inside name the collection's table `r`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum Condition {
    /// All rows; nothing is added to a query.
    #[default]
    Always,
    /// No row; no query is needed.
    Never,
    /// The rows for which the database says so.
    Where(Where),
}

/// Fragments of SQL that must all hold, with their values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Where {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    template: Arc<Template>,
    values: Arc<[Known]>,
}

/// A compiled filter without its values; shared by all requests that differ only in them.
#[derive(Debug)]
pub(super) struct Template {
    /// For a known row: it goes from that row to what it refers to.
    pub(super) one: Fragment,
    /// For many rows: what does not depend on the row is worked out once, as a set. `None`: no different from `one`.
    pub(super) many: Option<Fragment>,
    /// As `many`, with sets also where a single related record would do: much faster unless their tables are much larger than this one.
    /// `None`: no different from `many`.
    pub(super) whole: Option<Fragment>,
    /// It follows a back-relation from the filtered row, which PocketBase refuses for a row that is not stored yet.
    pub(super) needs_stored_row: bool,
}

#[derive(Debug, Default)]
pub(super) struct Fragment {
    /// `LEFT JOIN`s that never multiply rows (unless `distinct`).
    pub(super) joins: Vec<Join>,
    /// A boolean expression; empty if there are only joins.
    pub(super) text: String,
    pub(super) args: Vec<Arg>,
    /// The joins may repeat a row.
    pub(super) distinct: bool,
    /// Row order is no longer that of the table.
    pub(super) unordered: bool,
    /// PocketBase would join something to the query, which changes the order of its rows.
    pub(super) joined: bool,
    /// Collections that are read whole for single related records.
    pub(super) whole: Vec<Arc<Collection>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Join {
    pub(super) text: String,
    pub(super) args: Vec<Arg>,
}

/// A placeholder's value: which one, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arg {
    pub(super) slot: usize,
    pub(super) pattern: bool,
}

/// Which way of asking fits a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Form {
    /// Rows are picked by their ids.
    One,
    /// The whole table is searched.
    Many,
    /// The whole table is searched, and those of single related records are not much larger.
    Whole,
}

impl Condition {
    pub(super) fn from_template(template: Arc<Template>, values: Arc<[Known]>) -> Self {
        Self::Where(Where {
            parts: vec![Part { template, values }],
        })
    }

    /// Both at once. Each of the two chooses its related rows on its own; compile texts together where they shall share them.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Always, other) => other,
            (this, Self::Always) => this,
            (Self::Where(mut this), Self::Where(other)) => {
                this.parts.extend(other.parts);
                Self::Where(this)
            }
        }
    }

    /// Identifies the condition together with its values: two conditions with one key hold for the same rows.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        let mut key = Vec::new();
        match self {
            Self::Always => key.push(1),
            Self::Never => key.push(0),
            Self::Where(conjunction) => {
                key.push(2);
                for part in &conjunction.parts {
                    part.write_key(&mut key);
                }
            }
        }
        key
    }

    /// Whether a row that is not stored yet can satisfy it at all, see [`Template::needs_stored_row`].
    pub(in crate::store) fn suits_candidates(&self) -> bool {
        match self {
            Self::Always | Self::Never => true,
            Self::Where(conjunction) => conjunction
                .parts
                .iter()
                .all(|part| !part.template.needs_stored_row),
        }
    }

    /// The collections that [`Form::Whole`] reads whole.
    pub(in crate::store) fn whole(&self) -> impl Iterator<Item = &Arc<Collection>> {
        let parts = match self {
            Self::Where(conjunction) => conjunction.parts.as_slice(),
            Self::Always | Self::Never => &[],
        };
        parts
            .iter()
            .filter_map(|part| part.template.whole.as_ref())
            .flat_map(|fragment| &fragment.whole)
    }

    /// Adds joins and condition to a statement under construction. `Always` and `Never` add nothing.
    pub(in crate::store) fn write(&self, form: Form, out: &mut Pieces) {
        if let Self::Where(conjunction) = self {
            for part in &conjunction.parts {
                out.add(part.template.fragment(form), &part.values);
            }
        }
    }
}

impl Fragment {
    /// Whether it is the same SQL.
    pub(super) fn says(&self, other: &Self) -> bool {
        self.text == other.text && self.joins == other.joins && self.args == other.args
    }
}

impl Template {
    fn fragment(&self, form: Form) -> &Fragment {
        let many = self.many.as_ref().unwrap_or(&self.one);
        match form {
            Form::One => &self.one,
            Form::Many => many,
            Form::Whole => self.whole.as_ref().unwrap_or(many),
        }
    }
}

impl Part {
    fn write_key(&self, key: &mut Vec<u8>) {
        let fragment = &self.template.one;
        for join in &fragment.joins {
            write_bytes(key, join.text.as_bytes());
        }
        write_bytes(key, fragment.text.as_bytes());
        let join_args = fragment.joins.iter().flat_map(|join| &join.args);
        for arg in join_args.chain(&fragment.args) {
            let value = self.values.get(arg.slot).unwrap_or(&Known::Null);
            key.push(value.class() as u8);
            match value {
                Known::Null => {}
                Known::Bool(flag) => write_bytes(key, &f64::from(u8::from(*flag)).to_le_bytes()),
                Known::Integer(number) => write_bytes(key, &number.to_le_bytes()),
                Known::Real(number) => write_bytes(key, &number.to_le_bytes()),
                Known::Text(text) => write_bytes(key, text.as_bytes()),
            }
        }
    }
}

fn write_bytes(key: &mut Vec<u8>, bytes: &[u8]) {
    key.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    key.extend_from_slice(bytes);
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        (Arc::ptr_eq(&self.template, &other.template)
            || self.template.one.says(&other.template.one))
            && self.values == other.values
    }
}

impl Eq for Part {}

impl Hash for Part {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.template.one.text.hash(state);
        let classes: Vec<Class> = self.values.iter().map(Known::class).collect();
        classes.hash(state);
    }
}

/// An order of rows.
#[derive(Clone, Debug, Default)]
pub struct Sort {
    inner: Option<Arc<Order>>,
    values: Arc<[Known]>,
}

/// What [`Sort::decaying`] sorts by.
#[derive(Clone, Copy, Debug)]
pub struct Decay<'a> {
    /// Number fields and how much one of each counts.
    pub weights: &'a [(&'a str, f64)],
    pub date_field: &'a str,
    /// After how many days a row counts a quarter.
    pub quarter_days: f64,
    pub now: DateTime,
}

/// A compiled sort without its values.
#[derive(Debug, Default)]
pub(super) struct Order {
    pub(super) joins: Vec<Join>,
    pub(super) terms: Vec<OrderTerm>,
    /// As [`Fragment::joined`].
    pub(super) joined: bool,
}

#[derive(Debug)]
pub(super) struct OrderTerm {
    pub(super) text: String,
    pub(super) args: Vec<Arg>,
    pub(super) descending: bool,
}

impl Sort {
    pub(super) fn new(order: Arc<Order>, values: Arc<[Known]>) -> Self {
        Self {
            inner: Some(order),
            values,
        }
    }

    /// Highest score first, where a score is the weighted sum of number fields (and 1, so that new rows have one), divided
    /// by the square of 1 and the age by a date field. The fields must be of the collection.
    #[must_use]
    pub fn decaying(decay: &Decay<'_>) -> Self {
        let quote = |name: &str| format!("r.{}", DIALECT.quote_ident(name));
        let mut sum = "1.0".to_owned();
        for (field, weight) in decay.weights {
            let _ = write!(sum, " + {weight:?} * {}", quote(field));
        }
        let days = DIALECT.days_until(&quote(decay.date_field), "?");
        let ages = format!("(1.0 + max({days}, 0.0) / {:?})", decay.quarter_days);
        let arg = |slot| Arg {
            slot,
            pattern: false,
        };
        let term = OrderTerm {
            text: format!("({sum}) / ({ages} * {ages})"),
            args: vec![arg(0), arg(0)],
            descending: true,
        };
        let order = Order {
            terms: vec![term],
            ..Order::default()
        };
        let now = Known::Text(decay.now.to_string());
        Self::new(Arc::new(order), Arc::new([now]))
    }

    pub(in crate::store) fn write(&self, out: &mut Pieces) {
        if let Some(order) = &self.inner {
            out.join(&order.joins, &self.values);
            out.joined |= order.joined;
            out.order.extend(order.terms.iter().map(|term| {
                let mut args = Vec::with_capacity(term.args.len());
                bind(&mut args, &term.args, &self.values);
                OrderKey {
                    text: term.text.clone(),
                    args,
                    descending: term.descending,
                }
            }));
        }
    }
}

/// The parts of a SELECT that conditions and sorts contribute.
#[derive(Debug, Default)]
pub(in crate::store) struct Pieces {
    pub(in crate::store) joins: String,
    pub(in crate::store) join_args: Vec<Value>,
    /// Conditions with AND between them; empty: none.
    pub(in crate::store) conditions: String,
    pub(in crate::store) condition_args: Vec<Value>,
    pub(in crate::store) order: Vec<OrderKey>,
    pub(in crate::store) distinct: bool,
    pub(in crate::store) unordered: bool,
    pub(in crate::store) joined: bool,
}

/// One expression to sort by.
#[derive(Debug)]
pub(in crate::store) struct OrderKey {
    pub(in crate::store) text: String,
    pub(in crate::store) args: Vec<Value>,
    pub(in crate::store) descending: bool,
}

impl Pieces {
    fn add(&mut self, fragment: &Fragment, values: &[Known]) {
        self.join(&fragment.joins, values);
        self.distinct |= fragment.distinct;
        self.unordered |= fragment.unordered;
        self.joined |= fragment.joined;
        if !fragment.text.is_empty() {
            if !self.conditions.is_empty() {
                self.conditions.push_str(" AND ");
            }
            self.conditions.push_str(&fragment.text);
            bind(&mut self.condition_args, &fragment.args, values);
        }
    }

    fn join(&mut self, joins: &[Join], values: &[Known]) {
        for join in joins {
            // Joins are named after the path they follow: the same text is the same join.
            if !self.joins.contains(&join.text) {
                self.joins.push_str(&join.text);
                bind(&mut self.join_args, &join.args, values);
            }
        }
    }
}

fn bind(bound: &mut Vec<Value>, args: &[Arg], values: &[Known]) {
    bound.extend(args.iter().map(|arg| {
        let value = values.get(arg.slot).unwrap_or(&Known::Null);
        if arg.pattern {
            Value::Text(value.to_pattern())
        } else {
            value.to_value()
        }
    }));
}
