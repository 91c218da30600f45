//! Looking records up without access rules, on behalf of modules and scripts.
//!
//! Each function reads through a [`Link`]: inside a transaction it sees what the transaction wrote.

use std::sync::Arc;

use crate::engine::auth::TokenClaims;
use crate::engine::listing::sort_keys;
use crate::engine::{Engine, Error, Link};
use crate::filter::{self, Limits, Params};
use crate::model::{Collection, FieldKind, Record, TokenKind, Value};
use crate::store::records::{self, GroupSum, ListQuery};
use crate::store::search::{Condition, Scope, Sort};

/// More rows than any table has; a number that the database takes for a whole one.
const NO_LIMIT: u64 = 1 << 50;

/// Which records to find, and in which order.
#[derive(Clone, Debug, Default)]
pub struct RecordQuery<'a> {
    /// A filter, or empty for all. `{:name}` stands for one of `params`.
    pub filter: &'a str,
    pub params: Params,
    /// Sort keys, comma separated, or empty.
    pub sort: &'a str,
    /// The most records; 0: all.
    pub limit: u64,
    /// Records to skip.
    pub offset: u64,
}

/// What to sum.
#[derive(Clone, Debug)]
pub struct RecordSum<'a> {
    /// As in [`RecordQuery`]; on fields of the collection itself.
    pub filter: &'a str,
    pub params: Params,
    /// The number field.
    pub field: &'a str,
    /// The field whose texts make groups.
    pub group: &'a str,
}

impl Engine {
    /// A record by id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_by_id(
        &self,
        link: &mut Link<'_>,
        collection: &Arc<Collection>,
        id: &str,
    ) -> Result<Option<Record>, Error> {
        let mut conn = link.conn().await?;
        Ok(records::find(&mut conn, collection, id, &Condition::Always).await?)
    }

    /// Records by id, in no particular order; ids without a record are left out.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_by_ids(
        &self,
        link: &mut Link<'_>,
        collection: &Arc<Collection>,
        ids: &[&str],
    ) -> Result<Vec<Record>, Error> {
        let mut conn = link.conn().await?;
        Ok(records::find_many(&mut conn, collection, ids, &Condition::Always).await?)
    }

    /// The records that a filter finds.
    ///
    /// # Errors
    /// `BadRequest` for a filter or sort that does not compile, else those of the database.
    pub async fn find_by_filter(
        &self,
        link: &mut Link<'_>,
        collection: &Arc<Collection>,
        query: &RecordQuery<'_>,
    ) -> Result<Vec<Record>, Error> {
        let (condition, sort) = self.plan_query(link, collection, query)?;
        let list = ListQuery {
            collection,
            condition: &condition,
            sort: &sort,
            limit: match query.limit {
                0 => NO_LIMIT,
                limit => limit,
            },
            offset: query.offset,
        };
        let mut conn = link.conn().await?;
        Ok(records::list(&mut conn, &list).await?)
    }

    /// The first record that a filter finds.
    ///
    /// # Errors
    /// As [`Engine::find_by_filter`].
    pub async fn find_first_by_filter(
        &self,
        link: &mut Link<'_>,
        collection: &Arc<Collection>,
        filter: &str,
        params: Params,
    ) -> Result<Option<Record>, Error> {
        let query = RecordQuery {
            filter,
            params,
            limit: 1,
            ..RecordQuery::default()
        };
        let found = self.find_by_filter(link, collection, &query).await?;
        Ok(found.into_iter().next())
    }

    /// The first record whose field holds this value, compared as it is stored.
    ///
    /// # Errors
    /// `BadRequest` for an unknown field, else those of the database.
    pub async fn find_first_by_data(
        &self,
        link: &mut Link<'_>,
        collection: &Arc<Collection>,
        field: &str,
        value: &Value,
    ) -> Result<Option<Record>, Error> {
        if collection.field(field).is_none() {
            return Err(Error::bad_request(format!(
                "{} has no field {field}",
                collection.name
            )));
        }
        let mut conn = link.conn().await?;
        Ok(records::find_by_field(&mut conn, collection, field, value).await?)
    }

    /// How many records a filter finds; an empty one finds all.
    ///
    /// # Errors
    /// As [`Engine::find_by_filter`].
    pub async fn count_records(
        &self,
        link: &mut Link<'_>,
        collection: &Arc<Collection>,
        filter: &str,
        params: Params,
    ) -> Result<u64, Error> {
        let query = RecordQuery {
            filter,
            params,
            ..RecordQuery::default()
        };
        let (condition, _) = self.plan_query(link, collection, &query)?;
        let mut conn = link.conn().await?;
        Ok(records::count(&mut conn, collection, &condition).await?)
    }

    /// Sums the numbers of a field over the records that a filter finds, apart for each text of another field; see
    /// [`records::sums_by`].
    ///
    /// # Errors
    /// As [`Engine::find_by_filter`].
    pub async fn sum_records(
        &self,
        link: &mut Link<'_>,
        collection: &Arc<Collection>,
        sum: &RecordSum<'_>,
    ) -> Result<Vec<GroupSum>, Error> {
        let query = RecordQuery {
            filter: sum.filter,
            params: sum.params.clone(),
            ..RecordQuery::default()
        };
        let (condition, _) = self.plan_query(link, collection, &query)?;
        let mut conn = link.conn().await?;
        let sums = records::sums_by(&mut conn, collection, &condition, sum.field, sum.group);
        Ok(sums.await?)
    }

    /// The auth record with this e-mail address.
    ///
    /// # Errors
    /// `BadRequest` for a collection without sign-in, else those of the database.
    pub async fn find_auth_by_email(
        &self,
        link: &mut Link<'_>,
        collection: &Arc<Collection>,
        email: &str,
    ) -> Result<Option<Record>, Error> {
        if !collection.is_auth() {
            return Err(Error::bad_request(format!(
                "{} is not an auth collection",
                collection.name
            )));
        }
        let mut conn = link.conn().await?;
        crate::engine::auth::find_by_email(&mut conn, collection, email).await
    }

    /// The record and claims of a token of one of the given kinds, all kinds if none is given; `None` when it is invalid
    /// or expired.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_auth_by_token(
        &self,
        link: &mut Link<'_>,
        token: &str,
        kinds: &[TokenKind],
    ) -> Result<Option<(Record, TokenClaims)>, Error> {
        const ALL: [TokenKind; 5] = [
            TokenKind::Auth,
            TokenKind::File,
            TokenKind::Verification,
            TokenKind::PasswordReset,
            TokenKind::EmailChange,
        ];
        let kinds = if kinds.is_empty() { &ALL } else { kinds };
        let mut conn = link.conn().await?;
        self.record_of_token(&mut conn, token, kinds).await
    }

    /// Whether a password is a record's.
    ///
    /// # Errors
    /// `Busy` when too many sign-ins wait.
    pub async fn fits_password(
        &self,
        record: &Record,
        field: &str,
        password: &str,
    ) -> Result<bool, Error> {
        let is_password = record
            .collection()
            .field(field)
            .is_some_and(|field| matches!(field.kind, FieldKind::Password(_)));
        let hash = record.text(field);
        if !is_password || hash.is_empty() || password.is_empty() {
            return Ok(false);
        }
        self.passwords()
            .verify(hash.to_owned(), password.to_owned())
            .await
            .map_err(|error| Error::Busy(error.to_string()))
    }

    fn plan_query(
        &self,
        link: &Link<'_>,
        collection: &Arc<Collection>,
        query: &RecordQuery<'_>,
    ) -> Result<(Condition, Sort), Error> {
        let schema = link.schema(self);
        let scope = Scope {
            schema: &schema,
            collection,
            request: None,
            allow_hidden: true,
        };
        let keys = sort_keys(query.sort)?;
        let filter = query.filter.trim();
        if filter.is_empty() {
            return Ok(self.compiler().compile_list(&[], &keys, &scope)?);
        }
        let tree = filter::substitute(filter, &query.params, &Limits::RULE)
            .map_err(|error| Error::bad_request(format!("invalid filter: {error}")))?;
        Ok(self.compiler().compile_tree(&tree, &keys, &scope)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::clock::Clock;
    use crate::blob::Storage;
    use crate::bus::{Bus, BusOptions};
    use crate::engine::EngineOptions;
    use crate::filter::Param;
    use crate::store::{Store, StoreOptions};

    async fn engine(dir: &tempfile::TempDir) -> (Engine, Arc<Collection>) {
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
        let body = json!({"name": "posts", "type": "base", "fields": [
            {"name": "title", "type": "text", "required": true},
            {"name": "n", "type": "number"},
        ]});
        let body = body.as_object().unwrap().clone();
        let posts = engine.create_collection(body).await.unwrap();
        for (title, n) in [("a", 1.0), ("b' || 1=1", 2.0), ("c", 3.0)] {
            let mut record = Record::new(Arc::clone(&posts));
            record.set("title", title.into());
            record.set("n", Value::Number(n));
            engine.save_record(record, true).await.unwrap();
        }
        (engine, posts)
    }

    fn titles(records: &[Record]) -> Vec<&str> {
        records.iter().map(|record| record.text("title")).collect()
    }

    #[tokio::test]
    async fn filters_take_their_values_from_placeholders() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, posts) = engine(&dir).await;
        let mut link = Link::Pool(&engine);
        let mut query = RecordQuery {
            filter: "n >= {:least} && title != {:not}",
            params: Params::from([
                ("least".to_owned(), Param::from(2_i64)),
                ("not".to_owned(), Param::from("c")),
            ]),
            sort: "-n",
            ..RecordQuery::default()
        };
        let found = engine.find_by_filter(&mut link, &posts, &query).await;
        assert_eq!(titles(&found.unwrap()), ["b' || 1=1"]);
        (query.filter, query.limit, query.offset) = ("", 1, 1);
        let found = engine.find_by_filter(&mut link, &posts, &query).await;
        assert_eq!(titles(&found.unwrap()), ["b' || 1=1"]);
        let params = || Params::from([("t".to_owned(), Param::from("b' || 1=1"))]);
        let found = engine.find_first_by_filter(&mut link, &posts, "title = {:t}", params());
        assert_eq!(found.await.unwrap().unwrap().text("title"), "b' || 1=1");
        let count = engine.count_records(&mut link, &posts, "title = {:t}", params());
        assert_eq!(count.await.unwrap(), 1);
        let count = engine.count_records(&mut link, &posts, "", Params::new());
        assert_eq!(count.await.unwrap(), 3);
        let unknown = engine.count_records(&mut link, &posts, "none = 1", Params::new());
        assert!(matches!(unknown.await, Err(Error::BadRequest(_))));
        let found = engine.find_first_by_data(&mut link, &posts, "n", &Value::Number(3.0));
        assert_eq!(found.await.unwrap().unwrap().text("title"), "c");
    }

    #[tokio::test]
    async fn a_record_is_saved_without_validation_on_demand() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, posts) = engine(&dir).await;
        let blank = Record::new(Arc::clone(&posts));
        let refused = engine.save_record(blank.clone(), true).await;
        assert!(matches!(refused, Err(Error::Validation { .. })));
        let saved = engine.save_record(blank, false).await.unwrap();
        engine.delete_stored(saved).await.unwrap();
        let mut link = Link::Pool(&engine);
        let count = engine.count_records(&mut link, &posts, "", Params::new());
        assert_eq!(count.await.unwrap(), 3);
    }
}
