//! Reading records under the list and view rules.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::engine::events::{Event, Slot, Slots};
use crate::engine::listing::sort_keys;
use crate::engine::{Engine, Enriched, Error, Link, RequestInfo};
use crate::filter;
use crate::model::{Collection, Record, Schema};
use crate::store::records::{self, ListQuery};
use crate::store::search::{Condition, Part, Scope, Sort};

/// What a list request asks for.
#[derive(Clone, Debug, Default)]
pub struct ListParams {
    /// From 1.
    pub page: u64,
    /// 1 to 1000.
    pub per_page: u64,
    /// Leave totals out (-1), which saves the count.
    pub skip_total: bool,
    /// A filter text or empty.
    pub filter: String,
    /// Sort keys, comma separated, or empty.
    pub sort: String,
    /// Relations to expand, comma separated, or empty.
    pub expand: String,
}

/// One page of records, found and then enriched.
#[derive(Debug, Default)]
pub struct Found {
    pub page: u64,
    pub per_page: u64,
    /// -1 when not counted.
    pub total_items: i64,
    /// -1 when not counted.
    pub total_pages: i64,
    /// What is not enriched yet.
    pub records: Vec<Record>,
    /// What the answer shows.
    pub items: Vec<Enriched>,
}

impl Slots for Found {
    fn put(&mut self, event: &mut Event) {
        let records = if self.items.is_empty() {
            std::mem::take(&mut self.records)
        } else {
            let items = self.items.iter();
            items.map(|item| Record::clone(&item.record)).collect()
        };
        let result = json!({
            "page": self.page,
            "perPage": self.per_page,
            "totalItems": self.total_items,
            "totalPages": self.total_pages,
        });
        event.set("records", Slot::Records(records));
        event.set("result", Slot::Json(result));
    }

    fn take(&mut self, event: &mut Event) {
        if let Some(Slot::Records(records)) = event.take("records") {
            self.records = records;
        }
        let Some(result) = event.json("result") else {
            return;
        };
        let number = |name: &str| result.get(name).and_then(Json::as_i64);
        let unsigned = |name: &str, before: u64| {
            let number = number(name).and_then(|number| u64::try_from(number).ok());
            number.unwrap_or(before)
        };
        self.page = unsigned("page", self.page);
        self.per_page = unsigned("perPage", self.per_page);
        self.total_items = number("totalItems").unwrap_or(self.total_items);
        self.total_pages = number("totalPages").unwrap_or(self.total_pages);
    }
}

/// One record, found and then enriched.
#[derive(Default)]
pub struct Viewing {
    pub record: Option<Record>,
    /// What the answer shows.
    pub shown: Option<Arc<Record>>,
}

impl Slots for Viewing {
    fn put(&mut self, event: &mut Event) {
        let shown = self.shown.as_deref().cloned();
        if let Some(record) = shown.or_else(|| self.record.take()) {
            event.set("record", Slot::Record(Box::new(record)));
        }
    }

    fn take(&mut self, event: &mut Event) {
        if let Some(record) = event.take_record() {
            self.record = Some(record);
        }
    }
}

impl From<Record> for Viewing {
    fn from(record: Record) -> Self {
        Self {
            record: Some(record),
            shown: None,
        }
    }
}

impl Engine {
    /// A page of the records that the list rule lets the caller see, not enriched yet.
    ///
    /// # Errors
    /// `Forbidden` without a list rule; `BadRequest` for a filter or sort that does not compile.
    pub async fn find_page(
        &self,
        request: &RequestInfo,
        collection: &Arc<Collection>,
        params: &ListParams,
    ) -> Result<Found, Error> {
        let schema = self.schema();
        let (condition, sort) = self.plan(&schema, collection, params, request)?;
        let page = params.page.max(1);
        let per_page = params.per_page.clamp(1, 1000);
        let query = ListQuery {
            collection,
            condition: &condition,
            sort: &sort,
            limit: per_page,
            offset: (page - 1).saturating_mul(per_page),
        };
        let mut conn = self.store().read().await?;
        let (records, total_items, total_pages) = if params.skip_total {
            (records::list(&mut conn, &query).await?, -1, -1)
        } else {
            let (rows, total) = records::list_and_count(&mut conn, &query).await?;
            let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            (rows, count(total), count(total.div_ceil(per_page)))
        };
        Ok(Found {
            page,
            per_page,
            total_items,
            total_pages,
            records,
            items: Vec::new(),
        })
    }

    /// Enriches the records of a page.
    ///
    /// # Errors
    /// As [`Engine::enrich`].
    pub async fn enrich_page(
        &self,
        found: &mut Found,
        request: &RequestInfo,
        expand: &str,
    ) -> Result<(), Error> {
        let records = std::mem::take(&mut found.records);
        let schema = self.schema();
        found.items = self
            .enrich(&mut Link::Pool(self), &schema, records, request, expand)
            .await?;
        Ok(())
    }

    /// A page of records on behalf of a module: no access rules. The filter may speak of `request`. Also the number of
    /// all that fit.
    ///
    /// # Errors
    /// `BadRequest` for a filter or sort that does not compile.
    pub async fn list_unruled(
        &self,
        collection: &Arc<Collection>,
        params: &ListParams,
        request: Option<&RequestInfo>,
    ) -> Result<(Vec<Record>, u64), Error> {
        let values = request.map(|request| request.values(self));
        let schema = self.schema();
        let keys = sort_keys(&params.sort)?;
        let part = Part {
            text: &params.filter,
            allow_hidden: true,
        };
        let scope = Scope {
            schema: &schema,
            collection,
            request: values.as_ref(),
            allow_hidden: true,
        };
        let parts: &[Part<'_>] = if params.filter.is_empty() {
            &[]
        } else {
            &[part]
        };
        let (condition, sort) = self.compiler().compile_list(parts, &keys, &scope)?;
        let per_page = params.per_page.clamp(1, 1000);
        let query = ListQuery {
            collection,
            condition: &condition,
            sort: &sort,
            limit: per_page,
            offset: (params.page.max(1) - 1).saturating_mul(per_page),
        };
        let mut conn = self.read().await?;
        Ok(records::list_and_count(&mut conn, &query).await?)
    }

    /// Records on behalf of a script: no access rules. `texts` are the filter and the sort, `range` the most records to
    /// give and how many to skip.
    ///
    /// # Errors
    /// `BadRequest` for a filter or sort that does not compile.
    pub async fn select_unruled(
        &self,
        link: &mut Link<'_>,
        collection: &Arc<Collection>,
        texts: (&str, &str),
        range: (u64, u64),
    ) -> Result<Vec<Record>, Error> {
        let schema = link.schema(self);
        let keys = sort_keys(texts.1)?;
        let part = Part {
            text: texts.0,
            allow_hidden: true,
        };
        let scope = Scope {
            schema: &schema,
            collection,
            request: None,
            allow_hidden: true,
        };
        let parts: &[Part<'_>] = if texts.0.is_empty() { &[] } else { &[part] };
        let (condition, sort) = self.compiler().compile_list(parts, &keys, &scope)?;
        let query = ListQuery {
            collection,
            condition: &condition,
            sort: &sort,
            limit: range.0,
            offset: range.1,
        };
        let mut conn = link.conn().await?;
        Ok(records::list(&mut conn, &query).await?)
    }

    /// One record that the view rule lets the caller see, not enriched yet.
    ///
    /// # Errors
    /// `Forbidden` without a view rule, `NotFound` when there is none to see.
    pub async fn find_viewable(
        &self,
        request: &RequestInfo,
        collection: &Arc<Collection>,
        id: &str,
    ) -> Result<Record, Error> {
        let schema = self.schema();
        let condition = self
            .rule_condition(
                &schema,
                collection,
                collection.view_rule.as_deref(),
                request,
            )
            .map_err(|error| match error {
                Error::BadRequest(_) => Error::not_found(),
                other => other,
            })?;
        let mut conn = self.store().read().await?;
        records::find(&mut conn, collection, id, &condition)
            .await?
            .ok_or_else(Error::not_found)
    }

    /// The list rule, the client's filter and the client's sort, compiled together: they share the related rows they
    /// speak of.
    fn plan(
        &self,
        schema: &Schema,
        collection: &Arc<Collection>,
        params: &ListParams,
        request: &RequestInfo,
    ) -> Result<(Condition, Sort), Error> {
        let superuser = request.is_superuser();
        let rule = match collection.list_rule.as_deref() {
            _ if superuser => "",
            Some(rule) => rule,
            None => {
                return Err(Error::forbidden("Only superusers can perform this action."));
            }
        };
        refuse_rule_fields(request, params)?;
        if params.filter.len() > filter::REQUEST_BYTES_MAX {
            return Err(Error::bad_request(""));
        }
        let keys = sort_keys(&params.sort)?;
        let parts: Vec<Part<'_>> = [(rule, true), (params.filter.as_str(), superuser)]
            .into_iter()
            .filter(|(text, _)| !text.is_empty())
            .map(|(text, allow_hidden)| Part { text, allow_hidden })
            .collect();
        let values = request.values(self);
        let scope = Scope {
            schema,
            collection,
            request: Some(&values),
            allow_hidden: superuser,
        };
        self.compiler()
            .compile_list(&parts, &keys, &scope)
            .map_err(|error| blank_for_clients(error.into(), request))
    }
}

/// What was wrong with a filter is told to superusers alone: the text could confirm the existence of hidden fields.
fn blank_for_clients(error: Error, request: &RequestInfo) -> Error {
    match error {
        Error::BadRequest(_) if !request.is_superuser() => Error::bad_request(""),
        other => other,
    }
}

/// Filters of clients must not read other collections or the request, which could probe what rules hide.
fn refuse_rule_fields(request: &RequestInfo, params: &ListParams) -> Result<(), Error> {
    if request.is_superuser() {
        return Ok(());
    }
    for text in [&params.filter, &params.sort] {
        for field in ["@collection.", "@request."] {
            if text.contains(field) {
                return Err(Error::forbidden(format!(
                    "Only superusers can filter by {field}"
                )));
            }
        }
    }
    Ok(())
}
