//! Views of collections: their SELECT comes from superusers, their fields follow from it.
//!
//! The SELECT only ever runs inside `SELECT * FROM (...)`, and only when it is a single balanced statement: nothing but a
//! query fits there.

mod select;

use std::sync::Arc;

use super::conn::Conn;
use super::dialect::Dialect;
use super::error::Error;
use super::sql::Sql;
use super::{rows, scan, tables};
use crate::base::id;
use crate::model::field::{BoolOptions, JsonOptions, NumberOptions, RelationOptions, TextOptions};
use crate::model::{Collection, Field, FieldKind, Record, Schema};
use select::{Item, Select};

const DIALECT: Dialect = Dialect::Sqlite;

/// A view of the connection alone, to ask SQLite about the columns of a query.
const PROBE: &str = "_rotunda_probe";

/// How many views may stand between a view's file field and the collection it comes from.
const SOURCE_DEPTH: usize = 5;

/// What a SELECT would give as a view collection.
#[derive(Clone, Debug)]
pub struct DryRun {
    pub fields: Vec<Field>,
    pub sample: Vec<Record>,
}

/// Makes the view of a collection, or makes it anew, and gives the fields that its SELECT yields. `old_name` is the name
/// it had before, if any.
///
/// # Errors
/// [`Error::Statement`] for a SELECT that does not fit.
pub async fn sync(
    conn: &mut Conn,
    schema: &Schema,
    collection: &Collection,
    old_name: Option<&str>,
) -> Result<Vec<Field>, Error> {
    let fields = infer_fields(conn, schema, &collection.view_query).await?;
    if let Some(name) = old_name {
        remove(conn, name).await?;
    }
    let select = with_text_id(conn, &collection.view_query).await?;
    save(conn, &collection.name, &select).await?;
    Ok(fields)
}

/// Drops a view, if it is there.
///
/// # Errors
/// What the database says.
pub async fn remove(conn: &mut Conn, name: &str) -> Result<(), Error> {
    let name = DIALECT.quote_ident(name);
    conn.run(format!("DROP VIEW IF EXISTS {name}"))
        .await
        .map_err(Error::into_statement)
}

/// The fields that a SELECT yields. A plain column of a collection gives a copy of its field, an id of another collection
/// a relation, counts and casts their type; anything else is JSON.
///
/// # Errors
/// [`Error::Statement`] for a SELECT that does not run, has a `*` or no `id`.
pub async fn infer_fields(
    conn: &mut Conn,
    schema: &Schema,
    select: &str,
) -> Result<Vec<Field>, Error> {
    let select = single(select)?;
    let parsed = parse(select)?;
    let suggested = suggest(schema, &parsed)?;
    let columns = probe(conn, select).await?;
    let mut fields: Vec<Field> = Vec::with_capacity(columns.len());
    for column in columns {
        let mut field = match suggested
            .iter()
            .rev()
            .find(|found| found.name == column.name)
        {
            Some(found) => found.field.clone(),
            None => default_field(&column.name),
        };
        if field.id.is_empty() {
            field.id = field.default_id();
        }
        if !fields.iter().any(|known| known.name == field.name) {
            fields.push(field);
        }
    }
    if !fields.iter().any(|field| field.name == "id") {
        return Err(Error::Statement(
            "missing required id column (you can use `(ROW_NUMBER() OVER()) as id` if you don't have one)"
                .to_owned(),
        ));
    }
    Ok(fields)
}

/// View collections other than `except` whose fields are no longer those that their SELECT yields, each with the fields
/// it should have, or with why its SELECT does not run any more. The order of `schema` does not matter.
///
/// # Errors
/// What the database says besides.
pub async fn outdated(
    conn: &mut Conn,
    schema: &Schema,
    except: &str,
) -> Result<Vec<(Arc<Collection>, Result<Vec<Field>, Error>)>, Error> {
    let mut changed = Vec::new();
    for collection in schema.iter() {
        if !collection.is_view() || collection.id == except {
            continue;
        }
        match infer_fields(conn, schema, &collection.view_query).await {
            Ok(fields) if same_fields(&fields, collection.fields()) => {}
            Ok(fields) => changed.push((Arc::clone(collection), Ok(fields))),
            Err(error @ (Error::Statement(_) | Error::Timeout)) => {
                changed.push((Arc::clone(collection), Err(error)));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(changed)
}

/// What a SELECT would give as a view collection, with up to `sample_size` records.
///
/// # Errors
/// [`Error::Statement`] for a SELECT that does not fit or yields empty or repeated ids in the sample, [`Error::Timeout`].
pub async fn dry_run(
    conn: &mut Conn,
    schema: &Schema,
    select: &str,
    sample_size: u32,
) -> Result<DryRun, Error> {
    let fields = infer_fields(conn, schema, select).await?;
    let select = with_text_id(conn, single(select)?).await?;
    let name = format!("temp_view_{}", id::random_string(5));
    let mut collection = Collection::new(crate::model::CollectionKind::View, &name);
    collection.set_fields(fields.clone());
    let collection = Arc::new(collection);
    let columns: Vec<String> = fields
        .iter()
        .map(|field| DIALECT.quote_ident(&field.name))
        .collect();
    let sql = Sql::new(format!(
        "SELECT {} FROM (SELECT * FROM ({select}\n)) LIMIT {sample_size}",
        columns.join(", ")
    ))
    .uncached();
    let rows = conn.fetch_all(&sql).await.map_err(Error::into_statement)?;
    let mut sample: Vec<Record> = Vec::with_capacity(rows.len());
    for row in &rows {
        let values = rows::decode(row, 0, &fields)?;
        let record = Record::loaded(Arc::clone(&collection), values);
        if record.id().is_empty() {
            return Err(Error::Statement(
                "the query could return records with empty or invalid ids".to_owned(),
            ));
        }
        if sample.iter().any(|known| known.id() == record.id()) {
            return Err(Error::Statement(
                "the query could return records with non-unique ids".to_owned(),
            ));
        }
        sample.push(record);
    }
    Ok(DryRun { fields, sample })
}

/// Where the values of a view's field come from: the collection that stores them and its field, through views of views.
/// `None` for expressions and for what is not there.
#[must_use]
pub fn source(schema: &Schema, view: &Collection, field: &str) -> Option<(Arc<Collection>, Field)> {
    let mut select = view.view_query.clone();
    let mut name = field.to_owned();
    for _ in 0..SOURCE_DEPTH {
        let parsed = Select::parse(&select)?;
        let suggested = suggest(schema, &parsed).ok()?;
        let found = suggested.into_iter().find(|found| found.name == name)?;
        let (collection, original) = found.origin?;
        if !collection.is_view() {
            return Some((collection, original));
        }
        select.clone_from(&collection.view_query);
        name = original.name;
    }
    None
}

/// The SELECT without the semicolon at its end.
fn single(select: &str) -> Result<&str, Error> {
    let select = select.trim().trim_matches(';').trim();
    match scan::is_one_statement(select) {
        Ok(true) => Ok(select),
        Ok(false) if select.is_empty() => Err(Error::Statement("the query is empty".to_owned())),
        Ok(false) => Err(Error::Statement(
            "multiple statements are not supported".to_owned(),
        )),
        Err(scan::Unbalanced) => Err(Error::Statement(
            "unbalanced parenthesis or quoted expression".to_owned(),
        )),
    }
}

fn parse(select: &str) -> Result<Select, Error> {
    Select::parse(select)
        .ok_or_else(|| Error::Statement("the query must be a single SELECT".to_owned()))
}

async fn save(conn: &mut Conn, name: &str, select: &str) -> Result<(), Error> {
    remove(conn, name).await?;
    let quoted = DIALECT.quote_ident(name);
    conn.run(format!("CREATE VIEW {quoted} AS SELECT * FROM ({select})"))
        .await
        .map_err(Error::into_statement)?;
    // SQLite looks at what a view selects only when it is used.
    if let Err(error) = tables::columns(conn, name).await {
        remove(conn, name).await?;
        return Err(error);
    }
    Ok(())
}

/// The columns of a query, with the type of those that have one.
async fn probe(conn: &mut Conn, select: &str) -> Result<Vec<tables::ColumnInfo>, Error> {
    let unmake = format!("DROP VIEW IF EXISTS temp.{PROBE}");
    conn.run(unmake.clone()).await?;
    // The line break ends a comment that the query may end with.
    conn.run(format!(
        "CREATE TEMP VIEW {PROBE} AS SELECT * FROM ({select}\n)"
    ))
    .await
    .map_err(Error::into_statement)?;
    let columns = tables::columns(conn, PROBE).await;
    conn.run(unmake).await?;
    columns
}

/// The SELECT with an id that is a text, as ids of records are.
async fn with_text_id(conn: &mut Conn, select: &str) -> Result<String, Error> {
    let select = single(select)?;
    let columns = probe(conn, select).await?;
    let is_text = |column: &tables::ColumnInfo| {
        column.name.eq_ignore_ascii_case("id") && column.declared.eq_ignore_ascii_case("text")
    };
    if columns.iter().any(is_text) {
        return Ok(select.to_owned());
    }
    let names: Vec<String> = columns
        .iter()
        .map(|column| {
            let name = DIALECT.quote_ident(&column.name);
            if column.name == "id" {
                format!("CAST({name} as TEXT) {name}")
            } else {
                name
            }
        })
        .collect();
    Ok(format!("SELECT {} FROM ({select}\n)", names.join(",")))
}

/// A field guessed from the text of a SELECT.
struct Suggestion {
    /// The column's name.
    name: String,
    field: Field,
    /// The collection and its field that the column copies.
    origin: Option<(Arc<Collection>, Field)>,
}

fn suggest(schema: &Schema, select: &Select) -> Result<Vec<Suggestion>, Error> {
    let tables: Vec<(&str, Option<Arc<Collection>>)> = select
        .tables
        .iter()
        .map(|table| {
            let collection = schema
                .iter()
                .find(|collection| collection.name == table.original);
            (table.alias.as_str(), collection.cloned())
        })
        .collect();
    select
        .columns
        .iter()
        .map(|column| suggest_column(&tables, column))
        .collect()
}

fn suggest_column(
    tables: &[(&str, Option<Arc<Collection>>)],
    column: &Item,
) -> Result<Suggestion, Error> {
    if column.alias == "*" {
        return Err(Error::Statement(
            "wildcard columns (*) are not supported - manually type the collection field names you want the view query to have"
                .to_owned(),
        ));
    }
    let alone = |field| Suggestion {
        name: column.alias.clone(),
        field,
        origin: None,
    };
    if column.alias == "id" {
        return Ok(alone(id_field()));
    }
    if let Some(kind) = expression_kind(&column.original) {
        return Ok(alone(plain_field(&column.alias, kind)));
    }
    let (table, name) = match column.original.split('.').collect::<Vec<_>>().as_slice() {
        [table, name] => (tables.iter().find(|(alias, _)| alias == table), *name),
        // A column without its table is looked for in the first one.
        parts => (tables.first(), parts.first().copied().unwrap_or_default()),
    };
    let Some((_, Some(collection))) = table else {
        return Ok(alone(default_field(&column.alias)));
    };
    let Some(original) = collection
        .fields()
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case(name))
    else {
        return Ok(alone(default_field(&column.alias)));
    };
    if original.name.eq_ignore_ascii_case("id") {
        let relation = FieldKind::Relation(RelationOptions {
            collection_id: collection.id.clone(),
            max_select: 1,
            ..RelationOptions::default()
        });
        return Ok(alone(plain_field(&column.alias, relation)));
    }
    let mut field = original.clone();
    // The same field may be selected twice.
    field.id = format!("_clone_{}", id::random_string(4));
    field.name.clone_from(&column.alias);
    Ok(Suggestion {
        name: column.alias.clone(),
        field,
        origin: Some((Arc::clone(collection), original.clone())),
    })
}

/// The type of a count, total or cast.
fn expression_kind(expression: &str) -> Option<FieldKind> {
    let lower = expression.to_lowercase();
    let number = |only_int| {
        FieldKind::Number(NumberOptions {
            only_int,
            ..NumberOptions::default()
        })
    };
    if lower.starts_with("count(") {
        return Some(number(true));
    }
    if lower.starts_with("total(") {
        return Some(number(false));
    }
    let inner = lower
        .strip_prefix("cast")?
        .trim_start()
        .strip_prefix('(')?
        .strip_suffix(')')?
        .trim_end();
    let (before, kind) = inner.rsplit_once(char::is_whitespace)?;
    let before = before.trim_end().strip_suffix("as")?;
    if !before.ends_with(char::is_whitespace) {
        return None;
    }
    match kind {
        "real" | "decimal" | "numeric" => Some(number(false)),
        "int" | "integer" => Some(number(true)),
        "text" => Some(FieldKind::Text(TextOptions::default())),
        "boolean" | "bool" => Some(FieldKind::Bool(BoolOptions::default())),
        _ => None,
    }
}

fn default_field(name: &str) -> Field {
    if name == "id" {
        return id_field();
    }
    let kind = FieldKind::Json(JsonOptions {
        // Of no meaning for views; PocketBase's value.
        max_size: 1,
        ..JsonOptions::default()
    });
    plain_field(name, kind)
}

fn id_field() -> Field {
    let kind = FieldKind::Text(TextOptions {
        required: true,
        primary_key: true,
        pattern: "^[a-z0-9]+$".to_owned(),
        ..TextOptions::default()
    });
    Field {
        system: true,
        ..plain_field("id", kind)
    }
}

fn plain_field(name: &str, kind: FieldKind) -> Field {
    Field {
        id: String::new(),
        name: name.to_owned(),
        system: false,
        hidden: false,
        presentable: false,
        help: String::new(),
        kind,
    }
}

/// Whether two lists of fields say the same but for the ids, which are random for copies.
fn same_fields(one: &[Field], two: &[Field]) -> bool {
    one.len() == two.len()
        && one.iter().zip(two).all(|(one, two)| {
            one.name.eq_ignore_ascii_case(&two.name)
                && Field {
                    id: two.id.clone(),
                    name: two.name.clone(),
                    ..one.clone()
                } == *two
        })
}

#[cfg(test)]
mod tests;
