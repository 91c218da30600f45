//! Steps along a path.

use std::sync::Arc;

use super::{All, RELATION_DEPTH_MAX, Resolved, Resolver, Walk, is_word, modifier_of, takes_many};
use crate::model::{Collection, Field, FieldKind};
use crate::store::search::indexes;
use crate::store::search::tree::{BASE, Column, Link, Nulls, Operand, RowId, Scalar};

impl Resolver<'_, '_> {
    pub(super) fn follow(&mut self, mut walk: Walk<'_>) -> Resolved<Operand> {
        let count = walk.segments.len();
        for index in 0..count {
            let Some(segment) = walk.segments.get(index).copied() else {
                break;
            };
            if index + 1 == count {
                return self.last(walk, segment);
            }
            let field = walk.collection.field(segment).cloned();
            if field.as_ref().is_some_and(|field| self.is_hidden(field)) {
                return Err(format!("field {segment:?} is not filterable"));
            }
            if let Some(field) = &field
                && matches!(field.kind, FieldKind::Json(_) | FieldKind::GeoPoint(_))
            {
                let rest = walk.segments.get(index + 1..).unwrap_or_default();
                let path = json_path(rest)?;
                return Ok(self.json(walk, &field.name, &path));
            }
            if index >= RELATION_DEPTH_MAX {
                return Err(format!("too many relations before {segment:?}"));
            }
            match field {
                None => {
                    let lenient = walk.lenient;
                    match self.back(&mut walk, segment) {
                        Err(Missing::Hidden(reason)) => return Err(reason),
                        Err(Missing::Unknown(_)) if lenient => return Ok(self.null()),
                        Err(Missing::Unknown(reason)) => return Err(reason),
                        Ok(()) => {}
                    }
                }
                Some(field) => {
                    let options = field
                        .as_relation()
                        .ok_or_else(|| format!("field {segment:?} is not a valid relation"))?;
                    let target = self
                        .load(&options.collection_id)
                        .ok_or_else(|| format!("failed to load the collection of {segment:?}"))?;
                    // The id of a related record is the relation's own value.
                    let next_is_id = walk.segments.get(index + 1..) == Some(&["id"]);
                    if !field.is_multiple() && next_is_id {
                        return self.last(walk, &field.name);
                    }
                    self.relation(&mut walk, &field, &target)?;
                }
            }
        }
        Err("incomplete path".to_owned())
    }

    fn is_hidden(&self, field: &Field) -> bool {
        field.hidden && !self.allow_hidden
    }

    fn relation(
        &mut self,
        walk: &mut Walk<'_>,
        field: &Field,
        target: &Arc<Collection>,
    ) -> Resolved<()> {
        let name = format!("{}.{}", walk.name, field.name);
        let column = || field.name.clone();
        if field.is_multiple() {
            let row = self.each(walk, &field.name)?;
            walk.row = self.register(&name, Some(row), Link::Element, Some(target))?;
            let second = format!("{}.{}", walk.all.name, field.name);
            let row = self.add(&second, walk.all.row, Link::Element, Some(target))?;
            walk.all.step(row, second);
        } else {
            let parent = walk.row;
            let link = Link::One { column: column() };
            walk.row = self.register(&name, Some(parent), link, Some(target))?;
            // A relation to a view may find several rows, but PocketBase does not ask for all of them.
            if let Some(parent) = walk.all.row {
                let second = format!("{}.{}", walk.all.name, field.name);
                let link = Link::One { column: column() };
                let row = self.add(&second, Some(parent), link, Some(target))?;
                walk.all.step(row, second);
            }
        }
        walk.name = name;
        walk.collection = Arc::clone(target);
        Ok(())
    }

    /// The elements of a list column; makes the path one of many values. Leaves the walk's row as it is.
    fn each(&mut self, walk: &mut Walk<'_>, field: &str) -> Resolved<RowId> {
        let name = format!("{}.{field}[]", walk.name);
        let link = || Link::Each {
            column: field.to_owned(),
        };
        let row = self.register(&name, Some(walk.row), link(), None)?;
        walk.all.wanted = true;
        let parent = walk.all.row.unwrap_or(walk.row);
        walk.all.fork(&walk.name);
        let second = format!("{}.{field}[]", walk.all.name);
        let second = self.add(&second, Some(parent), link(), None)?;
        walk.all.rows.push(second);
        walk.all.row = Some(second);
        Ok(row)
    }

    fn back(&mut self, walk: &mut Walk<'_>, segment: &str) -> Result<(), Missing> {
        let unknown = || Missing::Unknown(format!("failed to resolve field {segment:?}"));
        let (name, field) = segment
            .rsplit_once("_via_")
            .filter(|(name, field)| is_word(name) && is_word(field))
            .ok_or_else(unknown)?;
        let collection = self.load(name).ok_or_else(unknown)?;
        let field = collection.field(field).cloned().ok_or_else(unknown)?;
        let options = field.as_relation().ok_or_else(unknown)?;
        if self.is_hidden(&field) {
            return Err(Missing::Hidden(format!(
                "field {:?} is not filterable",
                field.name
            )));
        }
        if options.collection_id != walk.collection.id {
            return Err(unknown());
        }
        if walk.row == BASE {
            self.program.needs_stored_row = true;
        }
        let link = || Link::Back {
            column: field.name.clone(),
            multiple: field.is_multiple(),
        };
        let name = format!("{}.{segment}", walk.name);
        let refused = Missing::Hidden;
        let parent = walk.row;
        let row = self
            .register(&name, Some(parent), link(), Some(&collection))
            .map_err(refused)?;
        let unique = indexes::is_unique(&collection.indexes, &field.name);
        walk.all.wanted |= field.is_multiple() || !unique;
        let parent = walk.all.row.unwrap_or(parent);
        walk.all.fork(&walk.name);
        let second = format!("{}.{segment}", walk.all.name);
        let second_row = self
            .add(&second, Some(parent), link(), Some(&collection))
            .map_err(refused)?;
        walk.all.step(second_row, second);
        walk.row = row;
        walk.name = name;
        walk.collection = collection;
        Ok(())
    }

    fn json(&mut self, walk: Walk<'_>, column: &str, path: &str) -> Operand {
        let scalar = |row| Scalar::Json {
            row,
            column: Column::other(column),
            path: path.to_owned(),
        };
        Operand {
            nulls: Nulls::Kept,
            ..walk.finish(scalar)
        }
    }

    fn last(&mut self, mut walk: Walk<'_>, segment: &str) -> Resolved<Operand> {
        let (name, modifier) = modifier_of(segment)?;
        let Some(field) = walk.collection.field(name).cloned() else {
            return if walk.lenient {
                Ok(self.null())
            } else {
                Err(format!("unknown field {name:?}"))
            };
        };
        if self.is_hidden(&field) {
            return Err(format!("field {name:?} is not filterable"));
        }
        let column = column_of(&field);
        match modifier {
            Some("length") if takes_many(&field) => {
                return Ok(walk.finish(|row| Scalar::Length {
                    row,
                    column: column.clone(),
                }));
            }
            Some("each") if takes_many(&field) => return self.last_each(walk, &field),
            _ => {}
        }
        let email_of = (name == "email" && !self.allow_hidden && walk.collection.is_auth())
            .then_some(walk.row);
        let is_json = matches!(field.kind, FieldKind::Json(_));
        let lower = modifier == Some("lower");
        walk.lenient = false;
        let operand = walk.finish(|row| {
            let scalar = if is_json {
                Scalar::Json {
                    row,
                    column: column.clone(),
                    path: String::new(),
                }
            } else {
                Scalar::Column {
                    row,
                    column: column.clone(),
                }
            };
            if lower {
                Scalar::Lower(Box::new(scalar))
            } else {
                scalar
            }
        });
        Ok(Operand {
            email_of,
            nulls: if is_json { Nulls::Kept } else { Nulls::Auto },
            ..operand
        })
    }

    fn last_each(&mut self, mut walk: Walk<'_>, field: &Field) -> Resolved<Operand> {
        let already = walk.all.wanted;
        let row = self.each(&mut walk, &field.name)?;
        walk.all.wanted = already || field.is_multiple();
        walk.row = row;
        Ok(walk.finish(Scalar::Element))
    }
}

/// Why a path cannot go on.
enum Missing {
    /// There is nothing of that name.
    Unknown(String),
    /// There is, but not for this caller.
    Hidden(String),
}

impl All {
    /// Names the second sources after the walk, once they differ from its own.
    pub(super) fn fork(&mut self, name: &str) {
        if self.row.is_none() {
            self.name = format!("{}{name}", self.mark);
        }
    }

    pub(super) fn step(&mut self, row: RowId, name: String) {
        self.rows.push(row);
        self.row = Some(row);
        self.name = name;
    }
}

impl Walk<'_> {
    /// The value at the walk's end, and over the second sources where there are many.
    pub(super) fn finish(self, scalar: impl Fn(RowId) -> Scalar) -> Operand {
        let mut operand = Operand::plain(scalar(self.row));
        if let Some(row) = self.all.row.filter(|_| self.all.wanted) {
            operand.all = Some((self.all.rows, scalar(row)));
        }
        operand
    }
}

impl Column {
    fn other(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            text: false,
        }
    }
}

fn column_of(field: &Field) -> Column {
    let text = match field.kind {
        FieldKind::Number(_) | FieldKind::Bool(_) | FieldKind::Json(_) | FieldKind::GeoPoint(_) => {
            false
        }
        _ => !field.is_multiple(),
    };
    Column {
        name: field.name.clone(),
        text,
    }
}

/// SQLite's notation of the path below a JSON column: `a.b`, `[0].a`.
fn json_path(segments: &[&str]) -> Resolved<String> {
    let mut path = String::new();
    for (index, segment) in segments.iter().enumerate() {
        let name: String = segment.chars().filter(|c| *c != ':').collect();
        if name.is_empty() {
            return Err("empty segment in a JSON path".to_owned());
        }
        if name.parse::<i64>().is_ok() {
            path.push('[');
            path.push_str(&name);
            path.push(']');
        } else {
            if index > 0 {
                path.push('.');
            }
            path.push_str(&name);
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_paths_use_brackets_for_numbers() {
        assert_eq!(json_path(&["a", "0", "b"]).unwrap(), "a[0].b");
        assert_eq!(json_path(&["0", "b"]).unwrap(), "[0].b");
        assert!(json_path(&["a", ""]).is_err());
    }
}
