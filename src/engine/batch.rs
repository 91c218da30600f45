//! Several record writes in one transaction: all of them count, or none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::events::{Event, EventKind, Handler, Outcome, RequestParts, Tapped, tapped};
use super::records::{Draft, Input, Viewing, Writing};
use super::{Engine, Enriched, Error, Link, RequestInfo};
use crate::model::{Collection, Record};
use crate::store::search::Condition;
use crate::store::{self, Tx, records};

/// What one request of a batch does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchAction {
    Create,
    /// Updates the record of this id.
    Update(String),
    /// Updates the record of this id, or creates one when there is none; without an id it creates one.
    Upsert(Option<String>),
    /// Deletes the record of this id.
    Delete(String),
}

/// One request of a batch.
pub struct BatchItem {
    pub action: BatchAction,
    pub collection: Arc<Collection>,
    /// The request as rules see it; `expand` of its query says what the answer shows. An upsert sets the method itself.
    pub request: RequestInfo,
    /// The submitted fields and files; a delete has none.
    pub input: Input,
    /// The request as those who take part in it see it, if anybody may.
    pub parts: Option<RequestParts>,
}

/// What one request of a batch answers.
#[derive(Debug)]
pub struct BatchAnswer {
    pub outcome: Outcome<Option<Enriched>>,
    /// Headers that somebody who took part has set.
    pub headers: Vec<(String, String)>,
}

/// Why a batch wrote nothing.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The request at `index` was refused or failed.
    #[error("request {index} failed")]
    Item {
        index: usize,
        #[source]
        error: Error,
    },
    /// The time limit ran out.
    #[error("the batch took too long")]
    TimedOut,
    /// The transaction as a whole failed.
    #[error(transparent)]
    Transaction(Error),
}

impl From<store::Error> for BatchError {
    fn from(cause: store::Error) -> Self {
        Self::Transaction(cause.into())
    }
}

impl Engine {
    /// Runs the requests in their order, each under its access rule, in one transaction. Later ones see what earlier
    /// ones wrote; events leave after the commit. Gives what each one wrote, `None` for a delete.
    ///
    /// `limit` bounds the time inside the transaction. It is looked at between the requests: a statement that was cut
    /// off half-way would leave the writer in doubt.
    ///
    /// # Errors
    /// [`BatchError`]; nothing is written then.
    pub async fn write_batch(
        &self,
        items: Vec<BatchItem>,
        limit: Duration,
    ) -> Result<Vec<BatchAnswer>, BatchError> {
        let engine = self.clone();
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    let deadline = Instant::now() + limit;
                    let mut written = Vec::with_capacity(items.len());
                    for (index, item) in items.into_iter().enumerate() {
                        if Instant::now() >= deadline {
                            return Err(BatchError::TimedOut);
                        }
                        let one = engine
                            .write_item(tx, item)
                            .await
                            .map_err(|error| BatchError::Item { index, error })?;
                        written.push(one);
                    }
                    if Instant::now() >= deadline {
                        return Err(BatchError::TimedOut);
                    }
                    Ok(written)
                })
            })
            .await
    }

    async fn write_item(&self, tx: &mut Tx, item: BatchItem) -> Result<BatchAnswer, Error> {
        let BatchItem {
            action,
            collection,
            mut request,
            input,
            parts,
        } = item;
        // The collection may have changed since the request was read.
        let collection = tx
            .schema()
            .by_id(&collection.id)
            .cloned()
            .ok_or_else(|| Error::NotFound("Missing collection context.".to_owned()))?;
        let action = match action {
            BatchAction::Upsert(id) => {
                let action = resolve_upsert(tx, &collection, id).await?;
                request.method = match action {
                    BatchAction::Update(_) => "PATCH".into(),
                    _ => "POST".into(),
                };
                action
            }
            other => other,
        };
        let kind = match action {
            BatchAction::Create | BatchAction::Upsert(_) => EventKind::RecordCreateRequest,
            BatchAction::Update(_) => EventKind::RecordUpdateRequest,
            BatchAction::Delete(_) => EventKind::RecordDeleteRequest,
        };
        let handlers = self.interceptors().handlers(kind, Some(&collection));
        let info = request.clone();
        let event = || {
            Event::new(kind, Some(Arc::clone(&collection))).in_request(RequestParts {
                info,
                ..parts.unwrap_or_default()
            })
        };
        let tapped = match action {
            BatchAction::Delete(id) => {
                let mut link = Link::Tx(tx);
                let found = self
                    .find_deletable(&mut link, &request, &collection, &id)
                    .await?;
                self.delete_tapped(tx, &handlers, event, found, request)
                    .await
            }
            BatchAction::Create | BatchAction::Upsert(_) => {
                let mut link = Link::Tx(tx);
                let draft = self
                    .draft_create(&mut link, &request, &collection, input)
                    .await?;
                self.write_tapped(tx, &handlers, event, draft).await
            }
            BatchAction::Update(id) => {
                let mut link = Link::Tx(tx);
                let draft = self
                    .draft_update(&mut link, &request, &collection, &id, input)
                    .await?;
                self.write_tapped(tx, &handlers, event, draft).await
            }
        };
        Ok(BatchAnswer {
            outcome: tapped.result?,
            headers: tapped.headers,
        })
    }

    async fn write_tapped(
        &self,
        tx: &mut Tx,
        handlers: &[Arc<dyn Handler>],
        event: impl FnOnce() -> Event + Send,
        draft: Draft,
    ) -> Tapped<Option<Enriched>> {
        let mut writing = Writing::from(draft);
        tapped(
            handlers,
            event,
            Some(tx),
            &mut writing,
            async |writing: &mut Writing, tx: Option<&mut Tx>| {
                let (Some(draft), Some(tx)) = (writing.draft.take(), tx) else {
                    return Err(lost());
                };
                let request = draft.request.clone();
                let record = self.save_draft_in(tx, draft).await?;
                let shown = self.enrich_written(tx, record, &request).await?;
                writing.saved = Some(Arc::clone(&shown.record));
                Ok(Some(shown))
            },
        )
        .await
    }

    async fn delete_tapped(
        &self,
        tx: &mut Tx,
        handlers: &[Arc<dyn Handler>],
        event: impl FnOnce() -> Event + Send,
        found: Record,
        request: RequestInfo,
    ) -> Tapped<Option<Enriched>> {
        let mut deleting = Viewing::from(found);
        tapped(
            handlers,
            event,
            Some(tx),
            &mut deleting,
            async |deleting: &mut Viewing, tx: Option<&mut Tx>| {
                let (Some(record), Some(tx)) = (deleting.record.clone(), tx) else {
                    return Err(lost());
                };
                self.delete_found_in(tx, record, request).await?;
                Ok(None)
            },
        )
        .await
    }

    /// The record as the answer shows it: as it is now, not as later requests leave it.
    async fn enrich_written(
        &self,
        tx: &mut Tx,
        record: Record,
        request: &RequestInfo,
    ) -> Result<Enriched, Error> {
        let schema = Arc::clone(tx.schema());
        let expand = request.query("expand");
        self.enrich(&mut Link::Tx(tx), &schema, vec![record], request, expand)
            .await?
            .pop()
            .ok_or_else(|| Error::Internal("the saved record is gone".to_owned(), None))
    }
}

fn lost() -> Error {
    Error::Internal("an event lost its record".to_owned(), None)
}

async fn resolve_upsert(
    tx: &mut Tx,
    collection: &Arc<Collection>,
    id: Option<String>,
) -> Result<BatchAction, Error> {
    let Some(id) = id.filter(|id| !id.is_empty() && !collection.is_view()) else {
        return Ok(BatchAction::Create);
    };
    let found = records::find(tx, collection, &id, &Condition::Always).await?;
    Ok(match found {
        Some(_) => BatchAction::Update(id),
        None => BatchAction::Create,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Mutex;

    use serde_json::{Value as Json, json};

    use super::*;
    use crate::base::clock::Clock;
    use crate::blob::Storage;
    use crate::bus::{Bus, BusOptions};
    use crate::engine::{Committed, EngineOptions, RecordHook};
    use crate::store::{Store, StoreOptions};

    /// Long enough for any test.
    const LONG: Duration = Duration::from_secs(60);

    struct Fixture {
        engine: Engine,
        posts: Arc<Collection>,
        committed: Arc<Log>,
        _dir: tempfile::TempDir,
    }

    /// Notes the committed writes.
    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);

    impl RecordHook for Log {
        fn committed(&self, _: &Engine, event: &Committed) {
            let line = format!("{} {}", event.op.as_str(), event.record.text("title"));
            self.0.lock().unwrap().push(line);
        }
    }

    async fn fixture() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(EngineOptions {
            store: Store::open(StoreOptions::new(dir.path())).await.unwrap(),
            files: Storage::local(dir.path().join("storage")),
            bus: Bus::new(BusOptions::default()),
            clock: Clock::system(),
            encryption_key: None,
            rehash: true,
            mails: dir.path().join("mails"),
        })
        .await
        .unwrap();
        let object = |value: Json| value.as_object().unwrap().clone();
        let title = json!({"name": "title", "type": "text", "required": true});
        let body = json!({"name": "posts", "type": "base", "createRule": "@request.context = 'batch'",
            "updateRule": "", "deleteRule": "", "viewRule": "", "fields": [title]});
        let posts = engine.create_collection(object(body)).await.unwrap();
        let next =
            json!({"name": "next", "type": "relation", "collectionId": posts.id, "maxSelect": 1});
        let body = object(json!({"fields": [title, next]}));
        let posts = engine.update_collection("posts", body).await.unwrap();
        let committed = Arc::new(Log::default());
        engine.register_hook(committed.clone());
        Fixture {
            engine,
            posts,
            committed,
            _dir: dir,
        }
    }

    impl Fixture {
        fn item(&self, action: BatchAction, body: Json) -> BatchItem {
            BatchItem {
                action,
                collection: Arc::clone(&self.posts),
                request: RequestInfo::default().in_context(crate::engine::context::BATCH),
                input: Input {
                    body: body.as_object().unwrap().clone(),
                    uploads: Vec::new(),
                },
                parts: None,
            }
        }

        fn create(&self, id: &str, title: &str) -> BatchItem {
            self.item(BatchAction::Create, json!({"id": id, "title": title}))
        }

        async fn title(&self, id: &str) -> Option<String> {
            let found = self.engine.find_record(&self.posts, id).await.unwrap();
            found.map(|record| record.text("title").to_owned())
        }

        fn events(&self) -> Vec<String> {
            std::mem::take(&mut self.committed.0.lock().unwrap())
        }
    }

    const A: &str = "aaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbb";

    fn record(answer: &BatchAnswer) -> Option<&Enriched> {
        match &answer.outcome {
            Outcome::Done(record) => record.as_ref(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn later_requests_see_what_earlier_ones_wrote() {
        let f = fixture().await;
        let upsert = |title: &str| {
            let body = json!({"id": A, "title": title});
            f.item(BatchAction::Upsert(Some(A.to_owned())), body)
        };
        let mut linked = f.item(
            BatchAction::Create,
            json!({"id": B, "title": "b", "next": A}),
        );
        let query = json!({"expand": "next"});
        linked.request.query = Arc::new(query.as_object().unwrap().clone());
        let items = vec![
            upsert("new"),
            upsert("changed"),
            linked,
            f.item(BatchAction::Delete(A.to_owned()), json!({})),
        ];
        let written = f.engine.write_batch(items, LONG).await.unwrap();
        let titles: Vec<Option<String>> = written
            .iter()
            .map(|one| record(one).map(|one| one.record.text("title").to_owned()))
            .collect();
        let expected = [Some("new"), Some("changed"), Some("b"), None];
        assert_eq!(titles, expected.map(|title| title.map(str::to_owned)));
        let mut shown = Vec::new();
        record(&written[2]).unwrap().write_json(&mut shown);
        let shown: Json = serde_json::from_slice(&shown).unwrap();
        assert_eq!(shown["expand"]["next"]["title"], "changed");
        assert_eq!(
            (f.title(A).await, f.title(B).await),
            (None, Some("b".into()))
        );
        assert_eq!(
            f.events(),
            [
                "create new",
                "update changed",
                "create b",
                "update b",
                "delete changed"
            ]
        );
    }

    #[tokio::test]
    async fn a_refused_request_undoes_those_before_it_and_no_event_leaves() {
        let f = fixture().await;
        let items = vec![f.create(A, "a"), f.create(B, ""), f.create(B, "b")];
        let refused = f.engine.write_batch(items, LONG).await.unwrap_err();
        assert!(
            matches!(
                refused,
                BatchError::Item {
                    index: 1,
                    error: Error::Validation { .. }
                }
            ),
            "{refused:?}"
        );
        assert_eq!((f.title(A).await, f.title(B).await), (None, None));
        assert!(f.events().is_empty());
    }

    #[tokio::test]
    async fn a_batch_that_takes_too_long_writes_nothing_and_the_next_one_works() {
        let f = fixture().await;
        let late = f.engine.write_batch(vec![f.create(A, "a")], Duration::ZERO);
        assert!(matches!(late.await, Err(BatchError::TimedOut)));
        assert_eq!(f.title(A).await, None);
        let items = vec![f.create(A, "a")];
        f.engine.write_batch(items, LONG).await.unwrap();
        assert_eq!(f.events(), ["create a"]);
    }

    #[tokio::test]
    async fn rules_see_that_a_request_comes_in_a_batch() {
        let f = fixture().await;
        let mut item = f.create(A, "a");
        item.request = RequestInfo::default();
        let refused = f.engine.write_batch(vec![item], LONG).await.unwrap_err();
        assert!(matches!(refused, BatchError::Item { index: 0, .. }));
    }
}
