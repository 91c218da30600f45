//! What an answer shows of records: expanded relations, hidden fields, e-mail addresses.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::events::{Event, EventKind, Handler, Outcome, RequestParts, Slot, Slots, tapped};
use super::{Engine, Error, Link, RequestInfo, context};
use crate::base::json;
use crate::model::{Collection, ExportView, Field, Record, Schema, WriteExpand};
use crate::store::search::Condition;
use crate::store::{Conn, records};

/// The deepest expand, as in PocketBase.
const EXPAND_DEPTH_MAX: usize = 6;
/// The most records that one back-relation shows per record, as in PocketBase.
const BACK_RELATION_MAX: usize = 1000;

/// A record with what its reader may see of it.
#[derive(Debug)]
pub struct Enriched {
    pub record: Arc<Record>,
    /// Hidden fields are shown: the reader is a superuser.
    pub show_hidden: bool,
    /// The e-mail address is shown whatever `emailVisibility` says.
    pub show_email: bool,
    /// `None`: nothing was asked for, and the answer has no `expand` key.
    pub expand: Option<ExpandTree>,
}

/// Expanded relations by field or back-relation name.
#[derive(Clone, Debug, Default)]
pub struct ExpandTree(BTreeMap<String, Expanded>);

/// One expanded relation.
#[derive(Clone, Debug)]
enum Expanded {
    One(Arc<Enriched>),
    Many(Vec<Arc<Enriched>>),
}

/// For whom relations are expanded.
enum Reader {
    /// For a request, under its rules.
    Caller(RequestInfo),
    /// For the engine itself.
    Engine,
}

impl ExpandTree {
    /// The names of what is expanded.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The related records of one name; none for what is not expanded.
    #[must_use]
    pub fn records(&self, name: &str) -> &[Arc<Enriched>] {
        match self.0.get(name) {
            Some(Expanded::One(record)) => std::slice::from_ref(record),
            Some(Expanded::Many(records)) => records,
            None => &[],
        }
    }

    /// Whether a name stands for a list, even of one.
    #[must_use]
    pub fn is_list(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(Expanded::Many(_)))
    }
}

impl Enriched {
    /// A record as strangers see it.
    fn plain(record: Record) -> Self {
        Self {
            record: Arc::new(record),
            show_hidden: false,
            show_email: false,
            expand: None,
        }
    }

    /// Appends the record as a JSON object with what is expanded below it.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let view = ExportView {
            with_hidden: self.show_hidden,
            show_email: self.show_email,
            expand: self.expand.as_ref().map(|tree| tree as &dyn WriteExpand),
        };
        self.record.write_json(out, &view);
    }
}

impl WriteExpand for ExpandTree {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, (name, value)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            json::write_str(out, name);
            out.push(b':');
            match value {
                Expanded::One(record) => record.write_json(out),
                Expanded::Many(records) => {
                    out.push(b'[');
                    for (index, record) in records.iter().enumerate() {
                        if index > 0 {
                            out.push(b',');
                        }
                        record.write_json(out);
                    }
                    out.push(b']');
                }
            }
        }
        out.push(b'}');
    }
}

/// Requested paths as a tree, so that shared beginnings are fetched once.
#[derive(Default)]
struct Paths(BTreeMap<String, Paths>);

impl Paths {
    fn parse(text: &str) -> Self {
        let mut root = Self::default();
        for path in text.split(',') {
            let path: String = path.chars().filter(|char| *char != ' ').collect();
            let path = path.trim_matches('.');
            if path.is_empty() {
                continue;
            }
            let mut node = &mut root;
            for part in path.split('.').take(EXPAND_DEPTH_MAX) {
                node = node.0.entry(part.to_owned()).or_default();
            }
        }
        root
    }
}

/// A relation as expand sees it: where it leads and the ids per record.
#[derive(Clone, Debug)]
pub struct Relation {
    pub target: Arc<Collection>,
    /// Whether one record may lead to several.
    pub multiple: bool,
    /// Aligned with the records.
    pub ids: Vec<Vec<String>>,
}

impl Engine {
    /// Resolves flags and expands relations for an answer; those who listen to [`EventKind::RecordEnrich`] take part.
    /// Relations that cannot be expanded are left out.
    ///
    /// # Errors
    /// Those of the database and of who takes part.
    pub async fn enrich(
        &self,
        link: &mut Link<'_>,
        schema: &Schema,
        found: Vec<Record>,
        request: &RequestInfo,
        expand: &str,
    ) -> Result<Vec<Enriched>, Error> {
        let mut enriched = self.flag(link, schema, found, request).await?;
        if !expand.is_empty() && !enriched.is_empty() {
            let paths = Paths::parse(expand);
            let reader = Reader::Caller(request.in_context(context::EXPAND));
            self.expand_level(link, schema, &mut enriched, &paths, &reader, 1)
                .await;
        }
        Ok(enriched)
    }

    /// Expands relations on behalf of a module or script: no access rules, and nobody takes part. What shows is what
    /// strangers see.
    pub async fn expand_unchecked(
        &self,
        link: &mut Link<'_>,
        found: Vec<Record>,
        expand: &str,
    ) -> Vec<Enriched> {
        let schema = link.schema(self);
        let mut enriched: Vec<Enriched> = found.into_iter().map(Enriched::plain).collect();
        if !expand.is_empty() && !enriched.is_empty() {
            let paths = Paths::parse(expand);
            self.expand_level(link, &schema, &mut enriched, &paths, &Reader::Engine, 1)
                .await;
        }
        enriched
    }

    /// As [`Engine::enrich`], for one record and by the present collections.
    ///
    /// # Errors
    /// As [`Engine::enrich`].
    pub async fn show(
        &self,
        record: Record,
        request: &RequestInfo,
        expand: &str,
    ) -> Result<Enriched, Error> {
        let schema = self.schema();
        self.enrich(
            &mut Link::Pool(self),
            &schema,
            vec![record],
            request,
            expand,
        )
        .await?
        .pop()
        .ok_or_else(Error::not_found)
    }

    /// Decides per record whether hidden fields and e-mail addresses show.
    async fn flag(
        &self,
        link: &mut Link<'_>,
        schema: &Schema,
        mut found: Vec<Record>,
        request: &RequestInfo,
    ) -> Result<Vec<Enriched>, Error> {
        self.hooks().present(self, request, &mut found);
        let Some(collection) = found.first().map(|record| Arc::clone(record.collection())) else {
            return Ok(Vec::new());
        };
        let managed = if request.is_superuser() {
            HashSet::new()
        } else {
            self.managed(link, schema, &found, request).await?
        };
        let handlers = self
            .interceptors()
            .handlers(EventKind::RecordEnrich, Some(&collection));
        if handlers.is_empty() {
            return Ok(found
                .into_iter()
                .map(|record| flagged(record, request, &managed))
                .collect());
        }
        let mut enriched = Vec::with_capacity(found.len());
        for record in found {
            let one = Flagging {
                handlers: &handlers,
                request,
                managed: &managed,
            };
            enriched.push(one.run(link, record).await?);
        }
        Ok(enriched)
    }

    /// The ids among auth records that the manage rule opens to the caller.
    async fn managed(
        &self,
        link: &mut Link<'_>,
        schema: &Schema,
        found: &[Record],
        request: &RequestInfo,
    ) -> Result<HashSet<String>, Error> {
        let Some(collection) = found.first().map(Record::collection) else {
            return Ok(HashSet::new());
        };
        let rule = collection
            .auth
            .as_ref()
            .and_then(|auth| auth.manage_rule.as_deref())
            .unwrap_or("");
        if rule.is_empty() {
            return Ok(HashSet::new());
        }
        let condition = self.condition(schema, collection, rule, Some(request), true)?;
        let ids: Vec<&str> = found.iter().map(Record::id).collect();
        let mut conn = link.conn().await?;
        Ok(
            records::matching_ids(&mut conn, collection, &ids, &condition)
                .await?
                .into_iter()
                .collect(),
        )
    }

    /// Expands one level of all records; gives whether any path below succeeded.
    fn expand_level<'a>(
        &'a self,
        link: &'a mut Link<'_>,
        schema: &'a Schema,
        parents: &'a mut [Enriched],
        paths: &'a Paths,
        reader: &'a Reader,
        depth: usize,
    ) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let mut any = false;
            for (name, below) in &paths.0 {
                match self
                    .expand_relation(link, schema, parents, name, below, reader, depth)
                    .await
                {
                    Ok(done) => any |= done,
                    Err(error) => {
                        tracing::debug!(expand.path = %name, %error, "relation not expanded");
                    }
                }
            }
            any
        })
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one recursion step")]
    async fn expand_relation(
        &self,
        link: &mut Link<'_>,
        schema: &Schema,
        parents: &mut [Enriched],
        name: &str,
        below: &Paths,
        reader: &Reader,
        depth: usize,
    ) -> Result<bool, Error> {
        let relation = {
            let mut conn = link.conn().await?;
            let parents: Vec<&Record> = parents.iter().map(|parent| &*parent.record).collect();
            self.relation(&mut conn, schema, &parents, name).await?
        };
        let condition = match reader {
            Reader::Engine => Condition::Always,
            Reader::Caller(request) => self.rule_condition(
                schema,
                &relation.target,
                relation.target.view_rule.as_deref(),
                request,
            )?,
        };
        let mut seen = BTreeSet::new();
        let wanted: Vec<&str> = relation
            .ids
            .iter()
            .flatten()
            .map(String::as_str)
            .filter(|id| seen.insert(*id))
            .collect();
        let found = if wanted.is_empty() || condition == Condition::Never {
            Vec::new()
        } else {
            let mut conn = link.conn().await?;
            records::find_many(&mut conn, &relation.target, &wanted, &condition).await?
        };
        let mut found = match reader {
            Reader::Engine => found.into_iter().map(Enriched::plain).collect(),
            Reader::Caller(request) => self.flag(link, schema, found, request).await?,
        };
        if !below.0.is_empty() && depth < EXPAND_DEPTH_MAX && !found.is_empty() {
            let any = self
                .expand_level(link, schema, &mut found, below, reader, depth + 1)
                .await;
            if !any {
                return Ok(false);
            }
        }
        let found: HashMap<String, Arc<Enriched>> = found
            .into_iter()
            .map(|item| (item.record.id().to_owned(), Arc::new(item)))
            .collect();
        for (parent, ids) in parents.iter_mut().zip(&relation.ids) {
            let tree = parent.expand.get_or_insert_default();
            let mut related: Vec<Arc<Enriched>> =
                ids.iter().filter_map(|id| found.get(id).cloned()).collect();
            if related.is_empty() {
                continue;
            }
            let value = if relation.multiple {
                Expanded::Many(related)
            } else {
                Expanded::One(related.swap_remove(0))
            };
            tree.0.insert(name.to_owned(), value);
        }
        Ok(true)
    }

    /// Where a relation field, or a back-relation such as `comments_via_post`, leads to from records of one collection.
    ///
    /// # Errors
    /// `BadRequest` when there is no such relation; those of the database.
    pub async fn relation(
        &self,
        conn: &mut Conn,
        schema: &Schema,
        parents: &[&Record],
        name: &str,
    ) -> Result<Relation, Error> {
        let unknown = || Error::bad_request(format!("unknown relation {name}"));
        let collection = parents
            .first()
            .map(|parent| parent.collection())
            .ok_or_else(unknown)?;
        if let Some(options) = collection.field(name).and_then(Field::as_relation) {
            return Ok(Relation {
                target: schema
                    .by_id(&options.collection_id)
                    .cloned()
                    .ok_or_else(unknown)?,
                multiple: options.max_select > 1,
                ids: parents
                    .iter()
                    .map(|parent| {
                        let value = parent.get(name);
                        value
                            .into_iter()
                            .flat_map(crate::model::Value::items)
                            .map(str::to_owned)
                            .collect()
                    })
                    .collect(),
            });
        }
        let (target, field) = back_relation(schema, name).ok_or_else(unknown)?;
        let options = field.as_relation().ok_or_else(unknown)?;
        if options.collection_id != collection.id {
            return Err(unknown());
        }
        let owners: Vec<&str> = parents.iter().map(|parent| parent.id()).collect();
        let ids =
            records::referencing_ids(conn, &target, field, &owners, BACK_RELATION_MAX).await?;
        Ok(Relation {
            multiple: target.unique_index(&field.name).is_none(),
            target: Arc::clone(&target),
            ids,
        })
    }
}

/// Enriching records that others take part in.
struct Flagging<'a> {
    handlers: &'a [Arc<dyn Handler>],
    request: &'a RequestInfo,
    managed: &'a HashSet<String>,
}

impl Flagging<'_> {
    /// The record keeps what the handlers did to it. A handler that keeps the default action away leaves the record as a
    /// stranger sees it.
    async fn run(&self, link: &mut Link<'_>, record: Record) -> Result<Enriched, Error> {
        let mut record = Enriching(Some(record));
        let event = || {
            let collection = record
                .0
                .as_ref()
                .map(|record| Arc::clone(record.collection()));
            Event::new(EventKind::RecordEnrich, collection).in_request(RequestParts {
                info: self.request.clone(),
                ..RequestParts::default()
            })
        };
        let event = event();
        let done = tapped(
            self.handlers,
            || event,
            link.tx(),
            &mut record,
            async |record: &mut Enriching, _| {
                let Some(record) = &mut record.0 else {
                    return Ok(());
                };
                let flags = Flags::of(record, self.request, self.managed);
                if flags.show_hidden {
                    let collection = Arc::clone(record.collection());
                    let fields = collection.fields().iter();
                    record.unhide(fields.map(|field| field.name.as_str()));
                }
                if flags.show_email {
                    record.ignore_email_visibility(true);
                }
                Ok(())
            },
        )
        .await;
        let ran = matches!(done.result?, Outcome::Done(()));
        let record = record
            .0
            .ok_or_else(|| Error::Internal("an event lost its record".to_owned(), None))?;
        let flags = Flags::of(&record, self.request, self.managed);
        Ok(Enriched {
            show_hidden: ran && flags.show_hidden,
            show_email: ran && flags.show_email,
            record: Arc::new(record),
            expand: None,
        })
    }
}

/// The record of an enrich event, but while handlers have it.
struct Enriching(Option<Record>);

impl Slots for Enriching {
    fn put(&mut self, event: &mut Event) {
        if let Some(record) = self.0.take() {
            event.set("record", Slot::Record(Box::new(record)));
        }
    }

    fn take(&mut self, event: &mut Event) {
        self.0 = event.take_record().or_else(|| self.0.take());
    }
}

/// What a reader may see of a record.
struct Flags {
    show_hidden: bool,
    show_email: bool,
}

impl Flags {
    fn of(record: &Record, request: &RequestInfo, managed: &HashSet<String>) -> Self {
        let superuser = request.is_superuser();
        let own = request.auth.as_ref().is_some_and(|auth| {
            auth.id() == record.id() && auth.collection().id == record.collection().id
        });
        Self {
            show_hidden: superuser,
            show_email: superuser || own || managed.contains(record.id()),
        }
    }
}

/// A record with what the caller may see: superusers all of it, others their own e-mail address and those they manage.
fn flagged(record: Record, request: &RequestInfo, managed: &HashSet<String>) -> Enriched {
    let flags = Flags::of(&record, request, managed);
    Enriched {
        show_hidden: flags.show_hidden,
        show_email: flags.show_email,
        record: Arc::new(record),
        expand: None,
    }
}

/// The collection and relation field that a name such as `comments_via_post` stands for.
fn back_relation<'a>(schema: &'a Schema, name: &str) -> Option<(Arc<Collection>, &'a Field)> {
    // A collection or field name may itself contain `_via_`: try each place, the longest collection name first, as a
    // greedy match does.
    let mut end = name.len();
    while let Some(at) = name.get(..end)?.rfind("_via_") {
        let (collection, field) = (name.get(..at)?, name.get(at + "_via_".len()..)?);
        if let Some(collection) = schema.find(collection)
            && let Some(field) = collection.field(field)
        {
            return Some((Arc::clone(collection), field));
        }
        end = at;
    }
    None
}
