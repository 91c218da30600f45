//! Row sources as items of FROM.

use super::{Placer, wrapped};
use crate::store::search::condition::Join;
use crate::store::search::tree::{BASE, Link, Node, RowId, Scalar};
use crate::store::search::write::{Text, quoted};

impl Placer<'_> {
    pub(super) fn add_joins(&self, text: &mut Text, rows: &[RowId]) {
        for row in rows {
            let join = self.join(*row);
            text.push(&join.text);
            text.args.extend_from_slice(&join.args);
        }
    }

    /// Joins from the root outwards, in this order: SQLite takes `CROSS JOIN` by its word. Without statistics it might start at the far end,
    /// with a whole table.
    pub(super) fn add_ordered_joins(&self, text: &mut Text, rows: &[RowId], group: &[&Node]) {
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

    pub(super) fn join(&self, row: RowId) -> Join {
        self.join_as(row, " LEFT JOIN ")
    }

    pub(super) fn join_as(&self, row: RowId, kind: &str) -> Join {
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
    pub(super) fn table(&self, row: RowId) -> (Text, Option<Text>) {
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

pub(super) fn list_name(name: &str) -> String {
    quoted(&format!("{name}<"))
}
