//! The messages that outlast the session: records of `roomMessages`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value as Json, json};

use super::people::Subject;
use super::seams::World;
use super::value::{Data, Members};
use crate::base::DateTime;
use crate::engine::records::RecordQuery;
use crate::engine::{Engine, Error, Link};
use crate::filter::{Param, Params};
use crate::live::Live;
use crate::model::{Collection, Record, Upload, UploadMode, Value};
use crate::store::Tx;

/// The collection.
pub(super) const MESSAGES: &str = "roomMessages";
/// How many messages a page has at most, and without a word.
pub(super) const PAGE_MAX: usize = 200;
pub(super) const PAGE_DEFAULT: usize = 50;
/// How many are read at once, and after how many bytes of text a page ends.
const STEP: usize = 25;
const PAGE_BYTES_MAX: usize = 4 << 20;
const IN_ROOM: &str = "room = {:room}";
const BEFORE: &str =
    "room = {:room} && created <= {:created} && (created < {:created} || id < {:id})";

/// A message to be stored.
#[derive(Clone, Debug)]
pub(super) struct NewMessage {
    pub(super) room: Arc<str>,
    pub(super) from: Subject,
    /// Empty for a member who is not in.
    pub(super) participant: String,
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) text: String,
    /// Unset: when it is stored.
    pub(super) created: Option<DateTime>,
}

/// A message that was stored, as the room is told of it. Scripts may have changed it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stored {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) from: String,
    pub(super) participant: String,
    pub(super) name: String,
    pub(super) text: String,
    /// The name of its file; empty without one.
    pub(super) file: String,
}

impl NewMessage {
    fn to_record(&self, messages: &Arc<Collection>, upload: Option<Upload>) -> Record {
        let mut record = Record::new(Arc::clone(messages));
        record.set("room", (*self.room).into());
        record.set("user", self.from.user().unwrap_or_default().into());
        record.set("participant", self.participant.as_str().into());
        record.set("name", self.name.as_str().into());
        record.set("kind", self.kind.into());
        record.set("text", self.text.as_str().into());
        if let Subject::Guest(id) = &self.from {
            let data = json!({"guest_id": id}).to_string();
            record.set("data", Value::Json(data));
        }
        if let Some(created) = self.created {
            record.set("created", created.to_string().into());
        }
        if let Some(upload) = upload {
            record.add_upload("file", upload, UploadMode::Replace);
        }
        record
    }
}

impl Stored {
    pub(super) fn of(record: &Record) -> Self {
        Self {
            id: record.id().to_owned(),
            kind: record.text("kind").to_owned(),
            from: author_of(record),
            participant: record.text("participant").to_owned(),
            name: record.text("name").to_owned(),
            text: record.text("text").to_owned(),
            file: file_of(record).to_owned(),
        }
    }

    /// The data of `chat`.
    pub(super) fn into_data(self) -> Data {
        let mut data = Members::from([
            ("from", self.from.into()),
            ("participant_id", self.participant.into()),
            ("name", self.name.into()),
            ("message", self.text.into()),
            ("id", self.id.into()),
        ]);
        if !self.file.is_empty() {
            data.set("kind", self.kind);
            data.set("file", self.file);
        }
        data.into()
    }
}

/// The id of who wrote a message: a user or a guest.
fn author_of(record: &Record) -> String {
    let user = record.text("user");
    if !user.is_empty() {
        return user.to_owned();
    }
    let guest = json_of(record, "data");
    let guest = guest.get("guest_id").and_then(Json::as_str);
    guest.unwrap_or_default().to_owned()
}

fn json_of(record: &Record, field: &str) -> Json {
    record.get(field).map_or(Json::Null, Value::to_json)
}

fn file_of(record: &Record) -> &str {
    record.text("file")
}

/// Stores a message of a member who need not be in, with a file.
///
/// # Errors
/// `Validation` by field, or what a hook refused.
pub(super) async fn store_one(
    engine: &Engine,
    message: &NewMessage,
    upload: Option<Upload>,
) -> Result<Record, Error> {
    let messages = engine.collection(MESSAGES)?;
    let record = message.to_record(&messages, upload);
    engine.save_record(record, true).await
}

/// A page of a room's messages, oldest first, and whether there are older ones. `before` is the time and id of a message.
///
/// # Errors
/// Those of the database.
pub(super) async fn page(
    engine: &Engine,
    room: &str,
    mut before: Option<(String, String)>,
    limit: usize,
) -> Result<(Vec<Record>, bool), Error> {
    let mut page: Vec<Record> = Vec::new();
    let mut bytes = 0;
    // Messages may be long: a few at a time, until there are enough of them or of their bytes.
    let has_more = loop {
        let step = STEP.min(limit - page.len());
        let mut found = older(engine, room, before.as_ref(), step + 1).await?;
        let has_more = found.len() > step;
        found.truncate(step);
        bytes += found
            .iter()
            .map(|found| found.text("text").len())
            .sum::<usize>();
        page.append(&mut found);
        if !has_more || page.len() >= limit || bytes > PAGE_BYTES_MAX {
            break has_more;
        }
        before = page.last().map(place_of);
    };
    page.reverse();
    Ok((page, has_more))
}

/// What a page begins before, for those older than this message.
pub(super) fn place_of(message: &Record) -> (String, String) {
    (message.text("created").to_owned(), message.id().to_owned())
}

async fn older(
    engine: &Engine,
    room: &str,
    before: Option<&(String, String)>,
    limit: usize,
) -> Result<Vec<Record>, Error> {
    let messages = engine.collection(MESSAGES)?;
    let text = |name: &str, text: &str| (name.to_owned(), Param::Text(text.to_owned()));
    let (filter, params) = match before {
        None => (IN_ROOM, vec![text("room", room)]),
        Some((created, id)) => {
            let params = [("room", room), ("created", created), ("id", id)];
            (BEFORE, params.map(|(name, value)| text(name, value)).into())
        }
    };
    let query = RecordQuery {
        filter,
        params: Params::from_iter(params),
        sort: "-created,-id",
        limit: limit as u64,
        offset: 0,
    };
    let mut link = Link::Pool(engine);
    engine.find_by_filter(&mut link, &messages, &query).await
}

/// A message as the history shows it.
pub(super) fn shown(record: &Record) -> Json {
    let mut message = json!({
        "id": record.id(),
        "kind": record.text("kind"),
        "user_id": author_of(record),
        "participant_id": record.text("participant"),
        "name": record.text("name"),
        "text": record.text("text"),
        "data": json_of(record, "data"),
        "created": record.text("created"),
    });
    let file = file_of(record);
    if !file.is_empty()
        && let Some(members) = message.as_object_mut()
    {
        members.insert("file".to_owned(), file.into());
    }
    message
}

/// The engine and live events.
pub(super) struct Server {
    pub(super) engine: Engine,
    pub(super) live: Live,
}

impl World for Server {
    fn now(&self) -> DateTime {
        self.engine.now()
    }

    fn publish(&self, topic: &str, payload: &Json) {
        if let Err(error) = self.live.publish(topic, payload) {
            tracing::warn!(topic, %error, "an event of a room is lost");
        }
    }

    fn store(&self, batch: Vec<NewMessage>) -> BoxFuture<'static, Vec<Result<Stored, String>>> {
        let engine = self.engine.clone();
        Box::pin(async move {
            let count = batch.len();
            match store_batch(&engine, batch).await {
                Ok(stored) => stored,
                Err(error) => {
                    tracing::warn!(%error, count, "messages of a room are not stored");
                    let text = "The message could not be stored, try again.";
                    vec![Err(text.to_owned()); count]
                }
            }
        })
    }
}

/// Stores messages in one transaction. One that is refused keeps none of the others.
async fn store_batch(
    engine: &Engine,
    batch: Vec<NewMessage>,
) -> Result<Vec<Result<Stored, String>>, Error> {
    let inside = engine.clone();
    engine
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let messages = inside.collection(MESSAGES)?;
                let mut stored = Vec::with_capacity(batch.len());
                for message in batch {
                    let record = message.to_record(&messages, None);
                    stored.push(store_in(&inside, tx, record).await?);
                }
                Ok(stored)
            })
        })
        .await
}

async fn store_in(
    engine: &Engine,
    tx: &mut Tx,
    record: Record,
) -> Result<Result<Stored, String>, Error> {
    let engine = engine.clone();
    let saved: Result<Record, Error> = tx
        .savepoint(|tx| Box::pin(async move { engine.save(tx, record).await }))
        .await;
    match saved {
        Ok(record) => Ok(Ok(Stored::of(&record))),
        // The whole batch may be tried again.
        Err(error @ (Error::Busy(_) | Error::Internal(..))) => Err(error),
        Err(error) => {
            let error = error.or_message("The message is refused.");
            Ok(Err(error.to_string()))
        }
    }
}
