//! Paths that do not start from the filtered row: `@collection` and `@request`.

use std::sync::Arc;

use super::{All, Resolved, Resolver, Walk, compare, modifier_of, takes_many};
use crate::filter;
use crate::model::{Collection, Field, FieldKind};
use crate::store::search::request::Slot;
use crate::store::search::tree::{BASE, Link, Node, Nulls, Operand, Program, Scalar};

/// Fields of the signed-in record that are taken from the request instead of its row.
const PLAIN_AUTH_FIELDS: [&str; 6] = [
    "id",
    "collectionId",
    "collectionName",
    "email",
    "emailVisibility",
    "verified",
];

impl Resolver<'_, '_> {
    pub(super) fn collection_path(
        &mut self,
        segments: &[&str],
        mark: &'static str,
    ) -> Resolved<Operand> {
        let (name, alias) = match segments.get(1) {
            Some(segment) => segment.split_once(':').unwrap_or((segment, "")),
            None => ("", ""),
        };
        let rest = segments.get(2..).unwrap_or_default();
        if rest.is_empty() {
            return Err("incomplete @collection path".to_owned());
        }
        let collection = self
            .load(name)
            .ok_or_else(|| format!("failed to load collection {name:?}"))?;
        let source = if alias.is_empty() {
            format!("{}@{}", self.outer_prefix(), collection.name)
        } else {
            format!("{}@:{alias}", self.outer_prefix())
        };
        let walk = self.root_walk(rest, source, collection, Link::Collection, mark, true)?;
        self.follow(walk)
    }

    /// What sources without a parent start their names with: nothing in the main text, the guarded row's name in a list rule.
    pub(super) fn outer_prefix(&self) -> &str {
        if self.base == BASE { "" } else { &self.prefix }
    }

    /// A walk from rows of their own.
    pub(super) fn root_walk<'w>(
        &mut self,
        segments: &'w [&'w str],
        name: String,
        collection: Arc<Collection>,
        link: Link,
        mark: &'static str,
        many: bool,
    ) -> Resolved<Walk<'w>> {
        let fixed = matches!(link, Link::Auth { .. });
        let second = match &link {
            Link::Collection => Some(Link::Collection),
            Link::Ids { list } => Some(Link::Ids { list: *list }),
            _ => None,
        };
        let row = self.register(&name, None, link, Some(&collection))?;
        let mut all = All {
            mark,
            wanted: many,
            ..All::default()
        };
        if let Some(link) = second.filter(|_| !fixed) {
            all.name = format!("{mark}{name}");
            let row = self.add(&all.name, None, link, Some(&collection))?;
            all.rows.push(row);
            all.row = Some(row);
        }
        Ok(Walk {
            segments,
            row,
            name,
            collection,
            lenient: fixed
                || !matches!(
                    self.program.source(row).map(|s| &s.link),
                    Some(Link::Collection)
                ),
            all,
        })
    }

    pub(super) fn request_path(
        &mut self,
        path: &str,
        segments: &[&str],
        mark: &'static str,
    ) -> Resolved<Operand> {
        if let Some(field) = path.strip_prefix("@request.auth.") {
            return self.auth_path(field, segments, mark);
        }
        let rest = segments.get(1..).unwrap_or_default();
        if path.starts_with("@request.body.")
            && let Some(segment) = segments.get(2)
        {
            let (name, modifier) = modifier_of(segment)?;
            let field = self.collection.field(name).cloned();
            if let Some(field) = field {
                if segments.len() > 3 && field.as_relation().is_some() {
                    return self.body_relation(&field, segments, mark);
                }
                if segments.len() == 3
                    && let Some(operand) = self.body_modifier(&field, modifier, mark)?
                {
                    return Ok(operand);
                }
            }
        }
        self.request_value(rest)
    }

    pub(super) fn auth_path(
        &mut self,
        field: &str,
        segments: &[&str],
        mark: &'static str,
    ) -> Resolved<Operand> {
        let Some(record) = self.scope.request.and_then(|request| request.auth) else {
            return Ok(self.null());
        };
        if PLAIN_AUTH_FIELDS.contains(&field) {
            return self.request_value(&["auth", field]);
        }
        let collection = Arc::clone(record.collection());
        let id = self.program.slot(Slot::AuthId);
        let name = format!("{}@auth", self.outer_prefix());
        let rest = segments.get(2..).unwrap_or_default();
        let walk = self.root_walk(rest, name, collection, Link::Auth { id }, mark, false)?;
        self.follow(walk)
    }

    pub(super) fn body_relation(
        &mut self,
        field: &Field,
        segments: &[&str],
        mark: &'static str,
    ) -> Resolved<Operand> {
        let target = field
            .as_relation()
            .and_then(|options| self.load(&options.collection_id));
        let collection =
            target.ok_or_else(|| format!("failed to load the collection of {:?}", field.name))?;
        let list = self.program.slot(Slot::BodyIds {
            field: field.name.clone(),
        });
        let name = format!("{}@body.{}", self.outer_prefix(), field.name);
        let rest = segments.get(3..).unwrap_or_default();
        let many = field.is_multiple();
        let walk = self.root_walk(rest, name, collection, Link::Ids { list }, mark, many)?;
        self.follow(walk)
    }

    /// The modifiers of a body field that is a field of the collection too; nothing for others.
    pub(super) fn body_modifier(
        &mut self,
        field: &Field,
        modifier: Option<&str>,
        mark: &'static str,
    ) -> Resolved<Option<Operand>> {
        let name = field.name.clone();
        let many_only = |what: Slot, program: &mut Program| {
            if takes_many(field) {
                Ok(program.slot(what))
            } else {
                Err(format!("field {:?} has no list of values", field.name))
            }
        };
        Ok(Some(match modifier {
            Some("each") => {
                let list = many_only(Slot::BodyItems { field: name }, self.program)?;
                self.body_each(field, list, mark)?
            }
            Some("length") => {
                let slot = many_only(Slot::BodyCount { field: name }, self.program)?;
                Operand::plain(Scalar::Slot(slot))
            }
            Some("lower") => {
                let path = ["body".to_owned(), name.clone()];
                let text = Slot::BodyText { field: name };
                let slot = self.body_slot(&path).unwrap_or(text);
                let slot = self.program.slot(slot);
                Operand::plain(Scalar::Lower(Box::new(Scalar::Slot(slot))))
            }
            Some("changed") => self.body_changed(&name)?,
            _ => return Ok(None),
        }))
    }

    pub(super) fn body_each(
        &mut self,
        field: &Field,
        list: usize,
        mark: &str,
    ) -> Resolved<Operand> {
        let name = format!("{}@body.{}[]", self.outer_prefix(), field.name);
        let row = self.register(&name, None, Link::Values { list }, None)?;
        let mut operand = Operand::plain(Scalar::Element(row));
        if field.is_multiple() {
            let second = self.add(&format!("{mark}{name}"), None, Link::Values { list }, None)?;
            operand.all = Some((vec![second], Scalar::Element(second)));
        }
        Ok(operand)
    }

    /// Submitted, and different from what is stored.
    pub(super) fn body_changed(&mut self, name: &str) -> Resolved<Operand> {
        let submitted = self.request_value(&["body", name])?;
        let walk_segments = [name];
        let walk = self.walk(&walk_segments, "!");
        let stored = self.follow(walk)?;
        let path = vec!["body".to_owned(), name.to_owned()];
        let is_set = self.program.slot(Slot::IsSet { path });
        let is_set = Operand::plain(Scalar::Slot(is_set));
        let yes = Operand::plain(Scalar::Flag(true));
        let node = Node::And(vec![
            compare(is_set, filter::Op::Eq, false, yes),
            compare(submitted, filter::Op::Ne, false, stored),
        ]);
        Ok(Operand {
            nulls: Nulls::Kept,
            ..Operand::plain(Scalar::Truth(Box::new(node)))
        })
    }

    /// `@request.` and these segments, taken from the request itself.
    pub(super) fn request_value(&mut self, segments: &[&str]) -> Resolved<Operand> {
        let Some((last, before)) = segments.split_last() else {
            return Err("incomplete @request path".to_owned());
        };
        let (name, modifier) = modifier_of(last)?;
        let mut path: Vec<String> = before.iter().map(|segment| (*segment).to_owned()).collect();
        path.push(name.to_owned());
        let number = matches!(
            self.collection.field(name).map(|field| &field.kind),
            Some(FieldKind::Number(_))
        );
        match modifier {
            Some("isset") => {
                let slot = self.program.slot(Slot::IsSet { path });
                Ok(Operand::plain(Scalar::Slot(slot)))
            }
            None | Some("lower") => {
                let slot = match self.body_slot(&path) {
                    Some(slot) => slot,
                    None => Slot::Request { path, number },
                };
                let slot = Scalar::Slot(self.program.slot(slot));
                Ok(Operand::plain(if modifier.is_some() {
                    Scalar::Lower(Box::new(slot))
                } else {
                    slot
                }))
            }
            Some(other) => Err(format!("invalid modifier {name}:{other}")),
        }
    }

    /// Body fields whose value is compared as the text that is stored for it.
    pub(super) fn body_slot(&self, path: &[String]) -> Option<Slot> {
        let [root, name] = path else {
            return None;
        };
        let field = name.clone();
        match self.collection.field(name)?.kind {
            _ if root != "body" => None,
            FieldKind::Json(_) => Some(Slot::BodyJson { field }),
            FieldKind::GeoPoint(_) => Some(Slot::BodyPoint { field }),
            _ => None,
        }
    }
}
